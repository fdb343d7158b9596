"""Runs that are recorded by whoever supervises them: a pipeline's own, and those of steps that no kernel of ours tracks."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...code.secrets import Redactor
from ...config import Settings
from ...errors import MlopsError
from ...records import Pipeline, PipelineRun, to_json
from ...store import client, journal
from ...store.journal import Journal
from ...store.notebook_json import as_json
from ...tracking import origin

if TYPE_CHECKING:
    from ...store.objects import ObjectStore

GOOD = ("done", "cached")
"""The states of a step whose outputs are there."""
RUNNING, FINISHED, FAILED, KILLED = "RUNNING", "FINISHED", "FAILED", "KILLED"


class Records:
    """Writes runs into the journal of a project, secrets replaced; the delivery worker carries them to MLflow."""

    def __init__(self, settings: Settings, tracking_uri: str | None = None) -> None:
        self.settings = settings
        self.redactor = Redactor(settings.secrets)
        self.redactor.learn_environment(os.environ)
        header = origin.header(settings, "")
        self._journal = Journal.create(settings.home, header | {"tracking_uri": tracking_uri or header["tracking_uri"]})
        self._describing: threading.Thread | None = None

    def begin(self, run: str, name: str, **patch: Any) -> None:
        """Start a run of this id; `patch` has further fields of the journal's `run` records, such as parent, params and tags."""
        given = {key: value for key, value in patch.items() if value}
        self.patch(run, **{"name": name, "status": RUNNING, "started": time.time(), **given})

    def patch(self, run: str, **patch: Any) -> None:
        """Add to a run."""
        self._journal.append(self.redactor.json({"kind": "run", "id": run, "at": time.time(), **patch}))

    def end(self, run: str, status: str, error: str = "", **patch: Any) -> None:
        """End a run as FINISHED, FAILED or KILLED."""
        self.patch(run, status=status, ended=time.time(), **({"error": error} if error else {}), **patch)

    def conclude(self, session: str, run: str, status: str, error: str) -> bool:
        """End a run of a kernel's session that did not live to end it; False when that session wrote nothing, or lives."""
        text = self.redactor.text(error)
        now, reason = time.time(), text.strip().partition("\n")[0]
        told = {"kind": "run", "id": run, "at": now, "status": status, "ended": now, "error": text, "reason": reason}
        try:
            return journal.conclude(self.settings.home / "journal" / f"{session}.jsonl", [told])
        except OSError:
            return False

    def describe(self) -> None:
        """Write what the runs ran in, with the commit of the code, in the background."""
        if self._describing is None:
            self._describing = threading.Thread(target=self._describe, name="mlops-environment", daemon=True)
            self._describing.start()

    def deliver(self) -> None:
        """See to it that a delivery worker is at work."""
        with suppress(OSError, MlopsError):
            client.ensure_worker(self.settings)

    def close(self) -> None:
        """End the session that these runs belong to."""
        if self._describing is not None:
            self._describing.join()
        self._journal.close()

    def _describe(self) -> None:
        from ...store.objects import open_objects
        from ...tracking import environment

        described = {**environment.describe(), "git": environment.git_state(self.settings.project, self.redactor)}
        with suppress(OSError, MlopsError):
            digest = open_objects(self.settings).put(json.dumps(described, sort_keys=True, default=str).encode())
            self._journal.append({"kind": "session", "environment": digest})


_open: dict[Settings, tuple[Records, int]] = {}
_lock = threading.Lock()


@contextmanager
def records(settings: Settings, tracking_uri: str | None = None) -> Iterator[Records]:
    """The records of this process for a project: the same for all that have them at the same time, closed by the last."""
    with _lock:
        found, users = _open.get(settings) or (Records(settings, tracking_uri), 0)
        _open[settings] = (found, users + 1)
    try:
        yield found
    finally:
        with _lock:
            found, users = _open.pop(settings)
            if users > 1:
                _open[settings] = (found, users - 1)
        if users == 1:
            found.close()


def numbers(metrics: Mapping[str, float]) -> list[list[Any]]:
    """Metrics as the journal has them."""
    now = time.time()
    return [[name, value, None, now] for name, value in metrics.items()]


class PipelineRecord:
    """The run of a pipeline itself, under which those of its steps hang. It begins with the first step that does something."""

    def __init__(self, book: Records, pipeline: Pipeline, run: str, tags: Mapping[str, str]) -> None:
        self._book, self._pipeline, self.run = book, pipeline, run
        self._tags = {"mlops.pipeline": pipeline.name, **tags}
        self.begun = False

    def begin(self) -> None:
        """The first step begins: from now on the run is there for all to see."""
        if not self.begun:
            self.begun = True
            self._book.begin(self.run, self._pipeline.name, params=dict(self._pipeline.params), tags=self._tags)
            self._book.describe()
            self._book.deliver()

    def abandon(self, why: str) -> None:
        """The run ended by a mistake of ours or of whoever listens."""
        if self.begun:
            self._book.end(self.run, FAILED, why)

    def end(self, told: PipelineRun, objects: Callable[[], ObjectStore]) -> None:
        """All steps have ended. Where none did anything, only the journal hears of it."""
        if not self.begun:
            self._book.begin(self.run, self._pipeline.name, params=dict(self._pipeline.params), tags=self._tags)
        else:
            self._book.patch(self.run, artifacts=self._artifacts(told, objects()))
        metrics = {f"{step.step}.{name}": value for step in told.steps if step.state in GOOD for name, value in step.metrics.items()}
        cached = {step.step: step.run for step in told.steps if step.state == "cached"}
        error = "\n".join(f"{step.step}: {step.error}" for step in told.steps if step.error)
        status = {"done": FINISHED, "failed": FAILED}.get(told.status, KILLED)
        # The runs that made what was cached hang under another run of the pipeline: this one tells where they are.
        runs = ", ".join(run for run in cached.values() if run)
        tags = {"mlops.cached": ", ".join(cached) or None, "mlops.cached_runs": runs or None}
        self._book.end(self.run, status, error, metrics=numbers(metrics), tags=tags)

    def _artifacts(self, told: PipelineRun, objects: ObjectStore) -> list[dict[str, str]]:
        states = {"steps": {step.step: step.state for step in told.steps}, "edges": to_json(told.edges)}
        files = {"graph.json": as_json(states)}
        if self._pipeline.path:
            with suppress(OSError):
                text = Path(self._pipeline.path).read_text("utf-8", "replace")
                files[Path(self._pipeline.path).name] = self._book.redactor.text(text).encode()
        try:
            return [{"path": name, "digest": digest} for name, digest in zip(files, objects.put_many(files.values()), strict=True)]
        except MlopsError:
            return []
