"""What a fit was given: its data, and as the parameters of its run what somebody chose, and nothing that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..store import snapshots
from . import models
from .provenance import MISSING, Origins, Provenance
from .scope import Fit, Scope
from .values import scalar

_LONGEST_TEXT = 500
_MOST_ITEMS = 50
# Keywords that say how a call reports or hands back its result, not what it computes.
_MANNERS = frozenset({"axis", "copy", "disp", "inplace", "n_jobs", "verbose", "verbose_eval", "return_X_y", "as_frame"})


def data_of(fit: Fit, scope: Scope, provenance: Provenance) -> dict[str, Any]:
    """What the fit was given; where that holds no data (a training loop, a formula), the nearest data behind it."""
    if fit.site is None or any(_is_data(value) for value in fit.given.values()):
        return fit.given
    names = provenance.nearest(fit.site.reads, lambda name: _is_data(scope.namespace.get(name)))
    return {name: scope.namespace[name] for name in names}


def origins_of(fit: Fit, scope: Scope, provenance: Provenance) -> Origins:
    """Everything behind the fit, as it is now."""
    if fit.site is None:
        return Origins()
    names = fit.site.reads | fit.site.writes
    origins = provenance.behind(names)
    if of_models := {key for key in origins.keywords if models.is_class(key[0].rpartition(".")[2])}:
        # Models that stood beside this one (in a dict of them) say nothing of it, unless its data came from them.
        data = [name for name in names if not models.held(scope.namespace.get(name))]
        for key in of_models - provenance.behind(data).keywords.keys():
            del origins.keywords[key]
    origins.keywords.update({(function, keyword): value for function, keyword, value in fit.site.keywords})
    for name in origins.literals:
        # Which of several branches bound the name, only the namespace tells.
        current = provenance.names.get(name)
        if current is not None and current.literal is not MISSING and isinstance(scope.namespace.get(name), str | int | float):
            origins.literals[name] = scope.namespace[name]
    return origins


def of_fit(origins: Origins, fitted: Sequence[Any], loops: Mapping[str, Any]) -> dict[str, Any]:
    """The literals behind a fit by name, the literal keywords of the calls that feed it as `function.keyword`, the values of the loops
    around it, and the choices made for the model itself (what differs from its defaults) by their own names."""
    found: dict[str, Any] = {}
    for name, value in origins.literals.items():
        found.update(_flat(name, value))
    for name, value in loops.items():
        if isinstance(value, str | bool) or scalar(value) is not None:
            found[name] = value if isinstance(value, str | bool) else scalar(value)
    classes = {name for model in fitted for name in _classes(model)}
    for (function, keyword), value in origins.keywords.items():
        # What `set_params` changes is among the model's choices.
        if function.rpartition(".")[2] not in (*classes, "set_params") and keyword not in _MANNERS:
            found.update(_flat(f"{function}.{keyword}", value))
    for model in fitted:
        for name, value in models.choices(model).items():
            if found.get(name, value) != value:
                name = f"{type(model).__name__}.{name}"
            found[name] = value
    return {name: value for name, value in found.items() if _is_short(value)}


def _flat(name: str, value: Any) -> dict[str, Any]:
    """Entries of a literal dict become parameters of their own, other literals stay whole; an empty container is there to be filled."""
    if isinstance(value, dict | list | set | tuple) and not value:
        return {}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        flat: dict[str, Any] = {}
        for key, item in list(value.items())[:_MOST_ITEMS]:
            flat.update(_flat(f"{name}.{key}", item))
        return flat
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if isinstance(value, tuple):
        value = list(value)
    return {name: value}


def _is_short(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONGEST_TEXT
    if isinstance(value, bytes):
        return False
    return not isinstance(value, list | dict) or len(repr(value)) <= _LONGEST_TEXT


def _classes(model: Any) -> set[str]:
    """The class of a model and of the models inside it: their keywords are already among the model's choices."""
    names = {type(model).__name__}
    for value in models.all_params(model).values():
        # An estimator inside is described by its class name, with its module or without.
        if isinstance(value, str) and value.rpartition(".")[2][:1].isupper():
            names.add(value.rpartition(".")[2])
        elif isinstance(value, Mapping) and isinstance(value.get("class"), str):
            names.add(value["class"].rpartition(".")[2])
    return names


def _is_data(value: Any) -> bool:
    """Whether a value is a table or array that a model can learn from: no single number, and no tensor that the model itself computed."""
    return snapshots.freezable(value) is not None and getattr(value, "shape", ()) != () and not getattr(value, "requires_grad", False)
