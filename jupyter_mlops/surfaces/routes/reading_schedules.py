"""What the panel reads of schedules: when pipelines are due, who runs them, and what came of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import config
from ...errors import NotFound
from ...records import Schedule
from ...store.client import PACKAGE
from ..answers import History
from .places import contents_path
from .processes import PYTHON
from .reading_pipelines import Log, told_by_log

if TYPE_CHECKING:
    from ...store.shared import SharedState

COMING = 3
"""Due times that are told ahead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A schedule with its due times ahead; `words` read its cron expression, `now` are the parameters that a run of this moment gets."""

    schedule: Schedule
    path: str | None
    words: str
    coming: tuple[int, ...] = ()
    now: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timetable:
    """The schedules of a project, and the `schedulers` that are at work: without one, nothing runs by itself.

    `command` starts one in a terminal.
    """

    schedules: tuple[Timed, ...] = ()
    schedulers: tuple[str, ...] = ()
    command: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueTimes:
    """What a cron expression means, and when it is due next."""

    words: str
    timezone: str
    coming: tuple[int, ...] = ()


def timetable() -> Timetable:
    """The schedules of the project, when they are due, and who runs them."""
    from ...pipelines.scheduling.presence import living
    from ...pipelines.scheduling.schedule import Schedules

    settings, state = _opened()
    if not settings.home.is_dir() and settings.database is None:
        return Timetable(command=_command())  # nothing was scheduled here yet, and to look makes no project of a folder
    now = state.now()
    found = tuple(_timed(item, settings, now) for item in Schedules(state).all())
    return Timetable(schedules=found, schedulers=living(state), command=_command())


def due_times(expression: str, timezone: str = "UTC") -> DueTimes:
    """What a cron expression means in plain words, and when it is due next."""
    from ...pipelines.scheduling.due import Cron

    asked = Cron(expression, timezone)
    asked.check()
    coming = tuple(islice(asked.after(time.time()), COMING))
    return DueTimes(words=asked.words(), timezone=timezone, coming=coming)


def schedule_history(name: str, limit: int = 20) -> History:
    """What came of the due times of a schedule, the latest first."""
    from ..scheduling import history

    return history(name, limit)


def schedule_log(name: str, run: str) -> Log:
    """What the run of a due time printed, the latest of its attempts."""
    from ...pipelines.scheduling.schedule import Schedules

    firing = next((item for item in Schedules(_opened()[1]).history(name) if item.run == run), None)
    if firing is None or not firing.log or not Path(firing.log).is_file():
        raise NotFound("log", f"{name} {run[:8]}", "It was removed since, or lies on the machine whose scheduler ran it.")
    return told_by_log(Path(firing.log))


def _command() -> str:
    """`mlops scheduler` by this interpreter: terminals are login shells, whose PATH may know another installation, or none."""
    return shlex.join([*PYTHON, PACKAGE.name, "scheduler"])


def _opened() -> tuple[config.Settings, SharedState]:
    from ...store.shared import SharedState

    settings = config.load()
    return settings, SharedState(settings)


def _timed(schedule: Schedule, settings: config.Settings, now: float) -> Timed:
    from ...pipelines.scheduling.schedule import cron_of, params_at

    asked = cron_of(schedule)
    since = schedule.next - 1 if schedule.next is not None else now
    return Timed(
        schedule=schedule, path=contents_path(settings.project / schedule.pipeline), words=asked.words(),
        coming=() if schedule.paused else tuple(islice(asked.after(since), COMING)), now=params_at(schedule, int(now)),
    )  # fmt: skip
