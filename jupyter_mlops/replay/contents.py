"""Two frames, arrays or tables whose digests differ, compared by content: where they differ first, or that only last digits do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..errors import MlopsError
from ..store import snapshots
from ..store.objects import ObjectStore
from .texts import ABSOLUTE, DIFFERENT, RELATIVE, SAME, TOLERANCE, UNCOMPARED, Compared, explained, short

SINGLE = 1e-5
"""Relative tolerance for numbers of 32 bits or less."""

_TIMES = re.compile(r"(?:mean_|std_)?(?:fit|score)_times?|(?:\w+_)?(?:elapsed|runtime|duration_s)|time_(?:fit|train|total)")


def compare_digests(a: str, b: str, objects: tuple[ObjectStore, ObjectStore], causes: frozenset[str] = frozenset()) -> Compared:
    """Compare two snapshots by digest, and by content where both contents are to be had; their code depends on `causes`."""
    if a == b:
        return SAME
    told = f"digest {a[:12]}", f"digest {b[:12]}"
    try:
        values = [snapshots.load(digest, place) for digest, place in zip((a, b), objects, strict=True) if place.has_manifest(digest)]
    except (MlopsError, ImportError):
        values = []
    if len(values) != 2:
        return Compared(DIFFERENT, recorded=told[0], replayed=told[1])
    if isinstance(values[0], bytes) or isinstance(values[1], bytes):
        return Compared(DIFFERENT, recorded=told[0], replayed=told[1])
    return compare_values(values[0], values[1], causes)


def compare_values(a: Any, b: Any, causes: frozenset[str] = frozenset()) -> Compared:
    """Compare two frames, series, tables or arrays of any library.

    Where their code depends on the clock, columns that are named as times are in doubt, and beside them a number that differs is none.
    """
    first, second = _frame(a), _frame(b)
    shapes = [f"{side.shape[0]:,} rows x {side.shape[1]:,} columns" for side in (first, second)]
    if first.shape[0] != second.shape[0]:
        return Compared(DIFFERENT, "another shape", recorded=shapes[0], replayed=shapes[1])
    labels = [[str(label) for label in side.columns] for side in (first, second)]
    if labels[0] != labels[1]:
        apart = [sorted(set(side) - set(other)) or side for side, other in (labels, labels[::-1])]
        return Compared(DIFFERENT, "other columns", recorded=short(", ".join(apart[0])), replayed=short(", ".join(apart[1])))
    if not first.index.equals(second.index):
        row = next((place for place, (x, y) in enumerate(zip(first.index, second.index, strict=True)) if x != y), 0)
        told = [short(str(side.index[row])) for side in (first, second)]
        return Compared(DIFFERENT, f"other index, row {row}", recorded=told[0], replayed=told[1])
    found = [_column(first.iloc[:, place], second.iloc[:, place], label) for place, label in enumerate(labels[0])]
    timed = ["time" in causes and _TIMES.fullmatch(label) is not None and item.verdict == DIFFERENT
             for label, item in zip(labels[0], found, strict=True)]  # fmt: skip
    for place, item in enumerate(found):
        if item.verdict == DIFFERENT and not timed[place]:
            number = first.iloc[:, place].dtype.kind in "fiub" and first.iloc[:, place].dtype == second.iloc[:, place].dtype
            return replace(item, certain=number and any(timed) and causes == {"time"})
    if any(timed):
        return Compared(UNCOMPARED, explained(["time"]), excused=True, doubtful=True, recorded="durations", replayed="durations")
    if any(item.verdict == TOLERANCE for item in found):
        return Compared(TOLERANCE, "equal but for the last digits of floats")
    return Compared(DIFFERENT, "other types, names or order", recorded=_types(a), replayed=_types(b))


def _column(first: Any, second: Any, label: str) -> Compared:
    import numpy as np

    if str(first.dtype) != str(second.dtype):
        return Compared(DIFFERENT, f"column {label} has another type", recorded=str(first.dtype), replayed=str(second.dtype))
    missing = first.isna().to_numpy(), second.isna().to_numpy()
    if first.dtype.kind in "fc":
        x, y = first.to_numpy(), second.to_numpy()
        relative = RELATIVE if x.dtype.itemsize >= 8 else SINGLE
        equal, near = x == y, np.isclose(x, y, rtol=relative, atol=ABSOLUTE)
    else:
        # Cells may hold arrays and lists, which have no single answer to ==.
        x, y = first.to_numpy(dtype=object), second.to_numpy(dtype=object)
        equal = near = np.array([_equal(a, b) for a, b in zip(x, y, strict=True)], bool)
    both = missing[0] & missing[1]
    equal, near = equal | both, near | both
    if equal.all():
        return SAME
    if near.all():
        return Compared(TOLERANCE, "equal but for the last digits of floats")
    row = int(np.flatnonzero(~near)[0])
    where = f"column {label}, row {first.index[row]}" if label else f"element {row}"
    return Compared(DIFFERENT, where, recorded=short(_told(first.iloc[row])), replayed=short(_told(second.iloc[row])))


def _equal(a: Any, b: Any) -> bool:
    try:
        return bool(a is b or a == b)
    except (TypeError, ValueError):
        return repr(a) == repr(b)


def _told(value: Any) -> str:
    return str(value.item() if hasattr(value, "item") else value)


def _frame(value: Any) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value
    if hasattr(value, "to_pandas"):
        value = value.to_pandas()
    if isinstance(value, pd.Index):
        value = pd.Series(value.to_numpy())
    if isinstance(value, pd.Series):
        return value.to_frame(name="" if value.name is None else value.name)
    if isinstance(value, pd.DataFrame):
        return value
    array = np.asarray(value.todense() if hasattr(value, "todense") else value)
    if array.ndim > 2 or array.ndim == 0:
        array = array.reshape(-1)
    return pd.DataFrame(array) if array.ndim == 2 else pd.DataFrame({"": array})


def _types(value: Any) -> str:
    kind = type(value)
    return short(f"{kind.__module__.partition('.')[0]}.{kind.__name__} {getattr(value, 'dtypes', getattr(value, 'dtype', ''))}")
