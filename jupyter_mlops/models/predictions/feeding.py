"""What a model is fed in batches: data in chunks, each as the model's signature wants it, or refused with the name of the column.

The types are those that the prediction service gives the model for the same values, so that both predict the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ..validation.data import data_of, frame_of

if TYPE_CHECKING:
    import pandas as pd

    from ...store.objects import ObjectStore

CHUNK_ROWS = 50_000
_DTYPES = {"integer": "int32", "long": "int64", "float": "float32", "double": "float64"}
_WORDS = {
    "boolean": "true or false", "integer": "a whole number of 32 bits", "long": "a whole number", "float": "a number", "double": "a number",
    "string": "a text", "datetime": "a time without a zone",
}  # fmt: skip
_NULLABLE = ("float", "double", "string", "datetime")


def chunks(given: Any, inputs: Sequence[Mapping[str, Any]], objects: ObjectStore | None = None) -> Iterator[pd.DataFrame]:
    """The rows of data as frames of at most `CHUNK_ROWS`. Parquet, CSV and JSON lines are read piece by piece, however large they are.

    Raises what `data_of` does.
    """
    path = Path(given).expanduser() if isinstance(given, (str, Path)) and "://" not in str(given) else None
    form = path.suffix.lower() if path is not None and path.exists() else ""
    try:
        if path is not None and (form in (".parquet", ".pq") or (path.is_dir() and any(path.rglob("*.parquet")))):
            yield from _of_parquet(path)
            return
        if path is not None and form in (".csv", ".jsonl", ".ndjson"):
            yield from _of_text(path, form, inputs)
            return
    except (ValueError, OSError) as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"{given} cannot be read as a table ({type(error).__name__}: {told}): check the file.") from None
    frame = data_of(given, objects).frame
    for start in range(0, max(len(frame), 1), CHUNK_ROWS):
        yield frame.iloc[start : start + CHUNK_ROWS]


def fed(frame: pd.DataFrame, inputs: Sequence[Mapping[str, Any]], first: int = 0) -> Any:
    """A chunk as the model takes it: a frame with the columns of its signature, or an array. `first` is the place of its first row.

    Raises DataError that names the column, and the row counted from 0.
    """
    import pandas as pd

    if not inputs:
        return frame
    if any(item.get("type") == "tensor" for item in inputs):
        return _tensor(frame, inputs)
    named = all(item.get("name") is not None for item in inputs)
    if not named:
        if frame.shape[1] != len(inputs):
            raise DataError(
                f"The model takes {len(inputs)} columns, and the data has {frame.shape[1]}: give exactly those, in their order."
            )
        columns = [_typed(frame.iloc[:, place], str(item.get("type", "any")), first) for place, item in enumerate(inputs)]
        return pd.DataFrame(dict(enumerate(columns)))
    frame = frame.rename(columns=str)
    found: dict[str, Any] = {}
    for item in inputs:
        name, kind = str(item["name"]), str(item.get("type", "any"))
        if name in frame.columns:
            found[name] = _typed(frame[name], kind, first)
        elif item.get("required", True) or (kind in _WORDS and kind not in _NULLABLE):
            told = ", ".join(map(repr, list(frame.columns)[:12]))
            raise DataError(f"Column {name!r} ({kind}) is missing: the model needs it, and the data has {told or 'no columns'}.")
        else:
            empty = pd.Series([None] * len(frame), dtype=object)
            found[name] = _typed(empty, kind, first)
    return pd.DataFrame(found, copy=False)


def _of_parquet(path: Path) -> Iterator[pd.DataFrame]:
    from pyarrow import dataset, parquet

    if path.is_dir():
        batches = dataset.dataset(path, format="parquet").to_batches(batch_size=CHUNK_ROWS, batch_readahead=2)
    else:
        batches = parquet.ParquetFile(path).iter_batches(batch_size=CHUNK_ROWS)
    empty = True
    for batch in batches:
        if batch.num_rows:
            empty = False
            yield batch.to_pandas()
    if empty:
        yield frame_of(dataset.dataset(path, format="parquet").schema.empty_table())


def _of_text(path: Path, form: str, inputs: Sequence[Mapping[str, Any]]) -> Iterator[pd.DataFrame]:
    import pandas as pd

    texts = {str(item["name"]): str for item in inputs if item.get("type") == "string" and item.get("name") is not None}
    if form == ".csv":
        yield from pd.read_csv(path, chunksize=CHUNK_ROWS, dtype=texts)
    else:
        yield from pd.read_json(path, lines=True, chunksize=CHUNK_ROWS, dtype=texts or None)


def _typed(values: Any, kind: str, first: int) -> Any:
    """A column as its type in the signature says. Raises DataError."""
    import numpy as np
    import pandas as pd

    if kind not in _WORDS:
        return values.reset_index(drop=True)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(values.cat.categories.dtype)
    missing = values.isna()
    if missing.any() and kind not in _NULLABLE:
        raise _wrong(values, kind, int(np.flatnonzero(missing)[0]), first)
    if kind == "string":
        _each(
            values,
            kind,
            first,
            missing,
            lambda value: isinstance(value, str),
            pd.api.types.is_string_dtype(values) and values.dtype != object,
        )
        return values.astype(pd.Series([""]).dtype).reset_index(drop=True)
    if kind == "datetime":
        if not pd.api.types.is_datetime64_dtype(values):
            try:
                values = pd.to_datetime(values.astype(object), format="ISO8601")
            except (ValueError, TypeError):
                raise _wrong(values, kind, int(np.flatnonzero(~missing)[0]), first) from None
            if not pd.api.types.is_datetime64_dtype(values):
                raise _wrong(values, kind, 0, first)
        return values.astype("datetime64[ns]").reset_index(drop=True)
    if kind == "boolean":
        _each(values, kind, first, missing, lambda value: isinstance(value, (bool, np.bool_)), pd.api.types.is_bool_dtype(values))
        return values.to_numpy(dtype=bool)
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    _each(values, kind, first, missing, _is_number, numeric)
    numbers = values.to_numpy(dtype="float64", na_value=np.nan) if values.dtype.kind not in "iu" or missing.any() else values.to_numpy()
    if kind in ("integer", "long"):
        bounds = np.iinfo(_DTYPES[kind])
        bad = (numbers != np.floor(numbers)) | (numbers < bounds.min) | (numbers > bounds.max)
        if bad.any():
            raise _wrong(values, kind, int(np.flatnonzero(bad)[0]), first)
    with np.errstate(over="ignore"):
        return numbers.astype(_DTYPES[kind])


def _is_number(value: Any) -> bool:
    import numbers

    import numpy as np

    return isinstance(value, (numbers.Real, np.number)) and not isinstance(value, (bool, np.bool_))


def _each(values: Any, kind: str, first: int, missing: Any, fits: Any, known: bool) -> None:
    """Look at every value, where the type of the column does not tell it already."""
    if known:
        return
    for place, (value, gone) in enumerate(zip(values, missing, strict=True)):
        if not gone and not fits(value):
            raise _wrong(values, kind, place, first)


def _wrong(values: Any, kind: str, place: int, first: int) -> DataError:
    value = values.iloc[place]
    told = "nothing, and has no missing values" if value is None or value != value else repr(value)[:60]
    return DataError(f"Column {str(values.name)!r} in row {first + place} must be {_WORDS[kind]} ({kind}), not {told}.")


def _tensor(frame: pd.DataFrame, inputs: Sequence[Mapping[str, Any]]) -> Any:
    import numpy as np

    told = inputs[0].get("tensor-spec", {})
    shape = tuple(told.get("shape", (-1,)))
    if len(inputs) > 1 or len(shape) > 2:
        raise DataError("The model takes arrays that no table holds: send them to the service, as `instances` or `inputs`.")
    if len(shape) == 2 and shape[1] not in (-1, frame.shape[1]):
        raise DataError(f"The model takes {shape[1]} columns, and the data has {frame.shape[1]}: give exactly those, in their order.")
    kind = str(told.get("dtype", "object"))
    try:
        array = frame.to_numpy(dtype=np.dtype(object if kind in ("str", "object") else kind))
    except (ValueError, TypeError):
        lacking = next((name for name in frame.columns if frame[name].dtype == object), frame.columns[0])
        raise DataError(f"Column {str(lacking)!r} must be numbers ({kind}), as all that the model takes.") from None
    return array[:, 0] if len(shape) == 1 else array
