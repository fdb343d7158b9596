"""Arrow tables, batches and arrays, and Polars frames and series, taken apart into columns and put together again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import DataError
from . import arrow
from .columns import Arrow, Builder, Frozen

Load = Callable[[int], Any]


def freeze_table(table: Any) -> Frozen:
    """A pyarrow Table or RecordBatch."""
    import pyarrow as pa

    return _frozen("table", {"table" if isinstance(table, pa.Table) else "batch": _schema(table.schema)}, table)


def freeze_arrow_array(array: Any) -> Frozen:
    """A pyarrow Array or ChunkedArray."""
    import pyarrow as pa

    chunked = isinstance(array, pa.ChunkedArray)
    table = pa.table({"value": array})
    return _frozen("series", {"array": "chunked" if chunked else "whole"}, table)


def freeze_polars(frame: Any) -> Frozen:
    """A Polars DataFrame, by Arrow's C stream, which shares its memory."""
    table = _shared(frame)
    return _frozen("table", {"polars": _schema(table.schema), "rows": frame.height}, table)


def freeze_polars_series(series: Any) -> Frozen:
    """A Polars Series."""
    table = _shared(series.to_frame())
    return _frozen("series", {"polars": _schema(table.schema), "series": series.name, "rows": len(series)}, table)


def load_table(head: Mapping[str, Any], load: Load) -> Any:
    """The table, batch, array, frame or series of a head."""
    import pyarrow as pa

    if "array" in head:
        array = load_column(head["data"][0], load)
        return array if head["array"] == "chunked" else _whole(array)
    fields = next(head[key] for key in ("table", "batch", "polars") if key in head)
    schema = pa.schema([arrow.build_field(field) for field in fields["fields"]], arrow.build_metadata(fields["metadata"]))
    arrays = [load_column(plain, load) for plain in head["data"]]
    if "batch" in head:
        return pa.RecordBatch.from_arrays([_whole(array) for array in arrays], schema=schema)
    table = pa.Table.from_arrays(arrays, schema=schema)
    if "polars" not in head:
        return table
    import polars as pl

    frame = pl.DataFrame(table) if len(schema) else pl.DataFrame(height=head["rows"])
    return frame.to_series().alias(head["series"]) if "series" in head else frame


def _shared(frame: Any) -> Any:
    import pyarrow as pa

    for name, kind in frame.schema.items():
        if any(part in str(kind) for part in ("Int128", "Object")):
            raise DataError(f"Column {name} of type {kind} cannot be frozen by content, because Arrow has no such type: cast it first.")
    return pa.table(frame)


def _frozen(kind: str, head: dict[str, Any], table: Any) -> Frozen:
    builder = Builder()
    data = [_column(column, builder) for column in table.columns]
    names = tuple((field.name, tuple(plain)) for field, plain in zip(table.schema, data, strict=True))
    schema = tuple((field.name, str(field.type)) for field in table.schema)
    return Frozen(kind, head | {"data": data}, tuple(builder.columns), table.num_rows, schema, names)


def _column(array: Any, builder: Builder) -> list[int]:
    """Where a column is kept. The values of an ordered dictionary and their order are part of the value; of others they are layout."""
    import pyarrow as pa

    if not (pa.types.is_dictionary(array.type) and array.type.ordered):
        return [builder.add(Arrow(array))]
    whole = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
    chunks = whole.unify_dictionaries().chunks
    indices = pa.chunked_array([chunk.indices for chunk in chunks], array.type.index_type)
    dictionary = chunks[0].dictionary if chunks else pa.array([], array.type.value_type)
    return [builder.add(Arrow(indices)), builder.add(Arrow(dictionary))]


def load_column(plain: list[int], load: Load) -> Any:
    """One column of a table as a chunked array."""
    import pyarrow as pa

    if len(plain) == 1:
        return load(plain[0])
    indices, dictionary = load(plain[0]), _whole(load(plain[1]))
    chunks = [pa.DictionaryArray.from_arrays(chunk, dictionary, ordered=True) for chunk in indices.chunks]
    return pa.chunked_array(chunks, pa.dictionary(indices.type, dictionary.type, ordered=True))


def _schema(schema: Any) -> Any:
    return {"fields": [arrow.field(field) for field in schema], "metadata": arrow.metadata(schema.metadata)}


def _whole(array: Any) -> Any:
    import pyarrow as pa

    chunks = array.chunks
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], array.type)
