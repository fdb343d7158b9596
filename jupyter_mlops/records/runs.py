"""Runs, the data behind them, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Record):
    """A run, delivered to MLflow or not yet. `id` is MLflow's run id once delivered, else ours; both are usable as RUN everywhere.

    `model` is {"name", "class", "flavor", "uri"} or None; `replay` is None, identical, tolerance or different; `series` holds stepped
    metrics as {key: [[step, value], ...]}; `skipped` says what could not be saved and why; `origin` is ours ("jupyter_mlops") or "mlflow".
    `pipeline` of a pipeline's run, and of those of its steps, tells its name as "pipeline", and "step", "source", "key",
    "cached" (the steps that were found done), "cached_runs" (the runs that did them), "schedule", "due".
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
    pipeline: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot(Record):
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
class ColumnChange(Record):
    """How one column differs: `change` is added, removed, type, values or same; `before` and `after` are statistics."""

    column: str
    change: str
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    changed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff(Record):
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
class Problem(Record):
    """One thing that `verify` or `doctor` found: `what` is wrong, `where`, and the `remedy`. `ok` rows say what is well."""

    what: str
    where: str = ""
    remedy: str = ""
    ok: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Record):
    """One node of a lineage: `kind` is run, model, metric, name, figure, statement, data, file, cell or parameter; `below` holds what it
    came from."""

    kind: str
    name: str
    ref: str = ""
    detail: str = ""
    below: tuple[Any, ...] = field(default=())
