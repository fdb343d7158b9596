"""The verbs `step` and `restore`: they find the run, and say how it goes."""

from __future__ import annotations

from pathlib import Path

from .. import config
from ..records import Restored, Run, Step
from . import editing


def step(source: str | None, results: tuple[str, ...], out: Path) -> Step:
    """Cut a step out of a run or notebook, telling each stage on stderr."""
    from ..pipelines.steps.cutting import cut
    from .commands import find

    if source is None or not source.endswith(".ipynb"):
        run = find(source)
        source = run.own_id or run.id
    return cut(source, results, out, config.load(), editing.tell)


def restore(run: Run, folder: Path) -> Restored:
    """Put a run into a folder, with the slice of its result where one can be had."""
    from ..replay.restore import restored

    return restored(run.own_id or run.id, folder, config.load(), editing.tell)
