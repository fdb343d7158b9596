"""A model's signature as the service uses it: which columns a row has, of which types, and how values become arrays of exactly these.

Types are MLflow's: boolean, integer (32 bits), long (64), float (32), double (64), string, binary, datetime, and any. Values are what JSON
gives. A value of another type is refused with the name of its column, never changed.

A few rows stay rows. Many become Arrow columns, each checked and converted as a whole; where a column is not well as it stands, its rows
are looked at one by one, which finds the one that is to blame.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from .refusals import Refusal, bad, shown

_NOTHING = type(None)
_BOUNDS = {"integer": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
_TAKES: Mapping[str, frozenset[type]] = {
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "long": frozenset({int}),
    "float": frozenset({float, int, _NOTHING}),
    "double": frozenset({float, int, _NOTHING}),
    "string": frozenset({str, _NOTHING}),
}
_DTYPES: Mapping[str, Any] = {"boolean": np.bool_, "integer": np.int32, "long": np.int64, "float": np.float32, "double": np.float64}
_ARROW: Mapping[str, pa.DataType] = {
    "boolean": pa.bool_(), "integer": pa.int32(), "long": pa.int64(), "float": pa.float64(), "double": pa.float64(), "string": pa.string(),
}  # fmt: skip
_WORDS = {
    "boolean": "true or false", "integer": "a whole number of 32 bits", "long": "a whole number", "float": "a number", "double": "a number",
    "string": "a text", "binary": "a text in base64", "datetime": "a time such as 2024-01-31T12:00:00",
}  # fmt: skip
_MOST_PATTERNS = 1_024
_MANY = 32
"""From so many rows on, a table is made of them: below, what a column costs at all is more than it saves."""
Row = Sequence[Any]
Found: TypeAlias = list[Row] | pa.RecordBatch
"""What was read of a request: its rows, or many of them as a table with the model's columns."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the model's input. `type` is MLflow's name of it; one that is not `required` may be left out of a request."""

    name: str
    type: str
    required: bool = True

    @property
    def nullable(self) -> bool:
        """Whether a value may be missing: whole numbers and booleans have no such value."""
        return self.type in ("float", "double", "string", "datetime") or self.type not in _WORDS


class Columns:
    """The columns of a model that takes a table; `named` tells whether the model knows their names, or only their places."""

    def __init__(self, columns: Iterable[Column], *, named: bool = True) -> None:
        self.columns = tuple(columns)
        self.names = tuple(column.name for column in self.columns)
        self.places = {name: place for place, name in enumerate(self.names)}
        self.named = named
        self.dtype = self._one_dtype()
        """The NumPy type that all columns share; None where they do not."""
        get = itemgetter(*self.names) if self.names else tuple
        self._get = get if len(self.names) != 1 else lambda record: (get(record),)
        # What was found well once need not be looked at again: rows come with the same types over and over.
        self._patterns: set[tuple[type, ...]] = set()
        self._orders: dict[tuple[str, ...], tuple[int | None, ...] | None] = {}
        self._whole = tuple((place, *_BOUNDS[column.type]) for place, column in enumerate(self.columns) if column.type in _BOUNDS)
        self._plain = all(column.type in _TAKES for column in self.columns)

    def from_split(self, names: Sequence[str] | None, data: Sequence[Any]) -> Found:
        """Rows whose columns are named by `names`, in any order; None: they are in the model's order."""
        order = None if names is None else self._order(names)
        if order is None:
            return self.checked(data)
        wanted = len(names or ())
        lists = _turned(data, wanted) if len(data) >= _MANY else None
        table = None if lists is None else self.table([None if place is None else lists[place] for place in order], len(data))
        if table is not None:
            return table
        for place, row in enumerate(data):
            if type(row) is not list or len(row) != wanted:
                raise bad(f"Row {place} must be a list of {wanted} values, one for each of the columns.")
        return self._one_by_one([[None if place is None else row[place] for place in order] for row in data])

    def from_records(self, records: Sequence[Any]) -> Found:
        """Rows that are mappings of names to values; further names are left out, as MLflow does."""
        try:
            return self.checked(list(map(self._get, records)))
        except (KeyError, TypeError, IndexError):
            return self.checked([self._record(place, record) for place, record in enumerate(records)])

    def from_columns(self, columns: Mapping[str, Any]) -> Found:
        """Rows of columns, each a list or an Arrow array; all of the same length."""
        if not any(isinstance(values, (list, pa.Array)) for values in columns.values()):
            return self.from_records([columns])
        for name, values in columns.items():
            if not isinstance(values, (list, pa.Array)) and name in self.places:
                raise bad(f"Column {name!r} must be a list of values, as the others are.")
        order = self._order(tuple(columns))
        given = list(columns.values())
        lists = given if order is None else [None if place is None else given[place] for place in order]
        length = len(next((values for values in lists if values is not None), ()))
        for column, values in zip(self.columns, lists, strict=True):
            if values is not None and len(values) != length:
                raise bad(f"Column {column.name!r} has {len(values)} values where others have {length}: give one for each row.")
        table = self.table(lists, length) if length >= _MANY else None
        if table is not None:
            return table
        plain = (values.to_pylist() if isinstance(values, pa.Array) else values or [None] * length for values in lists)
        return self._one_by_one(list(zip(*plain, strict=True)))

    def checked(self, rows: Sequence[Any]) -> Found:
        """The rows, if each has a value of the right type for every column. Raises Refusal with the column's name."""
        lists = _turned(rows, len(self.names)) if len(rows) >= _MANY else None
        table = None if lists is None else self.table(lists, len(rows))
        return self._one_by_one(rows) if table is None else table

    def table(self, lists: Sequence[Any], length: int) -> pa.RecordBatch | None:
        """A table of the values of each column, in the model's order (None: it was left out); None where not all are right as they are."""
        if not self._plain:
            return None
        arrays = []
        for column, values in zip(self.columns, lists, strict=True):
            kind = _ARROW[column.type]
            try:
                if values is None:
                    array = pa.nulls(length, kind)
                elif isinstance(values, pa.Array):
                    array = values.cast(kind) if _may_become(values.type, kind) else None
                else:
                    array = pa.array(values, kind) if _TAKES[column.type].issuperset(map(type, values)) else None
            except (pa.ArrowException, ValueError, OverflowError):  # a number that Arrow would have to round, a text that is none
                return None
            if array is None or (array.null_count and not column.nullable):
                return None
            arrays.append(array)
        return pa.record_batch(arrays, list(self.names))

    def _one_by_one(self, rows: Sequence[Any]) -> list[Row]:
        patterns, width = self._patterns, len(self.names)
        found: list[Row] = list(rows)
        for place, row in enumerate(found):
            if (type(row) is not list and type(row) is not tuple) or len(row) != width:
                raise bad(f"Row {place} must be a list of {width} values, one for each of the columns {_listed(self.names)}.")
            if (pattern := tuple(map(type, row))) not in patterns:
                found[place] = row = self._mended(place, row)
                if self._plain and len(patterns) < _MOST_PATTERNS and tuple(map(type, row)) == pattern:
                    patterns.add(pattern)
            for number, least, most in self._whole:
                if not least <= row[number] <= most:
                    raise self._wrong(place, self.columns[number], row[number])
        return found

    def array(self, found: Found) -> np.ndarray[Any, Any]:
        """The rows as one array, of a model whose columns share a type."""
        with np.errstate(over="ignore"):  # what is too large for 32 bits is infinite in them, and the model says whether it takes that
            if isinstance(found, pa.RecordBatch):
                return np.column_stack([column.to_numpy(zero_copy_only=False) for column in found.columns]).astype(self.dtype, copy=False)
            return np.array(found, dtype=self.dtype)

    def arrays(self, found: Found) -> dict[str, Any]:
        """The rows as columns: NumPy arrays of the signature's types, texts as pandas has them."""
        if isinstance(found, pa.RecordBatch):
            return {column.name: _from_arrow(column, values) for column, values in zip(self.columns, found.columns, strict=True)}
        return {column.name: _array(column, values) for column, values in zip(self.columns, zip(*found, strict=True), strict=True)}

    def _one_dtype(self) -> Any:
        kinds = {column.type for column in self.columns}
        return _DTYPES.get(next(iter(kinds))) if len(kinds) == 1 else None

    def _order(self, names: Sequence[str]) -> tuple[int | None, ...] | None:
        """Where each column of the model is in a request that names its columns so; None: in the same place."""
        try:
            key = tuple(names)
            if key in self._orders:
                return self._orders[key]
        except TypeError:
            raise bad("The columns must be a list of texts.") from None
        if key == self.names:
            order = None
        else:
            there = {name: place for place, name in enumerate(key)}
            if len(there) != len(key):
                raise bad(f"Column {next(name for name in key if key.count(name) > 1)!r} is there twice: give each column once.")
            self._missing(there)
            order = tuple(there.get(name) for name in self.names)
        if len(self._orders) < _MOST_PATTERNS:
            self._orders[key] = order
        return order

    def _missing(self, there: Any) -> None:
        for column in self.columns:
            if column.name not in there and (column.required or not column.nullable):
                raise bad(f"Column {column.name!r} ({column.type}) is missing: the model needs the columns {_listed(self.names)}.")

    def _record(self, place: int, record: Any) -> Row:
        if not isinstance(record, dict):
            raise bad(f"Row {place} must be an object that maps columns to values, not {shown(record)}.")
        self._missing(record)
        return [record.get(name) for name in self.names]

    def _mended(self, place: int, row: Row) -> Row:
        """The row with values as the types of its columns need them: a whole number may come as 3.0."""
        return [self._value(place, column, value) for column, value in zip(self.columns, row, strict=True)]

    def _value(self, place: int, column: Column, value: Any) -> Any:
        kind = type(value)
        takes = _TAKES.get(column.type)
        if takes is not None:
            if kind in takes:
                return value
            if kind is float and int in takes and value.is_integer():
                return int(value)
        elif column.type == "datetime":
            return None if value is None else self._time(place, column, value)
        elif column.type == "binary":
            try:
                return base64.b64decode(value, validate=True)
            except (TypeError, ValueError, binascii.Error):
                raise self._wrong(place, column, value) from None
        else:
            return value
        raise self._wrong(place, column, value)

    def _time(self, place: int, column: Column, value: Any) -> np.datetime64:
        try:
            time = dt.datetime.fromisoformat(value)
            if time.tzinfo is None and 1678 <= time.year <= 2261:
                return np.datetime64(value, "ns")
        except (TypeError, ValueError):
            pass
        raise self._wrong(place, column, value)

    def _wrong(self, place: int, column: Column, value: Any) -> Refusal:
        told = "nothing, and has no missing values" if value is None else shown(value)
        return bad(f"Column {column.name!r} in row {place} must be {_WORDS[column.type]} ({column.type}), not {told}.")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input that is an array: `shape` has -1 where any length will do."""

    name: str
    dtype: Any
    shape: tuple[int, ...]

    def array(self, value: Any) -> np.ndarray[Any, Any]:
        """The nested lists of a request as an array of this type and shape. Raises Refusal."""
        called = f"Input {self.name!r}" if self.name else "The input"
        try:
            found = np.array(value)
        except (ValueError, TypeError, OverflowError):
            raise bad(f"{called} must be an array: its lists have different lengths.") from None
        kind, wanted = found.dtype.kind, self.dtype.kind
        if kind == "O" and wanted == "f" and _only_numbers(value):
            found, kind = np.array(value, dtype=np.float64), "f"  # null stands for a missing number
        fits = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "O": "OUfiub", "U": "U", "S": "U"}.get(wanted, wanted)
        if kind == "f" and wanted in "iu" and bool(np.all(np.isfinite(found) & (found == np.floor(found)))):
            kind = "i"
        if kind not in fits:
            raise bad(f"{called} must be an array of {self.dtype}, which {shown(_first(value))} is not.")
        if wanted in "iu" and found.size:
            bounds = np.iinfo(self.dtype)
            if int(found.min()) < bounds.min or int(found.max()) > bounds.max:
                raise bad(f"{called} has numbers beyond those of {self.dtype}.")
        shape = self.shape
        if found.ndim + 1 == len(shape) and (shape[0] in (-1, 1)) and shape[1:] == found.shape:
            found = found[np.newaxis]
        if found.ndim != len(shape) or any(want not in (-1, have) for want, have in zip(shape, found.shape, strict=True)):
            raise bad(f"{called} must be an array of the shape {_shape(shape)}, not {_shape(found.shape)}.")
        return found.astype(self.dtype)


@dataclass(frozen=True, slots=True)
class Schema:
    """What a model takes: `columns` (a table), `tensors` (arrays, by name where there are several), or neither: anything goes."""

    columns: Columns | None = None
    tensors: tuple[Tensor, ...] = ()


def schema_of(inputs: Sequence[Mapping[str, Any]]) -> Schema:
    """The schema in MLflow's own form, which is a list of columns or of tensors."""
    if not inputs:
        return Schema()
    if any(item.get("type") == "tensor" for item in inputs):
        return Schema(tensors=tuple(_tensor(item) for item in inputs))
    named = all(item.get("name") is not None for item in inputs)
    columns = (
        Column(str(item["name"]) if named else str(place), str(item.get("type", "any")), bool(item.get("required", True)))
        for place, item in enumerate(inputs)
    )
    return Schema(columns=Columns(columns, named=named))


def _tensor(item: Mapping[str, Any]) -> Tensor:
    told = item.get("tensor-spec", {})
    dtype = str(told.get("dtype", "object"))
    return Tensor(str(item.get("name") or ""), np.dtype(object if dtype in ("str", "object") else dtype), tuple(told.get("shape", (-1,))))


def _turned(rows: Sequence[Any], width: int) -> list[tuple[Any, ...]] | None:
    """The columns of rows that are lists with so many values each; None where they are not."""
    if not {list, tuple}.issuperset(map(type, rows)):
        return None
    try:
        columns = list(zip(*rows, strict=True))
    except ValueError:
        return None
    return columns if len(columns) == width else None


def _may_become(have: pa.DataType, want: pa.DataType) -> bool:
    """Whether a column of a CSV file, as its reader has it, may be one of the model's."""
    if pa.types.is_string(want):
        return bool(pa.types.is_string(have) or pa.types.is_large_string(have))
    return bool(have == want or (pa.types.is_int64(have) and not pa.types.is_boolean(want)))


def _from_arrow(column: Column, values: pa.Array) -> Any:
    if column.type != "string":
        with np.errstate(over="ignore"):
            return values.to_numpy(zero_copy_only=False).astype(_DTYPES[column.type], copy=False)
    import pandas as pd

    dtype = _text_dtype()
    # With texts as objects, a missing one is None among them, as it is in rows.
    return values.to_numpy(zero_copy_only=False) if isinstance(dtype, np.dtype) else pd.array(values, dtype=dtype)


def _array(column: Column, values: Sequence[Any]) -> Any:
    dtype = _DTYPES.get(column.type)
    if dtype is not None:
        return np.array(values, dtype=dtype)
    import pandas as pd

    if column.type == "string":
        return pd.array(values, dtype=_text_dtype())
    if column.type == "datetime":
        return np.array(["NaT" if value is None else value for value in values], dtype="datetime64[ns]")
    return pd.Series(list(values), dtype=object if column.type == "binary" else None)


def _text_dtype() -> Any:
    """What pandas makes of texts: its own type from version 3 on, objects before."""
    import pandas as pd

    return pd.Series([""]).dtype


def _only_numbers(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_only_numbers, value))
    return value is None or type(value) in (int, float)


def _first(value: Any) -> Any:
    while isinstance(value, list) and value:
        value = value[0]
    return value


def _shape(shape: Sequence[int]) -> str:
    return f"({', '.join('any' if size == -1 else str(size) for size in shape)})"


def _listed(names: Sequence[str]) -> str:
    told = ", ".join(shown(name) for name in names[:12])
    return told if len(names) <= 12 else f"{told} and {len(names) - 12} more"
