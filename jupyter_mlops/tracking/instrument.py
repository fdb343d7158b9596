"""Keeps the values that a cell's own code passes on: the fitted, the printed, and what a loop around a fit assigns.

The syntax tree of a cell is changed before it is compiled: `model.fit(X, y)` becomes `done(note(model.fit)(argument(X), argument(y)))`
and a printed `expression` becomes `kept(expression)`. Each of these hands its argument on unchanged, so that neither results nor
tracebacks differ. Only code at the level of the cell is changed, never the body of a function, class or lambda: those may be pickled,
compiled by other tools, or run in other processes.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..code.expressions import metric_name
from ..code.fits import fit_calls, fitting_definitions
from ..code.literals import keyword_literals
from .fetched import KEEPER

RECORDER = "__mlops__"
_SHOWING = frozenset({"print", "display", "pprint"})
_Loop = ast.For | ast.AsyncFor | ast.While
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a cell that reports values.

    `index` is its top-level statement, `loops` are the targets of the loops around it, `gathered` tells that the innermost of these is a
    comprehension, `keywords` the literal keywords of the calls in the statement of a fit.
    """

    source: str
    name: str
    index: int
    reads: frozenset[str]
    writes: frozenset[str]
    loops: tuple[str, ...]
    in_fitting_loop: bool
    gathered: bool = False
    span: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    keywords: tuple[tuple[str, str, Any], ...] = ()

    @property
    def repeats(self) -> bool:
        """Whether a loop around it brings it back."""
        return bool(self.loops) or self.in_fitting_loop

    def contains(self, other: Site) -> bool:
        """Whether the other place stands inside this one, as a fit does in the arguments of another."""
        return self.span != other.span and self.span[0] <= other.span[0] and other.span[1] <= self.span[1]


class Listener(Protocol):
    """Who hears of the values, as they pass."""

    def fit_begins(self, site: Site, function: Any) -> None: ...
    def fit_takes(self, site: Site, label: str, value: Any) -> None: ...
    def fit_ends(self, site: Site, value: Any) -> None: ...
    def value_passes(self, site: Site, value: Any) -> None: ...


class Recorder:
    """What instrumented code calls. Whatever a listener does, the value goes on unchanged and nothing is raised."""

    def __init__(self, listener: Listener, on_trouble: Callable[[BaseException], None]) -> None:
        self._listener = listener
        self._on_trouble = on_trouble
        self._sites: list[Site] = []
        self._labels: list[str] = []

    def install(self) -> None:
        """Make the recorder known to all code of this process: the namespace of the user can be cleared at any time, builtins are not."""
        setattr(builtins, RECORDER, self)

    def site(self, site: Site) -> int:
        self._sites.append(site)
        return len(self._sites) - 1

    def label(self, text: str) -> int:
        self._labels.append(text)
        return len(self._labels) - 1

    def note(self, index: int, function: Any) -> Any:
        self._tell(self._listener.fit_begins, index, function)
        return function

    def argument(self, index: int, label: int, value: Any) -> Any:
        if label < len(self._labels):
            self._tell(self._listener.fit_takes, index, self._labels[label], value)
        return value

    def done(self, index: int, value: Any) -> Any:
        self._tell(self._listener.fit_ends, index, value)
        return value

    def kept(self, index: int, value: Any) -> Any:
        self._tell(self._listener.value_passes, index, value)
        return value

    def _tell(self, hear: Callable[..., None], index: int, *what: Any) -> None:
        try:
            # Code that was instrumented before `%reload_ext` calls the new recorder, which knows nothing of its sites.
            if index < len(self._sites):
                hear(self._sites[index], *what)
        except Exception as error:
            self._on_trouble(error)


class Instrument(ast.NodeTransformer):
    """An IPython AST transformer. `known_fitting` gives the functions and methods defined so far whose bodies fit a model."""

    def __init__(self, recorder: Recorder, known_fitting: Callable[[], frozenset[str]], enabled: Callable[[], bool]) -> None:
        self._recorder = recorder
        self._known_fitting = known_fitting
        self._enabled = enabled
        self._fits: set[int] = set()
        self._loops: list[tuple[frozenset[str], bool]] = []
        self._statement: ast.stmt | None = None
        self._index = 0

    def visit(self, node: ast.AST) -> Any:
        if isinstance(node, ast.Module):
            return self._module(node)
        return super().visit(node)

    def _module(self, tree: ast.Module) -> ast.Module:
        try:
            if not self._enabled():
                return tree
            known = self._known_fitting()
            fits = fit_calls(tree, known | fitting_definitions(tree.body, known))
            if not _worth_changing(tree, fits):
                return tree
            # The copy is changed, so that a failure halfway leaves the user's code as it was.
            numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
            # The code of a magic is no part of this tree: IPython hands it to us again when the magic runs it.
            wanted = {numbers[id(node)] for node in fits if id(node) in numbers}
            changed = copy.deepcopy(tree)
            self._fits = {id(node) for number, node in enumerate(ast.walk(changed)) if number in wanted}
            self._loops = []
            for self._index, statement in enumerate(changed.body):
                self._statement = statement
                changed.body[self._index] = super().visit(statement)
            return ast.fix_missing_locations(changed)
        except Exception:
            return tree
        finally:
            self._fits = set()

    # -- what is left alone

    def _leave(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_ClassDef = visit_Lambda = _leave

    # -- statements

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, ast.stmt):
            outer, self._statement = self._statement, node
            result = super().generic_visit(node)
            self._statement = outer
            return result
        return super().generic_visit(node)

    def _loop(self, node: Any) -> Any:
        targets = _stored(node.target) if not isinstance(node, ast.While) else frozenset()
        self._loops.append((targets, self._contains_fit(node)))
        result = self.generic_visit(node)
        self._loops.pop()
        return result

    visit_For = visit_AsyncFor = visit_While = _loop

    def _comprehension(self, node: Any) -> Any:
        targets = frozenset[str]().union(*(_stored(generator.target) for generator in node.generators))
        self._loops.append((targets, False))
        result = self.generic_visit(node)
        self._loops.pop()
        return result

    visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _comprehension

    def _assignment(self, node: Any) -> Any:
        node = self.generic_visit(node)
        in_fitting_loop = bool(self._loops) and self._loops[-1][1]
        if in_fitting_loop and isinstance(node.value, ast.expr):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name) and self._may_be_result(node.value):
                node.value = self._keep(node.value, target.id)
        return node

    visit_Assign = visit_AnnAssign = _assignment

    # -- expressions

    def visit_Call(self, node: ast.Call) -> ast.AST:
        fits = id(node) in self._fits
        shows = isinstance(node.func, ast.Name) and node.func.id in _SHOWING
        changed = self.generic_visit(node)
        assert isinstance(changed, ast.Call)
        if fits:
            return self._wrap_fit(changed)
        if shows:
            changed.args = [self._keep_shown(argument) for argument in changed.args]
        return changed

    def _wrap_fit(self, node: ast.Call) -> ast.Call:
        number = self._recorder.site(self._site(node, _function_name(node.func)))
        node.args = [
            argument if isinstance(argument, ast.Constant | ast.Starred) else self._argument(number, argument, _label(argument))
            for argument in node.args
        ]
        for keyword in node.keywords:
            if keyword.arg is not None and not isinstance(keyword.value, ast.Constant):
                keyword.value = self._argument(number, keyword.value, keyword.arg)
        node.func = self._call("note", node.func, number, node.func)
        return self._call("done", node, number, node)

    def _argument(self, number: int, node: ast.expr, label: str) -> ast.Call:
        return self._call("argument", node, number, self._recorder.label(label), node)

    def _keep_shown(self, node: ast.expr) -> ast.expr:
        """Keep what a printed expression is made of: the parts of a formatted string, else the expression."""
        match node:
            case ast.JoinedStr():
                for part in node.values:
                    if isinstance(part, ast.FormattedValue):
                        part.value = self._keep_shown(part.value)
            case ast.Call(func=ast.Attribute(value=ast.Constant(), attr="format")):
                node.args = [self._keep_shown(argument) for argument in node.args]
                for keyword in node.keywords:
                    keyword.value = self._keep_shown(keyword.value)
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod(), right=ast.Tuple() as parts):
                parts.elts = [self._keep_shown(part) for part in parts.elts]
            case ast.BinOp(left=ast.Constant(value=str()), op=ast.Mod()):
                node.right = self._keep_shown(node.right)
            case _ if self._may_be_result(node):
                return self._keep(node, metric_name(ast.unparse(_original(node))))
        return node

    def _may_be_result(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return not any(node.id in targets for targets, _ in self._loops)
        return not isinstance(node, ast.Constant | ast.JoinedStr | ast.Starred | ast.Lambda | ast.Await | ast.Yield | ast.YieldFrom)

    def _keep(self, node: ast.expr, name: str) -> ast.Call:
        return self._call("kept", node, self._recorder.site(self._site(node, name)), node)

    def _call(self, method: str, at: ast.AST, number: int, *values: int | ast.expr) -> ast.Call:
        arguments = [ast.Constant(value=value) if isinstance(value, int) else value for value in (number, *values)]
        function = ast.Attribute(value=ast.Name(id=RECORDER, ctx=ast.Load()), attr=method, ctx=ast.Load())
        call = ast.Call(func=function, args=arguments, keywords=[])
        for made in (call, function, function.value, *arguments):
            ast.copy_location(made, at)
        return call

    def _site(self, node: ast.expr, name: str) -> Site:
        around = self._statement if self._statement is not None and not isinstance(self._statement, _Loop) else node
        names = [item for item in ast.walk(around) if isinstance(item, ast.Name) and item.id != RECORDER]
        expression = [item.id for item in ast.walk(node) if isinstance(item, ast.Name) and item.id != RECORDER]
        fitting = id(node) in self._fits
        return Site(
            source=ast.unparse(_original(node)),
            name=name,
            index=self._index,
            reads=frozenset(item.id for item in names if isinstance(item.ctx, ast.Load)) if fitting else frozenset(expression),
            writes=frozenset(item.id for item in names if isinstance(item.ctx, ast.Store)) | _receiver(node),
            loops=tuple(name for targets, _ in self._loops for name in sorted(targets)),
            in_fitting_loop=bool(self._loops) and self._loops[-1][1],
            gathered=bool(self._loops) and not self._loops[-1][1],
            span=((node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or 0)),
            keywords=tuple(keyword_literals(item for item in ast.walk(_original(around)) if isinstance(item, ast.Call))) if fitting else (),
        )

    def _contains_fit(self, node: ast.AST) -> bool:
        return any(id(item) in self._fits for item in ast.walk(node))


def _worth_changing(tree: ast.Module, fits: list[ast.Call]) -> bool:
    return bool(fits) or any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SHOWING for node in ast.walk(tree)
    )


def _original(node: ast.AST) -> ast.AST:
    """The expression as the user wrote it, without the calls that were put around its parts."""
    stripped: ast.AST = _Strip().visit(copy.deepcopy(node))
    return stripped


class _Strip(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id=name)) if name in (RECORDER, KEEPER):
                return node.args[-1]
        return node


def _stored(target: ast.AST) -> frozenset[str]:
    return frozenset(node.id for node in ast.walk(target) if isinstance(node, ast.Name))


def _receiver(node: ast.AST) -> frozenset[str]:
    """The name that a method is called on: `model` of `model.fit(X)` and of `models['a'].fit(X)`."""
    inner = node.func if isinstance(node, ast.Call) else node
    while isinstance(inner, ast.Attribute | ast.Subscript):
        inner = inner.value
    return (
        frozenset({inner.id})
        if isinstance(inner, ast.Name) and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        else frozenset()
    )


def _function_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        # An object that is made and called at once, as `Parallel(n_jobs=2)(...)`.
        return _function_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else "call"


def _label(node: ast.expr) -> str:
    text = ast.unparse(_original(node))
    return text if len(text) <= 60 else text[:57] + "..."
