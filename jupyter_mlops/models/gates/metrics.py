"""Metrics that gates compute, each as a function of row weights: of all rows, of a slice (weights 0 and 1), of a bootstrap sample (counts).

The definitions are scikit-learn's. With more than two classes, precision, recall, f1, specificity, auc and average_precision are means over
the classes, each against the rest. What is not defined (the recall of no rows) is NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ...pipelines.definition.gates import METRICS
from .evidence import CLASSIFICATION, REGRESSION, Evidence, Needed

if TYPE_CHECKING:
    import pandas as pd

Array = np.ndarray[Any, Any]
SMALLER_IS_BETTER = frozenset({"error", "log_loss", "brier", "mae", "mse", "rmse", "mape", "false_positive_rate", "false_negative_rate"})
"""The metrics that tell of errors; of all others more is better."""
OF_AMOUNTS = frozenset({"r2", "mae", "mse", "rmse", "mape"})
_OF_RANKS = frozenset({"auc", "average_precision"})
_OF_CHANCES = frozenset({"log_loss", "brier"})
_ALIASES = {"roc_auc": "auc", "roc_auc_score": "auc", "auroc": "auc", "test_auc": "auc", "r2_score": "r2", "mean_absolute_error": "mae",
    "mean_squared_error": "mse", "root_mean_squared_error": "rmse", "mean_absolute_percentage_error": "mape", "matthews_corrcoef": "mcc",
    "brier_score": "brier", "brier_score_loss": "brier"}  # fmt: skip


class Scorer(Protocol):
    """A metric on fixed rows; the weights (None: 1 each) say how much each row counts."""

    def __call__(self, weights: Array | None = None) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class Ratio:
    """A metric that is a ratio of sums over rows (mean over several of them: one for each class); `root` takes the square root of it."""

    above: tuple[Array, ...]
    below: tuple[Array, ...]
    empty: float = np.nan
    root: bool = False

    def __call__(self, weights: Array | None = None) -> float:
        values = [self._ratio(above, below, weights) for above, below in zip(self.above, self.below, strict=True)]
        value = float(np.mean(values))
        return float(np.sqrt(value)) if self.root else value

    def _ratio(self, above: Array, below: Array, weights: Array | None) -> float:
        upper, lower = (above.sum(), below.sum()) if weights is None else (above @ weights, below @ weights)
        return float(upper / lower) if lower else self.empty


@dataclass(frozen=True, slots=True, eq=False)
class Area:
    """The area under the ROC curve, or the average precision (`precise`), of one class against the rest.

    `places` numbers the distinct scores of rows from low to high, `hits` are 1 for rows of the class.
    """

    places: Array
    hits: Array
    count: int
    precise: bool = False

    def __call__(self, weights: Array | None = None) -> float:
        hits = self.hits if weights is None else self.hits * weights
        misses = 1 - self.hits if weights is None else (1 - self.hits) * weights
        right = np.bincount(self.places, hits, self.count)
        wrong = np.bincount(self.places, misses, self.count)
        if not right.sum() or (not wrong.sum() and not self.precise):
            return float("nan")
        if self.precise:
            found, chosen = np.cumsum(right[::-1]), np.cumsum((right + wrong)[::-1])
            return float(np.sum(right[::-1] / right.sum() * np.divide(found, chosen, out=np.zeros_like(found), where=chosen > 0)))
        return float(np.sum(right * (np.cumsum(wrong) - wrong / 2)) / (right.sum() * wrong.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class MeanOf:
    """The mean of a metric over classes that have one."""

    parts: tuple[Scorer, ...]

    def __call__(self, weights: Array | None = None) -> float:
        values = np.array([part(weights) for part in self.parts])
        return float(np.nanmean(values)) if not np.isnan(values).all() else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """The share of the truth's variance that predictions explain (r2)."""

    truth: Array
    errors: Array

    def __call__(self, weights: Array | None = None) -> float:
        weights = np.ones(len(self.truth)) if weights is None else weights
        if not weights.sum():
            return float("nan")
        centre = self.truth @ weights / weights.sum()
        spread = ((self.truth - centre) ** 2) @ weights
        return float(1 - self.errors @ weights / spread) if spread else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class Correlated:
    """Matthews' correlation of classes (Gorodkin 2004, for any number of them)."""

    truth: Array
    made: Array
    count: int

    def __call__(self, weights: Array | None = None) -> float:
        pairs = np.bincount(self.truth * self.count + self.made, weights, self.count**2).reshape(self.count, self.count).astype(float)
        total, right = pairs.sum(), np.trace(pairs)
        true, made = pairs.sum(axis=1), pairs.sum(axis=0)
        spread = np.sqrt(total**2 - made @ made) * np.sqrt(total**2 - true @ true)
        return float((right * total - true @ made) / spread) if spread else 0.0


def canonical(name: str) -> str:
    """The name of METRICS that is meant by a metric's name, such as roc_auc_score; "" for one that is not known here."""
    plain = name.rpartition(".")[2].strip().lower().replace(" ", "_").replace("-", "_")
    plain = _ALIASES.get(plain, plain)
    return plain if plain in METRICS else plain.removesuffix("_score") if plain.removesuffix("_score") in METRICS else ""


def usual(evidence: Evidence) -> str:
    """The metric that is meant where none is named: accuracy, or rmse for amounts."""
    return "accuracy" if evidence.task == CLASSIFICATION else "rmse"


def scorer(name: str, evidence: Evidence, positive: Any = None) -> Scorer:
    """A metric of the model on the evidence's data. Raises Needed and Unmet."""
    return scored(name, evidence, evidence.X, evidence.y, evidence.predictions, positive, made=True)


def scored(
    name: str, evidence: Evidence, features: pd.DataFrame, truth: Any, predictions: Array, positive: Any = None, *, made: bool = False
) -> Scorer:  # fmt: skip
    """A metric of the model on any rows, whose predictions are given. `made` says that they are the evidence's own rows."""
    if evidence.task == REGRESSION or name in OF_AMOUNTS:
        if evidence.task != REGRESSION or name not in OF_AMOUNTS:
            other = "amounts" if evidence.task == REGRESSION else "classes"
            raise Needed(f"a metric that says something of a model that predicts {other} ({_choices(evidence.task)}), not {name}")
        return _of_amounts(name, numbers(truth), numbers(predictions))
    if name in _OF_RANKS:
        return _of_ranks(name, evidence, truth, evidence.scores if made else evidence.scored(features), positive)
    if name in _OF_CHANCES:
        return _of_chances(name, evidence, truth, evidence.probabilities if made else evidence.chances(features))
    right, guess, labels = coded(truth, evidence.decided(predictions), evidence.labels)
    return _of_labels(name, right, guess, _classes(right, evidence, labels, positive), len(labels))


def numbers(values: Any) -> Array:
    """Values as floats. Raises Needed for what are no numbers."""
    try:
        found = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise Needed("numbers as truth and predictions: these are texts or objects") from None
    return found


def coded(truth: Any, predictions: Any, labels: Sequence[Any]) -> tuple[Array, Array, list[str]]:
    """Truth and predictions as numbers of classes, and the classes' names. True, 1 and 1.0 are the same class, as are "1" and 1."""
    first, second = [_name(item) for item in _plain(truth)], [_name(item) for item in _plain(predictions)]
    known = {_name(label): None for label in labels}
    names = [*known, *sorted({*first, *second} - known.keys())]
    place = {name: number for number, name in enumerate(names)}
    return np.array([place[name] for name in first], dtype=np.int64), np.array([place[name] for name in second], dtype=np.int64), names


def named(label: Any) -> str:
    """The name of a class, as `coded` has it."""
    return _name(label)


def _plain(values: Any) -> list[Any]:
    return list(np.asarray(values).tolist())


def _name(label: Any) -> str:
    if isinstance(label, bool):
        return str(int(label))
    if isinstance(label, float) and label.is_integer():
        return str(int(label))
    return {"True": "1", "False": "0"}.get(text := str(label), text)


def _classes(right: Array, evidence: Evidence, labels: list[str], positive: Any) -> list[int]:
    """The classes that a metric is taken of: the positive one of two, else each."""
    if positive is not None or len(labels) == 2:
        return [labels.index(_name(evidence.positive(positive)))]
    return sorted(set(right.tolist()))


def _of_labels(name: str, truth: Array, made: Array, classes: list[int], count: int) -> Scorer:
    one = np.ones(len(truth))
    right = (truth == made).astype(float)
    if name == "accuracy":
        return Ratio((right,), (one,))
    if name == "error":
        return Ratio((1 - right,), (one,))
    if name == "mcc":
        return Correlated(truth, made, count)
    if name == "balanced_accuracy":
        classes = sorted(set(truth.tolist()))
        return MeanOf(tuple(Ratio((right * (truth == place),), ((truth == place).astype(float),)) for place in classes))
    actual = [(truth == place).astype(float) for place in classes]
    guessed = [(made == place).astype(float) for place in classes]
    both = [first * second for first, second in zip(actual, guessed, strict=True)]
    match name:
        case "precision":
            return Ratio(tuple(both), tuple(guessed), empty=0.0)
        case "recall":
            return _mean(both, actual)
        case "f1":
            return Ratio(tuple(2 * item for item in both), tuple(a + g for a, g in zip(actual, guessed, strict=True)), empty=0.0)
        case "specificity":
            return _mean([(1 - a) * (1 - g) for a, g in zip(actual, guessed, strict=True)], [1 - item for item in actual])
        case "selection_rate":
            return _mean(guessed, [one] * len(guessed))
        case "false_positive_rate":
            return _mean([(1 - a) * g for a, g in zip(actual, guessed, strict=True)], [1 - item for item in actual])
        case "false_negative_rate":
            return _mean([a * (1 - g) for a, g in zip(actual, guessed, strict=True)], actual)
    raise Needed(f"a metric that can be computed on data, such as {_choices(CLASSIFICATION)}")


def _mean(above: list[Array], below: list[Array]) -> Scorer:
    parts = tuple(Ratio((upper,), (lower,)) for upper, lower in zip(above, below, strict=True))
    return parts[0] if len(parts) == 1 else MeanOf(parts)


def _of_ranks(name: str, evidence: Evidence, truth: Any, scores: Array, positive: Any) -> Scorer:
    labels = [_name(label) for label in evidence.labels]
    actual = np.array([_name(item) for item in _plain(truth)])
    if scores.ndim == 1:
        if len(labels) != 2:
            raise Needed("scores for each class of a model with more than two")
        chosen = _name(evidence.positive(positive))
        scores, labels = np.column_stack([-scores, scores]), labels
        wanted = [labels.index(chosen)]
    else:
        wanted = list(range(len(labels))) if positive is None else [labels.index(_name(evidence.positive(positive)))]
    parts = []
    for place in wanted:
        column = scores[:, place]
        # NaN ranks nothing, and must not pass for a good score.
        if np.isnan(column).any():
            return Ratio((np.full(len(column), np.nan),), (np.ones(len(column)),))
        levels, places = np.unique(column, return_inverse=True)
        parts.append(Area(places, (actual == labels[place]).astype(float), len(levels), precise=name == "average_precision"))
    return parts[0] if len(parts) == 1 else MeanOf(tuple(parts))


def _of_chances(name: str, evidence: Evidence, truth: Any, chances: Array) -> Scorer:
    labels = [_name(label) for label in evidence.labels]
    actual = np.array([_name(item) for item in _plain(truth)])[:, None] == np.array(labels)[None, :]
    one = np.ones(len(actual))
    if name == "log_loss":
        # As scikit-learn does: no probability is taken to be nothing, which would weigh one row more than all others.
        safe = np.clip(chances, np.finfo(float).eps, 1.0)
        return Ratio((-np.log(np.where(actual.any(axis=1), (safe * actual).sum(axis=1), np.finfo(float).eps)),), (one,))
    squares = ((chances - actual) ** 2).sum(axis=1)
    # Brier 1950 sums over the classes; of two, scikit-learn and most others count one.
    return Ratio((squares / 2 if len(labels) == 2 else squares,), (one,))


def _of_amounts(name: str, truth: Array, made: Array) -> Scorer:
    one, errors = np.ones(len(truth)), made - truth
    match name:
        case "r2":
            return Explained(truth, errors**2)
        case "mae":
            return Ratio((np.abs(errors),), (one,))
        case "mape":
            return Ratio((np.abs(errors) / np.maximum(np.abs(truth), np.finfo(float).eps),), (one,))
        case _:
            return Ratio((errors**2,), (one,), root=name == "rmse")


def _choices(task: str) -> str:
    names = [name for name in METRICS if (name in OF_AMOUNTS) == (task == REGRESSION)]
    return f"{', '.join(names[:-1])} or {names[-1]}"
