"""How the values of a column lie, for people to look at: a histogram of numbers and times, the commonest values of what is neither."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records import ColumnDistribution
from . import kinds

BINS = 24
COMMONEST = 10
LONGEST = 200
"""A longer text is cut: what it begins with tells which it is."""


def of_column(name: str, held: str, values: Any) -> ColumnDistribution:
    """The distribution of a column's values; `held` is its type as shown. What Arrow has no single type for is counted as text."""
    import pyarrow as pa

    column = kinds.arrow_of(values)
    kind, rows = kinds.kind_of(column), len(column)
    try:
        if kind == kinds.NUMBER:
            return _of_numbers(name, held, kind, kinds.numbers(column), rows)
        if kind == kinds.TIME:
            return _of_numbers(name, held, kind, _moments(column), rows)
    except pa.ArrowException:  # an interval of months is no moment
        kind = kinds.NOTHING
    if kind == kinds.NOTHING:
        return ColumnDistribution(column=name, type=held, kind=kind, rows=rows, missing=int(column.null_count))
    found, missing = kinds.category_counts(column, kind)
    if len(found) > kinds.FREE_TEXT and len(found) > (rows - missing) / 2:
        kind = kinds.TEXT
    ordered = sorted(found, key=lambda text: (-found[text], text))[:COMMONEST]
    top = tuple((text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…", found[text]) for text in ordered)
    others = rows - missing - sum(count for _, count in top)
    return ColumnDistribution(column=name, type=held, kind=kind, rows=rows, missing=missing, distinct=len(found), top=top, others=others)


def _of_numbers(name: str, held: str, kind: str, values: NDArray[np.float64], rows: int) -> ColumnDistribution:
    import pyarrow as pa
    import pyarrow.compute as pc

    present = values[~np.isnan(values)]
    finite = present[np.isfinite(present)]
    edges, counts = _histogram(finite)
    mean = float(finite.mean()) if len(finite) else np.nan
    return ColumnDistribution(
        column=name,
        type=held,
        kind=kind,
        rows=rows,
        missing=rows - len(present),
        distinct=pc.count_distinct(pa.array(present)).as_py(),
        edges=tuple(edges.tolist()),
        counts=tuple(counts.tolist()),
        least=float(finite.min()) if len(finite) else None,
        greatest=float(finite.max()) if len(finite) else None,
        mean=mean if np.isfinite(mean) else None,
    )


def _histogram(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Edges and counts of equal bins; of whole numbers each bin has equally many of them, so that none is fuller by chance."""
    if not len(values):
        return np.empty(0), np.empty(0, np.int64)
    least, greatest = values.min(), values.max()
    with np.errstate(over="ignore"):
        span = greatest - least
    if not np.isfinite(span):
        return np.empty(0), np.empty(0, np.int64)
    if abs(least) < 2**52 and abs(greatest) < 2**52 and (values == np.floor(values)).all():
        width = math.ceil((span + 1) / BINS)
        edges = np.arange(least, greatest + width + 1, width) - 0.5
    else:
        edges = np.histogram_bin_edges(values, BINS)
    return edges, np.histogram(values, edges)[0]


def _moments(column: Any) -> NDArray[np.float64]:
    """Dates and times as seconds since the epoch (times of day: since midnight), NaN where there is none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_time(column.type):
        day = column.cast(pa.time64("ns" if column.type == pa.time64("ns") else "us"))
        return kinds.numbers(day.cast(pa.int64())) / (1e9 if day.type == pa.time64("ns") else 1e6)
    return kinds.numbers(pc.cast(column, pa.timestamp("us"), safe=False).cast(pa.int64())) / 1e6
