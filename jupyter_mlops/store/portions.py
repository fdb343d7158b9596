"""Some rows of a snapshot, column by column: enough to look at a table that would not fit into memory.

Only the chunks that hold these rows are read. Where a column cannot be cut by rows (its values are kept in another order or number than
its rows), it is read whole and then cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..records import Snapshot
from . import parts, snapshots
from .difference import Side
from .objects import ObjectStore

_BY_ROW = ("numpy", "objects", "string", "arrow", "masked", "codes", "moments", "periods")
_SPREAD = 64


def opened(digest: str, objects: ObjectStore) -> tuple[Snapshot, Portion]:
    """What a snapshot is, and its rows. Raises NotKept where its bytes are not here."""
    digest = snapshots.resolve(digest, objects)
    manifest = snapshots.manifest_of(digest, objects)
    return snapshots.record_of(digest, manifest), Portion(manifest, objects)


def spread(rows: int, most: int) -> list[tuple[int, int]]:
    """At most so many of the rows, in equal ranges (start, stop) that lie evenly among them: all where there are no more."""
    if rows <= most:
        return [(0, rows)]
    size = max(1, most // _SPREAD)
    return [(start, start + size) for start in (number * (rows - size) // (_SPREAD - 1) for number in range(_SPREAD))]


class Portion(Side):
    """The columns of a snapshot, of the rows in `ranges` only (all rows at first)."""

    def __init__(self, manifest: Mapping[str, Any], objects: ObjectStore) -> None:
        super().__init__(manifest, objects)
        self.ranges: Sequence[tuple[int, int]] | None = None
        self._cut: set[int] = set()

    @property
    def elements(self) -> int:
        """How many values one column has: its rows, of an array all its elements."""
        shape = self.shape
        count = self.rows or 0
        for size in shape[1:] if shape is not None else ():
            count *= size
        return count if shape is None or shape else 1

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of an array or sparse matrix; None of what is no array."""
        library, head = next(iter(self.manifest["head"].items()))
        if library != "numpy":
            return None
        plain = head if "sparse" in head else head.get("array") or head.get("tensor") or head["masked"]
        return tuple(plain["shape"])

    @property
    def sparse(self) -> bool:
        """Whether only some of its elements are kept: those are its values then."""
        return bool(self.manifest["kind"] == "sparse")

    def index(self) -> Any:
        """The labels of the rows as a pandas Series; None where rows are only counted, or have several labels each."""
        library, head = next(iter(self.manifest["head"].items()))
        plain = head.get("index", {}) if library == "pandas" else {}
        if "array" not in plain or not ("frame" in head or "series" in head):
            return None
        found = self._series(plain["array"])
        found.name = super()._load(plain["name"])[0]
        return found

    def values(self, key: tuple[str, int]) -> Any:
        """A column of these rows as a pandas Series."""
        library, head = next(iter(self.manifest["head"].items()))
        position = self.columns[key]
        if self.ranges is None or self.sparse:
            return super().values(key)
        if library == "pandas" and ("frame" in head or "series" in head):
            return self._series(head["frame"][position] if "frame" in head else head["series"])
        if library == "arrow":
            self._cut = set(head["data"][position][:1])
            return super().values(key)
        if library == "numpy" and (plain := _one_stream(head)) is not None:
            import pandas as pd

            return pd.Series(parts.load_rows(self.manifest["parts"][plain], self._objects, self.ranges))
        return _rows_of(super().values(key), self.ranges)

    def _series(self, plain: Mapping[str, Any]) -> Any:
        from . import frames

        self._cut = {plain[name] for name in _BY_ROW if name in plain}
        series = frames.frame_column(plain, self._load)
        return series if self._cut or self.ranges is None else _rows_of(series, self.ranges)

    def _load(self, position: int) -> Any:
        if self.ranges is None or position not in self._cut:
            return super()._load(position)
        return parts.load_rows(self.manifest["parts"][position], self._objects, self.ranges)


def _one_stream(head: Mapping[str, Any]) -> int | None:
    """Where the elements of an array are, if they are kept one after another and nothing else tells what they are."""
    plain = head.get("array")
    if plain is None or "values" not in plain or not isinstance(plain["dtype"], str):
        return None
    position: int = plain["values"]
    return position


def _rows_of(series: Any, ranges: Sequence[tuple[int, int]]) -> Any:
    import pandas as pd

    found = [series.iloc[start:stop] for start, stop in ranges]
    return pd.concat(found) if len(found) > 1 else found[0]
