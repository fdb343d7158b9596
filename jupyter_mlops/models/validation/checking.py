"""Data held against a schema and a reference: what is wrong with which rows and columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...records import Drift, Finding, Validation
from . import conformance, expectations
from .data import Data, data_of, frame_of
from .findings import ROWS, counted, label, listed, of_rows, percent
from .learning import learn, moments
from .schemas import Schema, of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PASSED, FAILED = "passed", "failed"
_ABSENT = "the column is not in the data"
"""What `drift` says of a column that the schema misses anyway."""
_MISSING = "of missing values"
_ALWAYS = 4
"""Checks that need no schema: rows, column names, columns without values, numbers that are infinite."""


def validate(
    data: Any, *, schema: Any = None, reference: Any = None, objects: Any = None, alpha: float | None = None, now: float | None = None
) -> Validation:
    """Everything that is wrong with data, against what its schema asks and how its reference looks.

    `data` and `reference` are whatever `data_of` takes, the reference also a `drift.Profile`; `schema` is a path, a `Schema`, or pandera's
    own. With a frame as reference and no schema, the schema is learned from the reference (all but the number of rows); with neither, only
    what is wrong in any data is found. `alpha` is the level of drift over all columns, `now` (seconds since the epoch) what freshness is
    counted from. Raises what `data_of` and `schemas.load` raise.
    """
    given = data_of(data, objects)
    held, told = _held(reference, objects)
    known: Schema | None = None
    notes: list[str] = []
    if schema is not None:
        known = of(schema)
    elif held is not None and not _is_profile(held):
        known = learn(held, rows=False, name=f"learned from {told}").schema
    frame = given.frame
    findings = list(_anyway(frame, named=known is not None))
    frame = frame.loc[:, ~frame.columns.duplicated()]
    if known is not None:
        if len(frame):
            findings += conformance.findings(frame, known.pandera)
        else:
            findings += _columns_only(frame, known)
        names = {label(name): name for name in frame.columns}
        findings += expectations.findings(frame, known.expected, names, now=now)
    keys = [name for name, column in known.pandera.columns.items() if column.unique] if known is not None else []
    drift = _drift(held, frame, keys, alpha) if held is not None and len(frame) else ()
    findings += map(_drifted, (item for item in drift if item.verdict == "drift"))
    if known is None and held is None:
        notes += _remarks(frame)
        notes.append(
            "There was nothing to hold it against: give --schema or --reference, or write a schema with --learn --out schema.yaml."
        )
    lacking: dict[str, list[str]] = {}
    for item in drift:
        if item.verdict == "insufficient data":
            lacking.setdefault(item.why, []).append(item.column)
    notes += [f"Drift cannot be told of {listed(columns)}: {why}." for why, columns in lacking.items() if why != _ABSENT]
    found = _merged(findings)
    return Validation(
        data=given.name,
        verdict=FAILED if found else PASSED,
        rows=len(given.frame),
        columns=given.frame.shape[1],
        digest=given.digest,
        schema=known.name if known is not None else "",
        checks=_ALWAYS + (known.count if known is not None else 0) + len(drift),
        findings=found,
        drift=drift,
        notes=tuple(notes),
    )


def _held(reference: Any, objects: Any) -> tuple[Any, str]:
    """The reference as a frame (or the profile that it is), and what it is called."""
    if reference is None or _is_profile(reference):
        return reference, "the reference"
    found = data_of(reference, objects)
    return found.frame, found.name


def _is_profile(value: Any) -> bool:
    return type(value).__name__ == "Profile" and type(value).__module__.startswith("jupyter_mlops.")


def _drift(reference: Any, frame: pd.DataFrame, keys: list[Any], alpha: float | None) -> tuple[Drift, ...]:
    """Drift of all columns but keys, whose values are new by their nature."""
    from ..drift.comparing import ALPHA, compare

    if not _is_profile(reference):
        reference = _timed(reference.loc[:, ~reference.columns.duplicated() & ~reference.columns.isin(keys)])
        frame = _timed(frame)
    return compare(reference, frame, alpha=ALPHA if alpha is None else alpha)


def _timed(frame: pd.DataFrame) -> pd.DataFrame:
    """A frame whose texts that are times, as CSV has them, are times: as categories, all of them would be new."""
    import pandas as pd

    texts = {name: frame[name].dropna() for name in frame.columns if pd.api.types.is_string_dtype(frame[name].dtype)}
    times = {name: found for name, present in texts.items() if len(present) and (found := moments(present)) is not None}
    return frame.assign(**{name: found.reindex(frame.index) for name, found in times.items()}) if _named(frame, times) else frame


def _named(frame: pd.DataFrame, times: dict[Any, Any]) -> bool:
    return bool(times) and frame.index.is_unique and all(isinstance(name, str) for name in times)


def _drifted(item: Drift) -> Finding:
    """Drift of a column as a finding; what it holds is told without the rows, since it is in none of them alone."""
    how = f" ({item.method}, p = {item.p_value:.2g})" if item.method and item.p_value is not None else ""
    why = item.why or "its values are distributed otherwise"
    what = f"{why[0].upper()}{why[1:]}{how}."
    return Finding(check="drift", column=item.column, what=what, examples=item.new[:ROWS])


# -- what is wrong in any data


def _anyway(frame: pd.DataFrame, *, named: bool) -> Iterator[Finding]:
    """What is wrong whatever the data is about; `named` tells that a schema says which columns may be empty."""
    if not len(frame):
        yield Finding(check="rows", what="There are no rows.")
    if not frame.shape[1]:
        yield Finding(check="columns", what="There are no columns.")
    again = frame.columns[frame.columns.duplicated()]
    for name in dict.fromkeys(again):
        count = int((frame.columns == name).sum()) if not isinstance(name, tuple) else list(frame.columns).count(name)
        what = f"{count} columns have this name: only the first was looked at."
        yield Finding(check="columns", column=label(name), what=what, count=count)
    if not len(frame):
        return
    for place, name in enumerate(frame.columns):
        values = frame.iloc[:, place]
        if not named and values.isna().all():
            yield Finding(check="missing", column=label(name), what="It has no values at all.", count=len(values), share=1.0)
        bad = _infinite(values)
        if bad is not None and bad.any():
            yield of_rows("range", name, values, bad, "{count} infinite ({share}).")


def _infinite(values: pd.Series) -> np.ndarray[Any, Any] | None:
    import numpy as np

    return np.isinf(values.to_numpy(float, na_value=np.nan)) if values.dtype.kind == "f" else None


def _columns_only(frame: pd.DataFrame, schema: Schema) -> Iterator[Finding]:
    """The columns that a table without rows does not have."""
    for name, column in schema.pandera.columns.items():
        if column.required and not column.regex and name not in frame.columns:
            yield Finding(check="columns", column=label(name), what="There is no such column.")


def _remarks(frame: pd.DataFrame) -> Iterator[str]:
    """What may be wrong, and may be meant so."""
    rows = int(expectations.repeated(frame).sum())
    if rows:
        yield f"{counted(rows, 'row')} ({percent(rows / len(frame))}) repeat an earlier one in all columns."
    for place, name in enumerate(frame.columns):
        values = frame.iloc[:, place].dropna()
        if str(values.dtype) == "object":
            kinds = values.map(lambda value: type(value).__name__).value_counts()
            if len(kinds) > 1:
                yield f"{label(name)} has values of several types: {listed([f'{kind} {count:,}x' for kind, count in kinds.items()], 4)}."


def _merged(findings: list[Finding]) -> tuple[Finding, ...]:
    """Findings by importance, each once; what has no rows has no missing columns either."""
    order = ("rows", "columns", "schema", "type", "missing", "range", "category", "duplicates", "freshness", "check", "drift")
    seen: dict[tuple[str, str], list[Finding]] = {}
    for item in findings:
        earlier = seen.setdefault((item.check, item.column), [])
        # A column that may not be missing at all, and whose share is bounded too, is told of once; so is one where that is the drift.
        known = item.check == "missing" and bool(earlier)
        known = known or (item.check == "drift" and _MISSING in item.what and ("missing", item.column) in seen)
        # Values of another type meet no other check of their column either.
        typed = seen.get(("type", item.column), [])
        known = known or (item.check in ("range", "category", "check") and any(item.rows == other.rows != () for other in typed))
        if not known and item not in earlier:
            earlier.append(item)
    unique = [item for items in seen.values() for item in items]
    return tuple(sorted(unique, key=lambda item: order.index(item.check) if item.check in order else len(order)))


__all__ = ["Data", "data_of", "frame_of", "learn", "validate"]
