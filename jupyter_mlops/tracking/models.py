"""Models among Python values: recognising them, what was chosen, what came of the fit, and their bytes for the way to MLflow.

Every function answers for any object, hostile ones too, and raises nothing but `pack` its `ModelRefused`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from .estimators import state_of
from .examples import example
from .frameworks import Framework, Outcomes, framework_of, frameworks
from .packing import pack

__all__ = [
    "Outcomes",
    "all_params",
    "choices",
    "contained",
    "example",
    "example_for",
    "fit_state",
    "held",
    "is_class",
    "is_fitted",
    "is_preparation",
    "outcomes",
    "pack",
    "recognise",
]

_MOST_CONTAINED = 50
_Answer = TypeVar("_Answer")


def recognise(value: object) -> str | None:
    """The MLflow flavor of a model, fitted or not: sklearn, xgboost, lightgbm, statsmodels or pytorch; None for what is no model.

    Instances only, by their type alone: about a microsecond, and no code of the object runs.
    """
    framework = _framework(value)
    return None if framework is None else framework.flavor


def is_fitted(value: object) -> bool:
    """Whether a model has been fitted."""
    return _ask(value, lambda framework: framework.fitted(value), False)


def fit_state(value: object) -> Hashable:
    """A cheap fingerprint of a model's fit, which differs after another fit and is equal otherwise; None for what is no model.

    Compare it only with earlier fingerprints of the same object. Large arrays are not read: their identity and three elements tell.
    """
    return _ask(value, lambda framework: framework.state(value), None)


def is_preparation(value: object) -> bool:
    """Whether a model only prepares data for another one, so that its fit alone is no result."""
    return _ask(value, lambda framework: framework.preparation(value), False)


def choices(value: object) -> dict[str, Any]:
    """The parameters of a model that differ from the defaults, as JSON; nested ones as `step__parameter`. {} where it does not tell."""
    return _ask(value, lambda framework: framework.choices(value), {})


def all_params(value: object) -> dict[str, Any]:
    """Every parameter of a model, as JSON values. {} where the model does not tell."""
    return _ask(value, lambda framework: framework.all_params(value), {})


def outcomes(value: object) -> Outcomes:
    """What a fitted model says of its training; nothing for a model that is not fitted."""
    return _ask(value, lambda framework: framework.outcomes(value) if framework.fitted(value) else Outcomes(), Outcomes())


def example_for(model: object, candidates: Iterable[object]) -> Any:
    """An example of the first candidate with as many columns as the model takes, or None; for fits that are no call with X.

    statsmodels' results carry their data along, and need no candidate.
    """
    carried = _carried_data(model)
    if carried is not None:
        return carried
    width = _ask(model, lambda framework: framework.width(model), None)
    if width is None:
        return None
    for candidate in candidates:
        rows = example(candidate)
        if rows is not None and _width(rows) == width:
            return rows
    return None


def contained(value: object) -> Iterator[tuple[str, object]]:
    """The models inside lists, tuples, dicts, dataclasses and objects of the notebook's own classes, one or two levels deep.

    Each with its path: `[0]`, `['svm']`, `.model`.
    """
    found = 0
    for path, item in _items(value):
        nested: Iterable[tuple[str, object]] = [("", item)] if recognise(item) else _items(item)
        for end, model in nested:
            if recognise(model):
                yield path + end, model
                found += 1
                if found == _MOST_CONTAINED:
                    return


def held(value: object) -> list[object]:
    """The model that a value is, or else the models that it contains."""
    return [value] if recognise(value) is not None else [model for _, model in contained(value)]


def is_class(name: str) -> bool:
    """Whether a class of models that is imported or defined now has this name."""
    bases = (getattr(sys.modules.get(module), base, None) for framework in frameworks() for module, base in framework.bases)
    waiting: list[type] = [base for base in bases if isinstance(base, type)]
    seen: set[type] = set()
    while waiting and name[:1].isupper():
        kind = waiting.pop()
        if kind.__name__ == name:
            return True
        if kind not in seen:
            seen.add(kind)
            waiting += type.__subclasses__(kind)
    return False


def _framework(value: object) -> Framework | None:
    try:
        return framework_of(value)
    except Exception:  # a class may have a metaclass that raises
        return None


def _ask(value: object, question: Callable[[Framework], _Answer], otherwise: _Answer) -> _Answer:
    framework = _framework(value)
    if framework is None:
        return otherwise
    try:
        return question(framework)
    except Exception:  # models run their own code to answer; one that fails has no answer
        return otherwise


def _carried_data(model: object) -> Any:
    if recognise(model) != "statsmodels":
        return None
    try:
        if type(model.model).__module__.startswith("statsmodels.tsa."):  # type: ignore[attr-defined]  # statsmodels' results by type
            return None  # forecasts take a horizon, not rows
        data = model.model.data  # type: ignore[attr-defined]  # as above
        frame = getattr(data, "frame", None)
        if frame is None:
            return example(getattr(data, "orig_exog", None))
        terms = set(re.findall(r"\w+", str(model.model.formula).partition("~")[2]))  # type: ignore[attr-defined]  # as above
        return example(frame[[name for name in frame.columns if name in terms]])
    except Exception:  # models without regressors
        return None


def _width(rows: Any) -> int | None:
    shape = getattr(rows, "shape", None)
    if shape is not None:
        # Images and sequences name their channels or features second and last.
        return shape[1] if len(shape) > 1 else None
    return len(rows[0]) if isinstance(rows, list) and rows and isinstance(rows[0], (list, tuple)) else None


def _items(value: object) -> Iterator[tuple[str, object]]:
    if type(value) in (list, tuple):
        yield from ((f"[{index}]", item) for index, item in enumerate(value[:_MOST_CONTAINED]))  # type: ignore[index]  # a list or tuple by type
    elif isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections"):
        yield from ((f"[{key!r}]" if isinstance(key, (str, int)) else "[...]", item) for key, item in list(value.items())[:_MOST_CONTAINED])
    elif type(value).__module__ == "__main__" and not isinstance(value, type):
        # The notebook's own classes: trainers, experiments.
        yield from ((f".{name}", item) for name, item in list(state_of(value).items())[:_MOST_CONTAINED])
    elif is_dataclass(value) and not isinstance(value, type) and type(value).__module__ != "builtins":
        attributes = state_of(value)
        yield from ((f".{item.name}", attributes[item.name]) for item in fields(value) if item.name in attributes)
