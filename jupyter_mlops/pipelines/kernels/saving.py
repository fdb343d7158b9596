"""Notebooks on the local disk are replaced whole: whoever reads one, at any moment and after any crash, finds valid JSON."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Any

from papermill.iorw import LocalHandler, papermill_io

_PRIVATE = 0o666


def save(path: Path, text: str) -> None:
    """Write a text beside the file and put it in its place; what is no ordinary file (a pipe, a terminal) is written to as it is.

    Raises OSError, after which the file is what it was before.
    """
    path = path.resolve()
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG | (_PRIVATE & ~_umask())
    if not stat.S_ISREG(mode):
        path.write_text(text, encoding="utf-8")
        return
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), stat.S_IMODE(mode))
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise


def sweep(path: Path) -> None:
    """Take away what writers of this file left beside it as they were killed."""
    path = path.resolve()
    form = re.compile(rf"\.{re.escape(path.name)}\.(\d+)\.tmp")
    with contextlib.suppress(OSError):
        for beside in path.parent.iterdir():
            match = form.fullmatch(beside.name)
            if match and not Path("/proc", match[1]).exists():
                beside.unlink(missing_ok=True)


def install() -> None:
    """Let papermill, in this process, save local files as `save` does; what it reads and writes elsewhere is left as it is."""
    for index, (scheme, handler) in enumerate(papermill_io._handlers):
        if scheme == "local" and type(handler) is LocalHandler:
            replacement = _WholeFiles()
            replacement.cwd(handler.cwd(None))
            handler.cwd(replacement._cwd)
            papermill_io._handlers[index] = (scheme, replacement)


class _WholeFiles(LocalHandler):  # type: ignore[misc]  # papermill is not typed
    def write(self, buf: Any, path: str) -> None:
        place = Path(self._cwd or ".", path)
        if not place.parent.exists():
            # As papermill says it.
            raise FileNotFoundError(f"output folder {os.path.dirname(path)} doesn't exist.")
        save(place, buf)


def _umask() -> int:
    # The only way to ask is to set it, for all threads.
    with contextlib.suppress(OSError, StopIteration, ValueError):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask:"))
        return int(line.split()[1], 8)
    return 0o022
