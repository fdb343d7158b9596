"""Runs and the state of a notebook, as the sidebar asks for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ... import config
from ...errors import UsageError
from ...records import Status
from ...store import client
from .beginnings import begun

MOST = 1_000
"""Runs of one answer; the list that shows them asks for the next ones as it is scrolled."""


def runs(
    where: str = "", sort: str = "", limit: int = 50, offset: int = 0, experiment: str | None = None, notebook: Path | None = None
) -> dict[str, Any]:
    """A page of the runs that match, and how many match in all: {"runs": [...], "total": n}."""
    if not 1 <= limit <= MOST:
        raise UsageError(f"A page has 1 to {MOST} runs, not {limit}.")
    settings = config.load()
    if not begun(settings):
        return {"runs": [], "total": 0}
    of = None if notebook is None else _told(notebook, settings.project)
    found = client.ask(settings, "page", where=where, sort=sort, limit=limit, offset=offset, experiment=experiment, notebook=of)
    return {"runs": found["runs"], "total": found["total"]}


def status(notebook: Path | None = None) -> Status:
    """What of a notebook is stale, as its last session left it; without a notebook, of the one that was tracked last."""
    from ...tracking.status import of_last_session

    settings = config.load()
    return of_last_session(settings, None if notebook is None else _told(notebook, settings.project))


def _told(notebook: Path, project: Path) -> str:
    """A notebook's path as runs and sessions have it."""
    return notebook.relative_to(project).as_posix() if notebook.is_relative_to(project) else notebook.as_posix()
