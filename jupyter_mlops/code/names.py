"""Which names of the user's namespace code reads, binds, changes and deletes."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Sequence

from .flow import FlowVisitor
from .literals import PLOTTING, dotted, draws, words
from .mutation import changes_first, changes_object, in_place, is_ambient, only_reads
from .notebook_syntax import UNREADABLE, Magic, bound_by, code_of, dropped_by, expanded_names, magic_of, parse_python, read_by
from .scopes import Scope, own_names, parameter_names

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_TABLES_OF_SQL = re.compile(r"\b(?:from|join|into|update|table)\s+([^\W\d]\w*)", re.IGNORECASE)
_SHOWING = words("close draw savefig show write_html write_image")
_FORMULA_CALLS = re.compile(r"([^\W\d]\w*)(?:\.\w+)*\(")


class Names(FlowVisitor):
    """Collects over the statements visited.

    `shown` is the last expression of a cell, whose value is used because it is displayed.
    """

    def __init__(self, known_fitting: frozenset[str] = frozenset(), shown: ast.stmt | None = None, objects: set[str] | None = None) -> None:
        super().__init__(objects)
        self.known_fitting = known_fitting
        self.shown = shown
        self._fitting_methods = frozenset(name.rsplit(".", 1)[1] for name in known_fitting if "." in name)

    def visit_magic(self, magic: Magic) -> None:
        """What a magic or command reads and binds, and the code it runs."""
        for expression in expanded_names(magic):
            self.visit(expression)
        for name in read_by(magic):
            self._load(name)
        code = code_of(magic)
        self.shown = code[-1] if code else self.shown
        if magic.local:
            self.visit_local(code)
        else:
            self.visit_all(code)
        for name in bound_by(magic):
            self._bind(name)
        for name in dropped_by(magic):
            self._drop(name)
        self.opaque |= magic.name in {"run", "reset", "reset_selective", "macro", "edit", "rerun", "recall", "pylab", "cython"}
        self.ambient |= magic.name in {"cd", "env", "set_env", "pip", "conda", "precision", "load_ext", "config"}

    def visit_local(self, nodes: Sequence[ast.stmt]) -> None:
        """Statements that run now, in a function of their own."""
        bound, declared = own_names(nodes)
        with_scope = Scope("function", bound, declared)
        self._within(with_scope, lambda: self.visit_all(nodes))

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)
            self._alias_each(target, node.value)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Call) and draws(dotted(node.value.func)):
                for part in target.elts[1:]:
                    self._alias(part, self._shared(target.elts[0]))  # `fig, ax = plt.subplots()`: what is drawn on one is on the other
        names = [target for target in node.targets if isinstance(target, ast.Name)]
        for one, other in itertools.pairwise(names):
            self._alias(other, self._shared(one))  # `a = b = []` gives one object two names

    def _alias_each(self, target: ast.expr, value: ast.expr) -> None:
        match target, value:
            case ast.Tuple(elts=targets) | ast.List(elts=targets), ast.Tuple(elts=values) | ast.List(elts=values):
                if len(targets) == len(values) and not any(isinstance(item, ast.Starred) for item in (*targets, *values)):
                    for inner, item in zip(targets, values, strict=True):
                        self._alias_each(inner, item)
                    return
        self._alias(target, self._shared(value))

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name):
            self._load(node.target.id)
            self.visit(node.value)
            self._mutate({node.target.id})
            if self._target_scope(node.target.id) is self._module and not self.deferred:
                # Rebinding keeps what the name shared, and counts as bound only where the statement itself bound it before.
                self.writes.add(node.target.id)
                self._module.bound.add(node.target.id)
            else:
                self._bind(node.target.id)
        else:
            self.visit(node.target)
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.visit(node.annotation)
        if node.value:
            self.visit(node.value)
            self.visit(node.target)
            self._alias(node.target, self._shared(node.value))
        elif not isinstance(node.target, ast.Name):
            self.visit(node.target.value if isinstance(node.target, (ast.Attribute, ast.Subscript)) else node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self.visit(node.value)
        self.visit(node.target)
        self._alias(node.target, self._shared(node.value))

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        if isinstance(node, ast.Subscript):
            if name := _namespace_key(node):
                self.visit_Name(ast.Name(name, node.ctx))
                return
            self.visit(node.value)
            self.visit(node.slice)
        else:
            self.visit(node.value)
        if not isinstance(node.ctx, ast.Load):
            root = dotted(node.value).split(".")[0].strip("()[]")
            self._mutate(self._shared(node.value))
            if self.is_module(root):
                self.ambient = True
                self.patches |= set() if self.deferred else {root}

    visit_Subscript = visit_Attribute

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if alias.name == "*":
                self.opaque = True
            elif isinstance(node, ast.Import):
                self._import(alias.asname or alias.name.split(".")[0])
            else:
                self._import(alias.asname or alias.name)

    visit_ImportFrom = visit_Import

    def visit_FunctionDef(self, node: _Function) -> None:
        self.visit_all(node.decorator_list)
        self._parameters(node.args)
        if node.returns:
            self.visit(node.returns)
        bound, declared = own_names(node.body)
        bound |= parameter_names(node.args) | {item.name for item in getattr(node, "type_params", ())}
        known = node.name in self.captures
        self.deferred += 1
        self._within(Scope("function", bound - declared, declared), lambda: self.visit_all(node.body))
        self.deferred -= 1
        self._define(node.name)
        if not known and self._target_scope(node.name) is self._module:
            self.captures.discard(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._parameters(node.args)
        self.lambdas += 1
        walrus, _ = own_names([ast.Expr(node.body)])
        self._within(Scope("function", parameter_names(node.args) | walrus), lambda: self._perhaps(lambda: self.visit(node.body)))
        self.lambdas -= 1

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.visit_all([*node.decorator_list, *node.bases, *node.keywords])
        declared = own_names(node.body)[1]
        typed = Scope("function", {item.name for item in getattr(node, "type_params", ())})
        self._within(typed, lambda: self._within(Scope("class", globals=declared), lambda: self.visit_all(node.body)))
        self._define(node.name)

    def _define(self, name: str) -> None:
        if self._target_scope(name) is self._module and not self.deferred:
            self.defines.add(name)
        self._bind(name)

    def _parameters(self, arguments: ast.arguments) -> None:
        self.visit_all([*arguments.defaults, *(item for item in arguments.kw_defaults if item)])
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        self.visit_all(item.annotation for item in every if item and item.annotation)

    def visit_ListComp(self, node: _Comprehension) -> None:
        first = node.generators[0]
        self.visit(first.iter)
        targets = {
            name.id
            for generator in node.generators
            for name in ast.walk(generator.target)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }

        def inside() -> None:
            for generator in node.generators:
                if generator is not first:
                    self.visit(generator.iter)
                self._alias(generator.target, self._shared(generator.iter))
                for part in ast.walk(generator.target):
                    if isinstance(part, (ast.Attribute, ast.Subscript)):
                        self.visit(part)
                self.visit_all(generator.ifs)
            self.visit_all([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt])

        self._within(Scope("comprehension", targets), lambda: self._perhaps(inside))

    visit_SetComp = visit_ListComp
    visit_DictComp = visit_ListComp
    visit_GeneratorExp = visit_ListComp

    def visit_TypeAlias(self, node: ast.AST) -> None:
        name: ast.Name = getattr(node, "name")  # noqa: B009  # the node class is newer than the oldest Python supported
        self.deferred += 1
        parameters = {item.name for item in getattr(node, "type_params", ())}
        self._within(Scope("function", parameters), lambda: self.visit(getattr(node, "value")))  # noqa: B009  # as above
        self.deferred -= 1
        self._bind(name.id)

    def visit_Expr(self, node: ast.Expr) -> None:
        value = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(value, ast.Call) and node is not self.shown:
            self._call(value, discarded=True)
        else:
            self.visit(value)

    def visit_Call(self, node: ast.Call) -> None:
        self._call(node, discarded=False)

    def _call(self, node: ast.Call, *, discarded: bool) -> None:
        if magic := magic_of(node):
            self.visit_magic(magic)
            return
        self.generic_visit(node)
        name = dotted(node.func)
        self._text_read_by(node, name)
        root = name.partition(".")[0].removesuffix("[]").removesuffix("()")
        of_module = self.is_module(root)
        self.ambient |= is_ambient(node, name, discarded, of_module=of_module)
        handed = [*node.args, *(item.value for item in node.keywords)]
        arguments = frozenset().union(*(self._shared(item) for item in handed))
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        receiver = self._owners(node.func.value) if isinstance(node.func, ast.Attribute) else frozenset()
        held = self._shared(node.func.value) - receiver if isinstance(node.func, ast.Attribute) else frozenset()
        for item in node.keywords:
            if item.arg == "out":
                self._mutate(self._shared(item.value))
        if node.args and not receiver and (changes_first(name) or in_place(node)):
            self._mutate(self._shared(node.args[0]))
        if name in self.known_fitting or method in self._fitting_methods:
            self._mutate(receiver | arguments)
        elif method and changes_object(node, method):
            self._mutate(receiver)
            self._mutate(held | arguments, surely=False)
        elif root in PLOTTING and receiver:
            # Drawing changes the picture, not what is drawn.
            self._mutate(receiver, surely=(discarded or node is getattr(self.shown, "value", None)) and method not in _SHOWING)
        elif not only_reads(name):
            # A result that is thrown away: the call was made for what it changes.
            self._mutate(receiver, surely=discarded and "()" not in name)
            self._mutate(arguments, surely=discarded and (bool(receiver) or not of_module))
            self._mutate(held, surely=False)

    def _text_read_by(self, node: ast.Call, name: str) -> None:
        """Names in text that the called function evaluates: exec and eval, DataFrame.query, SQL over frames, model formulas."""
        last = name.rsplit(".", 1)[-1]
        text = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str) else None
        if name in {"exec", "eval"}:
            if len(node.args) == 1:
                self._evaluated(text)
            else:
                self._mutate(self._shared(node.args[1]) if len(node.args) > 1 else ())
        elif name in {"globals", "locals", "vars", "dir"} and not node.args:
            self.opaque = True
        elif text is None:
            return
        elif last in {"query", "eval"}:
            for found in re.findall(r"@([^\W\d]\w*)", text):
                self._load(found)
        if text and last in {"sql", "query", "execute", "sqldf", "from_query"}:
            for found in _TABLES_OF_SQL.findall(text):
                self._load(found)
        if text and "~" in text:
            for found in _FORMULA_CALLS.findall(text):
                self._load(found)

    def _evaluated(self, text: str | None) -> None:
        try:
            body = parse_python(text.strip()).body if text is not None else None
        except UNREADABLE:
            return
        if body is None:
            self.opaque = True
        else:
            self.visit_all(body)


def _namespace_key(node: ast.Subscript) -> str | None:
    """The name in `globals()["x"]` or `get_ipython().user_ns["x"]`."""
    if isinstance(node.slice, ast.Constant) and isinstance(node.slice.value, str):
        return node.slice.value if dotted(node.value) in {"globals()", "locals()", "vars()", "get_ipython().user_ns"} else None
    return None
