"""The release of a pipeline: what it hands over, and that the same model is released once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound
from jupyter_mlops.pipelines.running.release import Candidate, Outcome, measured, released
from jupyter_mlops.records import Gate, Pipeline, PipelineRun, PipelineStep, StepRun

MODEL = {"kind": "model", "digest": "a" * 64, "object": "a" * 64, "format": "pkl", "size": 3}
STEPS = (
    StepRun(step="train", state="done", run="r1", outputs={"model": MODEL}, metrics={"auc": 0.9, "loss": float("nan")}),
    StepRun(step="evaluate", state="cached", outputs={"auc": {"value": 0.65}, "fair": {"value": True}, "table": {"digest": "b" * 64}}),
)  # fmt: skip
RELEASE: dict[str, Any] = {"model": "train.model", "name": "late", "gates": ({"metric": "auc", "at_least": 0.7},), "to": "champion"}
RELEASE |= {"test": "evaluate.table"}
FAKE = "mlops_test_releaser"


@dataclass
class Fake:
    """A releaser that notes what it is asked for."""

    asked: list[Candidate] = field(default_factory=list)
    outcome: Outcome | Exception = field(
        default_factory=lambda: Outcome(
            gates=(Gate(name="auc at least 0.7", state="passed", value=0.65),), told={"state": "promoted", "name": "late", "version": 1},
            notes=("Version 1 of late is the champion now.",), final=True,
        )
    )  # fmt: skip

    def release(self, candidate: Candidate) -> Outcome:
        self.asked.append(candidate)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """A releaser where `released` looks for it."""
    made, module = Fake(), ModuleType(FAKE)
    module.release = made.release  # type: ignore[attr-defined]  # a module of nothing else
    monkeypatch.setitem(sys.modules, FAKE, module)
    return made


def flow(project: Path, **release: Any) -> Pipeline:
    """A pipeline that releases a model."""
    steps = tuple(PipelineStep(name=name, kind="shell", source="true") for name in ("train", "evaluate"))
    return Pipeline(name="flow", folder=str(project), steps=steps, release={**RELEASE, **release})


def told(pipeline: Pipeline, steps: tuple[StepRun, ...] = STEPS, status: str = "done") -> PipelineRun:
    """What a run tells after its release."""
    run = PipelineRun(id="p1", name="flow", status=status, started=0.0, seconds=1.0, steps=steps)
    return released(pipeline, run, config.load(), f"{FAKE}:release")


def test_numbers_are_those_of_all_steps_by_name_and_by_step() -> None:
    found = measured(STEPS)
    assert (found["auc"], found["train.auc"], found["evaluate.auc"]) == (0.65, 0.9, 0.65)
    assert "fair" not in found
    assert measured([replace(STEPS[0], state="skipped")]) == {}


def test_a_release_gets_the_model_the_data_and_the_numbers(project: Path, fake: Fake) -> None:
    (project / "data.csv").write_text("late\n1\n")
    found = told(flow(project, reference="data.csv", target="late"))
    (candidate,) = fake.asked
    assert (candidate.step.run, candidate.model, candidate.numbers["auc"]) == ("r1", MODEL, 0.65)
    assert (candidate.test, candidate.reference) == ({"digest": "b" * 64}, project / "data.csv")
    assert found.release == {"state": "promoted", "name": "late", "version": 1}
    assert found.gates[0].state == "passed"
    assert found.notes == ("Version 1 of late is the champion now.",)


def test_the_same_model_is_released_once(project: Path, fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = flow(project)
    told(pipeline)
    again = told(pipeline)
    assert len(fake.asked) == 1
    assert again.release == {"state": "promoted", "name": "late", "version": 1, "again": True}
    assert [gate.name for gate in again.gates] == ["auc at least 0.7"]
    assert again.notes == ("The model is unchanged: version 1 of late stays as it is.",)
    changed: tuple[tuple[Pipeline, tuple[StepRun, ...]], ...] = (
        (flow(project, to="challenger"), STEPS),
        (pipeline, (replace(STEPS[0], outputs={"model": {**MODEL, "digest": "c" * 64}}), STEPS[1])),
        (pipeline, (replace(STEPS[0], metrics={"auc": 0.8}), STEPS[1])),
    )
    for number, (other, steps) in enumerate(changed):
        told(other, steps)
        assert len(fake.asked) == 2 + number
    (project / "pyproject.toml").write_text("[tool.mlops.models.late]\napprovals = 1\n")
    told(pipeline)
    assert len(fake.asked) == 5
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://ann:pw@mlflow.example.org")
    assert "again" not in (told(pipeline).release or {})
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://bob:pw@mlflow.example.org")
    assert (told(pipeline).release or {})["again"]
    assert len(fake.asked) == 6


def test_what_is_not_final_is_tried_again(project: Path, fake: Fake) -> None:
    fake.outcome = Outcome(gates=(Gate(name="replay identical", state="unchecked"),), told={"state": "unchecked"})
    for _ in range(2):
        assert told(flow(project)).release == {"state": "unchecked"}
    assert len(fake.asked) == 2


@pytest.mark.parametrize(
    ("steps", "status"),
    [((STEPS[0], replace(STEPS[1], state="failed")), "failed"), ((STEPS[0], replace(STEPS[1], state="skipped")), "done")],
)
def test_a_release_waits_for_all_steps(project: Path, fake: Fake, steps: tuple[StepRun, ...], status: str) -> None:
    found = told(flow(project), steps, status)
    assert (fake.asked, found.release) == ([], None)
    assert [(gate.name, gate.state, gate.why) for gate in found.gates] == [
        ("auc at least 0.7", "unchecked", "a release waits for all steps")
    ]


def test_what_cannot_be_released_is_told_and_ends_no_run(project: Path, fake: Fake) -> None:
    fake.outcome = NotFound("model in the run of step", "train")
    found = told(flow(project))
    assert found.release == {"state": "failed", "why": "There is no model in the run of step 'train'."}
    assert found.notes == ("Not released: There is no model in the run of step 'train'.",)
    assert [gate.state for gate in found.gates] == ["unchecked"]
    lost = told(flow(project, test="evaluate.nosuch"))
    assert lost.release is not None
    assert "step 'evaluate' gave no 'nosuch'" in lost.release["why"]


def test_a_pipeline_without_a_release_is_as_it_was(project: Path, fake: Fake) -> None:
    found: Mapping[str, Any] | None = told(replace(flow(project), release=None)).release
    assert (found, fake.asked) == (None, [])
