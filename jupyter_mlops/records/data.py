"""What a person sees of the data of a project: the snapshots that there are, and what one of them holds."""

from __future__ import annotations

from dataclasses import dataclass, field

from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotUse(Record):
    """A run that used a snapshot: `name` is what the run calls the data, `versions` are the model versions ("NAME/3") that came of it."""

    run: str
    run_name: str
    name: str
    started: float = 0.0
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedSnapshot(Record):
    """One snapshot of a list. `schema` is [column, type] of its first columns; `uses` are the latest runs of the `used` that used it.

    `versions` are all model versions that came of it or are checked on it. `kept` says whether its bytes are here; if not, only what
    its runs told of it is known.
    """

    digest: str
    kind: str
    name: str = ""
    source: str = ""
    rows: int | None = None
    columns: int | None = None
    size: int = 0
    schema: tuple[tuple[str, str], ...] = ()
    created: float = 0.0
    kept: bool = True
    used: int = 0
    uses: tuple[SnapshotUse, ...] = ()
    versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotList(Record):
    """Some of the snapshots of a project, and how many there are in all that were sought."""

    snapshots: tuple[ListedSnapshot, ...] = ()
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDistribution(Record):
    """How the values of one column lie: `kind` is number, time, category, boolean, text or nothing (values that cannot be compared).

    `rows` were looked at and `missing` of them have no value. Of numbers and times `counts` are how many values lie between neighbours of
    `edges` (of times these are seconds since the epoch); of categories `top` are the commonest with how often each occurs, and `others`
    how many values are others. `distinct` is None where it was not counted.
    """

    column: str
    type: str
    kind: str
    rows: int
    missing: int = 0
    distinct: int | None = None
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    top: tuple[tuple[str, int], ...] = ()
    others: int = 0
    least: float | None = None
    greatest: float | None = None
    mean: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotView(Record):
    """One snapshot as a person looks at it: `head` are its first rows as texts, each a value for each of `labels`; None is missing.

    `looked` is the number of rows that the distributions are of (evenly spread, where it is less than all). `note` says what is not shown
    and why.
    """

    snapshot: ListedSnapshot
    labels: tuple[str, ...] = ()
    head: tuple[tuple[str | None, ...], ...] = ()
    distributions: tuple[ColumnDistribution, ...] = field(default=())
    looked: int = 0
    note: str = ""
