"""The state machine of due times, each step one transaction, so that any number of schedulers may take it at once.

`Firings.plan` makes due times of schedules, once each; `claim` takes those that may start, before they start; `running`, `finish` and
`release` are refused when another scheduler has taken over meanwhile, as `take_over` does with what a dead one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Update, bindparam, func, select, update

from ...errors import UsageError
from ...records import Firing, Schedule
from ...store.shared import SharedState
from .due import Cron, jitter
from .schedule import ACTIVE, cron_of, firing_of, firings, schedule_of, schedules

ON_TIME = 60.0
"""Seconds after which a due time that no scheduler came to is late: what becomes of it is then the schedule's `catchup`."""
LISTED = 31 * 86400.0
"""Seconds back from now for which every missed due time is listed by itself."""
MOST_RESTARTS = 3
"""How often a run that the operating system ended is begun again."""
_PAGE = 200
_TIMES = 1000


@dataclass(frozen=True, slots=True)
class Claim:
    """A due time with its schedule, for whoever claimed it: the right to run it until another claim has a higher number of attempts."""

    firing: Firing
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Stranger:
    """A run that another scheduler has; `orphan` is set when its schedule was removed."""

    firing: Firing
    orphan: bool


@dataclass(frozen=True, slots=True)
class View:
    """What there is to do: the next due time to plan, when the next firing may start, and the runs that others have."""

    next: int | None
    start: float | None
    strangers: tuple[Stranger, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """What became of due times that have come: the number of those that are to run, and those that were missed, by schedule.

    `troubles` are schedules that cannot be read here, and why.
    """

    due: int
    missed: tuple[tuple[Schedule, tuple[Firing, ...]], ...] = ()
    troubles: Mapping[str, str] = field(default_factory=dict)


class Firings:
    """The due times of a shared state."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def view(self, owner: str) -> View:
        """What there is to do, for a scheduler."""
        with self._state.read() as connection:
            due = connection.execute(_NEXT_DUE).scalar_one()
            start = connection.execute(_NEXT_START).scalar_one()
            rows = connection.execute(_OTHERS, {"me": owner}).mappings().all()
        found = (Stranger(firing_of(row), row["paused"] is None) for row in rows if not row["paused"])
        return View(due, start, tuple(found))

    def rewind(self, now: float) -> None:
        """Let no schedule wait for the return of a time at which the clock went back: those that wait too long wait for the next due time.

        What is planned again is found to be there already; what the clock ran ahead of and missed becomes due when its time really comes.
        """
        with self._state.begin() as connection:
            for row in connection.execute(select(schedules).where(~schedules.c.paused).with_for_update()).mappings().all():
                try:
                    due = next(cron_of(schedule_of(row)).after(now), None)
                except UsageError:
                    continue
                if due is not None and (row["next"] is None or row["next"] > due):
                    connection.execute(update(schedules).where(schedules.c.name == row["name"]).values(next=due))

    def plan(self, now: float) -> Planned:
        """Make firings of all due times that have come, as each schedule's catchup says."""
        due = 0
        missed: list[tuple[Schedule, tuple[Firing, ...]]] = []
        troubles: dict[str, str] = {}
        page = ""
        while True:
            with self._state.begin() as connection:
                query = select(schedules).where(schedules.c.next <= now, ~schedules.c.paused, schedules.c.name > page)
                rows = connection.execute(query.order_by(schedules.c.name).limit(_PAGE).with_for_update(skip_locked=True)).mappings().all()
                for row in rows:
                    schedule = schedule_of(row)
                    try:
                        following, made = _come(schedule, now)
                    except UsageError as error:
                        troubles[row["name"]] = str(error)
                        continue
                    self._keep(connection, made)
                    connection.execute(update(schedules).where(schedules.c.name == row["name"]).values(next=following))
                    gone = tuple(firing for firing in made if firing.state == "missed")
                    due += len(made) - len(gone)
                    missed += [(schedule, gone)] if gone else []
                    if following is not None and following <= now:
                        break
                else:
                    if len(rows) < _PAGE:
                        return Planned(due, tuple(missed), troubles)
                    page = rows[-1]["name"]

    def claim(self, owner: str, room: int, *, until: float, now: float) -> tuple[tuple[Claim, ...], tuple[Claim, ...]]:
        """Take up to `room` firings that may start by the moment `until`, the earliest first. The second are those that are skipped."""
        with self._state.begin() as connection:
            ready = (firings.c.state == "due") & (firings.c.at <= until)
            jobs = select(firings.c.job).where(ready).group_by(firings.c.job).order_by(func.min(firings.c.at)).limit(_PAGE)
            names = connection.execute(jobs).scalars().all()
            # Whoever holds the row of a schedule alone decides which of its due times start.
            chosen = select(schedules).where(schedules.c.name.in_(names), ~schedules.c.paused).order_by(schedules.c.name)
            held = {row["name"]: row for row in connection.execute(chosen.with_for_update(skip_locked=True)).mappings()}
            going: dict[str, list[float]] = {name: [] for name in held}
            active = select(firings.c.job, firings.c.started).where(firings.c.state.in_(ACTIVE), firings.c.job.in_(held))
            for job, started in connection.execute(active):
                going[job].append(started)
            waiting = select(firings).where(ready, firings.c.job.in_(held)).order_by(firings.c.at, firings.c.due).limit(_TIMES)
            claimed: list[Claim] = []
            skipped: list[Claim] = []
            for row in connection.execute(waiting).mappings().all():
                firing, schedule = firing_of(row), schedule_of(held[row["job"]])
                earlier = going[firing.job]
                if schedule.overlap == "skip" and any(started <= firing.at for started in earlier):
                    skipped.append(Claim(replace(firing, state="skipped", why="an earlier run was still going on"), schedule))
                elif len(claimed) < room and (schedule.overlap == "allow" or not earlier):
                    started = now if firing.started is None else firing.started
                    taken = replace(firing, state="claimed", owner=owner, attempts=firing.attempts + 1, started=started, why="")
                    claimed.append(Claim(taken, schedule))
                    earlier.append(now)
            for claim in (*claimed, *skipped):
                connection.execute(_CLAIMED, {"this_run": claim.firing.run, **_claimed(claim.firing)})
        return tuple(claimed), tuple(skipped)

    def take_over(self, stranger: Stranger, owner: str, now: float) -> Claim | None:
        """Take a run from a scheduler that is gone; None when it ended after all, or another took it. The run keeps its id.

        A run whose schedule was removed meanwhile fails instead.
        """
        firing = stranger.firing
        with self._state.begin() as connection:
            row = connection.execute(select(schedules).where(schedules.c.name == firing.job).with_for_update()).mappings().first()
            if row is None:
                why = "its schedule was removed and its scheduler ended while it ran"
                connection.execute(_ENDED, {**_key(firing), "state": "failed", "why": why, "ended": now})
                return None
            taken = replace(firing, state="claimed", owner=owner, attempts=firing.attempts + 1)
            if not connection.execute(_TAKEN, {**_key(firing), **_claimed(taken)}).rowcount:
                return None
        return Claim(taken, schedule_of(row))

    def running(self, claims: Iterable[tuple[Claim, str]]) -> tuple[Claim, ...]:
        """Note that claims run, each with the path of its log. Gives those that another scheduler has taken over meanwhile."""
        lost = []
        with self._state.begin() as connection:
            for claim, log in claims:
                if not connection.execute(_RUNNING, {**_key(claim.firing), "log": log}).rowcount:
                    lost.append(claim)
        return tuple(lost)

    def finish(self, ended: Iterable[tuple[Claim, str, str]], now: float) -> tuple[Claim, ...]:
        """Commit how runs ended, as (claim, state, why). Gives those that another scheduler has taken over meanwhile."""
        lost = []
        with self._state.begin() as connection:
            for claim, state, why in ended:
                if not connection.execute(_ENDED, {**_key(claim.firing), "state": state, "why": why, "ended": now}).rowcount:
                    lost.append(claim)
        return tuple(lost)

    def release(self, claims: Iterable[Claim], why: str) -> None:
        """Give claims back; any scheduler may go on with them at once."""
        with self._state.begin() as connection:
            for claim in claims:
                connection.execute(_RELEASED, {**_key(claim.firing), "why": why})

    def held(self, owner: str) -> dict[str, int]:
        """The runs that a scheduler has, with the number of attempts that its claims have."""
        with self._state.read() as connection:
            return {row[0]: row[1] for row in connection.execute(_HELD, {"me": owner})}

    def _keep(self, connection: Connection, made: list[Firing]) -> None:
        """Insert due times; one that is there already stays as it is, except that a missed one may become due."""
        if not made:
            return
        insert = self._state.insert(firings)
        again = insert.on_conflict_do_update(
            index_elements=["job", "due"],
            set_={"state": insert.excluded.state, "at": insert.excluded.at, "why": ""},
            where=(firings.c.state == "missed") & (insert.excluded.state == "due"),
        )
        columns = ("run", "job", "due", "at", "state", "why")
        connection.execute(again, [{name: getattr(firing, name) for name in columns} for firing in made])


def _come(schedule: Schedule, now: float) -> tuple[int | None, list[Firing]]:
    """The next due time that has no firing yet, and firings for those that have come: at most `_TIMES`, the next one has come too then."""
    cron, first = cron_of(schedule), schedule.next
    if first is None:
        return None, []
    if schedule.catchup != "all" and first < now - LISTED:
        why = "no scheduler ran for more than a month from then on; the due times of that while are not listed one by one"
        following = next(cron.after(now - LISTED), None)
        if schedule.catchup != "latest" or (following is not None and following <= now):
            return following, [_made(schedule, first, "missed", why)]
        last = _last(cron, first, int(now))
        return following, [*([_made(schedule, first, "missed", why)] if first < last else []), _made(schedule, last, "due", "")]
    times: list[int] = []
    following = None
    for due in chain((first,), cron.after(first)):
        if due > now or len(times) == _TIMES:
            following = due
            break
        times.append(due)
    newest = times[-1] if following is None or following > now else None
    return following, [
        _made(schedule, due, *(("due", "") if _runs(schedule, due, newest, now) else ("missed", "no scheduler ran then"))) for due in times
    ]


def _last(cron: Cron, first: int, now: int) -> int:
    """The last due time up to now, of a schedule that was due at `first`; found by halves, since there may be millions in between."""
    last, over = first, now
    while last < over:
        middle = (last + over) // 2
        due = next(cron.after(middle), None)
        last, over = (due, over) if due is not None and due <= now else (last, middle)
    return last


def _runs(schedule: Schedule, due: int, newest: int | None, now: float) -> bool:
    on_time = due > now - ON_TIME
    return on_time or schedule.catchup == "all" or (schedule.catchup == "latest" and due == newest)


def _made(schedule: Schedule, due: int, state: str, why: str) -> Firing:
    at = due + jitter(schedule.name, due, schedule.jitter)
    return Firing(job=schedule.name, due=due, state=state, run=uuid4().hex, at=at, why=why)


def _claimed(firing: Firing) -> Mapping[str, Any]:
    return {name: getattr(firing, name) for name in ("state", "owner", "attempts", "started", "why")}


def _setting(*names: str) -> Update:
    return update(firings).values({name: bindparam(name) for name in names})


def _key(firing: Firing) -> dict[str, Any]:
    """What `_OWNED` names a firing by."""
    return {"this_run": firing.run, "this_attempt": firing.attempts}


# Statements are built once: a scheduler with many jobs spends most of its time in building them otherwise.
_JOB = schedules.c.name == firings.c.job
_ACTIVE = firings.c.state.in_(ACTIVE)
_NEXT_DUE = select(func.min(schedules.c.next)).where(~schedules.c.paused)
_NEXT_START = select(func.min(firings.c.at)).join(schedules, _JOB).where(firings.c.state == "due", ~schedules.c.paused)
_OTHERS = select(firings, schedules.c.paused).outerjoin(schedules, _JOB).where(_ACTIVE, firings.c.owner != bindparam("me"))
_HELD = select(firings.c.run, firings.c.attempts).where(_ACTIVE, firings.c.owner == bindparam("me"))
_THIS = firings.c.run == bindparam("this_run")
_CLAIMED = _setting("state", "owner", "attempts", "started", "why").where(_THIS)
# Touches a firing only while nobody has claimed it anew.
_OWNED = (_THIS, firings.c.attempts == bindparam("this_attempt"), _ACTIVE)
_TAKEN = _CLAIMED.where(*_OWNED)
_RUNNING = _setting("log").where(*_OWNED).values(state="running")
_ENDED = _setting("state", "why", "ended").where(*_OWNED)
_RELEASED = _setting("why").where(*_OWNED).values(state="due", owner="")
