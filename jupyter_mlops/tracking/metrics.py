"""The metrics of a cell: numbers that it computed, whether assigned, put in a dict, printed, or shown as the last expression.

Literals, counters and loop variables are not metrics. A number belongs to the run of the model that it was computed from; a cell that
fits also gives its run whatever else it computes after the fit.
"""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..code.expressions import metric_name
from ..code.statements import Statement
from . import models, values
from .provenance import MISSING, Definition, Provenance

if TYPE_CHECKING:
    from .instrument import Site
    from .scope import Scope

# Names and functions whose lists of numbers are scores by step or fold; other lists (predictions, columns) are data.
_SCORES = re.compile(
    r"scor|loss|acc|auc|error|err\b|rmse|mae|mse|mape|\br2|f1|precis|recall|metric|perplex|reward|inertia|silhouette|brier|bleu|rouge|iou|dice"
    r"|histor|importance|cross_val|result|evaluat",
    re.IGNORECASE,
)
_DATA = re.compile(
    r"predict|transform|decision_function|predict_proba|\.values\b|to_numpy|np\.|linspace|arange|argmax|argsort|roc_curve|precision_recall_curve|score_samples"
)
# What a model was told, or chose for itself; parameters, whatever their values are.
_SETTINGS = re.compile(r"(params?_?|config|settings|options)(\(.*\))?$")
# A part of something that has a name.
_PART = re.compile(r"""(?P<whole>\w+)(?:\[(?P<quote>["'])(?P<key>.+)(?P=quote)\]|\.(?P<attribute>\w+?)_?)""")
_LONGEST_SCORES = 5_000
_MOST_NAMES = 2_000


@dataclass(slots=True)
class Found:
    """Numbers by name, stepped numbers by name, frames to keep as tables, further parameters, and texts to keep as artifacts."""

    numbers: dict[str, float] = field(default_factory=dict)
    series: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    frames: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: Any, expression: str = "") -> None:
        """Take in a value that was computed by `expression`: a number, named numbers, a list of scores, or a table of them."""
        number = values.scalar(value)
        if number is not None:
            self.numbers[name] = number
            return
        if isinstance(value, Mapping):
            self._add_entries(name, value)
            return
        if values.is_score_table(value):
            self.frames[name] = value
            return
        if _is_scores(name, value, expression) and (steps := values.series(value)) is not None and len(steps) <= _LONGEST_SCORES:
            self.series[name] = list(enumerate(steps))

    def _add_entries(self, name: str, value: Mapping[Any, Any]) -> None:
        named = values.entries(value) or {}
        for key, number in named.items():
            # The key alone, as in a dict of metrics; with the dict's name where it says too little or is taken.
            short = str(key)
            self.numbers[short if _says_enough(short) and short not in self.numbers else f"{name}.{short}"] = number
        for key, item in value.items():
            if isinstance(item, list | tuple) and (steps := values.series(item)) is not None and len(steps) <= _LONGEST_SCORES:
                self.series[f"{name}.{key}" if not _says_enough(str(key)) else str(key)] = list(enumerate(steps))


def passing(value: Any) -> float | int | None:
    """The number that an instrumented expression hands on, if it is one."""
    return values.scalar(value)


def without_repeats(numbers: Mapping[str, float], logged: Callable[[str], Any]) -> dict[str, float]:
    """Without parts of a dict or model (`scores['acc']`, `search.best_score_`) that stand under their own names (`acc`) in `numbers` or in
    what was `logged` before."""

    def repeats(name: str) -> bool:
        match = _PART.fullmatch(name)
        if match is None:
            return False
        part = match["key"] or match["attribute"]
        others = {part, f"{match['whole']}.{part}"} - {name}
        return any(numbers[name] in (numbers.get(other), logged(other)) for other in others)

    return {name: number for name, number in numbers.items() if not repeats(name)}


def of_model(model: Any) -> Found:
    """What a fitted model says about its own training."""
    said = models.outcomes(model)
    return Found(
        numbers=dict(said.metrics), series=dict(said.series), frames=dict(said.tables), params=dict(said.params), texts=dict(said.texts)
    )


def of_result(site: Site, result: Any) -> Found:
    """The scores that a cross-validating call gave back: by fold under the name that they are bound to, else that of the function;
    for a curve the means over the folds, step by step."""
    found = Found()
    if site.name in ("cross_val_score", "cross_validate") and isinstance(result, Mapping):
        for key, scores in result.items():
            _add_scores(found, str(key), scores)
    elif site.name == "cross_val_score" and result is not None:
        _add_scores(found, next(iter(site.writes)) if len(site.writes) == 1 else site.name, result)
    elif site.name == "cv" and callable(items := getattr(result, "items", None)):
        # A frame (XGBoost, CatBoost) or lists by name (LightGBM): means and deviations over the folds, round by round.
        for key, scores in items():
            steps = values.series(scores) if key != "iterations" else None
            if steps is not None and len(steps) <= _LONGEST_SCORES:
                found.series[str(key)] = list(enumerate(steps))
    elif site.name in ("learning_curve", "validation_curve") and isinstance(result, tuple):
        # Both give train and test scores as their first arrays of points x folds.
        curves = [item for item in result if getattr(item, "ndim", 0) == 2]
        for name, curve in zip(("train_score", "test_score"), curves, strict=False):
            found.series[name] = [(step, float(mean)) for step, mean in enumerate(curve.mean(axis=1))]
    return found


def _add_scores(found: Found, name: str, scores: Any) -> None:
    steps = values.series(scores)
    if steps:
        found.series[name] = list(enumerate(steps))
        found.numbers[f"{name}.mean"] = sum(steps) / len(steps)
        found.numbers[f"{name}.std"] = statistics.pstdev(steps)


def of_cell(scope: Scope, provenance: Provenance, shown: Any, whole: bool) -> dict[str, Found]:
    """The metrics of a cell that has ended, by run: `shown` is the value of its last expression, `whole` says that it ran to the end."""
    found: dict[str, Found] = {}
    for fit in scope.fits:
        for site, numbers in fit.kept.items():
            run = fit.run if site.in_fitting_loop else _run(scope, provenance, site) or fit.run
            _add_passed(found.setdefault(run, Found()), site, numbers, provenance)
    for known, kept in scope.kept.items():
        for site, numbers in kept.items():
            if (joined := known or _run(scope, provenance, site)) is not None:
                _add_passed(found.setdefault(joined, Found()), site, numbers, provenance)
    for number, (statement, definition, source) in enumerate(_bound(scope)):
        target = _home(scope, definition.run) or _own_run(scope, statement)
        if values.scalar(scope.namespace.get(definition.name)) is not None and _fits_again(scope, statement):
            # The numbers of a loop over fits were kept with each fit.
            continue
        if target is None or definition.name.startswith("_") or provenance.names.get(definition.name) is not definition:
            continue
        value = scope.namespace.get(definition.name)
        if _is_chosen(provenance, source) or _SETTINGS.search(definition.name):
            continue
        if not source and not (isinstance(value, list | dict) and (_SCORES.search(definition.name) or definition.run is not None)):
            continue
        if models.recognise(value) is not None or number > _MOST_NAMES:
            continue
        found.setdefault(target, Found()).add(definition.name, value, source)
    if whole and shown is not None and scope.statements and not isinstance(shown, str):
        _add_shown(found, scope, provenance, shown)
    return found


def _add_shown(found: dict[str, Found], scope: Scope, provenance: Provenance, shown: Any) -> None:
    last = scope.statements[-1]
    run = _home(scope, provenance.run_of(last.reads | last.mutates)) or _own_run(scope, last)
    if run is None or last.writes or any(fit.result is shown for fit in scope.fits):
        return
    for expression, value in _parts(last.source.rstrip().rstrip(";"), shown):
        if models.recognise(value) is None and not _is_chosen(provenance, expression) and not _SETTINGS.search(expression):
            found.setdefault(run, Found()).add(metric_name(expression).removesuffix("()"), value, expression)


def _parts(expression: str, shown: Any) -> Iterator[tuple[str, Any]]:
    """What is shown with its source; the parts of a tuple one by one."""
    try:
        node = ast.parse(expression, mode="eval").body
    except SyntaxError:
        node = None
    if isinstance(node, ast.Tuple) and isinstance(shown, tuple) and len(node.elts) == len(shown):
        yield from zip((ast.unparse(item) for item in node.elts), shown, strict=True)
    else:
        yield expression, shown


def _add_passed(found: Found, site: Site, numbers: list[Any], provenance: Provenance) -> None:
    if not numbers or _is_chosen(provenance, site.source):
        return
    name = site.name.removesuffix("()")
    if len(numbers) > 1:
        found.series.setdefault(name, list(enumerate(numbers)))
    else:
        found.numbers.setdefault(name, numbers[0])


def _is_chosen(provenance: Provenance, name: str) -> bool:
    """Whether the name stands for a literal: somebody chose the number, nobody computed it."""
    definition = provenance.names.get(name)
    return definition is not None and definition.literal is not MISSING


def _run(scope: Scope, provenance: Provenance, site: Site) -> str | None:
    own = scope.root if scope.first_fit is not None and site.index >= scope.first_fit else scope.named
    return _home(scope, provenance.run_of(site.reads)) or own


def _home(scope: Scope, run: str | None) -> str | None:
    """Where the results of a run's model go: a run that the user named takes those of other cells' models too."""
    return scope.named if scope.named is not None and run not in {fit.run for fit in scope.fits} else run


def _own_run(scope: Scope, statement: Statement) -> str | None:
    """The cell's own run, for what it computes from the first fit on; a run that the user named takes everything."""
    if scope.named is not None:
        return scope.named
    if scope.first_fit is None or scope.root is None:
        return None
    index = next((number for number, item in enumerate(scope.statements) if item is statement), len(scope.statements))
    return scope.root if index >= scope.first_fit else None


def _fits_again(scope: Scope, statement: Statement) -> bool:
    """Whether the (compound) statement made several runs."""
    return len({fit.run for fit in scope.fits if scope.statement_of(fit) is statement}) > 1


def _bound(scope: Scope) -> Iterator[tuple[Statement, Definition, str]]:
    """The definitions of the cell, each with its top-level statement and the source of its value ('' for a change in place)."""
    for statement, made in scope.made:
        computed = dict(_computed(statement))
        for definition in made:
            if definition.literal is MISSING:
                yield statement, definition, computed.get(definition.name, "")


def _computed(statement: Statement) -> Iterator[tuple[str, str]]:
    yield from statement.computed.items()
    for inner in statement.body:
        yield from _computed(inner)


def _is_scores(name: str, value: Any, expression: str) -> bool:
    if _DATA.search(expression):
        return False
    return bool(_SCORES.search(name) or _SCORES.search(expression.partition("(")[0]))


def _says_enough(key: str) -> bool:
    return len(key) > 1 and not key.replace(".", "").isdigit()
