"""What pandera has no word for, kept in the metadata of its schemas under `mlops`, and so in the same file.

    metadata:
      mlops:
        rows: {at_least: 1000, at_most: 100000}
        missing: {dep_time: 0.05}          # the share of a column that may be missing
        freshness: {time_hour: 2d}         # how old the newest value may be
        duplicates: 0                      # the share of rows that may be like an earlier one in all columns
        whole: [year]                      # columns of whole numbers, whatever type holds them

pandera itself reads such a file and leaves these alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...pipelines.definition.kinds import seconds
from ...pipelines.definition.wording import nearest
from ...records import Finding
from .findings import counted, label, of_rows, percent

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

KEY = "mlops"
_FUTURE_SECONDS = 86_400.0
"""Clocks and time zones differ by up to a day; what lies further ahead has not happened yet."""
_SPANS = (("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0))


class Wrong(ValueError):
    """An expectation that cannot be used: `at` are the keys that lead to it, the message says what belongs there."""

    def __init__(self, at: tuple[str, ...], what: str) -> None:
        super().__init__(what)
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """Bounds on a table. `rows` is (at least, at most), None where there is no bound; `missing` maps columns to the largest share that may
    be missing, `freshness` to the largest age of the newest value in seconds; `duplicates` is the largest share of repeated rows, None
    where they do not matter; `whole` are columns whose numbers are whole."""

    rows: tuple[int | None, int | None] = (None, None)
    missing: Mapping[str, float] = field(default_factory=dict)
    freshness: Mapping[str, float] = field(default_factory=dict)
    duplicates: float | None = None
    whole: tuple[str, ...] = ()

    def to_metadata(self) -> dict[str, Any]:
        """The metadata of a schema, which `from_metadata` reads back."""
        rows = {name: bound for name, bound in zip(("at_least", "at_most"), self.rows, strict=True) if bound is not None}
        plain = {
            "rows": rows,
            "missing": dict(self.missing),
            "freshness": {name: span(age) for name, age in self.freshness.items()},
            "whole": list(self.whole),
        }
        found: dict[str, Any] = {name: value for name, value in plain.items() if value}
        return found if self.duplicates is None else {**found, "duplicates": self.duplicates}

    @property
    def count(self) -> int:
        """How many checks these are."""
        return sum(bound is not None for bound in self.rows) + len(self.missing) + len(self.freshness) + (self.duplicates is not None)


def from_metadata(metadata: Any) -> Expectations:
    """The expectations in a schema's metadata; none where it has none. Raises Wrong."""
    table = (metadata or {}).get(KEY)
    if table is None:
        return Expectations()
    _is(isinstance(table, Mapping), (KEY,), "write a table there, such as {rows: {at_least: 1000}}")
    for name in table:
        _is(name in _READERS, (KEY, str(name)), f"there is no expectation {name!r}{nearest(str(name), _READERS)}")
    return Expectations(**{name: _READERS[name](value, (KEY, name)) for name, value in table.items()})


def findings(frame: pd.DataFrame, expected: Expectations, columns: Mapping[str, Any], *, now: float | None = None) -> Iterator[Finding]:
    """What of a frame does not meet the expectations; `columns` maps labels to the frame's names. Columns that are not there are left
    to the schema, which says whether they must be."""
    yield from _rows(len(frame), expected.rows)
    if not len(frame):
        return
    for name, most in expected.missing.items():
        if name in columns:
            yield from _missing(frame[columns[name]], columns[name], most)
    for name in expected.whole:
        if name in columns:
            yield from _whole(frame[columns[name]], columns[name])
    for name, age in expected.freshness.items():
        if name in columns or name in map(label, frame.index.names) or (name == "index" and frame.index.names == [None]):
            yield from _freshness(frame, columns.get(name), name, age, time.time() if now is None else now)
    if expected.duplicates is not None:
        yield from _duplicates(frame, expected.duplicates)


def span(age: float) -> str:
    """Seconds as a time span, in the largest unit that gives a whole number."""
    whole = (f"{round(age / size)}{unit}" for unit, size in _SPANS if age >= size and abs(age / size - round(age / size)) < 1e-9)
    return next(whole, f"{age:g}s")


def repeated(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Which rows are like an earlier one in all columns; values that cannot be compared otherwise count by their text."""
    import numpy as np

    if not frame.shape[1]:
        return np.zeros(len(frame), bool)
    try:
        return frame.duplicated().to_numpy()
    except TypeError:
        plain = frame.copy(deep=False)
        for place in range(plain.shape[1]):
            if plain.iloc[:, place].dtype == object:
                plain.isetitem(place, plain.iloc[:, place].map(repr).to_numpy())
        return plain.duplicated().to_numpy()


def _rows(count: int, bounds: tuple[int | None, int | None]) -> Iterator[Finding]:
    least, most = bounds
    if least is not None and count < least:
        yield Finding(check="rows", what=f"The table has {counted(count, 'row')}, at least {least:,} are expected.", count=count)
    if most is not None and count > most:
        yield Finding(check="rows", what=f"The table has {counted(count, 'row')}, at most {most:,} are expected.", count=count)


def _missing(values: pd.Series, name: Any, most: float) -> Iterator[Finding]:
    bad = values.isna().to_numpy()
    share = bad.mean()
    if share > most:
        yield of_rows("missing", name, None, bad, missing_text(int(bad.sum()), len(bad), f"at most {percent(most)}"))


def missing_text(count: int, rows: int, most: str) -> str:
    """That values are missing, in a sentence."""
    return f"{count:,} of {counted(rows, 'value')} {'is' if count == 1 else 'are'} missing ({percent(count / rows)}), {most} may be."


def _whole(values: pd.Series, name: Any) -> Iterator[Finding]:
    import pandas as pd

    if not pd.api.types.is_float_dtype(values.dtype):
        return
    numbers = values.to_numpy(float, na_value=float("nan"))
    bad = (numbers != numbers.round()) & (numbers == numbers)
    if bad.any():
        yield of_rows("type", name, values, bad, "{count} not whole ({share}), though whole numbers are expected.")


def _freshness(frame: pd.DataFrame, name: Any, shown: str, age: float, now: float) -> Iterator[Finding]:
    import numpy as np
    import pandas as pd

    values = frame[name] if name is not None else frame.index.get_level_values(0 if shown == "index" else shown).to_series()
    known = pd.api.types.is_datetime64_any_dtype(values.dtype)
    times = values if known else pd.to_datetime(values, errors="coerce", utc=True, format="mixed")
    if times.isna().all():
        what = f"No value is a time, the newest is expected to be at most {span(age)} old."
        yield Finding(check="freshness", column=shown, what=what, count=len(times), share=1.0)
        return
    newest = times.max()
    late = now - newest.timestamp()
    place = int(np.argmax((times == newest).to_numpy()))
    what = ""
    if late > age:
        what = f"The newest value is {newest}, {_old(late)} ago; it may be at most {span(age)} old."
    elif late < -_FUTURE_SECONDS:
        what = f"The newest value is {newest}, {_old(-late)} in the future."
    if what:
        yield Finding(check="freshness", column=shown, what=what, count=1, share=1 / len(times), rows=(place,))


def _old(late: float) -> str:
    return next((f"{late / size:.3g}{unit}" for unit, size in _SPANS if late >= size), "0s")


def _duplicates(frame: pd.DataFrame, most: float) -> Iterator[Finding]:
    bad = repeated(frame)
    share = float(bad.mean())
    if share > most:
        allowed = "none is expected" if not most else f"at most {int(most * len(bad)):,} may do so"
        finding = of_rows("duplicates", None, None, bad, "")
        rows = counted(finding.count, "row")
        verb = "repeats" if finding.count == 1 else "repeat"
        what = f"{rows} of {len(bad):,} ({percent(share)}) {verb} an earlier one in all columns, {allowed}."
        yield Finding(check="duplicates", what=what, count=finding.count, share=share, rows=finding.rows)


# -- reading them


def _is(right: bool, at: tuple[str, ...], what: str) -> None:
    if not right:
        raise Wrong(at, what)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _read_rows(value: Any, at: tuple[str, ...]) -> tuple[int | None, int | None]:
    wanted = "write {at_least: 1000, at_most: 100000} there, or one of the two"
    _is(isinstance(value, Mapping) and set(value) <= {"at_least", "at_most"}, at, wanted)
    _is(all(isinstance(bound, int) and not isinstance(bound, bool) and bound >= 0 for bound in value.values()), at, wanted)
    return value.get("at_least"), value.get("at_most")


def _read_missing(value: Any, at: tuple[str, ...]) -> dict[str, float]:
    _is(isinstance(value, Mapping), at, "write columns and shares, such as {dep_time: 0.05}")
    for name, share in value.items():
        _is(_number(share) and 0 <= share <= 1, (*at, str(name)), "write a share from 0 to 1, such as 0.05")
    return {str(name): float(share) for name, share in value.items()}


def _read_freshness(value: Any, at: tuple[str, ...]) -> dict[str, float]:
    _is(isinstance(value, Mapping), at, "write columns and ages, such as {time_hour: 2d}")
    ages: dict[str, float] = {}
    for name, age in value.items():
        found = seconds(age) if isinstance(age, str) else float(age) if _number(age) else None
        _is(found is not None and found >= 0, (*at, str(name)), 'write an age such as "2d" or "6h"')
        ages[str(name)] = found or 0.0
    return ages


def _read_duplicates(value: Any, at: tuple[str, ...]) -> float:
    _is(_number(value) and 0 <= value <= 1, at, "write the share of rows that may be repeated, from 0 to 1")
    return float(value)


def _read_whole(value: Any, at: tuple[str, ...]) -> tuple[str, ...]:
    _is(isinstance(value, list), at, "write a list of columns, such as [year, month]")
    return tuple(map(str, value))


_READERS: Mapping[str, Callable[[Any, tuple[str, ...]], Any]] = {
    "rows": _read_rows,
    "missing": _read_missing,
    "freshness": _read_freshness,
    "duplicates": _read_duplicates,
    "whole": _read_whole,
}
