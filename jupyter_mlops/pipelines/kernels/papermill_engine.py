"""The engine that papermill finds under the name `mlops`. Only `engine.MlopsEngine` imports this module, when papermill itself is there."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from papermill import engines
from papermill.clientwrap import PapermillNotebookClient
from papermill.log import logger
from papermill.utils import merge_kwargs, remove_args

_TERMINATED = 128 + signal.SIGTERM


class MlopsEngine(engines.NBClientEngine):  # type: ignore[misc]  # papermill is not typed
    """Runs notebooks as papermill's own engine does, with the same arguments, in warm kernels.

    The output notebook is replaced whole at each save. A cell whose kernel died, whose time was over or that was interrupted is marked
    failed and says so; SIGTERM ends the kernel and its processes, saves what there is, and ends this process with status 143.
    """

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        """papermill's entry: run a prepared notebook and save it as it runs."""
        from . import saving

        saving.install()
        if output_path is not None and Path(str(output_path)).is_file():
            saving.sweep(Path(output_path))
        with _ended_by_sigterm():
            return super().execute_notebook(nb, kernel_name, output_path=output_path, **options)

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        log_output: bool = False,
        stdout_file: Any = None,
        stderr_file: Any = None,
        start_timeout: int = 60,
        execution_timeout: int | None = None,
        step: Any = None,
        **options: Any,
    ) -> Any:
        """Run the cells; the arguments are those of papermill's own engine, and `step` what `execute` asks for besides."""
        traits = merge_kwargs(
            remove_args(["timeout", "startup_timeout", "input_path"], **options),
            timeout=execution_timeout if execution_timeout else options.get("timeout"),
            startup_timeout=start_timeout,
            kernel_name=kernel_name,
            log=logger,
            log_output=log_output,
            stdout_file=stdout_file,
            stderr_file=stderr_file,
        )
        from .client import CellsClient

        if step is not None:
            traits["step"] = step
        # Whoever put a client of their own in the place of papermill's means it.
        replaced = engines.PapermillNotebookClient
        return (CellsClient if replaced is PapermillNotebookClient else replaced)(nb_man, **traits).execute()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind this program, so that kernels are ended and notebooks saved, where nothing else was arranged for it."""

    def end(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(_TERMINATED)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
