"""scikit-learn's estimators, and those of other libraries that are built like them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from .frameworks import FitState, Outcomes
from .parameters import MOST_ITEMS, defaults, differing, plain, type_name
from .values import known_type, scalar

# As MLflow's autologging has it: what is in these modules prepares data for a model.
_PREPARATION_MODULES = (
    "sklearn.preprocessing",
    "sklearn.impute",
    "sklearn.feature_extraction",
    "sklearn.feature_selection",
    "sklearn.compose._column_",
)
_PASSED = ("passthrough", "drop")
_DEEPEST = 6
_MOST_PARTS = 60
_MOST_MARKS = 600
_SMALL = 64
_SCALARS = frozenset({int, float, str, bool, type(None)})
_LEAVES = _SCALARS | {dict, tuple}
_CURVES = ("loss_curve_", "validation_scores_", "train_score_", "oob_scores_", "validation_score_", "lower_bounds_")
_NUMBERS = (
    "best_score_", "best_index_", "best_loss_", "best_iteration_", "inertia_", "n_iter_", "oob_score_", "loss_", "alpha_",
    "reconstruction_err_", "lower_bound_", "kl_divergence_", "stress_",
)  # fmt: skip


def state_of(model: object) -> Mapping[str, Any]:
    """The instance attributes, without running any code of the class."""
    try:
        attributes = object.__getattribute__(model, "__dict__")
    except AttributeError:
        return {}
    return attributes if isinstance(attributes, dict) else {}


def is_estimator(value: object) -> bool:
    """Whether `value` is an instance of an estimator class."""
    return known_type(value, "sklearn.base", "BaseEstimator")


def steps(value: object) -> list[tuple[Any, ...]] | None:
    """The named parts of a pipeline, a union, a column transformer or an ensemble: (name, estimator, ...) each; None for other values."""
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_PARTS:
        return None
    named = all(isinstance(item, tuple) and len(item) > 1 and isinstance(item[0], str) for item in value)
    if not named or not all(is_estimator(item[1]) or item[1] is None or item[1] in _PASSED for item in value):
        return None
    return value


def parts_of(model: object, depth: int = 0) -> Iterator[object]:
    """The estimators that a composition was built of, those within them too; not the copies that it made of them and fitted."""
    for name, value in state_of(model).items() if is_estimator(model) and depth <= _DEEPEST else ():
        built_of = [part[1] for part in named] if (named := steps(value)) is not None else [value]
        for part in built_of if not name.endswith("_") else ():
            if is_estimator(part):
                yield part
                yield from parts_of(part, depth + 1)


class Sklearn:
    """Estimators, pipelines, searches, clusterers and transformers."""

    flavor = "sklearn"
    bases: tuple[tuple[str, str], ...] = (("sklearn.base", "BaseEstimator"),)

    def fitted(self, model: Any) -> bool:
        """By scikit-learn's convention (attributes that end in "_"), and for compositions by their last part."""
        attributes = state_of(model)
        if (parts := steps(attributes.get("steps"))) is not None:
            ends = [part[1] for part in parts if is_estimator(part[1])]
            return bool(ends) and self.fitted(ends[-1])
        if any(name.endswith("_") and not name.startswith("__") for name in attributes):
            return True
        if (parts := steps(attributes.get("transformer_list"))) is not None:
            return all(self.fitted(part[1]) for part in parts if is_estimator(part[1]))
        # The user's own classes often keep what they learned under a plain name.
        return not type(model).__module__.startswith("sklearn.") and self._learned(model, attributes)

    def _learned(self, model: Any, attributes: Mapping[str, Any]) -> bool:
        kind: Any = type(model)
        chosen = defaults(kind)
        return any(
            value is not None and name not in chosen and not name.startswith("_") and (not is_estimator(value) or self.fitted(value))
            for name, value in attributes.items()
        )

    def state(self, model: Any) -> FitState:
        marks: list[Any] = []
        watched: list[weakref.ref[Any]] = []
        self._mark(model, marks, watched, 0)
        return FitState(tuple(marks), tuple(watched))

    def _mark(self, model: object, marks: list[Any], watched: list[weakref.ref[Any]], depth: int) -> None:
        own = type(model).__module__.startswith("sklearn.")
        for name, value in state_of(model).items():
            if len(marks) > _MOST_MARKS:
                return
            learned = name.endswith("_") or (not own and not name.startswith("_"))
            if learned:
                marks.append(name)
                _mark_value(value, marks, watched)
            if type(value) in _LEAVES or depth == _DEEPEST:
                continue
            if not learned and (parts := steps(value)) is not None:
                for part in parts:
                    self._mark(part[1], marks, watched, depth + 1)
            elif not (own and learned) and is_estimator(value):
                # scikit-learn replaces the estimators it learned; the user's own classes fit theirs again.
                self._mark(value, marks, watched, depth + 1)

    def preparation(self, model: Any) -> bool:
        """Transformers of the preparing modules, compositions of nothing else, and transformers of other origin that cannot predict."""
        if (parts := steps(state_of(model).get("steps"))) is not None:
            return all(self.preparation(part[1]) for part in parts if is_estimator(part[1]))
        kind = type(model)
        if kind.__module__.startswith("sklearn."):
            return kind.__module__.startswith(_PREPARATION_MODULES) or kind.__name__ == "FeatureUnion"
        return known_type(model, "sklearn.base", "TransformerMixin") and not any("predict" in vars(owner) for owner in kind.__mro__)

    def choices(self, model: Any) -> dict[str, Any]:
        """Parameters that differ from the defaults, those of nested estimators as `step__parameter`."""
        return dict(self._parameters(model, "", 0, differing_only))

    def all_params(self, model: Any) -> dict[str, Any]:
        """Every parameter, nested ones as `step__parameter`."""
        return dict(self._parameters(model, "", 0, every_parameter))

    def _parameters(self, model: Any, prefix: str, depth: int, select: Any) -> Iterator[tuple[str, Any]]:
        values = model.get_params(deep=False)
        selected = dict(select(type(model), values))
        for name, value in values.items():
            if (parts := steps(value)) is not None:
                for part in parts:
                    yield from self._nested(f"{prefix}{part[0]}", part[1], depth, select)
                    if len(part) > 2:
                        yield f"{prefix}{part[0]}__columns", plain(part[2])
            elif is_estimator(value):
                yield from self._nested(f"{prefix}{name}", value, depth, select)
            elif name in selected:
                yield f"{prefix}{name}", plain(value)

    def _nested(self, name: str, part: Any, depth: int, select: Any) -> Iterator[tuple[str, Any]]:
        yield name, type_name(part) if is_estimator(part) else part
        if depth < _DEEPEST and is_estimator(part):
            yield from self._parameters(part, f"{name}__", depth + 1, select)

    def outcomes(self, model: Any) -> Outcomes:
        """The best score and choice of a search with its table, losses and scores per iteration, inertia, iterations."""
        attributes = state_of(model)
        if (parts := steps(attributes.get("steps"))) is not None and is_estimator(parts[-1][1]):
            return self.outcomes(parts[-1][1])
        found = Outcomes()
        for name in _NUMBERS:
            if (number := scalar(attributes.get(name))) is not None:
                found.metrics[name.rstrip("_")] = float(number)
        for name in _CURVES:
            if curve := _curve(attributes.get(name)):
                found.series[name.rstrip("_")] = curve
        best = attributes.get("best_params_")
        if isinstance(best, dict):
            found.params.update({f"best.{name}": plain(value) for name, value in best.items()})
        results = attributes.get("cv_results_")
        if isinstance(results, dict):
            found.tables["cv_results"] = _search_table(results)
        return found

    def width(self, model: Any) -> int | None:
        attributes = state_of(model)
        width = attributes.get("n_features_in_")
        if width is None and (parts := steps(attributes.get("steps"))) is not None:
            return next((self.width(part[1]) for part in parts if is_estimator(part[1])), None)
        return width if isinstance(width, int) else None


class _BoostedEstimators(Sklearn):
    """Estimators that hold what they learned in a booster."""

    def fitted(self, model: Any) -> bool:
        return state_of(model).get("_Booster") is not None

    def state(self, model: Any) -> FitState:
        return _boosted_state(model)


class XGBoostEstimators(_BoostedEstimators):
    """`xgboost.XGBClassifier` and its kin."""

    flavor = "xgboost"
    bases = (("xgboost.sklearn", "XGBModel"),)

    def outcomes(self, model: Any) -> Outcomes:
        attributes = state_of(model)
        found = _evaluations(attributes.get("evals_result_"))
        booster = attributes["_Booster"]
        for name in ("best_score", "best_iteration"):
            if (value := booster.attr(name)) is not None:
                found.metrics[name] = float(value)
        return found

    def width(self, model: Any) -> int | None:
        booster = state_of(model).get("_Booster")
        return None if booster is None else int(booster.num_features())


class LightGBMEstimators(_BoostedEstimators):
    """`lightgbm.LGBMClassifier` and its kin."""

    flavor = "lightgbm"
    bases = (("lightgbm.sklearn", "LGBMModel"),)

    def outcomes(self, model: Any) -> Outcomes:
        attributes = state_of(model)
        found = _evaluations(attributes.get("_evals_result"))
        for data, scores in (attributes.get("_best_score") or {}).items():
            found.metrics.update({f"{data}.{name}": float(value) for name, value in scores.items()})
        if (best := attributes.get("_best_iteration") or 0) > 0:
            found.metrics["best_iteration"] = best
        return found

    def width(self, model: Any) -> int | None:
        width = state_of(model).get("_n_features_in", -1)
        return width if isinstance(width, int) and width > 0 else None


def differing_only(kind: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Of an estimator's parameters those that are not the default and say something of the result."""
    return ((name, value) for name, value in differing(kind, values) if name not in ("verbose", "n_jobs", "verbosity"))


def every_parameter(kind: type, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All of an estimator's parameters."""
    return iter(values.items())


def _boosted_state(model: object) -> FitState:
    booster = state_of(model).get("_Booster")
    return FitState((None,)) if booster is None else FitState((id(booster),), (weakref.ref(booster),))


def _evaluations(results: object) -> Outcomes:
    found = Outcomes()
    if isinstance(results, dict):
        for data, curves in results.items():
            for name, values in curves.items():
                if curve := _curve(values):
                    found.series[f"{data}.{name}"] = curve
    return found


def _curve(values: object) -> list[tuple[int, float]]:
    if known_type(values, "numpy", "ndarray"):
        values = values.tolist() if values.ndim == 1 and values.size <= 10_000 else None  # type: ignore[attr-defined]  # an array by its type
    if not isinstance(values, list) or not values:
        return []
    numbers = [scalar(value) for value in values[:10_000]]
    return [] if None in numbers else [(step, float(number)) for step, number in enumerate(numbers) if number is not None]


def _search_table(results: Mapping[str, Any]) -> Any:
    import pandas

    columns = {}
    for name, values in results.items():
        numeric = known_type(values, "numpy", "ndarray") and values.dtype.kind in "iufb"
        columns[name] = values if numeric else [value if isinstance(value, str) else _text(value) for value in values]
    return pandas.DataFrame(columns)


def _text(value: object) -> str | float | None:
    """A cell of a search's table; masked entries are parameters that a candidate does not have."""
    if known_type(value, "numpy.ma", "MaskedArray") or known_type(value, "numpy.ma.core", "MaskedConstant"):
        return None
    return str(plain(value))


def _mark_value(value: Any, marks: list[Any], watched: list[weakref.ref[Any]]) -> None:
    """Marks that change when `value` is replaced, grows, or (small arrays, and samples of large ones) is changed in place."""
    kind = type(value)
    if kind in _SCALARS:
        marks.append(value)
        return
    marks.append(id(value))
    if kind is list or kind is tuple or kind is dict:
        marks.append(len(value))
        if kind is not dict and value:
            _watch(value[0], watched)
            _watch(value[-1], watched)
        return
    _watch(value, watched)
    if known_type(value, "numpy", "ndarray") and value.dtype.kind in "iufb" and value.size:
        size = value.size
        marks.append(value.tobytes() if size <= _SMALL else (value.item(0), value.item(size // 2), value.item(size - 1)))


def _watch(value: object, watched: list[weakref.ref[Any]]) -> None:
    if len(watched) < MOST_ITEMS * 4:
        try:
            watched.append(weakref.ref(value))
        except TypeError:  # lists, numbers and a few extension types cannot be watched
            return
