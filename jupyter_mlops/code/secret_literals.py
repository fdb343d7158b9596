"""Literals of Python source that are given to a name: by assignment, keyword, dictionary key, default or neighbouring argument."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise

from .secret_forms import words

_WRAPPERS = words(
    """
    SecretStr SecretBytes Secret str bytes bytearray b64decode b64encode urlsafe_b64decode fromhex unhexlify quote
    quote_plus
    """
)
_LOGINS = frozenset(("login", "authenticate", "set_api_key", "set_token", "interpreter_login"))
_BASIC = frozenset(("HTTPBasicAuth", "HTTPDigestAuth", "BasicAuth", "DigestAuth"))


def named_literals(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """(name, literal) for each text or bytes literal, f-string or sum of such, that is given to a name anywhere in the tree."""
    for node in ast.walk(tree):
        for name, value in _given(node):
            yield from _literals(name, value)


def folded(node: ast.expr) -> str | bytes | None:
    """The text of a literal: constants, sums of constants, and f-strings with their computed parts left out; None for anything else."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = folded(node.left), folded(node.right)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, bytes) and isinstance(right, bytes):
            return left + right
    return None


def _given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
        if node.value is not None:
            yield from _assigned(node.target, node.value)
    elif isinstance(node, ast.keyword) and node.arg:
        yield node.arg, node.value
    elif isinstance(node, ast.Dict):
        yield from (
            (key.value, value)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        )
    elif isinstance(node, ast.arguments):
        positional = [*node.posonlyargs, *node.args]
        yield from ((argument.arg, value) for argument, value in zip(positional[::-1], node.defaults[::-1], strict=False))
        yield from ((argument.arg, value) for argument, value in zip(node.kwonlyargs, node.kw_defaults, strict=True) if value is not None)
    elif isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        for left, right in pairwise(sides):
            yield from ((name, other) for side, other in ((left, right), (right, left)) if (name := _name_of(side)))
    elif isinstance(node, (ast.Tuple, ast.List)) and len(node.elts) == 2:
        yield from _neighbours(node.elts)
    elif isinstance(node, ast.Call):
        yield from _neighbours(node.args)
        function = _last_name(node.func)
        if function in _LOGINS:
            yield from (("token", value) for value in (*node.args, *(keyword.value for keyword in node.keywords)))
        elif function in _BASIC and len(node.args) == 2:
            yield "password", node.args[1]
        elif function == "set_password" and len(node.args) == 3:
            yield "password", node.args[2]


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, (ast.Tuple, ast.List)):
        if isinstance(value, (ast.Tuple, ast.List)) and len(target.elts) == len(value.elts):
            for one, item in zip(target.elts, value.elts, strict=True):
                yield from _assigned(one, item)
    elif name := _name_of(target):
        yield name, value


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return node.slice.value if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str) else ""
    return _last_name(node)


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _neighbours(values: list[ast.expr]) -> Iterator[tuple[str, ast.expr]]:
    """`setdefault("X_TOKEN", "...")`, `("Authorization", "...")`."""
    for key, value in pairwise(values):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _literals(name: str, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if folded(value) is not None:
        yield name, value
    elif isinstance(value, ast.BoolOp):
        for item in value.values:
            yield from _literals(name, item)
    elif isinstance(value, ast.IfExp):
        yield from _literals(name, value.body)
        yield from _literals(name, value.orelse)
    elif isinstance(value, ast.Call):
        if isinstance(value.func, ast.Attribute) and folded(value.func.value) is not None:
            yield name, value.func.value
        elif _last_name(value.func) in _WRAPPERS and value.args:
            yield from _literals(name, value.args[0])
    elif isinstance(value, (ast.Tuple, ast.List, ast.Set)):
        if isinstance(value, ast.Tuple) and len(value.elts) == 2 and name.lower().endswith("auth"):
            yield from _literals("password", value.elts[1])
        else:
            for item in value.elts:
                if folded(item) is not None:
                    yield name, item
