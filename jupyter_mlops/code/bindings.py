"""What names are bound to: literals, or something computed."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .literals import dotted, is_literal, literal, words

_CLOCKS = words(
    "ctime default_timer getrusage monotonic monotonic_ns now perf_counter perf_counter_ns process_time process_time_ns thread_time "
    "time time_ns today utcnow"
)
_CASTS = words("Counter OrderedDict bool bytes complex defaultdict deque dict float frozenset int list set str tuple")
_CONSTANTS = frozenset({"inf", "nan", "pi", "e", "Inf", "Infinity", "NaN", "NaT", "NA", "maxsize", "NINF"})

Binding = tuple[str, ast.expr | None]


def bindings(nodes: Iterable[ast.AST]) -> Iterator[Binding]:
    """(name, expression) of each binding of a module-level name, in order; None where no single expression gives the value.

    `nodes` are all that run at module level, as `executed` gives them.
    """
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _unpacked(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _unpacked(target, value)
            case ast.NamedExpr(target=target, value=value):
                yield from _unpacked(target, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                yield name, ast.BinOp(ast.Name(name, ast.Load()), op, value)
            case ast.For(target=target) | ast.AsyncFor(target=target) | ast.withitem(optional_vars=ast.expr() as target):
                for item in ast.walk(target):
                    if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store):
                        yield item.id, None
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None


def _unpacked(target: ast.expr, value: ast.expr) -> Iterator[Binding]:
    match target:
        case ast.Name(id=name):
            yield name, value
        case ast.Starred(value=inner):
            yield from _unpacked(inner, value)
        case ast.Tuple(elts=targets) | ast.List(elts=targets):
            yield from _elements(targets, value)


def _elements(targets: list[ast.expr], value: ast.expr) -> Iterator[Binding]:
    values = (
        value.elts if isinstance(value, (ast.Tuple, ast.List)) and not any(isinstance(item, ast.Starred) for item in value.elts) else None
    )
    starred = next((number for number, item in enumerate(targets) if isinstance(item, ast.Starred)), None)
    if values is None or (starred is None and len(values) != len(targets)) or (starred is not None and len(values) < len(targets) - 1):
        for target in targets:
            yield from _unpacked(target, value)
        return
    if starred is not None:
        after = len(targets) - starred - 1
        end = len(values) - after
        values = [*values[:starred], ast.List(values[starred:end], ast.Load()), *values[end:]]
    for target, item in zip(targets, values, strict=True):
        yield from _unpacked(target, item)


def literal_names(bound: Iterable[Binding]) -> dict[str, Any]:
    """Names whose only binding is a literal, with its value."""
    found: dict[str, list[ast.expr | None]] = {}
    for name, value in bound:
        found.setdefault(name, []).append(value)
    return {
        name: literal(values[0]) for name, values in found.items() if len(values) == 1 and values[0] is not None and is_literal(values[0])
    }


def computed_names(bound: Iterable[Binding], text: Callable[[ast.expr], str]) -> dict[str, str]:
    """Names bound to something computed, with the `text` of the last such expression: no literals and constants, loop targets, counters,
    clock reads and functions."""
    found: dict[str, str] = {}
    targets: set[str] = set()
    for name, value in bound:
        if value is None:
            targets.add(name)
        elif _is_computed(name, value):
            found[name] = text(value)
    return {name: source for name, source in found.items() if name not in targets}


def _is_computed(name: str, value: ast.expr) -> bool:
    match value:
        case ast.Lambda():
            return False
        case ast.BinOp(left=ast.Name(id=counted), right=step) if counted == name and is_literal(step):
            return False
        case ast.Await(value=inner):
            return _is_computed(name, inner)
        case ast.Call(func=function):
            return dotted(function).rsplit(".", 1)[-1] not in _CLOCKS and not _is_constant(value)
    return not _is_constant(value)


def _is_constant(value: ast.expr) -> bool:
    """Whether nothing is computed: a literal, `float("inf")`, `-np.inf`, `[]`, `dict()`, `defaultdict()`."""
    match value:
        case ast.Attribute(attr=attr):
            return attr in _CONSTANTS
        case ast.UnaryOp(operand=operand):
            return _is_constant(operand)
        case ast.Call(func=ast.Name(id=function), args=arguments, keywords=keywords) if function in _CASTS:
            return all(_is_constant(item) for item in (*arguments, *(keyword.value for keyword in keywords)))
    return is_literal(value)
