"""The kernel's and the command line's way to the delivery worker: start it, ask it. Standard library only."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import errors
from ..config import Settings
from ..errors import MlopsError, StoreError, WorkerUnavailable
from . import locks
from .journal import make_private

_POLL_SECONDS = 0.02
_SPAWN_SECONDS = 5.0
# Rights and read-only disks do not change while somebody waits.
_FINAL = (errno.EACCES, errno.EPERM, errno.EROFS)
_stamped: tuple[list[tuple[str, int, int]], str] = ([], "")
_started: list[subprocess.Popen[bytes]] = []
STALE_CARD = "StaleCard"
PACKAGE = Path(__file__).resolve().parent.parent


def ensure_worker(settings: Settings) -> None:
    """See to it that a worker of this very code serves the store, without waiting for it. Raises OSError when none can be started."""
    home = settings.home
    make_private(home / "journal")
    if not locks.is_held(home / "worker.lock"):
        _spawn(settings)
        return
    found = card(home)
    if found and found.get("stamp") != stamp():
        with contextlib.suppress(OSError, ValueError, MlopsError):
            _request(found, "stop", {}, timeout=1.0)
        _spawn(settings, "--succeed")


def ask(settings: Settings, verb: str, *, patience: float = 120.0, **arguments: Any) -> Any:
    """The worker's answer as plain JSON, starting a worker if none serves the store.

    Waits at most `patience` seconds, more for a longer argument `timeout`.

    Raises the error that the worker raised (UsageError, NotFound, ...), and WorkerUnavailable when it cannot be started or reached.
    """
    lasts = arguments.get("timeout")
    deadline = time.monotonic() + max(patience, float(lasts) + 10 if lasts else 0.0)
    why = "it did not start"
    spawned = 0.0
    while time.monotonic() < deadline:
        try:
            if time.monotonic() - spawned > _SPAWN_SECONDS:
                ensure_worker(settings)
                spawned = time.monotonic()
            found = card(settings.home)
            if found.get("stamp") == stamp():
                return _request(found, verb, arguments, timeout=deadline - time.monotonic())
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            if getattr(error, "errno", None) in _FINAL:
                break
        time.sleep(_POLL_SECONDS)
    raise WorkerUnavailable(why)


def fetched(settings: Settings, digest: str) -> list[str]:
    """Bring the snapshot whose digest starts so here from the remote MLflow servers that the project uses; the digests found there."""
    from .state import servers

    named = [os.environ.get("MLFLOW_TRACKING_URI", ""), *servers(settings.home)]
    remote = [uri for uri in dict.fromkeys(named) if "://" in uri and not uri.startswith(("sqlite", "file"))]
    return list(ask(settings, "fetch", digest=digest, servers=remote)) if remote else []


def _request(card: Mapping[str, Any], verb: str, arguments: Mapping[str, Any], timeout: float) -> Any:
    """One request. Raises OSError or ValueError when the worker is gone, else what it answers with."""
    address = card["address"]
    unix = isinstance(address, str)
    with socket.socket(getattr(socket, "AF_UNIX", socket.AF_INET) if unix else socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(max(0.1, timeout))
        connection.connect(address if unix else (address[0], address[1]))
        with connection.makefile("rwb") as stream:
            stream.write(json.dumps({"token": card["token"], "verb": verb, "arguments": dict(arguments)}).encode() + b"\n")
            stream.flush()
            line = stream.readline()
    if not line:
        raise ConnectionResetError("it ended before it answered")
    answer = json.loads(line)
    if answer.get("error") == STALE_CARD:
        raise ConnectionRefusedError(answer["message"])
    if "error" in answer:
        raise _error(answer["error"], answer["message"])
    return answer["value"]


def _error(name: str, message: str) -> MlopsError:
    """The worker's error, with its message as it was composed there."""
    kind = getattr(errors, name, StoreError)
    error: MlopsError = kind.__new__(kind)
    Exception.__init__(error, message)
    return error


def stamp() -> str:
    """What tells the worker's code as it is on disk now from an earlier or later one, from which a worker may still run.

    It is made of the files' contents: the same code that is installed twice, for JupyterLab and for a kernel, is the same. They are read
    again only where a size or a time has changed.
    """
    global _stamped
    found = []
    for folder in (PACKAGE, PACKAGE / "store"):
        with os.scandir(folder) as entries:
            found += [(entry.path, entry.stat().st_size, entry.stat().st_mtime_ns) for entry in entries if entry.name.endswith(".py")]
    found.sort()
    if found != _stamped[0]:
        code = 0
        for path, size, _ in found:
            code = zlib.crc32(f"{os.path.relpath(path, PACKAGE)} {size}\n".encode(), code)
            code = zlib.crc32(Path(path).read_bytes(), code)
        _stamped = (found, f"{code:08x}")
    return _stamped[1]


def card(home: Path) -> dict[str, Any]:
    """What the running worker says about itself: {"pid", "stamp", "address", "token"}; {} while there is none."""
    try:
        told = json.loads((home / "worker.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def finding(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """These variables, so that another Python of the same environment finds this package, also where it is used out of a checkout."""
    given = environment.get("PYTHONPATH", "")
    folder = str(PACKAGE.parent)
    # An installed package stands among all others: those are not to come before Python's own modules.
    if PACKAGE.parent.name in ("site-packages", "dist-packages") or folder in given.split(os.pathsep):
        return dict(environment)
    return {**environment, "PYTHONPATH": os.pathsep.join(filter(None, [folder, given]))}


def _spawn(settings: Settings, *options: str) -> None:
    # -P: a module of the user's project must never stand in for one that the worker imports.
    command = [sys.executable, "-P", "-m", "jupyter_mlops.store.worker", str(settings.project), *options]
    log = os.open(settings.home / "worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        # The worker outlives us on purpose; one that ended before us is waited for here, or it would stay a zombie.
        _started[:] = [process for process in _started if process.poll() is None]
        _started.append(
            subprocess.Popen(
                command, cwd=settings.project, env=finding(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        )
    finally:
        os.close(log)
