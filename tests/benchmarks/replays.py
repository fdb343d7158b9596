"""What replaying costs beside plain papermill of the same cells, and how fast a slice and a status of a long history are computed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import nbformat
import papermill
from nbclient import NotebookClient

from jupyter_mlops import config
from jupyter_mlops.code.slices import Executed, Wanted, slice_of
from jupyter_mlops.code.staleness import NotebookCell, Surroundings, status
from jupyter_mlops.code.statements import analyse, analysed
from jupyter_mlops.code.versions import Execution, History
from jupyter_mlops.replay.player import Options
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.replay.replaying import verified
from jupyter_mlops.store.objects import open_objects

from ..replay.histories import CORPUS, delivered_by_nobody, histories, read_back
from .kernels import TRACK, empty_folder
from .table import Row, row, seconds

CELLS = 200
ROUNDS = 3
TUTORIAL = Path(__file__).parents[2] / "notebooks" / "1_track_and_compare.ipynb"
SECONDS, SHARE = 2.0, 1.1
FIT = "from sklearn.linear_model import Ridge\nX, y = [[0.0], [1.0]], [0.0, 1.0]\nmodel = Ridge().fit(X, y)\nscore = model.score(X, y)"
WORK = "numbers = [n * n % 7 for n in range(1_500_000)]\ntotal = sum(numbers)\nprint(total)"


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_replays(), *_computed()]


def _replays() -> Iterator[Row]:
    notebooks = {
        "the tutorial's own code": _untracked(nbformat.read(TUTORIAL, as_version=4)),
        "100 cells that compute": _notebook([WORK] * 99 + [FIT]),
        "2 quick cells": _notebook(["x = 1", FIT]),
    }
    for name, notebook in notebooks.items():
        with empty_folder() as folder:
            place = folder / "study.ipynb"
            nbformat.write(notebook, place)
            recording = _recorded(notebook, folder)
            objects = open_objects(config.load(folder))
            ours, plain = seconds(
                lambda recording=recording, objects=objects: verified(recording, objects, Options()),
                lambda place=place, folder=folder: papermill.execute_notebook(
                    place, folder / "out.ipynb", cwd=str(folder), progress_bar=False, log_output=False
                ),
                rounds=ROUNDS,
            )
            allowed = max(plain + SECONDS, plain * SHARE)
            yield row(f"replay of {name}, s", ours, allowed, "<= 1", f"papermill, {plain:.2f} s, and 2 s or 10% more")


def _computed() -> Iterator[Row]:
    cells = list(islice(cycle(step.source for history in histories(CORPUS) for step in history.executions), CELLS))

    def sliced() -> None:
        analysed.cache_clear()
        slice_of([Executed(number, analyse(source)) for number, source in enumerate(cells, 1)], Wanted(frozenset({"total"})))

    took, known = History(), [NotebookCell(f"cell-{number}", source) for number, source in enumerate(cells)]
    for number, cell in enumerate(known, 1):
        took.add(Execution(seq=number, source=cell.source, cell=cell.id, started=float(number)))
    around = Surroundings(cells=known, saved=float(CELLS + 1))
    computed, told = seconds(sliced, lambda: status(took, around))
    yield row(f"slice of a history of {CELLS} cells, ms", 1000 * computed, 100, "<= 1", "100 ms; the code is analysed anew")
    yield row(f"status of {CELLS} executions, ms", 1000 * told, 20, "<= 1", "20 ms")


def _untracked(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook without what it says to this package: papermill's peer is the plain work, and nobody delivers here who could answer."""
    notebook.cells = [cell for cell in notebook.cells if "mlops" not in cell.source]
    return notebook


def _notebook(sources: list[str]) -> nbformat.NotebookNode:
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


def _recorded(notebook: nbformat.NotebookNode, folder: Path) -> Recording:
    """The recording of a notebook that ran once, tracked, from its first cell to its last."""
    tracked = nbformat.from_dict(notebook)
    tracked.cells = [nbformat.v4.new_code_cell(TRACK), *tracked.cells]
    os.environ["JPY_SESSION_NAME"] = str(folder / "study.ipynb")
    try:
        with delivered_by_nobody(folder):
            NotebookClient(tracked, timeout=600, resources={"metadata": {"path": str(folder)}}).execute()
    finally:
        del os.environ["JPY_SESSION_NAME"]
    return read_back(folder)
