"""The verbs `predict` and `labels`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import config
from ..records import Labelled, Scored
from .answers import short
from .arguments import NAMES


def predict(model: str, data: Any, *, out: Path | None, on: str, log: bool) -> Scored:
    """Predict all rows of data."""
    from ..models.predictions.scoring import predict as predicted
    from ..store.objects import open_objects

    settings = config.load()
    found = predicted(settings, model, data, out=out, on=on, log=log, objects=open_objects(settings))
    return replace(found, data=named(data, found.data))


def labels(name: str, data: Any, *, key: tuple[str, ...], truth: str | None) -> Labelled:
    """Join the truth, and note in the audit log that it was joined."""
    from ..models.predictions.labels import join
    from ..store.audit import Audit, who
    from ..store.objects import open_objects
    from ..store.registry import state_of

    settings = config.load()
    found = join(settings, name, data, key=key, truth=truth, objects=open_objects(settings))
    found = replace(found, source=named(data, found.source))
    if found.new or found.changed:
        told = {"source": found.source, "digest": found.digest, "new": found.new, "changed": found.changed, "unmatched": found.unmatched}
        Audit(state_of(settings)).append(None, who(), "labelled", name, None, "", told)
    return found


def named(given: Any, name: str) -> str:
    """The name by which the user knows data: a variable's, or a path from here."""
    names = [item for item, value in NAMES.get().items() if value is given and not item.startswith("_")]
    return names[0] if names else short(name)
