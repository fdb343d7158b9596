"""Data counted against a profile, batch after batch: memory is that of the profile, however many rows there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import kinds
from .cells import category_cells, cells_of
from .profiles import ColumnProfile, Profile

SAMPLE = 250_000
"""Of more rows than this the distribution of numbers is taken from a random part; missing values and range are of all."""
_NAMES = 20_000


@dataclass(slots=True)
class ColumnTally:
    """What was counted of one column. `counts` are as those of its profile; `names` are categories (of these, only so many are kept)."""

    counts: NDArray[np.int64]
    rows: int = 0
    missing: int = 0
    outside: int = 0
    below: float = 0.0
    above: float = 0.0
    smallest: float = np.inf
    greatest: float = -np.inf
    names: dict[str, int] = field(default_factory=dict)
    other: int = 0
    seen: bool = False

    @property
    def values(self) -> int:
        """How many values are there."""
        return self.rows - self.missing

    @property
    def constant(self) -> bool:
        """Whether all its values are one."""
        return self.smallest == self.greatest if not self.names else len(self.names) == 1 and not self.other

    def take(self, other: ColumnTally) -> None:
        """Add what another tally of the same column counted."""
        self.counts = self.counts + other.counts
        self.rows, self.missing, self.outside = self.rows + other.rows, self.missing + other.missing, self.outside + other.outside
        self.below, self.above = self.below + other.below, self.above + other.above
        self.smallest, self.greatest = min(self.smallest, other.smallest), max(self.greatest, other.greatest)
        self.seen, self.other = self.seen or other.seen, self.other + other.other
        _remember(self, other.names)


class Tally:
    """Data counted against a profile. `rows` is how many rows are expected: of more than `SAMPLE` only a part is sorted into cells."""

    def __init__(self, profile: Profile, *, rows: int = 0, seed: int = 0) -> None:
        self.profile = profile
        self.rows = 0
        self._share = min(1.0, SAMPLE / rows) if rows else 1.0
        self._random = np.random.default_rng(seed)
        self._edges = {item.name: np.array(item.edges, dtype=np.float64) for item in profile.columns if item.ordered}
        self.columns = {item.name: ColumnTally(np.zeros(len(item.counts), dtype=np.int64)) for item in profile.columns}

    def add(self, data: Any) -> None:
        """Count a batch: a frame, an Arrow table or batch, or a mapping of names to arrays. Columns unknown to the profile are left out."""
        rows = kinds.rows_of(data)
        part = np.flatnonzero(self._random.random(rows) < self._share) if self._share < 1 else None
        self.rows += rows
        for name, column in kinds.columns_of(data):
            if (item := self.profile.column(name)) is not None:
                self._count(item, self.columns[name], column, part)

    def take(self, other: Tally) -> None:
        """Add what another tally of the same profile counted."""
        self.rows += other.rows
        for name, tally in self.columns.items():
            tally.take(other.columns[name])

    def _count(self, item: ColumnProfile, tally: ColumnTally, column: Any, part: NDArray[np.int64] | None) -> None:
        tally.seen = True
        tally.rows += len(column)
        if item.kind in (kinds.NOTHING, kinds.TIME):
            tally.missing += int(column.null_count)
        elif item.ordered:
            values = kinds.lengths(column) if item.kind == kinds.TEXT else kinds.numbers(column)
            self._count_numbers(item, tally, values, part)
        else:
            found, missing = kinds.category_counts(column, item.kind)
            tally.missing += missing
            tally.counts += category_cells(item.edges, found)
            _remember(tally, found)

    def _count_numbers(self, item: ColumnProfile, tally: ColumnTally, values: NDArray[np.float64], part: NDArray[np.int64] | None) -> None:
        absent = np.isnan(values)
        missing = int(np.count_nonzero(absent))
        tally.missing += missing
        if missing == len(values):
            return
        edges = self._edges[item.name]
        smallest, greatest = float(np.nanmin(values)), float(np.nanmax(values))
        tally.smallest, tally.greatest = min(tally.smallest, smallest), max(tally.greatest, greatest)
        if len(edges) and (smallest < edges[0] or greatest > edges[-1]):
            under, over = edges[0] - values[values < edges[0]], values[values > edges[-1]] - edges[-1]
            tally.outside += len(under) + len(over)
            tally.below += float(under[np.isfinite(under)].sum())
            tally.above += float(over[np.isfinite(over)].sum())
        if part is not None:
            values, absent = values[part], absent[part]
        tally.counts += cells_of(values[~absent] if missing else values, edges)


def _remember(tally: ColumnTally, found: dict[str, int]) -> None:
    if not tally.names and len(found) <= _NAMES:
        tally.names = dict(found)
        return
    for name, count in found.items():
        if name in tally.names or len(tally.names) < _NAMES:
            tally.names[name] = tally.names.get(name, 0) + count
        else:
            tally.other += count
