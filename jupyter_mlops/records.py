"""The frozen records that every part speaks.

Each record is plain data: `to_json(record)` gives what `--json` prints and what the journal keeps, `Record.from_json` reads it back.
Times are seconds since the epoch, sizes are bytes, digests are lower-case BLAKE3 hex (64 characters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Self

_PLAIN = frozenset((str, int, float, bool))


def to_json(value: Any) -> Any:
    """Plain JSON values of a record, or of lists, tuples and dicts of records."""
    kind: type = type(value)
    if value is None or kind in _PLAIN:
        return value
    if names := _names(kind):
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The names of a record's fields; () for other classes."""
    return tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()


class _Record:
    """Reads itself back from JSON; unknown keys, written by a later version, are left out."""

    __slots__ = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known})

    @classmethod
    def of(cls, item: Self | Mapping[str, Any]) -> Self:
        """The record itself, or the one that its JSON tells: records within others may be either."""
        return item if isinstance(item, cls) else cls.from_json(item)  # type: ignore[arg-type]  # what is no record is its JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(_Record):
    """One output of a cell: `kind` is stream, display, result or error.

    `data` maps mime types to text, or to {"object": digest, "size": n} for what is large.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(_Record):
    """A piece of data that a run or cell used. `kind`: frame, series, array, sparse, file, folder, table.

    `digest` is None while the delivery worker has not read a large file yet (then `stat` is [size, mtime_ns, inode] as the cell ended).
    `kept` tells whether the bytes are in the store, `source` where it came from (a path or URL), `why` why bytes were not kept.
    """

    name: str
    kind: str
    digest: str | None
    source: str = ""
    size: int = 0
    rows: int | None = None
    columns: int | None = None
    kept: bool = False
    why: str = ""
    stat: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvent(_Record):
    """One execution of a cell (or of a tracked block), as it really ran.

    `seq` is the true order within the session, from 1. `reads`, `writes`, `mutates`, `deletes` are names of the user's namespace.
    `values` holds the digests of the frames and arrays that the cell bound or changed, by name. `random` describes the state of the
    random generators before the cell (see `tracking.random_state`). `fetched` holds the data that its network and database statements
    gave, by name, in the order in which it came: [digest, mark of the expression that asked for it]. `peak_memory` is the process's
    highest resident size so far, in bytes.
    """

    session: str
    seq: int
    source: str
    started: float
    seconds: float
    status: str
    cell: str = ""
    error: str = ""
    outputs: tuple[Any, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    files_read: tuple[Any, ...] = ()
    files_written: tuple[Any, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    fetched: Mapping[str, Any] = field(default_factory=dict)
    random: Mapping[str, Any] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(_Record):
    """A run, delivered to MLflow or not yet. `id` is MLflow's run id once delivered, else ours; both are usable as RUN everywhere.

    `model` is {"name", "class", "flavor", "uri"} or None; `replay` is None, identical, tolerance or different; `series` holds stepped
    metrics as {key: [[step, value], ...]}; `skipped` says what could not be saved and why; `origin` is ours ("jupyter_mlops") or "mlflow".
    """

    id: str
    name: str
    status: str
    experiment: str
    started: float
    seconds: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ()
    model: Mapping[str, Any] | None = None
    notebook: str = ""
    cell: str = ""
    replay: str | None = None
    parent: str | None = None
    error: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    note: str = ""
    session: str = ""
    cells: tuple[int, ...] = ()
    own_id: str = ""
    delivered: bool = True
    origin: str = "jupyter_mlops"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(_Record):
    """Data frozen by content. `kind` as in `Input`; `schema` is [[column, type], ...] of a table; `kept` says if its bytes are here."""

    digest: str
    kind: str
    name: str = ""
    rows: int | None = None
    columns: int | None = None
    size: int = 0
    schema: tuple[Any, ...] = ()
    kept: bool = True
    stored: int = 0
    created: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnChange(_Record):
    """How one column differs: `change` is added, removed, type, values or same; `before` and `after` are statistics."""

    column: str
    change: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff(_Record):
    """The difference between two snapshots: rows before and after, and the change of each column."""

    a: str
    b: str
    identical: bool
    kind: str
    rows: tuple[int | None, int | None] = (None, None)
    columns: tuple[Any, ...] = ()
    schema_changed: bool = False
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(_Record):
    """One thing that `verify` or `doctor` found: `what` is wrong, `where`, and the `remedy`. `ok` rows say what is well."""

    what: str
    where: str = ""
    remedy: str = ""
    ok: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(_Record):
    """One node of a lineage: `kind` is run, model, metric, name, figure, statement, data, file, cell or parameter; `below` holds what it
    came from."""

    kind: str
    name: str
    ref: str = ""
    detail: str = ""
    below: tuple[Any, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(_Record):
    """One result of a cell or run, as recorded and as replayed.

    `kind`: metric, parameter, series, frame, model, output, plot, file, error. `verdict`: identical, tolerance (equal but for the last
    digits of floats), different, or uncompared; `why` says why a result was not compared, or how it differs. `excused` tells whether the
    reason is a listed one (see `replay.verdicts.CAUSES`): what was not compared without one counts as a miss.
    """

    kind: str
    name: str
    seq: int
    verdict: str
    why: str = ""
    excused: bool = False
    recorded: str = ""
    replayed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(_Record):
    """What came of running a recorded run again. `verdict`: identical, tolerance or different.

    `score` is the share, from 0 to 1, of identical results among all but the excused ones. `results` holds a `Verdict` for each, in the
    order of execution; `first` is the first that differs. `part` is history or slice; `packages` lists those that differ from the record;
    `notes` says what was skipped, refused or put elsewhere; `environment` is "" for the packages of this process, else the rebuilt one.
    """

    run: str
    verdict: str
    score: float
    results: tuple[Any, ...] = ()
    first: Any = None
    part: str = "history"
    cells: int = 0
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: str = ""
    started: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece(_Record):
    """Consecutive lines of one execution that a slice keeps: whole statements, as executed."""

    seq: int
    line: int
    end_line: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(_Record):
    """The least code that recreates a result of a run. `proof`: minimal (proved, and without any statement it fails), proved or unproved.

    `name` is the result (a metric, a name, "model"); `pieces` are in the order of execution; `kept` of `executed` statements; `parameters`
    are the literals that feed the result; `source` is the code with those lifted to the top; `why` says what stands in the way of a proof.
    """

    run: str
    name: str
    pieces: tuple[Any, ...]
    kept: int
    executed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    proof: str = "unproved"
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellState(_Record):
    """How one cell of a notebook stands. `state`: fresh, stale, never run, gone (no longer in the notebook) or running.

    `cell` is the notebook's id of the cell, `seq` its last execution (None: there was none), `line` the first line of its source;
    `why` says in sentences what makes it stale.
    """

    cell: str
    seq: int | None
    line: str
    state: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostName(_Record):
    """A name that lives on although no code in the notebook makes it any more; `seq` is the execution that did."""

    name: str
    seq: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen(_Record):
    """What a restart and a run of all cells from the top would bring to one cell.

    `kind`: error (it would raise, `name` is not bound yet), value (`name` would be another than it was given), code (its code was edited),
    new (it was never run) or missing (it is no longer in the notebook, so that it would not run).
    """

    kind: str
    cell: str
    seq: int | None
    line: str
    why: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(_Record):
    """Where a notebook and its kernel differ: `cells` in the order of the notebook, `names` without code, and `restart`, foreseen changes.

    `saved` is when the notebook file was saved last (None: it cannot be read, and the cells stand in the order of their first execution).
    """

    session: str
    notebook: str
    saved: float | None = None
    cells: tuple[Any, ...] = ()
    names: tuple[Any, ...] = ()
    restart: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter(_Record):
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
class Step(_Record):
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
class Restored(_Record):
    """A folder in which a run can be opened and run again: `files` are what was put there, relative to it; `notes` what could not be."""

    folder: str
    run: str
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStep(_Record):
    """One step of a pipeline. `kind`: notebook, python or shell; `source` is the notebook's path, `module:function`, or the command.

    `inputs` maps names to what is read: `step.output`, a path, a URL, or {"query", "connection", "fingerprint"}; `outputs` maps names to
    the files of a step that cannot declare them itself. `after` are steps to wait for without taking anything from them. `timeout` and
    `backoff` are seconds: the wait before the first retry, `factor` times longer before each further one. `resources` may have "cpus" and
    "memory" (bytes). `line` is where the step stands in its file.
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
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline(_Record):
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
class StepPlan(_Record):
    """What a pipeline would do with a step. `action`: run, cached, after (it depends on what another step will give), or skip (not chosen).

    `why` says in sentences which part of the key changed; `key` is None while an input is not known yet.
    """

    step: str
    action: str
    why: tuple[str, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun(_Record):
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
class Gate(_Record):
    """A condition that a release must meet. `state`: passed, failed, or unchecked where `why` says what is needed to check it.

    `name` is the condition as a reader writes it (auc at least 0.7), `value` what was measured.
    """

    name: str
    state: str
    value: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineRun(_Record):
    """One run of a pipeline. `id` is its run, under which those of its steps hang; `status`: done, failed or cancelled.

    `edges` maps each step to those that it takes something from or waits for; `gates` are the conditions of the pipeline's release.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing(_Record):
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
class Schedule(_Record):
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
