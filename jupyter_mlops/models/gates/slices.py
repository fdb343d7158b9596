"""Gates on slices: the rows of one or two values of features in which the model does worst.

Whoever looks at hundreds of slices finds a bad one by chance. So each slice's metric has a one-sided bound at the level of the gate divided
by the number of slices (Bonferroni), and a slice fails only where even that bound misses what is asked: exact for shares (Clopper and
Pearson 1934), Student's for means of losses, DeLong's variance (1988) for the area under the ROC curve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Any, ClassVar

import numpy as np

from ...records import Gate
from .conditions import Bounded, limits, narrowed, shown
from .evidence import Evidence, Needed
from .metrics import SMALLER_IS_BETTER, Area, Array, Ratio, Scorer, scorer

SMALLEST = 30
SHOWN = 5
_MOST_FEATURES = 25
_MOST_VALUES = 12
_BINS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """Rows where features have these values: the metric there, and the bound of what it may truly be, at its best."""

    name: str
    rows: int
    value: float
    best: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slices(Bounded):
    """The worst slice of the test data: its metric against a bound, or (`gap`) against the whole.

    `confidence` is that of the whole search. The worst slice is the one whose bound is worst, so that few rows with a bad luck do not win.
    """

    kind: ClassVar[str] = "slices"
    slices: str
    gap: float | None = None
    features: Sequence[str] = ()
    smallest: int = SMALLEST
    confidence: float = 0.95
    positive: Any = None

    @property
    def told(self) -> str:
        return narrowed(narrowed(self.slices, self.positive) + " of the worst slice", columns=self.features)

    @property
    def name(self) -> str:
        less = f"at most {shown(self.gap)} worse than all" if self.gap is not None else ""
        parts = (self.told, limits(self.at_least, self.at_most), less)
        return " ".join(part for part in parts if part)

    @property
    def bound(self) -> float | None:
        return next((item for item in (self.at_least, self.at_most, self.gap) if item is not None), None)

    def check(self, evidence: Evidence) -> Gate:
        metric = scorer(self.slices, evidence, self.positive)
        if not isinstance(metric, (Ratio, Area)) or (isinstance(metric, Ratio) and len(metric.above) > 1):
            raise Needed("the class whose slices are meant: add `positive`, or take accuracy")
        small = self.slices in SMALLER_IS_BETTER
        whole = metric()
        if math.isnan(whole):
            return self.gate(whole, f"{self.slices} of all rows")
        found = self.search(evidence, metric, small)
        if not found:
            raise Needed(f"a feature that splits the test data into slices of {self.smallest} rows or more")
        worst = found[0]
        failing = [item for item in found if not self._stands(item, whole, small)]
        side = "at least" if small else "at most"
        why = (
            f"worst: {worst.name} ({worst.rows:,} rows) {shown(worst.value)}, truly {side} {shown(worst.best)}; all {shown(whole)}; "
            f"{len(found):,} slices, {self.confidence:.0%} sure of all together"
        )
        if len(failing) > 1:
            why = f"{len(failing)} slices fail; {why}"
        details = {
            "whole": whole, "searched": len(found), "failing": len(failing),
            "slices": [{"slice": item.name, "rows": item.rows, "value": item.value, "best": item.best} for item in found[:SHOWN]],
        }  # fmt: skip
        return self.gate(worst.value, why, details, passed=not failing)

    def _stands(self, item: Slice, whole: float, small: bool) -> bool:
        """Whether a slice may truly be as good as asked."""
        if self.at_least is not None and not item.best >= self.at_least:
            return False
        if self.at_most is not None and not item.best <= self.at_most:
            return False
        return self.gap is None or (item.best - whole if small else whole - item.best) <= self.gap

    def search(self, evidence: Evidence, metric: Ratio | Area, small: bool) -> list[Slice]:
        """The slices of one and two features that are large enough, the worst first."""
        columns = self._columns(evidence)
        cells = [cell for cell in _cells(columns) if cell[1].sum() >= self.smallest]
        level = (1 - self.confidence) / max(len(cells), 1)
        found = []
        for name, rows in cells:
            value, best = _bounded(metric, rows, level, small)
            if not math.isnan(value):
                found.append(Slice(name=name, rows=int(rows.sum()), value=value, best=best))
        return sorted(found, key=lambda item: (-item.best if small else item.best, -item.rows, item.name))

    def _columns(self, evidence: Evidence) -> list[tuple[str, Array, list[str]]]:
        data = evidence.judged
        missing = [name for name in self.features if name not in data.columns]
        if missing:
            raise Needed(f"the column {missing[0]!r} in the test data")
        names = list(self.features) or [str(name) for name in evidence.X.columns if name in data.columns]
        found = [levels for name in names if name != evidence.target and (levels := _levels(name, data[name])) is not None]
        return found[:_MOST_FEATURES]


def _levels(name: str, values: Any) -> tuple[str, Array, list[str]] | None:
    """A column as few levels: its number for each row (-1: none that is looked at), and what each is called. None where it has one."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and values.nunique() > _MOST_VALUES:
        plain = values.to_numpy(dtype=float, na_value=np.nan)
        bounds = np.unique(np.nanquantile(plain, np.linspace(0, 1, _BINS + 1)[1:-1]))
        places = np.where(np.isnan(plain), len(bounds) + 1, np.searchsorted(bounds, plain, side="left"))
        ends = [None, *bounds.tolist(), None]
        names = [_between(name, low, high) for low, high in pairwise(ends)]
        return name, places, [*names, f"{name} missing"]
    texts = values.astype("string").fillna("missing")
    common = texts.value_counts().index[:_MOST_VALUES].tolist()
    if len(common) < 2 or (len(texts) > 20 and texts.nunique() > len(texts) / 2):
        return None
    place = {text: number for number, text in enumerate(common)}
    return name, np.array([place.get(text, -1) for text in texts.tolist()]), [f"{name} = {text}" for text in common]


def _between(name: str, low: float | None, high: float | None) -> str:
    if low is None:
        return f"{name} <= {shown(high or 0.0)}"
    return f"{name} > {shown(low)}" if high is None else f"{shown(low)} < {name} <= {shown(high)}"


def _cells(columns: list[tuple[str, Array, list[str]]]) -> Iterator[tuple[str, Array]]:
    masks = [[(name, places == number) for number, name in enumerate(names)] for _, places, names in columns]
    for column in masks:
        yield from column
    for first, second in combinations(masks, 2):
        for one, rows in first:
            if rows.any():
                yield from ((f"{one} and {other}", rows & more) for other, more in second)


def _bounded(metric: Scorer, rows: Array, level: float, small: bool) -> tuple[float, float]:
    """The metric in a slice, and the best that it may truly be, at a one-sided level."""
    if isinstance(metric, Area):
        return _area(metric, rows, level)
    assert isinstance(metric, Ratio)
    above, below = metric.above[0][rows], metric.below[0][rows]
    if not below.sum():
        return math.nan, math.nan
    value = float(above.sum() / below.sum())
    if set(np.unique(above).tolist()) <= {0.0, 1.0} and set(np.unique(below).tolist()) <= {0.0, 1.0}:
        best = _share(int(above.sum()), int(below.sum()), level, small)
    else:
        best = value + (-1 if small else 1) * _error(above, below, value) * _student(len(above) - 1, level)
    if metric.root:
        return math.sqrt(value), math.sqrt(max(best, 0.0))
    return value, best


def _share(hits: int, rows: int, level: float, lower: bool) -> float:
    """Clopper and Pearson's bound of a share."""
    from scipy.stats import beta

    if lower:
        return float(beta.ppf(level, hits, rows - hits + 1)) if hits else 0.0
    return float(beta.ppf(1 - level, hits + 1, rows - hits)) if hits < rows else 1.0


def _error(above: Array, below: Array, value: float) -> float:
    """The standard error of a ratio of sums, by the delta method (that of a mean where `below` is 1)."""
    return float(np.sqrt(((above - value * below) ** 2).sum() * len(above) / max(len(above) - 1, 1)) / below.sum())


def _student(freedom: int, level: float) -> float:
    from scipy.stats import t

    return float(t.ppf(1 - level, max(freedom, 1)))


def _area(metric: Area, rows: Array, level: float) -> tuple[float, float]:
    """The area under the ROC curve in a slice, and its upper bound by DeLong's variance on the logit scale, which keeps it below 1."""
    from scipy.stats import norm, rankdata

    hits, places = metric.hits[rows] > 0, metric.places[rows]
    good, bad = int(hits.sum()), int((~hits).sum())
    if good < 2 or bad < 2:
        return math.nan, math.nan
    ranks = rankdata(places)
    of_good = (ranks[hits] - rankdata(places[hits])) / bad
    of_bad = 1 - (ranks[~hits] - rankdata(places[~hits])) / good
    value = float(of_good.mean())
    error = math.sqrt(of_good.var(ddof=1) / good + of_bad.var(ddof=1) / bad)
    if not 0 < value < 1 or not error:
        return value, 1.0 if value == 1 else _share(0, min(good, bad), level, False) if value == 0 else value
    logit = math.log(value / (1 - value)) + norm.ppf(1 - level) * error / (value * (1 - value))
    return value, 1 / (1 + math.exp(-min(logit, 700.0)))
