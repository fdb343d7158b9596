"""Keeps replayed code from the network, from other programs, and from writing outside the replay's folder.

It is a guard at the level of Python: `sys.addaudithook` hears what Python's own functions do and refuses it in one sentence. Native code
(a compiled reader or writer, a driver, a library called by ctypes) is not confined, and the recorded code runs with the user's rights:
replay only what you would run yourself. Reading is free. Worker processes of multiprocessing and joblib may be started, and are guarded.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = frozenset({"/dev/null", "/dev/tty", "/dev/stdout", "/dev/stderr", "/dev/ptmx", "", ":memory:"})
_HERE = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None})
_ASKING = frozenset({"arch", "fc-list", "getconf", "ldconfig", "lscpu", "nproc", "nvidia-smi", "uname"})
"""Programs that only tell of the machine: libraries ask them as they are imported."""
_PACKAGE = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
_WORKERS = ("from multiprocessing.", "from joblib.externals.loky", "from loky.", "joblib.externals.loky.", "loky.backend.")


_FOLLOWING = """
import importlib.machinery, importlib.util, sys
sys.path[:] = [{package!r}, *(folder for folder in sys.path if folder != {folder!r})]
from jupyter_mlops.replay.guard import Guard
del sys.path[0]
Guard({root!r}).install()
theirs = importlib.machinery.PathFinder.find_spec("sitecustomize")
if theirs is not None:
    theirs.loader.exec_module(importlib.util.module_from_spec(theirs))
"""
"""What such a worker process runs as it starts, before the user's own `sitecustomize`."""


class Refused(PermissionError):
    """The guard did not let it happen. A PermissionError, so that libraries which can do without go on."""


class Guard:
    """What code may not do in this process. `root` is the folder in which everything is free.

    `barred` are files that must not be read, each with its reason; `told` collects the sentences of what was refused.
    """

    def __init__(self, root: str) -> None:
        self._root = os.path.realpath(root) + os.sep
        self.barred: Mapping[str, str] = {}
        self.told: list[str] = []

    def install(self) -> None:
        """From now on, for the life of this process and of those that it forks."""
        checks: Mapping[str, Callable[..., None]] = {
            "open": self._open,
            **dict.fromkeys(("os.remove", "os.rmdir", "os.truncate", "os.chmod", "os.chown", "os.lchmod", "os.utime"), self._change),
            **dict.fromkeys(("os.setxattr", "os.removexattr", "shutil.rmtree"), self._change),
            **dict.fromkeys(("os.rename", "os.link"), self._change_both),
            "os.mkdir": self._make_folder,
            "os.symlink": lambda source, target, folder=-1: self._change(target, folder),
            "sqlite3.connect": self._connect_file,
            **dict.fromkeys(("os.exec", "os.posix_spawn"), self._become),
            "subprocess.Popen": lambda program, words, *rest: self._start([program, *words[1:]] if words else [program]),
            "os.system": lambda command: self._start([command]),
            "os.spawn": lambda mode, program, words, *rest: self._start([program, *words[1:]]),
            "os.forkpty": lambda: self._start(["a terminal"]),
            "pty.spawn": lambda words: self._start(words),
            **dict.fromkeys(("os.kill", "os.killpg"), self._signal),
            **dict.fromkeys(("socket.getaddrinfo", "socket.gethostbyname"), self._look_up),
            **dict.fromkeys(("socket.connect", "socket.sendto", "socket.sendmsg"), self._connect),
        }  # fmt: skip
        watched = frozenset(checks)

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            # Python tells of every look at `id` and every import: those end here.
            if event in watched:
                checks[event](*arguments)

        sys.addaudithook(hook)

    def follow(self, folder: str) -> None:
        """Have the worker processes that this interpreter starts afresh install a guard like this; `folder` holds what they begin with."""
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "sitecustomize.py"), "w", encoding="utf-8") as file:
            file.write(_FOLLOWING.format(package=_PACKAGE, root=self._root, folder=folder))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH", "")]))

    # -- files

    def _open(self, path: Any, mode: Any, flags: Any) -> None:
        if isinstance(path, int):
            return
        writes = any(letter in mode for letter in "wax+") if isinstance(mode, str) else bool(flags & _WRITES)
        if writes:
            self._change(path)
        elif self.barred and (why := self.barred.get(os.path.abspath(os.fsdecode(path)))) is not None:
            self._refuse(why)

    def _change(self, path: Any, *rest: Any) -> None:
        if isinstance(path, int) or path is None:
            return
        text = os.fsdecode(path)
        folder = rest[-1] if rest and isinstance(rest[-1], int) and rest[-1] >= 0 and not os.path.isabs(text) else None
        if folder is not None and os.path.isdir(f"/proc/self/fd/{folder}"):
            text = os.path.join(os.readlink(f"/proc/self/fd/{folder}"), text)
        if not self._inside(text):
            # Compiled code is kept beside every module: Python does without.
            told = not text.rpartition("/")[0].endswith("__pycache__")
            self._refuse(f"A replay writes nothing outside of its folder: {text} (allow it with --allow)", told=told)

    def _change_both(self, source: Any, target: Any, source_folder: int = -1, target_folder: int = -1) -> None:
        self._change(source, source_folder)
        self._change(target, target_folder)

    def _make_folder(self, path: Any, mode: int = 0o777, folder: int = -1) -> None:
        if folder >= 0 or not os.path.isdir(os.fsdecode(path)):
            self._change(path, folder)

    def _connect_file(self, database: Any) -> None:
        text = os.fsdecode(database)
        if text.startswith("file:"):
            name, _, query = text.removeprefix("file:").partition("?")
            if "mode=ro" in query or "mode=memory" in query:
                return
            text = name
        self._change(text)

    def _inside(self, text: str) -> bool:
        if text in _DEVICES or text.startswith(("/dev/fd/", "/proc/self/", "/dev/pts/")):
            return True
        # A link is where it leads, and the name of one is where its folder is.
        folder = os.path.realpath(os.path.dirname(os.path.abspath(text))) + os.sep
        return folder.startswith(self._root) and (os.path.realpath(text) + os.sep).startswith(self._root)

    # -- programs

    def _become(self, program: Any, words: Any, *rest: Any) -> None:
        self._start([program, *list(words)[1:]])

    def _start(self, words: Any) -> None:
        texts = [os.fsdecode(word) if isinstance(word, (str, bytes, os.PathLike)) else str(word) for word in words]
        if os.path.basename(texts[0]) in _ASKING or _is_worker(texts):
            return
        self._refuse(f"A replay starts no other programs: {' '.join(texts)[:200]} (allow it with --allow)")

    def _signal(self, process: int, *rest: Any) -> None:
        if process not in (0, os.getpid()) and not _is_below(process):
            self._refuse(f"A replay sends no signals to other processes: {process} (allow it with --allow)")

    # -- sockets

    def _look_up(self, host: Any, *rest: Any) -> None:
        text = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if text not in _HERE and not str(text).replace(".", "").isdigit():
            self._refuse(f"A replay does not use the network: {text} (use it with --live)")

    def _connect(self, socket: Any, address: Any) -> None:
        if not isinstance(address, tuple):
            return  # of this machine's file system, as multiprocessing uses
        host, port = address[0], address[1]
        if (host in _HERE or str(host).startswith("127.")) and _is_ours(port):
            return
        self._refuse(f"A replay does not use the network: {host}:{port} (use it with --live)")

    def _refuse(self, sentence: str, *, told: bool = True) -> None:
        if told:
            self.told.append(sentence)
        raise Refused(sentence)


def _is_worker(words: list[str]) -> bool:
    """Whether this interpreter is started as a worker process of multiprocessing, joblib or loky."""
    text = " ".join(words[1:6])
    return os.path.realpath(words[0]) == os.path.realpath(sys.executable) and any(mark in text for mark in _WORKERS)


def _is_below(process: int) -> bool:
    """Whether a process was started by this one, or by one that was."""
    import psutil

    try:
        return any(parent.pid == os.getpid() for parent in psutil.Process(abs(process)).parents())
    except psutil.Error:
        return True  # it is gone, and no signal reaches it


def _is_ours(port: int) -> bool:
    """Whether this process, or one that it started, listens on a port."""
    import psutil

    here = psutil.Process()
    for process in (here, *here.children(recursive=True)):
        try:
            if any(item.laddr and item.laddr.port == port for item in process.net_connections("inet")):
                return True
        except psutil.Error:
            continue
    return False
