"""Findings: what is wrong with data, told with the rows and values where it is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ...records import Finding

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

ROWS = 5
"""Rows that a finding names, and values that it shows."""
_LONGEST = 60


def label(name: Any) -> str:
    """The name of a column as a reader writes it; the levels of a name that has several are joined by points."""
    return ".".join(map(str, name)) if isinstance(name, tuple) else str(name)


def of_rows(check: str, name: Any, values: pd.Series | None, bad: np.ndarray[Any, Any], what: str) -> Finding:
    """A finding about the rows where `bad` is true; `{count}` and `{share}` in `what` are replaced."""
    import numpy as np

    places = np.flatnonzero(bad)
    share = len(places) / max(1, len(bad))
    return Finding(
        check=check,
        column=label(name) if name is not None else "",
        count=len(places),
        share=share,
        rows=tuple(int(place) for place in places[:ROWS]),
        examples=examples(values.iloc[places].tolist() if len(places) < 10_000 else values.iloc[places[:10_000]].tolist())
        if values is not None
        else (),
        what=what.replace("{count}", counted(len(places), "value")).replace("{share}", percent(share)),
    )


def examples(values: Iterable[Any]) -> tuple[Any, ...]:
    """The first distinct values, as JSON has them."""
    found: dict[str, Any] = {}
    for value in values:
        plain = plain_value(value)
        found.setdefault(repr(plain), plain)
        if len(found) == ROWS:
            break
    return tuple(found.values())


def plain_value(value: Any) -> Any:
    """A value as JSON has it: numbers and truth values as they are (but for NaN, which JSON has not), None for missing ones, else as
    text, shortened."""
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        value = value.item()
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None if math.isnan(value) else str(value)
    text = value if isinstance(value, str) else str(value)
    if text in ("<NA>", "NaT") and not isinstance(value, str):
        return None
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def counted(count: int, word: str) -> str:
    """A number of things: 1 value, 1,234 values."""
    return f"{count:,} {word}" + ("" if count == 1 else "s")


def percent(share: float) -> str:
    """A share as a reader writes it: 2.5%, under 0.1%, all."""
    if share >= 1:
        return "all"
    shown = f"{100 * share:.1f}"
    return "under 0.1%" if shown == "0.0" and share else "over 99.9%" if shown == "100.0" else f"{shown.removesuffix('.0')}%"


def listed(values: Sequence[Any], most: int = 6) -> str:
    """A few values in a sentence."""
    shown = [str(value) for value in values[:most]]
    return ", ".join([*shown, f"{len(values) - most} more"] if len(values) > most else shown)


def quantity(value: Any) -> str:
    """A bound in a sentence: numbers with up to six digits."""
    if isinstance(value, float):
        return f"{int(value):,}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}" if math.isfinite(value) else str(value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
