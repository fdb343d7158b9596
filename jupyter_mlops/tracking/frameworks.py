"""The libraries whose models are found and logged, one small class each; all answer the same protocol.

A model is recognised by its type alone, through libraries that are imported already: what is not imported cannot have made a model.
The classes may raise whatever a model raises; `tracking.models` is the guard in front of them.
"""

from __future__ import annotations

import json
import sys
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from .parameters import plain, type_name
from .values import scalar


@dataclass(slots=True)
class Outcomes:
    """What a fitted model says of its own training.

    `metrics` are plain numbers, `series` stepped ones as [(step, value), ...], `tables` pandas frames, `params` what a search chose
    (`best.C`), `texts` reports to keep as artifacts.
    """

    metrics: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)


class FitState:
    """A fingerprint of a fit: equal to another one of the same model as long as it was not fitted in between.

    Identities alone would not do, as a new array may take the address of the one it replaces; so the arrays are watched, and a
    fingerprint whose arrays are gone equals no other.
    """

    __slots__ = ("_marks", "_watched")

    def __init__(self, marks: tuple[Any, ...], watched: tuple[weakref.ref[Any], ...] = ()) -> None:
        self._marks = marks
        self._watched = watched

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FitState) and self._marks == other._marks and self._alive() and other._alive()

    def __hash__(self) -> int:
        return hash(self._marks)

    def _alive(self) -> bool:
        return all(watched() is not None for watched in self._watched)


class Framework(Protocol):
    """What must be known of a library to track its models; `bases` are the classes of its models, as (module, name)."""

    @property
    def flavor(self) -> str: ...
    @property
    def bases(self) -> tuple[tuple[str, str], ...]: ...
    def fitted(self, model: Any) -> bool: ...
    def state(self, model: Any) -> FitState: ...
    def preparation(self, model: Any) -> bool: ...
    def choices(self, model: Any) -> dict[str, Any]: ...
    def all_params(self, model: Any) -> dict[str, Any]: ...
    def outcomes(self, model: Any) -> Outcomes: ...
    def width(self, model: Any) -> int | None:
        """How many columns the model's input has; None when it cannot be told."""


def framework_of(value: object) -> Framework | None:
    """The library of a model; None for what is no model, classes included."""
    kind = type(value)
    if kind not in _by_type:
        _by_type[kind] = _look_up(kind)
    return _by_type[kind]


# By type, as this is asked for every value that a cell binds; weak, so that classes redefined in a notebook can go.
_by_type: weakref.WeakKeyDictionary[type, Framework | None] = weakref.WeakKeyDictionary()


def _look_up(kind: type) -> Framework | None:
    if kind.__module__ == "builtins" or issubclass(kind, type):
        return None
    for framework in frameworks():
        for module, name in framework.bases:
            loaded = sys.modules.get(module)
            if loaded is not None and getattr(loaded, name, None) in kind.__mro__:
                return framework
    return None


@cache
def frameworks() -> tuple[Framework, ...]:
    """All of them, the special before the general: XGBoost's and LightGBM's estimators are scikit-learn estimators too."""
    from .estimators import LightGBMEstimators, Sklearn, XGBoostEstimators

    return (XGBoostEstimators(), LightGBMEstimators(), Sklearn(), XGBoostBoosters(), LightGBMBoosters(), Statsmodels(), PyTorch())


class _ByItself:
    """What holds for models that are no estimators: they are results, and their parameters have no defaults to be told from."""

    def preparation(self, model: Any) -> bool:
        return False

    def width(self, model: Any) -> int | None:
        return None

    def all_params(self, model: Any) -> dict[str, Any]:
        return self.choices(model)

    def choices(self, model: Any) -> dict[str, Any]:
        return {}

    def outcomes(self, model: Any) -> Outcomes:
        return Outcomes()


class XGBoostBoosters(_ByItself):
    """What `xgboost.train` returns."""

    flavor = "xgboost"
    bases = (("xgboost.core", "Booster"),)

    def fitted(self, model: Any) -> bool:
        return bool(model.num_boosted_rounds() > 0)

    def state(self, model: Any) -> FitState:
        return FitState((id(model), model.num_boosted_rounds()))

    def choices(self, model: Any) -> dict[str, Any]:
        """The training parameters that differ from XGBoost's documented defaults."""
        return {name: value for name, value in self.all_params(model).items() if value != _XGBOOST_DEFAULTS.get(name)}

    def all_params(self, model: Any) -> dict[str, Any]:
        learner = json.loads(model.save_config())["learner"]
        trees = learner["gradient_booster"].get("tree_train_param", {})
        found = {name: _number(trees[name]) for name in _XGBOOST_DEFAULTS if name in trees}
        return found | {"objective": learner["learner_train_param"]["objective"], "num_boost_round": model.num_boosted_rounds()}

    def outcomes(self, model: Any) -> Outcomes:
        found = Outcomes()
        for name in ("best_score", "best_iteration"):
            if (value := model.attr(name)) is not None:
                found.metrics[name] = float(value)
        return found

    def width(self, model: Any) -> int | None:
        return int(model.num_features())


# From XGBoost's documentation, "Parameters for Tree Booster".
_XGBOOST_DEFAULTS: Mapping[str, Any] = {
    "eta": 0.3, "gamma": 0, "max_depth": 6, "min_child_weight": 1, "max_delta_step": 0, "subsample": 1, "sampling_method": "uniform",
    "colsample_bytree": 1, "colsample_bylevel": 1, "colsample_bynode": 1, "lambda": 1, "alpha": 0, "grow_policy": "depthwise",
    "max_leaves": 0, "max_bin": 256,
}  # fmt: skip


def _number(text: str) -> Any:
    try:
        # XGBoost keeps single precision and writes 0.300000012.
        number = float(f"{float(text):.7g}")
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


class LightGBMBoosters(_ByItself):
    """What `lightgbm.train` returns."""

    flavor = "lightgbm"
    bases = (("lightgbm.basic", "Booster"),)

    def fitted(self, model: Any) -> bool:
        return bool(model.current_iteration() > 0)

    def state(self, model: Any) -> FitState:
        return FitState((id(model), model.current_iteration()))

    def choices(self, model: Any) -> dict[str, Any]:
        return {name: plain(value) for name, value in model.params.items() if name not in ("verbose", "verbosity")}

    def outcomes(self, model: Any) -> Outcomes:
        found = Outcomes()
        for data, scores in model.best_score.items():
            found.metrics.update({f"{data}.{name}": float(value) for name, value in scores.items()})
        if model.best_iteration > 0:
            found.metrics["best_iteration"] = model.best_iteration
        return found

    def width(self, model: Any) -> int | None:
        return int(model.num_feature())


class Statsmodels(_ByItself):
    """Results of statsmodels: they come fitted, and a fit makes a new one."""

    flavor = "statsmodels"
    bases = (("statsmodels.base.wrapper", "ResultsWrapper"), ("statsmodels.base.model", "Results"))
    _METRICS = ("aic", "bic", "llf", "rsquared", "rsquared_adj", "prsquared", "fvalue", "f_pvalue", "mse_resid", "nobs", "sse")

    def fitted(self, model: Any) -> bool:
        return True

    def state(self, model: Any) -> FitState:
        return FitState((id(model),))

    def choices(self, model: Any) -> dict[str, Any]:
        """The kind of model, its formula, and the order of a time series model."""
        specification = model.model
        found = {"model": type_name(specification)}
        for name in ("formula", "order", "seasonal_order", "trend"):
            value = getattr(specification, name, None)
            if value is not None and not callable(value):
                found[name] = plain(value)
        family = getattr(specification, "family", None)
        return found if family is None else found | {"family": type_name(family)}

    def outcomes(self, model: Any) -> Outcomes:
        found = Outcomes()
        for name in self._METRICS:
            if (number := scalar(_quietly(model, name))) is not None:
                found.metrics[name] = float(number)
        found.texts["summary.txt"] = str(model.summary())
        return found


def _quietly(model: Any, name: str) -> Any:
    """An attribute that is computed when asked for, and may not exist for this kind of model; None then."""
    try:
        return getattr(model, name, None)
    except Exception:  # statsmodels raises NotImplementedError, ValueError and more for statistics that a model does not have
        return None


class PyTorch(_ByItself):
    """Modules of PyTorch, the user's own classes included."""

    flavor = "pytorch"
    bases = (("torch.nn.modules.module", "Module"),)
    _MOST_PARAMETERS = 400
    # PyTorch counts a tensor's changes in place: initialisation makes one or two, loading a state one, each optimizer step one or more.
    _CHANGES_BEFORE_TRAINING = 3

    def fitted(self, model: Any) -> bool:
        return any(item.grad is not None or item._version > self._CHANGES_BEFORE_TRAINING for item in self._parameters(model))

    def state(self, model: Any) -> FitState:
        marks: list[int] = []
        for item in self._parameters(model):
            gradient = item.grad
            # A step written as `p.data -= ...` changes no counter of p, but the gradient it used is new.
            marks += (id(item), item._version) if gradient is None else (id(item), item._version, id(gradient), gradient._version)
        return FitState(tuple(marks))

    def choices(self, model: Any) -> dict[str, Any]:
        """The layers by class, and how many numbers are trained."""
        trained = sum(item.numel() for item in self._parameters(model) if item.requires_grad)
        layers = [type_name(item) for item in self._modules(model) if not vars(item).get("_modules")]
        return {"layers": ", ".join(layers[:40]) + (", ..." if len(layers) > 40 else ""), "trained_parameters": trained}

    def width(self, model: Any) -> int | None:
        for item in self._modules(model):
            for name in ("in_features", "in_channels", "input_size"):
                if isinstance(width := vars(item).get(name), int):
                    return width
        return None

    def _modules(self, model: Any) -> Iterator[Any]:
        # Walked here instead of with `modules()`, which is slower and may be overridden.
        waiting, seen = [model], set()
        while waiting:
            item = waiting.pop()
            if id(item) in seen or item is None:
                continue
            seen.add(id(item))
            yield item
            waiting += reversed(list(vars(item).get("_modules", {}).values()))

    def _parameters(self, model: Any) -> list[Any]:
        """The parameters, the first and the last of them where there are very many (heads are trained, backbones often are not)."""
        found = [item for module in self._modules(model) for item in vars(module).get("_parameters", {}).values() if item is not None]
        half = self._MOST_PARAMETERS // 2
        return found if len(found) <= self._MOST_PARAMETERS else found[:half] + found[-half:]
