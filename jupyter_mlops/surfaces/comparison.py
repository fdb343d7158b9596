"""Runs side by side: what differs in parameters, metrics, data and code."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from ..records import CellEvent, Run
from .answers import Comparison, inputs_of


def compare(runs: Sequence[Run], cells: Sequence[Sequence[CellEvent]]) -> Comparison:
    """Compare runs; `cells` holds the executions of each run, in the same order."""
    params, same_params = _differing([run.params for run in runs])
    metrics, same_metrics = _differing([run.metrics for run in runs])
    inputs, same_inputs = _differing([{item.name: item.digest for item in inputs_of(run)} for run in runs])
    sources = [_source(events) for events in cells]
    return Comparison(
        runs=tuple(runs),
        params=params,
        metrics=metrics,
        inputs=inputs,
        same={"params": same_params, "metrics": same_metrics, "inputs": same_inputs},
        code=tuple(_difference(runs[0], run, sources[0], source) for run, source in zip(runs[1:], sources[1:], strict=True)),
    )


def _differing(sides: Sequence[Mapping[str, Any]]) -> tuple[dict[str, tuple[Any, ...]], int]:
    """The names whose values are not all equal, with one value for each side, and the number of names whose values are."""
    names = dict.fromkeys(name for side in sides for name in side)
    rows = {name: tuple(side.get(name) for side in sides) for name in names}
    different = {name: values for name, values in rows.items() if any(not _equal(value, values[0]) for value in values)}
    return different, len(rows) - len(different)


def _equal(a: Any, b: Any) -> bool:
    return bool(a == b or (a != a and b != b))  # two NaN say the same


def _source(events: Sequence[CellEvent]) -> list[str]:
    return [line for event in events for line in (*event.source.rstrip().splitlines(), "")]


def _difference(a: Run, b: Run, before: list[str], after: list[str]) -> str:
    return "\n".join(difflib.unified_diff(before, after, f"{a.name} {a.id[:8]}", f"{b.name} {b.id[:8]}", lineterm="", n=2))
