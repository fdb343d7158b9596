"""No path leaves the server's root: what the sidebar names, and how an answer names files."""

from __future__ import annotations

import re
from pathlib import Path

_DRIVE = re.compile(r"[A-Za-z]:")
_LONGEST = 4096
_root: Path | None = None


class Outside(Exception):
    """A path is not within the server's root."""

    def __init__(self, text: str) -> None:
        shown = text if len(text) <= 200 else text[:199] + "…"
        super().__init__(f"{shown!r} is not within the folder that this server shows: name a file or folder below it.")


def inside(root: Path, text: str) -> Path:
    """The file or folder that a text names, from the server's root on, with all links followed. Raises Outside.

    `root` has no links itself. What another system would understand as a way out is refused here, too.
    """
    if "\0" in text or "\\" in text or len(text) > _LONGEST or text.startswith("~") or _DRIVE.match(text) or ".." in text.split("/"):
        raise Outside(text)
    try:
        path = (root / text).resolve()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have; links that go in circles
        raise Outside(text) from None
    if not path.is_relative_to(root):
        raise Outside(text)
    return path


def plain_name(text: str) -> str:
    """A name that could not be a path to elsewhere, wherever it is put. Raises Outside."""
    parts = text.split("/")
    if "\0" in text or "\\" in text or len(text) > _LONGEST or text[:1] in ("/", "~") or _DRIVE.match(text) or ".." in parts:
        raise Outside(text)
    return text


def show_below(root: Path) -> None:
    """Let answers of this process name files from this root on."""
    global _root
    _root = root


def contents_path(path: str | Path) -> str | None:
    """A file's path as JupyterLab's contents name it, relative to the server's root; None where it lies elsewhere."""
    root = _root or Path.cwd()
    whole = Path(path).resolve()
    if not whole.is_relative_to(root):
        return None
    return "" if whole == root else whole.relative_to(root).as_posix()
