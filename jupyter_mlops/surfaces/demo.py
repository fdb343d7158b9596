"""`mlops demo`: a real notebook on real data, run as papermill runs it, and what there is to see afterwards."""

from __future__ import annotations

import os
import sys
import time
from contextlib import chdir
from pathlib import Path

from .. import config
from ..errors import DemoFailed, NotFound
from ..records import Run
from ..store import client
from . import commands
from .ancestry import of_run
from .answers import Demo

NOTEBOOK = "1_track_and_compare.ipynb"
FOLDER = "mlops-demo"
DELIVERY_SECONDS = 120
TOLD = "JPY_SESSION_NAME"
"""Where JupyterLab tells a kernel which notebook it runs; papermill does not."""


def play(here: Path) -> Demo:
    """Run the notebook in `here` if that is an empty folder, else in a new folder below it; tell what came of it."""
    folder = empty_folder(here)
    # The store is made now, so that a project further up does not take these runs for its own.
    (folder / ".mlops").mkdir(mode=0o700)
    print(f"Running {NOTEBOOK} in {folder}: four models on 336,776 flights, half a minute or so.", file=sys.stderr, flush=True)
    started = time.monotonic()
    with chdir(folder):
        notebook = execute(folder)
        client.ask(config.load(), "flush", timeout=DELIVERY_SECONDS)
        runs = commands.runs()
        tried = [run for run in runs if "auc" in run.metrics]
        if len(tried) < 2:
            raise NotFound("run with an auc in", str(folder), "`mlops doctor` says what is wrong with this installation.")
        best = max(tried, key=_auc)
        first = tried[-1]
        return Demo(
            notebook=str(notebook),
            runs=tuple(runs),
            comparison=commands.compare(first.id, best.id),
            lineage=of_run(best, commands.cells_of(best)),
            seconds=time.monotonic() - started,
        )


def execute(folder: Path) -> Path:
    """Execute a copy of the notebook in `folder` with papermill, in a kernel of this very Python."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    output = folder / NOTEBOOK
    before = os.environ.get(TOLD)
    os.environ[TOLD] = str(output)
    try:
        papermill.execute_notebook(
            str(source()), str(output), cwd=str(folder), kernel_name="python3", progress_bar=sys.stderr.isatty(),
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
        )  # fmt: skip
    except PapermillExecutionError as error:
        raise DemoFailed(str(output), f"{error.ename}: {error.evalue}") from None
    finally:
        os.environ.pop(TOLD)
        if before is not None:
            os.environ[TOLD] = before
    return output


def source() -> Path:
    """The notebook as it was installed; in a development checkout, where it is written."""
    package = Path(__file__).parents[1]
    return next(path for path in (package / "notebooks" / NOTEBOOK, package.parent / "notebooks" / NOTEBOOK) if path.is_file())


def empty_folder(here: Path) -> Path:
    """`here` if nothing is in it, else the first free one of mlops-demo, mlops-demo-2, ... below it, made."""
    if not any(here.iterdir()):
        return here
    number = 1
    while True:
        folder = here / (FOLDER if number == 1 else f"{FOLDER}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder


def _auc(run: Run) -> float:
    return run.metrics["auc"]
