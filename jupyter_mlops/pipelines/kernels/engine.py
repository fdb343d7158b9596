"""Runs one notebook by papermill with this package's engine (`MlopsEngine`; alone: `papermill --engine mlops in.ipynb out.ipynb`)."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import MlopsError
from ..definition.notebooks import declared

if TYPE_CHECKING:
    from .client import Step

ENGINE = "mlops"
PYTHON = "python3"
"""The kernelspec of a notebook that names none."""
_KERNEL_SECONDS = 120
_GRAMMAR = "rfc3987_syntax"
_importing = threading.Lock()


def __getattr__(name: str) -> Any:
    """The engine, which is made of papermill's own: that asks for it while it is being imported itself."""
    if name == "MlopsEngine":
        import_module("papermill.engines")
        return import_module(".papermill_engine", __package__).MlopsEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """The run that an execution belongs to: `run` is the id it gets (32 hex digits), `parent` our id of the run it hangs under.

    `project` is the folder whose store takes it (default: as `config.load(cwd)` finds it); `params` and `tags` are written into the run.
    """

    name: str
    run: str
    parent: str | None = None
    project: Path | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """What came of executing a notebook. `error` is "" when every cell ended well, else one text; `ename` the class of what was raised
    (DeadKernelError, CellTimeoutError, Stopped...), `cell` (from 1) and `source` belong to the cell that failed.

    `collected` is what `collect` gave, as JSON values; `read` maps the absolute paths of the files that cells were seen to read to their
    content digests (None: too large to be digested by the kernel), `own` are those of them that the kernel itself opened (None: nobody
    knows), `modules` likewise the user's own modules that were imported;
    `session` and `runs` are the tracking session and the ids of all runs that the cells made; `closed` tells that the kernel lived to end
    them itself. `memory` is the kernel's peak in bytes.
    """

    seconds: float
    cells: int
    cell: int = 0
    error: str = ""
    ename: str = ""
    source: str = ""
    collected: Any = None
    read: Mapping[str, str | None] = field(default_factory=dict)
    own: Sequence[str] | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    session: str = ""
    runs: tuple[str, ...] = ()
    closed: bool = False
    memory: int = 0


def execute(
    notebook: Path,
    out: Path,
    parameters: Mapping[str, Any],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    kernel: str = "",
    timeout: float | None = None,
    on_progress: Callable[[Mapping[str, Any]], None] | None = None,
    tracked: Tracked | None = None,
    collect: Callable[[int | None], str] | None = None,
    stop: threading.Event | None = None,
) -> Executed:
    """Run a notebook by papermill in a kernel of its own and save it at `out` as it runs. Thread-safe; never changes this process's folder.

    `env` is added to this process's environment; `timeout` is the most seconds that the whole notebook may take; `kernel` is another
    kernelspec than the notebook's own. `on_progress` is called from this thread with {"cell": n (from 1), "cells": m, "memory": bytes}
    as each cell begins, and each second while one runs. `collect` is asked after the last cell (Python kernels): given the execution
    count of the cell tagged `outputs` (None: there is none), it names a Python expression, which the kernel evaluates without a trace in
    its history; the expression's value is a JSON text. Setting `stop` interrupts the notebook. What fails in the notebook is told by the
    record, nothing is raised for it; an OSError (a full disk under `out`) is raised, and so is what `collect`'s expression raises, as
    MlopsError.
    """
    from . import warm

    if warm.FORKS:
        # Its libraries are loaded while papermill is.
        warm.shared((*warm.mentioned(notebook.read_text("utf-8", "replace")), *warm.TRACKING))
    with _importing:
        _import_papermill()
    from papermill.exceptions import PapermillExecutionError
    from papermill.execute import execute_notebook

    from .client import Step

    started = time.monotonic()
    said = declared(notebook)
    step = Step(
        environment={**os.environ, "JPY_SESSION_NAME": str(notebook), **(env or {})},
        deadline=None if timeout is None else started + timeout,
        told=on_progress or (lambda state: None),
        stop=stop or threading.Event(),
        before=_opening(tracked, cwd) if tracked else "",
        after=lambda count, error: _closing(tracked, collect, count, error),
    )
    failure: Mapping[str, Any] = {}
    try:
        execute_notebook(
            str(notebook.absolute()),
            str(out.absolute()),
            parameters=dict(parameters),
            engine_name=ENGINE,
            kernel_name=kernel or said.kernel or PYTHON,
            # Notebooks that were never saved by Jupyter, or stripped of their metadata, name neither; papermill asks for both.
            language="python" if said.language == "python" else None,
            progress_bar=False,
            start_timeout=_KERNEL_SECONDS,
            resources={"metadata": {"path": str(cwd)}},
            step=step,
        )
    except PapermillExecutionError as error:
        failure = {"error": str(error).strip(), "ename": error.ename, "source": error.source, "cell": error.cell_index + 1}
    except (OSError, MlopsError):
        if not step.failed:
            raise
    except Exception as error:  # an unknown kernel or language, a kernel that does not start
        failure = {"error": f"{type(error).__name__}: {error}", "ename": type(error).__name__}
    return _executed(step, time.monotonic() - started, step.failed or failure)


def _import_papermill() -> None:
    """Import papermill, in a program of our own without a grammar for international URLs, which takes seconds to build and is not asked."""
    if not {"papermill", "jsonschema", "IPython", _GRAMMAR} & sys.modules.keys():
        sys.modules[_GRAMMAR] = None  # type: ignore[assignment]  # what import takes for a module that is not there
        try:
            import_module("papermill")
        finally:
            sys.modules.pop(_GRAMMAR, None)


def _executed(step: Step, seconds: float, failure: Mapping[str, Any]) -> Executed:
    session = step.answers.get("before", "")
    told = {"session": session, "closed": bool(session) and "end" in step.answers, **json.loads(step.answers.get("end", "{}"))}
    collected = json.loads(step.answers["collected"]) if "collected" in step.answers else None
    if not failure and "collected" in step.refusals:
        failure = {"error": f"The outputs could not be collected: {step.refusals['collected']}", "ename": "OutputsError"}
    return Executed(seconds=seconds, cells=step.cells, memory=step.memory, collected=collected, **told, **failure)


def _opening(tracked: Tracked, cwd: Path) -> str:
    given = (tracked.name, tracked.run, tracked.parent, str(tracked.project or cwd), dict(tracked.params), dict(tracked.tags))
    return _calling("begin", given)


def _closing(tracked: Tracked | None, collect: Callable[[int | None], str] | None, count: int | None, error: str) -> dict[str, str]:
    asked = {}
    if collect is not None and not error:
        asked["collected"] = collect(count)
    if tracked is not None:
        asked["end"] = _calling("end", (tracked.run, "FAILED" if error else "FINISHED", error))
    return asked


def _calling(function: str, arguments: tuple[Any, ...]) -> str:
    """The expression that calls a function of `attending` in a kernel, without binding a name there."""
    given = json.dumps(arguments)
    return f"__import__('jupyter_mlops.pipelines.kernels.attending', fromlist=['{function}']).{function}({given!r})"
