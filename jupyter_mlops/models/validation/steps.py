"""The checks that steps of a pipeline declare of their inputs, made in a process of their own (see `pipelines.running.checking`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...records import Validation
from ...store.objects import ObjectStore
from .checking import validate
from .data import data_of

CHECKS = f"{__name__}:check"
"""What a run of a pipeline names, so that any machine finds it."""


def check(data: Any, *, schema: str | None, reference: str | None, objects: str) -> Validation:
    """What is wrong with an input, as `DataChecks` has it. Raises MlopsError."""
    store = ObjectStore(objects)
    held = data_of(reference, store) if reference is not None else None
    return validate(data_of(data, store), schema=Path(schema) if schema is not None else None, reference=held)
