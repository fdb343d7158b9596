"""What a fit made: its models, packed for the way to MLflow before anything can change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import MlopsError
from . import models
from .scope import Fit, Scope


def found_models(scope: Scope, fit: Fit) -> list[tuple[str, Any]]:
    """The fitted models of a fit with the names that they are bound to: the receiver, or what a function that fits gave back."""
    if fit.status != "done":
        return []
    names = {id(value): name for name, value in reversed(list(scope.namespace.items())) if not name.startswith("_")}
    found: dict[int, tuple[str, Any]] = {}
    candidates = [fit.receiver] if models.recognise(fit.receiver) is not None else []
    if models.recognise(fit.result) is not None:
        candidates.append(fit.result)
    elif not candidates:
        candidates += models.held(fit.result) or models.held(fit.receiver)
    for model in candidates:
        if models.is_fitted(model):
            found.setdefault(id(model), (names.get(id(model), "model"), model))
    return list(found.values())


def pack_models(
    fit: Fit, found: list[tuple[str, Any]], data: list[Any], put: Callable[[bytes], str]
) -> tuple[list[dict[str, Any]], list[str]]:
    """The models as the journal names them, their bytes kept by `put`, and what cannot be kept with the reason; `data` is what they were
    fitted on."""
    if not found and fit.receiver is not None and models.recognise(fit.receiver) is None and fit.status == "done":
        return [], [f"{type(fit.receiver).__name__}: not a model of a framework that can be saved"]
    packed, skipped = [], []
    for name, model in found:
        try:
            packed.append(pack_model(name, model, data, put))
        except MlopsError as error:
            skipped.append(f"{name} ({type(model).__name__}): {error}")
    return packed, skipped


def pack_model(name: str, model: Any, data: list[Any], put: Callable[[bytes], str]) -> dict[str, Any]:
    """One model as the journal names it. Raises ModelRefused for one that cannot be packed."""
    flavor = models.recognise(model)
    first = next((rows for value in data if (rows := models.example(value)) is not None), None)
    if first is None or flavor in ("statsmodels", "pytorch"):
        first = models.example_for(model, data)
    return {
        "name": name,
        "class": type(model).__name__,
        "flavor": flavor,
        "transport": put(models.pack(model)),
        "example": put(models.pack(first)) if first is not None else None,
        "all_params": models.all_params(model),
        "preparation": models.is_preparation(model),
    }
