"""Which names are bound for sure after branches, loops, handlers and matches."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence

from .literals import dotted
from .scopes import Scope, ScopeVisitor

_LEAVING = (ast.Raise, ast.Return, ast.Break, ast.Continue)


class FlowVisitor(ScopeVisitor):
    """Follows the statements that choose what runs."""

    def _flow(self) -> Scope:
        return next(scope for scope in reversed(self._scopes) if scope.kind in ("module", "class"))

    def _perhaps(self, *steps: Callable[[], None]) -> None:
        """Runs steps that may not happen: what they bind is not bound for sure."""
        flow = self._flow()
        before = set(flow.bound)
        for step in steps:
            step()
        flow.bound = before

    def _either(self, *blocks: tuple[Callable[[], None], bool]) -> None:
        """Runs alternatives, one of which happens: (step, whether it leaves the statement). What all that stay bind is bound."""
        flow = self._flow()
        before = set(flow.bound)
        ends = []
        for step, leaves in blocks:
            flow.bound = set(before)
            step()
            if not leaves:
                ends.append(flow.bound)
        flow.bound = set.intersection(*ends) if ends else before

    def _block(self, body: Sequence[ast.stmt]) -> tuple[Callable[[], None], bool]:
        return lambda: self.visit_all(body), bool(body) and isinstance(body[-1], _LEAVING)

    def visit_If(self, node: ast.If | ast.IfExp) -> None:
        self.visit(node.test)
        if isinstance(node, ast.If):
            self._either(self._block(node.body), self._block(node.orelse))
        else:
            body, orelse = node.body, node.orelse
            self._either((lambda: self.visit(body), False), (lambda: self.visit(orelse), False))

    visit_IfExp = visit_If

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.visit(node.values[0])
        self._perhaps(lambda: self.visit_all(node.values[1:]))

    def visit_BinOp(self, node: ast.BinOp) -> None:
        # Long sums lean to the left: a loop here keeps them from exhausting the stack.
        rights = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            rights.append(left.right)
            left = left.left
        self.visit(left)
        self.visit_all(reversed(rights))

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._perhaps(lambda: self.visit_all(node.body))
        self._perhaps(lambda: self.visit_all(node.orelse))

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)

        def body() -> None:
            self.visit(node.target)
            self._alias(node.target, self._shared(node.iter))
            self.visit_all(node.body)

        self._perhaps(body)
        self._perhaps(lambda: self.visit_all(node.orelse))

    visit_AsyncFor = visit_For

    def visit_With(self, node: ast.With | ast.AsyncWith) -> None:
        suppresses = False
        for item in node.items:
            self.visit(item.context_expr)
            suppresses |= isinstance(item.context_expr, ast.Call) and dotted(item.context_expr.func).endswith(("suppress", "raises"))
            if item.optional_vars:
                self.visit(item.optional_vars)
                self._alias(item.optional_vars, self._shared(item.context_expr))
        if suppresses:
            self._perhaps(lambda: self.visit_all(node.body))
        else:
            self.visit_all(node.body)

    visit_AsyncWith = visit_With

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        flow = self._flow()
        before = set(flow.bound)

        def unbroken() -> None:
            self.visit_all([*node.body, *node.orelse])

        self._either((unbroken, self._block([*node.body, *node.orelse])[1]), *(self._handler(handler) for handler in node.handlers))
        after, flow.bound = flow.bound, before
        self.visit_all(node.finalbody)
        flow.bound = flow.bound | after

    visit_TryStar = visit_Try

    def _handler(self, handler: ast.ExceptHandler) -> tuple[Callable[[], None], bool]:
        def step() -> None:
            if handler.type:
                self.visit(handler.type)
            if not handler.name:
                self.visit_all(handler.body)
                return
            # The name lives as long as the handler: it neither reaches the namespace nor is read from it.
            self._within(Scope("handler", {handler.name}), lambda: self.visit_all(handler.body))

        return step, bool(handler.body) and isinstance(handler.body[-1], _LEAVING)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        names = self._shared(node.subject)
        blocks = [(lambda case=case: self._case(case, names), self._block(case.body)[1]) for case in node.cases]
        last = node.cases[-1]
        irrefutable = last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None
        self._either(*blocks, *([] if irrefutable else [(lambda: None, False)]))

    def _case(self, case: ast.match_case, names: frozenset[str]) -> None:
        self.visit(case.pattern)
        for pattern in ast.walk(case.pattern):
            name = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
            if isinstance(name, str):
                self._alias(ast.Name(name, ast.Store()), names)
        if case.guard:
            self.visit(case.guard)
        self.visit_all(case.body)

    def visit_MatchAs(self, node: ast.MatchAs | ast.MatchStar) -> None:
        self.generic_visit(node)
        if node.name:
            self._bind(node.name)

    visit_MatchStar = visit_MatchAs

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:
        self.generic_visit(node)
        if node.rest:
            self._bind(node.rest)
