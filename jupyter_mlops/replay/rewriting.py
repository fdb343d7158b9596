"""Changes the syntax tree of a replayed cell, never its text: paths that have another place here, what the network gave, commands.

Nothing else of the cell changes, and what tracking reads of it (parameters, names, expressions) is its text as recorded.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from ..code.fetching import NETWORK, Fetch, assigned, fetches, fetching_functions
from ..code.notebook_syntax import Magic, magic_of, split_words
from .stage import Cue, Places, Scene

NAME = "__mlops_replay__"
_COMMANDS = frozenset({"!", "bash", "sh", "sx", "system", "script", "cmd", "perl", "ruby", "python2", "python3", "pypy"})
_INSTALLERS = frozenset({"pip", "pip3", "conda", "mamba", "micromamba", "uv", "apt", "apt-get", "brew"})
_PATTERN = re.compile(r"[*?\[]")
_OWN = "jupyter_mlops"


class Director(Protocol):
    """Who knows what belongs to the cell, and hears what becomes of it."""

    @property
    def scene(self) -> Scene: ...
    @property
    def cue(self) -> Cue: ...
    @property
    def places(self) -> Places: ...
    @property
    def names(self) -> Mapping[str, Any]: ...
    def is_missing(self, name: str) -> bool: ...


class Rewriter:
    """An IPython AST transformer, to stand before all others."""

    def __init__(self, director: Director) -> None:
        self._director = director
        self._functions: frozenset[str] = frozenset()

    def visit(self, tree: ast.AST) -> ast.AST:
        """The tree as it is to run here."""
        director = self._director
        if not isinstance(tree, ast.Module):
            return tree
        if not director.scene.live:
            self._fetch(tree)
        if director.cue.generators:
            tree.body = [item for node in tree.body for item in self._seeded(node)]
        Paths(director).visit(tree)
        Commands(director.scene.allow).visit(tree)
        return ast.fix_missing_locations(tree)

    def _fetch(self, tree: ast.Module) -> None:
        """Let what the network gave come from its snapshots, and statements that depend on what could not be had fail quietly."""
        director = self._director
        absent = frozenset(name for name in director.names if director.is_missing(name))
        found = {id(fetch.node): fetch for fetch in fetches(tree, director.names.get, self._functions | absent)}
        self._functions |= fetching_functions(tree)
        if not found and not absent:
            return
        # Code that expects a failure is left to deal with it.
        expecting = {id(item) for node in ast.walk(tree) if isinstance(node, ast.Try) for part in node.body for item in ast.walk(part)}
        for number, fetch in found.items():
            self._replace(fetch, number in expecting)
        names = absent.union(*(fetch.names for fetch in found.values()))
        tree.body = [self._tolerant(node, names) if id(node) not in found else node for node in tree.body]

    def _replace(self, fetch: Fetch, expecting: bool) -> None:
        assert fetch.node.value is not None
        marks = [given[1] for name in fetch.names for given in self._director.cue.fetched.get(name, ())]
        if fetch.kind == NETWORK and fetch.mark in marks:
            fetch.node.value = _call("fetched", _texts(fetch.names), ast.Constant(fetch.mark))
        elif (fetch.mark in marks or not expecting) and _can_wait(fetch.node.value):
            reads = sorted({node.id for node in ast.walk(fetch.node.value) if isinstance(node, ast.Name)})
            fetch.node.value = _call("tried", _later(fetch.node.value), _texts(fetch.names), ast.Constant(fetch.mark), _texts(reads))

    def _tolerant(self, node: ast.stmt, absent: frozenset[str]) -> ast.stmt:
        """A statement that reads a name which may be missing here; what it binds is then missing too."""
        reads = sorted({item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Load)} & absent)
        if not reads or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node
        if isinstance(node, (ast.Expr, ast.Assign)) and (isinstance(node, ast.Expr) or assigned(node)) and _can_wait(node.value):
            node.value = _call("tried", _later(node.value), _texts(assigned(node)), ast.Constant(-1), _texts(reads))
            return node
        writes = sorted({item.id for item in ast.walk(node) if isinstance(item, ast.Name) and isinstance(item.ctx, ast.Store)})
        caught = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, [ast.Expr(_call("given_up", _texts(writes), _texts(reads)))])
        return ast.copy_location(ast.Try([node], [caught], [], []), node)

    def _seeded(self, node: ast.stmt) -> list[ast.stmt]:
        """A statement, and after it what puts the generators that it made into their recorded states."""
        names = [name for name in assigned(node) if name in self._director.cue.generators]
        calls: list[ast.stmt] = [ast.copy_location(ast.Expr(_call("seeded", ast.Constant(name), _name(name))), node) for name in names]
        return [node, *calls] if calls else [node]


class Paths(ast.NodeTransformer):
    """Gives each text that begins a path into the project, or to a file that has another place here, that place."""

    def __init__(self, director: Director) -> None:
        scene = director.scene
        self._tree, self._project, self._root = scene.tree, scene.recorded, scene.root + os.sep
        self._moved = director.places.moved

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, str) and node.value[:1] in ("/", "~") and len(node.value) > 1:
            place = self._place(node.value)
            if place is not None:
                return ast.copy_location(ast.Constant(place), node)
        return node

    def _place(self, text: str) -> str | None:
        path = os.path.expanduser(text)
        start = _PATTERN.split(path)[0]
        if path.startswith(self._root) or len(start) < 2:
            return None
        if self._is_inside(path) or any(moved.startswith(start) for moved in self._moved):
            return self._tree + path
        # The recorded folder is without links; a text in the code may lead there over one.
        real = os.path.realpath(start) + os.sep * (start.endswith(os.sep) and len(start) > 1) + path[len(start) :]
        return self._tree + real if self._is_inside(real) else None

    def _is_inside(self, path: str) -> bool:
        return path == self._project or path.startswith(self._project + os.sep)


class Commands(ast.NodeTransformer):
    """Leaves out this package's own magics and what installs packages, and other programs unless they are allowed."""

    def __init__(self, allow: bool) -> None:
        self._allow = allow

    def visit_Call(self, node: ast.Call) -> ast.AST:
        magic = magic_of(node)
        if magic is None:
            return self.generic_visit(node)
        words = split_words(magic.text)
        if magic.kind == "line" and (magic.name == "mlops" or (magic.name.endswith("load_ext") and words[:1] == [_OWN])):
            return ast.copy_location(ast.Constant(None), node)
        text = f"{magic.mark}{magic.text if magic.kind == 'shell' else ' ' + magic.text}".strip()
        if _installs(magic, words):
            return ast.copy_location(_call("skipped", ast.Constant(text)), node)
        if magic.name in _COMMANDS and not self._allow:
            captured = isinstance(node.func, ast.Attribute) and node.func.attr == "getoutput"
            return ast.copy_location(_call("refused", ast.Constant(text), ast.Constant(captured)), node)
        return node


def _installs(magic: Magic, words: list[str]) -> bool:
    if magic.kind == "line":
        return magic.name in _INSTALLERS or (magic.name in ("sx", "system") and words[:1] != [] and words[0] in _INSTALLERS)
    if magic.kind == "shell":
        first = [word for word in words if word != "sudo"][:4]
        return bool(first) and (os.path.basename(first[0]) in _INSTALLERS or first[1:3] == ["-m", "pip"] or first[2:4] == ["-m", "pip"])
    return False


def _can_wait(value: ast.AST) -> bool:
    """Whether an expression means the same inside a function of its own."""
    return not any(isinstance(node, (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom)) for node in ast.walk(value))


def _later(value: ast.expr) -> ast.Lambda:
    nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return ast.copy_location(ast.Lambda(nothing, value), value)


def _call(method: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(_name(NAME), method, ast.Load()), list(arguments), [])


def _name(name: str) -> ast.Name:
    return ast.Name(name, ast.Load())


def _texts(texts: Iterable[str]) -> ast.expr:
    return ast.Tuple([ast.Constant(text) for text in texts], ast.Load())
