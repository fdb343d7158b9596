"""The verbs `retrain`, `release` and `card`, and `export` of a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .. import config
from . import editing

if TYPE_CHECKING:
    from ..records import Card, Deployment, Release, Retraining


def retrain(name: str, why: str, *, force: bool) -> Retraining:
    """Train a model again, if nobody has just done so."""
    from ..models.retraining.retraining import retrain as trained

    return trained(config.load(), name, why=why, force=force)


def release(name: str, tag: str | None, *, git: bool) -> Release:
    """Tie a version, its code, its data and the service together under a tag."""
    from ..models.exporting.releases import release as released

    return released(config.load(), name, tag=tag or "", git=git)


def card(name: str, out: Path | None) -> Card:
    """Write a model card."""
    from ..models.cards.writing import card as written

    editing.tell("gathering what was captured, and trying the model on its test data")
    return written(config.load(), name, out)


def export(ref: str, to: str, out: Path | None, *, force: bool) -> Deployment:
    """Write a folder that serves a model elsewhere."""
    from ..models.exporting.exporting import export as exported

    return exported(config.load(), ref, to, out, force=force)
