"""A model out of its files, by the MLflow flavor that wrote them: for a process of the user's own, which may run the model's code."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load_model(folder: str, flavor: str) -> Any:
    """The model in an MLflow model folder; raises whatever the flavor raises when it cannot be loaded here."""
    return import_module(f"mlflow.{flavor}").load_model(folder)
