"""Names of metrics from the expressions that gave them."""

from __future__ import annotations

import ast
from functools import lru_cache

from .notebook_syntax import UNREADABLE, parse_python

# They give the same number, in another type or rounded.
_WRAPPERS = frozenset({"round", "float", "np.round", "np.float64", "np.float32", "np.around"})
_UNWRAPPING_METHODS = frozenset({"item", "cpu", "detach", "numpy", "tolist", "round"})


@lru_cache(maxsize=4096)
def metric_name(expression: str) -> str:
    """What a computed value is called: `round(acc, 3)`, `float(acc)`, `acc.item()` and `f"{acc:.2f}"` are `acc`; other
    expressions are named by their source as Python writes it, and what is no expression by its text."""
    try:
        body = parse_python(expression.strip()).body
    except UNREADABLE:
        return expression.strip()
    match body:
        case [ast.Expr(value=value)]:
            return _name(value)
        case [ast.Assign(targets=[ast.Name(id=name)])] | [ast.AnnAssign(target=ast.Name(id=name))]:
            return name
    return expression.strip()


def _name(node: ast.expr) -> str:
    match node:
        case ast.Call(func=ast.Name() | ast.Attribute(value=ast.Name()) as function, args=[value, *_]) if (
            ast.unparse(function) in _WRAPPERS
        ):
            return _name(value)
        case ast.Call(func=ast.Attribute(value=value, attr=method), args=[] | [ast.Constant()]) if method in _UNWRAPPING_METHODS:
            return _name(value)
        case ast.JoinedStr(values=[ast.FormattedValue(value=value)]) | ast.NamedExpr(target=value) | ast.Await(value=value):
            return _name(value)
    return ast.unparse(node)
