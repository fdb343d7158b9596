"""Names by Python's rules of scope: which of them are the user's namespace's, and which may hold one object."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from .literals import MODULE_NAMES, PLOTTING
from .mutation import owners, shared


@dataclass(slots=True)
class Scope:
    """`bound` are its own names: for a module or class those bound for sure so far, for a function or comprehension all of them."""

    kind: str
    bound: set[str] = field(default_factory=set)
    globals: frozenset[str] = frozenset()
    aliases: dict[str, set[str]] = field(default_factory=dict)


class ScopeVisitor(ast.NodeVisitor):
    """Keeps the scopes while a tree is visited, and collects what happens to names of the user's namespace.

    The sets are as the fields of `statements.Statement`. `objects` are those names under which notebooks import modules that stand for
    something else so far: what is visited adds to them and takes from them.
    """

    def __init__(self, objects: set[str] | None = None) -> None:
        self._objects = set() if objects is None else objects
        self.reads: set[str] = set()
        self.writes: set[str] = set()
        self.mutates: set[str] = set()
        self.may_mutate: set[str] = set()
        self.deletes: set[str] = set()
        self.captures: set[str] = set()
        self.alters: set[str] = set()
        self.defines: set[str] = set()
        self.modules: set[str] = set()
        self.patches: set[str] = set()
        self.ambient = False
        self.opaque = False
        self._module = Scope("module")
        self._scopes = [self._module]
        self.deferred = 0
        self.lambdas = 0

    @property
    def conditional(self) -> set[str]:
        """Names that may keep their earlier value although they are in `writes`."""
        return self.writes - self._module.bound

    @property
    def aliases(self) -> dict[str, frozenset[str]]:
        """For each name bound, the names whose objects it may be or hold."""
        found = {name: frozenset(self._closure({name})) - {name} for name in self._module.aliases}
        return {name: others for name, others in found.items() if others}

    def visit_all(self, nodes: Iterable[ast.AST]) -> None:
        for node in nodes:
            self.visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        """Names nothing."""

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._load(node.id)
        elif isinstance(node.ctx, ast.Store):
            self._bind(node.id)
        else:
            self._drop(node.id)

    def _owner(self, name: str) -> Scope:
        innermost = True
        for scope in self._scopes[:0:-1]:
            if scope.kind == "class" and not innermost:
                continue
            innermost &= scope.kind == "handler"
            if name in scope.globals:
                return self._module
            if name in scope.bound:
                return scope
        return self._module

    def _load(self, name: str) -> None:
        if self._owner(name) is not self._module:
            return
        if self.deferred or self.lambdas:
            self.captures.add(name)
        if not self.deferred and name not in self._module.bound:
            self.reads.add(name)

    def _target_scope(self, name: str) -> Scope:
        """The scope that an assignment binds in."""
        scope = next(item for item in reversed(self._scopes) if item.kind in ("module", "class", "function"))
        if scope.kind == "function" and name not in scope.bound:
            return self._owner(name)  # declared nonlocal or global
        return self._module if name in scope.globals else scope

    def _bind(self, name: str) -> None:
        scope = self._target_scope(name)
        if scope is not self._module:
            scope.bound.add(name)
        elif self.deferred or self.lambdas:
            self.alters.add(name)
        else:
            self.writes.add(name)
            scope.bound.add(name)
            if name in MODULE_NAMES:
                self._objects.add(name)

    def _import(self, name: str) -> None:
        self._bind(name)
        if name in self.writes:
            self.modules.add(name)
            self._objects.discard(name)

    def is_module(self, name: str) -> bool:
        """Whether a name stands for a module: notebooks import modules under it, and nothing else was bound to it."""
        if name not in MODULE_NAMES:
            return False
        owner = self._owner(name)
        if owner is self._module:
            return name not in self._objects
        # A function that draws on what it is given changes no data.
        return owner.kind == "function" and name in PLOTTING

    def _shared(self, node: ast.expr | None) -> frozenset[str]:
        return self._without_modules(shared(node))

    def _owners(self, node: ast.expr) -> frozenset[str]:
        return self._without_modules(owners(node))

    def _without_modules(self, names: frozenset[str]) -> frozenset[str]:
        return names if names.isdisjoint(MODULE_NAMES) else frozenset(name for name in names if not self.is_module(name))

    def _drop(self, name: str) -> None:
        scope = self._target_scope(name)
        if scope is not self._module:
            if scope.kind == "class":
                scope.bound.discard(name)
        elif self.deferred:
            self.alters.add(name)
        else:
            if name not in scope.bound:
                self.reads.add(name)
            self.deletes.add(name)
            scope.bound.discard(name)

    def _alias(self, target: ast.expr, names: frozenset[str]) -> None:
        for node in ast.walk(target):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and names - {node.id}:
                scope = self._scopes[-1] if node.id in self._scopes[-1].bound else self._owner(node.id)
                scope.aliases.setdefault(node.id, set()).update(names - {node.id})

    def _closure(self, names: Iterable[str]) -> Iterator[str]:
        """Names of the user's namespace among these and those that they may share an object with."""
        waiting, seen = list(names), set()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            owner = self._owner(name)
            waiting += owner.aliases.get(name, ())
            if owner is self._module:
                yield name

    def _mutate(self, names: Iterable[str], *, surely: bool = True) -> None:
        found = set(self._closure(names))
        if self.deferred or self.lambdas:
            self.alters |= found if surely else set()
        if not self.deferred:
            (self.mutates if surely else self.may_mutate).update(found)

    def _within(self, scope: Scope, step: Callable[[], None]) -> None:
        self._scopes.append(scope)
        try:
            step()
        finally:
            self._scopes.pop()


def own_names(body: Sequence[ast.stmt]) -> tuple[set[str], frozenset[str]]:
    """(names that a function with this body owns, names it declares global)."""
    bound: set[str] = set()
    outer: set[str] = set()
    declared: set[str] = set()
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                bound.add(name)
                waiting += [*node.decorator_list, *(node.bases if isinstance(node, ast.ClassDef) else node.args.defaults)]
                continue
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                bound |= {item.target.id for item in ast.walk(node) if isinstance(item, ast.NamedExpr)}
                continue
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                bound |= {alias.asname or alias.name.split(".")[0] for alias in names}
            case (
                ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
                | ast.MatchMapping(rest=str(name))
            ):
                bound.add(name)
            case ast.Global(names=names):
                declared.update(names)
            case ast.Nonlocal(names=names):
                outer.update(names)
        waiting += ast.iter_child_nodes(node)
    return bound - outer - declared, frozenset(declared)


def parameter_names(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return {item.arg for item in every if item}
