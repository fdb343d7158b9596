"""Values of any kind as Arrow columns, and columns of several types as one: what a model was asked changes from version to version."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from .ids import milliseconds

INPUTS = "inputs."
"""What the names of the model's own columns begin with."""

AT = pa.timestamp("ms", "UTC")
OWN = pa.schema([("id", pa.string()), ("at", AT), ("version", pa.int32()), ("role", pa.string()), ("seconds", pa.float32())])
"""The columns that every prediction has, before `output` and those of the model."""


def by_name(inputs: Any) -> Mapping[str, Any]:
    """Columns by name: of a mapping, of names and rows, a 2-D array (columns "0", "1", ...), an Arrow table or batch, or a frame."""
    if isinstance(inputs, Mapping):
        return inputs
    if isinstance(inputs, tuple):
        return dict(zip(inputs[0], zip(*inputs[1], strict=True), strict=True))
    if isinstance(inputs, np.ndarray):
        return {str(place): inputs[:, place] for place in range(inputs.shape[1])} if inputs.ndim == 2 else {"0": inputs}
    if isinstance(inputs, (pa.Table, pa.RecordBatch)):
        return dict(zip(inputs.schema.names, inputs.columns, strict=True))
    return {str(name): inputs[name] for name in inputs.columns}


def batch_of(requests: Sequence[tuple[Mapping[str, Any], Any, Sequence[str], int, str, Any, Any]]) -> pa.RecordBatch:
    """One record batch of requests whose inputs have the same names, each as (inputs, output, ids, version, role, seconds, kept rows).

    Raises ValueError where lengths do not agree.
    """
    sizes = [len(request[2]) for request in requests]
    names = list(requests[0][0])
    identifiers = list(chain.from_iterable(request[2] for request in requests))
    own = [
        pa.array(identifiers, pa.string()),
        pa.array(np.fromiter(map(milliseconds, identifiers), "int64", len(identifiers)).view("datetime64[ms]"), AT),
        pa.array(np.repeat(np.array([request[3] for request in requests], "int32"), sizes)),
        pa.array([request[4] for request in requests]).take(pa.array(np.repeat(np.arange(len(sizes)), sizes))),
        _seconds([request[5] for request in requests], sizes),
    ]
    columns = [joined([_flat(request[1]) for request in requests])]
    columns += [joined([request[0][name] for request in requests]) for name in names]
    batch = pa.record_batch([*own, *columns], [*OWN.names, "output", *(INPUTS + name for name in names)])
    if any(request[6] is not None for request in requests):
        kept = [np.ones(size, bool) if request[6] is None else request[6] for request, size in zip(requests, sizes, strict=True)]
        batch = batch.filter(pa.array(np.concatenate(kept)))
    return batch


def joined(parts: Sequence[Any]) -> pa.Array:
    """The values of all parts (lists, NumPy or Arrow arrays, series), one after another, as one Arrow array."""
    if len(parts) == 1:
        return column(parts[0])
    kinds = set(map(type, parts))
    if kinds == {np.ndarray} and len({part.dtype for part in parts}) == 1:
        return column(np.concatenate(parts))
    if kinds <= {list, tuple}:
        return column(list(chain.from_iterable(parts)))
    arrays = [column(part) for part in parts]
    kind = wider(array.type for array in arrays)
    return pa.concat_arrays([cast(array, kind) for array in arrays])


def column(values: Any) -> pa.Array:
    """Values as an Arrow array; what Arrow has no type for becomes text."""
    if isinstance(values, np.ndarray) and values.ndim > 1:
        values = list(values)
    try:
        array = values if isinstance(values, (pa.Array, pa.ChunkedArray)) else pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array([None if value is None else text(value) for value in values], pa.string())
    if isinstance(array, pa.ChunkedArray):  # of a pandas column that was joined from several
        array = array.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    return array.cast(pa.string()) if array.type in (pa.large_string(), pa.string_view()) else array


def text(value: Any) -> str:
    """A value as text: JSON where it is no text itself, so that a list or mapping stays readable."""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def wider(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """The narrowest type that holds the values of all: of whole numbers and fractions the fraction, of what does not go together text."""
    found = pa.null()
    for kind in kinds:
        if kind == found or pa.types.is_null(kind):
            continue
        if pa.types.is_null(found):
            found = kind
            continue
        try:
            both = [pa.schema([("x", found)]), pa.schema([("x", kind)])]
            found = pa.unify_schemas(both, promote_options="permissive").field(0).type
        except pa.ArrowException:
            found = pa.string()
    return found


def unified(schemas: Iterable[pa.Schema]) -> pa.Schema:
    """One schema for the rows of all: every column that one of them has, with the type that holds all its values."""
    kinds: dict[str, list[pa.DataType]] = {}
    for schema in schemas:
        for field in schema:
            kinds.setdefault(field.name, []).append(field.type)
    return pa.schema([(name, wider(found)) for name, found in kinds.items()])


def fitted(batch: Any, schema: pa.Schema) -> Any:
    """A batch or table with the columns and types of a schema; null where it has no such column."""
    if batch.schema.equals(schema):
        return batch
    present = set(batch.schema.names)
    kind = type(batch)
    columns = [
        cast(batch.column(field.name), field.type) if field.name in present else pa.nulls(batch.num_rows, field.type) for field in schema
    ]
    return kind.from_arrays(columns, schema=schema)


def cast(array: Any, kind: pa.DataType) -> Any:
    """An array as a type that `wider` gave: what cannot be converted becomes text."""
    if array.type == kind:
        return array
    try:
        return array.cast(kind, safe=False)
    except pa.ArrowException:
        return pa.array([None if value is None else text(value) for value in array.to_pylist()], pa.string())


def _flat(output: Any) -> Any:
    """A model's output as one column: a mapping of names becomes a struct, rows of a 2-D array lists."""
    if isinstance(output, Mapping) or hasattr(output, "columns"):
        columns = by_name(output)
        arrays = [column(values) for values in columns.values()]
        return arrays[0] if len(arrays) == 1 else pa.StructArray.from_arrays(arrays, list(columns))
    if isinstance(output, np.ndarray) and output.ndim == 2:
        output = np.ascontiguousarray(output)
        offsets = np.arange(0, output.size + 1, output.shape[1] or 1, dtype="int32")[: len(output) + 1]
        return pa.ListArray.from_arrays(pa.array(offsets), column(output.ravel()))
    return output


def _seconds(given: Sequence[Any], sizes: Sequence[int]) -> pa.Array:
    """How long each row took, from one number (or None) for each request, or one for each row."""
    if all(value is None or isinstance(value, (int, float)) for value in given):
        values = np.repeat(np.array([np.nan if value is None else value for value in given], "float32"), sizes)
    else:
        parts = [np.broadcast_to(np.nan if value is None else value, size) for value, size in zip(given, sizes, strict=True)]
        values = np.concatenate(parts).astype("float32")
    return pa.array(values, from_pandas=True)
