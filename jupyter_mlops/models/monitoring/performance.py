"""How good predictions were, once the truth is known: metrics with their intervals, over time, by slice and group, and decay."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np

from ...errors import MlopsError
from ..gates.evidence import CLASSIFICATION, Evidence, Needed, Sources, Unmet
from ..gates.metrics import SMALLER_IS_BETTER, Scorer, numbers, scored

FEWEST = 30
"""Of fewer rows nothing is said."""
SURE = 0.95
DECAY_LEVEL = 0.01
"""How likely decay may be said to be there where there is none, of all metrics that are held against the test data together."""
WORSE = 0.02
"""Metrics of classes that are worse by less have not decayed; errors of amounts by less than twice this share of themselves."""
SMALLEST_GROUP = 30
MOST_GROUPS = 12
CLASSES = ("accuracy", "balanced_accuracy", "f1", "precision", "recall")
AMOUNTS = ("mae", "rmse", "r2")
DECIDING = ("accuracy", "balanced_accuracy", "f1", "mae", "rmse")
"""The metrics whose decay is an alert; the others of a model follow them."""
_BUDGET, _FEWEST_DRAWS, _MOST_DRAWS = 3 * 10**6, 40, 400
_SEED = 20130101


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """Predictions whose truth is known, one row each: `at` in seconds since the epoch, `columns` what they are grouped by."""

    made: np.ndarray[Any, Any]
    truth: np.ndarray[Any, Any]
    at: np.ndarray[Any, Any]
    columns: Mapping[str, np.ndarray[Any, Any]]

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, rows: np.ndarray[Any, Any]) -> Labelled:
        """Some of the rows."""
        return Labelled(self.made[rows], self.truth[rows], self.at[rows], {name: values[rows] for name, values in self.columns.items()})


def measured(
    made: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], task: str, labels: Sequence[Any], *, intervals: bool = True
) -> dict[str, dict[str, Any]]:
    """{metric: {"value", "error" (standard error), "interval", "rows"}}: scikit-learn's definitions, percentile bootstrap."""
    rows = len(truth)
    found: dict[str, dict[str, Any]] = {}
    names = CLASSES if task == CLASSIFICATION else AMOUNTS
    if rows < FEWEST:
        return {}
    for name in names if task != CLASSIFICATION or len(labels) <= 2 else CLASSES[:3]:
        try:
            scorer = _scorer(name, made, truth, task, labels)
        except (Needed, Unmet):
            continue
        value = scorer()
        if not math.isfinite(value):
            continue
        found[name] = {"value": value, "rows": rows}
        if intervals:
            draws = _drawn(scorer, rows)
            low, high = np.quantile(draws, [(1 - SURE) / 2, (1 + SURE) / 2])
            found[name] |= {"error": float(draws.std()), "interval": [float(low), float(high)]}
    return found


def decayed(found: Mapping[str, Mapping[str, Any]], reference: Mapping[str, Sequence[float]]) -> list[tuple[str, str]]:
    """(metric, sentence) for each metric that is worse than on the test data, beyond what chance explains, and not by little.

    The difference of two independent samples is held against the errors of both; the level is divided among the metrics (Bonferroni).
    """
    told = []
    asked = [name for name in DECIDING if name in found and name in reference]
    for name in asked:
        value, before = float(found[name]["value"]), float(reference[name][0])
        worse = value - before if name in SMALLER_IS_BETTER else before - value
        error = math.hypot(float(found[name]["error"]), float(reference[name][1]))
        least = 2 * WORSE * abs(before) if name in SMALLER_IS_BETTER else WORSE
        chance = 0.5 * math.erfc(worse / error / math.sqrt(2)) if error else 0.0
        if worse > least and chance <= DECAY_LEVEL / len(asked):
            told.append((name, f"{name} is {value:.4g}, on the test data it was {before:.4g}"))
    return told


def over_time(labelled: Labelled, edges: Sequence[float], task: str, labels: Sequence[Any]) -> dict[str, list[list[float]]]:
    """{metric: [[from, value, rows], ...]} for each stretch of time between `edges` with enough rows."""
    found: dict[str, list[list[float]]] = {}
    places = np.searchsorted(np.asarray(edges)[1:-1], labelled.at, side="right")
    for place in np.unique(places).tolist():
        part = labelled.part(places == place)
        for name, item in measured(part.made, part.truth, task, labels, intervals=False).items():
            found.setdefault(name, []).append([float(edges[place]), item["value"], len(part)])
    return found


def by_group(labelled: Labelled, task: str, labels: Sequence[Any]) -> list[dict[str, Any]]:
    """{"column", "group", "metric", "value", "interval", "rows"} for each value of the columns; numbers in quarters.

    A group that is too small has no value, and says so in `why`.
    """
    metric = "accuracy" if task == CLASSIFICATION else "mae"
    found = []
    for column, values in labelled.columns.items():
        for group, rows in _groups(values):
            part = labelled.part(rows)
            told: dict[str, Any] = {"column": column, "group": group, "metric": metric, "rows": len(part)}
            if len(part) < SMALLEST_GROUP:
                found.append(told | {"value": None, "interval": None, "why": f"fewer than {SMALLEST_GROUP} rows"})
                continue
            item = measured(part.made, part.truth, task, labels).get(metric)
            if item is not None:
                found.append(told | {"value": item["value"], "interval": item["interval"], "why": ""})
    return found


def business(function: str, folder: Any, labelled: Labelled, context: Any) -> dict[str, dict[str, Any]]:
    """The user's metric, {name: {"value", "rows"}}; {name: {"value": None, "why"}} where it raises."""
    import pandas as pd

    from ..gates.business import measured as called

    name = function.rpartition(":")[2]
    held: Any = SimpleNamespace(predictions=labelled.made, y=pd.Series(labelled.truth), judged=context)
    try:
        return {name: {"value": called(function, folder, held), "rows": len(labelled), "business": True}}
    except (Unmet, MlopsError) as error:
        return {name: {"value": None, "rows": len(labelled), "business": True, "why": str(error)}}


def _scorer(name: str, made: Any, truth: Any, task: str, labels: Sequence[Any]) -> Scorer:
    from ...records import ModelVersion

    model = SimpleNamespace(classes_=np.array(list(labels), dtype=object)) if len(labels) else SimpleNamespace()
    held = Evidence(asked="", sources=Sources(model=lambda: model), version=ModelVersion(name="", version=0, task=task))
    features: Any = None
    return (
        scored(name, held, features, truth, made) if task == CLASSIFICATION else scored(name, held, features, numbers(truth), numbers(made))
    )


def _drawn(scorer: Scorer, rows: int) -> np.ndarray[Any, Any]:
    """The metric of bootstrap samples (Efron and Tibshirani 1993)."""
    random = np.random.default_rng(_SEED)
    count = int(np.clip(_BUDGET // rows, _FEWEST_DRAWS, _MOST_DRAWS))
    draws = np.array([scorer(np.bincount(random.integers(0, rows, rows), minlength=rows).astype(float)) for _ in range(count)])
    known = draws[np.isfinite(draws)]
    return known if len(known) else np.zeros(1)


def _groups(values: np.ndarray[Any, Any]) -> list[tuple[str, np.ndarray[Any, Any]]]:
    if values.dtype.kind in "fiu":
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        if len(np.unique(known)) > MOST_GROUPS:
            bounds = np.unique(np.quantile(known, [0.25, 0.5, 0.75]))
            places = np.searchsorted(bounds, values, side="left")
            ends = ["", *(f"{bound:.4g}" for bound in bounds), ""]
            names = [f"{low} to {high}" if low and high else f"up to {high}" if high else f"over {low}" for low, high in pairwise(ends)]
            return [(name, places == place) for place, name in enumerate(names) if (places == place).any()]
    texts = np.array(["missing" if value is None or value != value else str(value) for value in values.tolist()])
    found, counts = np.unique(texts, return_counts=True)
    common = found[np.argsort(-counts, kind="stable")][:MOST_GROUPS]
    return [(str(name), texts == name) for name in common]
