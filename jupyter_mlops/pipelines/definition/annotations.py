"""The annotations of parameters: which one a value has, and whether a value can be what one says. Pure.

Only what is certainly wrong counts as wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ...code.literals import dotted, words

_SCALARS = (bool, int, float, str)
_LISTS = words("list List Sequence MutableSequence Iterable Collection tuple Tuple set Set frozenset FrozenSet")
_TABLES = words("dict Dict Mapping MutableMapping")


def type_of(value: Any) -> str:
    """The annotation of a value; "" where it says nothing (None)."""
    if isinstance(value, list) and value and len({type(item) for item in value}) == 1 and isinstance(value[0], _SCALARS):
        return f"list[{type(value[0]).__name__}]"
    return "" if value is None else type(value).__name__


def fits(value: Any, annotation: str) -> bool:
    """Whether a value as YAML gives it can be meant for a parameter with this annotation; True for annotations that are not known."""
    tree = _parsed(annotation)
    return tree is None or _fits(value, tree)


def fits_default(value: Any, default: Any) -> bool:
    """Whether a value can take the place of a default: the kind of thing must be the same, and None may be either."""
    if value is None or default is None:
        return True
    for kinds in ((bool,), (int, float), (str, bytes), (list, tuple, set, frozenset), (Mapping,)):
        if isinstance(default, kinds):
            return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
    return True


@lru_cache(maxsize=1024)
def _parsed(annotation: str) -> ast.expr | None:
    try:
        return ast.parse(annotation.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError):
        return None


def _fits(value: Any, tree: ast.expr) -> bool:
    match tree:
        case ast.Constant(value=None):
            return value is None
        case ast.Constant(value=str(text)):
            return fits(value, text)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _fits(value, left) or _fits(value, right)
        case ast.Subscript(value=outer, slice=inner):
            return _fits_generic(value, dotted(outer).rpartition(".")[2], inner)
        case ast.Name() | ast.Attribute():
            return _fits_plain(value, dotted(tree).rpartition(".")[2])
        case _:
            return True


def _fits_plain(value: Any, name: str) -> bool:
    match name:
        case "bool":
            return isinstance(value, bool)
        case "int":
            return isinstance(value, int) and not isinstance(value, bool)
        case "float" | "complex":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "str":
            return isinstance(value, str)
        case "None":
            return value is None
    if name in _LISTS:
        return isinstance(value, (list, tuple))
    return isinstance(value, Mapping) if name in _TABLES else True


def _fits_generic(value: Any, name: str, inner: ast.expr) -> bool:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    match name:
        case "Optional":
            return value is None or _fits(value, inner)
        case "Union":
            return any(_fits(value, part) for part in parts)
        case "Annotated" | "Final":
            return _fits(value, parts[0])
        case "Literal":
            return any(not isinstance(part, ast.Constant) or value == part.value for part in parts)
    if name in ("tuple", "Tuple"):
        return isinstance(value, (list, tuple))
    if name in _LISTS:
        return isinstance(value, (list, tuple)) and all(_fits(item, parts[0]) for item in value)
    if name in _TABLES:
        return isinstance(value, Mapping) and (len(parts) != 2 or all(_fits(item, parts[1]) for item in value.values()))
    return True
