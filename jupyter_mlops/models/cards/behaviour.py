"""What the model does with its test data: metrics, plots, slices, groups and what its training data does not cover."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import MlopsError
from ...records import Gate
from ..gates import judging
from ..gates.conditions import shown
from ..gates.evidence import CLASSIFICATION, REGRESSION, Evidence, Needed, Unmet, one_line
from ..gates.metrics import coded, named, numbers, scorer
from ..settings import ModelSettings
from . import plots
from .parts import Part, Plot, Table, Words

if TYPE_CHECKING:
    import pandas as pd

_METRICS = {CLASSIFICATION: ("auc", "accuracy", "f1", "precision", "recall", "log_loss", "brier"), REGRESSION: ("r2", "mae", "rmse")}
_MOST_COLUMNS = 12
_MOST_ROWS = 50_000
_IMPORTANCE_ROWS, _IMPORTANCE_COLUMNS, _REPEATS = 1_000, 40, 3
_FEW_ROWS = 500


@dataclass(frozen=True, kw_only=True)
class Looks:
    """What was seen; empty where there is no test data. `missing` says in sentences what could not be had."""

    metrics: Mapping[str, float] = field(default_factory=dict)
    performance: tuple[Part, ...] = ()
    slices: tuple[Part, ...] = ()
    bias: tuple[Part, ...] = ()
    data: tuple[Part, ...] = ()
    limits: tuple[Part, ...] = ()
    missing: tuple[str, ...] = ()


def looked(evidence: Evidence | None, settings: ModelSettings) -> Looks:
    """Everything that the model and its data show."""
    if evidence is None:
        return Looks()
    missing: list[str] = []
    metrics = _metrics(evidence) if _tried("Metrics on the test data", lambda: [evidence.predictions, evidence.y], missing) else {}
    performance = tuple(_tried("Plots of its performance", lambda: _performance(evidence), missing)) if metrics else ()
    importance = tuple(_tried("The importance of its features", lambda: _importance(evidence), missing)) if metrics else ()
    return Looks(
        metrics=metrics,
        performance=(*performance, *importance),
        slices=tuple(_tried("Slices", lambda: _slices(evidence), missing)) if metrics else (),
        bias=tuple(_tried("Groups", lambda: _bias(evidence, settings), missing)) if metrics else (),
        data=tuple(_tried("The distributions of its features", lambda: _features(evidence), missing)),
        limits=tuple(_tried("Its limits", lambda: _limits(evidence), missing)),
        missing=tuple(missing),
    )


def task(evidence: Evidence) -> str:
    """classification or regression; "model" where it cannot be told."""
    try:
        return evidence.task
    except (Needed, Unmet):
        return "model"


def _tried(what: str, look: Callable[[], Iterable[Any]], missing: list[str]) -> list[Any]:
    """What can be had; a model or data of any kind never keeps the rest of the card from being written."""
    try:
        return list(look())
    except (Needed, Unmet) as error:
        missing.append(f"{what}: needs {error}." if isinstance(error, Needed) else f"{what}: {error}.")
    except MlopsError as error:  # the model may not be loaded
        missing.append(f"{what}: {error}")
    except Exception as error:  # libraries that meet models and data they were not made for
        missing.append(f"{what}: {one_line(error)}.")
    return []


def _metrics(evidence: Evidence) -> dict[str, float]:
    found = {}
    for name in _METRICS[evidence.task]:
        try:
            found[name] = float(scorer(name, evidence)())
        except (Needed, Unmet):
            continue
    return found


def _performance(evidence: Evidence) -> Iterator[Part]:
    if evidence.task == REGRESSION:
        svg = plots.residuals(numbers(evidence.y), numbers(evidence.predictions))
        yield Plot(name="residuals", svg=svg, text="predictions against the truth, and the errors")
        return
    truth, made, labels = coded(evidence.y, evidence.decided(evidence.predictions), evidence.labels)
    if len(labels) == 2:
        hits = (truth == labels.index(named(evidence.positive()))).astype(int)
        if 0 < hits.sum() < len(hits):
            with _optional():
                yield Plot(name="ranking", svg=plots.ranking(hits, evidence.scores), text="ROC curve, and precision by recall")
            with _optional():
                chances = evidence.probabilities[:, -1]
                yield Plot(name="calibration", svg=plots.calibration(hits, chances), text="calibration, and probabilities by class")
    counts = np.bincount(truth * len(labels) + made, minlength=len(labels) ** 2).reshape(len(labels), len(labels))
    yield Plot(
        name="confusion", svg=plots.confusion(counts, labels), text="confusion matrix", caption=f"{len(truth):,} rows of the test data."
    )


class _optional:
    """Leaves out what the model cannot give, such as probabilities."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        return isinstance(error, (Needed, Unmet))


def _importance(evidence: Evidence) -> Iterator[Part]:
    """By how much the usual metric falls as one column is shuffled (Breiman 2001)."""
    if not evidence.columns or len(evidence.columns) > _IMPORTANCE_COLUMNS:
        return
    generator = np.random.default_rng(0)
    rows = generator.permutation(len(evidence.X))[:_IMPORTANCE_ROWS]
    features, truth = evidence.X.iloc[rows].reset_index(drop=True), evidence.y.iloc[rows].reset_index(drop=True)
    judge = _accuracy if evidence.task == CLASSIFICATION else _fit
    whole = judge(evidence, features, truth)
    falls = {}
    for name in evidence.columns:
        values = []
        for _ in range(_REPEATS):
            shuffled = features.copy()
            shuffled[name] = features[name].to_numpy()[generator.permutation(len(features))]
            values.append(whole - judge(evidence, shuffled, truth))
        falls[str(name)] = float(np.mean(values))
    order = dict(sorted(falls.items(), key=lambda item: -item[1])[:_MOST_COLUMNS])
    metric = "area under the ROC curve or accuracy" if evidence.task == CLASSIFICATION else "r2"
    title = f"Loss of {_name_of(evidence)} when a column is shuffled"
    caption = f"Permutation importance on {len(features):,} rows of the test data: how much {metric} the model loses without the column."
    yield Plot(name="importance", svg=plots.bars(order, title=title), text="importance of the features", caption=caption)


def _name_of(evidence: Evidence) -> str:
    if evidence.task == REGRESSION:
        return "r2"
    return "area under the ROC curve" if _ranks(evidence) else "accuracy"


def _ranks(evidence: Evidence) -> bool:
    return len(evidence.labels) == 2 and (hasattr(evidence.model, "predict_proba") or hasattr(evidence.model, "decision_function"))


def _accuracy(evidence: Evidence, features: pd.DataFrame, truth: Any) -> float:
    from sklearn.metrics import roc_auc_score

    if _ranks(evidence):
        right, _, labels = coded(truth, [], evidence.labels)
        return float(roc_auc_score(right == labels.index(named(evidence.positive())), evidence.scored(features)))
    right, made, _ = coded(truth, evidence.decided(evidence.predict(features)), evidence.labels)
    return float(np.mean(right == made))


def _fit(evidence: Evidence, features: pd.DataFrame, truth: Any) -> float:
    from sklearn.metrics import r2_score

    return float(r2_score(numbers(truth), numbers(evidence.predict(features))))


def _slices(evidence: Evidence) -> Iterator[Part]:
    from ..gates.slices import Slices

    regression = evidence.task == REGRESSION
    gate = judging.judged(Slices(slices="mae" if regression else "accuracy", gap=0.0), evidence)
    found = list(gate.details.get("slices") or ())
    if not found:
        return
    whole = float(gate.details["whole"])
    metric = "mean absolute error" if regression else "accuracy"
    values = {f"{item['slice']} ({item['rows']:,} rows)": float(item["value"]) for item in found}
    svg = plots.bars(
        values, title=f"{metric.capitalize()} of the worst slices", line=whole, label=f"all: {shown(whole)}", worst=len(values)
    )
    failing = int(gate.details.get("failing") or 0)
    verdict = f"{failing} of them are certainly worse than the whole" if failing else "none of them is certainly worse than the whole"
    caption = f"{gate.details['searched']:,} slices of one or two columns were searched; {verdict} (95% sure of all together)."
    yield Plot(name="slices", svg=svg, text=f"{metric} of the worst slices", caption=caption)


def _bias(evidence: Evidence, settings: ModelSettings) -> Iterator[Part]:
    from ..gates.fairness import Fairness

    for column in settings.sensitive:
        measures = ("mae",) if evidence.task == REGRESSION else ("demographic_parity_difference", "equalized_odds_difference")
        gates = [judging.judged(Fairness(fairness=measure, sensitive=(column,)), evidence) for measure in measures]
        rows = tuple((gate.name, "" if gate.value is None else shown(gate.value), gate.why) for gate in gates)
        yield Table(columns=(f"groups by {column}", "value", ""), rows=rows, numbers=(1,))
        yield from _groups(column, gates)


def _groups(column: str, gates: list[Gate]) -> Iterator[Part]:
    table = next((gate.details["groups"] for gate in gates if gate.details.get("groups")), None)
    if not table:
        return
    measures = [name for name in ("selection_rate", "true_positive_rate", "false_positive_rate") if name in next(iter(table.values()))]
    if measures:
        svg = plots.groups(table, measures, title=f"by {column}")
        yield Plot(name=f"groups-{column}", svg=svg, text=f"{', '.join(measures)} by {column}")
    names = [name for name in next(iter(table.values())) if name != "left_out"]
    rows = tuple((group, *(_told(values.get(name)) for name in names), str(values.get("left_out", ""))) for group, values in table.items())
    yield Table(columns=(column, *(name.replace("_", " ") for name in names), ""), rows=rows, numbers=tuple(range(1, len(names) + 1)))


def _told(value: Any) -> str:
    return shown(value) if isinstance(value, (int, float)) else str(value or "")


def _features(evidence: Evidence) -> Iterator[Part]:
    learned = evidence.learned
    tried = evidence.data
    names = [name for name in (*evidence.columns, evidence.target) if name and name in learned.columns][:_MOST_COLUMNS]
    names = names or list(learned.columns)[:_MOST_COLUMNS]
    columns, kinds = {}, {}
    for name in names:
        before, kind = _values(learned[name])
        now = _values(tried[name], kind)[0] if tried is not None and name in tried.columns else None
        columns[str(name)], kinds[str(name)] = (before, now), kind
    if columns:
        rows = f"{len(learned):,} rows of training data" + (f", {len(tried):,} of test data" if tried is not None else "")
        caption = f"Blue: {rows.replace(', ', '; orange: ')}." if tried is not None else f"{rows}."
        yield Plot(name="features", svg=plots.distributions(columns, kinds), text="distributions of the features", caption=caption)


def _values(column: Any, kind: str = "") -> tuple[np.ndarray[Any, Any], str]:
    import pandas as pd

    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and column.nunique() > 2
    kind = kind or ("number" if numeric else "category")
    known = column.dropna().iloc[:: max(1, len(column) // _MOST_ROWS)]
    if kind == "number":
        return pd.to_numeric(known, errors="coerce").dropna().to_numpy(dtype=float), kind
    return known.astype(str).to_numpy(dtype=object), kind


def _limits(evidence: Evidence) -> Iterator[Part]:
    import pandas as pd

    rows = []
    learned = evidence.reference
    if learned is None:
        raise Needed(evidence.lacks.get("reference") or "the training data")
    names = evidence.columns or [name for name in learned.columns if name != evidence.target]
    for name in names[:_IMPORTANCE_COLUMNS]:
        column = learned[name]
        missing = f"{column.isna().mean():.1%}"
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            known = column.dropna()
            rows.append((str(name), f"{shown(float(known.min()))} to {shown(float(known.max()))}" if len(known) else "no values", missing))
        else:
            values = [str(value) for value in column.value_counts().index[:12]]
            more = column.nunique() - len(values)
            rows.append((str(name), ", ".join(values) + (f" and {more:,} more" if more > 0 else ""), missing))
    if len(learned) < _FEW_ROWS:
        yield Words(text=f"It learned from only {len(learned):,} rows.", tone="bad")
    yield Words(text="It has seen nothing beyond these values: what it makes of others nobody has tried.")
    yield Table(columns=("column", "values in the training data", "missing"), rows=tuple(rows), numbers=(2,))
