"""A frame held against a schema of pandera's; its answers told as findings.

pandera validates lazily, on a copy of the schema in which each check hands out a few failing values only (it would format all of them).
Missing and repeated values are found here, by masks, where nothing changes a column before it is checked.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...records import Finding
from .expectations import missing_text
from .findings import ROWS, counted, examples, label, listed, of_rows, percent, quantity

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_RANGES = {
    "greater_than": "above {min_value}", "greater_than_or_equal_to": "at least {min_value}", "less_than": "below {max_value}",
    "less_than_or_equal_to": "at most {max_value}", "in_range": "from {min_value} to {max_value}", "equal_to": "equal to {value}",
    "not_equal_to": "other than {value}",
}  # fmt: skip
_LABELS = {"isin": "category", "notin": "category", "unique_values_eq": "category", **dict.fromkeys(_RANGES, "range")}
_TRACEBACK = re.compile(r"\s*Traceback \(most recent call last\).*", re.DOTALL)


def findings(frame: pd.DataFrame, schema: Any) -> Iterator[Finding]:
    """What of a frame does not meet a DataFrameSchema. Column names of the frame occur once each."""
    # A new frame on the same values, which are copied where pandera converts them.
    frame = frame.reset_index(drop=True) if schema.index is None else frame.copy(deep=False)
    prepared = copy.deepcopy(schema)
    yield from _by_masks(frame, prepared)
    yield from _by_pandera(frame, prepared)


# -- what masks tell


def _by_masks(frame: pd.DataFrame, schema: Any) -> Iterator[Finding]:
    """Missing and repeated values, which are taken out of the schema where they were looked for here."""
    for check in schema.checks:
        check.n_failure_cases = ROWS
    for component in _indexes(schema):
        for check in component.checks:
            check.n_failure_cases = ROWS
    parsed = bool(schema.parsers) or schema.add_missing_columns
    for key, column in list(schema.columns.items()):
        for check in column.checks:
            check.n_failure_cases = ROWS
        if column.regex or key not in frame.columns:
            continue
        values = frame[key]
        if not parsed and not column.parsers and column.default is None:
            if not column.nullable:
                yield from _missing(values, key)
                column.nullable = True
            if column.unique:
                yield from _repeated(values, key)
                column.unique = False
        if values.isna().all():
            # Without values there is no type, only what a file format makes of nothing.
            column.dtype, column.coerce, column.checks = None, False, []
    names = [schema.unique] if isinstance(schema.unique, str) else list(schema.unique or ())
    if names and not parsed and all(name in frame.columns for name in names):
        yield from _repeated_rows(frame, names)
        schema.unique = None


def _missing(values: pd.Series, name: Any) -> Iterator[Finding]:
    bad = values.isna().to_numpy()
    if bad.any():
        yield of_rows("missing", name, None, bad, missing_text(int(bad.sum()), len(bad), "none"))


def _repeated(values: pd.Series, name: Any) -> Iterator[Finding]:
    try:
        bad = values.duplicated(keep="first").to_numpy() & values.notna().to_numpy()
    except TypeError:
        bad = values.map(repr).duplicated(keep="first").to_numpy()
    if bad.any():
        yield of_rows("duplicates", name, values, bad, "{count} repeated ({share}), though each is to occur once.")


def _repeated_rows(frame: pd.DataFrame, names: list[Any]) -> Iterator[Finding]:
    bad = frame.duplicated(subset=names).to_numpy()
    if bad.any():
        finding = of_rows("duplicates", None, None, bad, "")
        shown = [tuple(frame.iloc[row][names].tolist()) for row in finding.rows]
        verb = "repeats" if finding.count == 1 else "repeat"
        what = f"{counted(finding.count, 'row')} of {len(bad):,} {verb} the key ({listed(list(map(label, names)))}) of an earlier one."
        yield Finding(
            check="duplicates", what=what, column=", ".join(map(label, names)), count=finding.count, share=finding.share, rows=finding.rows,
            examples=examples(map(str, shown)),
        )  # fmt: skip


# -- what pandera tells


def _by_pandera(frame: pd.DataFrame, schema: Any) -> Iterator[Finding]:
    from pandera.errors import SchemaDefinitionError, SchemaError, SchemaErrors

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            schema.validate(frame, lazy=True, inplace=True)
        return
    except SchemaErrors as raised:
        errors = list(raised.schema_errors)
    except SchemaError as raised:
        errors = [raised]
    except SchemaDefinitionError as raised:
        yield Finding(check="schema", what=f"pandera cannot check this: {_short(raised)}.")
        return
    except Exception as raised:  # whatever checks, parsers and types of a schema raise for data that they did not foresee
        yield Finding(check="schema", what=f"Checking stopped with {type(raised).__name__}: {_short(raised)}.")
        return
    refused: set[Any] = set()
    for error in errors:
        reason = error.reason_code.name if error.reason_code is not None else ""
        name = error.column_name if error.column_name is not None else getattr(error.schema, "name", None)
        if reason in ("DATATYPE_COERCION", "WRONG_DATATYPE"):
            # What could not be converted is of the wrong type afterwards, too.
            if name in refused:
                continue
            refused.add(name)
        elif name in refused and reason == "CHECK_ERROR":
            continue
        finding = _TOLD.get(reason, _failed)(error, frame, name)
        if finding is not None:
            yield finding


def _type(error: Any, frame: pd.DataFrame, name: Any) -> Finding | None:
    """A column of another type; values that cannot be converted are named."""
    import numpy as np
    import pandas as pd

    if not hasattr(error.schema, "dtype") or name not in frame.columns:
        return Finding(check="type", column=_column(name), what=f"{_short(error)}.")
    wanted, values = error.schema.dtype, frame[name]
    bad = np.zeros(len(values), bool)
    cases = error.failure_cases
    if isinstance(cases, pd.DataFrame) and "index" in cases and len(cases) and frame.index.is_unique:
        bad[frame.index.get_indexer(pd.Index(cases["index"]))] = True
    present = values.notna().to_numpy()
    missing = bad & ~present
    bad &= present
    if not bad.any() and missing.any():
        return None  # it has no place for missing values, which are found as such
    if not bad.any() and not present.all() and _would_fit(values[present], wanted):
        return None
    told = f"{_told_type(wanted)} is expected, found {_found_type(values)}"
    if not bad.any() or bad.all():
        shown = examples(values[present].head(1000))
        return Finding(check="type", column=label(name), what=f"{told}.", count=len(values), share=1.0, examples=shown)
    return of_rows("type", name, values, bad, f"{told}: {{count}} ({{share}}) cannot be taken for one.")


def _would_fit(values: pd.Series, wanted: Any) -> bool:
    """Whether values alone, without those that are missing, are of a type."""
    from pandera.engines import pandas_engine

    bare = values.infer_objects()
    try:
        bare = bare.astype(wanted.type) if bare.dtype.kind == "f" and (bare == bare.round()).all() else bare
        return bool(wanted.check(pandas_engine.Engine.dtype(bare.dtype), bare) is True)
    except (TypeError, ValueError):
        return False


def _told_type(wanted: Any) -> str:
    text = "str" if str(wanted).startswith("string") else str(wanted)
    return "bool" if text == "boolean" else text


def _found_type(values: pd.Series) -> str:
    if values.dtype != object:
        return str(values.dtype)
    kinds = values.dropna().map(lambda value: type(value).__name__).value_counts()
    return "mixed types (" + listed([f"{name} {count:,}x" for name, count in kinds.items()], 4) + ")" if len(kinds) > 1 else (
        f"{kinds.index[0]} objects" if len(kinds) else "nothing"
    )  # fmt: skip


def _failed(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    """A check that values or rows do not meet."""
    import pandas as pd

    check, output = error.check, error.check_output
    whole = type(error.schema).__name__ == "DataFrameSchema"
    values = frame[name] if not whole and type(error.schema).__name__ == "Column" and name in frame.columns else None
    kind = _LABELS.get(getattr(check, "name", None) or "", "check")
    wanted = _wanted(check)
    column = "" if whole else _column(name)
    if not isinstance(output, pd.Series):
        seen = f" ({_scalar(error.failure_cases)})" if isinstance(error.failure_cases, str) else ""
        return Finding(check=kind, column=column, what=f"{'The table' if whole else 'The column'} does not meet: {wanted}{seen}.")
    bad = _places(output, frame)
    count = int((~output.to_numpy(bool)).sum())
    share = count / max(1, len(frame))
    verb = ("fails:" if count == 1 else "fail:") if kind == "check" else "is not" if count == 1 else "are not"
    what = f"{count:,} of {counted(len(frame), 'row' if whole else 'value')} ({percent(share)}) {verb} {wanted}."
    return replace(
        of_rows(kind, None, None, bad, ""), column=column, what=what, count=count, share=share, examples=_shown(values, bad, kind)
    )


def _places(output: pd.Series, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The rows of a frame for which a check's answer, which may leave out missing values, is no."""
    import numpy as np

    failed = ~output.to_numpy(bool)
    if len(output) == len(frame):
        return failed
    bad = np.zeros(len(frame), bool)
    if frame.index.is_unique:
        bad[frame.index.get_indexer(output.index[failed])] = True
    return bad


def _shown(values: pd.Series | None, bad: np.ndarray[Any, Any], kind: str) -> tuple[Any, ...]:
    """Values that fail: the commonest of new categories, the outermost of numbers, else the first."""
    if values is None:
        return ()
    failing = values[bad]
    if kind == "category":
        return examples(failing.value_counts().index[:ROWS])
    if kind == "range" and failing.dtype.kind in "if":
        ordered = failing.sort_values()
        return examples([ordered.iloc[0], ordered.iloc[-1], *failing.iloc[:ROWS]] if len(ordered) else [])
    return examples(failing.iloc[:1000])


def _wanted(check: Any) -> str:
    """What a check asks for, in words."""
    name, given = getattr(check, "name", None), dict(getattr(check, "statistics", None) or {})
    if name in _RANGES:
        return _RANGES[name].format(**{key: quantity(value) for key, value in given.items()})
    if name == "isin":
        return f"one of {listed(list(given.get('allowed_values', ())))}"
    if name == "notin":
        return f"other than {listed(list(given.get('forbidden_values', ())))}"
    for words in (getattr(check, "error", None), getattr(check, "description", None), getattr(check, "title", None), name):
        if words and words != "<lambda>":
            return str(words)
    return "a check without a name (give it error='...')"


def _absent(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    column = error.failure_cases
    return Finding(check="columns", column=_column(column), what=f"There is no such column{_alike(str(column), frame)}")


def _alike(name: str, frame: pd.DataFrame) -> str:
    from ...pipelines.definition.wording import nearest

    return nearest(name, list(map(label, frame.columns)), most=8)


def _unexpected(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    return Finding(check="columns", column=_column(error.failure_cases), what="The schema has no such column, and allows no others.")


def _order(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    return Finding(check="columns", column=_column(error.failure_cases), what="It stands at another place than in the schema.")


def _nulls(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    count = len(error.failure_cases) if hasattr(error.failure_cases, "__len__") else 0
    return Finding(check="missing", column=_column(name), what=f"{counted(count, 'value')} missing, none may be.", count=count)


def _again(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    count = len(error.failure_cases) if hasattr(error.failure_cases, "__len__") else 0
    return Finding(check="duplicates", column=_column(name), what="Values are repeated, each is to occur once.", count=count)


def _raised(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    wanted = _wanted(error.check)
    what = f"{wanted[0].upper()}{wanted[1:]} could not be checked: {_scalar(error.failure_cases)}."
    column = "" if type(error.schema).__name__ == "DataFrameSchema" else _column(name)
    return Finding(check="check", column=column, what=what)


def _other(error: Any, frame: pd.DataFrame, name: Any) -> Finding:
    return Finding(check="schema", column=_column(name), what=f"{_short(error)}.")


_TOLD: Mapping[str, Any] = {
    "DATATYPE_COERCION": _type,
    "WRONG_DATATYPE": _type,
    "COLUMN_NOT_IN_DATAFRAME": _absent,
    "COLUMN_NOT_IN_SCHEMA": _unexpected,
    "COLUMN_NOT_ORDERED": _order,
    "SERIES_CONTAINS_NULLS": _nulls,
    "SERIES_CONTAINS_DUPLICATES": _again,
    "CHECK_ERROR": _raised,
    "DATAFRAME_CHECK": _failed,
    **dict.fromkeys(("DUPLICATES", "WRONG_FIELD_NAME", "MISMATCH_INDEX", "INVALID_COLUMN_NAME", "DUPLICATE_COLUMN_LABELS"), _other),
    **dict.fromkeys(("SCHEMA_COMPONENT_PARSER", "DATAFRAME_PARSER", "PARSER_ERROR", "ADD_MISSING_COLUMN_NO_DEFAULT"), _other),
}


def _indexes(schema: Any) -> list[Any]:
    return [] if schema.index is None else list(getattr(schema.index, "indexes", [schema.index]))


def _column(name: Any) -> str:
    return "" if name is None else label(name)


def _scalar(value: Any) -> str:
    return _short(value) if not hasattr(value, "shape") else listed(list(value.iloc[:, -1]) if value.ndim > 1 else list(value))


def _short(error: Any) -> str:
    text = " ".join(_TRACEBACK.sub("", str(error)).split())
    return (text if len(text) <= 240 else f"{text[:239]}…").rstrip(".:")
