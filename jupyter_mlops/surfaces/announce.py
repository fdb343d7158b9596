"""Shows the line under a result cell, compared with the experiment's other runs."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from ..config import Settings
from ..records import Run
from ..store import state
from ..tracking.outputs import METADATA_KEY
from .line import line

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

MOST_LINES = 3


class Announcer:
    """Called with the runs of a cell that ended. It knows this kernel's runs itself, as the ledger holds only what was delivered."""

    def __init__(self, shell: InteractiveShell, settings: Settings) -> None:
        self._shell = shell
        self._settings = settings
        self._mine: dict[str, Run] = {}
        self._warned = False

    def __call__(self, runs: Sequence[Run]) -> None:
        """Show a line for each run that is nobody's child, at most three."""
        for run in runs:
            self._mine.pop(run.own_id, None)
            self._mine[run.own_id] = run
        shown = [run for run in runs if run.parent is None][-MOST_LINES:]
        for run in shown:
            self._show(*line(run, self._earlier(run)), {"run": run.id, "name": run.name})
        self._warn()

    def _warn(self) -> None:
        """Say once that runs wait, and again only after they were delivered in between."""
        why = state.trouble(self._settings.home)
        if why and not self._warned:
            text = f"MLflow does not take the runs yet ({why}); they are safe here and follow by themselves. %mlops doctor says more."
            self._show(text, f"<div style='opacity:.8'>{escape(text)}</div>", {"run": ""})
        self._warned = bool(why)

    def _show(self, text: str, html: str, mark: dict[str, str]) -> None:
        if self._has_pages():
            # The mark tells the line from the user's own outputs, for the record of the cell and for whoever compares notebooks; it stays
            # in the saved notebook, and tells a front end which run its output is of.
            self._shell.display_pub.publish({"text/plain": text, "text/html": html}, metadata={METADATA_KEY: mark})
        else:
            print(text)

    def _earlier(self, run: Run) -> list[Run]:
        """The experiment's runs that began before this one, newest first."""
        delivered = [Run.from_json(item) for item in state.recent(self._settings.home, run.experiment)]
        known = [*self._mine.values(), *(other for other in delivered if other.own_id not in self._mine)]
        before = [
            other for other in known if other.experiment == run.experiment and other.own_id != run.own_id and other.started <= run.started
        ]
        return sorted(before, key=lambda other: -other.started)

    def _has_pages(self) -> bool:
        return hasattr(self._shell, "kernel")
