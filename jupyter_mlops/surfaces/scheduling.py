"""The verbs of schedules: from their words to the shared state, and a scheduler that tells each event as it happens."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .. import config
from ..errors import NotFound, UsageError
from ..pipelines.definition.kinds import seconds
from ..pipelines.scheduling.due import local_zone
from ..pipelines.scheduling.launching import PipelineStarter
from ..pipelines.scheduling.schedule import Schedules as Kept
from ..pipelines.scheduling.schedule import check, params_at
from ..pipelines.scheduling.scheduler import Scheduler, StoreClock
from ..records import Schedule
from ..store.shared import SharedState
from .answers import History, Scheduled, Schedules, Served
from .arguments import FORM
from .schedule_view import coming, line

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def add(source: str | None, name: str | None, params: Mapping[str, Any], given: Mapping[str, str]) -> Scheduled:
    """Add a schedule, or change it: from the pipeline's file, with what is given in the place of that."""
    from .running import Choice, pipeline_of

    if source is None:
        raise UsageError("Say what to schedule: `mlops schedule add pipeline.yaml`.")
    settings, state = _opened()
    now = state.now()
    file = Path(source)
    pipeline = pipeline_of(Choice(sources=(file,)))
    told = pipeline.schedule or {}
    cron = given.get("cron") or told.get("cron")
    if cron is None:
        raise UsageError(f'{source} has no schedule: give --cron, for example --cron "0 6 * * *" for every day at six.')
    timezone = given.get("timezone") or told.get("timezone") or (local_zone() if "cron" in given else "UTC")
    schedule = Schedule(
        name=name or pipeline.name,
        pipeline=_path(file.resolve(), settings.project),
        params=dict(params),
        cron=cron,
        timezone=timezone,
        catchup=given.get("catchup") or told.get("catchup", "latest"),
        overlap=given.get("overlap") or told.get("overlap", "skip"),
        jitter=_jitter(given["jitter"]) if "jitter" in given else told.get("jitter", 0.0),
    )
    check(schedule)
    pipeline_of(Choice(sources=(file,), params=params_at(schedule, now)))
    kept = Kept(state)
    changed = kept.add(schedule, now)
    return Scheduled(did="changed" if changed else "added", schedule=next(item for item in kept.all() if item.name == schedule.name))


def change(action: str, name: str | None) -> Scheduled:
    """Remove, pause or resume a schedule."""
    wanted = _named(name, action)
    _, state = _opened()
    kept = Kept(state)
    match action:
        case "remove":
            return Scheduled(did="removed", schedule=kept.remove(wanted))
        case "pause":
            return Scheduled(did="paused", schedule=kept.pause(wanted))
    return Scheduled(did="resumed", schedule=kept.resume(wanted, state.now()))


def listed(name: str | None) -> Schedules:
    """All schedules, or one."""
    found = Schedules(item for item in Kept(_opened()[1]).all() if name in (None, item.name))
    if name is not None and not found:
        raise NotFound("schedule", name, "`mlops schedule list` shows those that there are.")
    return found


def history(name: str | None, limit: int) -> History:
    """The due times of a schedule, the latest first."""
    if limit < 1:
        raise UsageError(f"--limit {limit} lists nothing: give 1 or more.")
    kept = Kept(_opened()[1])
    wanted = _named(name, "history")
    firings = kept.history(wanted, limit + 1)
    zone = next((item.timezone for item in kept.all() if item.name == wanted), "UTC")
    return History(name=wanted, timezone=zone, firings=firings[:limit], more=len(firings) > limit)


def serve(*, once: bool, jobs: int) -> Served | None:
    """Run a scheduler until it is told to end, or once."""
    if jobs < 1:
        raise UsageError(f"--jobs {jobs} runs nothing: give 1 or more.")
    settings, state = _opened()
    kept, clock = Kept(state), StoreClock(state)
    def tell(event: Mapping[str, Any]) -> None:
        _tell({**event, "coming": coming(kept.all())} if event["event"] == "scheduler" else event)

    scheduler = Scheduler(state, PipelineStarter(settings, clock.wake), clock=clock, room=jobs, say=tell)

    def stop() -> None:
        scheduler.stop()
        clock.wake()

    with _signals(stop):
        if once:
            firings = scheduler.once()
            return Served(firings=firings, coming=coming(kept.all()))
        scheduler.serve()
    return None


def _opened() -> tuple[config.Settings, SharedState]:
    settings = config.load()
    return settings, SharedState(settings)


def _path(file: Path, project: Path) -> str:
    return file.relative_to(project).as_posix() if file.is_relative_to(project) else str(file)


def _jitter(text: str) -> float:
    found = float(text) if text.replace(".", "", 1).isdigit() else seconds(text)
    if found is None:
        raise UsageError(f"--jitter {text} is no time: write it such as 30s or 5m.")
    return found


def _named(name: str | None, action: str) -> str:
    if name is None:
        raise UsageError(f"Say which schedule: `mlops schedule {action} NAME`; `mlops schedule list` shows their names.")
    return name


def _tell(event: Mapping[str, Any]) -> None:
    """A line for each event, at once: whoever watches the service sees that it lives."""
    now = time.time()
    text = json.dumps({"at": now, **event}, ensure_ascii=False) if FORM.get() == "--json" else f"{time.strftime('%F %T')}  {line(event)}"
    print(text, file=sys.stdout, flush=True)


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Within the block, Ctrl-C and SIGTERM call `stop`, the second Ctrl-C interrupts; only a process's main thread can be told so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def first(number: int, frame: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    before = {number: signal.signal(number, first) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
