"""Small pipelines for tests, and what a run of one tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_mlops import config
from jupyter_mlops.pipelines.running import runner
from jupyter_mlops.records import Pipeline, PipelineRun, PipelineStep


def shell(name: str, command: str, **fields: Any) -> PipelineStep:
    """A step that is a shell command."""
    return PipelineStep(name=name, kind="shell", source=command, **fields)


def notebook(name: str, path: str, **fields: Any) -> PipelineStep:
    """A step that is a notebook."""
    return PipelineStep(name=name, kind="notebook", source=path, **fields)


def python(name: str, function: str, **fields: Any) -> PipelineStep:
    """A step that is a Python function."""
    return PipelineStep(name=name, kind="python", source=function, **fields)


def pipeline(folder: Path, *steps: PipelineStep, **fields: Any) -> Pipeline:
    """A pipeline in a folder."""
    return Pipeline(name="flow", folder=str(folder), steps=steps, **fields)


@dataclass
class Told:
    """What a run told while it went on."""

    events: list[Mapping[str, Any]] = field(default_factory=list)

    def __call__(self, event: Mapping[str, Any]) -> None:
        self.events.append(dict(event))

    def states(self, step: str) -> list[str]:
        """The states that a step went through."""
        return [event["state"] for event in self.events if event["event"] == "step" and event["step"] == step]


def run(flow: Pipeline, told: Told | None = None, **options: Any) -> PipelineRun:
    """Run a pipeline in the settings of the working folder."""
    return runner.run(flow, settings=config.load(), on_event=told or Told(), **options)


def states(done: PipelineRun) -> dict[str, str]:
    """The state of each step of a run."""
    return {step.step: step.state for step in done.steps}


def lines(path: Path) -> list[str]:
    """The lines of a file that steps append to; none when it is not there."""
    return path.read_text().split() if path.exists() else []
