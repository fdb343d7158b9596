"""What a scheduler does with due times, in simulated time; and with real pipelines, as a command."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.scheduling.firings import Claim, Firings
from jupyter_mlops.pipelines.scheduling.presence import LeasedPresence
from jupyter_mlops.pipelines.scheduling.schedule import Schedules, cron_of, schedules
from jupyter_mlops.records import Firing, Schedule
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.surfaces import cli
from tests.simulated import World

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()
HOUR = 3600.0
HOURLY = Schedule(name="hourly", pipeline="pipeline.yaml", cron="0 * * * *", timezone="UTC")


@pytest.fixture
def world(project: Path) -> World:
    """A simulated world on SQLite that begins a minute past noon."""
    return World(SharedState(Settings(project=project)), NOON + 60)


def kept(world: World, *schedules: Schedule) -> Schedules:
    """The schedules of a world, with these added."""
    found = Schedules(world.state)
    for schedule in schedules:
        found.add(schedule, world.now())
    return found


def came(world: World, name: str = "hourly") -> list[tuple[str, str]]:
    """What became of each due time, the earliest first: its time of day, and its state."""
    firings = reversed(Schedules(world.state).history(name))
    return [(datetime.fromtimestamp(item.due, UTC).strftime("%H:%M"), item.state) for item in firings]


def whole(world: World, *names: str) -> None:
    """Every due time since the world began has one firing, and every one that is done has had its effect."""
    for schedule in Schedules(world.state).all():
        if not names or schedule.name in names:
            firings = sorted(Schedules(world.state).history(schedule.name, 10**6), key=lambda item: item.due)
            expected = list(takewhile(lambda due: due < world.now() - 60, cron_of(schedule).after(world.begin)))
            assert [item.due for item in firings if item.due < world.now() - 60] == expected
            assert all(world.effects[item.run] >= 1 for item in firings if item.state == "done")


def test_each_due_time_runs_once_when_it_is_due(world: World) -> None:
    kept(world, HOURLY, replace(HOURLY, name="often", cron="*/20 * * * *"))
    world.serve(3 * HOUR)
    assert came(world) == [("13:00", "done"), ("14:00", "done"), ("15:00", "done")]
    assert [due for _, due in came(world, "often")] == ["done"] * 9
    firing = Schedules(world.state).history("hourly")[0]
    assert (firing.started, firing.ended, firing.attempts, firing.log) == (firing.due, firing.due + 20, 1, "hourly.log")
    assert set(world.effects.values()) == set(world.starts.values()) == {1}
    assert [event["event"] for event in world.told[:2]] == ["started", "done"]


@pytest.mark.parametrize(
    ("catchup", "states"),
    [
        ("none", ["done", "missed", "missed", "missed", "done"]),
        ("latest", ["done", "missed", "missed", "done", "done"]),
        ("all", ["done", "done", "done", "done", "done"]),
    ],
)
def test_due_times_of_a_pause_without_a_scheduler_are_caught_up_as_asked(world: World, catchup: str, states: list[str]) -> None:
    found = kept(world, replace(HOURLY, catchup=catchup))
    world.serve(HOUR)
    world.kill()
    world.steady = 4.5 * HOUR  # a night with the lid closed, or no power
    world.serve(5.5 * HOUR)
    assert [state for _, state in came(world)] == states
    assert found.all()[0].missed == states.count("missed")
    missed = [event for event in world.told if event["event"] == "missed"]
    assert [event["count"] for event in missed] == ([states.count("missed")] if "missed" in states else [])
    whole(world)


def test_a_scheduler_that_is_a_little_late_misses_nothing(world: World) -> None:
    kept(world, replace(HOURLY, cron="*/10 * * * * *", catchup="none", overlap="allow"))
    scheduler = world.serve(30)
    world.steady = 80.0
    world.serve(200, scheduler)
    assert {state for _, state in came(world)} <= {"done", "running", "due"}


def test_years_without_a_scheduler_are_told_in_one_line(world: World) -> None:
    found = kept(world, replace(HOURLY, cron="0 6 * * *"))
    world.steady = 3 * 365 * 24 * HOUR
    world.serve(world.steady + HOUR)
    first, *_, last = reversed(found.history("hourly"))
    assert (first.state, last.state) == ("missed", "done")
    assert "not listed one by one" in first.why
    assert found.all()[0].missed == 31


@pytest.mark.parametrize(("catchup", "states"), [("latest", ["missed", "done"]), ("none", ["missed"])])
def test_the_latest_due_time_is_caught_up_however_long_ago_it_was(world: World, catchup: str, states: list[str]) -> None:
    found = kept(world, replace(HOURLY, cron="0 6 1 1 *", catchup=catchup))
    (due,) = [schedule.next for schedule in found.all()]
    world.steady = due - world.begin + 365.25 * 24 * HOUR + 40 * 24 * HOUR
    world.serve(world.steady + HOUR)
    firings = list(reversed(found.history("hourly")))
    assert [firing.state for firing in firings] == states
    assert found.all()[0].next > world.now()
    if catchup == "latest":
        assert firings[1].due == next(cron_of(found.all()[0]).after(due))


@pytest.mark.parametrize(
    ("overlap", "states", "most"),
    [("skip", ["done", "skipped", "done", "skipped"], 1), ("queue", ["done"] * 4, 1), ("allow", ["done"] * 4, 2)],
)
def test_a_due_time_that_comes_while_an_earlier_run_goes_on(world: World, overlap: str, states: list[str], most: int) -> None:
    kept(world, replace(HOURLY, overlap=overlap))
    world.lasts = lambda job, due: 1.5 * HOUR
    world.serve(9 * HOUR)
    assert [state for _, state in came(world)][:4] == states
    assert world.most["hourly"] == most
    assert [due for _, due in world.order] == sorted(due for _, due in world.order)


def test_what_is_caught_up_does_not_skip_itself(world: World) -> None:
    kept(world, replace(HOURLY, catchup="all", overlap="skip"))
    world.steady = 5.5 * HOUR
    world.serve(6.5 * HOUR)
    assert [state for _, state in came(world)] == ["done"] * 6
    assert world.most["hourly"] == 1


def test_a_start_is_put_off_by_its_jitter(world: World) -> None:
    found = kept(world, replace(HOURLY, jitter=600.0))
    world.serve(6.5 * HOUR)
    late = [(item.started or 0) - item.due for item in found.history("hourly")]
    assert late == [item.at - item.due for item in found.history("hourly")]
    assert len(set(late)) == 6
    assert all(0 <= wait < 600 for wait in late)


def test_nothing_starts_while_paused_and_nothing_of_it_is_a_miss(world: World) -> None:
    found = kept(world, HOURLY)
    scheduler = world.serve(1.5 * HOUR)
    found.pause("hourly")
    world.serve(4.5 * HOUR, scheduler)
    found.resume("hourly", world.now())
    world.serve(5.5 * HOUR, scheduler)
    assert came(world) == [("13:00", "done"), ("17:00", "done")]
    assert found.all()[0].missed == 0


def test_a_removed_schedule_keeps_its_history_and_its_run_ends(world: World) -> None:
    found = kept(world, replace(HOURLY, overlap="queue"))
    world.lasts = lambda job, due: 2.5 * HOUR
    scheduler = world.serve(3.2 * HOUR)
    assert [state for _, state in came(world)] == ["running", "due", "due"]
    found.remove("hourly")
    world.serve(6 * HOUR, scheduler)
    assert [state for _, state in came(world)] == ["done", "skipped", "skipped"]
    kept(world, HOURLY)
    assert [state for _, state in came(world)] == ["done", "skipped", "skipped"]


def test_a_removed_schedules_run_whose_scheduler_died_is_not_left_running(world: World) -> None:
    found = kept(world, HOURLY)
    world.lasts = lambda job, due: HOUR
    world.serve(1.1 * HOUR)
    world.kill()
    found.remove("hourly")
    world.serve(2 * HOUR)
    assert came(world) == [("13:00", "failed")]


def test_a_run_that_fails_is_not_run_again_and_the_next_is(world: World) -> None:
    kept(world, HOURLY)
    world.fails = lambda job, due: int(datetime.fromtimestamp(due, UTC).hour == 13)
    world.serve(2.5 * HOUR)
    assert came(world) == [("13:00", "failed"), ("14:00", "done")]
    assert Schedules(world.state).history("hourly")[-1].why == "exit status 1"


def test_a_run_that_the_system_kills_is_begun_again_a_few_times(world: World) -> None:
    kept(world, HOURLY)
    world.fails = lambda job, due: -9
    world.serve(1.5 * HOUR)
    (firing,) = Schedules(world.state).history("hourly")
    assert (firing.state, firing.attempts, firing.why) == ("failed", 4, "ended by signal 9")
    assert world.starts == {firing.run: 4}


def test_the_run_of_a_dead_scheduler_is_taken_over_under_its_own_id(world: World) -> None:
    kept(world, HOURLY)
    world.lasts = lambda job, due: 600.0
    world.serve(HOUR)
    (before,) = Schedules(world.state).history("hourly")
    world.kill()
    world.serve(HOUR + 5)
    assert [item.attempts for item in Schedules(world.state).history("hourly")] == [1]  # it may live
    world.serve(1.5 * HOUR)
    (after,) = Schedules(world.state).history("hourly")
    assert (after.state, after.run, after.attempts, after.started) == ("done", before.run, 2, before.started)
    assert after.owner != before.owner
    assert [event["event"] for event in world.told] == ["started", "resumed", "done"]


def test_what_an_overtaken_scheduler_still_says_is_refused(world: World) -> None:
    kept(world, HOURLY)
    firings = Firings(world.state)
    firings.plan(NOON + HOUR)
    ((claim,), _) = firings.claim("a 1 1", 4, until=NOON + HOUR, now=NOON + HOUR)
    (stranger,) = firings.view("b 2 1").strangers
    taken = firings.take_over(stranger, "b 2 1", NOON + HOUR)
    assert isinstance(taken, Claim)
    assert firings.take_over(stranger, "c 3 1", NOON + HOUR) is None
    assert firings.running([(claim, "log")]) == (claim,)
    assert firings.finish([(claim, "done", "")], NOON + HOUR) == (claim,)
    firings.release([claim], "stopped")
    assert firings.held("a 1 1") == {}
    assert firings.held("b 2 1") == {claim.firing.run: 2}
    assert firings.finish([(taken, "done", "")], NOON + HOUR) == ()


def test_a_scheduler_taken_for_dead_ends_its_runs_and_goes_on(world: World) -> None:
    kept(world, replace(HOURLY, catchup="all"))
    world.lasts = lambda job, due: 900.0
    sleeper = world.serve(HOUR)
    asleep = world.presence
    world.dead[asleep.owner] = -1e9
    other = world.serve(HOUR + 60)
    assert [event["event"] for event in world.told] == ["started", "resumed"]
    world.serve(HOUR + 120, sleeper)
    assert world.told[-1]["event"] == "lost"
    assert asleep.owner not in world.dead
    world.serve(1.9 * HOUR, other)
    assert came(world) == [("13:00", "done")]
    assert set(world.effects.values()) == {1}


@pytest.mark.parametrize("back", [90.0, 2 * HOUR, 400 * 24 * HOUR])
def test_a_clock_that_is_set_back_fires_nothing_again_and_stalls_nothing(world: World, back: float) -> None:
    found = kept(world, replace(HOURLY, cron="*/15 * * * *"))
    world.set_by = back  # the clock was ahead
    scheduler = world.serve(2 * HOUR)
    ahead = len(world.starts)
    world.set_by = 0.0
    world.serve(6 * HOUR, scheduler)
    assert set(world.starts.values()) == {1}
    firings = found.history("hourly", 10**6)
    states = {item.due: item.state for item in firings}
    assert len(states) == len(firings)
    since = list(takewhile(lambda due: due < world.now() - 60, cron_of(found.all()[0]).after(world.begin + 2 * HOUR)))
    assert {states.get(due) for due in since} == {"done"}
    assert ahead in (8, 9)


def test_a_restart_after_the_clock_was_set_back_fires_nothing_again(world: World) -> None:
    kept(world, HOURLY)
    world.serve(3.5 * HOUR)
    world.kill()
    world.set_by = -2 * HOUR
    world.serve(6.5 * HOUR)
    assert came(world) == [(f"{hour}:00", "done") for hour in (13, 14, 15, 16)]
    assert set(world.starts.values()) == {1}


def test_schedulers_share_the_work_and_no_due_time_is_doubled(world: World) -> None:
    kept(world, *(replace(HOURLY, name=f"job {number}", cron=f"*/{5 + number} * * * *", overlap="queue") for number in range(5)))
    several = [world.scheduler(room=2) for _ in range(4)]
    for scheduler in several:
        scheduler.enter()
    while world.steady < 2 * HOUR:
        pauses = [scheduler.tick() for scheduler in several]
        if all(pauses):
            world.wait(min(pauses))
    whole(world)
    assert set(world.starts.values()) == {1}
    assert len({item.owner for name in range(5) for item in Schedules(world.state).history(f"job {name}")}) > 1


def test_a_schedulers_death_anywhere_loses_and_doubles_nothing(world: World) -> None:
    jobs = [replace(HOURLY, name=f"job {number}", cron=f"{number}-59/7 * * * *", catchup="all", overlap="queue") for number in range(6)]
    kept(world, *jobs)
    assert world.serve_and_die(2 * HOUR, 30, (1.0, 40.0, 300.0), look=30) == 30
    world.serve(3 * HOUR, look=30)
    whole(world)
    assert Counter(state for job in jobs for _, state in came(world, job.name)).keys() == {"done"}
    assert max(world.most.values()) == 1
    assert max(world.starts.values()) > 1  # some were begun again


def test_one_bad_schedule_does_not_stop_the_others(world: World) -> None:
    kept(world, HOURLY, replace(HOURLY, name="bad"))
    with world.state.begin() as connection:
        connection.execute(update(schedules).where(schedules.c.name == "bad").values(timezone="Mars/Base"))
    world.serve(2.5 * HOUR)
    assert came(world) == [("13:00", "done"), ("14:00", "done")]
    assert any(event["event"] == "trouble" and "Mars/Base" in event["why"] for event in world.told)


def test_a_place_among_schedulers_is_taken_once_and_known_to_be_left(state: SharedState) -> None:
    first, second = LeasedPresence(state, 30.0), LeasedPresence(state, 30.0)
    first.enter()
    second.enter()
    assert first.owner != second.owner
    assert (first.lives(second.owner), second.lives(first.owner), first.renew()) == (True, True, True)
    left = first.owner
    first.leave()
    assert (second.lives(left), first.renew()) == (False, False)
    first.enter()
    assert first.owner != left
    assert second.lives(first.owner)


PIPELINE = """
name: greet
params: {who: nobody}
schedule: {cron: "* * * * * *", timezone: Europe/Copenhagen}
steps:
  hello: {shell: "echo hello {who} $MLOPS_DUE > {greeting}", params: {who: "{who}"}, outputs: {greeting: greeting.txt}}
"""
BAD = PIPELINE.replace("greet", "bad").replace("echo hello", "sleep {who}; false").replace("nobody", "0")


def told(capsys: pytest.CaptureFixture[str], command: str, status: int = 0) -> Any:
    """What a command gives as JSON."""
    capsys.readouterr()
    assert cli.run([*command.split(), "--json"]) == status, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def come(project: Path, name: str) -> None:
    """Let a schedule be due now, once."""
    state = SharedState(Settings(project=project))
    with state.begin() as connection:
        connection.execute(update(schedules).where(schedules.c.name == name).values(next=int(state.now(connection))))
    state.close()


def test_schedules_are_kept_by_a_verb(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    assert told(capsys, "schedule list") == []
    added = told(capsys, "schedule add pipeline.yaml -p who=you --jitter 5m --overlap queue")
    assert added["did"] == "added"
    expected = {
        "name": "greet", "pipeline": "pipeline.yaml", "params": {"who": "you"}, "cron": "* * * * * *", "timezone": "Europe/Copenhagen",
        "jitter": 300.0, "overlap": "queue", "catchup": "latest",
    }  # fmt: skip
    assert {name: added["schedule"][name] for name in expected} == expected
    assert told(capsys, "schedule add pipeline.yaml --cron @daily")["did"] == "changed"
    assert told(capsys, "schedule pause greet")["schedule"]["paused"]
    assert [item["name"] for item in told(capsys, "schedule")] == ["greet"]
    assert told(capsys, "schedule resume greet")["did"] == "resumed"
    assert told(capsys, "schedule history greet")["firings"] == []
    for command in ("schedule", "schedule add pipeline.yaml --name other", "schedule history greet", "schedule pause greet"):
        assert cli.run(command.split()) == 0
        assert capsys.readouterr().out.strip()
    told(capsys, "schedule remove greet")
    assert [item["name"] for item in told(capsys, "schedule list")] == ["other"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("schedule ad", "Choose from"),
        ("schedule add", "Say what to schedule"),
        ("schedule add nosuch.yaml", "There is no file 'nosuch.yaml'"),
        ("schedule add plain.yaml", "plain.yaml has no schedule: give --cron"),
        ("schedule add plain.yaml --cron 61", "The cron expression '61' cannot be read"),
        ("schedule add plain.yaml --cron @daily --jitter soon", "--jitter soon is no time"),
        ("schedule add plain.yaml --cron @daily -p whom=x", "no parameter 'whom'"),
        ("schedule pause", "Say which schedule"),
        ("schedule pause nosuch", "There is no schedule 'nosuch'"),
        ("schedule list nosuch", "There is no schedule 'nosuch'"),
        ("schedule history nosuch", "There is no schedule 'nosuch'"),
        ("schedule history x --limit 0", "--limit 0 lists nothing"),
        ("scheduler --jobs 0", "--jobs 0 runs nothing"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(project: Path, capsys: pytest.CaptureFixture[str], command: str, sentence: str) -> None:
    (project / "plain.yaml").write_text("\n".join(line for line in PIPELINE.splitlines() if not line.startswith("schedule")))
    assert cli.run(command.split()) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_scheduler_runs_once_what_is_due_and_tells_by_its_exit_status(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    (project / "bad.yaml").write_text(BAD)
    told(capsys, "schedule add pipeline.yaml --cron @yearly -p who={due:%Z}")
    come(project, "greet")
    assert cli.run(["scheduler", "--once"]) == 0
    (done,) = [item for item in told(capsys, "schedule history greet")["firings"] if item["state"] == "done"]
    assert (project / "greeting.txt").read_text().startswith(("hello CET 20", "hello CEST 20"))
    assert "hello" in Path(done["log"]).read_text()
    told(capsys, "schedule remove greet")
    assert cli.run(["scheduler", "--once"]) == 0
    assert "Nothing was due: no schedules yet" in capsys.readouterr().out
    told(capsys, "schedule add bad.yaml --cron @yearly")
    come(project, "bad")
    assert cli.run(["scheduler", "--once"]) == 1
    (failed,) = [item for item in told(capsys, "schedule history bad")["firings"] if item["state"] == "failed"]
    assert failed["why"].startswith("exit status 1: ")


def test_a_stopped_scheduler_gives_its_run_back_and_the_next_goes_on(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pipeline.yaml").write_text(BAD.replace("; false", "; touch came; true"))
    told(capsys, "schedule add pipeline.yaml -p who=60 --name slow")
    service = subprocess.Popen([sys.executable, "-m", "jupyter_mlops", "scheduler", "--json"], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    events = []
    while not events or events[-1]["event"] != "started":
        events.append(json.loads(service.stdout.readline()))
    until = time.monotonic() + 60
    while "hello" not in Path(events[-1]["log"]).read_text() and time.monotonic() < until:
        time.sleep(0.1)
    told(capsys, "schedule pause slow")
    os.kill(service.pid, signal.SIGTERM)
    events += [json.loads(line) for line in service.stdout]
    assert service.wait(30) == 0
    assert [event["event"] for event in events if event["event"] != "skipped"] == ["scheduler", "started", "released", "stopped"]
    run = next(event["run"] for event in events if event["event"] == "started")
    (firing,) = [Firing.from_json(item) for item in told(capsys, "schedule history slow")["firings"] if item["run"] == run]
    assert (firing.state, firing.owner, firing.why) == ("due", "", "its scheduler was stopped")
    assert not (project / "came").exists()
