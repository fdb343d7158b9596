"""Runs the cells of a notebook as papermill's client does; a cell that did not end says so, and none is shown in part as whole."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty
from typing import Any

from nbclient.exceptions import CellExecutionComplete, CellExecutionError, CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async
from nbformat.notebooknode import from_dict
from papermill.clientwrap import PapermillNotebookClient

from . import warm

OUTPUTS = "outputs"
_LOOK_SECONDS = 0.25
_TELL_SECONDS = 1.0
_LONG_SECONDS = 10**6
# From this many waiting messages on, ZeroMQ may throw them away.
_MAY_DROP = 900
# So many messages of a cell, its reply among them, may come on other channels.
_ELSEWHERE = 10


class OutputLost(DeadKernelError):
    """What a cell showed did not arrive whole."""


class Stopped(Exception):
    """The notebook was ended from outside."""

    def __str__(self) -> str:
        return "The notebook was stopped while this cell ran."


@dataclass(slots=True, kw_only=True)
class Step:
    """What `engine.execute` asks for besides papermill's: `environment` of the kernel, the moment (monotonic seconds) at which its time
    is over, to be `told` how far it is, to `stop` it, an expression to be evaluated `before` the first cell, and those `after` the last,
    given the execution count of the cell tagged `outputs` and the traceback of the cell that failed; their values are texts, kept in
    `answers`, what they raised in `refusals`. `failed` tells of a cell that did not end; `memory` is the kernel's peak in bytes.
    """

    environment: Mapping[str, str] | None = None
    deadline: float | None = None
    told: Callable[[Mapping[str, Any]], None] = lambda state: None
    stop: threading.Event = field(default_factory=threading.Event)
    before: str = ""
    after: Callable[[int | None, str], Mapping[str, str]] = lambda count, error: {}
    answers: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    failed: Mapping[str, Any] = field(default_factory=dict)
    cells: int = 0
    memory: int = 0


class CellsClient(PapermillNotebookClient):  # type: ignore[misc]  # papermill is not typed
    """Executes the cells of a notebook and keeps its manager informed."""

    def __init__(self, nb_man: Any, step: Step | None = None, **traits: Any) -> None:
        # Without the kernel's own word that a cell is over, nbclient would wait this long; how long silence may last is looked at here.
        self._quiet = traits.pop("iopub_timeout", 10)
        super().__init__(nb_man, iopub_timeout=_LONG_SECONDS, **traits)
        self._step = step or Step()
        self._step.cells = len(self.nb.cells)
        self._shown = nb_man.last_save_time
        if step is not None and step.deadline is not None:
            self.timeout_func = self._time_left

    def create_kernel_manager(self) -> Any:
        """A manager whose kernel is forked with what the notebook's code speaks of, or starts as any where kernels are not forked."""
        if not warm.FORKS:
            from .managing import StepClient

            manager = super().create_kernel_manager()
            manager.client_factory = StepClient
            return manager
        name = self.kernel_name or self.nb.metadata.get("kernelspec", {}).get("name", "")
        source = "\n".join(cell.source for cell in self.nb.cells if cell.cell_type == "code")
        modules = (*warm.mentioned(source), *(warm.TRACKING if self._step.before else ()))
        server = warm.shared(modules)
        self.km = server.manager(name, None if warm.sets_up(source) else modules, config=self.config)
        return self.km

    def execute(self, **options: Any) -> Any:
        """Run the notebook in a kernel of its own, which is gone afterwards."""
        self.reset_execution_trackers()
        if self._step.environment is not None:
            options["env"] = dict(self._step.environment)
        with self.setup_kernel(**options):
            self.log.info(f"Executing notebook with kernel: {self.kernel_name}")
            self._before()
            try:
                self.papermill_execute_cells()
            finally:
                self._after()
            self.set_widgets_metadata()
        return self.nb

    def papermill_execute_cells(self) -> None:
        """Execute each cell, up to the first that fails; each is saved as it begins and ends."""
        for index, cell in enumerate(self.nb.cells):
            self._at = index + 1
            try:
                self.nb_man.cell_start(cell, index)
                self._tell()
                self.execute_cell(cell, index)
            except CellExecutionError as error:
                self.nb_man.cell_exception(self.nb.cells[index], cell_index=index, exception=error)
                break
            except DeadKernelError as error:
                self._failed(cell, index, Stopped() if self._step.stop.is_set() else error)
                break
            except BaseException as error:  # its time is over, or whoever runs it is ended: the cell is neither
                self._failed(cell, index, error)
                raise
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)

    async def _async_poll_kernel_alive(self) -> None:
        """While a cell runs: end it when its kernel is dead or it is to be stopped, and tell how far it is."""
        while self.kc is not None:
            await asyncio.sleep(_LOOK_SECONDS)
            if self._step.stop.is_set() or not await ensure_async(self.kc.is_alive()):
                # nbclient takes this for the death of the kernel.
                self.task_poll_for_reply.cancel()
                return
            if self._shown > self.nb_man.last_save_time:
                # papermill looks at its clock only when something comes.
                self.nb_man.autosave_cell()
            if time.monotonic() - self._told > _TELL_SECONDS:
                self._tell()

    async def _async_poll_output_msg(self, parent_msg_id: str, cell: Any, cell_index: int) -> None:
        """Take in what the cell shows until the kernel says that this is all. Raises OutputLost when that does not come, or not whole."""
        assert self.kc is not None
        count = _Count()
        while True:
            try:
                message = await ensure_async(self.kc.iopub_channel.get_msg(timeout=self._quiet))
            except Empty:
                if getattr(self.kc.shell_channel, "answered", "") == parent_msg_id:
                    raise OutputLost(f"the cell ended, but the rest of what it showed did not come within {self._quiet} s") from None
                continue
            if message["parent_header"].get("msg_id") != parent_msg_id:
                continue
            count.add(message)
            self._shown = self.nb_man.now()
            try:
                self.process_message(message, cell, cell_index)
            except CellExecutionComplete:
                break
        if missing := count.missing:
            raise OutputLost(f"{missing} messages of what the cell showed were lost")

    def _failed(self, cell: Any, index: int, error: BaseException) -> None:
        """Mark a cell that could not be run to its end, and say so where its outputs are."""
        name, why = type(error).__name__, str(error)
        if type(error) is DeadKernelError:
            why = f"The kernel died while this cell ran ({getattr(self.km, 'words', '') or error})."
        elif isinstance(error, CellTimeoutError) and self._step.deadline is not None:
            why = "The time of the step was over while this cell ran."
        elif isinstance(error, (KeyboardInterrupt, SystemExit)):
            name, why = "Interrupted", "The run was ended while this cell ran."
        if cell.cell_type == "code":
            cell.outputs = [*cell.get("outputs", []), _error(name, why)]
        self.nb_man.cell_exception(cell, cell_index=index, exception=error)
        self._step.failed = {"error": f"{name}: {why}", "ename": name, "source": cell.source, "cell": index + 1}

    def _time_left(self, cell: Any) -> float:
        assert self._step.deadline is not None
        return max(0.01, self._step.deadline - time.monotonic())

    # -- around the cells

    _at = 0
    _told = 0.0

    def _tell(self) -> None:
        self._told = time.monotonic()
        usage = _memory(self._pid)
        self._step.memory = max(self._step.memory, usage.get("VmHWM", 0))
        self._step.told({"cell": self._at, "cells": len(self.nb.cells), "memory": usage.get("VmRSS", 0)})

    @property
    def _pid(self) -> int:
        return getattr(getattr(self.km, "provisioner", None), "pid", None) or 0

    def _before(self) -> None:
        greeting = getattr(self.kc, "greeting", None) or self.wait_for_reply(self.kc.kernel_info())["content"]
        self.nb.metadata["language_info"] = greeting["language_info"]
        if self._step.before:
            self._ask({"before": self._step.before})

    def _after(self) -> None:
        """Ask what is to be asked of a kernel that still answers, and note its peak."""
        self._step.memory = max(self._step.memory, _memory(self._pid).get("VmHWM", 0))
        if self._step.failed:
            return
        failed = next((cell for cell in self.nb.cells if cell.metadata.papermill.get("exception") is True), None)
        errors = [output for output in failed.outputs if output.output_type == "error"] if failed is not None else []
        tagged = [cell for cell in self.nb.cells if OUTPUTS in cell.metadata.get("tags", ()) and cell.get("execution_count")]
        count = tagged[-1].execution_count if tagged and failed is None else None
        self._ask(self._step.after(count, "\n".join(errors[-1].traceback) if errors else ""))

    def _ask(self, expressions: Mapping[str, str]) -> None:
        """Evaluate expressions in the kernel, unseen, if it speaks Python."""
        if not expressions or self.nb.metadata["language_info"].get("name") != "python":
            return
        request = self.kc.execute("", silent=True, store_history=False, user_expressions=dict(expressions), allow_stdin=False)
        reply = self.wait_for_reply(request) or {"content": {}}
        for name, told in reply["content"].get("user_expressions", {}).items():
            if told["status"] == "ok":
                self._step.answers[name] = ast.literal_eval(told["data"]["text/plain"])
            else:
                self._step.refusals[name] = f"{told.get('ename')}: {told.get('evalue')}"


def _error(name: str, why: str) -> Any:
    """The output of a cell that raised this."""
    output = {"output_type": "error", "ename": name, "evalue": why, "traceback": [f"{name}: {why}"]}
    return from_dict(output)  # type: ignore[no-untyped-call]  # nbformat is not typed


class _Count:
    """Counts what is missing among the messages of a cell: kernels built on ipykernel number them all, the others do not."""

    def __init__(self) -> None:
        self._numbers: list[int] = []

    def add(self, message: Mapping[str, Any]) -> None:
        """Take note of one message."""
        head, _, number = message["header"]["msg_id"].rpartition("_")
        if number.isdecimal() and "_" in head:
            self._numbers.append(int(number))

    @property
    def missing(self) -> int:
        """How many never came; below the number at which messages are thrown away, gaps are other channels' messages."""
        if len(self._numbers) < _MAY_DROP:
            return 0
        gaps = self._numbers[-1] - self._numbers[0] + 1 - len(self._numbers)
        return gaps if gaps > _ELSEWHERE else 0


def _memory(pid: int) -> dict[str, int]:
    """What the system tells of a process's memory, in bytes; {} when it is gone."""
    with contextlib.suppress(OSError, ValueError):
        told = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return {name: int(text.split()[0]) * 1024 for name, _, text in told if name in ("VmRSS", "VmHWM")}
    return {}
