"""Runs a notebook that was never tracked, once and as its user would, so that there is a run to cut a step out of."""

from __future__ import annotations

import os
import time
import uuid
from pathlib import Path
from typing import Any

from ...errors import StepRefused, UsageError

TOLD = "JPY_SESSION_NAME"
"""Where JupyterLab tells a kernel which notebook it runs."""
_WAIT = 120.0


def explore(notebook: Path, out: Path) -> str:
    """Execute a notebook in its own folder, tracked; the id of a run that stands for the whole of it. The file itself stays as it is.

    Raises UsageError for a file that is no notebook, StepRefused where one of its cells raises.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    try:
        content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has no types
    except (OSError, ValueError, TypeError, LookupError, AttributeError, nbformat.ValidationError) as error:
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UsageError(f"{notebook} cannot be read as a notebook ({why}): open it in Jupyter and save it again.") from None
    # A kernel of this very Python, with nothing added to the notebook's own cells.
    arguments = ["--InteractiveShellApp.extra_extensions=jupyter_mlops", "--IPKernelApp.log_level=ERROR"]
    place = {"metadata": {"path": str(notebook.parent)}}
    runner = NotebookClient(content, timeout=None, kernel_name="python3", resources=place, extra_arguments=arguments)
    environment = {**os.environ, TOLD: str(notebook.resolve())}
    with runner.setup_kernel(env=environment):
        for index, cell in enumerate(content.cells):
            try:
                runner.execute_cell(cell, index)
            except CellExecutionError as error:
                raise StepRefused(str(out), f"cell {index + 1} of {notebook.name} raises {error.ename}: {error.evalue}.") from None
            except DeadKernelError:
                raise StepRefused(str(out), f"cell {index + 1} of {notebook.name} ended its kernel.") from None
        return _asked(runner, f"__import__('{__name__}', fromlist=['']).whole_run({notebook.stem!r})")


def whole_run(name: str) -> str:
    """In the kernel: a run of everything that was executed so far; its id."""
    from ...tracking import session

    live = session.current()
    if live is None:
        raise UsageError("No notebook is tracked by this process.")
    identifier, now = uuid.uuid4().hex, time.time()
    live.emit(
        {
            "kind": "run", "id": identifier, "at": now, "name": name, "status": "FINISHED", "started": now, "ended": now,
            "notebook": live.notebook, "seq": live.seq, "cells": list(range(1, live.seq + 1)), **live.surroundings(),
        }
    )  # fmt: skip
    return identifier


def _asked(runner: Any, expression: str) -> str:
    """The value of an expression in the kernel, which is no cell of the history."""
    from nbclient.util import run_sync

    async def ask() -> str:
        asked = {"run": expression}
        reply = await runner.kc.execute_interactive("", silent=True, store_history=False, user_expressions=asked, timeout=_WAIT)
        answer = reply["content"]["user_expressions"]["run"]
        if answer["status"] != "ok":
            raise UsageError(f"The notebook was run, but its run could not be written ({answer['ename']}: {answer['evalue']}).")
        return str(answer["data"]["text/plain"]).strip("'")

    found: str = run_sync(ask)()
    return found
