"""A notebook in this very process: an IPython shell, tracked, whose journal can be read back."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_mlops import config
from jupyter_mlops.records import Run
from jupyter_mlops.store import journal
from jupyter_mlops.store.runs import SessionState, to_run
from jupyter_mlops.tracking import session as sessions


@dataclass(slots=True)
class Notebook:
    """Runs cells and tells what was recorded of them."""

    shell: InteractiveShell
    session: sessions.Session

    def run(self, *cells: str) -> Notebook:
        """Execute cells in this order; a cell that raises does not end the notebook."""
        for cell in cells:
            self.shell.run_cell(cell, store_history=True)
        self.session.freezer.wait(30)
        return self

    @property
    def names(self) -> dict[str, Any]:
        return self.shell.user_ns

    @property
    def record(self) -> SessionState:
        """What the journal says, read from disk."""
        state = SessionState()
        state.add(journal.read(self.session.journal.path)[0])
        return state

    @property
    def cells(self) -> list[dict[str, Any]]:
        return self.record.history()

    @property
    def runs(self) -> list[Run]:
        """The runs in the order they began."""
        state = self.record
        return [to_run(run, state, experiment="project") for run in state.runs.values() if not run.deleted]


@pytest.fixture
def notebook(project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Notebook]:
    """A tracked notebook in the empty project; nothing is delivered from it."""
    shell = InteractiveShell(config=Config({"HistoryManager": {"hist_file": ":memory:"}}))
    # IPython keeps the outputs of all shells of a process together.
    shell.history_manager.outputs.clear()
    monkeypatch.setattr("builtins.get_ipython", lambda: shell, raising=False)
    monkeypatch.setattr(sessions.Session, "deliver", lambda self: None)
    made = Notebook(shell, sessions.start(shell, config.load()))
    yield made
    assert made.session.status()["trouble"] == []
    made.session.close()
    # At the end of the process each of hundreds of shells would clear its names and collect the garbage of all of them.
    atexit.unregister(shell.atexit_operations)
    shell.history_manager.close()
