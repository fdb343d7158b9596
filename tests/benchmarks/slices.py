"""How small slices are, and how many of them are proved, over notebooks that were not written for this project."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import nbformat
from nbclient import NotebookClient

from jupyter_mlops import config
from jupyter_mlops.errors import MlopsError
from jupyter_mlops.records import Run
from jupyter_mlops.replay.recording import recorded
from jupyter_mlops.replay.slicing import proved, sliced
from jupyter_mlops.store import client
from jupyter_mlops.store.objects import open_objects

from .kernels import TRACK, empty_folder
from .table import Row

_TIMEOUT = 900
_PROOFS = ("proved", "minimal")


@dataclass(frozen=True, slots=True)
class Measured:
    """The slice behind the last result of one notebook. `share` is kept of executed statements, from 0 to 1."""

    notebook: str
    result: str
    kept: int
    executed: int
    proof: str
    why: str
    computed: float
    seconds: float

    @property
    def share(self) -> float:
        return self.kept / self.executed if self.executed else 1.0

    @property
    def line(self) -> str:
        """The figures of this notebook, as a line of a table."""
        figures = f"{self.kept:4} of {self.executed:4} = {self.share:4.0%}  {self.proof:9} {self.seconds:5.1f} s"
        return f"{self.notebook:28} {figures}  {self.why}"


def measure(folder: Path, names: Sequence[str] = ()) -> list[Row]:
    """A row for each notebook `folder/NAME/NAME.ipynb`, printed as it comes, and one for all."""
    chosen = list(names) or sorted(path.stem for path in folder.glob("*/*.ipynb") if path.stem == path.parent.name)
    found = []
    for name in chosen:
        for item in of_notebook(folder / name):
            print(item.line, flush=True)
            found.append(item)
    if not found:
        raise FileNotFoundError(f"No notebook in {folder} made a run: give another folder.")
    certain = sum(item.proof in _PROOFS for item in found)
    minimal = sum(item.proof == "minimal" for item in found)
    return [
        Row("slices: kept of executed statements", mean(item.share for item in found), 0.5, mean(item.share for item in found) / 0.5,
            "<= 1", f"mean of {len(found)} notebooks; half of them"),
        Row("slices: proved by replay", certain / len(found), 0.9, certain / len(found) / 0.9, ">= 1", f"{minimal} of them minimal; 90%"),
        Row("slices: computing one, s", max(item.computed for item in found), 0.1, max(item.computed for item in found) / 0.1,
            "<= 1", "the slowest, with reading the code; 100 ms"),
    ]  # fmt: skip


def of_notebook(source: Path) -> Iterator[Measured]:
    """The slice behind the last run of a notebook (the notebook is executed in a copy of its folder); nothing when it makes no run."""
    with _executed(source) as project:
        settings = config.load(project)
        client.ask(settings, "flush", timeout=60)
        runs = [Run.from_json(item) for item in client.ask(settings, "runs", where="", sort="", limit=200, offset=0, experiment=None)]
        finished = [run for run in runs if run.status == "FINISHED" and run.cells]
        wanted = next((run for run in finished if run.metrics), next(iter(finished), None))
        if wanted is not None:
            yield _measured(source.name, wanted, settings)
        client.ask(settings, "stop")


def _measured(notebook: str, run: Run, settings: config.Settings) -> Measured:
    started = time.perf_counter()
    try:
        recording = recorded(run.id, settings)
        begun = time.perf_counter()
        found = sliced(recording)
        computed = time.perf_counter() - begun
        found = proved(found, recording, open_objects(settings))
    except MlopsError as error:
        return Measured(notebook, run.name, 1, 1, "failed", str(error), 0.0, time.perf_counter() - started)
    seconds = time.perf_counter() - started
    return Measured(notebook, run.name, found.kept, found.executed, found.proof, found.why, computed, seconds)


@contextmanager
def _executed(source: Path) -> Iterator[Path]:
    with empty_folder() as parent:
        folder = parent / source.name
        shutil.copytree(source, folder)
        notebook = nbformat.read(folder / f"{source.name}.ipynb", as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(TRACK))
        NotebookClient(notebook, timeout=_TIMEOUT, allow_errors=True, resources={"metadata": {"path": str(folder)}}).execute()
        before = os.getcwd()
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)
