"""The declared outputs of a step: which expression of its code gives each named result. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence

from ...code.expressions import metric_name
from ...code.fits import executed
from ...replay.recording import Recording
from .parts import Part, free_name

MODEL = "model"


def declared(parts: Sequence[Part], results: Mapping[str, int], recording: Recording, taken: set[str]) -> tuple[dict[str, str], list[Part]]:
    """For each result the name that holds it at the end of the code, and the code that binds it.

    `results` are names with the execution after which each stood. What has no name of its own, or a name that later means something else,
    gets one where it arises. A result that is only printed or shown has none.
    """
    found: dict[str, str] = {}
    code = list(parts)
    for name, seq in results.items():
        bound = frozenset[str]().union(*(part.writes for part in code))
        variable = _model(recording) if name == MODEL and name not in bound else name
        root = variable.partition(".")[0].partition("[")[0]
        if variable in bound:
            found[name] = _kept(code, variable, variable, _last(code, variable, seq), taken)
        elif arises := _expression(code, name):
            found[name] = _kept(code, arises[1], re.sub(r"\W+", "_", name).strip("_"), arises[0], taken)
        elif root in bound:
            found[root] = root
    return found, code


def _last(code: Sequence[Part], variable: str, seq: int) -> int:
    """The place of the statement that binds a name last, up to an execution."""
    places = [place for place, part in enumerate(code) if variable in part.writes]
    return max((place for place in places if code[place].seq <= seq), default=places[-1])


def _kept(code: list[Part], expression: str, name: str, place: int, taken: set[str]) -> str:
    """A name that holds what the expression gives after the statement at `place`, which is bound there where it has to be."""
    if expression == name and not any(name in part.writes for part in code[place + 1 :]):
        return name
    name = free_name([name, f"{name}_result", *(f"{name}_result_{number}" for number in range(2, 20))], taken) or f"{name}_result"
    code.insert(place + 1, Part(code[place].seq, f"{name} = {expression}"))
    return name


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


def _expression(parts: Sequence[Part], name: str) -> tuple[int, str] | None:
    """The expression in the code that a metric is named after, with the place of its statement."""
    for place in reversed(range(len(parts))):
        tree = parts[place].tree
        # What a loop or a comprehension computes has no name of its own at the end.
        top = [node for node in tree.body if not isinstance(node, (ast.For, ast.AsyncFor, ast.While))] if tree is not None else []
        for node in executed(top):
            if isinstance(node, ast.expr) and metric_name(ast.unparse(node)) == name and not _computed_within(top, node):
                return place, ast.unparse(node)
    return None


def _computed_within(statements: Sequence[ast.stmt], node: ast.expr) -> bool:
    """Whether an expression stands in a comprehension or lambda, whose names end with it."""
    scopes = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
    return any(
        node in ast.walk(scope) and node is not scope
        for statement in statements
        for scope in ast.walk(statement)
        if isinstance(scope, scopes)
    )
