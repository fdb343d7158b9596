"""One step, in any process of any machine: claim its key, do the work, keep what comes out, commit it once."""

from __future__ import annotations

import platform
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import DiskFull, LeaseLost, MlopsError, StoreError, WorkerDiffers
from ...records import Input, StepRun, to_json
from ...store import disks, snapshots
from ...store.leases import Lease, Leases
from ...store.objects import ObjectStore
from ...store.shared import SharedState
from ..caching import sightings
from ..caching.commits import Commit, Commits
from ..caching.contents import Contents
from ..caching.memory import Memory
from ..caching.plan import Look, holds
from .collecting import patiently
from .executing import Done, Job, execute
from .inputs import InputsGone, arguments
from .recorded import Records, records
from .task import Outcome, Report, Stopped, Task, cached
from .workplace import Workplace, at_work

LEASE_SECONDS = 15.0
"""How long the claim on a step outlasts the last sign of life of who makes it, where that cannot be told otherwise."""
_ASK_SECONDS = (0.05, 1.0)
_READ_THERE = "the step read it where it lies"


def run_step(task: Task, report: Report) -> Outcome:
    """Do a step, or take the result of another run that does it at the same time.

    `report` is given events as it goes on, and may raise `Stopped`. What goes wrong is told by the outcome; only mistakes of ours raise.
    """
    (step,) = task.pipeline.steps
    started = time.time()
    try:
        with at_work(task.pipeline.folder, task.settings, task.mark, task.needed) as place:
            return _Work(task, place, report).outcome()
    except Stopped as stop:
        cancelled = StepRun(
            step=step.name,
            state="cancelled",
            why=(str(stop),) if str(stop) else (),
            key=task.key,
            started=started,
            seconds=time.time() - started,
            notebook=task.out if Path(task.out).exists() else "",
        )
        return Outcome(step=cancelled)
    except (MlopsError, OSError) as error:
        failed = StepRun(
            step=step.name, state="failed", key=task.key, started=started, seconds=time.time() - started, error=_sentence(error, task)
        )
        again = isinstance(error, StoreError | OSError) and not isinstance(error, DiskFull)
        return Outcome(step=failed, again=again, gone=error.names if isinstance(error, InputsGone) else ())


class _Work:
    """A task at its place."""

    def __init__(self, task: Task, place: Workplace, report: Report) -> None:
        self._task, self._place = task, place
        (self._step,) = task.pipeline.steps
        self._tell = report
        state, memory = _shared(place.settings)
        self._leases = Leases(state)
        self._contents = Contents(place.folder, memory)
        self._commits = Commits(state, self._contents)
        self._objects = ObjectStore(place.settings.objects or place.settings.home / "objects")
        self._lost: Callable[[], bool] = lambda: False
        self._out = Path(task.out) if not place.visiting else place.folder / ".mlops-out" / Path(task.out).name

    def outcome(self) -> Outcome:
        """Claim until there is a result, ours or another's. Raises WorkerDiffers."""
        if self._task.remote and (differences := self._contents.distributions.unlike(self._task.parts.get("environment", {}))):
            raise WorkerDiffers(platform.node(), differences)
        pause = _ASK_SECONDS[0]
        while True:
            claimed = patiently(self._claim, lambda: self._report({}))
            if isinstance(claimed, Commit):
                return Outcome(step=cached(claimed, "another run did it at the same time"))
            if claimed is not None:
                with suppress(LeaseLost):
                    return self._do(claimed)
            else:
                self._report({"event": "step", "state": "waiting", "why": "another run does this step"})
                time.sleep(pause)
                pause = min(2 * pause, _ASK_SECONDS[1])

    def _claim(self) -> Commit | Lease | None:
        return self._commits.claim(self._task.key, self._task.owner, LEASE_SECONDS, self._task.made_after)

    def _report(self, event: Mapping[str, Any]) -> None:
        if self._lost():
            raise Stopped("another run took the step over, as this one was not heard of for too long")
        self._tell({"step": self._step.name, **event})

    def _do(self, lease: Lease) -> Outcome:
        run, started = uuid.uuid4().hex, time.time()
        with self._leases.kept(lease) as held, records(self._place.settings, self._task.tracking_uri) as book:
            self._lost = held.lost.is_set
            self._report({"event": "step", "state": "running", "notebook": self._task.out, "run_id": run})
            try:
                done = execute(self._job(run), book, self._report)
                told = self._told(run, started, done)
                if done.error:
                    notebook = told.notebook if self._out.exists() else ""
                    return Outcome(step=replace(told, state="failed", error=done.error, notebook=notebook), again=done.again)
                notebook = self._keep_notebook(run, book)
                patiently(lambda: self._keep_given(run, book), lambda: self._report({}))
                patiently(lambda: self._settle(done, notebook), lambda: self._report({}))
                made = self._commit(told, done, notebook)
                if not self._holds():
                    # What it was given changed while it worked, so nobody can tell what it used: it counts for this run alone.
                    made = replace(made, key=f"{made.key} {run}")
                commit = patiently(lambda: self._commits.add(made, lease), lambda: self._report({}))
            finally:
                book.deliver()
        if commit.run != run:
            return Outcome(step=cached(commit, "another run took it over and finished first"))
        return Outcome(step=replace(told, outputs=commit.outputs))

    def _job(self, run: str) -> Job:
        task, step, settings = self._task, self._step, self._place.settings
        stores = {
            "MLFLOW_TRACKING_URI": task.tracking_uri,
            "MLOPS_OBJECTS": settings.objects,
            "MLOPS_DATABASE": settings.database,
            "MLOPS_EXPERIMENT": settings.experiment,
        }
        return Job(
            step=step,
            place=self._place,
            objects=self._objects,
            arguments=arguments(step, task.inputs, task.given, self._place, self._objects),
            env={**{name: value for name, value in stores.items() if value}, **task.pipeline.env, **step.env},
            run=run,
            parent=task.run,
            out=self._out,
            tags={"mlops.pipeline": task.pipeline.name, "mlops.step": step.name, "mlops.source": step.source, "mlops.key": task.key},
            checks=task.checks,
        )

    def _told(self, run: str, started: float, done: Done) -> StepRun:
        return StepRun(
            step=self._step.name,
            state="done",
            key=self._task.key,
            run=run,
            started=started,
            seconds=time.time() - started,
            cell=done.cell,
            cells=done.cells,
            memory=done.memory,
            notebook=self._task.out,
            source=done.source,
            outputs=done.outputs,
            metrics=done.metrics,
        )

    def _commit(self, told: StepRun, done: Done, notebook: str) -> Commit:
        return Commit(
            key=self._task.key,
            parts=self._task.parts,
            pipeline=self._task.pipeline.name,
            step=self._step.name,
            outputs=done.outputs,
            observed=self._observed(done, told.started or 0.0),
            run=told.run,
            notebook=notebook,
            seconds=told.seconds or 0.0,
        )

    def _holds(self) -> bool:
        """Whether the step was given one and the same all the time; elsewhere, its files are copies that nobody changes."""
        task = self._task
        inputs = {name: digest or "" for name, digest in task.inputs.items()}
        look = Look(step=self._step, inputs=inputs, parts=task.parts, key=task.key)
        return self._place.visiting or holds(look, task.pipeline, task.given, self._contents)

    def _observed(self, done: Done, started: float) -> dict[str, str]:
        """What the step used beyond what it declares, and is a part of the project or the user's data."""
        folder, home = self._place.folder, self._place.settings.home
        declared = {str(folder / value) for value in (*self._step.inputs.values(), *self._step.outputs.values()) if isinstance(value, str)}
        own = {str(self._out), str(folder / self._step.source), *declared}
        used = [path for path in done.read if path not in own and not path.startswith(f"{home}/")]
        elsewhere = {str(folder / path) for path in self._task.elsewhere}
        found = self._contents.observe(sightings.own(used, since=started, elsewhere=elsewhere, text=self._words(), opened=done.opened))
        # What lies elsewhere on another machine says nothing here.
        return {name: digest for name, digest in found.items() if not (self._place.visiting and name.startswith("/"))}

    def _words(self) -> str:
        """The step's own words: its code, that of its local modules, and its parameters."""
        step = self._step
        source = {"notebook": [step.source], "python": [step.source.rpartition(":")[0]], "shell": []}[step.kind]
        files = [self._place.folder / path for path in (*source, *self._task.parts.get("modules", {}))]
        code = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.is_file()]
        return "\n".join([*code, step.source, *map(str, (*step.params.values(), *step.inputs.values()))])

    def _settle(self, done: Done, notebook: str) -> None:
        """Let all that a commit promises be on the disk before it is made: what it names, and the executed notebook where it is shown."""
        snapshots.settle({*(output["object"] for output in done.outputs.values()), *([notebook] if notebook else [])}, self._objects)
        if notebook:
            disks.settle(self._out)
            disks.settle(self._out.parent)

    def _keep_notebook(self, run: str, book: Records) -> str:
        """Store the executed notebook (or the log) and add it to the run's files."""
        if not self._out.exists():
            return ""
        kept = patiently(lambda: snapshots.freeze_file(self._out, self._objects), lambda: self._report({}))
        raw = self._objects.put(self._out.read_bytes())
        book.patch(run, artifacts=[{"path": self._out.name, "digest": raw}])
        return kept.digest

    def _keep_given(self, run: str, book: Records) -> None:
        """Let a run that no cells tell of name its code and its data, by content; a notebook's cells tell what they read."""
        step, folder = self._step, self._place.folder
        if step.kind == "notebook":
            return
        own = [step.source.rpartition(":")[0]] if step.kind == "python" else []
        given = []
        for path in dict.fromkeys((*own, *self._task.parts.get("modules", {}))):
            if (folder / path).is_file():
                frozen = snapshots.freeze_file(folder / path, self._objects, name=path)
                given.append(Input(name=path, kind="file", digest=frozen.digest, source=path, size=frozen.size, kept=True))
        for name, source in step.inputs.items():
            told = self._task.given.get(name)
            if told is not None:
                kind = "folder" if told["kind"] == "folder" else "file"
                size = int(told.get("size") or 0)
                given.append(Input(name=name, kind=kind, digest=told["object"], source=str(source), size=size, kept=True))
            elif isinstance(source, str) and (folder / source).is_file():
                digest, size = snapshots.digest_file(folder / source), (folder / source).stat().st_size
                given.append(Input(name=name, kind="file", digest=digest, source=source, size=size, why=_READ_THERE))
        if given:
            book.patch(run, inputs=[to_json(item) for item in given])


@lru_cache(maxsize=8)
def _shared(settings: Settings) -> tuple[SharedState, Memory]:
    """The shared state and what is remembered of files: one of each for all steps of this process."""
    return SharedState(settings), Memory(settings.home)


def _sentence(error: Exception, task: Task) -> str:
    if isinstance(error, OSError) and not isinstance(error, MlopsError):
        return f"{error.filename or task.pipeline.folder}: {error.strerror or error}."
    return str(error)
