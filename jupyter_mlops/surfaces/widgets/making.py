"""`mlops.widget(answer)`: which widget shows an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import UsageError
from ...records import Check, Monitoring, PipelineRun, Run, Validation
from ..answers import Comparison, Plan, Runs
from .kinds import ComparisonWidget, DriftWidget, GatesWidget, MonitoringWidget, PipelineWidget, RunsWidget
from .view import ViewWidget

_KINDS: dict[type, Callable[[Any], ViewWidget[Any]]] = {
    Check: GatesWidget,
    Comparison: ComparisonWidget,
    Monitoring: MonitoringWidget,
    PipelineRun: PipelineWidget,
    Plan: PipelineWidget,
    Runs: RunsWidget,
    Validation: DriftWidget,
}


def widget(answer: Any, /) -> ViewWidget[Any]:
    """Show an answer as a widget that can be sorted, unfolded and clicked: `w = mlops.widget(mlops.runs())`, then `w.selected`.

    It takes what `runs`, `compare`, `run`, `monitor`, `check` and `validate` return, one run, or a list of runs. Where no widget can be
    shown (nbconvert, GitHub, a terminal) there is the answer's table in its place. Raises UsageError for anything else.
    """
    kind = _KINDS.get(type(answer))
    if kind is not None:
        return kind(answer)
    if isinstance(answer, Run):
        return RunsWidget(Runs((answer,)))
    if isinstance(answer, (list, tuple)) and answer and all(isinstance(item, Run) for item in answer):
        return RunsWidget(Runs(answer))
    raise UsageError(
        f"There is no widget for {_named(answer)}: give what mlops.runs, compare, run, monitor, check or validate returned, or some runs."
    )


def _named(answer: Any) -> str:
    kind = type(answer).__name__
    if isinstance(answer, (list, tuple)) and not answer:
        return f"an empty {kind}"
    return f"{'an' if kind[0] in 'AEIOUaeiou' else 'a'} {kind}"
