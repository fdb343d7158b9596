"""The conditions of a release, as far as a run can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from jupyter_mlops.pipelines.running.gates import judged
from jupyter_mlops.records import Gate, StepRun

STEPS = (
    StepRun(step="train", state="done", metrics={"auc": 0.9, "loss": float("nan")}),
    StepRun(step="evaluate", state="cached", outputs={"auc": {"value": 0.65}, "fair": {"value": True}, "table": {"kind": "frame"}}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ({"metric": "auc", "at_least": 0.6}, Gate(name="auc at least 0.6", state="passed", value=0.65)),
        ({"metric": "auc", "at_least": 0.65}, Gate(name="auc at least 0.65", state="passed", value=0.65)),
        ({"metric": "auc", "at_least": 0.7}, Gate(name="auc at least 0.7", state="failed", value=0.65)),
        ({"metric": "train.auc", "at_least": 0.7}, Gate(name="train.auc at least 0.7", state="passed", value=0.9)),
        ({"metric": "auc", "at_least": 0.6, "at_most": 0.64}, Gate(name="auc at least 0.6 and at most 0.64", state="failed", value=0.65)),
        ({"metric": "f1", "at_least": 0.5}, Gate(name="f1 at least 0.5", state="failed", why="no step gave f1")),
        ({"metric": "fair", "at_least": 1}, Gate(name="fair at least 1", state="failed", why="no step gave fair")),
        (
            {"no_worse_than": "champion", "metric": "auc"},
            Gate(name="no worse than champion metric auc", state="unchecked", why="only the registry of models can tell"),
        ),
        (
            {"fairness": "demographic_parity_difference", "sensitive": "origin", "at_most": 0.1},
            Gate(
                name="fairness demographic_parity_difference sensitive origin at most 0.1", state="unchecked",
                why="only the registry of models can tell",
            ),
        ),
    ],
)  # fmt: skip
def test_a_gate_is_judged_by_what_the_steps_gave(gate: Mapping[str, Any], expected: Gate) -> None:
    assert judged({"model": "train.model", "gates": (gate,)}, STEPS) == (expected,)


def test_a_number_that_is_none_meets_no_condition() -> None:
    (gate,) = judged({"gates": [{"metric": "loss", "at_most": 1.0}]}, STEPS)
    assert gate.state == "failed"


def test_a_gate_waits_for_steps_that_did_not_run() -> None:
    steps = (*STEPS, StepRun(step="later", state="skipped", metrics={"f1": 1.0}))
    gates = [{"metric": "f1", "at_least": 0.5}, {"metric": "auc", "at_least": 0.7}]
    assert [gate.state for gate in judged({"gates": gates}, steps)] == ["unchecked", "failed"]


@pytest.mark.parametrize("release", [None, {}, {"model": "train.model"}])
def test_without_gates_nothing_is_judged(release: Mapping[str, Any] | None) -> None:
    assert judged(release, STEPS) == ()
