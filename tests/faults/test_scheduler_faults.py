"""Schedulers that are killed, clocks that change, stores that go away: no due time is lost and none is run twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import pytest
from sqlalchemy import text

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import StoreError
from jupyter_mlops.pipelines.scheduling.schedule import Schedules, cron_of
from jupyter_mlops.records import Schedule
from jupyter_mlops.store.shared import SharedState
from tests.clocks import ZONES, changes, on_the_wall
from tests.faults.counting import Recorder
from tests.simulated import World

DAY = 86400
JOBS = 4
SCHEDULERS = 8
KILLS = 6

SERVICE = """
import json, os, signal, sys, threading, time
from pathlib import Path
from sqlalchemy import text
from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.scheduling.scheduler import Outcome, Scheduler
from jupyter_mlops.store.shared import SharedState

state = SharedState(Settings(project=Path(sys.argv[1]), database=json.loads(sys.argv[2])))

class Going:
    log = "none"
    def __init__(self, claim):
        self.claim, self.begun = claim, time.monotonic()
        self.lasts = 0.05 + claim.firing.due % 3 / 10
    def outcome(self):
        if time.monotonic() - self.begun < self.lasts:
            return None
        firing = self.claim.firing
        with state.begin() as connection:
            connection.execute(
                text("INSERT INTO effects VALUES (:job, :due, :run, :attempt)"),
                {"job": firing.job, "due": firing.due, "run": firing.run, "attempt": firing.attempts},
            )
        return Outcome(0)
    def end(self):
        pass

class Starter:
    def start(self, claim):
        return Going(claim)

scheduler = Scheduler(state, Starter(), room=3, look=0.1)
signal.signal(signal.SIGTERM, lambda *_: scheduler.stop())
print("ready", flush=True)
scheduler.serve()
"""


def test_eight_schedulers_on_one_store_killed_at_random_run_each_due_time_once(
    shared_settings: Settings, state: SharedState, record_property: Recorder
) -> None:
    dice = random.Random(8)
    with state.begin() as connection:
        connection.execute(text("CREATE TABLE effects (job TEXT, due BIGINT, run TEXT, attempt INTEGER)"))
    kept, begin = Schedules(state), int(state.now())

    def started() -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", SERVICE, str(shared_settings.project), json.dumps(shared_settings.database)]
        return subprocess.Popen(words, cwd=Path(__file__).parent.parent.parent, stdout=subprocess.PIPE)

    def ready(service: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        return service

    services = [ready(service) for service in [started() for _ in range(SCHEDULERS)]]
    for number in range(JOBS):
        job = Schedule(name=f"job {number}", pipeline="p", cron="* * * * * *", timezone="UTC", catchup="all", overlap="queue")
        kept.add(job, state.now())
    first = {schedule.name: schedule.next for schedule in kept.all()}
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.3, 1.0))
        victim = services.pop(dice.randrange(len(services)))
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        services.append(ready(started()))
    for number in range(JOBS):
        kept.pause(f"job {number}")
    _settled(state, 60)
    for service in services:
        service.send_signal(signal.SIGTERM)
    assert [service.wait(30) for service in services] == [0] * SCHEDULERS
    with state.read() as connection:
        effects = connection.execute(text("SELECT job, due, run, attempt FROM effects")).all()
    runs = {(job, due): {effect.run for effect in effects if (effect.job, effect.due) == (job, due)} for job, due, _, _ in effects}
    assert {len(found) for found in runs.values()} == {1}
    times = Counter((effect.job, effect.due, effect.attempt) for effect in effects)
    assert set(times.values()) == {1}
    for name, beginning in first.items():
        firings = {item.due: item for item in kept.history(name, 10**6)}
        assert beginning is not None
        assert beginning > begin
        assert sorted(firings) == list(range(beginning, max(firings) + 1))
        assert {item.state for item in firings.values()} <= {"done", "skipped"}
        assert all((item.state == "done") == ((name, due) in runs) for due, item in firings.items())
        assert sum(item.state == "done" for item in firings.values()) > KILLS / 4
    record_property("faults", KILLS)


def _settled(state: SharedState, seconds: float) -> None:
    """Wait until nothing runs any more."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with state.read() as connection:
            if not connection.execute(text("SELECT count(*) FROM firings WHERE state IN ('claimed', 'running')")).scalar_one():
                return
        time.sleep(0.2)
    pytest.fail("runs were left behind")


def _until(schedule: Schedule, begin: float, last: int) -> list[int]:
    """All due times after one moment, to another."""
    return list(takewhile(lambda due: due <= last, cron_of(schedule).after(begin)))


def test_twenty_time_zones_over_both_changes_of_their_clocks(project: Path, record_property: Recorder) -> None:
    crons = [(zone, "30 2 * * *") for zone in ZONES] + [(zone, "0 0 * * *") for zone in ZONES[::4]]
    jobs = [
        Schedule(name=f"job {number}", pipeline="p", cron=cron, timezone=zone, catchup="all") for number, (zone, cron) in enumerate(crons)
    ]
    assert len(ZONES) == 20
    for change in sorted({change // DAY for zone in ZONES for change in changes(zone)}):
        begin = (change - 1) * DAY + 3660
        world = World(SharedState(Settings(project=project / str(change))), begin)
        for job in jobs:
            Schedules(world.state).add(job, begin)
        world.serve(2 * DAY, look=3 * 3600.0, room=50)
        for job in jobs:
            firings = Schedules(world.state).history(job.name)
            expected = on_the_wall(job.timezone, begin - DAY, begin + 3 * DAY, {(2, 30) if job.cron.startswith("30") else (0, 0)})
            assert sorted(item.due for item in firings) == [due for due in expected if begin < due < begin + 2 * DAY]
            assert {item.state for item in firings} <= {"done", "running"}
        assert set(world.starts.values()) == {1}
        world.state.close()
    record_property("faults", len(ZONES))


def test_schedulers_killed_between_any_two_statements(state: SharedState, record_property: Recorder) -> None:
    world = World(state, datetime(2026, 3, 29, tzinfo=UTC).timestamp())
    kept = Schedules(state)
    for number in range(5):
        cron = f"{number}-59/9 * * * *"
        job = Schedule(name=f"job {number}", pipeline="p", cron=cron, timezone="Europe/Copenhagen", catchup="all", overlap="queue")
        kept.add(job, world.now())
    assert world.serve_and_die(2 * 3600, 40, (1.0, 35.0, 120.0)) == 40
    world.serve(3 * 3600)
    for schedule in kept.all():
        firings = sorted(kept.history(schedule.name), key=lambda item: item.due)
        assert [item.due for item in firings] == _until(schedule, world.begin, firings[-1].due)
        assert {item.state for item in firings[:-2]} == {"done"}
        assert all(world.effects[item.run] for item in firings[:-2])
    assert max(world.most.values()) == 1
    record_property("faults", 40)


def test_a_store_that_goes_away_while_a_job_runs_and_comes_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = SharedState(Settings(project=project))
    world = World(state, datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC).timestamp())
    job = Schedule(name="job", pipeline="p", cron="*/10 * * * *", timezone="UTC", catchup="all", overlap="queue")
    Schedules(state).add(job, world.now())
    whole, away = SharedState._connect, (1000.0, 1900.0)

    def connect(self: SharedState, mode: str) -> object:
        if away[0] < world.steady < away[1]:
            raise StoreError("The shared state does not answer.")
        return whole(self, mode)

    monkeypatch.setattr(SharedState, "_connect", connect)
    world.lasts = lambda job, due: 450.0
    scheduler = world.scheduler()
    world.alarm = (4000.0, scheduler.stop)
    scheduler.serve()
    events = [event["event"] for event in world.told]
    assert events.count("trouble") > 3
    firings = sorted(Schedules(state).history("job"), key=lambda item: item.due)
    assert [item.state for item in firings[:5]] == ["done"] * 5
    assert set(world.starts.values()) == {1}


def test_the_clock_set_back_and_ahead_again_and_again(project: Path, record_property: Recorder) -> None:
    world = World(SharedState(Settings(project=project)), datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp())
    kept = Schedules(world.state)
    for number in range(4):
        kept.add(Schedule(name=f"job {number}", pipeline="p", cron=f"{number}-59/10 * * * *", timezone="UTC", catchup="all"), world.now())
    scheduler = world.scheduler()
    scheduler.enter()
    for step in range(24):
        world.set_by += world.random.choice((-7200.0, -600.0, -45.0, 30.0, 600.0, 3600.0))
        world.serve((step + 1) * 900, scheduler)
    world.set_by = 20_000.0
    world.serve(25 * 900, scheduler)
    assert set(world.starts.values()) == {1}
    for schedule in kept.all():
        firings = sorted(kept.history(schedule.name), key=lambda item: item.due)
        assert len({item.due for item in firings}) == len(firings)
        assert [item.due for item in firings] == _until(schedule, firings[0].due - 1, firings[-1].due)
    record_property("faults", 24)
