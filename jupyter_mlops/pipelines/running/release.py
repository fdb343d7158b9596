"""The release of a pipeline's model, once all steps are done: it is registered, held against its gates, and promoted.

Who does that is named from outside (`Releaser`): pipelines know nothing of registries. What came of a release is kept under a key of all
that it depends on, so that the same model is released once, however often the pipeline runs, and an unchanged pipeline imports nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ...code.secrets import without_credentials
from ...config import Settings
from ...errors import LeaseLost, MlopsError, PipelineError
from ...records import Gate, Pipeline, PipelineRun, StepRun, to_json
from ..caching.plan import opened
from ..definition import graph

if TYPE_CHECKING:
    from ..caching.commits import Commit, Commits

GOOD = ("done", "cached")
FAILED, UNCHECKED = "failed", "unchecked"
_SERVERS = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_SECONDS = 120.0
_PATIENCE = 600.0
_PAUSE = 0.5
_STEP = "release:"
"""What the releases of a pipeline are kept under; no step can have such a name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model that a pipeline gave, to be released. `release` is as the file has it; `model` tells of the output, `step` of the step that
    gave it; `test` and `reference` are outputs as steps tell of them, paths, or None; `numbers` are what all steps gave, by name and by
    STEP.NAME; `run` is the pipeline's run."""

    pipeline: Pipeline
    settings: Settings
    run: str
    step: StepRun
    model: Mapping[str, Any]
    release: Mapping[str, Any]
    test: Mapping[str, Any] | Path | None = None
    reference: Mapping[str, Any] | Path | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a release: its gates, and `told`, which has at least the "state": promoted, registered, passed, refused, waiting, failed
    or unchecked. Only a `final` one is kept: of another the next run may make more."""

    gates: tuple[Gate, ...]
    told: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    final: bool = False


class Releaser(Protocol):
    """Registers, judges and promotes a model."""

    def __call__(self, candidate: Candidate) -> Outcome:
        """What came of it. Raises MlopsError where it cannot be done at all."""


def released(pipeline: Pipeline, told: PipelineRun, settings: Settings, releaser: str) -> PipelineRun:
    """The run with what came of its release; as it is for a pipeline without one. `releaser` is the place of one, as module:function."""
    if not pipeline.release:
        return told
    steps = {step.step: step for step in told.steps}
    if told.status != "done" or any(step.state not in GOOD for step in told.steps):
        return replace(told, gates=_unchecked(pipeline.release, "a release waits for all steps"))
    try:
        commits = opened(settings, pipeline)
        candidate = _candidate(pipeline, told.id, steps, settings)
        parts = _parts(candidate, commits)
        key = hashlib.blake2b(json.dumps(parts, sort_keys=True, default=str).encode(), digest_size=32).hexdigest()
        earlier = commits.latest_of(pipeline.name).get(_name(candidate))
        if earlier is not None and earlier.key == key:
            return _with(told, _earlier(earlier))
        return _with(told, _once(candidate, commits, key, parts, releaser))
    except MlopsError as error:
        gates = _unchecked(pipeline.release, "the model was not released")
        return replace(told, gates=gates, release={"state": FAILED, "why": str(error)}, notes=(*told.notes, f"Not released: {error}"))


def measured(steps: Iterable[StepRun]) -> dict[str, float]:
    """The numbers that steps gave: metrics and scalar outputs, by name (the last step's where several have it) and by STEP.NAME."""
    found: dict[str, float] = {}
    for step in steps:
        if step.state not in GOOD:
            continue
        values = {name: output.get("value") for name, output in step.outputs.items()} | dict(step.metrics)
        for name, value in values.items():
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found[name] = found[f"{step.step}.{name}"] = float(value)
    return found


def _candidate(pipeline: Pipeline, run: str, steps: Mapping[str, StepRun], settings: Settings) -> Candidate:
    release = pipeline.release or {}
    found = {key: _source(release.get(key), steps, pipeline, key) for key in ("model", "test", "reference")}
    model = found["model"]
    if not isinstance(model, Mapping):
        raise PipelineError(f"the released model {release.get('model')!r} is no output of a step.", pipeline.path)
    return Candidate(
        pipeline=pipeline, settings=settings, run=run, step=steps[str(release["model"]).partition(".")[0]], model=model, release=release,
        test=found["test"], reference=found["reference"], numbers=measured(steps[step.name] for step in pipeline.steps),
    )  # fmt: skip


def _source(value: Any, steps: Mapping[str, StepRun], pipeline: Pipeline, key: str) -> Mapping[str, Any] | Path | None:
    if value is None:
        return None
    if (named := graph.reference(value, steps)) is None:
        return Path(pipeline.folder, str(value))
    step, output = named
    if output not in steps[step].outputs:
        raise PipelineError(f"release.{key} is {value!r}, but step {step!r} gave no {output!r}.", pipeline.path)
    return dict(steps[step].outputs[output])


def _parts(candidate: Candidate, commits: Commits) -> dict[str, Any]:
    """All that a release depends on. Functions and schemas of gates count by the content of their files."""
    contents = {"model": _digest(candidate.model, commits)}
    contents |= {key: _digest(getattr(candidate, key), commits) for key in ("test", "reference")}
    for gate in candidate.release.get("gates") or ():
        for key in ("gate", "business", "data"):
            file = str(gate.get(key, "")).partition(":")[0]
            if file and Path(candidate.pipeline.folder, file).is_file():
                contents[file] = commits.contents.file(file)
    settings = candidate.settings.project / "pyproject.toml"
    # Gates of the model's own stand there, too.
    contents["pyproject.toml"] = commits.contents.file(settings) if settings.is_file() else ""
    # Another server has none of the versions that this one was given.
    servers = {name: without_credentials(uri) for name in _SERVERS if (uri := os.environ.get(name))}
    return {"release": to_json(candidate.release), "contents": contents, "numbers": candidate.numbers, **servers}


def _digest(source: Mapping[str, Any] | Path | None, commits: Commits) -> str:
    if source is None:
        return ""
    if isinstance(source, Mapping):
        return str(source["digest"])
    try:
        return commits.contents.file(source)
    except OSError as error:
        raise PipelineError(f"the release reads {source}, which cannot be read ({error.strerror or error}): correct the path.") from None


def _name(candidate: Candidate) -> str:
    return f"{_STEP}{candidate.release.get('name', '')}"


def _once(candidate: Candidate, commits: Commits, key: str, parts: Mapping[str, Any], releaser: str) -> Outcome:
    """Release it, while no other runner does; what another one made of it counts."""
    deadline = time.monotonic() + _PATIENCE
    while (claim := commits.claim(key, f"release {candidate.run}", _SECONDS)) is None:
        if time.monotonic() > deadline:
            raise PipelineError("another run releases the same model, and takes too long: run it again.", candidate.pipeline.path)
        time.sleep(_PAUSE)
    from ..caching.commits import Commit

    if isinstance(claim, Commit):
        return _earlier(claim)
    try:
        module, _, name = releaser.partition(":")
        outcome: Outcome = getattr(import_module(module), name)(candidate)
        if outcome.final:
            told = {"gates": to_json(outcome.gates), "told": to_json(outcome.told)}
            made = Commit(
                key=key, parts=parts, pipeline=candidate.pipeline.name, step=_name(candidate), outputs={"release": told},
                run=candidate.step.run,
            )  # fmt: skip
            try:
                commits.add(made, claim)
            except LeaseLost:  # it took so long that another began, which finds the model registered
                return outcome
        return outcome
    finally:
        commits.leases.release(claim)


def _earlier(commit: Commit) -> Outcome:
    kept = commit.outputs["release"]
    told = {**kept["told"], "again": True}
    version = told.get("version")
    note = f"The model is unchanged: version {version} of {told.get('name')} stays as it is." if version else ""
    return Outcome(gates=tuple(Gate.from_json(gate) for gate in kept["gates"]), told=told, notes=(note,) if note else (), final=True)


def _with(told: PipelineRun, outcome: Outcome) -> PipelineRun:
    return replace(told, gates=outcome.gates, release=outcome.told, notes=(*told.notes, *outcome.notes))


def _unchecked(release: Mapping[str, Any], why: str) -> tuple[Gate, ...]:
    return tuple(Gate(name=_title(gate), state=UNCHECKED, why=why) for gate in release.get("gates") or ())


def _title(gate: Mapping[str, Any]) -> str:
    words = []
    for key, value in gate.items():
        told = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        words.append(f"{key.replace('_', ' ')} {told}")
    return " ".join(words).removeprefix("metric ")
