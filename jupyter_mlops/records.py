"""The frozen records that every part speaks.

Each record is plain data: `to_json(record)` gives what `--json` prints and what the journal keeps, `Record.from_json` reads it back.
Times are seconds since the epoch, sizes are bytes, digests are lower-case BLAKE3 hex (64 characters).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Self


def to_json(value: Any) -> Any:
    """Plain JSON values of a record, or of lists, tuples and dicts of records."""
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: to_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


class _Record:
    """Reads itself back from JSON; unknown keys, written by a later version, are left out."""

    __slots__ = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known})


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
    random generators before the cell (see `tracking.random_state`). `peak_memory` is the process's highest resident size so far, in bytes.
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
    """One node of a lineage: `kind` is run, model, metric, data, file, cell or parameter; `below` holds what it came from."""

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
