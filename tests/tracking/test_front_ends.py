"""The same notebook through papermill, nbclient and plain IPython: it shows what it shows untracked, and nothing is lost at its end."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import papermill
import pytest

from jupyter_mlops.tracking.outputs import METADATA_KEY
from tests.delivered import artifact, settled, with_database

# What was shown, and for each of our own lines whether it looks like one.
Shown = tuple[list[Any], list[bool]]

TRACK = "%load_ext jupyter_mlops"
CELLS = [
    "import sys, numpy as np; from sklearn.linear_model import LogisticRegression; from IPython.display import HTML, display",
    "X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2; print('ready'); print('a note', file=sys.stderr)",
    "clf = LogisticRegression(C=0.5).fit(X, y); clf.get_params()['C']",
    "acc = clf.score(X, y); display(HTML('<b>bold</b>')); print(f'acc {acc:.3f}')",
    "acc",
    # The kernel is shut down right after this one.
    "last = LogisticRegression(C=2.0).fit(X, y); final = last.score(X, y); final",
]


def _notebook(cells: list[str]) -> Any:
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel)


def _shown(notebook: Any) -> Shown:
    """The outputs of each cell but the first, and apart from them the lines that are marked as ours."""
    outputs = [[item for item in cell.outputs if METADATA_KEY not in item.get("metadata", {})] for cell in notebook.cells[1:]]
    lines = [item for cell in notebook.cells for item in cell.outputs if METADATA_KEY in item.get("metadata", {})]
    return outputs, [item.data["text/plain"].startswith("◆ ") for item in lines]


def with_papermill(cells: list[str], folder: Path) -> Shown:
    given = folder / "given.ipynb"
    nbformat.write(_notebook(cells), given)
    executed = papermill.execute_notebook(str(given), str(folder / "executed.ipynb"), cwd=str(folder), progress_bar=False)
    for cell in executed.cells:
        del cell.metadata["papermill"]
    return _shown(executed)


def with_nbclient(cells: list[str], folder: Path) -> Shown:
    notebook = _notebook(cells)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(folder)}}).execute()
    return _shown(notebook)


def with_ipython(cells: list[str], folder: Path) -> Shown:
    command = [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=NoColor", "--HistoryManager.enabled=False"]
    ran = subprocess.run(command, input="\n".join([*cells, ""]), cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    lines = ran.stdout.splitlines()
    return [[line for line in lines if "◆ " not in line], ran.stderr], [True for line in lines if "◆ " in line]


@pytest.mark.parametrize("run", [with_papermill, with_nbclient, with_ipython], ids=["papermill", "nbclient", "ipython"])
def test_a_notebook_shows_the_same_and_its_runs_are_all_there(project: Path, run: Callable[[list[str], Path], Shown]) -> None:
    with_database(project)
    untracked, no_lines = run(["pass", *CELLS], project)
    tracked, lines = run([TRACK, *CELLS], project)
    assert tracked == untracked
    assert (no_lines, lines) == ([], [True] * 3)
    first, last = settled(project)
    assert [item.info.status for item in (first, last)] == ["FINISHED", "FINISHED"]
    assert (first.data.params, last.data.params) == ({"C": "0.5"}, {"C": "2.0"})
    assert ("acc" in first.data.metrics, "final" in last.data.metrics) == (True, True)
    assert [len(item.outputs.model_outputs) for item in (first, last)] == [1, 1]
    outputs = json.loads(artifact(project, last, "mlops/history.ipynb"))["cells"][-1]["outputs"]
    results = [item["data"]["text/plain"] for item in outputs if item["output_type"] == "execute_result"]
    assert results == [str(last.data.metrics["final"])]
