"""Steps, pipelines, and their runs and due times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .models import Gate
from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(Record):
    """A value that can be set from outside a step: `type` as an annotation, `help` from the comments of the code.

    `source` tells what an input is read from: file (its default is a path), snapshot (a file written beside the step, since the data came
    from a network or a database), or "" for a parameter that is no input.
    """

    name: str
    type: str
    default: Any
    help: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Record):
    """A papermill notebook cut out of a run. `parameters` holds a `Parameter` for each line of its parameters cell, `inputs` those
    among them that are data; `outputs` are the declared results as {"name", "kind", "value"}.

    `kept` of `executed` statements are in it. `proof` is how it was shown to give the recorded results: "minimal" when without any of its
    statements it does not, else "proved". `files` were written beside it, `folder` is the working folder that its relative paths are
    meant for, `notes` say what else there is to know.
    """

    path: str
    run: str
    parameters: tuple[Any, ...] = ()
    inputs: tuple[Any, ...] = ()
    outputs: tuple[Any, ...] = ()
    kept: int = 0
    executed: int = 0
    proof: str = ""
    files: tuple[str, ...] = ()
    folder: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStep(Record):
    """One step of a pipeline. `kind`: notebook, python or shell; `source` is the notebook's path, `module:function`, or the command.

    `inputs` maps names to what is read: `step.output`, a path, a URL, or {"query", "connection", "fingerprint"}; `outputs` maps names to
    the files of a step that cannot declare them itself. `after` are steps to wait for without taking anything from them. `timeout` and
    `backoff` are seconds: the wait before the first retry, `factor` times longer before each further one. `resources` may have "cpus" and
    "memory" (bytes). `validate` maps inputs to what is checked of them before the step begins: {"schema", "reference"}, at least one of the
    two. `line` is where the step stands in its file.
    """

    name: str
    kind: str
    source: str
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    kernel: str = ""
    after: tuple[str, ...] = ()
    retries: int = 0
    backoff: float = 1.0
    factor: float = 2.0
    timeout: float | None = None
    resources: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    cache: bool = True
    validate: Mapping[str, Any] = field(default_factory=dict)
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(Record):
    """Steps and what flows between them. `path` is its file ("" for one that was made of notebooks), `folder` the working folder of its
    steps, which relative paths start from. `schedule`, `notify` and `release` are as the file has them."""

    name: str
    folder: str
    steps: tuple[PipelineStep, ...]
    path: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    schedule: Mapping[str, Any] | None = None
    notify: tuple[Mapping[str, Any], ...] = ()
    release: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan(Record):
    """What a pipeline would do with a step. `action`: run, cached, after (it depends on what another step will give), or skip (not chosen).

    `why` says in sentences which part of the key changed; `key` is None while an input is not known yet.
    """

    step: str
    action: str
    why: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun(Record):
    """What became of a step. `state`: waiting, running, cached, done, failed, skipped or cancelled; `why` says what led to it.

    `cell` of `cells` is how far a notebook came, `source` and `error` belong to the cell that failed, `notebook` is the executed notebook.
    `outputs` maps names to {"kind", "digest", "object", "format", "size"}; `run` is the id of its own run; `memory` is the peak in bytes.
    """

    step: str
    state: str
    why: tuple[str, ...] = ()
    key: str | None = None
    run: str = ""
    started: float | None = None
    seconds: float | None = None
    attempts: int = 0
    cell: int = 0
    cells: int = 0
    memory: int = 0
    notebook: str = ""
    source: str = ""
    error: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun(Record):
    """One run of a pipeline. `id` is its run, under which those of its steps hang; `status`: done, failed or cancelled.

    `edges` maps each step to those that it takes something from or waits for; `gates` are the conditions of the pipeline's release,
    and `release` tells what came of it: None without one, else at least {"state": promoted, registered, passed, refused, waiting, failed or
    unchecked}, and where a model was registered its "name" and "version", the "alias" it got, "why", and "again" where it was so before.
    """

    id: str
    name: str
    status: str
    started: float
    seconds: float
    params: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[StepRun, ...] = ()
    notes: tuple[str, ...] = ()
    edges: Mapping[str, Any] = field(default_factory=dict)
    gates: tuple[Gate, ...] = ()
    release: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing(Record):
    """One due time of a schedule. `state`: due, claimed, running, done, failed, skipped or missed; `why` says what led to it.

    `due` is when the clock of its zone says so, `at` when it may start (`due` and its jitter). `run` is the id of the run, the same at
    each of its `attempts`; `owner` is the scheduler that has or had it; `log` is the file with what the run printed.
    """

    job: str
    due: int
    state: str
    run: str = ""
    at: float = 0.0
    attempts: int = 0
    owner: str = ""
    started: float | None = None
    ended: float | None = None
    log: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule(Record):
    """When a pipeline runs by itself. `pipeline` is its file, relative to the project where it lies in it.

    `cron` is read on the clock of `timezone`. `catchup` says what becomes of due times at which no scheduler ran: none, latest or all of
    them are run; `overlap` what becomes of one that comes while an earlier run goes on: skip, queue or allow. `jitter` is the most seconds
    by which a start is put off. `next` is the next due time (None while paused), `last` the latest due time that has come, `missed` counts
    those that were not run.
    """

    name: str
    pipeline: str
    cron: str
    timezone: str
    params: Mapping[str, Any] = field(default_factory=dict)
    catchup: str = "latest"
    overlap: str = "skip"
    jitter: float = 0.0
    paused: bool = False
    next: int | None = None
    last: Firing | None = None
    missed: int = 0
