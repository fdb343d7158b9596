"""Gates on how well a model predicts: a metric within bounds, and no worse than the champion on the same data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

from ...records import Gate
from .conditions import Bounded, narrowed, shown
from .evidence import Evidence, Needed, Unmet
from .intervals import paired
from .metrics import SMALLER_IS_BETTER, canonical, scorer, usual

FEWEST = 30
"""Of fewer rows no interval is worth its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric(Bounded):
    """A metric that was recorded (by the run, or by a step of the pipeline), or that the test data gives.

    What was recorded counts first, unless the data was given by hand; `of` takes one of them alone.
    """

    kind: ClassVar[str] = "metric"
    metric: str
    of: str = ""
    positive: Any = None

    @property
    def told(self) -> str:
        where = {"recorded": " as recorded", "data": " on test data"}.get(self.of, "")
        return narrowed(self.metric, self.positive) + where

    def check(self, evidence: Evidence) -> Gate:
        known = canonical(self.metric)
        recorded = _recorded(self.metric, evidence) if self.of != "data" else None
        computed = bool(known) and self.of != "recorded" and (recorded is None or evidence.fresh)
        if computed:
            value = scorer(known, evidence, self.positive)()
            return self.gate(value, f"on {len(evidence.X):,} rows of test data", {"from": "data", "rows": len(evidence.X)})
        if recorded is None:
            there = ", ".join(sorted(evidence.metrics)[:8]) or "no metric"
            raise Needed(f"the metric {self.metric}, which was not recorded (there is {there})" + ("" if known else " and no data gives"))
        return self.gate(recorded, "as recorded", {"from": "recorded"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NoWorse:
    """The model does no worse than the champion on the same data.

    Without a margin it fails where the whole interval of the difference lies on the bad side of 0: it is worse, and not by chance. With a
    margin the interval must prove that it loses no more than that.
    """

    kind: ClassVar[str] = "no_worse_than"
    no_worse_than: str = "champion"
    metric: str = ""
    margin: float | None = None
    confidence: float = 0.95
    positive: Any = None

    @property
    def name(self) -> str:
        less = f" by more than {shown(self.margin)}" if self.margin else ""
        told = f"{narrowed(self.metric, self.positive)} no worse" if self.metric else "no worse"
        return f"{told} than the champion{less}"

    @property
    def bound(self) -> float | None:
        return -self.margin if self.margin is not None else 0.0

    def check(self, evidence: Evidence) -> Gate:
        rival = evidence.champion
        if rival is None:
            why = "it is the champion itself" if "champion" in evidence.version.aliases else "there is no champion to compare it with"
            return Gate(name=self.name, state="passed", why=why, kind=self.kind, bound=self.bound)
        name = self.metric or usual(evidence)
        if len(evidence.X) < FEWEST:
            raise Needed(f"{FEWEST} rows of test data: {len(evidence.X)} tell nothing of the difference")
        ours = scorer(name, evidence, self.positive)
        theirs = _of_rival(name, rival, self.positive)
        found = paired(ours, theirs, len(evidence.X), self.confidence)
        sign = -1.0 if name in SMALLER_IS_BETTER else 1.0
        low, high = sorted((sign * found.low, sign * found.high))
        passed = high >= 0 if self.margin is None else low >= -self.margin
        numbers = (found.first, found.second, low, high)
        passed &= not any(map(math.isnan, numbers))
        who = f"version {rival.version.version}" if rival.version.version else rival.asked
        better = "smaller is better, " if sign < 0 else ""
        why = (
            f"{name} {shown(found.first)}, {who} {shown(found.second)}; gain {_signed(sign * found.value)}, {self.confidence:.0%} interval "
            f"{_signed(low)} to {_signed(high)} ({better}{found.samples:,} paired samples of {len(evidence.X):,} rows)"
        )
        details = {
            "metric": name, "champion": found.second, "value": found.first, "interval": [low, high], "confidence": self.confidence,
            "samples": found.samples, "rows": len(evidence.X), "against": rival.version.version,
        }  # fmt: skip
        return Gate(
            name=self.name, state="passed" if passed else "failed", value=sign * found.value, why=why, kind=self.kind, bound=self.bound,
            details=details,
        )  # fmt: skip


def _of_rival(name: str, rival: Evidence, positive: Any) -> Any:
    try:
        return scorer(name, rival, positive)
    except (Needed, Unmet) as broken:
        raise Needed(f"a champion that can be tried on this data: {broken}") from None


def _recorded(metric: str, evidence: Evidence) -> float | None:
    """The recorded metric of this name; STEP.NAME and other spellings of a known one count where there is no such name."""
    if metric in evidence.metrics:
        return float(evidence.metrics[metric])
    known = canonical(metric)
    alike = {float(value) for name, value in evidence.metrics.items() if known and "." not in name and canonical(name) == known}
    return alike.pop() if len(alike) == 1 else None


def _signed(number: float) -> str:
    return f"{'+' if number >= 0 else '-'}{shown(abs(number))}" if not math.isnan(number) else "NaN"
