"""Where a notebook and its kernel differ: the executions of a session laid beside the notebook file as it is saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..code.secrets import Redactor
from ..code.staleness import NotebookCell, Surroundings, status
from ..code.versions import History
from ..config import Settings
from ..errors import NotFound
from ..records import CellEvent, Input, Status
from ..store import journal
from ..store.runs import SessionState, fold_session
from .executions import as_execution, files_of

if TYPE_CHECKING:
    from .session import Session


def of_session(session: Session) -> Status:
    """The status of this kernel's notebook now, in the middle of the cell that asks."""
    history = session.history
    cells, saved = _notebook(session.settings.project, session.notebook)
    names = frozenset(session.shell.user_ns if session.shell is not None else ())
    return status(
        history,
        Surroundings(
            session=session.journal.session,
            notebook=session.notebook,
            cells=_redacted(cells, history, session.redactor),
            saved=saved,
            living=names,
            given=names - history.bound,
            changed_files=_changed_files(session.settings.project, session.last_files),
            running=session.running(),
        ),
    )


def of_last_session(settings: Settings, notebook: str | None = None) -> Status:
    """The status of the last notebook that was tracked in this project, or of this one (its path as runs have it), from its journal.

    Raises NotFound where there is none.
    """
    state = _last_session(settings.home, notebook)
    history, files = History(), dict[str, Input]()
    for event in state.history():
        cell = CellEvent.from_json(event)
        history.add(as_execution(cell))
        files.update(files_of(cell))
    notebook = str(state.header.get("notebook") or "")
    cells, saved = _notebook(settings.project, notebook)
    return status(
        history,
        Surroundings(
            session=state.id,
            notebook=notebook,
            cells=_redacted(cells, history, Redactor(settings.secrets)),
            saved=saved,
            changed_files=_changed_files(settings.project, files),
        ),
    )


def _changed_files(project: Path, files: Mapping[str, Input]) -> frozenset[str]:
    """The files that are another size or were written since the session last read or wrote them; one that is gone tells nothing new."""
    changed = set()
    for name, item in files.items():
        try:
            now = (project / (item.source or item.name)).stat()
        except OSError:
            continue
        if item.stat and (now.st_size, now.st_mtime_ns) != tuple(item.stat[:2]):
            changed.add(name)
    return frozenset(changed)


def _notebook(project: Path, notebook: str) -> tuple[tuple[NotebookCell, ...] | None, float | None]:
    """The code cells of a notebook file in order, and when it was saved; (None, None) where no notebook can be read."""
    path = project / notebook
    if path.suffix != ".ipynb":
        return None, None
    try:
        stat = path.stat()
        return _code_cells(path, stat.st_mtime_ns, stat.st_size), stat.st_mtime
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


@lru_cache(maxsize=4)
def _code_cells(path: Path, changed: int, size: int) -> tuple[NotebookCell, ...]:
    cells = json.loads(path.read_bytes())["cells"]
    code = [(str(cell.get("id") or ""), "".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    return tuple(NotebookCell(identifier, source) for identifier, source in code if source.strip())


def _redacted(cells: tuple[NotebookCell, ...] | None, history: History, redactor: Redactor) -> tuple[NotebookCell, ...] | None:
    """The cells with their secrets replaced, as executions are recorded; only those that did not run as they stand can hold any."""
    if cells is None:
        return None
    known = {trace.execution.source.strip() for trace in history.traces.values()}
    return tuple(
        cell if cell.source.strip() in known else NotebookCell(cell.id, _without_secrets(cell.source, redactor)) for cell in cells
    )


def _without_secrets(source: str, redactor: Redactor) -> str:
    redactor.learn_source(source)
    return redactor.source(source)


def _last_session(home: Path, notebook: str | None) -> SessionState:
    """The notebook's session that ran a cell last; commands and programs have no cells."""
    for path in sorted(journal.journals(home), key=lambda path: path.stat().st_mtime, reverse=True):
        if notebook is not None and journal.header(path).get("notebook") != notebook:
            continue
        state = fold_session(journal.read(path)[0])
        if state.cells or state.begun:
            return state
    if notebook is not None:
        raise NotFound("tracked session of", notebook, "Run %load_ext jupyter_mlops in it first.")
    raise NotFound("tracked notebook in", home.parent.name, "Run %load_ext jupyter_mlops in a notebook first.")
