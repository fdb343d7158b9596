"""How much of a difference is chance: the paired bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .metrics import Scorer

SEED = 20130101
"""The same resamples for the same rows, so that a verdict does not change when nothing else does."""
_BUDGET, _FEWEST, _MOST = 4 * 10**7, 200, 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """By how much the first of two is larger than the second, and the interval of it; `samples` were drawn."""

    first: float
    second: float
    low: float
    high: float
    samples: int

    @property
    def value(self) -> float:
        return self.first - self.second


def paired(first: Scorer, second: Scorer, rows: int, confidence: float = 0.95) -> Difference:
    """The difference of two metrics on the same rows with its percentile interval (Efron and Tibshirani 1993, chapter 13).

    Both see the same resampled rows each time, so that what is hard in a row is hard for both, and only their difference varies.
    """
    samples = int(np.clip(_BUDGET // max(rows, 1), _FEWEST, _MOST))
    random = np.random.default_rng(SEED)
    found = np.empty(samples)
    for number in range(samples):
        counts = np.bincount(random.integers(0, rows, rows), minlength=rows).astype(float)
        found[number] = first(counts) - second(counts)
    known = found[~np.isnan(found)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, [tail, 1 - tail]) if len(known) >= samples / 2 else (np.nan, np.nan)
    return Difference(first=first(None), second=second(None), low=float(low), high=float(high), samples=samples)
