"""What calling a function or class of the notebook does to the objects that it is given, as far as its text tells."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from .literals import MODULES
from .names import Names
from .notebook_syntax import parse_cell
from .scopes import parameter_names

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Manner:
    """How a function or class behaves when it is called.

    `known` is False where the text does not tell. `changes` says that it changes an argument, `hands_on` that it hands arguments to
    other functions, `lasting` that what it gives back may run its code later (a closure, a generator, an instance), `generates` that this
    can be run through only once. A function that `remembers` is itself changed by a call (through a mutable default); of one that `counts`
    what it gave back is (a closure with a state). Of a class, `methods` tells by name whether each changes its instance.
    """

    known: bool = False
    changes: bool = False
    hands_on: bool = False
    lasting: bool = False
    generates: bool = False
    remembers: bool = False
    counts: bool = False
    methods: Mapping[str, bool] = field(default_factory=dict)


@lru_cache(maxsize=1024)
def manner(source: str) -> Manner:
    """The manner of the function or class that this statement defines."""
    cell = parse_cell(source)
    match cell.tree.body if cell else []:
        case [ast.FunctionDef() | ast.AsyncFunctionDef() as function]:
            changed, hands_on = _changed(function)
            inner = list(_inside(function))
            generates = any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in inner)
            nested = [node for node in inner if isinstance(node, (*_DEFINITIONS, ast.Lambda))]
            remembers = bool(changed & _mutable_defaults(function.args))
            return Manner(True, bool(changed), hands_on, generates or bool(nested), generates, remembers, any(map(_alters, nested)))
        case [ast.ClassDef() as kind]:
            return _class(kind)
    return Manner(changes=True, lasting=True)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _inside(function: _Function) -> Iterator[ast.AST]:
    """The nodes of a function's own body, nested definitions included, what is in them not."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, (*_DEFINITIONS, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)


def _mutable_defaults(arguments: ast.arguments) -> set[str]:
    places = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(reversed(places), reversed(arguments.defaults), strict=False)]
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    return {place.arg for place, default in (*pairs, *named) if isinstance(default, (ast.List, ast.Dict, ast.Set, ast.Call))}


def _alters(nested: ast.AST) -> bool:
    """Whether a function inside another changes what is outside of it."""
    names = Names()
    names.visit(nested)
    return bool(names.alters) or any(isinstance(node, ast.Nonlocal) for node in ast.walk(nested))


def _class(kind: ast.ClassDef) -> Manner:
    changing: dict[str, bool] = {}
    calls: dict[str, set[str]] = {}
    changes = hands_on = False
    for node in kind.body:
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        own = next((item.arg for item in (*node.args.posonlyargs, *node.args.args)), "")
        changed, passes = _changed(node)
        changing[node.name] = own in changed
        calls[node.name] = {
            item.func.attr
            for item in ast.walk(node)
            if isinstance(item, ast.Call)
            and isinstance(item.func, ast.Attribute)
            and isinstance(item.func.value, ast.Name)
            and item.func.value.id == own
        }
        changes |= bool(changed - {own})
        hands_on |= passes
    for _ in changing:
        spread = {name for name, called in calls.items() if not changing[name] and any(changing.get(other) for other in called)}
        if not spread:
            break
        changing.update(dict.fromkeys(spread, True))
    return Manner(True, changes, hands_on, lasting=True, methods=changing)


def _changed(function: _Function) -> tuple[set[str], bool]:
    """The parameters whose objects the body changes, and whether it hands any on to calls that could."""
    given = {name: {name} for name in parameter_names(function.args)}
    changed: set[str] = set()
    hands_on = False
    objects = given.keys() & MODULES
    for node in function.body:
        names = Names(objects=objects)
        names.visit(node)
        changed |= _meant(names.mutates, given)
        hands_on |= bool(_meant(names.may_mutate, given))
        for name in names.writes:
            behind = _meant((*names.aliases.get(name, ()), *((name,) if name in names.conditional or name in names.mutates else ())), given)
            given[name] = behind
    return changed, hands_on


def _meant(names: Iterable[str], given: Mapping[str, set[str]]) -> set[str]:
    """The parameters that these names of the body may stand for."""
    return set().union(*(given.get(name, ()) for name in names))
