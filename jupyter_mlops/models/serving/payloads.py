"""The bodies of requests in MLflow's formats: dataframe_split, dataframe_records, instances, inputs, and CSV.

What MLflow's own clients send is read, NaN included; what cannot be understood is refused with a sentence, and costs little.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice, repeat
from typing import Any

import orjson
import pyarrow as pa

from .options import Limits
from .refusals import Refusal, bad, shown, too_large
from .schema import Columns, Found, Row, Schema

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_ONE_OF = "Send a JSON object with exactly one of dataframe_split, dataframe_records, instances and inputs"


@dataclass(slots=True)
class Payload:
    """What one request asks to be predicted: `rows` of the model's columns, many of them as a `table`, or else `value`.

    `value` is an array, arrays by name, or a frame. `count` is the number of rows.
    """

    count: int
    rows: list[Row] | None = None
    table: pa.RecordBatch | None = None
    value: Any = None

    @classmethod
    def of(cls, found: Found) -> Payload:
        """The payload of what the model's columns made of a request."""
        return cls(len(found), rows=found) if isinstance(found, list) else cls(found.num_rows, table=found)

    def as_rows(self) -> list[Row]:
        """The rows, whichever way they are held; none where the payload is a value."""
        if self.table is None:
            return self.rows or []
        return list(zip(*(column.to_pylist() for column in self.table.columns), strict=True))


def read(body: bytes, content_type: str, schema: Schema, limits: Limits) -> Payload:
    """The payload of a request to /invocations. Raises Refusal."""
    if content_type == "application/json":
        return from_json(decoded(body, limits), schema, limits)
    kind, _, rest = content_type.partition(";")
    _check_charset(rest)
    kind = kind.strip().lower()
    if kind == "application/json":
        return from_json(decoded(body, limits), schema, limits)
    if kind == "text/csv":
        return _from_csv(body, schema, limits)
    raise Refusal(415, "BAD_REQUEST", f"Send application/json or text/csv, not {shown(kind)}.")


def decoded(body: bytes, limits: Limits) -> dict[str, Any]:
    """The JSON object of a body. NaN and infinities are read where they are written, which JSON proper has not. Raises Refusal."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        # pandas and MLflow write these words for missing numbers; a body without them gains nothing from another parser.
        if b"NaN" not in body and b"Infinity" not in body:
            raise bad(f"The body is not JSON: {error}.") from None
        found = _with_nan(body)
    if type(found) is not dict:
        raise bad(f"{_ONE_OF}, not {shown(found)}.")
    if _deeper(found, limits.depth):
        raise bad(f"The body is nested deeper than {limits.depth} levels.")
    return found


def from_json(told: dict[str, Any], schema: Schema, limits: Limits) -> Payload:
    """The payload of a decoded body. Raises Refusal."""
    given = [name for name in FORMATS if name in told]
    if len(given) != 1:
        raise bad(f"{_ONE_OF}; there {'are ' + ' and '.join(given) if given else 'is none of them'}.")
    params = told.get("params")
    if params is not None and type(params) is not dict:
        raise bad(f"The params must be an object, not {shown(params)}.")
    name = given[0]
    value = told[name]
    if name == "dataframe_split":
        found = _from_split(value, schema, limits)
    elif name == "dataframe_records":
        if type(value) is not list:
            raise bad(f"dataframe_records must be a list of objects, one for each row, not {shown(value)}.")
        found = _from_rows(value, schema, limits)
    else:
        found = _from_any(name, value, schema, limits)
    if not found.count:
        raise bad(f"{name} has no rows: send at least one.")
    return found


def rows_allowed(count: int, limits: Limits) -> None:
    """Raises Refusal where a request has too many rows."""
    if count > limits.rows:
        raise too_large(f"The request has {count} rows, and at most {limits.rows} are answered at once: send several requests.")


def _from_split(value: Any, schema: Schema, limits: Limits) -> Payload:
    if type(value) is not dict or type(value.get("data")) is not list:
        raise bad('dataframe_split must be an object such as {"columns": ["a", "b"], "data": [[1, 2]]}.')
    if value.keys() - {"columns", "data", "index"}:
        raise bad("dataframe_split has only columns, data and index.")
    data, names, index = value["data"], value.get("columns"), value.get("index")
    rows_allowed(len(data), limits)
    if names is not None and type(names) is not list:
        raise bad(f"The columns must be a list of texts, not {shown(names)}.")
    if index is not None and (type(index) is not list or len(index) != len(data)):
        raise bad(f"The index must be a list with one entry for each of the {len(data)} rows.")
    if schema.columns is not None:
        return Payload.of(schema.columns.from_split(names, data))
    if schema.tensors:
        return _tensors(data if len(schema.tensors) == 1 else _by_name(names, data), schema)
    return _frame(data, names, limits)


def _from_rows(value: list[Any], schema: Schema, limits: Limits) -> Payload:
    rows_allowed(len(value), limits)
    if schema.columns is not None:
        return Payload.of(schema.columns.from_records(value))
    if not all(type(row) is dict for row in value):
        raise bad("Each row must be an object that maps columns to values.")
    if schema.tensors:
        names = [tensor.name for tensor in schema.tensors]
        if names == [""]:
            return _tensors([list(row.values()) for row in value], schema)
        return _tensors({name: [row[name] for row in value if name in row] for name in names}, schema)
    return _frame(value, None, limits)


def _from_any(name: str, value: Any, schema: Schema, limits: Limits) -> Payload:
    """`instances` are rows and `inputs` columns, or an array; as TensorFlow Serving has them."""
    if type(value) is list:
        rows_allowed(len(value), limits)
        if value and type(value[0]) is dict:
            return _from_rows(value, schema, limits)
    if schema.columns is not None:
        return Payload.of(_tabular(name, value, schema.columns, limits))
    if schema.tensors:
        return _tensors(value, schema)
    if type(value) is dict:
        if any(type(item) is not list for item in value.values()):
            return _frame([value], None, limits)
        return _frame(value, None, limits)
    if type(value) is not list:
        raise bad(f"{name} must be a list or an object, not {shown(value)}.")
    try:
        array = _rectangular(value)
    except ValueError:
        raise bad(f"{name} must be an array: its lists have different lengths.") from None
    return Payload(len(array), value=array)


def _tabular(name: str, value: Any, columns: Columns, limits: Limits) -> Found:
    if type(value) is dict:
        for column in value.values():
            if type(column) is list:
                rows_allowed(len(column), limits)
        return columns.from_columns(value)
    if type(value) is not list:
        value = [value]
    if len(columns.names) == 1 and (not value or type(value[0]) is not list):
        return columns.checked([(item,) for item in value])
    if value and type(value[0]) is not list:
        raise bad(f"{name} must be a list of rows, or an object that maps columns to lists of values.")
    return columns.checked(value)


def _tensors(value: Any, schema: Schema) -> Payload:
    tensors = schema.tensors
    if len(tensors) == 1 and not (type(value) is dict and tensors[0].name in value):
        if type(value) is dict:
            raise bad(f"Send an array{f' named {tensors[0].name!r}' if tensors[0].name else ''}, not an object.")
        array = tensors[0].array(value)
        return Payload(_length(array), value={tensors[0].name: array} if tensors[0].name else array)
    if type(value) is not dict:
        raise bad(f"Send an object with an array for each of {', '.join(repr(tensor.name) for tensor in tensors)}.")
    for tensor in tensors:
        if tensor.name not in value:
            raise bad(f"Input {tensor.name!r} is missing.")
    arrays = {tensor.name: tensor.array(value[tensor.name]) for tensor in tensors}
    lengths = {_length(array) for array in arrays.values()}
    if len(lengths) != 1:
        raise bad("The inputs must have the same number of rows.")
    return Payload(lengths.pop(), value=arrays)


def _length(array: Any) -> int:
    return len(array) if array.ndim else 1


def _by_name(names: Sequence[Any] | None, data: list[Any]) -> dict[str, Any]:
    if not names or any(type(row) is not list or len(row) != len(names) for row in data):
        raise bad("Name the columns, and give a value for each of them in every row.")
    return {str(name): [row[place] for row in data] for place, name in enumerate(names)}


def _frame(data: Any, names: Sequence[Any] | None, limits: Limits) -> Payload:
    """A table of a model that has no signature, as pandas makes it of the values."""
    import pandas as pd

    try:
        frame: Any = pd.DataFrame(data, columns=names)  # type: ignore[arg-type]  # names of any kind are columns
    except Exception as error:  # pandas raises what its inference raises
        raise bad(f"The rows do not make a table: {' '.join(str(error).split())[:200]}.") from None
    if len(frame.columns) > limits.columns:
        raise too_large(f"The request has more than {limits.columns} columns.")
    return Payload(len(frame), value=frame)


def _rectangular(value: list[Any]) -> Any:
    import numpy as np

    return np.array(value)


def _from_csv(body: bytes, schema: Schema, limits: Limits) -> Payload:
    import pandas as pd

    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise bad("The CSV is not UTF-8.") from None
    try:
        header, first = islice(chain(csv.reader(io.StringIO(text)), repeat([])), 2)
    except csv.Error as error:
        raise bad(f"The CSV cannot be read: {error}.") from None
    if len(header) > limits.columns:
        raise too_large(f"The CSV has more than {limits.columns} columns.")
    if len(first) > len(header):
        # pandas would make an index of so many levels, which takes seconds.
        raise bad(f"The first row of the CSV has {len(first)} values for {len(header)} columns: send the names of all columns.")
    texts = {column.name: str for column in schema.columns.columns if column.type not in _NUMBERS} if schema.columns else None
    try:
        # To the last bit: before 3.1, pandas is quicker, and wrong in the last digit, when nothing is said.
        exact: dict[str, Any] = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
        frame = pd.read_csv(io.StringIO(text), dtype=texts, **exact)
    except Exception as error:  # the parser raises what it likes
        raise bad(f"The CSV cannot be read: {' '.join(str(error).split())[:200]}.") from None
    rows_allowed(len(frame), limits)
    if not len(frame):
        raise bad("The CSV has no rows: send the names of the columns and at least one row.")
    if schema.columns is None:
        return _tensors(frame.to_numpy().tolist(), schema) if schema.tensors else Payload(len(frame), value=frame)
    kinds = {column.name: column.type for column in schema.columns.columns}
    return Payload.of(schema.columns.from_columns({str(name): _csv_column(frame[name], kinds.get(str(name))) for name in frame.columns}))


def _csv_column(values: Any, kind: str | None) -> Any:
    """A column as pandas read it, as an Arrow array or a list: an empty field of a number is NaN, of anything else nothing."""
    if kind is None:
        return None
    is_number = kind in ("float", "double")
    try:
        found = pa.array(values, from_pandas=not is_number)
    except (pa.ArrowException, ValueError, OverflowError):  # values of several types
        return [None if item != item and not is_number else item for item in values.tolist()]
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


_NUMBERS = frozenset({"boolean", "integer", "long", "float", "double"})


def _check_charset(parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if not name:
            continue
        if name.lower() != "charset":
            raise Refusal(415, "BAD_REQUEST", f"The content type has a parameter {shown(name)} that is not known here.")
        if value.strip().strip('"').lower() not in ("utf-8", "utf8", "us-ascii"):
            raise Refusal(415, "BAD_REQUEST", f"Send the body in UTF-8, not in {shown(value)}.")


def _with_nan(body: bytes) -> Any:
    try:
        found = json.loads(body.decode("utf-8"), parse_int=_whole)
        if b"\\ud" in body or b"\\uD" in body:
            orjson.dumps(found)  # refuses halves of characters, as its parser does
    except RecursionError:
        raise bad("The body is nested too deeply.") from None
    except (ValueError, TypeError) as error:
        raise bad(f"The body is not JSON: {' '.join(str(error).split())[:200]}.") from None
    return found


def _whole(text: str) -> int | float:
    """A whole number, as orjson reads it: what does not fit into 64 bits is a float."""
    if len(text) > 40:
        return float(text)
    number = int(text)
    return number if -(2**63) <= number < 2**64 else float(number)


def _deeper(value: Any, levels: int) -> bool:
    """Whether a value is nested deeper than so many levels. Only first items are looked into: lists of one kind hold the same within."""
    level = [value]
    for _ in range(levels):
        level = [
            item
            for value in level
            for item in (value.values() if type(value) is dict else value[:1])
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return True
