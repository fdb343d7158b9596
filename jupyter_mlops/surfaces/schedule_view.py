"""How schedules, their history, and the events of a scheduler read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ..records import Firing, Schedule
from .answers import AboutSchedules, History, Scheduled, Schedules, Served, short
from .blocks import Block, Blocks, Cell, Table, Text
from .quantities import span

_TONES = {"done": "good", "failed": "bad", "missed": "bad", "skipped": "faint"}
_DEEDS = {
    "added": "is added",
    "changed": "is changed",
    "removed": "is removed; its history stays",
    "paused": "is paused: `mlops schedule resume {name}` goes on",
    "resumed": "goes on",
}


def schedule_blocks(answer: AboutSchedules) -> Blocks:
    """The blocks of what a verb of schedules gave."""
    match answer:
        case Schedules():
            return _schedules(answer)
        case Scheduled():
            return _scheduled(answer)
        case History():
            return _history(answer)
    return _served(answer)


def line(event: Mapping[str, Any]) -> str:
    """An event of a scheduler as a line."""
    due = moment(event["due"], event["zone"]) if "due" in event else ""
    job, why = event.get("job", ""), f": {event['why']}" if event.get("why") else ""
    run = f"run {event['run'][:8]}" if "run" in event else ""
    match event["event"]:
        case "scheduler":
            return f"{_place(event['owner'])} is at work: {event['coming']}"
        case "stopped":
            return f"{_place(event['owner'])} has ended"
        case "trouble":
            return f"trouble{f' with {job}' if job else ''}{why}"
        case "missed":
            until = f" to {moment(event['last'], event['zone'])}" if event["count"] > 1 else ""
            times = "1 due time" if event["count"] == 1 else f"{event['count']:,} due times"
            return f"missed    {job}  {times}, {due}{until}{why}"
        case "started" | "resumed" as name:
            return f"{name:<8}  {job}  due {due}  {run}, log {short(event['log'])}"
        case "done" | "failed" as name:
            log = f"; log {short(event['log'])}" if name == "failed" and event.get("log") else ""
            return f"{name:<8}  {job}  due {due}  {run} in {span(event.get('seconds'))}{why}{log}"
    return f"{event['event']:<8}  {job}  due {due}  {run}{why}"


def moment(seconds: float, timezone: str) -> str:
    """A moment on the clock of a zone: Mon 23 Nov 06:00 CET."""
    from ..pipelines.scheduling.due import zone

    shown = datetime.fromtimestamp(seconds, zone(timezone))
    year = "" if shown.year == datetime.now(shown.tzinfo).year else " %Y"
    return shown.strftime(f"%a %d %b{year} %H:%M{':%S' if shown.second else ''} %Z")


def _schedules(schedules: Schedules) -> Blocks:
    """One row for each schedule: when it is due next, on its own clock, and what came of the last due time."""
    if not schedules:
        return [Text("No schedules here. `mlops schedule add pipeline.yaml` adds one.", "faint")]
    columns = ("name", "next", "last", "", "missed", "cron", "zone", "catchup", "overlap", "pipeline")
    rows = tuple(
        (
            Cell(item.name),
            Cell("paused", "faint") if item.paused else Cell(moment(item.next, item.timezone) if item.next else "never"),
            Cell(moment(item.last.due, item.timezone) if item.last else "", "faint"),
            _state(item.last) if item.last else Cell(""),
            Cell(f"{item.missed:,}" if item.missed else "", "bad", number=True),
            Cell(item.cron),
            Cell(item.timezone, "faint"),
            Cell(item.catchup, "faint"),
            Cell(item.overlap, "faint"),
            Cell(item.pipeline, "faint"),
        )
        for item in schedules
    )
    blocks: list[Block] = [Table(columns, rows, needed=5)]
    if any(item.missed for item in schedules):
        blocks.append(Text("`mlops schedule history NAME` lists what was missed.", "faint"))
    return blocks


def _scheduled(scheduled: Scheduled) -> Blocks:
    """What was done, and when it is due next."""
    schedule = scheduled.schedule
    blocks: list[Block] = [Text(f"Schedule {schedule.name} {_DEEDS[scheduled.did].format(name=_word(schedule.name))}.", "good")]
    if scheduled.did != "removed" and not schedule.paused:
        blocks.append(Text(f"due next: {moment(schedule.next, schedule.timezone)} {schedule.timezone}" if schedule.next else "never due"))
    if scheduled.did in ("added", "changed"):
        blocks.append(Text(_policies(schedule), "faint"))
    if scheduled.did == "added":
        blocks.append(Text("`mlops scheduler` runs what is due; keep it running, or call `mlops scheduler --once` from cron.", "faint"))
    return blocks


def _history(history: History) -> Blocks:
    """One row for each due time that has come, the latest first."""
    if not history.firings:
        return [Text(f"{history.name} was not due yet.", "faint")]
    rows = tuple(
        (
            Cell(moment(item.due, history.timezone)),
            _state(item),
            Cell(_late(item)),
            Cell(_lasted(item), number=True),
            Cell(str(item.attempts) if item.attempts > 1 else "", number=True),
            Cell(item.run[:8] if item.attempts else "", "faint", link=item.log),
            Cell(item.why, "bad" if item.state == "failed" else "faint"),
        )
        for item in history.firings
    )
    columns = ("due", "state", "began", "time", "attempts", "run", "why")
    kept = [place for place, name in enumerate(columns) if name in ("due", "state") or any(row[place].text for row in rows)]
    table = Table(tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows))
    folders = sorted({short(str(Path(item.log).parent)) for item in history.firings if item.log})
    logs = [Text(f"what a run printed: {folder}/*RUN*.log", "faint") for folder in folders]
    more = [Text("There are earlier ones: --limit tells how many to list.", "faint")] if history.more else []
    return [Text(f"{history.name}, on the clock of {history.timezone}", "title"), table, *logs, *more]


def _served(served: Served) -> Blocks:
    """What was run; each event was told as it happened."""
    if not served.firings:
        return [Text(f"Nothing was due: {served.coming}.")]
    failed = [item for item in served.firings if item.state == "failed"]
    count = f"{len(served.firings)} run" + ("s" if len(served.firings) > 1 else "")
    return [Text(f"{count}, {len(failed)} failed." if failed else f"{count}, all done.", "bad" if failed else "good")]


def coming(schedules: Iterable[Schedule]) -> str:
    """How many schedules there are, and which is due next."""
    known = list(schedules)
    if not known:
        return "no schedules yet: `mlops schedule add pipeline.yaml` adds one"
    counted = f"{len(known):,} schedule" + ("s" if len(known) > 1 else "")
    due = [(item.next, item) for item in known if item.next is not None]
    if not due:
        return f"{counted}, none is due"
    first = min(due, key=lambda pair: pair[0])
    return f"{counted}, next {first[1].name} {moment(first[0], first[1].timezone)}"


def _place(owner: str) -> str:
    """A scheduler as a reader finds it."""
    host, place, _ = owner.rsplit(" ", 2)
    return f"scheduler {place} on {host}"


def _state(firing: Firing) -> Cell:
    return Cell(firing.state, _TONES.get(firing.state, "plain"))


def _late(firing: Firing) -> str:
    if firing.started is None:
        return ""
    late = firing.started - firing.due
    return "on time" if late < 60 else f"{span(late)} later"


def _lasted(firing: Firing) -> str:
    return span(firing.ended - firing.started) if firing.ended is not None and firing.started is not None else ""


def _policies(schedule: Schedule) -> str:
    jitter = f" · up to {span(schedule.jitter)} later" if schedule.jitter else ""
    return f"{schedule.pipeline} · cron {schedule.cron} · catchup {schedule.catchup} · overlap {schedule.overlap}{jitter}"


def _word(name: str) -> str:
    return f'"{name}"' if " " in name else name
