"""The delivery worker: the one process of a store that talks to MLflow. `python -m jupyter_mlops.store.worker PROJECT` starts it.

A file lock elects it; it follows the journals, answers requests, and ends when nothing lives and nothing waits.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config
from ..config import Settings
from ..errors import MlopsError, StoreError, WorkerUnavailable
from . import locks
from .channel import Channel
from .client import stamp
from .journal import make_private
from .state import tell_trouble, trouble

if TYPE_CHECKING:
    from .courier import Courier

IDLE_SECONDS = 120.0
UNDELIVERABLE_SECONDS = 900.0
LOG_BYTES = 2 * 10**6
_BUSY_WAIT = 0.05
_ALIVE_WAIT = 0.15
_IDLE_WAIT = 0.5
_REFUSING_SECONDS = 2.0
_ELECTION_SECONDS = 0.5
_SUCCESSION_SECONDS = 20.0

_log = logging.getLogger(__name__)


class Worker:
    """One elected worker, from `serve` to its end."""

    def __init__(self, settings: Settings, elected: Callable[[], bool]) -> None:
        self._settings = settings
        self._elected = elected
        self._stamp = stamp()
        self._wake = threading.Event()
        self._ready = threading.Event()
        self._stopping = False
        self._last_request = time.monotonic()
        self._requests = 0
        self._answer: Callable[[str, Mapping[str, Any]], Any] | None = None
        self._failure: MlopsError | None = None

    def serve(self) -> None:
        """Answer and deliver until there is nothing left to do."""
        channel = Channel(self._settings.home, self._respond)
        card = self._settings.home / "worker.json"
        _write_private(card, {"pid": os.getpid(), "stamp": self._stamp, "address": channel.address, "token": channel.token})
        try:
            courier, close = self._assemble()
            self._ready.set()
            self._follow(courier)
            close()
        except Exception as error:
            self._failure = error if isinstance(error, MlopsError) else WorkerUnavailable(f"{type(error).__name__}: {error}")
            tell_trouble(self._settings.home, str(self._failure))
            self._ready.set()
            self._refuse()
            raise
        finally:
            card.unlink(missing_ok=True)
            channel.close()

    def _assemble(self) -> tuple[Courier, Callable[[], None]]:
        from .state import Ledger

        ledger = Ledger(self._settings.home)  # refused or not before the time that MLflow takes
        from .tracking_server import Servers, configure  # loads MLflow: the socket answers before this

        configure(self._settings.project)
        from .attach import Attachment
        from .courier import Courier
        from .deliver import Delivery, default_experiment
        from .models import ModelSaver
        from .objects import own_objects
        from .queries import Queries
        from .verbs import Verbs

        servers = Servers(self._settings.project)
        objects = own_objects(self._settings)
        delivery = Delivery(self._settings, ledger, servers, objects)
        saver = ModelSaver()
        courier = Courier(self._settings.home, ledger, delivery, Attachment(delivery, saver))
        queries = Queries(ledger, servers, courier.pending, default_experiment(self._settings))
        verbs = Verbs(self._settings, ledger, servers, objects, courier, queries, self._wake.set)
        self._answer = verbs.answer
        threading.Thread(target=verbs.registry.catch_up, name="mlops-registry", daemon=True).start()

        def close() -> None:
            saver.close()
            ledger.close()

        return courier, close

    def _respond(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        self._last_request = time.monotonic()
        if verb == "ping":
            return {"pid": os.getpid(), "stamp": self._stamp}
        if verb == "stop":
            self._stopping = True
            self._wake.set()
            return {"pid": os.getpid()}
        self._requests += 1
        try:
            self._ready.wait()
            if self._answer is None:
                raise self._failure or WorkerUnavailable("it ended")
            return self._answer(verb, arguments)
        finally:
            self._requests -= 1
            self._last_request = time.monotonic()

    def _refuse(self) -> None:
        """Let those who ask hear why there is no answer, before this process ends."""
        while time.monotonic() - self._last_request < _REFUSING_SECONDS or self._requests:
            time.sleep(_BUSY_WAIT)

    def _follow(self, courier: Courier) -> None:
        quiet_since = time.monotonic()
        told = trouble(self._settings.home)
        # A store that the user deleted may already have a new worker, which alone may open MLflow's database.
        while not self._stopping and self._elected():
            if courier.read():
                quiet_since = time.monotonic()
            courier.deliver()
            why = courier.troubles[-1] if courier.troubles else ""
            if why != told:
                tell_trouble(self._settings.home, why)
                told = why
            now = time.monotonic()
            quiet = now - max(quiet_since, self._last_request)
            if self._idle(courier, quiet):
                return
            _bound_log(self._settings.home / "worker.log")
            self._wake.wait(_BUSY_WAIT if quiet < 2 else _ALIVE_WAIT if courier.alive and quiet < 60 else _IDLE_WAIT)
            self._wake.clear()

    def _idle(self, courier: Courier, quiet: float) -> bool:
        if courier.alive or self._requests or quiet < IDLE_SECONDS:
            return False
        return not courier.waiting or quiet > UNDELIVERABLE_SECONDS


def main(project: str) -> int:
    """Serve the store of `project` if no other process does; the exit status."""
    settings = config.load(Path(project))
    make_private(settings.home / "journal")
    lock_path = settings.home / "worker.lock"
    try:
        lock = _elected(lock_path)
    except StoreError as error:
        tell_trouble(settings.home, str(error))
        raise
    if lock is None:
        return 0
    with contextlib.suppress(OSError, AttributeError):
        os.nice(10)
    warnings.simplefilter("ignore")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        Worker(settings, lambda: locks.stands(lock)).serve()
    finally:
        locks.release(lock_path, lock)
    return 0


def _elected(path: Path) -> int | None:
    # A kernel that looks whether a worker lives holds the lock for an instant, and one of older code takes a moment to end.
    deadline = time.monotonic() + (_SUCCESSION_SECONDS if "--succeed" in sys.argv else _ELECTION_SECONDS)
    while True:
        lock = locks.hold(path)
        if lock is not None or time.monotonic() > deadline:
            return lock
        time.sleep(0.05)


def _write_private(path: Path, content: Mapping[str, Any]) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file)
    fresh.replace(path)


def _bound_log(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.stat().st_size > LOG_BYTES:
            os.truncate(path, 0)  # it is open for appending, so that the next line begins the file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
