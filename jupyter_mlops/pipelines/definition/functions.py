"""The signature of a step's Python function, read from its file without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...code.notebook_syntax import UNREADABLE, parse_python

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes by keyword: `annotations` by name ("" without), those that are `required`, and whether `others` may come."""

    annotations: Mapping[str, str] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    others: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What a file binds at its top level: functions with their signatures (None where it cannot be told), and whether that is all."""

    functions: Mapping[str, Signature | None]
    complete: bool


_read: dict[Path, tuple[tuple[int, int, int], Source | None]] = {}


def file_of(source: str, folder: Path) -> Path | None:
    """The file of `path.py:function` or `module:function`; None for a module that does not lie in the folder."""
    where = source.rpartition(":")[0]
    if where.endswith(".py"):
        return folder / where
    module = folder.joinpath(*where.split("."))
    return next((path for path in (module.with_suffix(".py"), module / "__init__.py") if path.is_file()), None)


def path_of(text: str) -> str:
    """The path in a text that may be written path.py:NAME."""
    path, named, _ = text.partition(".py:")
    return f"{path}.py" if named else text


def source_of(path: Path) -> Source | None:
    """What a file binds; None when it is no Python. Raises OSError."""
    found = path.stat()
    stat = (found.st_size, found.st_mtime_ns, found.st_ino)
    known = _read.get(path)
    if known is None or known[0] != stat:
        known = _read[path] = (stat, _parsed(path))
    return known[1]


def _parsed(path: Path) -> Source | None:
    try:
        tree = parse_python(path.read_text(encoding="utf-8"))
    except UNREADABLE:
        return None
    functions: dict[str, Signature | None] = {}
    complete = True
    for statement in tree.body:
        if isinstance(statement, _FUNCTIONS):
            functions[statement.name] = None if statement.decorator_list else _signature(statement.args)
        else:
            functions.update(dict.fromkeys(_bound(statement)))
            complete &= not _opens(statement)
    return Source(functions, complete)


def _signature(given: ast.arguments) -> Signature:
    usual = [*given.posonlyargs, *given.args]
    optional = {item.arg for item in usual[len(usual) - len(given.defaults) :]}
    optional |= {item.arg for item, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default is not None}
    named = [*given.args, *given.kwonlyargs]
    return Signature(
        {item.arg: ast.unparse(item.annotation) if item.annotation else "" for item in named},
        tuple(item.arg for item in named if item.arg not in optional),
        given.kwarg is not None,
    )


def _bound(statement: ast.stmt) -> Iterator[str]:
    for node in ast.walk(statement):
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]


def _opens(statement: ast.stmt) -> bool:
    """Whether a statement may bind more names than are written in it."""
    calls = (node.func for node in ast.walk(statement) if isinstance(node, ast.Call))
    stars = (item.name for node in ast.walk(statement) if isinstance(node, ast.ImportFrom) for item in node.names)
    return "*" in stars or any(isinstance(func, ast.Name) and func.id in ("exec", "globals", "setattr") for func in calls)
