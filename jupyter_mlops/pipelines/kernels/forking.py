"""The process from which warm kernels are forked: it loads the usual libraries, starts nothing with them, and answers on a local socket.

Each connection is one kernel's lifeline. It begins with a request, a line of JSON:

    {"argv": [...], "env": {...}, "cwd": folder, "log": file, "modules": [...]}        fork a kernel, with these modules loaded
    {..., "waits": true}                                                               one that waits until it is taken
    {"command": [...], "env": {...}, "cwd": folder, "log": file}                       start another program in its place
    {"modules": [...]}                                                                 only load modules

and is answered by {"pid": n}, later by {"exit": status}. A line {"signal": n} is sent on to the kernel's whole process group, a line
{"taken": {"env": {...}, "cwd": folder}} to a kernel that waits, which then enters that folder and environment and begins its work; it
answers {"taken": true} itself: it lives. When the other end closes, the kernel and its group are killed; so are all when the process that
began this one is gone, however it ended.
"""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any, NoReturn

_PR_SET_PDEATHSIG = 1
_LINE = 1 << 16
# A whole environment goes through the pipe of a kernel that waits, without anybody waiting for it to read.
_ENVIRONMENT = 1 << 20
_BEAT_SECONDS = 1.0
_UNTAKEN_SECONDS = 300.0

Act = Callable[[], None]


@dataclass(slots=True)
class _Line:
    """One connection: what came in and is not a whole line yet, and its kernel; one that waits reads the other end of the pipe `gate`."""

    channel: socket.socket
    received: bytes = b""
    pid: int = 0
    ended: bool = field(default=False)
    gate: int = -1

    def tell(self, **message: Any) -> None:
        """Answer; whoever does not listen any more is seen when its end closes."""
        with contextlib.suppress(OSError):
            self.channel.sendall(json.dumps(message).encode() + b"\n")

    def hand(self, told: Mapping[str, Any]) -> None:
        """Give a kernel that waits what it waits for."""
        if self.gate >= 0:
            with contextlib.suppress(OSError), open(self.gate, "wb") as pipe:
                self.gate = -1
                pipe.write(json.dumps(told).encode() + b"\n")

    def close(self) -> None:
        """Let go of it."""
        self.channel.close()
        if self.gate >= 0:
            os.close(self.gate)
            self.gate = -1


class Server:
    """Serves until its parent is gone. `serve` returns only in a forked child: what that has to do then."""

    def __init__(self, listener: socket.socket, parent: int) -> None:
        self._listener, self._parent = listener, parent
        self._lines: dict[int, _Line] = {}
        self._tried: set[str] = set()
        # A dead child wakes the loop through this pipe.
        self._wake_in, self._wake_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._wake_out, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda number, frame: self._end())
        try:
            self._watch = os.pidfd_open(parent)
        except (OSError, AttributeError):  # a Python that was built for older systems has no such call: the parent is looked at each beat
            self._watch = -1

    def serve(self) -> Act:
        """Answer requests. Returns in the child that became something else."""
        while True:
            waiting: list[Any] = [self._listener, self._wake_in, *self._lines, *([self._watch] if self._watch >= 0 else [])]
            ready = select.select(waiting, [], [], _BEAT_SECONDS)[0]
            if self._watch in ready or os.getppid() != self._parent:
                self._end()
            if self._wake_in in ready:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_in, _LINE)
            self._reap()
            if self._listener in ready:
                channel, _ = self._listener.accept()
                self._lines[channel.fileno()] = _Line(channel)
            for number in [number for number in ready if number in self._lines]:
                act = self._read(self._lines[number])
                if act is not None:
                    return act

    def load(self, modules: list[str]) -> None:
        """Import modules that are there and were not tried before; what cannot be imported will say so in the kernel that asks for it."""
        # As it is loaded, pandas asks IPython whether it will be shown in a terminal, and would cut its tables for one.
        builtins.get_ipython = lambda: SimpleNamespace(kernel=self)  # type: ignore[attr-defined]  # where IPython puts it
        try:
            for name in modules:
                if name not in self._tried:
                    self._tried.add(name)
                    with contextlib.suppress(Exception):  # a broken installation is the notebook's to see
                        importlib.import_module(name)
        finally:
            del builtins.get_ipython  # type: ignore[attr-defined]  # as above

    def _read(self, line: _Line) -> Act | None:
        try:
            data = line.channel.recv(_LINE)
        except OSError:
            data = b""
        if not data:
            self._close(line)
            return None
        line.received += data
        while b"\n" in line.received:
            text, _, line.received = line.received.partition(b"\n")
            act = self._answer(line, json.loads(text))
            if act is not None:
                return act
        return None

    def _answer(self, line: _Line, request: Mapping[str, Any]) -> Act | None:
        if "signal" in request:
            if line.pid and not line.ended:
                _signal_group(line.pid, request["signal"])
            return None
        if "taken" in request:
            line.hand(request["taken"])
            return None
        self.load(request.get("modules", []))
        if "env" not in request:
            line.tell(loaded=True)
            return None
        # The fewer pages of the libraries a collection touches in a child, the more of them stay shared.
        gc.collect()
        gc.freeze()
        gate = -1
        if request.get("waits"):
            gate, line.gate = os.pipe()
            with contextlib.suppress(OSError, AttributeError):  # a system may allow less, and a Python not know of it
                fcntl.fcntl(line.gate, fcntl.F_SETPIPE_SZ, _ENVIRONMENT)
        with warnings.catch_warnings():
            # Threads that the libraries' own pools keep are theirs to put in order; they do so at fork.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            return self._child(request, gate, line.channel)
        if gate >= 0:
            os.close(gate)
        line.pid = pid
        line.tell(pid=pid)
        return None

    def _reap(self) -> None:
        for line in list(self._lines.values()):
            if line.pid and not line.ended and os.waitid(os.P_PID, line.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                # While its leader is not taken away, the number of the group can belong to nobody else.
                _kill_session(line.pid)
                line.ended = True
                line.tell(exit=os.waitstatus_to_exitcode(os.waitpid(line.pid, 0)[1]))

    def _close(self, line: _Line) -> None:
        del self._lines[line.channel.fileno()]
        line.close()
        if line.pid and not line.ended:
            _kill_session(line.pid)
            os.waitpid(line.pid, 0)

    def _end(self) -> NoReturn:
        for line in self._lines.values():
            if line.pid and not line.ended:
                _kill_session(line.pid)
        shutil.rmtree(os.path.dirname(self._listener.getsockname()), ignore_errors=True)
        os._exit(0)

    def _child(self, request: Mapping[str, Any], gate: int, channel: socket.socket) -> Act:
        """Leave everything of the server behind; what is left to do, once its loop is left too.

        `gate` is the pipe to wait at, or -1; who waits there says on its `channel` that it was taken.
        """
        wait = partial(_wait, gate, channel.dup()) if gate >= 0 else None
        os.setsid()
        _die_with_parent()
        signal.set_wakeup_fd(-1)
        for kind in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(kind, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._listener.close()
        for line in self._lines.values():
            line.close()
        for number in (self._wake_in, self._wake_out, self._watch):
            if number >= 0:
                os.close(number)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)
        # Before the loop is left: nobody would tell of a mistake there.
        _enter(request["cwd"])
        if "command" in request:
            return lambda: _become_program(request["command"], request["env"])
        return lambda: _become_kernel(request["argv"], request["env"], wait)


def _become_program(command: list[str], environment: Mapping[str, str]) -> NoReturn:
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        # Python ignores them, which another program would inherit.
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(command[0], command, environment)


def _become_kernel(argv: list[str], environment: Mapping[str, str], wait: Act | None) -> None:
    from .kernel_app import main

    _begin_anew(environment)
    main(argv, wait)


def _wait(gate: int, channel: socket.socket) -> None:
    """Wait until somebody takes this kernel, and enter their folder and environment; end when nobody does."""
    with open(gate, "rb") as pipe:
        line = pipe.readline() if select.select([pipe], [], [], _UNTAKEN_SECONDS)[0] else b""
    if not line:
        os._exit(0)
    with channel, contextlib.suppress(OSError):  # one who is gone has the server kill this kernel
        channel.sendall(json.dumps({"taken": True}).encode() + b"\n")
    told = json.loads(line)
    _enter(told["cwd"])
    _begin_anew(told["env"])


def _enter(folder: str) -> None:
    try:
        os.chdir(folder)
    except OSError as error:
        os.write(2, f"The working folder cannot be entered: {error}\n".encode())
        os._exit(1)


def _begin_anew(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    _forget()


def _forget() -> None:
    """Nothing that the server drew, remembered or counted may be the same in two kernels."""
    import linecache
    import random
    import tempfile
    import time
    import uuid

    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    if "ssl" in sys.modules:
        sys.modules["ssl"].RAND_add(os.urandom(32), 0.0)
    tempfile._name_sequence = None  # type: ignore[attr-defined]  # the names that it will try, already begun
    tempfile.tempdir = None
    for name in ("_last_timestamp", "_node"):
        setattr(uuid, name, None)
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType):
            module.__dict__.pop("__warningregistry__", None)
    if "multiprocessing.process" in sys.modules:
        # Where its workers begin, and so those of joblib: they import what lies beside the notebook.
        sys.modules["multiprocessing.process"].ORIGINAL_DIR = os.getcwd()  # type: ignore[attr-defined]  # no stub has it
    time.tzset()
    linecache.clearcache()
    sys.path_importer_cache.clear()
    importlib.invalidate_caches()
    sys.orig_argv = [sys.executable, "-m", "ipykernel_launcher"]


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(OSError):
        os.killpg(group, number)


def _kill_session(leader: int) -> None:
    """Kill a kernel, its process group, and the groups that its shells made; what began a session of its own has left it."""
    _signal_group(leader, signal.SIGKILL)
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != leader:
            with contextlib.suppress(OSError):
                if os.getsid(int(name)) == leader:
                    os.kill(int(name), signal.SIGKILL)


def main() -> None:
    """Serve on the listening socket whose number is the first argument, for the parent whose id is the second."""
    listener = socket.socket(fileno=int(sys.argv[1]))
    server = Server(listener, int(sys.argv[2]))
    # Looked up before there is a child, in which the loader may be in any state.
    ctypes.CDLL(None)
    act = server.serve()
    # The stack of the server is left behind; an ordinary end of the program follows.
    del server, listener
    act()
