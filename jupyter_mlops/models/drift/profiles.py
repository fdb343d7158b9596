"""What is kept of a reference: for each column cells and how many values fall in each. Computed once, a few hundred numbers a column."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ...errors import Corrupt
from ...records.plain import Record, to_json
from . import kinds
from .cells import category_cells, cells_of, common_of, edges_of

FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile(Record):
    """A column of the reference.

    `edges` of numbers (of lengths, for free text) are values in rising order, at most a few hundred: quantiles, or each value where there
    are few; the cells are what lies below the first, the first itself, what lies between it and the second, and so on, and `counts` are how
    many values of the reference each cell has. Of categories `edges` are all of them, or the commonest where there are many, and `counts`
    has one cell more, for all others.
    `distinct` is how many different values were seen, `mean` and `deviation` are those of the finite numbers.
    """

    name: str
    kind: str
    rows: int
    missing: int
    edges: tuple[Any, ...] = ()
    counts: tuple[int, ...] = ()
    distinct: int = 0
    mean: float = 0.0
    deviation: float = 0.0

    @property
    def values(self) -> int:
        """How many values are there."""
        return self.rows - self.missing

    @property
    def ordered(self) -> bool:
        """Whether its cells are in order, as those of numbers are."""
        return self.kind in (kinds.NUMBER, kinds.TEXT, kinds.TIME)

    @property
    def constant(self) -> bool:
        """Whether all its values are one."""
        return self.distinct <= 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Record):
    """What is kept of a reference. `rows` is how many it has, `digest` that of the snapshot it was made from ("" where there is none)."""

    rows: int
    columns: tuple[Any, ...] = ()
    digest: str = ""
    format: int = FORMAT

    @classmethod
    def of(cls, data: Any, *, columns: Iterable[str] | None = None, digest: str = "") -> Profile:
        """The profile of a frame (pandas, polars, Arrow, or a mapping of names to arrays); of `columns` only, where they are given."""
        if isinstance(data, Profile):
            return data
        wanted = None if columns is None else set(columns)
        found = {name: _profiled(name, column) for name, column in kinds.columns_of(data) if wanted is None or name in wanted}
        return cls(rows=kinds.rows_of(data), columns=tuple(found.values()), digest=digest)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        columns = tuple(ColumnProfile.from_json(item) for item in data["columns"])
        return cls(rows=data["rows"], columns=columns, digest=data.get("digest", ""), format=data.get("format", FORMAT))

    def column(self, name: str) -> ColumnProfile | None:
        """The column of this name."""
        return next((item for item in self.columns if item.name == name), None)

    def without(self, *names: str) -> Profile:
        """The same without some columns."""
        kept = tuple(item for item in self.columns if item.name not in names)
        return Profile(rows=self.rows, columns=kept, digest=self.digest)

    def write(self, file: Path) -> None:
        """As JSON."""
        file.write_text(json.dumps(to_json(self), allow_nan=False), encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Self:
        """What `write` wrote; raises Corrupt where it is something else."""
        try:
            return cls.from_json(json.loads(file.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError):
            raise Corrupt("The profile of a reference", str(file)) from None


def _profiled(name: str, column: Any) -> ColumnProfile:
    kind, rows = kinds.kind_of(column), len(column)
    if kind == kinds.NOTHING:
        return ColumnProfile(name=name, kind=kind, rows=rows, missing=int(column.null_count) if rows else 0)
    if kind in (kinds.CATEGORY, kinds.BOOLEAN):
        found, missing = kinds.category_counts(column, kind)
        if kind == kinds.BOOLEAN or not (len(found) > kinds.FREE_TEXT and len(found) > (rows - missing) / 2):
            common = common_of(found)
            counts = category_cells(common, found)
            return ColumnProfile(
                name=name, kind=kind, rows=rows, missing=missing, edges=common, counts=tuple(counts.tolist()), distinct=len(found)
            )
        kind = kinds.TEXT
    if kind == kinds.TIME:
        # Time moves on: its values are never those of the reference, and that is no drift.
        return ColumnProfile(name=name, kind=kind, rows=rows, missing=int(column.null_count))
    values = kinds.lengths(column) if kind == kinds.TEXT else kinds.numbers(column)
    values = values[~np.isnan(values)]
    finite = values[np.isfinite(values)]
    edges, distinct = edges_of(finite)
    mean = float(finite.mean()) if len(finite) else 0.0
    deviation = float(finite.std()) if len(finite) else 0.0
    return ColumnProfile(
        name=name,
        kind=kind,
        rows=rows,
        missing=rows - len(values),
        edges=tuple(edges.tolist()),
        counts=tuple(cells_of(values, edges).tolist()),
        distinct=distinct,
        mean=mean if math.isfinite(mean) else 0.0,
        deviation=deviation if math.isfinite(deviation) else 0.0,
    )
