"""What a gate of a model may say: one table for each sort, told apart by the key that only this sort has. `models/gates` judges them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .kinds import Anything, Choice, Duration, Flag, Items, Key, Named, Number, Size, Table, Text, Word, Wrong, refused, told
from .wording import nearest
from .yaml_lines import At

_BOUND = Number("a number", least=-math.inf)
_SHARE = Number("a number from 0, such as 0.05")
_ROWS = Number("a number of rows, such as 30", whole=True)
_FUNCTION = Text("path.py:function or module:function", r"^[^:\s][^:]*:[A-Za-z_][A-Za-z0-9_]*$(?!\n)")
_COLUMNS = Items(Text("the name of a column"), "[column, column]", alone=True)
_BOUNDS = {
    "at_least": Key(_BOUND, "The least value that passes."),
    "at_most": Key(_BOUND, "The largest value that passes."),
}
_POSITIVE = {"positive": Key(Anything("the label of a class"), "The class that counts as positive (default: the last, such as 1 or true).")}
_CONFIDENCE = {"confidence": Key(Number("a number such as 0.95", above=True), "How sure the verdict is (default: 0.95).")}
_SMALLEST = {"smallest": Key(_ROWS, "Groups of fewer rows are named, and left out of the verdict (default: 30).")}
_EITHER = ("at_least", "at_most")

METRICS = (
    "accuracy", "balanced_accuracy", "error", "precision", "recall", "f1", "specificity", "auc", "average_precision", "log_loss", "brier",
    "mcc", "r2", "mae", "mse", "rmse", "mape",
)  # fmt: skip
"""The metrics that gates compute on data."""
SLICED = ("accuracy", "error", "precision", "recall", "specificity", "auc", "log_loss", "brier", "mae", "mse", "rmse", "mape")
"""Those of them whose value in a small slice has a bound."""
PARITY = tuple(
    f"{measure}_{way}" for measure in ("demographic_parity", "equalized_odds", "equal_opportunity") for way in ("difference", "ratio")
)
"""The measures of fairness between groups, which compare how often each of them gets the positive answer."""
PER_GROUP = ("selection_rate", "false_positive_rate", "false_negative_rate", *METRICS)
"""Those of each group, of which the worst counts."""

SORTS: Mapping[str, Table] = {
    "no_worse_than": Table(
        "{no_worse_than: champion, metric: auc}",
        {
            "no_worse_than": Key(Text("champion", r"^champion$(?!\n)"), "The version that it is compared with, on the same data."),
            "metric": Key(Choice(METRICS), "What is compared (default: accuracy, or rmse for amounts)."),
            "margin": Key(_SHARE, "With it, the interval of the difference must prove that the loss is not larger than this."),
            **_CONFIDENCE,
            **_POSITIVE,
        },
    ),
    "data": Table(
        "{data: schema.yaml} or {data: reference}",
        {"data": Key(Text("the path of a schema, or reference"), "What the test data must fit: a schema, or how the training data is.")},
    ),
    "drift": Table(
        "{drift: columns, at_most: 0}",
        {
            "drift": Key(Choice(("columns", "share")), "How many columns of the test data drifted from the training data, or which share."),
            "at_most": Key(_SHARE, "The most that pass (default: 0)."),
            "columns": Key(_COLUMNS, "Only these columns."),
        },
    ),
    "fairness": Table(
        "{fairness: demographic_parity_difference, sensitive: origin, at_most: 0.1}",
        {
            "fairness": Key(Choice((*PARITY, *PER_GROUP)), "What is measured between the groups, or in each of them."),
            "sensitive": Key(_COLUMNS, "The column that says which group a row is of; several make groups of their combinations.", True),
            "groups": Key(
                Named(Items(Word("a value"), "[value, value]", alone=True), "{female: [A92, A95], male: [A91, A93, A94]}", r"\S"),
                "Which values make a group; others are left out.",
            ),
            "bins": Key(Items(_BOUND, "[25]", alone=True), "The upper ends of the groups of a column of numbers."),
            **_BOUNDS,
            **_SMALLEST,
            **_POSITIVE,
        },
        some_of=_EITHER,
    ),
    "slices": Table(
        "{slices: accuracy, at_least: 0.6} or {slices: accuracy, gap: 0.1}",
        {
            "slices": Key(Choice(SLICED), "What the worst slice of the data is held against."),
            "gap": Key(_SHARE, "The most by which a slice may be worse than the whole."),
            "features": Key(_COLUMNS, "The columns whose values make slices (default: those of the model)."),
            **_BOUNDS,
            **_SMALLEST,
            **_CONFIDENCE,
            **_POSITIVE,
        },
        some_of=(*_EITHER, "gap"),
    ),
    "leakage": Table(
        "{leakage: rows} or {leakage: features}",
        {
            "leakage": Key(Choice(("rows", "features")), "Test rows that are in the training data, or features that give the target away."),
            "at_most": Key(_SHARE, "The largest share of rows (default: 0), or how well a feature alone may tell (default: 0.99)."),
        },
    ),
    "robustness": Table(
        "{robustness: missing, metric: auc, at_most: 0.1}",
        {
            "robustness": Key(Choice(("missing", "unseen", "scale")), "What is done to the data, one feature at a time."),
            "metric": Key(Choice(METRICS), "What may get worse by at_most (default: accuracy, or r2 for amounts)."),
            "at_most": Key(_SHARE, "The most by which the metric may get worse (default: any, if only the model answers)."),
            "share": Key(_SHARE, "The share of rows that is changed (default: 0.1)."),
            "features": Key(_COLUMNS, "Only these features."),
            **_POSITIVE,
        },
    ),
    "latency": Table(
        "{latency: p99, at_most: 50ms}",
        {
            "latency": Key(Choice(("mean", "p50", "p95", "p99")), "Which of the times that predictions take.", True),
            "at_most": Key(Duration(), "The longest that passes.", True),
            "rows": Key(_ROWS, "How many rows at once (default: 1)."),
        },
    ),
    "size": Table(
        "{size: model, at_most: 100 MB}",
        {
            "size": Key(Text("model", r"^model$(?!\n)"), "The size of the model's files."),
            "at_most": Key(Size(), "The largest that passes.", True),
        },
    ),
    "reproducibility": Table(
        "{reproducibility: identical}",
        {
            "reproducibility": Key(Choice(("identical", "tolerance")), "What the replay of the model's run must have shown."),
            "replay": Key(Flag(), "Whether to replay the run where it was not replayed yet (default: false)."),
        },
    ),
    "calibration": Table(
        "{calibration: ece, at_most: 0.05}",
        {
            "calibration": Key(Choice(("ece", "brier")), "The expected calibration error, or the Brier score."),
            "at_most": Key(_SHARE, "The largest that passes.", True),
            "bins": Key(Number("a number of bins, such as 10", least=2, whole=True), "How many bins of equally many rows (default: 10)."),
            **_POSITIVE,
        },
    ),
    "business": Table(
        "{business: costs.py:saved, at_least: 1000, unit: EUR}",
        {
            "business": Key(_FUNCTION, "A function of predictions, truth and context (all columns of the test data)."),
            "unit": Key(Text("a unit, such as EUR"), "The unit of its number."),
            **_BOUNDS,
        },
        some_of=_EITHER,
    ),
    "gate": Table(
        "{gate: checks.py:function}",
        {
            "gate": Key(Text("path.py:function, module:function or path.py"), "A function of your own, called with the evidence."),
            "params": Key(Named(Anything(), "names and their values"), "Further arguments of the function."),
            "unit": Key(Text("a unit, such as EUR"), "The unit of its number."),
            **_BOUNDS,
        },
    ),
    "metric": Table(
        "{metric: auc, at_least: 0.7}",
        {
            "metric": Key(Text("the name of a metric"), "A metric that was recorded, or that can be computed on the test data."),
            "of": Key(Choice(("recorded", "data")), "Only what was recorded, or only what the data gives (default: whichever there is)."),
            **_BOUNDS,
            **_POSITIVE,
        },
        some_of=_EITHER,
    ),
}
"""The sorts of gates by their key, in the order in which they are looked for: `metric` is a word of others, too."""


@dataclass(frozen=True, slots=True)
class GateKind:
    """One gate, whose sort shows by its key."""

    wanted: str = "a gate, such as {metric: auc, at_least: 0.7}"

    def takes(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, value: Any, at: At) -> dict[str, Any]:
        if not isinstance(value, Mapping) or not value:
            raise refused(self, value, at)
        sort = sort_of(value)
        if sort:
            return SORTS[sort].read(value, at)
        first = str(next(iter(value)))
        close = nearest(first, SORTS, most=20)
        raise Wrong((*at, first), f"{told(at)} is no gate that is known by {first!r}{close}")

    def schema(self) -> dict[str, Any]:
        tables = [(sort, table.schema()) for sort, table in SORTS.items()]
        return {"anyOf": [table | {"required": list(dict.fromkeys((sort, *table.get("required", ()))))} for sort, table in tables]}


GATE = GateKind()


def sort_of(gate: Mapping[str, Any]) -> str:
    """The key that says which sort a gate is of; "" where none does."""
    return next((sort for sort in SORTS if sort in gate), "")
