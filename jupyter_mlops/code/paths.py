"""Paths that code mentions, worked out without running any of it."""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any

from .fits import children
from .literals import dotted, is_literal, literal
from .notebook_syntax import UNREADABLE, Magic, code_of, magic_of, parse_cell, parse_expression, split_words
from .outside import may_be_path

# Only values of these exact types are used: methods of a subclass would be the user's code.
_PLAIN = frozenset({str, int, float, bool, PosixPath, WindowsPath, PurePosixPath, PureWindowsPath})
_PATHS = frozenset({PosixPath, WindowsPath, PurePosixPath, PureWindowsPath})
_MOST_VALUES = 100
_FIELD = re.compile(r"\{([^{}]+)\}|\$([^\W\d]\w*)")

Values = list[Any]


def mentioned(sources: str | ast.AST | Iterable[str], namespace: Mapping[str, Any]) -> set[str]:
    """Texts of all paths that code mentions, as far as literals and plain values of the namespace tell.

    Understands f-strings, `+`, `%`, `/`, `str.format`, `os.path.join` and its like, `Path(...)` and its methods, names, entries and
    attributes bound to text or a `Path`, names assigned in the same code, and loops over lists of them. Calls no code of the user.
    """
    found: set[str] = set()
    evaluator = _Evaluator(namespace, found)
    if isinstance(sources, ast.AST):
        evaluator.run(sources)
        return found
    for source in [sources] if isinstance(sources, str) else sources:
        cell = parse_cell(source)
        if cell is not None:
            evaluator.run(cell.tree)
            for magic in cell.magics:
                evaluator.command(magic)
    return found


def path_value(node: ast.expr, names: Mapping[str, Any]) -> str | PurePath | None:
    """The text or path that an expression gives, as far as literals and the plain values of `names` tell; None where they do not."""
    match _Evaluator(names, set())._safely(node):
        case [str() | PurePath() as value]:
            return value
    return None


class _Evaluator:
    """Values that names may have: those assigned in the code so far, else those of the namespace."""

    def __init__(self, namespace: Mapping[str, Any], found: set[str]) -> None:
        self.namespace = namespace
        self.assigned: dict[str, Values] = {}
        self.found = found

    def run(self, tree: ast.AST) -> None:
        waiting = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Call) and (magic := magic_of(node)):
                self.command(magic)
                waiting += code_of(magic)[::-1]
                continue
            if isinstance(node, ast.expr):
                self._note(self._safely(node))
            self._bind(node)
            waiting += _parts(node)[::-1]

    def command(self, magic: Magic) -> None:
        """The words of a command, with the values of `{expression}` and `$name`."""
        if code_of(magic):
            return
        for word in split_words(f"{magic.text}\n{magic.body}")[:1000]:
            self._note(self._expanded(word))

    def _expanded(self, word: str) -> Values:
        pieces: list[Values] = []
        end = 0
        for field in _FIELD.finditer(word):
            try:
                values = self._safely(parse_expression(field[1] or field[2]))
            except UNREADABLE:
                values = []
            pieces += [[word[end : field.start()]], values or [field[0]]]
            end = field.end()
        return _each(_joined, *pieces, [word[end:]])

    def _note(self, values: Values) -> None:
        self.found.update(str(value) for value in values if type(value) in _PATHS or (type(value) is str and may_be_path(value)))

    def _safely(self, node: ast.expr) -> Values:
        try:
            return self._values(node)[:_MOST_VALUES]
        except (*UNREADABLE, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, OSError, RuntimeError):
            return []

    def _bind(self, node: ast.AST) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.NamedExpr(target=target, value=value):
                self._assign(target, value)
            case (
                ast.For(target=target, iter=items) | ast.AsyncFor(target=target, iter=items) | ast.comprehension(target=target, iter=items)
            ):
                if isinstance(target, ast.Name):
                    self.assigned[target.id] = self._items(items)
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                for generator in node.generators:
                    self._bind(generator)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Name):
            self.assigned[target.id] = self._safely(value) or ([literal(value)] if is_literal(value) else [])
        elif isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List)):
            for inner, item in zip(target.elts, value.elts, strict=False):
                self._assign(inner, item)

    def _items(self, node: ast.expr) -> Values:
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return [value for item in node.elts for value in self._safely(item)][:_MOST_VALUES]
        if isinstance(node, ast.Call) and dotted(node.func) == "range" and all(is_literal(item) for item in node.args):
            return list(itertools.islice(range(*(literal(item) for item in node.args)), _MOST_VALUES))
        if isinstance(node, ast.Name):
            held = self.assigned.get(node.id) or [self.namespace.get(node.id)]
            lists = [value for value in held if type(value) in (list, tuple, set)]
            return [item for value in lists for item in itertools.islice(value, _MOST_VALUES) if type(item) in _PLAIN]
        return []

    def _values(self, node: ast.expr) -> Values:
        match node:
            case ast.Constant(value=value):
                return [value] if type(value) in _PLAIN else []
            case ast.Name(id=name):
                return self.assigned[name] if name in self.assigned else _plain(self.namespace.get(name))
            case ast.JoinedStr(values=parts):
                return _each(_joined, *(self._formatted(part) for part in parts))
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return _each(_added, self._values(left), self._values(right))
            case ast.BinOp(left=left, op=ast.Div(), right=right):
                return _each(_below, self._values(left), self._values(right))
            case ast.BinOp(left=left, op=ast.Mod(), right=right):
                operands = right.elts if isinstance(right, ast.Tuple) else [right]
                return _each(_filled, self._values(left), *(self._values(item) for item in operands))
            case ast.IfExp(body=body, orelse=orelse):
                return self._safely(body) + self._safely(orelse)
            case ast.BoolOp(values=values):
                return [item for value in values for item in self._safely(value)]
            case ast.Attribute(value=value, attr=attr):
                return self._attribute(value, attr)
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)):
                return [item for held in self._held(name) for item in _plain(_entry(held, key))]
            case ast.Call():
                return self._called(node)
        return []

    def _held(self, name: str) -> Values:
        return self.assigned[name] if name in self.assigned else [self.namespace.get(name)]

    def _formatted(self, part: ast.expr) -> Values:
        if not isinstance(part, ast.FormattedValue):
            return self._values(part)
        values = self._values(part.value)
        if part.format_spec is None:
            return [str(value) for value in values]
        return _each(_format, values, self._values(part.format_spec))

    def _attribute(self, value: ast.expr, attr: str) -> Values:
        if attr in {"parent", "name", "stem", "suffix"}:
            paths = [item for item in self._safely(value) if type(item) in _PATHS]
            if paths:
                return [getattr(item, attr) for item in paths]
        if isinstance(value, ast.Name) and value.id not in self.assigned and value.id in self.namespace:
            return _plain(inspect.getattr_static(self.namespace[value.id], attr, None))
        return []

    def _called(self, call: ast.Call) -> Values:
        name = dotted(call.func)
        if name in {"os.getcwd", "Path.cwd", "pathlib.Path.cwd"}:
            return [Path()]
        if name in {"Path.home", "pathlib.Path.home"}:
            return [Path.home()]
        last = name.rsplit(".", 1)[-1]
        if last == "join" and isinstance(call.func, ast.Attribute) and (items := _listed(call)):
            return _each(_METHODS[last], self._values(call.func.value), *(self._values(item) for item in items))
        arguments = [self._values(item) for item in call.args]
        if name.removeprefix("os.").removeprefix("path.").removeprefix("pathlib.") in _FUNCTIONS:
            return _each(_FUNCTIONS[last], *arguments)
        if isinstance(call.func, ast.Attribute) and last in _METHODS:
            if last == "format" and call.keywords:
                keys = [item.arg or "" for item in call.keywords]
                values = [self._values(item.value) for item in call.keywords]
                return _each(
                    lambda text, *given: text.format(**dict(zip(keys, given, strict=True))), self._values(call.func.value), *values
                )
            return _each(_METHODS[last], self._values(call.func.value), *arguments)
        return []


def _parts(node: ast.AST) -> list[ast.AST]:
    """The nodes below; of an f-string only its expressions, since its texts are no paths by themselves."""
    if isinstance(node, ast.JoinedStr):
        return [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    return children(node)


def _listed(call: ast.Call) -> list[ast.expr]:
    return call.args[0].elts if call.args and isinstance(call.args[0], (ast.List, ast.Tuple)) else []


def _plain(value: Any) -> Values:
    return [value] if type(value) in _PLAIN else []


def _entry(container: Any, key: Any) -> Any:
    return container[key] if type(container) in (dict, list, tuple) else None


def _each(function: Callable[..., Any], *choices: Values) -> Values:
    """The function's value for each combination of arguments, at most `_MOST_VALUES`; nothing where an argument is unknown."""
    return [function(*given) for given in itertools.islice(itertools.product(*choices), _MOST_VALUES)]


def _joined(*parts: Any) -> str:
    return "".join(map(str, parts))


def _format(value: Any, spec: str) -> str:
    # A width of millions would take the memory of the kernel.
    if re.search(r"\d{4}", spec):
        raise ValueError("too wide")
    return format(value, spec)


def _added(left: Any, right: Any) -> Any:
    return left + right


def _below(left: Any, right: Any) -> PurePath:
    if type(left) not in _PATHS and type(right) not in _PATHS:
        raise TypeError("a quotient of numbers")
    joined: PurePath = left / right
    return joined


def _filled(text: Any, *given: Any) -> str:
    if type(text) is not str or re.search(r"%[^a-z%]*\d{4}", text):
        raise TypeError("not a text to fill")
    return text % given


def _given_format(text: Any, *given: Any) -> str:
    if type(text) is not str or re.search(r":[^}]*\d{4}", text):
        raise TypeError("not a text to fill")
    return text.format(*given)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "Path": Path,
    "PurePath": PurePath,
    "PosixPath": Path,
    "str": str,
    "fspath": os.fspath,
    "join": os.path.join,
    "abspath": os.path.normpath,
    "realpath": os.path.normpath,
    "normpath": os.path.normpath,
    "expanduser": os.path.expanduser,
    "dirname": os.path.dirname,
    "basename": os.path.basename,
}
_METHODS: dict[str, Callable[..., Any]] = {
    "joinpath": lambda path, *parts: path.joinpath(*parts),
    "with_suffix": lambda path, suffix: path.with_suffix(suffix),
    "with_name": lambda path, name: path.with_name(name),
    "with_stem": lambda path, stem: path.with_stem(stem),
    "as_posix": lambda path: path.as_posix(),
    "resolve": lambda path: path,
    "absolute": lambda path: path,
    "expanduser": lambda path: path.expanduser(),
    "glob": lambda path, pattern: path,
    "rglob": lambda path, pattern: path,
    "iterdir": lambda path: path,
    "format": _given_format,
    "join": lambda text, *parts: text.join(parts),
    "replace": lambda text, old, new: text.replace(old, new),
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "strip": lambda text: text.strip(),
    "rstrip": lambda text, *given: text.rstrip(*given),
}
