"""Gates on bias: what the model does to groups of people, by fairlearn's definitions of parity and by metrics of each group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...errors import UsageError
from ...pipelines.definition.gates import PARITY
from ...records import Gate
from .conditions import Bounded, narrowed, shown
from .evidence import REGRESSION, Evidence, Needed
from .metrics import SMALLER_IS_BETTER, Array, coded, named, scorer

SMALLEST = 30
"""Fewer rows than this say little of a group: it is named, and left out of the verdict."""
_FEWEST_OF_A_CLASS = 5
_MANY = 12
_BINS = 4
MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness(Bounded):
    """A measure of parity between the groups of a sensitive feature, or the worst group's metric.

    Demographic parity compares how often each group gets the positive answer, equalised odds how often it rightly and wrongly gets it,
    equal opportunity how often rightly; a difference is 0 and a ratio 1 where all groups fare alike. With more than two classes each is
    taken against the rest, and the worst counts.
    """

    kind: ClassVar[str] = "fairness"
    fairness: str
    sensitive: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bins: Sequence[float] = ()
    smallest: int = SMALLEST
    positive: Any = None

    @property
    def told(self) -> str:
        return f"{narrowed(self.fairness, self.positive)} by {' and '.join(self.sensitive)}"

    def check(self, evidence: Evidence) -> Gate:
        group = self._grouped(evidence)
        if evidence.task == REGRESSION and self.fairness in (*PARITY, "selection_rate", "false_positive_rate", "false_negative_rate"):
            instead = f"{{fairness: mae, sensitive: {self.sensitive[0]}}}"
            raise Needed(f"a model that predicts classes; of amounts take a metric for each group: {instead}")
        return self._parity(evidence, group) if self.fairness in PARITY else self._worst(evidence, group)

    # -- who belongs where

    def _grouped(self, evidence: Evidence) -> Array:
        """The group of each row; "" for rows of no group that is asked about. Raises Needed."""
        parts = []
        for column in self.sensitive:
            if column not in evidence.judged.columns:
                raise Needed(f"the column {column!r} in the test data")
            parts.append(self._of_column(evidence.judged[column]))
        joined = parts[0]
        for part in parts[1:]:
            joined = np.array([f"{a}, {b}" if a and b else "" for a, b in zip(joined, part, strict=True)])
        return joined

    def _of_column(self, values: Any) -> Array:
        import pandas as pd

        if self.groups:
            of = {str(value): group for group, members in self.groups.items() for value in members}
            return np.array([of.get(str(value), "") for value in values.tolist()])
        numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
        if numeric and (self.bins or values.nunique() > _MANY):
            bounds = sorted(self.bins) or sorted({float(item) for item in values.quantile(np.linspace(0, 1, _BINS + 1)[1:-1])})
            names = [f"{values.name} {_range(low, high)}" for low, high in zip([None, *bounds], [*bounds, None], strict=True)]
            places = np.searchsorted(np.array(bounds, dtype=float), values.to_numpy(dtype=float, na_value=np.nan), side="left")
            return np.array([MISSING if missing else names[place] for place, missing in zip(places, values.isna(), strict=True)])
        return np.array([MISSING if missing else str(value) for value, missing in zip(values.tolist(), values.isna(), strict=True)])

    def _judged(self, group: Array, truth: Array | None, classes: int) -> tuple[list[str], dict[str, str]]:
        """The groups that are large enough for the verdict, and why the others are not. Raises Needed where fewer than two are."""
        large, small = [], {}
        for name in sorted(set(group.tolist()) - {""}):
            rows = int((group == name).sum())
            least = 0 if truth is None else min((int(((group == name) & (truth == place)).sum()) for place in range(classes)), default=0)
            if rows < self.smallest:
                small[name] = f"{rows} rows"
            elif truth is not None and least < _FEWEST_OF_A_CLASS:
                small[name] = f"only {least} of its {rows} rows are of one class"
            else:
                large.append(name)
        if len(large) < 2:
            told = "; ".join(f"{name}: {why}" for name, why in small.items()) or "there is one group"
            raise Needed(f"two groups of {self.smallest} rows or more ({told})")
        return large, small

    # -- the verdict

    def _parity(self, evidence: Evidence, group: Array) -> Gate:
        truth, made, labels = coded(evidence.y, evidence.decided(evidence.predictions), evidence.labels)
        single = len(labels) == 2 or self.positive is not None
        classes = [labels.index(named(evidence.positive(self.positive)))] if single else list(range(len(labels)))
        by_class = None if self.fairness.startswith("demographic") else truth
        large, small = self._judged(group, by_class if single else None, 2)
        rows = np.isin(group, large)
        measures = {place: _measured(self.fairness, truth == place, made == place, group, rows) for place in classes}
        worst = (min if self.fairness.endswith("ratio") else max)(measures, key=lambda place: _ordered(measures[place], self.fairness))
        value = measures[worst]
        table = _rates(truth == worst, made == worst, group, (*large, *small), small)
        of = "" if len(labels) == 2 and self.positive is None else f" of {labels[worst]}"
        key = "selection_rate" if by_class is None else "true_positive_rate"
        low, high = (f(large, key=lambda name: _known(table[name][key])) for f in (min, max))
        why = f"{key.replace('_', ' ')}{of}: {high} {shown(table[high][key])}, {low} {shown(table[low][key])}"
        details = {"groups": table, "class": labels[worst], "left_out": small}
        return self.gate(value, why + _left_out(small), details)

    def _worst(self, evidence: Evidence, group: Array) -> Gate:
        metric = scorer(self.fairness, evidence, self.positive)
        large, small = self._judged(group, None, 0)
        values = {name: metric((group == name).astype(float)) for name in (*large, *small)}
        table = {
            name: {"rows": int((group == name).sum()), self.fairness: value, **({"left_out": small[name]} if name in small else {})}
            for name, value in values.items()
        }
        worse = max if self.fairness in SMALLER_IS_BETTER or (self.at_most is not None and self.at_least is None) else min
        unknown = next((name for name in large if math.isnan(values[name])), None)
        worst = unknown or worse(large, key=values.__getitem__)
        return self.gate(
            values[worst], f"worst: {worst} ({table[worst]['rows']:,} rows)" + _left_out(small), {"groups": table, "left_out": small}
        )


def _measured(measure: str, truth: Array, made: Array, group: Array, rows: Array) -> float:
    """fairlearn's measure of this name."""
    try:
        import fairlearn.metrics
    except ImportError:
        raise UsageError("Fairness is measured with fairlearn, which is not installed: pip install 'jupyter_mlops[fairness]'.") from None
    function = getattr(fairlearn.metrics, measure)
    return float(function(truth[rows].astype(int), made[rows].astype(int), sensitive_features=group[rows]))


def _rates(truth: Array, made: Array, group: Array, names: Sequence[str], small: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    table: dict[str, dict[str, Any]] = {}
    for name in names:
        here = group == name
        table[name] = {
            "rows": int(here.sum()), "selection_rate": _share(made, here), "true_positive_rate": _share(made, here & truth),
            "false_positive_rate": _share(made, here & ~truth), "accuracy": _share(made == truth, here),
            **({"left_out": small[name]} if name in small else {}),
        }  # fmt: skip
    return table


def _share(what: Array, among: Array) -> float:
    return float(what[among].mean()) if among.any() else float("nan")


def _known(value: float) -> float:
    return -1.0 if math.isnan(value) else value


def _ordered(value: float, measure: str) -> float:
    """NaN is worse than anything."""
    return value if not math.isnan(value) else -math.inf if measure.endswith("ratio") else math.inf


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"up to {shown(high or 0)}"
    return f"above {shown(low)}" if high is None else f"{shown(low)} to {shown(high)}"


def _left_out(small: Mapping[str, str]) -> str:
    return "; too small to judge: " + ", ".join(f"{name} ({why})" for name, why in small.items()) if small else ""
