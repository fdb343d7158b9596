"""The status of a live notebook beside its file, and of the last session from its journal."""

from __future__ import annotations

import os
import time
from pathlib import Path

import nbformat
import pytest

import jupyter_mlops as mlops
from jupyter_mlops import config
from jupyter_mlops.errors import NotFound
from jupyter_mlops.records import Status
from jupyter_mlops.tracking.status import of_last_session, of_session

from .conftest import Notebook


def write(path: Path, *sources: str) -> None:
    """A notebook file with these code cells, saved after everything that ran."""
    cells = [nbformat.v4.new_markdown_cell("# Title"), *map(nbformat.v4.new_code_cell, sources)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    os.utime(path, (time.time() + 1, time.time() + 1))


def states(found: Status) -> list[tuple[str, str]]:
    return [(cell.line, cell.state) for cell in found.cells]


@pytest.fixture
def study(project: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Notebook:
    """A notebook whose file is `study.ipynb`, as a Jupyter server tells its kernels."""
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "study.ipynb"))
    started: Notebook = request.getfixturevalue("notebook")
    return started


def test_a_notebook_that_ran_in_order_is_fresh(study: Notebook, project: Path) -> None:
    cells = ["import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]})", "df['x'] = 1", "df.head()"]
    write(project / "study.ipynb", *cells)
    found = of_session(study.run(*cells).session)
    assert [state for _, state in states(found)] == ["fresh"] * 3
    assert (found.names, found.restart, found.notes) == ((), (), ())


def test_what_was_edited_deleted_and_added(study: Notebook, project: Path) -> None:
    study.run("x = 1", "y = x + 1", "scratch = 3", "print(y)")
    write(project / "study.ipynb", "x = 2", "y = x + 1", "print(y)", "print(scratch)")
    found = of_session(study.session)
    # These executions carry no ids, so that an edited cell cannot be told from a deleted and an added one.
    assert states(found) == [
        ("x = 2", "never run"), ("y = x + 1", "fresh"), ("print(y)", "fresh"), ("print(scratch)", "never run"),
        ("x = 1", "gone"), ("scratch = 3", "gone"),
    ]  # fmt: skip
    assert [name.name for name in found.names] == ["scratch"]
    assert [(item.kind, item.name) for item in found.restart if item.kind == "error"] == [("error", "scratch")]


def test_a_secret_in_the_file_is_no_edit_and_is_not_shown(study: Notebook, project: Path) -> None:
    secret = "".join(reversed("esroh-tcerroc-2retnuh"))
    cell, other = f"password = '{secret}'", f"token = '{secret}'"
    study.run(cell)
    write(project / "study.ipynb", cell, other)
    found = of_session(study.session)
    assert [state for _, state in states(found)] == ["fresh", "never run"]
    assert secret not in repr(found)


def test_names_that_the_kernel_had_before_are_no_errors(study: Notebook, project: Path) -> None:
    study.shell.user_ns["given_by_startup"] = 3
    study.run("print(given_by_startup)")
    write(project / "study.ipynb", "print(given_by_startup)", "given_by_startup + 1")
    assert [item.kind for item in of_session(study.session).restart] == ["new"]


def test_a_file_that_changed_on_disk(study: Notebook, project: Path) -> None:
    (project / "data.csv").write_text("a\n1\n")
    study.run("text = open('data.csv').read()")
    assert [cell.state for cell in of_session(study.session).cells] == ["fresh"]
    (project / "data.csv").write_text("a\n1\n2\n")
    assert [cell.state for cell in of_session(study.session).cells] == ["stale"]


def test_a_shell_tells_it_of_the_last_session(study: Notebook, project: Path) -> None:
    study.run("x = 1", "print(x)", "x = 1 / 0")
    write(project / "study.ipynb", "x = 1", "print(x)", "x = 1 / 0")
    live = of_session(study.session)
    study.session.close()
    told = mlops.status()
    assert [(cell.seq, cell.state) for cell in told.cells] == [(cell.seq, cell.state) for cell in live.cells]
    assert told.restart == live.restart


def test_without_any_notebook_there_is_one_sentence(project: Path) -> None:
    with pytest.raises(NotFound, match=r"There is no tracked notebook in 'project'\. Run %load_ext jupyter_mlops"):
        of_last_session(config.load())
