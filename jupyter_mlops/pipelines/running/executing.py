"""Does the work of one step, whatever its kind: a notebook in a kernel, a Python function or a shell command in processes of their own."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ...errors import OutputRefused
from ...records import PipelineStep
from ...store.objects import ObjectStore
from ..definition import templates
from . import checking, outputs
from .children import Ended, supervise
from .recorded import FAILED, FINISHED, KILLED, Records, numbers
from .task import Report
from .workplace import Workplace

_LOG_END = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A step at its place: `arguments` are its parameters and inputs as it gets them, `run` the id of its run and `parent` of the
    pipeline's, `out` the executed notebook (or the log), `env` the variables that are added to this process's environment, `checks` who
    checks its inputs."""

    step: PipelineStep
    place: Workplace
    objects: ObjectStore
    arguments: Mapping[str, Any]
    env: Mapping[str, str]
    run: str
    parent: str
    out: Path
    tags: Mapping[str, str] = field(default_factory=dict)
    checks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a job. `error` is "" when it went well; `again` tells whether the same may end better another time.

    `read` are the files that it was seen to read, the user's own modules among them; `opened` those of which it is known that it opened
    them itself, while others may have opened the rest (None: nobody knows).
    """

    outputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    again: bool = False
    cell: int = 0
    cells: int = 0
    source: str = ""
    memory: int = 0
    read: tuple[str, ...] = ()
    opened: tuple[str, ...] | None = None


def execute(job: Job, records: Records, report: Report) -> Done:
    """Do the work of a step. What `report` raises ends it and goes on; what goes wrong in the step is told, not raised."""
    job.out.parent.mkdir(parents=True, exist_ok=True)
    if refused := _refused(job, records, report):
        return Done(error=refused)
    done = _KINDS[job.step.kind](job, records, report)
    if done.error or not job.step.outputs:
        return done
    try:
        files = {name: outputs.keep_file(name, job.place.folder / path, job.objects) for name, path in job.step.outputs.items()}
    except OutputRefused as refusal:
        return replace(done, error=str(refusal), again=False)
    return replace(done, outputs={**done.outputs, **files})


def _refused(job: Job, records: Records, report: Report) -> str:
    """Why the step may not begin with its inputs; then its run has failed. "" where it may."""
    refused = checking.refusal(
        job.step, job.arguments, checks=job.checks, folder=job.place.folder, objects=job.objects.where, env=job.env, report=report
    )
    if refused:
        records.begin(job.run, job.step.name, parent=job.parent, params=dict(job.step.params), tags=dict(job.tags))
        records.end(job.run, FAILED, refused)
    return refused


def _notebook(job: Job, records: Records, report: Report) -> Done:
    from ..kernels import engine

    objects = job.objects.where

    def collect(count: int | None) -> str:
        module = f"__import__({'jupyter_mlops.pipelines.running.collecting'!r}, fromlist=['collecting'])"
        return f"{module}.collected({count!r}, {objects!r}, {job.run!r})"

    stop, stopped = threading.Event(), list[BaseException]()

    def progress(told: Mapping[str, Any]) -> None:
        try:
            report({"event": "cell", **told})
        except BaseException as error:  # the notebook ends in its own way, so that what it gave so far is saved
            stopped.append(error)
            stop.set()

    executed = engine.execute(
        job.place.folder / job.step.source,
        job.out,
        job.arguments,
        cwd=job.place.folder,
        env=job.env,
        kernel=job.step.kernel,
        timeout=job.step.timeout,
        on_progress=progress,
        tracked=engine.Tracked(
            name=job.step.name, run=job.run, parent=job.parent, project=job.place.settings.project, params=job.step.params, tags=job.tags
        ),
        collect=collect,
        stop=stop,
    )
    if not executed.closed:
        # No kernel of ours tells how it ended: it died, was ended, or speaks another language.
        status = KILLED if stopped else FAILED if executed.error else FINISHED
        if not (executed.session and records.conclude(executed.session, job.run, status, executed.error)):
            tracked = {"parent": job.parent, "params": dict(job.step.params), "tags": dict(job.tags)}
            records.begin(job.run, job.step.name, **tracked, started=time.time() - executed.seconds)
            records.end(job.run, status, executed.error)
    if stopped:
        raise stopped[0]
    seen: dict[str, Any] = {"cell": executed.cell, "cells": executed.cells, "memory": executed.memory}
    if executed.error:
        return Done(error=executed.error, source=executed.source, again=True, **seen)
    told = executed.collected or {"outputs": {}, "metrics": {}, "problem": ""}
    return Done(
        outputs=told["outputs"],
        metrics=told["metrics"],
        error=told["problem"],
        again=bool(told.get("again")),
        read=(*executed.read, *executed.modules),
        opened=None if executed.own is None else (*executed.own, *executed.modules),
        **seen,
    )


def _python(job: Job, records: Records, report: Report) -> Done:
    with tempfile.TemporaryDirectory(prefix="mlops-call-") as folder:
        request, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        asked = {"function": job.step.source, "arguments": dict(job.arguments), "objects": job.objects.where}
        asked |= {"project": str(job.place.settings.project), "answer": str(answer)}
        request.write_text(json.dumps(asked), "utf-8")
        ended, error = _supervised(job, records, report, [sys.executable, "-m", "jupyter_mlops.pipelines.running.calling", str(request)])
        if error:
            return Done(error=error, again=True, memory=ended.memory)
        if not answer.exists():
            return Done(error=f"{job.step.source} ended its process before it returned.", memory=ended.memory)
        told = json.loads(answer.read_text("utf-8"))
    if told["metrics"] or told["models"]:
        given = {"metrics": numbers(told["metrics"]), "models": told["models"]}
        records.patch(job.run, **{name: items for name, items in given.items() if items})
    return Done(
        outputs=told["outputs"], metrics=told["metrics"], error=told["problem"], again=bool(told.get("again")), memory=ended.memory,
        read=tuple(told["read"]), opened=None if told["opened"] is None else tuple(told["opened"]),
    )  # fmt: skip


def _shell(job: Job, records: Records, report: Report) -> Done:
    for path in job.step.outputs.values():
        (job.place.folder / path).parent.mkdir(parents=True, exist_ok=True)
    ended, error = _supervised(job, records, report, ["/bin/sh", "-c", command(job.step, job.arguments)])
    return Done(error=error, again=bool(error), memory=ended.memory)


_KINDS: Mapping[str, Callable[[Job, Records, Report], Done]] = {"notebook": _notebook, "python": _python, "shell": _shell}


def command(step: PipelineStep, arguments: Mapping[str, Any]) -> str:
    """The text of a shell step with the names in braces replaced, quoted for the shell: parameters, inputs, and the files of outputs."""
    return templates.command(step.source, {**arguments, **step.outputs})


def _supervised(job: Job, records: Records, report: Report, words: list[str]) -> tuple[Ended, str]:
    """Run a command as the step's own run; how it ended, and what went wrong."""
    env = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1", **job.env}
    records.begin(job.run, job.step.name, parent=job.parent, params=dict(job.step.params), tags=dict(job.tags))
    try:
        ended = supervise(
            words, cwd=job.place.folder, env=env, log=job.out, timeout=job.step.timeout, alive=lambda: report({"event": "cell"})
        )
    except BaseException:
        records.end(job.run, KILLED)
        raise
    error = _error(job, ended)
    records.end(job.run, FAILED if error else FINISHED, error)
    return ended, error


def _error(job: Job, ended: Ended) -> str:
    """Why the process did not do its work; "" when it did."""
    if ended.late:
        return f"The step was ended after its timeout of {job.step.timeout:g} s."
    if ended.status == 0:
        return ""
    how = f"was ended by signal {-ended.status}" if ended.status < 0 else f"ended with status {ended.status}"
    with job.out.open("rb") as log:
        log.seek(max(0, job.out.stat().st_size - _LOG_END))
        said = log.read().decode("utf-8", "replace").strip()
    return f"{said}\nThe {job.step.kind} step {how}." if said else f"The {job.step.kind} step {how}."
