"""The declared outputs of a step: which expression of its code gives each named result. Pure."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from ..code.expressions import metric_name
from ..code.fits import executed
from ..replay.recording import Recording
from .parts import Part

MODEL = "model"


def declared(parts: Sequence[Part], results: Sequence[str], recording: Recording) -> dict[str, str]:
    """For each result the expression that gives it at the end of the code; a result that is only printed or shown has none."""
    found: dict[str, str] = {}
    bound = frozenset[str]().union(*(part.writes for part in parts)) if parts else frozenset()
    for name in results:
        variable = _model(recording) if name == MODEL and name not in bound else name
        root = variable.partition(".")[0].partition("[")[0]
        if variable in bound:
            found[name] = variable
        elif expression := _expression(parts, name):
            found[name] = expression
        elif root in bound:
            found[root] = root
    return found


def kind_of(name: str, recording: Recording) -> str:
    """What a result is: metric, model, or data."""
    if any(name in run.metrics for run in recording.runs):
        return "metric"
    if name == MODEL or any(model.get("name") == name for models in recording.models.values() for model in models):
        return "model"
    return "data"


def _model(recording: Recording) -> str:
    models = recording.models.get(recording.run.own_id) or ()
    return str(models[-1].get("name") or MODEL) if models else MODEL


def _expression(parts: Sequence[Part], name: str) -> str:
    """The expression in the code that a metric is named after."""
    for part in reversed(parts):
        tree = part.tree
        # What a loop or a comprehension computes has no name of its own at the end.
        top = [node for node in tree.body if not isinstance(node, (ast.For, ast.AsyncFor, ast.While))] if tree is not None else []
        for node in executed(top):
            if isinstance(node, ast.expr) and metric_name(ast.unparse(node)) == name and not _computed_within(top, node):
                return ast.unparse(node)
    return ""


def _computed_within(statements: Sequence[ast.stmt], node: ast.expr) -> bool:
    """Whether an expression stands in a comprehension or lambda, whose names end with it."""
    scopes = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
    return any(
        node in ast.walk(scope) and node is not scope
        for statement in statements
        for scope in ast.walk(statement)
        if isinstance(scope, scopes)
    )
