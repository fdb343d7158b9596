"""A day of schedules in simulated time: 1,000 jobs, and a scheduler that is killed 200 times anywhere in its work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import takewhile

from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.scheduling.schedule import Schedules, cron_of
from jupyter_mlops.records import Schedule
from jupyter_mlops.store.shared import SharedState
from tests.simulated import World

from .kernels import empty_folder
from .table import Row, row

JOBS = 1000
KILLS = 200
HOURS = 24
# A night in which the clocks of two of the zones change.
BEGIN = datetime(2026, 3, 28, 12, tzinfo=UTC).timestamp()
ZONES = ("Europe/Copenhagen", "Europe/London", "America/New_York", "Asia/Kolkata")
CRONS = ("{} * * * *", "{} */6 * * *", "{} 2 * * *", "*/30 * * * *", "{} * * * *")
DOWNTIMES = (1.0, 1.0, 1.0, 35.0, 300.0)


def measure() -> list[Row]:
    """All figures of this module."""
    return list(_day())


def _day() -> Iterator[Row]:
    with empty_folder() as folder:
        world = World(SharedState(Settings(project=folder)), BEGIN)
        kept = Schedules(world.state)
        for number in range(JOBS):
            cron = CRONS[number % len(CRONS)].format(number % 60)
            policies = {"catchup": "all", "overlap": ("queue", "skip", "allow")[number % 3]}
            job = Schedule(name=f"job {number}", pipeline="pipeline.yaml", cron=cron, timezone=ZONES[number % len(ZONES)], **policies)
            kept.add(job, world.now())
        world.lasts = lambda job, due: float(world.random.choice((10, 20, 30, 50)))
        start = time.perf_counter()
        kills = world.serve_and_die(HOURS * 3600.0, KILLS, DOWNTIMES, room=JOBS, look=60.0)
        # What was going on at the end of the day is gone on with.
        world.serve(HOURS * 3600.0 + 1800, room=JOBS, look=60.0)
        taken = time.perf_counter() - start
        due, lost, doubled = _judged(world, kept)
        again = sum(count > 1 for count in world.starts.values())
        world.state.close()
    note = f"{JOBS:,} jobs, {HOURS} h simulated in {taken:.0f} s, {kills} kills, {again} runs gone on with"
    yield row("due times lost", lost, due, "<= 0", note)
    yield row("due times doubled", doubled, due, "<= 0", note)
    yield row("scheduler killed, times", kills, KILLS, ">= 1", "as asked")


def _judged(world: World, kept: Schedules) -> tuple[int, int, int]:
    """How many due times there were in the day, how many of them have no effect, and how many have two rows or two runs with effects."""
    end = world.begin + HOURS * 3600
    due = lost = doubled = 0
    for schedule in kept.all():
        expected = set(takewhile(lambda moment: moment <= end, cron_of(schedule).after(world.begin)))
        firings = [item for item in kept.history(schedule.name, 10**6) if item.due <= end]
        came = [item.due for item in firings if item.state == "skipped" or (item.state == "done" and world.effects[item.run])]
        due += len(expected)
        lost += len(expected - set(came))
        doubled += len(came) - len(set(came)) + len(set(came) - expected)
    return due, lost, doubled


if __name__ == "__main__":
    for found in measure():
        print(found)
