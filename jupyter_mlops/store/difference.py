"""The difference between two snapshots: schema, rows, and for each column that changed its statistics before and after.

Columns whose digests are equal are not read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..records import ColumnChange, Diff
from . import parts
from .objects import ObjectStore

_Key = tuple[str, int]


class Side:
    """One snapshot of a difference: its manifest, and its columns by label and occurrence, since labels may repeat."""

    def __init__(self, manifest: Mapping[str, Any], objects: ObjectStore) -> None:
        self.manifest = manifest
        self._objects = objects
        seen: Counter[str] = Counter()
        self.columns: dict[_Key, int] = {}
        for position, label in enumerate(self._labels()):
            self.columns[label, seen[label]] = position
            seen[label] += 1

    def _labels(self) -> list[str]:
        if self.manifest["kind"] == "folder":
            return [name for name, _, _ in self.manifest["head"]["files"]]
        return [label for label, _ in self.manifest.get("names", [])]

    def type(self, key: _Key) -> str:
        """The type of a column as shown."""
        return "file" if self.manifest["kind"] == "folder" else str(self.manifest["schema"][self.columns[key]][1])

    def digests(self, key: _Key) -> list[str]:
        """What tells whether the column changed."""
        position = self.columns[key]
        if self.manifest["kind"] == "folder":
            return [self.manifest["parts"][self.manifest["head"]["files"][position][1]]["digest"]]
        return [self.manifest["parts"][part]["digest"] for part in self.manifest["names"][position][1]]

    def values(self, key: _Key) -> Any:
        """The column as a pandas Series."""
        import pandas as pd

        position = self.columns[key]
        library, head = next(iter(self.manifest["head"].items()))
        if library == "pandas":
            from . import frames

            plain = head["frame"][position] if "frame" in head else head.get("series")
            if plain is None:
                return frames.load_pandas(head, self._load).to_series(index=range(self.rows or 0))
            return frames.frame_column(plain, self._load)
        if library == "arrow":
            from . import tables

            return tables.load_column(head["data"][position], self._load).to_pandas().reset_index(drop=True)
        from . import arrays

        array = arrays.load_numpy(head, None, self._load)
        # What is no element of a sparse matrix has no value to compare; not every format has its elements in `data`.
        array = array.tocoo().data if "sparse" in head else array
        return pd.Series(list(array.ravel()) if getattr(array.dtype, "names", None) else array.ravel())

    @property
    def rows(self) -> int | None:
        """Rows of a table or array, files of a folder."""
        rows: int | None = self.manifest.get("rows")
        return rows

    def statistics(self, key: _Key) -> dict[str, Any]:
        """Statistics of a column; of a file its size in bytes."""
        if self.manifest["kind"] == "folder":
            return {"size": self.manifest["parts"][self.manifest["head"]["files"][self.columns[key]][1]]["rows"]}
        return statistics(self.values(key))

    def _load(self, position: int) -> Any:
        return parts.load(self.manifest["parts"][position], self._objects)


def compare(a: str, b: str, before: Side, after: Side) -> Diff:
    """The difference from snapshot `a` to snapshot `b`."""
    changes = [_change(key, before, after) for key in {**before.columns, **after.columns}] if a != b else []
    kinds = [side.manifest["kind"] for side in (before, after)]
    return Diff(
        a=a,
        b=b,
        identical=a == b,
        kind=kinds[0] if kinds[0] == kinds[1] else " -> ".join(kinds),
        rows=(before.rows, after.rows),
        columns=tuple(changes),
        schema_changed=any(change.change in ("added", "removed", "type") for change in changes)
        or list(before.columns) != list(after.columns),
        detail=_detail(before, after, changes) if a != b else "identical",
    )


def statistics(values: Any) -> dict[str, Any]:
    """Count, missing, unique, and of what can be ordered min and max, of numbers also mean and standard deviation (of a sample: n - 1)."""
    import pandas as pd

    found: dict[str, Any] = {"count": len(values), "missing": int(values.isna().sum())}
    present = values.dropna()
    try:
        found["unique"] = int(present.nunique())
    except TypeError:  # lists and dicts in cells cannot be counted
        return found
    if not len(present) or pd.api.types.is_complex_dtype(values.dtype):
        return found
    if pd.api.types.is_numeric_dtype(values.dtype):
        numbers = present.astype("float64")
        found |= {"min": _plain(present.min()), "mean": float(numbers.mean()), "max": _plain(present.max()), "std": float(numbers.std())}
    elif not isinstance(values.dtype, (pd.CategoricalDtype, pd.IntervalDtype)):
        try:
            found |= {"min": _plain(present.min()), "max": _plain(present.max())}
        except TypeError:  # a column of mixed types has no order
            return found
    return found


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _change(key: _Key, before: Side, after: Side) -> ColumnChange:
    label = key[0]
    if key not in before.columns:
        return ColumnChange(column=label, change="added", after=after.statistics(key))
    if key not in after.columns:
        return ColumnChange(column=label, change="removed", before=before.statistics(key))
    if before.type(key) != after.type(key):
        shown = [{"type": side.type(key)} | side.statistics(key) for side in (before, after)]
        return ColumnChange(column=label, change="type", before=shown[0], after=shown[1])
    if before.digests(key) == after.digests(key):
        return ColumnChange(column=label, change="same")
    if before.manifest["kind"] in ("folder", "file"):
        return ColumnChange(column=label, change="values", before=before.statistics(key), after=after.statistics(key))
    old, new = before.values(key), after.values(key)
    return ColumnChange(column=label, change="values", before=statistics(old), after=statistics(new), changed=_changed(old, new))


def _changed(old: Any, new: Any) -> int | None:
    """How many rows have another value; rows that were added at the end count too, and None where rows cannot be told apart."""
    import numpy as np
    import pandas as pd

    shared = min(len(old), len(new))
    first, second = old.iloc[:shared], new.iloc[:shared]
    if isinstance(old.dtype, pd.CategoricalDtype):
        first, second = first.astype(object), second.astype(object)
    missing = first.isna().to_numpy(), second.isna().to_numpy()
    try:
        equal = np.asarray((first.reset_index(drop=True) == second.reset_index(drop=True)).fillna(False), bool)
    except (TypeError, ValueError):  # arrays in cells have no single answer
        return None
    equal = np.where(missing[0] | missing[1], missing[0] & missing[1], equal)
    return int((~equal).sum()) + abs(len(old) - len(new))


def _detail(before: Side, after: Side, changes: list[ColumnChange]) -> str:
    if before.manifest["kind"] == after.manifest["kind"] == "file":
        return f"the contents differ: {before.manifest['size']:,} bytes, then {after.manifest['size']:,} bytes"
    counts = Counter(change.change for change in changes)
    parts = [f"{counts[kind]} {kind}" for kind in ("added", "removed", "type", "values", "same") if counts[kind]]
    detail = f"columns: {', '.join(parts)}" if parts else ""
    if before.rows is not None and after.rows is not None and before.rows != after.rows:
        more = after.rows - before.rows
        moved = [change.changed for change in changes if change.changed is not None]
        where = " at the end" if moved and all(count == abs(more) for count in moved) else ""
        detail = f"{abs(more):,} rows {'added' if more > 0 else 'removed'}{where}; {detail}"
    elif not counts["values"] and set(counts) <= {"same"}:
        detail = f"{detail}; the index, names or attributes differ".lstrip("; ")
    return detail
