"""Schedules, in the state that all schedulers share: what is to run when, and what came of each due time.

A due time is a row with a unique key, job and due time, that goes due -> claimed -> running -> done | failed, or is skipped or missed.
`firings` moves those rows, `scheduler` runs them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sql
from sqlalchemy import Column, Connection, delete, func, select, update

from ...errors import NotFound, UsageError
from ...records import Firing, Schedule
from ...store.shared import SharedState, tables
from .due import Cron, zone

CATCHUPS = ("none", "latest", "all")
OVERLAPS = ("skip", "queue", "allow")
ACTIVE = ("claimed", "running")

schedules = sql.Table(
    "schedules",
    tables,
    Column("name", sql.String, primary_key=True),
    Column("pipeline", sql.String, nullable=False),
    Column("params", sql.JSON, nullable=False),
    Column("cron", sql.String, nullable=False),
    Column("timezone", sql.String, nullable=False),
    Column("catchup", sql.String, nullable=False),
    Column("overlap", sql.String, nullable=False),
    Column("jitter", sql.Float, nullable=False),
    Column("paused", sql.Boolean, nullable=False),
    # The next due time that has no firing yet; NULL when there will be none.
    Column("next", sql.BigInteger, index=True),
)

firings = sql.Table(
    "firings",
    tables,
    Column("run", sql.String(32), primary_key=True),
    Column("job", sql.String, nullable=False),
    Column("due", sql.BigInteger, nullable=False),
    Column("at", sql.Float, nullable=False),
    Column("state", sql.String, nullable=False),
    # Each claim takes the next number: what an earlier owner still writes is refused by it.
    Column("attempts", sql.Integer, nullable=False, default=0),
    Column("owner", sql.String, nullable=False, default=""),
    Column("started", sql.Float),
    Column("ended", sql.Float),
    Column("log", sql.String, nullable=False, default=""),
    Column("why", sql.String, nullable=False, default=""),
    sql.UniqueConstraint("job", "due"),
    sql.Index("firings_by_state", "state", "at"),
)

_COLUMNS = tuple(column.name for column in schedules.columns)
_DUE = re.compile(r"\{due(?::([^{}]*))?\}")
_MOST_LISTED = 1000
MOST_KEPT = 10_000
"""Due times of one job that are remembered."""


class Schedules:
    """The schedules of a shared state."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def add(self, schedule: Schedule, now: float) -> bool:
        """Keep a schedule; whether there was one of that name, which it takes the place of with its history.

        It is due from now on; where the times stay the same, those that no scheduler came to yet stay due, and a paused one stays paused.
        Raises UsageError for what cannot be used, and for a name that another pipeline has.
        """
        check(schedule)
        values = {name: getattr(schedule, name) for name in _COLUMNS} | {"params": dict(schedule.params)}
        values["next"] = next(cron_of(schedule).after(now), None)
        with self._state.begin() as connection:
            old = connection.execute(select(schedules).where(schedules.c.name == schedule.name).with_for_update()).mappings().first()
            if old is None:
                connection.execute(self._state.insert(schedules).values(values))
                return False
            if old["pipeline"] != schedule.pipeline:
                raise UsageError(
                    f"The schedule {schedule.name!r} is that of {old['pipeline']}: choose another name with --name, or remove it first with"
                    f" `mlops schedule remove {schedule.name}`."
                )
            if (old["cron"], old["timezone"]) == (schedule.cron, schedule.timezone):
                values["next"] = old["next"]
            values["paused"] = old["paused"]
            connection.execute(update(schedules).where(schedules.c.name == schedule.name).values(values))
            return True

    def remove(self, name: str) -> Schedule:
        """Forget a schedule. What runs goes on to its end, what did not start is skipped, the history stays. Raises NotFound."""
        with self._state.begin() as connection:
            schedule = self._locked(connection, name)
            connection.execute(delete(schedules).where(schedules.c.name == name))
            _skip(connection, name, "the schedule was removed before it started")
        return schedule

    def pause(self, name: str) -> Schedule:
        """Start nothing more. What runs goes on to its end; due times that come while paused are no misses. Raises NotFound."""
        with self._state.begin() as connection:
            schedule = self._locked(connection, name)
            connection.execute(update(schedules).where(schedules.c.name == name).values(paused=True))
            _skip(connection, name, "the schedule was paused before it started")
        return replace(schedule, paused=True, next=None)

    def resume(self, name: str, now: float) -> Schedule:
        """Go on with the next due time after now. Raises NotFound."""
        with self._state.begin() as connection:
            schedule = self._locked(connection, name)
            if schedule.paused:
                schedule = replace(schedule, paused=False, next=next(cron_of(schedule).after(now), None))
                connection.execute(update(schedules).where(schedules.c.name == name).values(paused=False, next=schedule.next))
        return schedule

    def all(self) -> tuple[Schedule, ...]:
        """All schedules by name, each with its last due time and the number of those that were missed."""
        with self._state.read() as connection:
            rows = connection.execute(select(schedules).order_by(schedules.c.name)).mappings().all()
            latest = select(firings.c.job, func.max(firings.c.due).label("due")).group_by(firings.c.job).subquery()
            found = connection.execute(
                select(firings).join(latest, (firings.c.job == latest.c.job) & (firings.c.due == latest.c.due))
            ).mappings()
            last = {row["job"]: firing_of(row) for row in found}
            counted = select(firings.c.job, func.count()).where(firings.c.state == "missed").group_by(firings.c.job)
            missed = {row[0]: row[1] for row in connection.execute(counted)}
        return tuple(replace(schedule_of(row), last=last.get(row["name"]), missed=missed.get(row["name"], 0)) for row in rows)

    def history(self, name: str, limit: int = _MOST_LISTED) -> tuple[Firing, ...]:
        """The due times of a schedule that have come, the latest first. Raises NotFound."""
        with self._state.read() as connection:
            query = select(firings).where(firings.c.job == name).order_by(firings.c.due.desc()).limit(limit)
            found = tuple(firing_of(row) for row in connection.execute(query).mappings())
            if not found and connection.execute(select(schedules.c.name).where(schedules.c.name == name)).first() is None:
                raise _unknown(name)
        return found

    def prune(self, keep: int = MOST_KEPT, dry_run: bool = False) -> int:
        """Forget the due times of each job before its last `keep`, but those that are still to be run; how many."""
        counted = 0
        with self._state.begin() as connection:
            many = select(firings.c.job).group_by(firings.c.job).having(func.count() > keep)
            for job in connection.execute(many).scalars().all():
                latest = select(firings.c.due).where(firings.c.job == job).order_by(firings.c.due.desc()).offset(keep).limit(1)
                oldest = connection.execute(latest).scalar_one()
                old = (firings.c.job == job, firings.c.due <= oldest, firings.c.state.not_in(("due", *ACTIVE)))
                counted += connection.execute(select(func.count()).select_from(firings).where(*old)).scalar_one()
                if not dry_run:
                    connection.execute(delete(firings).where(*old))
        return counted

    def _locked(self, connection: Connection, name: str) -> Schedule:
        row = connection.execute(select(schedules).where(schedules.c.name == name).with_for_update()).mappings().first()
        if row is None:
            raise _unknown(name)
        return schedule_of(row)


def check(schedule: Schedule) -> None:
    """Raises UsageError when something in a schedule cannot be used."""
    cron_of(schedule).check()
    for what, value, known in (("catchup", schedule.catchup, CATCHUPS), ("overlap", schedule.overlap, OVERLAPS)):
        if value not in known:
            raise UsageError(f"{what} = {value!r} cannot be used: write {', '.join(known[:-1])} or {known[-1]}.")
    if schedule.jitter < 0:
        raise UsageError(f"jitter = {schedule.jitter:g} cannot be used: write the most seconds to wait, such as 30s or 5m.")
    if not re.fullmatch(r"[^\s./\\-][^/\\\n]*", schedule.name):
        raise UsageError(f"{schedule.name!r} cannot be the name of a schedule: begin with a letter or digit, and leave out slashes.")


def cron_of(schedule: Schedule) -> Cron:
    """When a schedule is due."""
    return Cron(schedule.cron, schedule.timezone)


def local(schedule: Schedule, moment: float) -> datetime:
    """A moment on the schedule's own clock."""
    return datetime.fromtimestamp(moment, zone(schedule.timezone))


def params_at(schedule: Schedule, due: float) -> dict[str, Any]:
    """The parameters of the run of one due time: {due} in a text is its date and time, {due:%Y-%m} a form of it (see strftime)."""
    shown = local(schedule, due)

    def filled(value: Any) -> Any:
        return _DUE.sub(lambda match: shown.strftime(match[1] or "%Y-%m-%dT%H:%M:%S%z"), value) if isinstance(value, str) else value

    return {name: filled(value) for name, value in schedule.params.items()}


def schedule_of(row: Mapping[Any, Any]) -> Schedule:
    """The record of a row."""
    schedule = Schedule.from_json(dict(row))
    return replace(schedule, next=None) if schedule.paused else schedule


def firing_of(row: Mapping[Any, Any]) -> Firing:
    """The record of a row."""
    return Firing.from_json(dict(row))


def _skip(connection: Connection, job: str, why: str) -> None:
    connection.execute(update(firings).where(firings.c.job == job, firings.c.state == "due").values(state="skipped", why=why))


def _unknown(name: str) -> NotFound:
    return NotFound("schedule", name, "`mlops schedule list` shows those that there are.")
