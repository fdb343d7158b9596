"""The paths of the files that a step reads as parameters: also those that its code puts together of texts. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath

from ...code.fits import children, executed
from ...code.literals import dotted
from ...code.paths import path_value
from ...records import Parameter
from .parts import Part, edited, free_name, without_dead

_JOINING = frozenset({"os.path.join", "path.join"})
_PATHS = frozenset({"Path", "pathlib.Path", "PurePath", "pathlib.PurePath"})


@dataclass(frozen=True, slots=True)
class _Known:
    """The text or path that a name stands for everywhere, and how its code makes a path ("" for a text)."""

    value: str | PurePath
    constructor: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """An expression whose value is the path of a file."""

    node: ast.expr
    path: str
    constructor: str


def lifted_files(
    parts: Sequence[Part], named: Sequence[Parameter], is_file: Callable[[int, str], bool], taken: set[str]
) -> tuple[list[Parameter], list[Part]]:
    """All parameters, and the code that reads them: `named` but for those that only were a part of a path, and the paths of files.

    A path is taken whole where its parts are texts: `"a/x.csv"`, `Path("a") / "x.csv"`, `os.path.join("a", "x.csv")`, `f"{folder}/x.csv"`.
    One that depends on a number or on part of a file's name is left to the code.
    """
    known = _known(parts, named)
    names: dict[str, str] = {}
    changed: list[Part] = []
    parted: set[str] = set()
    for part in parts:
        edits = []
        for place in _places(part, known):
            if is_file(part.seq, place.path) and (name := names.get(place.path) or _name_of(place.path, taken)):
                names[place.path] = name
                edits.append((place.node, f"{place.constructor}({name})" if place.constructor else name))
                parted |= {item.id for item in ast.walk(place.node) if isinstance(item, ast.Name)}
        changed.append(edited(part, edits) if edits else part)
    changed = without_dead(changed, frozenset(parted))
    used = {item for part in changed for statement in part.statements for item in statement.reads | statement.captures}
    files = [Parameter(name=name, type="str", default=path, help="input file", source="file") for path, name in names.items()]
    return [*(item for item in named if item.name not in parted or item.name in used), *files], changed


def _known(parts: Sequence[Part], named: Sequence[Parameter]) -> Mapping[str, _Known]:
    """The names that are bound once, to a text or a path."""
    known = {item.name: _Known(item.default) for item in named if isinstance(item.default, str)}
    bound = [name for part in parts for name in part.writes]
    for part in parts:
        match part.tree.body if part.tree is not None else []:
            case [ast.Assign(targets=[ast.Name(id=name)], value=value)] if bound.count(name) == 1:
                found = _static(value, known)
                if found is not None:
                    known[name] = found
    return known


def _places(part: Part, known: Mapping[str, _Known]) -> Iterator[_Place]:
    """The outermost expressions of the code that are paths; a name alone stays as it is."""
    waiting: list[ast.AST] = list(part.tree.body) if part.tree is not None else []
    running = {id(node) for node in executed(waiting)}
    while waiting:
        node = waiting.pop(0)
        if id(node) not in running:
            continue
        if isinstance(node, ast.expr) and not isinstance(node, ast.Name) and (found := _static(node, known)) is not None:
            yield _Place(node, found.value if isinstance(found.value, str) else found.value.as_posix(), found.constructor)
            continue
        waiting[:0] = [] if isinstance(node, ast.JoinedStr) else children(node)


def _static(node: ast.expr, known: Mapping[str, _Known]) -> _Known | None:
    """What an expression of texts, joined as parts of a path, stands for."""
    if not _is_joined(node, known):
        return None
    value = path_value(node, {name: item.value for name, item in known.items()})
    constructor = _constructor(node, known) if isinstance(value, PurePath) else ""
    return None if value is None or (isinstance(value, PurePath) and not constructor) else _Known(value, constructor)


def _is_joined(node: ast.expr, known: Mapping[str, _Known]) -> bool:
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            return name in known
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return _is_joined(left, known) and _is_joined(right, known)
        case ast.Call(func=function, args=arguments, keywords=[]) if arguments and dotted(function) in _JOINING | _PATHS:
            return all(_is_joined(item, known) for item in arguments)
        case ast.JoinedStr(values=pieces):
            return all(_is_folder(pieces[place : place + 2], known) for place in range(len(pieces)))
    return False


def _is_folder(pieces: Sequence[ast.expr], known: Mapping[str, _Known]) -> bool:
    """Whether the first of these pieces of an f-string is a text, or a name for one with a `/` after it."""
    match pieces:
        case [ast.Constant(), *_]:
            return True
        case [ast.FormattedValue(value=ast.Name(id=name), conversion=-1, format_spec=None), ast.Constant(value=str(text))]:
            return name in known and text.startswith("/")
    return False


def _constructor(node: ast.expr, known: Mapping[str, _Known]) -> str:
    """The name by which the code makes paths."""
    match node:
        case ast.BinOp(left=left):
            return _constructor(left, known)
        case ast.Call(func=function) if dotted(function) in _PATHS:
            return dotted(function)
        case ast.Name(id=name):
            return known[name].constructor
    return ""


def _name_of(text: str, taken: set[str]) -> str | None:
    stem = re.sub(r"\W+", "_", PurePosixPath(text.replace("\\", "/")).name.partition(".")[0]).strip("_").lower() or "data"
    stem = f"data_{stem}" if stem[0].isdigit() else stem
    return free_name([stem, f"{stem}_file", *(f"{stem}_file_{number}" for number in range(2, 20))], taken)
