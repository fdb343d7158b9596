"""The worker's ear: a Unix socket (a loopback port where there is none) that takes one JSON line and answers with one.

A request is {"token", "verb", "arguments"}, the answer {"value"} or {"error", "message"}. Only the user can read the token.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..errors import MlopsError
from ..records import to_json
from .client import STALE_CARD

_LONGEST_PATH = 100
_LONGEST_REQUEST = 10 * 2**20


class Channel:
    """Listens from the moment it is made; each request is answered by `answer(verb, arguments)` in a thread of its own."""

    def __init__(self, home: Path, answer: Callable[[str, Mapping[str, Any]], Any]) -> None:
        self._answer = answer
        self.token = secrets.token_hex(16)
        self._folder: str | None = None
        self._socket, self.address = self._listen(home)
        self._socket.listen(64)
        threading.Thread(target=self._serve, name="mlops-requests", daemon=True).start()

    def close(self) -> None:
        """Take no more requests."""
        self._socket.close()
        if isinstance(self.address, str):
            with contextlib.suppress(OSError):
                os.unlink(self.address)
        if self._folder:
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)

    def _listen(self, home: Path) -> tuple[socket.socket, str | list[Any]]:
        if hasattr(socket, "AF_UNIX"):
            path = str(home / "worker.sock")
            if len(os.fsencode(path)) > _LONGEST_PATH:
                # The system's limit is about 104 bytes: a deep project folder needs a shorter place.
                self._folder = tempfile.mkdtemp(prefix="mlops-")
                path = os.path.join(self._folder, "worker.sock")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                ear.bind(path)
                os.chmod(path, 0o600)
                return ear, path
            except OSError:  # some network file systems have no sockets
                ear.close()
        ear = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        ear.bind(("127.0.0.1", 0))
        return ear, list(ear.getsockname())

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._reply, args=(connection,), daemon=True).start()

    def _reply(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            connection.settimeout(30)
            with connection.makefile("rwb") as stream:
                request = json.loads(stream.readline(_LONGEST_REQUEST))
                stream.write(json.dumps(self._respond(request), default=str).encode() + b"\n")

    def _respond(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if not hmac.compare_digest(str(request.get("token", "")), self.token):
            # Most likely the card is that of the worker before this one: who asks looks again.
            return {"error": STALE_CARD, "message": "the worker that it asked has a successor"}
        try:
            return {"value": to_json(self._answer(str(request["verb"]), request.get("arguments") or {}))}
        except MlopsError as error:
            return {"error": type(error).__name__, "message": str(error)}
        except Exception as error:  # the asker gets to know, and the worker goes on
            return {
                "error": "StoreError",
                "message": f"The worker failed at {request.get('verb')!r} ({type(error).__name__}: {error}); see .mlops/worker.log.",
            }
