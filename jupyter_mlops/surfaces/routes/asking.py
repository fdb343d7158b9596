"""From what a request sent to the arguments of a verb: each of its kind, each path within the server's root, nothing unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from . import table
from .places import Outside, inside, plain_name

_LONGEST_TEXT = 1_000_000
_MOST = 10_000
_DIGITS = frozenset("0123456789abcdef")


class Refused(Exception):
    """A request cannot be answered as it was sent; `status` is the HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def arguments(verb: str, asked: table.Route | table.Job, sent: Any, root: Path) -> dict[str, Any]:
    """The arguments, checked, with paths as absolute ones. Those that were sent as null are left out. Raises Refused."""
    if not isinstance(sent, Mapping):
        raise Refused("The arguments are no JSON object: send them as {name: value}.")
    given = {name: value for name, value in sent.items() if value is not None}
    if unknown := sorted(given.keys() - asked.arguments.keys()):
        known = ", ".join(asked.arguments) or "none"
        raise Refused(f"{verb} has no argument {_brief(unknown[0])}; it has {known}.")
    if missing := [name for name in asked.required if name not in given]:
        raise Refused(f"{verb} needs {' and '.join(missing)}: send it among the arguments.")
    return {name: _value(verb, name, asked.arguments[name], value, root) for name, value in given.items()}


def folder(text: Any, root: Path) -> Path:
    """The folder of a request. Raises Refused."""
    if not isinstance(text, str):
        raise Refused("The folder is no text: send its path from the server's root on, or nothing for the root itself.")
    found = _path(text, root)
    if not found.is_dir():
        raise Refused(f"There is no folder {_brief(text)}: name one that is there.", 404)
    return found


def _value(verb: str, name: str, kind: str | tuple[str, ...], value: Any, root: Path) -> Any:
    if isinstance(kind, tuple):
        if value not in kind:
            raise Refused(f"{verb}: {name} is one of {', '.join(kind)}, not {_brief(value)}.")
        return value
    wanted, reads = _READERS[kind]
    try:
        return reads(value, root)
    except (TypeError, ValueError):
        raise Refused(f"{verb}: {name} is to be {wanted}, not {_brief(value)}.") from None


def _text(value: Any, root: Path) -> str:
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST_TEXT:
        raise ValueError
    return value


def _name(value: Any, root: Path) -> str:
    try:
        return plain_name(_text(value, root))
    except Outside as error:
        raise Refused(str(error), 403) from None


def _count(value: Any, root: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**53:
        raise ValueError
    return value


def _truth(value: Any, root: Path) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


def _values(value: Any, root: Path) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MOST:
        raise ValueError
    for name, item in value.items():
        if not isinstance(item, (str, int, float, bool)) or "\0" in f"{name}{item}":
            raise ValueError
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError
    return dict(value)


def _path(value: Any, root: Path) -> Path:
    if not isinstance(value, str):
        raise ValueError
    try:
        return inside(root, value)
    except Outside as error:
        raise Refused(str(error), 403) from None


def _data(value: Any, root: Path) -> str | Path:
    if isinstance(value, str) and 6 <= len(value) <= 64 and _DIGITS.issuperset(value):
        return value
    return _path(value, root)


def _source(value: Any, root: Path) -> str | Path:
    return _path(value, root) if isinstance(value, str) and value.endswith(".ipynb") else _name(value, root)


def _each(reads: Callable[[Any, Path], Any]) -> Callable[[Any, Path], list[Any]]:
    def read(value: Any, root: Path) -> list[Any]:
        if not isinstance(value, list) or len(value) > _MOST:
            raise ValueError
        return [reads(item, root) for item in value]

    return read


_READERS: Mapping[str, tuple[str, Callable[[Any, Path], Any]]] = {
    table.TEXT: ("a text", _text),
    table.NAME: ("a name", _name),
    table.NAMES: ("a list of names", _each(_name)),
    table.COUNT: ("a whole number from 0", _count),
    table.TRUTH: ("true or false", _truth),
    table.VALUES: ("an object of plain values", _values),
    table.PATH: ("a path from the server's root on", _path),
    table.PATHS: ("a list of paths from the server's root on", _each(_path)),
    table.DATA: ("a digest or a path from the server's root on", _data),
    table.SOURCE: ("a run, or a notebook's path from the server's root on", _source),
}


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
