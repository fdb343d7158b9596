"""The IPython kernel of a step: an ordinary one, except that it never drops what a cell shows, however fast it shows it."""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

# What IPython asks for while a kernel starts, beyond what its own modules import: with it, a forked kernel starts in a third of the time.
MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.zmqshell",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "sqlite3",
    "tornado.platform.asyncio",
    "encodings.idna",
    "pdb",
)


def main(arguments: Sequence[str] | None = None, wait: Callable[[], None] | None = None) -> None:
    """Become the kernel that the arguments of `ipykernel_launcher` describe, until it is shut down.

    `wait` is called as soon as nothing is left to do that is the same for all kernels: it returns in the folder and environment to work in.
    """
    from ipykernel.kernelapp import IPKernelApp

    class StepKernelApp(IPKernelApp):
        def init_iopub(self, context: Any) -> None:
            # ZeroMQ throws away what a slow reader has not taken once a thousand messages wait.
            context.sndhwm = 0
            super().init_iopub(context)  # type: ignore[no-untyped-call]  # ipykernel is typed in part

        def init_path(self) -> None:
            # From here on, a user's own startup files and extensions run.
            if wait is not None:
                wait()
                _settle(self.kernel.shell)
            super().init_path()

    import ipykernel

    given = list(sys.argv[1:] if arguments is None else arguments)
    # Programs look here for how they were started: as any kernel.
    sys.argv = [str(Path(ipykernel.__file__).parent.parent / "ipykernel_launcher.py"), *given]
    app = StepKernelApp.instance()
    # It greets whoever started it by hand.
    app.log_level = logging.CRITICAL
    app.initialize(given)
    app.start()
    _leave()


def _settle(shell: Any) -> None:
    """Let IPython find the folder and the environment that this process has now, where it looked at others."""
    shell.init_environment()
    shell.starting_dir = os.getcwd()
    shell.history_manager.dir_hist[:] = [Path.cwd()]
    if session := os.environ.get("JPY_SESSION_NAME"):
        shell.user_ns["__session__"] = session


def _leave() -> NoReturn:
    """End this process as Python does, but for taking the libraries apart object by object: in a fork, that copies all of them first."""
    threading._shutdown()  # type: ignore[attr-defined]  # threads that are no daemons are waited for
    # IPython's own handler lets go of what the user's names stood for.
    atexit._run_exitfuncs()
    gc.collect()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(0)
