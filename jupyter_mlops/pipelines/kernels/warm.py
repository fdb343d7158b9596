"""Kernels that are ready when a step needs one: forked from a process that has loaded the usual libraries, used once, then gone.

    with WarmKernels() as kernels:
        manager = kernels.manager("python3")            what nbclient expects of an AsyncKernelManager

`shared()` is the server of this process, begun at first use. A kernel that cannot be forked (another interpreter or language, or settings
that are read as an interpreter starts) is started anew, under the same care: it dies with whoever asked for it.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ...errors import MlopsError
from ...store.client import PACKAGE
from .ahead import Ahead, Spare
from .kernel_app import MODULES

# What most steps import. Nothing here opens connections, reads settings from the working folder, or starts threads but those of pools that
# put themselves in order at a fork.
LIBRARIES = (
    "numpy",
    "pandas",
    "pyarrow",
    "pyarrow.parquet",
    "pyarrow.dataset",
    "scipy.sparse",
    "scipy.stats",
    "sklearn",
    "sklearn.compose",
    "sklearn.datasets",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.tree",
)
TRACKING = (
    "jupyter_mlops.surfaces.magics",
    "jupyter_mlops.surfaces.display",
    "jupyter_mlops.surfaces.announce",
    "jupyter_mlops.tracking.session",
    "jupyter_mlops.tracking.capture",
    "jupyter_mlops.tracking.runs",
    "jupyter_mlops.tracking.files",
    "jupyter_mlops.tracking.environment",
    "jupyter_mlops.tracking.random_state",
    "jupyter_mlops.tracking.outputs",
    "jupyter_mlops.tracking.modules",
    "jupyter_mlops.tracking.instrument",
    "jupyter_mlops.tracking.fetched",
    "jupyter_mlops.tracking.freezing",
    "jupyter_mlops.store.objects",
    "jupyter_mlops.store.snapshots",
    "jupyter_mlops.pipelines.kernels.attending",
    "jupyter_mlops.pipelines.running.collecting",
)
USUAL = (*LIBRARIES, *TRACKING)
# The beginnings of names of settings that are read when an interpreter or a library starts: a step that sets one gets a kernel of its own.
AT_START = (
    "PYTHON", "LD_", "OMP_", "GOMP_", "KMP_", "OPENBLAS_", "GOTO_", "MKL_", "BLIS_", "NUMEXPR_", "NPY_", "SKLEARN_", "ARROW_",
    "MALLOC_", "JE_", "GLIBC_", "LC_", "LANG", "PANDAS_", "SCIPY_",
)  # fmt: skip
FORKS = sys.platform == "linux"
"""Whether kernels are forked here at all: elsewhere they start as Jupyter's do."""
_THREADS = ("NUM_THREADS", "AFFINITY", "SCHEDULE", "DYNAMIC", "CORETYPE")
_ANSWER_SECONDS = 120.0
_LAST_WORDS = 2_000


class KernelServerLost(MlopsError):
    """The process that kernels are forked from ended."""

    def __init__(self, words: str) -> None:
        super().__init__(f"The process that starts kernels ended ({words or 'without a word'}): run the step again.")


class WarmKernels:
    """A server of kernels, which lives as long as this process at most, and its kernels with it.

    `modules` are loaded at once; a kernel can ask for more. `with` ends the server and all its kernels; safe to use from many threads.
    """

    def __init__(self, modules: Sequence[str] = USUAL) -> None:
        self._owner = os.getpid()
        self.folder = Path(tempfile.mkdtemp(prefix="mlops-kernels-"))
        self._environment = {**os.environ, "PYTHONHASHSEED": os.environ.get("PYTHONHASHSEED", "0")}
        with socket.socket(socket.AF_UNIX) as listener, (self.folder / "server.log").open("wb") as log:
            listener.bind(str(self.folder / "socket"))
            listener.listen(128)
            self._process = subprocess.Popen(
                [sys.executable, "-c", _start("forking"), str(listener.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd="/",
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        self._loading = self._connect({"modules": [*MODULES, *modules]})
        self._loaded = set(modules)
        self._ahead = Ahead(self.folder, self._environment, self._connect)
        self._taking = threading.Lock()
        atexit.register(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the server and all its kernels, at once."""
        if os.getpid() != self._owner:
            return
        atexit.unregister(self.close)
        with self._taking:
            self._ahead.close()
        self._loading.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_ANSWER_SECONDS / 10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def alive(self) -> bool:
        """Whether kernels can be had."""
        return self._process.poll() is None

    def manager(self, kernel: str = "", modules: Sequence[str] | None = (), **traits: Any) -> Any:
        """A kernel manager as nbclient takes it, for a kernelspec, whose kernel finds `modules` loaded (None: nothing at all)."""
        from .managing import StepKernelManager

        return StepKernelManager(server=self, modules=modules, **({"kernel_name": kernel} if kernel else {}), **traits)

    def expect(self, number: int) -> None:
        """So many more kernels will soon be asked for: some of them are made ready ahead. 0 ends those that wait."""
        with self._taking, contextlib.suppress(KernelServerLost):  # whoever asks for a kernel is told
            self._ahead.expect(number, self._loaded)

    def take(self, environment: Mapping[str, str], modules: Sequence[str] | None = ()) -> Spare | None:
        """A kernel that waits and serves a step with this environment, to be given to `start`."""
        environment = {"PYTHONHASHSEED": "0", **environment}
        if modules is None or self._differs(environment):
            return None
        with self._taking, contextlib.suppress(KernelServerLost):
            self._loaded.update(modules)
            return self._ahead.take(environment, modules, self._loaded)
        return None

    def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        cwd: str,
        log: Path,
        modules: Sequence[str] | None = (),
        spare: Spare | None = None,
    ) -> Child:
        """Start the kernel that a kernelspec's command describes: forked where that makes no difference, else as a program of its own.

        `spare` is one that waits and is taken instead, if it still lives. Output that is no cell's goes to the file `log`. Raises
        KernelServerLost.
        """
        environment = {"PYTHONHASHSEED": "0", **environment}
        if spare is not None:
            child = Child(spare.channel, log, self._words)
            if child.take(environment, cwd):
                return child
        request: dict[str, Any] = {"env": environment, "cwd": cwd, "log": str(log)}
        arguments = ipython_arguments(command)
        if arguments is None:
            request["command"] = list(command)
        elif modules is None or self._differs(environment):
            request["command"] = [command[0], "-c", _start("kernel_app"), *arguments]
        else:
            request |= {"argv": arguments, "modules": list(modules)}
        return Child(self._connect(request), log, self._words)

    def _differs(self, environment: Mapping[str, str]) -> bool:
        names = {name for name in (*environment, *self._environment) if name.startswith(AT_START)}
        return any(environment.get(name) != self._environment.get(name) for name in names)

    def _connect(self, request: Mapping[str, Any]) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX)
        try:
            channel.connect(str(self.folder / "socket"))
            channel.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            channel.close()
            raise KernelServerLost(self._words()) from None
        return channel

    def _words(self) -> str:
        return last_words(self.folder / "server.log")


class Child:
    """A kernel's process, with the part of subprocess.Popen's interface that jupyter_client uses. Its pid is known once it is started."""

    stdin = stdout = stderr = None

    def __init__(self, channel: socket.socket, log: Path, server_words: Any) -> None:
        self._channel, self._log = channel, log
        self._received = b""
        self._taken = False
        self.returncode: int | None = None
        self.pid = 0
        while not self.pid:
            if not select.select([channel], [], [], _ANSWER_SECONDS)[0] or not self._receive():
                channel.close()
                raise KernelServerLost(server_words())

    def take(self, environment: Mapping[str, str], cwd: str) -> bool:
        """Let a kernel that waits begin its work; False when it does not live any more, which its server may not have noticed yet."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                self._channel.sendall(json.dumps({"taken": {"env": dict(environment), "cwd": cwd}}).encode() + b"\n")
                while not self._taken and self.returncode is None:
                    if not select.select([self._channel], [], [], _ANSWER_SECONDS)[0] or not self._receive():
                        break
        return self._taken

    def poll(self) -> int | None:
        """The exit status (negative: the signal that killed it), or None while it lives."""
        while self.returncode is None and select.select([self._channel], [], [], 0)[0]:
            self._receive()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit status, once there is one. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired("kernel", timeout or 0)
            select.select([self._channel], [], [], left)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the kernel's process group, as long as the kernel lives."""
        if self.poll() is None:
            with contextlib.suppress(OSError):
                self._channel.sendall(json.dumps({"signal": int(number)}).encode() + b"\n")

    def kill(self) -> None:
        """Kill it and its group."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it and its group to end."""
        self.send_signal(signal.SIGTERM)

    @property
    def words(self) -> str:
        """How it ended, in a sentence's part, with the last that it wrote to its own output."""
        status = self.poll()
        how = "it does not answer" if status is None else f"exit status {status}" if status >= 0 else f"killed by {_signal_name(-status)}"
        said = last_words(self._log)
        return f"{how}; it said: {said}" if said else how

    def _receive(self) -> bool:
        """Take in what came; False when the server is gone, and with it its kernels."""
        try:
            data = self._channel.recv(1 << 16)
        except OSError:
            data = b""
        *lines, self._received = (self._received + data).split(b"\n")
        for message in map(json.loads, lines):
            self.pid = message.get("pid", self.pid)
            self._taken = message.get("taken", self._taken)
            self.returncode = message.get("exit", self.returncode)
        if not data and self.returncode is None:
            self.returncode = -signal.SIGKILL
        if self.returncode is not None:
            self._channel.close()
        return bool(data)


_lock = threading.Lock()
_shared: WarmKernels | None = None


def shared(modules: Sequence[str] = USUAL) -> WarmKernels:
    """The server of this process; it is begun, with `modules` loaded, if there is none (any more)."""
    global _shared
    with _lock:
        if _shared is None or not _shared.alive:
            _shared = WarmKernels(modules)
        return _shared


def enough() -> None:
    """No more kernels of this process's server, if there is one, will be asked for soon."""
    with _lock:
        if _shared is not None and _shared.alive:
            _shared.expect(0)


def mentioned(source: str) -> tuple[str, ...]:
    """Those of the usual libraries that a text of code speaks of, as modules to be loaded."""
    roots = {root for root in ("numpy", "pandas", "pyarrow", "scipy", "sklearn") if root in source}
    return tuple(name for name in LIBRARIES if name.partition(".")[0] in roots)


def sets_up(source: str) -> bool:
    """Whether a text of code speaks of settings that libraries read as they are loaded: it wants to load them itself."""
    return any(f"{beginning}{what}" in source for beginning in AT_START for what in _THREADS)


def ipython_arguments(command: Sequence[str]) -> list[str] | None:
    """What a command hands to `ipykernel_launcher` in this very interpreter; None when it starts something else."""
    head, launcher, arguments = command[0], list(command[1:3]), list(command[3:])
    here = Path(sys.executable)
    same = Path(head) == here or (Path(head).parent == here.parent and Path(head).resolve() == here.resolve())
    return arguments if same and launcher == ["-m", "ipykernel_launcher"] and sys.platform == "linux" else None


def last_words(log: Path) -> str:
    """The end of what a process wrote to its log, in one line."""
    try:
        text = log.read_bytes()[-_LAST_WORDS:].decode("utf-8", "replace")
    except OSError:
        return ""
    return " | ".join(filter(None, (line.strip() for line in text.splitlines()[-3:])))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _start(module: str) -> str:
    """Code that runs `main` of one of our modules, with the import path of any kernel: without the folder that it was started in."""
    package = str(PACKAGE.parent)
    return (
        f"import sys; '' in sys.path and sys.path.remove(''); {package!r} in sys.path or sys.path.append({package!r}); "
        f"from jupyter_mlops.pipelines.kernels.{module} import main; main()"
    )
