"""Starts the runs of a scheduler as processes of their own: what a pipeline does there never ends the scheduler."""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ...config import DUE, RUN_ID, SCHEDULE, Settings
from ...records import Firing
from ...store.client import PACKAGE, finding
from ..running.children import supervise
from .firings import Claim
from .schedule import local, params_at
from .scheduler import Outcome

_LONGEST_WORDS = 300


class PipelineStarter:
    """Runs the pipeline of a schedule as `mlops run` does, in the project's folder. `wake` is called, in another thread, as a run ends."""

    def __init__(self, settings: Settings, wake: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._wake = wake

    def start(self, claim: Claim) -> Process:
        """Start it; its output goes to a file under `.mlops/schedules`. Raises OSError when that cannot be written."""
        firing, schedule = claim.firing, claim.schedule
        words = [word for name, value in params_at(schedule, firing.due).items() for word in ("-p", f"{name}={_word(value)}")]
        log = self._settings.home / "schedules" / re.sub(r"\W+", "-", schedule.name) / _log_name(firing)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        environment = {
            **finding(),
            RUN_ID: firing.run,
            SCHEDULE: schedule.name,
            DUE: local(schedule, firing.due).isoformat(),
            "PYTHONUNBUFFERED": "1",
        }
        # -P: a module of the user's project must never stand in for one of ours.
        command = [sys.executable, "-P", "-m", PACKAGE.name, "run", schedule.pipeline, *words]
        return Process(command, self._settings.project, environment, log, self._wake)


class Process:
    """One run as a process, watched by a thread."""

    def __init__(self, command: list[str], cwd: Path, environment: dict[str, str], log: Path, wake: Callable[[], None]) -> None:
        self.log = str(log)
        self._end = threading.Event()
        self._outcome: Outcome | None = None

        def watch() -> None:
            try:
                status = supervise(command, cwd=cwd, env=environment, log=log, alive=self._stand_aside).status
                self._outcome = Outcome(status, _last_words(log) if status else "")
            except _Ended:
                self._outcome = Outcome(-15, "it was ended")
            except OSError as error:
                self._outcome = Outcome(1, f"it could not be run: {error}")
            finally:
                wake()

        threading.Thread(target=watch, name=f"run {log.stem}", daemon=True).start()

    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""
        return self._outcome

    def end(self) -> None:
        """Make it and all that it started end soon."""
        self._end.set()

    def _stand_aside(self) -> None:
        if self._end.is_set():
            raise _Ended


class _Ended(Exception):
    """The run is to end."""


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _log_name(firing: Firing) -> str:
    due = datetime.fromtimestamp(firing.due, UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return f"{due}-{firing.run[:8]}{'' if firing.attempts == 1 else f'-{firing.attempts}'}.log"


def _last_words(log: Path) -> str:
    """The last line that was printed."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    said = [line.strip() for line in lines if line.strip()]
    return said[-1][:_LONGEST_WORDS] if said else ""
