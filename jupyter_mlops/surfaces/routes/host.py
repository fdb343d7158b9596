"""A process that answers for one project: `python -m jupyter_mlops.surfaces.routes.host ROOT`, in the project's folder.

The server's loop never waits for a verb, and nothing heavy is imported there. A request is a line of JSON on stdin, {"id", "verb",
"change", "arguments"}; an answer on stdout is such a line, {"id", "status", "size"}, and then `size` bytes of JSON. It ends with its stdin.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import MlopsError, NotFound, NotKept
from . import table
from .places import show_below
from .plain_json import encoded

_THREADS = 8
_LAST_CHANGE_SECONDS = 10.0


class Host:
    """Answers requests in threads of its own; what changes something is done one at a time."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._writing = threading.Lock()
        self._changing = threading.Lock()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mlops-verb")

    def serve(self, lines: BinaryIO) -> None:
        """Answer until the lines end; a change that has begun is still finished."""
        for line in lines:
            self._threads.submit(self._answer, json.loads(line))
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._changing.acquire(timeout=_LAST_CHANGE_SECONDS)

    def _answer(self, request: Mapping[str, Any]) -> None:
        try:
            status, body = 200, encoded(self._asked(request))
        except MlopsError as error:
            status, body = 404 if isinstance(error, (NotFound, NotKept)) else 400, encoded({"message": " ".join(str(error).split())})
        except Exception as error:
            traceback.print_exc()
            told = " ".join(f"{type(error).__name__}: {error}".split())
            status, body = 500, encoded({"message": f"{request['verb']} failed ({told}); the server's log shows where."})
        with self._writing:
            self._out.write(json.dumps({"id": request["id"], "status": status, "size": len(body)}).encode() + b"\n" + body)
            self._out.flush()

    def _asked(self, request: Mapping[str, Any]) -> Any:
        from ..answers import plain

        if not request["change"]:
            return plain(called(table.READING[request["verb"]], request["arguments"]))
        with self._changing:
            return plain(called(table.CHANGES[request["verb"]], request["arguments"]))


def called(route: table.Route, sent: Mapping[str, Any]) -> Any:
    """What the function of a route gives for arguments that were sent as JSON."""
    given = {name: _of_kind(route.arguments[name], value) for name, value in sent.items()}
    function = _function(route.function)
    words: list[Any] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY and parameter.name in given:
            words.append(given.pop(parameter.name))
        elif parameter.kind is parameter.VAR_POSITIONAL:
            words += given.pop(parameter.name, ())
    return function(*words, **given)


def _of_kind(kind: str | tuple[str, ...], value: Any) -> Any:
    if kind == table.PATH or (kind in (table.DATA, table.SOURCE) and os.path.isabs(value)):
        return Path(value)
    if kind == table.PATHS:
        return tuple(map(Path, value))
    return tuple(value) if isinstance(value, list) else value


def _function(named: str) -> Callable[..., Any]:
    module, _, function = named.partition(":")
    here = f"{__package__}.{module}"
    there = here if importlib.util.find_spec(here) else f"{__package__.rpartition('.')[0]}.{module}"
    found: Callable[..., Any] = getattr(importlib.import_module(there), function)
    return found


def main(root: str) -> None:
    """Serve on stdin and stdout. What a verb prints goes to stderr: stdout is for answers."""
    show_below(Path(root))
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_warm, daemon=True).start()
    Host(out).serve(sys.stdin.buffer)
    # Threads that still read would keep the process.
    os._exit(0)


def _warm() -> None:
    """What nearly every verb needs, before the first one asks for it."""
    from .. import commands as commands


if __name__ == "__main__":
    main(sys.argv[1])
