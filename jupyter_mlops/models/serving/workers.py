"""Several processes behind one address: a parent that accepts nothing itself, starts them, starts another for one that dies, and ends them.

A child is told what to serve on its standard input, and says on its standard output that it answers, or why it cannot. It ends when that
input does, so that no child outlives a parent that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ... import config
from ...errors import MlopsError
from .metrics import FOLDER, forget
from .options import TOKEN, Canary, Limits, Options

_PACKAGE = Path(__file__).parents[3]
# -P and an appended path: no module of the user's project may stand in for one that the service imports.
_START = f"import sys; sys.path.append({str(_PACKAGE)!r}); from jupyter_mlops.models.serving.workers import main; sys.exit(main())"
_PAUSES = (0.2, 1.0, 5.0, 15.0)
_STEADY = 60.0


class Workers:
    """The processes of one service."""

    def __init__(self, model: str, options: Options, listening: socket.socket) -> None:
        self._model = model
        self._options = options
        self._listening = listening
        self._children: dict[int, subprocess.Popen[bytes]] = {}
        self._ending = threading.Event()
        self._folder = ""

    def run(self, ready: Callable[[Any], None]) -> None:
        """Serve until SIGTERM or Ctrl-C. Raises MlopsError where the first child cannot answer."""
        from .server import Service, url_of

        before = {number: signal.signal(number, self._end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with tempfile.TemporaryDirectory(prefix="mlops-serve-") as self._folder:
                first = self._start(0)
                told = self._answer(first)
                if "version" not in told:
                    if not self._ending.is_set():
                        raise MlopsError(told.get("error") or "The service's first process ended before it answered.")
                    return
                for number in range(1, self._options.workers):
                    self._start(number)
                for number in range(1, self._options.workers):
                    self._answer(self._children[number])
                url = url_of(self._options, self._listening)
                ready(Service(name=told["name"], url=url, version=told["version"], workers=self._options.workers))
                self._watch()
        finally:
            self._stop()
            for signal_number, handler in before.items():
                signal.signal(signal_number, handler)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        descriptor = self._listening.fileno()
        environment = dict(os.environ) | {FOLDER: self._folder}
        options = asdict(replace(self._options, token=None))
        if self._options.token is not None:
            environment[TOKEN] = self._options.token
        child = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, pass_fds=[descriptor],
            # Ctrl-C in a terminal reaches the whole group, and the parent is to decide when children end.
            start_new_session=True,
        )  # fmt: skip
        self._children[number] = child
        assert child.stdin is not None
        told = {"model": self._model, "number": number, "descriptor": descriptor, "options": options, "family": self._listening.family}
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(json.dumps(told).encode() + b"\n")
            child.stdin.flush()
        return child

    def _answer(self, child: subprocess.Popen[bytes]) -> dict[str, Any]:
        """What a child says once it answers, or cannot; {} where it ended without a word, or the service is to end."""
        assert child.stdout is not None
        while not self._ending.is_set():
            if select.select([child.stdout], [], [], 0.2)[0]:
                with contextlib.suppress(ValueError):
                    found = json.loads(child.stdout.readline())
                    return found if isinstance(found, dict) else {}
                return {}
        return {}

    def _watch(self) -> None:
        """Start another child for each that dies; more and more slowly for one that always does."""
        died: dict[int, int] = {}
        started = dict.fromkeys(self._children, time.monotonic())
        due: dict[int, float] = {}
        while not self._ending.wait(0.1):
            now = time.monotonic()
            for number, child in list(self._children.items()):
                if number in due:
                    if now >= due[number]:
                        del due[number]
                        started[number] = now
                        self._start(number)
                elif child.poll() is not None:
                    forget(child.pid)
                    _close(child)
                    died[number] = 0 if now - started[number] > _STEADY else died.get(number, -1) + 1
                    due[number] = now + _PAUSES[min(died[number], len(_PAUSES) - 1)]

    def _end(self, *_: Any) -> None:
        self._ending.set()

    def _stop(self) -> None:
        for child in self._children.values():
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + self._options.drain + 5.0
        for child in self._children.values():
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            _close(child)


def main() -> int:
    """A child: serve what standard input says."""
    from .server import serve_one

    lines, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a model prints must not be taken for an answer
    told = json.loads(lines.readline())
    given = told["options"]
    canary = Canary(**given.pop("canary")) if given.get("canary") else given.pop("canary")
    options = Options(**{**given, "limits": Limits(**given["limits"]), "canary": canary, "token": os.environ.get(TOKEN)})
    listening = socket.socket(told["family"], socket.SOCK_STREAM, fileno=told["descriptor"])
    threading.Thread(target=_end_with, args=(lines,), daemon=True).start()

    def say(found: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):
            answers.write(json.dumps(found).encode() + b"\n")
            answers.flush()

    try:
        serve_one(
            config.load(), told["model"], options, listening,
            lambda service: say({"name": service.name, "version": service.version}), number=told["number"],
        )  # fmt: skip
    except MlopsError as error:
        say({"error": " ".join(str(error).split())})
        return 2
    return 0


def _end_with(lines: Any) -> None:
    """End this process when its parent's end of the pipe is closed."""
    lines.read()
    os.kill(os.getpid(), signal.SIGTERM)


def _close(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


if __name__ == "__main__":
    sys.exit(main())
