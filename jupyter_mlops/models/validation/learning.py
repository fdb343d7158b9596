"""A schema learned from a reference: what the next data of the same source should meet, with slack where a sample tells only so much.

Everything that is learned stands in the file, to be read and changed; what could not be learned is said in notes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import UsageError
from . import bounds
from .expectations import KEY, Expectations, repeated
from .findings import counted, label
from .schemas import Schema, pandera

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_LEAST_ROWS = 20
"""Of fewer rows, only columns and their types are learned: what they lack or repeat says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A schema and what could not be learned."""

    schema: Schema
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class _Column:
    """What was learned of one column: its type as pandera writes it, whether another one is converted, its checks."""

    type: str
    coerce: bool
    nullable: bool
    checks: list[Any]
    unique: bool = False
    missing: float | None = None
    whole: bool = False
    freshness: float | None = None
    note: str = ""


def learn(frame: pd.DataFrame, *, rows: bool = True, name: str = "", now: float | None = None) -> Learned:
    """The schema of a reference: types, missing values, ranges, categories, keys, repeated rows, freshness, and the number of rows.

    `rows` tells whether the number of rows counts: as many as here, give or take a factor of ten. The index of the frame is left out, but
    for times in it. `now` (seconds since the epoch; default: this moment) is what freshness is counted from.
    """
    own = pandera()
    now = time.time() if now is None else now
    frame = frame.loc[:, ~frame.columns.duplicated() & ~_unnamed(frame)]
    enough = len(frame) >= _LEAST_ROWS
    found = {column: _column(frame[column], label(column), own, enough, now) for column in frame.columns}
    freshness = {label(column): item.freshness for column, item in found.items() if item.freshness is not None}
    freshness |= _of_index(frame, now) if enough else {}
    expected = Expectations(
        rows=bounds.rows(len(frame)) if rows and len(frame) else (1, None) if len(frame) else (None, None),
        missing={label(column): item.missing for column, item in found.items() if item.missing is not None},
        freshness=freshness,
        duplicates=_duplicates(frame, found) if enough else None,
        whole=tuple(label(column) for column, item in found.items() if item.whole),
    )
    columns = {
        column: own.Column(item.type, item.checks or None, nullable=item.nullable, unique=item.unique, coerce=item.coerce)
        for column, item in found.items()
    }
    schema = own.DataFrameSchema(columns, metadata={KEY: expected.to_metadata()})
    few = [] if enough else [f"Only types were learned: {counted(len(frame), 'row')} tell no more."]
    notes = (*few, *(f"{label(column)}: {item.note}" for column, item in found.items() if item.note))
    return Learned(schema=Schema(pandera=schema, expected=expected, name=name), notes=notes)


def written(schema: Schema, title: str = "") -> str:
    """A schema as YAML that pandera reads back (`pandera.io.pandas_io.from_yaml`), the expectations beyond pandera's in its metadata."""
    import yaml
    from pandera.io import pandas_io

    plain = pandas_io.serialize_schema(schema.pandera)
    columns = plain.get("columns") or {}
    for column in columns.values() if isinstance(columns, Mapping) else columns:
        _write_plainly(column)
    beyond = schema.expected.to_metadata()
    if beyond:
        plain["metadata"] = {KEY: beyond}
    lines = (title, "A schema of pandera's: edit it freely. `metadata.mlops` has what pandera has no word for.")
    head = "".join(f"# {line}\n" for line in lines if line)
    return head + yaml.safe_dump(_values(plain), sort_keys=False, allow_unicode=True, width=120)


def _unnamed(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Which columns have no name, or one that a schema cannot have: neither text nor whole number, nor a tuple of such."""
    import numpy as np

    def known(name: Any) -> bool:
        return all(map(known, name)) if isinstance(name, tuple) else isinstance(name, (str, int, np.integer))

    return np.array([not known(name) for name in frame.columns], bool)


def write(schema: Schema, out: Path, title: str = "") -> None:
    """Write a schema to a new .yaml file. Raises UsageError as `check_out` does."""
    check_out(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(written(schema, title), "utf-8")


def check_out(out: Path) -> None:
    """Raises UsageError for a file that is there, and for one that is not called .yaml."""
    if out.suffix.lower() not in (".yaml", ".yml"):
        raise UsageError(f"A schema is written as YAML: give --out a name that ends with .yaml, not {out.name}.")
    if out.exists():
        raise UsageError(f"{out} exists already: choose another --out, or remove it first.")


def _write_plainly(column: dict[str, Any]) -> None:
    """A serialised column without what says nothing: the library that holds its texts, and ends that ranges have anyway."""
    if str(column.get("dtype", "")).startswith("string["):
        column["dtype"] = "str"
    spans = [column.get("in_range"), *(check for check in column.get("checks") or () if isinstance(check, dict))]
    for span in spans:
        if isinstance(span, dict) and span.get("include_min") is True and span.get("include_max") is True:
            del span["include_min"], span["include_max"]


def _values(plain: Any) -> Any:
    """Plain values of a serialised schema: NumPy's scalars have no place in YAML."""
    if isinstance(plain, dict):
        return {_values(key): _values(value) for key, value in plain.items()}
    if isinstance(plain, (list, tuple)):
        return [_values(value) for value in plain]
    return plain.item() if hasattr(plain, "item") else plain


# -- one column


def _column(values: pd.Series, name: str, own: Any, enough: bool, now: float) -> _Column:
    """What is learned of a column, by the kind of its type."""
    import pandas as pd

    dtype = values.dtype
    share = float(values.isna().mean()) if len(values) else 0.0
    nullable = share > 0 or not len(values)
    if share == 1 or not len(values):
        return _Column("object", False, True, [], note="it has no values to learn from")
    present = values.dropna()
    if pd.api.types.is_bool_dtype(dtype) or _objects_are(present, "boolean"):
        # The one type of truth values that has a place for missing ones; numbers and texts do not become it by chance.
        found = _Column("boolean", True, nullable, [])
    elif pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c":
        found = _number(present, name, own, nullable, enough)
    elif pd.api.types.is_datetime64_any_dtype(dtype):
        found = _moment(present, own, nullable, enough, now)
    elif isinstance(dtype, pd.CategoricalDtype):
        found = _category(present, own, nullable)
    elif isinstance(dtype, pd.StringDtype) or _objects_are(present, "string"):
        found = _text(present, name, own, nullable, enough, now)
    elif str(dtype) == "object":
        kinds = present.map(lambda value: type(value).__name__).unique().tolist()
        found = _Column("object", False, nullable, [], note=f"it holds {' and '.join(kinds[:3])} objects: no values were learned")
    else:
        found = _Column(str(dtype), False, nullable, [])
    if enough and nullable:
        found.missing = bounds.missing(share, len(values))
    return found


def _objects_are(present: pd.Series, kind: str) -> bool:
    """Whether all values of a column of objects are of a kind, as pandas names kinds."""
    import pandas as pd

    return str(present.dtype) == "object" and pd.api.types.infer_dtype(present, skipna=True) == kind


def _number(present: pd.Series, name: str, own: Any, nullable: bool, enough: bool) -> _Column:
    """Numbers: their range; for keys that each occur once, that they do."""
    kind = present.dtype.kind
    whole = kind in "iu"
    found = _Column(_number_type(present), True, nullable, [], whole=whole)
    if not enough:
        return found
    if whole and bounds.is_key(present, name):
        found.unique = True
        return found
    span = bounds.span(present)
    if span is None:
        found.note = "all its values are the same: no range was learned"
    else:
        found.checks = [own.Check.in_range(*span)]
    return found


def _number_type(present: pd.Series) -> str:
    """The type that is written: what a CSV file gives too, for what is a plain number whatever its width or library."""
    text = str(present.dtype)
    if text.startswith("Sparse") or text.endswith("[pyarrow]"):
        return "float64" if present.dtype.kind == "f" else "int64"
    return text


def _moment(present: pd.Series, own: Any, nullable: bool, enough: bool, now: float) -> _Column:
    """Times: a lower end, against dates from the beginning of the epoch; no upper one, since time goes on; freshness of what is fresh."""
    found = _Column(str(present.dtype), True, nullable, [])
    if not enough:
        return found
    first, last = present.min(), present.max()
    if present.dt.tz is None:
        lowest = (first - (last - first)).floor("D")
        found.checks = [own.Check.greater_than_or_equal_to(lowest)]
    found.freshness = bounds.freshness(first.timestamp(), last.timestamp(), now)
    if found.freshness is None:
        found.note = f"its newest value is {last:%Y-%m-%d}: no freshness was learned"
    return found


def _of_index(frame: pd.DataFrame, now: float) -> dict[str, float]:
    """Freshness of an index of times."""
    import pandas as pd

    if not isinstance(frame.index, pd.DatetimeIndex) or frame.index.isna().all():
        return {}
    age = bounds.freshness(frame.index.min().timestamp(), frame.index.max().timestamp(), now)
    return {} if age is None else {"index" if frame.index.name is None else label(frame.index.name): age}


def _category(present: pd.Series, own: Any, nullable: bool) -> _Column:
    """A categorical column: its own categories, where they are texts, numbers or truth values."""
    categories = present.cat.categories.tolist()
    plain = all(isinstance(value, (str, int, float, bool)) for value in categories)
    return _Column("category", True, nullable, [own.Check.isin(categories)] if plain and len(categories) <= bounds.MOST_CATEGORIES else [])


def _text(present: pd.Series, name: str, own: Any, nullable: bool, enough: bool, now: float) -> _Column:
    """Texts: times, as CSV has them; keys; or categories where no new one is to be expected."""
    if (times := moments(present)) is not None:
        return _moment(times, own, nullable, enough, now)
    found = _Column("str", False, nullable, [])
    if not enough:
        return found
    if bounds.is_key(present, name):
        found.unique = True
        return found
    categories, rare = bounds.categories(present)
    if categories:
        found.checks = [own.Check.isin(categories)]
    elif rare:
        found.note = rare
    return found


def moments(present: pd.Series) -> pd.Series | None:
    """Texts as the times that all of them are (2013-01-01, 2013-01-01T05:00:00Z); None where they are not."""
    import pandas as pd

    if not present.head(100).astype(str).str.match(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:|$)").all():
        return None
    try:
        return pd.to_datetime(present, format="ISO8601")
    except (ValueError, TypeError, OverflowError):
        return None


def _duplicates(frame: pd.DataFrame, columns: Mapping[Any, _Column]) -> float | None:
    """The share of rows that may be repeated; None where a key says more, or where repetition is usual."""
    if any(item.unique for item in columns.values()):
        return None
    return bounds.duplicates(float(repeated(frame).mean()), len(frame))
