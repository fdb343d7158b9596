"""What a sample tells about the data that comes next: bounds with the slack that the sample's size leaves. Pure statistics."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 100
_KEY = re.compile(r"(?:^|_)(?:id|key|uuid|guid)$|[a-z](?:Id|ID|Key|Uuid)$")
_TIMES = 3.0
_FEWEST_AT_AN_END = 0.25
_NICE_SECONDS = (3600.0, 86_400.0)


def span(values: pd.Series) -> tuple[float, float] | None:
    """The range in which the numbers that come next should lie; None for a constant. Missing values are left out before.

    Each end is three times as far from the median as in the sample of n: where a tail falls off like an exponential one, a sample of the
    same size has any value beyond it with probability 1/n^2, while a bound at the sample's own extreme is passed every second time.
    What is never negative stays so. Whole numbers of which none is left out between the ends, and whose ends are no thin tails (months,
    hours, ratings, flags), keep their own ends.
    """
    finite = _finite(values)
    if not len(finite):
        return None
    least, most, middle = float(finite.min()), float(finite.max()), float(finite.median())
    if least == most:
        return None
    whole = values.dtype.kind in "iu"
    if whole and _dense(finite):
        return int(least), int(most)
    low, high = middle - _TIMES * (middle - least), middle + _TIMES * (most - middle)
    low, high = _rounded(low, -1, high - low), _rounded(high, 1, high - low)
    low, high = max(low, 0.0) if least >= 0 else low, min(high, 0.0) if most <= 0 else high
    return (int(low), int(high)) if whole else (low, high)


def missing(share: float, count: int) -> float | None:
    """The share that may be missing where a share of a sample is: twice as much, a percent more, or three standard errors, whichever is
    most; None where that is no bound."""
    most = max(2 * share, share + 0.01, share + 3 * math.sqrt(share * (1 - share) / count))
    most = math.ceil(most * 100 - 1e-9) / 100
    return most if most < 1 else None


def rows(count: int) -> tuple[int, int]:
    """How many rows the next data may have: a tenth to ten times as many."""
    return max(1, count // 10), count * 10


def duplicates(share: float, count: int) -> float | None:
    """The share of rows that may be repeated: twice as much as in the sample, three rows at least, None where it is usual.

    Where none of n was, the share may still be up to 3/n, at a level of 95% (Hanley and Lippman-Hand 1983, JAMA 249).
    """
    return None if share > 0.05 else math.ceil(max(2 * share, 3 / count) * 10_000 - 1e-9) / 10_000


def freshness(first: float, last: float, now: float) -> float | None:
    """How old the newest of some times may be, in seconds: three times as old as now, in whole hours or days.

    None where the newest is older than the sample is long, and older than a week: such data is history, and was never meant to be fresh.
    """
    age = max(0.0, now - last)
    if age > max(last - first, 7 * 86_400.0):
        return None
    allowed = max(3 * age, 3600.0)
    unit = _NICE_SECONDS[1] if allowed > 2 * _NICE_SECONDS[1] else _NICE_SECONDS[0]
    return math.ceil(allowed / unit) * unit


def is_key(values: pd.Series, name: str) -> bool:
    """Whether each value is to occur once: they do, and not by chance.

    By its name it is a key, or of as many whole numbers drawn from their range at random, more than five would have been repeated; texts
    must be single words.
    """
    if len(values) < 2 or not values.is_unique:
        return False
    if _KEY.search(name):
        return True
    if values.dtype.kind in "iu":
        width = float(values.max()) - float(values.min()) + 1
        return len(values) ** 2 / (2 * width) > 5 and len(values) >= 100
    return len(values) >= 100 and not values.astype(str).str.contains(r"\s", regex=True).any()


def categories(values: pd.Series) -> tuple[list[str], str]:
    """The categories of a sample, where no new one is to be expected; else [] and, for a column that may be one, why.

    As many new categories are to be expected in a sample of the same size as this one has that occur only once (Good 1953, Biometrika 40).
    """
    counts = values.value_counts()
    if len(counts) > MOST_CATEGORIES or len(counts) > len(values) / 5:
        return [], ""
    once = int((counts == 1).sum())
    if once:
        occur = f"{once} of its {len(counts)} categories occur{'s' if once == 1 else ''} only once"
        return [], f"{occur}, so new ones are to be expected: none were listed"
    return sorted(map(str, counts.index)), ""


def _finite(values: pd.Series) -> pd.Series:
    import numpy as np

    finite: pd.Series = values[np.isfinite(values.to_numpy(float, na_value=math.nan))]
    return finite


def _dense(values: pd.Series) -> bool:
    """Whether whole numbers are a scale with ends: each between them occurs, and the ends a quarter as often as the others at least."""
    width = int(values.max()) - int(values.min()) + 1
    if width > MOST_CATEGORIES or len(values) < 5 * width:
        return False
    counts = values.value_counts()
    least = _FEWEST_AT_AN_END * len(values) / width
    return len(counts) == width and min(counts[values.min()], counts[values.max()]) >= least


def _rounded(value: float, way: int, width: float) -> float:
    """A bound rounded outwards to a hundredth of the range's size, so that it can be read."""
    if not math.isfinite(value) or not math.isfinite(width):
        return value
    digits = 2 - math.floor(math.log10(width))
    scale = 10.0**digits
    if not math.isfinite(value * scale) or abs(digits) > 300:
        return value
    found = (math.ceil if way > 0 else math.floor)(value * scale - way * 1e-9) / scale
    return round(found, max(0, digits))
