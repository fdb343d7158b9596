"""What sort of values a column holds, and the column as what the statistics count: numbers, or texts of categories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

NUMBER, CATEGORY, BOOLEAN, TIME, TEXT, NOTHING = "number", "category", "boolean", "time", "text", "nothing"
FREE_TEXT = 50
"""Texts of which more than this many, and more than half, differ are free text, not categories."""


def columns_of(data: Any) -> Iterator[tuple[str, pa.Array | pa.ChunkedArray]]:
    """The columns of a pandas or polars frame, an Arrow table or batch, or a mapping of names to arrays; names as texts."""
    import pyarrow as pa

    if isinstance(data, (pa.Table, pa.RecordBatch)):
        yield from ((str(name), column) for name, column in zip(data.schema.names, data.columns, strict=True))
    elif hasattr(data, "to_arrow"):
        yield from columns_of(data.to_arrow())
    elif hasattr(data, "columns") and hasattr(data, "iloc"):
        # By position: names may occur twice.
        yield from ((str(name), arrow_of(data.iloc[:, at])) for at, name in enumerate(data.columns))
    else:
        yield from ((str(name), arrow_of(column)) for name, column in dict(data).items())


def rows_of(data: Any) -> int:
    """How many rows it has."""
    if hasattr(data, "num_rows"):
        return int(data.num_rows)
    if hasattr(data, "columns"):
        return len(data)
    return max((len(column) for column in dict(data).values()), default=0)


def arrow_of(values: Any) -> pa.Array | pa.ChunkedArray:
    """Values of a column as Arrow; what Arrow has no single type for becomes text."""
    import pyarrow as pa

    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return values
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if _is_missing(value) else str(value) for value in values], pa.string())


def kind_of(column: pa.Array | pa.ChunkedArray) -> str:
    """number, category, boolean, time, text, or nothing where there is no value at all or they cannot be compared."""
    import pyarrow as pa

    types, held = pa.types, column.type
    if types.is_dictionary(held):
        return NOTHING if types.is_null(held.value_type) else CATEGORY
    if types.is_boolean(held):
        return BOOLEAN
    if types.is_integer(held) or types.is_floating(held) or types.is_decimal(held):
        return NUMBER
    if types.is_temporal(held):
        return NUMBER if types.is_duration(held) else TIME
    if _is_text(held):
        return CATEGORY
    return NOTHING


def numbers(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """As numbers, NaN where a value is missing or is none: the length of a text is not taken for it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, held = pa.types, column.type
    if types.is_null(held):
        return np.full(len(column), np.nan)
    if types.is_dictionary(held):
        return numbers(column.cast(held.value_type))
    if types.is_duration(held):
        column = column.cast(pa.int64())
    if _is_text(held):
        import pandas as pd

        return np.asarray(pd.to_numeric(column.to_pandas(), errors="coerce"), dtype=np.float64)
    try:
        # Unsafe: an integer beyond 2**53 is rounded, which no statistic sees.
        cast = pc.cast(column, pa.float64(), safe=False) if held != pa.float64() else column
    except pa.ArrowException:
        return np.full(len(column), np.nan)
    return np.asarray(cast.to_numpy(zero_copy_only=False) if isinstance(cast, pa.Array) else cast.to_numpy(), dtype=np.float64)


def lengths(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """How many characters each text has, NaN where it is missing."""
    import pyarrow.compute as pc

    return numbers(pc.utf8_length(texts(column)))


def texts(column: pa.Array | pa.ChunkedArray, kind: str = CATEGORY) -> pa.Array | pa.ChunkedArray:
    """As texts, null where a value is missing; of kind `boolean`, numbers are read as true and false."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types, held = pa.types, column.type
    if types.is_null(held) or not (_is_text(held) or types.is_dictionary(held) or types.is_primitive(held) or types.is_decimal(held)):
        return pa.nulls(len(column), pa.string())
    if types.is_floating(held):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, held), column)
    if kind == BOOLEAN and (types.is_integer(held) or types.is_floating(held)):
        column = pc.cast(column, pa.bool_(), safe=False)
    if types.is_binary(held) or types.is_large_binary(held):
        return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.string())
    if types.is_dictionary(held) and not _is_text(held.value_type):
        column = column.cast(held.value_type)
        return texts(column, kind)
    return pc.cast(column, pa.string())


def category_counts(column: pa.Array | pa.ChunkedArray, kind: str = CATEGORY) -> tuple[dict[str, int], int]:
    """How often each category occurs, and how many values are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    # Categories of an encoded column are compared by their codes, which is much less work than by their texts.
    encoded = pa.types.is_dictionary(column.type) and pa.types.is_string(column.type.value_type)
    if encoded and isinstance(column, pa.ChunkedArray):
        column = column.unify_dictionaries()
    counted = pc.value_counts(column if encoded else texts(column, kind))
    values, counts = counted.field("values"), counted.field("counts")
    found = dict(zip(values.cast(pa.string()).to_pylist(), counts.to_pylist(), strict=True))
    missing = found.pop(None, 0)
    return found, missing


def _is_text(held: pa.DataType) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_string(held) or types.is_large_string(held) or types.is_string_view(held) or types.is_binary(held)
        or types.is_large_binary(held)
    )  # fmt: skip


def _is_missing(value: Any) -> bool:
    import pandas as pd

    found = pd.isna(value) if value is None or not hasattr(value, "__len__") else False
    return bool(found)
