"""The conditions of a release, as far as the run of a pipeline can tell: bounds on the numbers that its steps gave. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ...records import Gate, StepRun

_GOOD = ("done", "cached")
_BOUNDS = {"at_least": "at least", "at_most": "at most"}


def judged(release: Mapping[str, Any] | None, steps: Iterable[StepRun]) -> tuple[Gate, ...]:
    """Each gate of a release, in the order of its file.

    `{metric: auc, at_least: 0.7}` is compared with the metric or output `auc` that a step gave, the last one where several did
    (`evaluate.auc` names one step's). A number that no step gave, and NaN, meet no condition. What is left unchecked says so: a gate that
    needs more than numbers (the champion to compare with, data to examine), and one whose number is missing where not all steps ran.
    """
    gates = (release or {}).get("gates") or ()
    steps = tuple(steps)
    found, whole = measured(steps), all(step.state in _GOOD for step in steps)
    return tuple(_judged(gate, found, whole) for gate in gates)


def measured(steps: Iterable[StepRun]) -> dict[str, float]:
    """The numbers that steps gave: metrics and scalar outputs, by name and by STEP.NAME."""
    found: dict[str, float] = {}
    for step in steps:
        if step.state not in _GOOD:
            continue
        values = {name: output.get("value") for name, output in step.outputs.items()} | dict(step.metrics)
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[name] = found[f"{step.step}.{name}"] = float(value)
    return found


def _judged(gate: Mapping[str, Any], found: Mapping[str, float], whole: bool) -> Gate:
    metric = gate.get("metric")
    bounds = {key: gate[key] for key in _BOUNDS if key in gate}
    if metric is None or not bounds or set(gate) - {"metric", *bounds}:
        name = " ".join(str(part) for key, value in gate.items() for part in (str(key).replace("_", " "), value))
        return Gate(name=name, state="unchecked", why="only the registry of models can tell")
    name = f"{metric} " + " and ".join(f"{_BOUNDS[key]} {bound}" for key, bound in bounds.items())
    value = found.get(str(metric))
    if value is None and not whole:
        return Gate(name=name, state="unchecked", why=f"no step that ran gave {metric}")
    if value is None:
        return Gate(name=name, state="failed", why=f"no step gave {metric}")
    met = not math.isnan(value) and value >= bounds.get("at_least", -math.inf) and value <= bounds.get("at_most", math.inf)
    return Gate(name=name, state="passed" if met else "failed", value=value)
