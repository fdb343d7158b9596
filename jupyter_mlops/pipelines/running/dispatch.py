"""Turns the steps of a run into tasks for executors, and results that are there already into steps that need none."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...errors import MlopsError
from ...records import Pipeline, PipelineStep, StepRun
from ..caching.plan import Look, Outputs, Planner, opened
from ..definition import graph
from . import checking
from .task import Task, cached
from .workplace import PIPELINES, carried, files_of, mark, reachable

if TYPE_CHECKING:
    from ...store.objects import ObjectStore

NOTEBOOK = ".ipynb"


class Dispatch:
    """The tasks of one run of a pipeline. `remote` tells that its steps may run on machines that do not have its files."""

    def __init__(
        self, pipeline: Pipeline, settings: Settings, *, run: str, out: Path | None, remote: bool, force: bool, checks: str = ""
    ) -> None:
        self._pipeline, self._settings, self._run, self._remote = pipeline, settings, run, remote
        self._names = frozenset(step.name for step in pipeline.steps)
        self._folder = Path(pipeline.folder)
        self._commits = opened(settings, pipeline)
        self._planner = Planner(pipeline, self._commits, force=force)
        self._asked = out is not None
        self._out = (out or settings.home / PIPELINES / pipeline.name / run[:8]).absolute()
        self._files = files_of(settings)
        self._warmed = False
        self._checks = checks

    @cached_property
    def objects(self) -> ObjectStore:
        """Where outputs are kept."""
        from ...store.objects import open_objects

        return open_objects(self._settings)

    def look(self, step: PipelineStep, above: Mapping[str, Outputs]) -> Look:
        """How a step stands, given the outputs of the steps above it. Raises PipelineError."""
        return self._planner.look(step, above)

    def warm(self, step: PipelineStep, kernels: int) -> None:
        """A step will run: where it needs a kernel here, let one be made ready while all else is, and the next while it works.

        `kernels` is how many the run may still begin.
        """
        if step.kind == "notebook" and not self._remote:
            from ..kernels import warm

            if warm.FORKS:
                self._warmed = True
                warm.shared().expect(kernels)

    def cool(self) -> None:
        """No step will run any more: kernels that wait are given back."""
        if self._warmed:
            from ..kernels.warm import enough

            enough()

    def borrowed(self, step: PipelineStep, above: Mapping[str, Outputs]) -> StepRun:
        """A step that was not chosen, with its earlier outputs for those that were. Raises PipelineError."""
        return replace(cached(self._planner.borrowed(step, above)), state="skipped", why=("not chosen",))

    def cached(self, look: Look) -> StepRun:
        """A step whose result is there; so are its notebook and the files that it declares."""
        assert look.commit is not None
        told = cached(look.commit)
        self._put_back(look.step, told.outputs)
        if not look.commit.notebook:
            return told
        executed = {"digest": look.commit.notebook, "object": look.commit.notebook, "format": _suffix(look.step).removeprefix(".")}
        with suppress(MlopsError, OSError):  # without it the result is as good
            return replace(told, notebook=str(self._copied(executed, look.step) if self._asked else self._file(executed)))
        return told

    def brought(self, step: PipelineStep, told: StepRun) -> StepRun:
        """A step that was done elsewhere, perhaps: what it declares as files is here now, and so is its notebook."""
        if not self._remote:
            return told
        self._put_back(step, told.outputs)
        commit = self._commits.find(told.key or "")
        target = self._path(step)
        if commit is not None and commit.notebook and not target.exists():
            from . import outputs

            with suppress(MlopsError, OSError):
                outputs.put_back({"digest": commit.notebook, "object": commit.notebook}, target, self.objects)
        return told

    def takers(self, chosen: Iterable[str]) -> frozenset[str]:
        """The chosen steps, and those whose outputs they take, directly or through others."""
        steps = {step.name: step for step in self._pipeline.steps}
        found, waiting = set(chosen), list(chosen)
        while waiting:
            new = {above for above, _ in self._sources(steps[waiting.pop()]).values()} - found
            found |= new
            waiting += sorted(new)
        return frozenset(found)

    def task(self, look: Look, above: Mapping[str, Outputs]) -> Task:
        """The task of a step. Raises MlopsError or OSError where files that it needs cannot be stored for other machines."""
        step = look.step
        return Task(
            pipeline=replace(self._pipeline, steps=(step,), notify=(), schedule=None, release=None),
            key=look.key,
            parts=look.parts,
            inputs=look.inputs,
            given={name: above[source][output] for name, (source, output) in self._sources(step).items()},
            settings=replace(self._settings, experiment=self._experiment) if self._remote else self._settings,
            run=self._run,
            owner=self._run,
            out=str(self._path(step)),
            made_after=look.made_after,
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or None,
            mark=mark(self._settings),
            needed=self._needed(look) if self._remote else {},
            elsewhere=self._elsewhere(step),
            remote=self._remote,
            checks=self._checks,
        )

    def forget(self, step: PipelineStep, gone: Iterable[str]) -> None:
        """Forget the results whose bytes turned out to be gone: those of the inputs named `gone`. The next run makes them anew."""
        sources = self._sources(step)
        for name in gone:
            commit = self._commits.latest(self._pipeline.name, sources[name][0])
            if commit is not None:
                self._commits.forget(commit)

    def free(self, key: str) -> None:
        """Let others have a key that this run claimed and whose work is lost."""
        self._commits.free(key, self._run)

    @property
    def _experiment(self) -> str:
        """The experiment of the pipeline's run, which a machine without the project would not know."""
        return self._settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or self._settings.project.name

    def _sources(self, step: PipelineStep) -> dict[str, tuple[str, str]]:
        """The inputs of a step that come from others: {input: (step, output)}."""
        found = {name: graph.reference(value, self._names) for name, value in step.inputs.items()}
        return {name: source for name, source in found.items() if source is not None}

    def _elsewhere(self, step: PipelineStep) -> tuple[str, ...]:
        """The files that other steps declare as inputs, and this one does not."""
        values = {value for other in self._pipeline.steps for value in other.inputs.values() if isinstance(value, str)}
        declared = values - {value for value in step.inputs.values() if isinstance(value, str)}
        return tuple(sorted(value for value in declared if graph.reference(value, self._names) is None))

    def _path(self, step: PipelineStep) -> Path:
        return self._out if self._out.suffix == NOTEBOOK else self._out / f"{step.name}{_suffix(step)}"

    def _file(self, output: Mapping[str, Any]) -> Path:
        there = self._files / f"{output['digest']}.{output['format']}"
        if there.exists():
            return there
        from . import outputs

        return outputs.materialise(output, self._files, self.objects, to_last=False)

    def _copied(self, executed: Mapping[str, Any], step: PipelineStep) -> Path:
        """The executed notebook where it was asked for."""
        from . import outputs

        target = self._path(step)
        target.parent.mkdir(parents=True, exist_ok=True)
        outputs.put_back(executed, target, self.objects)
        return target

    def _put_back(self, step: PipelineStep, given: Mapping[str, Any]) -> None:
        """Write the files that a step declares as outputs, where they are missing or hold something else."""
        for name, path in step.outputs.items():
            target = self._folder / path
            if not target.exists() or self._commits.contents.file(target) != given[name]["digest"]:
                from . import outputs

                outputs.put_back(given[name], target, self.objects)

    def _needed(self, look: Look) -> dict[str, Mapping[str, Any]]:
        """The code of a step and the files that it is given, for machines that do not have them."""
        try:
            reachable(self._settings)
        except MlopsError:
            return {}  # only workers of this machine can do it; others say why they cannot
        step = look.step
        source = {"notebook": [step.source], "python": [step.source.rpartition(":")[0]], "shell": []}[step.kind]
        declared = [value for value in step.inputs.values() if isinstance(value, str) and graph.reference(value, self._names) is None]
        paths = dict.fromkeys((*source, *look.parts.get("modules", {}), *declared, *checking.files(step)))
        return carried(self._folder, [path for path in paths if "://" not in path and not Path(path).is_absolute()], self.objects)


def _suffix(step: PipelineStep) -> str:
    return NOTEBOOK if step.kind == "notebook" else ".log"
