"""What each statement of a cell reads, binds, changes, calls and computes: the base of parameters, metrics and slices."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from .bindings import bindings, computed_names, literal_names
from .fits import SCOPES, calls_that_fit, executed, fitting_definitions
from .literals import MODULE_NAMES, dotted, keyword_literals
from .names import Names
from .notebook_syntax import Cell, Magic, bound_by, code_of, lasting_code_of, magic_of, parse_cell
from .outside import path_texts, uses_network

_DEFINING = ("def", "lambda", "class")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement at the top of a cell (or of a block, in `body`). All names are of the user's namespace; builtins count as names.

    `source` is its text as in the cell, `line` and `end_line` count from 1.

    Names: `reads` may be read before the statement binds them (also by its lambdas, comprehensions, decorators and defaults); `writes` are
    bound, of which `conditional` may keep an earlier value (loops, branches); `mutates` are objects changed in place for sure or very
    likely, `may_mutate` were handed to calls that could; `deletes` are unbound. `aliases` tells, for names bound here, the names whose
    objects they may be or hold. `captures` are read when functions defined here are called, `alters` are bound, changed or deleted then.

    Values: `literals` are names bound to a literal, `computed` names bound to something computed with the source of it (no literals, loop
    targets, counters, clock reads; `b = a` gives {"b": "a"}), `keywords` the literal keywords of calls as (function, keyword, value).

    Calls: `calls` are dotted names as written, magics and commands as `%name`, `%%name`, `!`; `fits` tells whether one fits a model now,
    `fitting_defs` functions and classes defined here that fit when called; `network` whether data may come from a network or database;
    `ambient` whether state without a name is drawn from or set (global random generators, options of modules, environment variables);
    `opaque` whether names are read or bound that the text does not tell (star import, `%run`, exec of computed text, `globals()`).

    `modules` are names that imports bind, `patches` names of modules of which attributes are set.

    `texts` are string constants that may be paths. `body` holds the statements within a compound statement, in the order of the text.
    """

    source: str
    line: int
    end_line: int
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    mutates: frozenset[str] = frozenset()
    deletes: frozenset[str] = frozenset()
    captures: frozenset[str] = frozenset()
    literals: Mapping[str, Any] = field(default_factory=dict)
    keywords: tuple[tuple[str, str, Any], ...] = ()
    calls: frozenset[str] = frozenset()
    computed: Mapping[str, str] = field(default_factory=dict)
    defines: frozenset[str] = frozenset()
    fits: bool = False
    fitting_defs: frozenset[str] = frozenset()
    star_imports: tuple[str, ...] = ()
    imports: frozenset[str] = frozenset()
    network: bool = False
    texts: tuple[str, ...] = ()
    body: tuple[Statement, ...] = ()
    conditional: frozenset[str] = frozenset()
    may_mutate: frozenset[str] = frozenset()
    alters: frozenset[str] = frozenset()
    aliases: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ambient: bool = False
    opaque: bool = False
    modules: frozenset[str] = frozenset()
    patches: frozenset[str] = frozenset()


def analyse(source: str, known_fitting: frozenset[str] = frozenset(), objects: Set[str] = frozenset()) -> tuple[Statement, ...]:
    """The statements of a cell in order; () for a cell that is neither Python nor IPython. Never raises.

    `known_fitting` are functions and classes of earlier cells that fit when called, `objects` the names under which notebooks import
    modules that stand for something else when the cell begins (see `objects_after`). Code under a magic (`%%time`, `%%capture out`) is
    analysed as the cell's own; a cell in another language is one statement.
    """
    return analysed(source, known_fitting, frozenset(name for name in objects if name in source))


def objects_after(statements: Iterable[Statement], objects: frozenset[str] = frozenset()) -> frozenset[str]:
    """The names under which notebooks import modules that stand for something else when these statements have run."""
    for statement in statements:
        objects = (objects | (statement.writes & MODULE_NAMES)) - statement.modules
    return objects


@lru_cache(maxsize=1024)
def analysed(source: str, known_fitting: frozenset[str], objects: frozenset[str]) -> tuple[Statement, ...]:
    """As `analyse`, which asks only for the `objects` that the source may name."""
    cell = parse_cell(source)
    if cell is None:
        return ()
    try:
        return _Analysis(cell, known_fitting, objects).statements()
    except RecursionError:
        return ()


def plain(statements: Sequence[Statement]) -> bool:
    """Whether a cell only binds literals or defines functions: it draws no number, opens no file, and binds what its text says."""
    return bool(statements) and not any(
        item.reads
        or item.calls
        or item.imports
        or item.star_imports
        or item.deletes
        or item.opaque
        or item.texts
        or item.mutates
        or item.body
        for item in statements
    )


class _Analysis:
    def __init__(self, cell: Cell, known_fitting: frozenset[str], objects: frozenset[str]) -> None:
        self.cell = cell
        self.objects = set(objects)
        self.known = known_fitting - _redefined(cell.tree.body)
        if any(word in line for line in cell.lines for word in _DEFINING):
            self.known |= fitting_definitions(cell.tree.body, known_fitting)
        last = cell.tree.body[-1] if cell.tree.body else None
        self.shown = last if not cell.lines[-1].rstrip().endswith(";") else None

    def statements(self) -> tuple[Statement, ...]:
        body = self.cell.tree.body
        # Magics that bind a name, run apart or are of another language belong to their code: the cell is one statement.
        whole = tuple(magic for magic in self.cell.magics if magic.local or bound_by(magic) or not body)
        if not whole:
            return tuple(self._statement([node], _span(node)) for node in body)
        return (self._whole(body, whole),)

    def _whole(self, body: Sequence[ast.stmt], magics: tuple[Magic, ...]) -> Statement:
        names = Names(self.known, self.shown, self.objects)
        local = next((magic for magic in magics if magic.local), None)
        for magic in magics:
            names.visit_magic(magic if magic is local or not body else replace(magic, body=""))
        if local:
            body = code_of(local)
        else:
            names.visit_all(body)
        span = (1, 0, len(self.cell.lines), None)
        inner = () if local else tuple(self._statement([node], _span(node)) for node in body)
        return self._record(body, names, span, magics, inner)

    def _statement(self, nodes: Sequence[ast.stmt], span: tuple[int, int, int, int | None]) -> Statement:
        names = Names(self.known, self.shown, self.objects)
        names.visit_all(nodes)
        inner = tuple(self._statement([item], _span(item)) for node in nodes for item in _inner(node))
        return self._record(nodes, names, span, (), inner)

    def _record(
        self,
        nodes: Sequence[ast.stmt],
        names: Names,
        span: tuple[int, int, int, int | None],
        magics: tuple[Magic, ...],
        inner: tuple[Statement, ...],
    ) -> Statement:
        run = list(executed(nodes))
        calls = [node for node in run if isinstance(node, ast.Call)]
        marks = [magic for call in calls if (magic := magic_of(call))]
        # Nearly always nothing stands apart, and one walk through the statement does for all.
        top = list(executed(nodes, apart=SCOPES)) if any(isinstance(node, ast.ClassDef) for node in run) else run
        lasting = list(executed(nodes, apart=SCOPES, code=lasting_code_of)) if marks else top
        # Code that runs apart binds nothing.
        bound = [] if any(magic.local for magic in magics) else list(bindings(lasting))
        return Statement(
            source=self._text(span),
            line=span[0],
            end_line=self.cell.changed.get(span[2], span[2]),
            reads=frozenset(names.reads),
            writes=frozenset(names.writes),
            mutates=frozenset(names.mutates),
            deletes=frozenset(names.deletes),
            captures=frozenset(names.captures),
            literals=MappingProxyType(literal_names(bound)),
            keywords=tuple(keyword_literals(call for call in calls if not magic_of(call))),
            calls=frozenset(
                [dotted(call.func) for call in calls if not magic_of(call) and not _is_shell(call)]
                + [magic.mark for magic in (*marks, *magics)]
            )
            - {""},
            computed=MappingProxyType(computed_names(bound, self._expression if not marks else ast.unparse)),
            defines=frozenset(names.defines),
            fits=bool(calls) and bool(calls_that_fit(top, self.known)),
            fitting_defs=fitting_definitions(nodes, self.known) if names.defines or names.captures else frozenset(),
            star_imports=tuple(_star_imports(run)),
            imports=frozenset(_imports(run)),
            network=uses_network(run, magics),
            texts=path_texts(run, magics),
            body=inner,
            conditional=frozenset(names.conditional),
            may_mutate=frozenset(names.may_mutate - names.mutates),
            alters=frozenset(names.alters),
            aliases=MappingProxyType(names.aliases),
            ambient=names.ambient,
            opaque=names.opaque,
            modules=frozenset(names.modules),
            patches=frozenset(names.patches),
        )

    def _expression(self, node: ast.expr) -> str:
        """An expression as written; those that are not in the text as such (`x += y` computes `x + y`) as Python writes them."""
        if self.cell.changed or self.cell.moved or not hasattr(node, "lineno") or node.end_lineno is None:
            return ast.unparse(node)
        return self._text((node.lineno, node.col_offset, node.end_lineno, node.end_col_offset))

    def _text(self, span: tuple[int, int, int, int | None]) -> str:
        start, first, end, last = span
        end = self.cell.changed.get(end, end)
        lines = list(self.cell.lines[start - 1 : end])
        if not lines:
            return ""
        if last is not None and not self.cell.moved and span[2] not in self.cell.changed:
            lines[-1] = _cut(lines[-1], 0, last)
        if first and not self.cell.moved and start not in self.cell.changed:
            lines[0] = _cut(lines[0], first, None)
        return "\n".join(lines).strip()


def _cut(line: str, start: int, end: int | None) -> str:
    """Columns of the parser count bytes."""
    return line[start:end] if line.isascii() else line.encode("utf-8", "surrogatepass")[start:end].decode("utf-8", "replace")


def _span(node: ast.stmt) -> tuple[int, int, int, int | None]:
    decorators = getattr(node, "decorator_list", ())
    start = min([node.lineno, *(item.lineno for item in decorators)])
    return start, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset


def _inner(node: ast.stmt) -> Iterator[ast.stmt]:
    """The statements of a compound statement's blocks; functions and classes are one statement."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        elif isinstance(child, (ast.ExceptHandler, ast.match_case)):
            yield from child.body


def _is_shell(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "get_ipython"


def _redefined(body: Sequence[ast.stmt]) -> frozenset[str]:
    return frozenset(node.name for node in body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)))


def _star_imports(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield "." * node.level + (node.module or "")


def _imports(nodes: Sequence[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")
