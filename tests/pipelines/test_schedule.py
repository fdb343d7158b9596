"""When schedules are due, and how they are kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest

from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.pipelines.scheduling.due import Cron, jitter, local_zone
from jupyter_mlops.pipelines.scheduling.schedule import Schedules, params_at
from jupyter_mlops.records import Schedule
from jupyter_mlops.store.shared import SharedState
from tests.clocks import ZONES, changes, on_the_wall

DAY = 86400
HALF = "Australia/Lord_Howe"
NIGHTLY = Schedule(name="nightly", pipeline="pipeline.yaml", cron="0 6 * * *", timezone="UTC")


def at(text: str, zone: str = "UTC") -> float:
    """The moment at which the clock of a zone shows a time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def due(cron: str, zone: str, begin: str, end: str) -> list[str]:
    """The due times after one moment, to another, as the clock shows them."""
    times = takewhile(lambda moment: moment <= at(end, zone), Cron(cron, zone).after(at(begin, zone)))
    return [datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%d %H:%M %z") for moment in times]


@pytest.mark.parametrize(
    ("cron", "zone", "begin", "end", "times"),
    [
        ("0 6 * * 1", "Europe/Copenhagen", "2026-11-20", "2026-12-02", ["23 06:00 +0100", "30 06:00 +0100"]),
        ("@daily", "Asia/Kolkata", "2026-11-20", "2026-11-21", ["21 00:00 +0530"]),
        ("30 2 * * *", "Europe/Copenhagen", "2026-03-28T12:00", "2026-03-30T12:00", ["29 03:00 +0200", "30 02:30 +0200"]),
        ("30 2 * * *", "Europe/Copenhagen", "2026-10-24T12:00", "2026-10-26T12:00", ["25 02:30 +0200", "26 02:30 +0100"]),
        ("0,30 2,3 * * *", "Europe/Copenhagen", "2026-03-29", "2026-03-29T12:00", ["29 03:00 +0200", "29 03:30 +0200"]),
        ("*/30 2 * * *", "Europe/Copenhagen", "2026-03-29", "2026-03-29T12:00", ["29 03:00 +0200"]),
        ("*/30 2 * * *", "Europe/Copenhagen", "2026-10-25", "2026-10-25T12:00", ["25 02:00 +0200", "25 02:30 +0200"]),
        ("0 */2 * * *", "Europe/Copenhagen", "2026-10-25", "2026-10-25T05:00", ["25 02:00 +0200", "25 04:00 +0100"]),
        ("0 0-23 * * *", "Europe/London", "2026-10-25", "2026-10-25T02:00", ["25 01:00 +0100", "25 01:00 +0000", "25 02:00 +0000"]),
        ("15 * * * *", "Europe/London", "2026-03-29", "2026-03-29T03:00", ["29 00:15 +0000", "29 02:15 +0100"]),
        ("15 * * * *", HALF, "2026-10-04T01:00", "2026-10-04T04:00", ["04 01:15 +1030", "04 02:30 +1100", "04 03:15 +1100"]),
        ("30 * * * *", HALF, "2026-10-04T01:00", "2026-10-04T04:00", ["04 01:30 +1030", "04 02:30 +1100", "04 03:30 +1100"]),
        ("0 0 * * *", "America/Santiago", "2026-09-05T12:00", "2026-09-07T12:00", ["06 01:00 -0300", "07 00:00 -0300"]),
        ("0 12 29 2 *", "UTC", "2026-01-01", "2029-01-01", ["29 12:00 +0000"]),
        ("30 0 6 * * *", "UTC", "2026-01-01", "2026-01-02", ["01 06:00 +0000"]),
    ],
)
def test_a_schedule_is_due_as_the_clock_of_its_zone_says(cron: str, zone: str, begin: str, end: str, times: list[str]) -> None:
    assert due(cron, zone, begin, end) == times


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 0 * * *", "15,45 1-3 * * *", "*/20 0,23 * * *", "0 */3 * * *"])
def test_no_time_on_the_wall_is_missed_or_doubled_when_clocks_change(zone: str, cron: str) -> None:
    minutes, hours = cron.split()[:2]
    times = {
        "30 2": {(2, 30)},
        "0 0": {(0, 0)},
        "15,45 1-3": {(hour, minute) for hour in (1, 2, 3) for minute in (15, 45)},
        "*/20 0,23": {(hour, minute) for hour in (0, 23) for minute in (0, 20, 40)},
        "0 */3": {(hour, 0) for hour in range(0, 24, 3)},
    }[f"{minutes} {hours}"]
    assert len(changes(zone)) == 2
    for change in changes(zone):
        begin, end = change - DAY, change + DAY
        expected = [moment for moment in on_the_wall(zone, begin - DAY, end + DAY, times) if begin < moment <= end]
        assert list(takewhile(lambda moment, end=end: moment <= end, Cron(cron, zone).after(begin))) == expected


@pytest.mark.parametrize("zone", ZONES)
def test_a_job_for_every_hour_keeps_to_real_time_when_clocks_change(zone: str) -> None:
    for change in changes(zone):
        begin, end = change - DAY, change + DAY
        found = list(takewhile(lambda moment, end=end: moment <= end, Cron("17 * * * *", zone).after(begin)))
        apart = {after - before for before, after in pairwise(found)}
        # Where half an hour is skipped or repeated, the clock is half an hour off from then on.
        assert apart == ({3600} if zone != HALF else {3600, 2580, 2820} if change in found else {3600, 5400})


def test_what_is_due_does_not_depend_on_when_one_asks() -> None:
    for zone in ("Europe/Copenhagen", "Australia/Lord_Howe"):
        for change in changes(zone):
            for cron in ("*/20 1-3 * * *", "*/20 * * * *"):
                known = list(islice(Cron(cron, zone).after(change - 7200), 12))
                for moment in range(change - 7200, known[-2], 437):
                    assert next(Cron(cron, zone).after(moment)) == next(item for item in known if item > moment)


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"cron": "61 * * * *"}, "'61 * * * *' cannot be read (bad minute): write minute, hour"),
        ({"cron": "every day"}, "wrong number of fields"),
        ({"cron": "0 0 30 2 *"}, "bad day-of-month"),
        ({"cron": "0 0 31 2,4 */7"}, "bad day-of-month"),
        ({"timezone": "Europe/Kopenhagen"}, "There is no time zone 'Europe/Kopenhagen': did you mean Europe/Copenhagen"),
        ({"timezone": "../etc"}, "There is no time zone '../etc': write one such as"),
        ({"catchup": "some"}, "catchup = 'some' cannot be used: write none, latest or all."),
        ({"overlap": "never"}, "overlap = 'never' cannot be used: write skip, queue or allow."),
        ({"jitter": -1.0}, "jitter = -1 cannot be used"),
        ({"name": "a/b"}, "'a/b' cannot be the name of a schedule"),
        ({"name": "--cron"}, "'--cron' cannot be the name of a schedule"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(state: SharedState, changed: dict[str, object], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        Schedules(state).add(replace(NIGHTLY, **changed), 0.0)  # type: ignore[arg-type]  # the wrong ones are what is tested
    assert sentence in str(caught.value)
    assert Schedules(state).all() == ()


def test_jitter_is_the_same_for_all_who_ask_and_different_for_each_due_time() -> None:
    waits = [jitter("job", due, 60.0) for due in range(1000)]
    assert waits == [jitter("job", due, 60.0) for due in range(1000)]
    assert len(set(waits)) == 1000
    assert all(0 <= wait < 60 for wait in waits)
    assert 25 < sum(waits) / 1000 < 35
    assert jitter("other", 1, 60.0) != waits[1]
    assert jitter("job", 1, 0.0) == 0.0


def test_a_schedule_is_added_changed_paused_resumed_and_removed(state: SharedState) -> None:
    kept = Schedules(state)
    assert kept.add(NIGHTLY, at("2026-11-22T12:00")) is False
    (found,) = kept.all()
    assert found == replace(NIGHTLY, next=int(at("2026-11-23T06:00")))
    # Put there again later, as a script that sets a machine up does: what is due meanwhile stays due.
    assert kept.add(replace(NIGHTLY, overlap="queue"), at("2026-11-24T12:00")) is True
    assert kept.all()[0] == replace(NIGHTLY, overlap="queue", next=int(at("2026-11-23T06:00")))
    assert kept.add(replace(NIGHTLY, cron="0 7 * * *"), at("2026-11-24T12:00")) is True
    assert kept.all()[0].next == int(at("2026-11-25T07:00"))
    assert kept.pause("nightly").paused
    assert (kept.all()[0].paused, kept.all()[0].next) == (True, None)
    kept.add(NIGHTLY, at("2026-11-24T12:00"))
    assert kept.all()[0].paused
    assert kept.resume("nightly", at("2026-12-01T12:00")).next == int(at("2026-12-02T06:00"))
    assert kept.resume("nightly", at("2027-12-01T12:00")).next == int(at("2026-12-02T06:00"))
    with pytest.raises(UsageError, match=r"is that of pipeline\.yaml: choose another name"):
        kept.add(replace(NIGHTLY, pipeline="other.yaml"), 0.0)
    assert kept.history("nightly") == ()
    kept.remove("nightly")
    assert kept.all() == ()
    for act in (kept.remove, kept.pause, kept.history, lambda name: kept.resume(name, 0.0)):
        with pytest.raises(NotFound, match="no schedule 'nightly'"):
            act("nightly")


def test_the_due_time_goes_into_the_parameters_on_the_clock_of_the_schedule() -> None:
    params = {"day": "{due:%Y-%m-%d}", "file": "data/{due:%Y}/{due:%m}.csv", "month": 3, "plain": "{month}", "whole": "{due}"}
    schedule = Schedule(name="a", pipeline="p", cron="0 1 * * *", timezone="Asia/Tokyo", params=params)
    assert params_at(schedule, at("2026-11-30T16:00")) == {
        "day": "2026-12-01", "file": "data/2026/12.csv", "month": 3, "plain": "{month}", "whole": "2026-12-01T01:00:00+0900"
    }  # fmt: skip


def test_this_computers_zone_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", ":Asia/Tokyo")
    assert local_zone() == "Asia/Tokyo"
    monkeypatch.setenv("TZ", "nonsense")
    assert ZoneInfo(local_zone())
