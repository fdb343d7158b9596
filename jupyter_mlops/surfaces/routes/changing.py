"""Short changes that the sidebar asks for: the verbs, called as the sidebar names things."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...records import ModelVersion, Promotion
from .. import commands
from ..answers import Change, Scheduled


def tag(run: str, tags: Mapping[str, Any]) -> Change:
    """Put tags on a run; an empty text takes a tag away."""
    return commands.tag({name: str(text) for name, text in tags.items()}, run=run)


def note(run: str, text: str) -> Change:
    """Write the note of a run."""
    return commands.note(text, run=run)


def delete(runs: tuple[str, ...]) -> list[Change]:
    """Delete runs, as one can take back with MLflow."""
    return commands.delete(*runs)


def schedule(
    action: str, name: str | None = None, pipeline: Path | None = None, params: Mapping[str, Any] | None = None, **given: str
) -> Scheduled:
    """Add, pause, resume or remove a schedule. `given` is what takes the place of the entries in the pipeline's own file."""
    from .. import scheduling

    if action != "add":
        return scheduling.change(action, name)
    if pipeline is None:
        raise UsageError("Say which pipeline to schedule: send its path as pipeline.")
    return scheduling.add(str(pipeline), name, params or {}, given)


def register(run: str, name: str) -> ModelVersion:
    """Register the model of a run."""
    return commands.register(run, name)


def challenge(name: str, version: int | None = None, to: str = "challenger", why: str = "") -> Promotion:
    """Make a version the challenger, which needs no gates. To become champion takes long, and is a job."""
    return commands.promote(name, version=version, to=to, why=why)
