"""Whole notebooks that were not written for this project, tracked and untracked."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import nbformat
from nbclient import NotebookClient

from .kernels import TRACK, empty_folder
from .table import Row, row

NOTEBOOKS = 5
PAIRS = 3


def measure(folder: Path, names: list[str]) -> list[Row]:
    """The ratio for each notebook `folder/NAME/NAME.ipynb` (which finds its data in its own folder) and for all of them together."""
    chosen = names or sorted(path.stem for path in folder.glob("*/*.ipynb") if path.stem == path.parent.name)[:NOTEBOOKS]
    rows = list(_each(folder, chosen))
    if not rows:
        raise FileNotFoundError(f"There are no notebooks NAME/NAME.ipynb in {folder}: give another folder.")
    tracked, untracked = sum(item.ours for item in rows), sum(item.peer for item in rows)
    return [*rows, row(f"all {len(rows)} notebooks, s", tracked, untracked, "<= 1.05", "untracked")]


def _each(folder: Path, names: list[str]) -> Iterator[Row]:
    for name in names:
        times: dict[str, list[float]] = {"pass": [], TRACK: []}
        for number in range(PAIRS):
            for first in times if number % 2 == 0 else reversed(times):
                times[first].append(_executed(folder / name, first))
        note = f"untracked; median of {PAIRS} interleaved pairs"
        yield row(f"notebook {name}, s", median(times[TRACK]), median(times["pass"]), "printed", note)


def _executed(source: Path, first_cell: str) -> float:
    """Seconds that a copy of the notebook takes with this cell put before its own, from the first cell to the last."""
    with empty_folder() as parent:
        folder = parent / source.name
        shutil.copytree(source, folder)
        notebook = nbformat.read(folder / f"{source.name}.ipynb", as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(first_cell))
        client = NotebookClient(notebook, timeout=600, allow_errors=True, resources={"metadata": {"path": str(folder)}})
        with client.setup_kernel():
            start = time.perf_counter()
            for index, cell in enumerate(notebook.cells):
                client.execute_cell(cell, index)
            return time.perf_counter() - start
