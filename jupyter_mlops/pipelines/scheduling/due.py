"""When a schedule is due: cron expressions on the clock of a time zone, over every change of that clock.

Debian's rule for daylight saving time, as its manual states it: a job for certain hours follows the clock on the wall. A time that the
clock skips is due as soon as it is past, and a time that it shows twice is due once. A job for every hour follows real time, since a
skipped or a repeated hour is an hour like any other; where the clock skips a part of an hour, what it skips is due right after.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from ...errors import UsageError

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ALL_HOURS = set(range(24))
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression in a time zone: minute hour day month weekday, a second before them if there are six, or @daily and its like."""

    expression: str
    timezone: str

    def check(self) -> None:
        """Raises UsageError when the expression or the zone cannot be used, or the expression is never due."""
        zone(self.timezone)
        try:
            CronSim(self.fields(), datetime(2000, 1, 1))
        except CronSimError as error:
            raise UsageError(
                f"The cron expression {self.expression!r} cannot be read ({str(error).lower()}): write minute, hour, day of the month,"
                " month and weekday, such as '0 6 * * 1' for Mondays at six, or @daily."
            ) from None
        if next(self.after(datetime(2000, 1, 1, tzinfo=UTC).timestamp()), None) is None:
            raise UsageError(f"The cron expression {self.expression!r} is never due: there is no such day.")

    def after(self, moment: float) -> Iterator[int]:
        """The due times after a moment, ascending, each once, as whole seconds since the epoch."""
        local = datetime.fromtimestamp(moment, zone(self.timezone))
        fields = self.fields()
        every_hour = set(CronSim(fields, datetime(2000, 1, 1)).hours) == _ALL_HOURS
        last = moment
        for due in _in_real_time(fields, local) if every_hour else _on_the_wall(fields, local):
            if due > last:
                yield due
                last = due

    def words(self) -> str:
        """What the expression says, in plain words: At 06:00 on Monday."""
        return str(CronSim(self.fields(), datetime(2000, 1, 1)).explain())

    def fields(self) -> str:
        """The expression, with @daily and its like written out."""
        return _NAMED.get(self.expression.strip().lower(), self.expression)


def jitter(job: str, due: int, most: float) -> float:
    """Seconds from 0 to `most` by which a start is put off: the same whoever asks, different for each job and due time."""
    return most * int.from_bytes(sha256(f"{job}\0{due}".encode()).digest()[:8]) / 2**64


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises UsageError, naming those that are spelt alike."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        alike = difflib.get_close_matches(name, available_timezones(), 3, 0.6)
        remedy = f"did you mean {' or '.join(alike)}?" if alike else "write one such as Europe/Copenhagen, or UTC."
        raise UsageError(f"There is no time zone {name!r}: {remedy}") from None


def local_zone() -> str:
    """The name of this computer's time zone, UTC where it cannot be told."""
    for name in (os.environ.get("TZ", "").removeprefix(":"), str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]):
        if name in available_timezones():
            return name
    return "UTC"


def _on_the_wall(fields: str, start: datetime) -> Iterator[int]:
    """The moments at which the wall clock first shows each matching time, or first is past it."""
    for wall in CronSim(fields, start.replace(tzinfo=None)):
        shown = wall.replace(tzinfo=start.tzinfo, fold=0)
        moment = int(shown.timestamp())
        if datetime.fromtimestamp(moment, start.tzinfo).replace(tzinfo=None) == wall:
            yield moment
        else:
            yield _change(int(shown.replace(fold=1).timestamp()), moment, start)


def _in_real_time(fields: str, start: datetime) -> Iterator[int]:
    """The moments at which the clock shows a matching time, and the end of a skipped part of an hour with a matching time in it."""
    parts = fields.split()
    parts[-4] = "*"  # A range of all hours would be taken for certain hours.

    def moments() -> Iterator[int]:
        yield int(start.timestamp())
        for shown in CronSim(" ".join(parts), start):
            yield int(shown.timestamp())

    for before, after in pairwise(moments()):
        skipped = _offset(after, start) - _offset(before, start)
        if skipped > 0 and skipped % _HOUR:
            change = _change(before, after, start)
            wall = datetime.fromtimestamp(change, start.tzinfo).replace(tzinfo=None) - timedelta(seconds=skipped + 1)
            if next(CronSim(fields, wall)) <= wall + timedelta(seconds=skipped + 1):
                yield change
        yield after


def _change(before: int, after: int, start: datetime) -> int:
    """The first second in (before, after] at which the zone's offset is another than before."""
    old = _offset(before, start)
    return _first(before, after, lambda moment: _offset(moment, start) != old)


def _first(low: int, high: int, holds: Callable[[int], bool]) -> int:
    """The first number above `low`, at most `high`, for which something holds from then on."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _offset(moment: int, like: datetime) -> float:
    offset = datetime.fromtimestamp(moment, like.tzinfo).utcoffset()
    return offset.total_seconds() if offset else 0.0
