"""What can be set from outside a step: literals under a name, literal keywords of calls, and the files it reads. Pure."""

from __future__ import annotations

import ast
import builtins
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...code.fits import executed
from ...code.literals import dotted, feeds, function_name, is_literal, literal
from ...records import Parameter
from ..definition.annotations import type_of
from .files import lifted_files
from .parts import Part, edited, free_name, names_in

LONGEST = 500
_SCALARS = (bool, int, float, str)


@dataclass(frozen=True, slots=True)
class _Found:
    """A literal keyword of a call: in part number `place`, as the expression `node`."""

    function: str
    keyword: str
    value: Any
    place: int
    node: ast.expr
    comment: str


def lifted(
    parts: Sequence[Part], chosen: Mapping[str, Any], is_file: Callable[[int, str], bool], taken: set[str]
) -> tuple[list[Parameter], list[Part]]:
    """The parameters of the code, and the code that reads them.

    A name that is bound to a literal once becomes a parameter, a literal keyword when it is among the run's own parameters (`chosen`,
    by name or as `function.keyword`), and the path of a file when `is_file(seq, text)` says that this execution read it.
    """
    taken |= names_in(parts)
    named, rest = _named(parts, is_file)
    by_keyword, rest = _keywords(rest, chosen, taken)
    return lifted_files(rest, [*named, *by_keyword], is_file, taken)


def cell(parameters: Sequence[Parameter]) -> str:
    """The source of the cell tagged `parameters`, which papermill reads line by line: no line has a second `=`."""
    return "\n".join(_line(item) for item in parameters)


def _line(item: Parameter) -> str:
    annotation = f": {item.type}" if item.type else ""
    comment = f"  # {_plain(item.help)}" if item.help else ""
    return f"{item.name}{annotation} = {written(item.default)}{comment}"


def written(value: Any) -> str:
    """A literal whose text has no `=` and no `#`: papermill takes them for another assignment and for a comment."""
    return repr(value).replace("=", "\\x3d").replace("#", "\\x23")


def _plain(text: str) -> str:
    for sign, other in ((">=", "≥"), ("<=", "≤"), ("!=", "≠"), ("==", " is "), ("=", " is ")):
        text = text.replace(sign, other)
    return " ".join(text.split())


def _named(parts: Sequence[Part], is_file: Callable[[int, str], bool]) -> tuple[list[Parameter], list[Part]]:
    """Assignments of literals to names that have no other value in all the code."""
    found: list[Parameter] = []
    rest: list[Part] = []
    for place, part in enumerate(parts):
        values = _assigned(part)
        others = [other for number, other in enumerate(parts) if number != place]
        if values and all(_can_be_set(name, value) and not _changed(name, others) for name, value in values.items()):
            for name, value in values.items():
                is_input = isinstance(value, str) and any(is_file(other.seq, value) for other in (part, *others))
                comment = part.comment if len(values) == 1 else ""
                found.append(_parameter(name, value, comment, "file" if is_input else "", _annotation(part)))
        else:
            rest.append(part)
    return found, rest


def _assigned(part: Part) -> dict[str, Any]:
    """The names and literals of an assignment of nothing but literals."""
    tree = part.tree
    if tree is None or len(tree.body) != 1 or not isinstance(tree.body[0], (ast.Assign, ast.AnnAssign)):
        return {}
    (statement,) = part.statements or (None,)
    values = dict(statement.literals) if statement is not None and set(statement.literals) == statement.writes else {}
    return {} if statement is None or statement.mutates else values


def _can_be_set(name: str, value: Any) -> bool:
    if name.startswith("_") or hasattr(builtins, name):
        return False
    return value not in ([], {}, (), None) and _is_plain(value) and len(repr(value)) <= LONGEST


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return value is None or (type(value) in _SCALARS and (not isinstance(value, float) or math.isfinite(value)))


def _changed(name: str, others: Sequence[Part]) -> bool:
    return any(
        name in statement.writes | statement.mutates | statement.deletes | statement.alters or statement.opaque
        for other in others
        for statement in other.statements
    )


def _keywords(parts: Sequence[Part], chosen: Mapping[str, Any], taken: set[str]) -> tuple[list[Parameter], list[Part]]:
    groups: dict[tuple[str, str], list[_Found]] = {}
    for found in _literal_keywords(parts):
        if _is_chosen(found, chosen):
            groups.setdefault((found.function, found.keyword), []).append(found)
    shared = [keyword for _, keyword in groups]
    parameters: list[Parameter] = []
    edits: dict[int, list[tuple[ast.expr, str]]] = {}
    for (function, keyword), group in groups.items():
        if any(repr(item.value) != repr(group[0].value) for item in group):
            continue
        whole = f"{re.sub(r'[^0-9A-Za-z_]+', '_', function)}_{keyword}"
        name = free_name([keyword, whole] if shared.count(keyword) == 1 else [whole], taken)
        if name is not None:
            whose = f"of {function}" if name == keyword else f"{keyword} of {function}"
            comment = next((item.comment for item in group if item.comment), whose)
            parameters.append(_parameter(name, group[0].value, comment))
            for item in group:
                edits.setdefault(item.place, []).append((item.node, name))
    return parameters, [edited(part, edits[place]) if place in edits else part for place, part in enumerate(parts)]


def _literal_keywords(parts: Sequence[Part]) -> Iterator[_Found]:
    for place, part in enumerate(parts):
        tree = part.tree
        lines = part.text.split("\n")
        for node in executed(tree.body) if tree is not None else ():
            if not isinstance(node, ast.Call):
                continue
            function = function_name(dotted(node.func))
            for item in node.keywords:
                if item.arg is not None and function and feeds(function) and is_literal(item.value):
                    value = literal(item.value)
                    end = item.value.end_lineno or 1
                    alone = node.lineno != node.end_lineno and sum(other.value.end_lineno == end for other in node.keywords) == 1
                    comment = lines[end - 1].partition("#")[2].strip() if alone else ""
                    if _is_plain(value) and len(repr(value)) <= LONGEST:
                        yield _Found(function, item.arg, value, place, item.value, comment)


def _is_chosen(found: _Found, chosen: Mapping[str, Any]) -> bool:
    last = found.function.rpartition(".")[2]
    names = [f"{found.function}.{found.keyword}", f"{last}.{found.keyword}"]
    names += [found.keyword] if last[:1].isupper() else []
    value = list(found.value) if isinstance(found.value, tuple) else found.value
    return any(name in chosen and chosen[name] == value for name in names)


def _parameter(name: str, value: Any, comment: str, source: str = "", annotation: str = "") -> Parameter:
    help = comment or ("input file" if source else "")
    return Parameter(name=name, type=annotation or type_of(value), default=value, help=help, source=source)


def _annotation(part: Part) -> str:
    """The type that the code gives a name, where it means the same on top of a notebook as behind the imports."""
    match part.tree.body if part.tree is not None else []:
        case [ast.AnnAssign(annotation=written)]:
            names = [item.id for item in ast.walk(written) if isinstance(item, ast.Name)]
            return ast.unparse(written) if names and all(hasattr(builtins, name) for name in names) else ""
    return ""
