"""A verdict for each column: is it drift, is it none, or is there too little to tell?

Each column is asked several questions, since no one test finds every change: of numbers whether they lie elsewhere or are spread otherwise
(ranks), whether the distribution differs in any way (Kolmogorov-Smirnov; chi-squared where there are few different values) and whether they
leave the range; of categories whether their shares differ; of both whether more or fewer are missing. The level `alpha` is that of the
whole table: half of it is for missing values and half for the values that are there, each half is divided among columns by Holm's method,
and a column's part among its questions by fixed weights. So of windows without drift at most that share has any alarm, however the columns
hang together. A question that the data cannot answer (nothing is missing, here or there) takes no part of the level (Tarone 1990,
Biometrics 46).

A p-value only tells that there is a difference; with a million rows the smallest is found. So the difference must be of some size too.

Sources: Holm 1979, Scand. J. Stat. 6; Genovese, Roeder and Wasserman 2006, Biometrika 93 (weights).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...records.models import Drift
from . import kinds, statistics
from .cells import coarse, distance
from .profiles import ColumnProfile, Profile
from .statistics import Counts, Outcome
from .tallies import ColumnTally, Tally

DRIFT, NONE, INSUFFICIENT = "drift", "none", "insufficient data"
ALPHA = 0.03
"""Of windows without drift at most one in twenty may alarm. The tests are nearly exact, and a reference that happens to be unlike what it
was drawn from is compared with every window; hence less than 0.05."""
FEWEST = 30
"""Of fewer values, in the reference or now, nothing is said."""
FEW = 20
"""Numbers with no more different values than this are compared value by value, not by their cumulative distribution."""
SHOWN = 20

_RANKS, _SHAPE, _RANGE, _MISSING, _SHARES = "ranks", "shape", "range", "missing", "shares"
WEIGHTS = {_MISSING: 1.0, _SHARES: 1.0, _RANKS: 0.70, _SHAPE: 0.25, _RANGE: 0.05}
"""How a column's part of the level is divided among its questions about values; that about missing ones has a level of its own."""
SMALLEST = {_RANKS: 0.10, _SHAPE: 0.04, _RANGE: 0.005, _MISSING: 0.01, _SHARES: 0.03}
"""Differences that are smaller are none: standard deviations of a shift, distance of distributions, and shares of the rows."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a question about a column gave. `level` is what its p-value is held against, once that is known."""

    question: str
    outcome: Outcome
    level: float = 0.0

    @property
    def p_value(self) -> float:
        """Against the question's weight."""
        return self.outcome.p_value / WEIGHTS[self.question]

    @property
    def large(self) -> bool:
        """Whether the difference is of some size."""
        return self.outcome.effect >= SMALLEST[self.question]

    @property
    def differs(self) -> bool:
        """Whether there is a difference, and not a small one."""
        return self.large and self.outcome.p_value <= self.level


def compare(reference: Any, current: Any, *, alpha: float = ALPHA) -> tuple[Drift, ...]:
    """A `Drift` for each column of the reference (a `Profile` or a frame), in its order, of `current` (a frame or a `Tally`)."""
    if isinstance(current, Tally):
        return judge(current, alpha=alpha)
    profile = Profile.of(reference)
    tally = Tally(profile, rows=kinds.rows_of(current))
    tally.add(current)
    return judge(tally, alpha=alpha)


def judge(tally: Tally, *, alpha: float = ALPHA) -> tuple[Drift, ...]:
    """A `Drift` for each column of what was counted."""
    columns = tally.profile.columns
    missing = _levelled([_about_missing(item, tally.columns[item.name]) for item in columns], alpha / 2)
    values = _levelled([_about_values(item, tally.columns[item.name]) for item in columns], alpha / 2)
    return tuple(
        _drift(item, tally.columns[item.name], [*absent, *present]) for item, absent, present in zip(columns, missing, values, strict=True)
    )


def _levelled(columns: list[list[_Answer]], alpha: float) -> list[list[_Answer]]:
    """The answers of each column, with what their p-values are held against: Holm's steps from the column that differs most."""
    least = {at: min(answer.p_value for answer in answers) for at, answers in enumerate(columns) if answers}
    found: list[list[_Answer]] = [[] for _ in columns]
    level = alpha
    before = 0.0
    for rank, at in enumerate(sorted(least, key=lambda at: least[at])):
        # The steps end at the first column that does not differ: all after it are held against the same.
        if before <= level:
            level = alpha / (len(least) - rank)
        before = least[at]
        found[at] = [replace(answer, level=level * WEIGHTS[answer.question]) for answer in columns[at]]
    return found


def _about_missing(item: ColumnProfile, tally: ColumnTally) -> list[_Answer]:
    if min(item.rows, tally.rows) < FEWEST or item.kind == kinds.NOTHING or not (item.missing or tally.missing):
        return []
    return [_Answer(_MISSING, statistics.two_shares(item.missing, item.rows, tally.missing, tally.rows))]


def _about_values(item: ColumnProfile, tally: ColumnTally) -> list[_Answer]:
    if min(item.values, tally.values) < FEWEST or item.kind in (kinds.NOTHING, kinds.TIME):
        return []
    if not item.ordered:
        return [_Answer(_SHARES, statistics.same_shares(*_with_new(item, tally)))]
    first = np.array(item.counts, dtype=np.int64)
    shape = statistics.same_shares if item.distinct <= FEW else statistics.kolmogorov_smirnov
    return [
        _Answer(_RANKS, statistics.location_and_scale(first, tally.counts)),
        _Answer(_SHAPE, shape(first, tally.counts)),
        _Answer(_RANGE, statistics.beyond_range(item.values, tally.outside, tally.values)),
    ]


def _with_new(item: ColumnProfile, tally: ColumnTally) -> tuple[Counts, Counts]:
    """Counts of categories, with a cell for each new one: all of them together would be sure to be commoner now than they were."""
    first = np.array(item.counts, dtype=np.int64)
    new = [tally.names[name] for name in _new(item, tally)]
    if not new:
        return first, tally.counts
    second = np.concatenate([tally.counts, np.array(new, dtype=np.int64)])
    second[len(first) - 1] -= sum(new)
    return np.concatenate([first, np.zeros(len(new), dtype=np.int64)]), second


def _lacking(item: ColumnProfile, tally: ColumnTally) -> str:
    """Why nothing can be said of the column's values; "" where something can."""
    if not tally.seen:
        return "the column is not in the data"
    if item.kind == kinds.NOTHING:
        return "the reference has no values that can be compared"
    if not tally.rows or not item.rows:
        return "there are no rows" + ("" if item.rows else " in the reference")
    if not tally.values:
        return f"all {tally.rows:,} values are missing"
    if not item.values:
        return "all values of the reference are missing"
    if tally.values < FEWEST:
        return f"there are {tally.values} values, of the {FEWEST} that are needed"
    if item.values < FEWEST:
        return f"the reference has {item.values} values, of the {FEWEST} that are needed"
    if item.kind == kinds.TIME:
        return ""
    if item.constant:
        return "the reference has only one value"
    if tally.constant:
        return "there is only one value"
    return ""


def _drift(item: ColumnProfile, tally: ColumnTally, answers: list[_Answer]) -> Drift:
    lacking = _lacking(item, tally)
    # Of those with a difference of some size, that which is clearest.
    found = min(answers, key=lambda answer: (not answer.large, answer.outcome.p_value / answer.level), default=None)
    verdict = INSUFFICIENT if lacking else DRIFT if found is not None and found.differs else NONE
    common: dict[str, Any] = {
        "column": item.name,
        "kind": item.kind if item.kind != kinds.NOTHING else kinds.TEXT,
        "verdict": verdict,
        "missing": (_share(item.missing, item.rows), _share(tally.missing, tally.rows)),
        "new": tuple(_new(item, tally)[:SHOWN]),
        "outside": _share(tally.outside, tally.values),
        "rows": (item.rows, tally.rows),
    }
    if found is None:
        return Drift(**common, why=lacking or ("times move on: only missing values are compared" if item.kind == kinds.TIME else ""))
    psi, wasserstein = _sizes(item, tally)
    return Drift(
        **common,
        method=found.outcome.method + (" of missing values" if found.question == _MISSING else ""),
        statistic=found.outcome.statistic,
        p_value=found.outcome.p_value,
        threshold=found.level,
        psi=psi,
        wasserstein=wasserstein,
        why=lacking or (_because(item, tally, found) if found.differs else ""),
    )


def _sizes(item: ColumnProfile, tally: ColumnTally) -> tuple[float | None, float | None]:
    """How much it differs: population stability index, and for numbers Wasserstein's distance in standard deviations."""
    first = np.array(item.counts, dtype=np.int64)
    if not tally.counts.sum() or not first.sum():
        return None, None
    psi = statistics.population_stability(*(coarse(first, tally.counts) if item.ordered else (first, tally.counts)))
    if not item.ordered or not item.deviation:
        return psi, None
    edges = np.array(item.edges, dtype=np.float64)
    moved = distance(first, tally.counts, edges, tally.below / tally.values, tally.above / tally.values)
    return psi, moved / item.deviation


def _because(item: ColumnProfile, tally: ColumnTally, found: _Answer) -> str:
    """The difference as a reader would say it."""
    question, outcome = found.question, found.outcome
    before, now = _share(item.missing, item.rows), _share(tally.missing, tally.rows)
    if question == _MISSING:
        return f"{now:.1%} of the values are missing, {before:.1%} in the reference"
    if question == _RANGE:
        return f"{_share(tally.outside, tally.values):.1%} of the values lie beyond {item.edges[0]:g} to {item.edges[-1]:g}"
    if question == _SHARES:
        new = _new(item, tally)
        return f"{outcome.effect:.1%} of the rows have another category" + (f", {len(new)} of which are new" if new else "")
    if question == _RANKS:
        return "its values lie elsewhere or are spread otherwise"
    return f"its distribution differs by up to {outcome.effect:.1%}"


def _new(item: ColumnProfile, tally: ColumnTally) -> list[str]:
    """Categories that the reference has not, the commonest first. Where it has more than are kept, none is known to be new."""
    if item.ordered or item.distinct > len(item.edges):
        return []
    known = set(item.edges)
    return sorted((name for name in tally.names if name not in known), key=lambda name: (-tally.names[name], name))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
