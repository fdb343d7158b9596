"""Tests of whether two samples come from one distribution, on counts: the samples are given as how many of each fall in each cell.

Cells are ordered for numbers, unordered for categories. Values within a cell are ties, which rank tests treat by midranks, so that nothing
here depends on how fine the cells are, except that finer ones tell more. `first` and `second` are counts of equal length. A p-value is 1.0
where the data cannot tell anything. Only scipy.special is imported, since scipy.stats takes a second to load.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

Counts = NDArray[np.int64]
Numbers = NDArray[np.float64]

EXPECTED = 5.0
"""Categories with a smaller expected count in either sample are counted together (Cochran 1954)."""
PLENTY = 20.0
"""Where the smallest expected count is less, the G-test is taken for chi-squared, whose upper tail is too light then."""
_LARGE = 5_000
_TERMS = 5_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a test says. `effect` is the size of the difference in units that do not grow with the number of rows (each test says which)."""

    method: str
    statistic: float
    p_value: float
    effect: float


def location_and_scale(first: Counts, second: Counts) -> Outcome:
    """Whether the second sample lies elsewhere, or is spread otherwise: Lepage's combination of two rank tests, chi-squared with 2 degrees.

    Wilcoxon's scores find a shift and Mood's a change of spread, which Kolmogorov-Smirnov's test is weak for; their joint covariance is
    that of all permutations (exact with ties). `effect` is the larger of the two differences of mean scores, in standard deviations of the
    scores: for a normal distribution that is close to the shift in standard deviations.

    Sources: Lepage 1971, Biometrika 58; Mood 1954, Ann. Math. Stat. 25; Hajek, Sidak and Sen 1999, Theory of Rank Tests, ch. 3 (variance of
    linear rank statistics); Marozzi 2013, J. Stat. Comput. Simul. 83 (such combinations compared).
    """
    name = "Wilcoxon-Mood (Lepage)"
    n, m = int(second.sum()), int(first.sum())
    both = (first + second).astype(np.float64)
    total = n + m
    if n == 0 or m == 0 or np.count_nonzero(both) < 2:
        return Outcome(name, 0.0, 1.0, 0.0)
    ends = np.cumsum(both)
    # In units in which ranks lie between -1/2 and 1/2. Mood's score of tied ranks is the mean of the scores of each: by the sum of squares.
    middle = (ends - both / 2) / total - 0.5
    spread = middle**2 + np.where(both > 0, (both**2 - 1) / (12 * total**2), 0.0)
    scores = np.stack([middle, spread])
    scores -= (scores @ both / total)[:, None]
    variance = (scores * both) @ scores.T / (total - 1)
    means = scores @ second / n
    # The variance of a mean of n scores drawn from total without replacement.
    covariance = variance * m / (n * total)
    deviations = np.sqrt(np.diag(variance))
    # A scale score is constant where there are two tied values of equal weight; its own part of the statistic is left out then.
    usable = deviations > 1e-9
    if not usable.any():
        return Outcome(name, 0.0, 1.0, 0.0)
    means, covariance = means[usable], covariance[np.ix_(usable, usable)]
    correlation = covariance / np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    if len(means) == 2 and abs(correlation[0, 1]) > 1 - 1e-6:
        means, covariance = means[:1], covariance[:1, :1]
    statistic = float(means @ np.linalg.solve(covariance, means))
    # Against the mean over the first sample rather than over both: a difference of means, as a shift is.
    effect = float(np.max(np.abs(means) / np.sqrt(np.diag(covariance) * n * total / m))) * total / m
    return Outcome(name, statistic, _chi_squared_tail(statistic, len(means)), effect)


def kolmogorov_smirnov(first: Counts, second: Counts) -> Outcome:
    """Whether two distributions differ in any way: the greatest distance of their cumulative distributions, which is `effect` too.

    The p-value is Kolmogorov's limit; with ties, as cells make them, it errs to the safe side (Noether 1963, Ann. Math. Stat. 34).
    """
    n, m = int(second.sum()), int(first.sum())
    if n == 0 or m == 0:
        return Outcome("Kolmogorov-Smirnov", 0.0, 1.0, 0.0)
    distance = float(np.max(np.abs(np.cumsum(first) / m - np.cumsum(second) / n)))
    return Outcome("Kolmogorov-Smirnov", distance, float(special.kolmogorov(math.sqrt(n * m / (n + m)) * distance)), distance)


def same_shares(first: Counts, second: Counts) -> Outcome:
    """Whether shares of categories differ: chi-squared, the G-test where counts are small, Fisher's exact test for two categories.

    Rare categories are counted together: which are rare is decided by both samples together, so that the choice favours neither.
    `effect` is the share of rows that would have to change category to make both alike (total variation distance).

    Sources: Pearson 1900; Cochran 1954, Biometrics 10 (expected counts); Woolf 1957, Ann. Hum. Genet. 21 (G); Williams
    1976, Biometrika 63 (G's correction); Fisher 1934.
    """
    n, m = int(second.sum()), int(first.sum())
    if n == 0 or m == 0:
        return Outcome("chi-squared", 0.0, 1.0, 0.0)
    effect = float(np.abs(first / m - second / n).sum() / 2)
    first, second = _pooled(first, second)
    if len(first) < 2:
        return Outcome("chi-squared", 0.0, 1.0, 0.0)
    if len(first) == 2:
        exact = two_shares(int(first[0]), m, int(second[0]), n)
        return Outcome("Fisher's exact test", exact.statistic, exact.p_value, effect)
    both = (first + second).astype(np.float64)
    expected = np.stack([both * m, both * n]) / (n + m)
    observed = np.stack([first, second]).astype(np.float64)
    if expected.min() < PLENTY:
        method = "G-test"
        statistic = float(2 * special.xlogy(observed, observed / expected).sum())
        statistic /= 1 + ((n + m) * (1 / n + 1 / m) - 1) * ((n + m) * float((1 / both).sum()) - 1) / (6 * (n + m) * (len(both) - 1))
    else:
        method = "chi-squared"
        statistic = float(((observed - expected) ** 2 / expected).sum())
    return Outcome(method, statistic, _chi_squared_tail(statistic, len(both) - 1), effect)


def two_shares(first: int, m: int, second: int, n: int) -> Outcome:
    """Whether the share of `second` of n rows differs from that of `first` of m: exact and conditional, both tails (Fisher 1934).

    With so many rows that it makes no difference, the normal approximation is taken. `effect` is the difference of the shares;
    `statistic` is the difference in standard errors.
    """
    if n <= 0 or m <= 0:
        return Outcome("two proportions", 0.0, 1.0, 0.0)
    hits, total = first + second, n + m
    effect = abs(second / n - first / m)
    variance = hits / total * (1 - hits / total) * (1 / n + 1 / m)
    if variance <= 0:
        return Outcome("two proportions", 0.0, 1.0, 0.0)
    z = (second / n - first / m) / math.sqrt(variance)
    if min(hits, total - hits, n, m) > _LARGE:
        return Outcome("two proportions", z, float(special.erfc(abs(z) / math.sqrt(2))), effect)
    low, high = max(0, hits - m), min(n, hits)
    possible = np.arange(low, high + 1, dtype=np.float64)
    logs = _log_choose(n, possible) + _log_choose(m, hits - possible) - _log_choose(total, np.array([hits], dtype=np.float64))
    chances = np.exp(logs)
    at = second - low
    tail = min(float(chances[: at + 1].sum()), float(chances[at:].sum()))
    return Outcome("two proportions", z, min(1.0, 2 * tail), effect)


def beyond_range(m: int, outside: int, n: int) -> Outcome:
    """Whether more of n values lie beyond the range of m earlier ones than chance puts there, whatever the distribution.

    Of n further values of a continuous distribution the number beyond the least and the greatest of m is beta-binomial(n, 2, m - 1)
    (exceedance statistics: Gumbel and von Schelling 1950, Ann. Math. Stat. 21). `effect` is the share beyond.
    """
    if outside <= 0 or n <= 0 or m < 2:
        return Outcome("out of range", 0.0, 1.0, 0.0)
    # The chances fall off fast above the mean 2n/(m+1); what is left out is less than what is summed, and both are tiny.
    counts = np.arange(outside, min(n, outside + _TERMS) + 1, dtype=np.float64)
    logs = _log_choose(n, counts) + special.betaln(counts + 2, n - counts + m - 1) - special.betaln(2, m - 1)
    return Outcome("out of range", float(outside), min(1.0, float(np.exp(logs).sum())), outside / n)


def population_stability(first: Counts, second: Counts) -> float:
    """The population stability index: the symmetric Kullback-Leibler divergence of shares, in nats; half a row is added to each cell.

    By custom less than 0.1 is small and more than 0.25 large (Siddiqi 2006, Credit Risk Scorecards; Yurdakul 2018 on its sampling error).
    """
    p = (first + 0.5) / (first.sum() + 0.5 * len(first))
    q = (second + 0.5) / (second.sum() + 0.5 * len(second))
    return float(((q - p) * np.log(q / p)).sum())


def _pooled(first: Counts, second: Counts) -> tuple[Counts, Counts]:
    """Without empty categories, and with rare ones as one."""
    n, m = int(second.sum()), int(first.sum())
    both = first + second
    rare = both * (min(n, m) / (n + m)) < EXPECTED
    if rare.sum() > 1 or (rare.any() and both[rare].sum() == 0):
        some = both[rare].sum() > 0
        first = np.append(first[~rare], [first[rare].sum()] if some else []).astype(np.int64)
        second = np.append(second[~rare], [second[rare].sum()] if some else []).astype(np.int64)
    return first, second


def _chi_squared_tail(statistic: float, degrees: int) -> float:
    return float(special.chdtrc(degrees, max(statistic, 0.0)))


def _log_choose(n: int, k: Numbers) -> Numbers:
    result: Numbers = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return result
