"""The pipeline that gives a model: which one it is, whether its data has changed, and a run of it in a process of its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...config import RUN_ID, Settings
from ...errors import MlopsError, NotFound, PipelineError, UsageError
from ...pipelines.definition import loading, yaml_lines
from ...pipelines.running.children import supervise
from ...records import Pipeline, PipelineRun
from ...store.client import PACKAGE, finding
from .. import settings as model_settings

_PLACES = ("*.yaml", "*.yml", "*/*.yaml", "*/*.yml")
_LARGEST = 2**20
_TAIL = 4 * 2**20
_LONGEST_WORDS = 300
_OTHER_KEYS = ("steps", "params", "env")
"""Keys of a pipeline whose tables hold names of the user's."""
_NO_ANSWER = "it ended without an answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run of a pipeline ended: `run` as it told, None where it never came so far; `why` says what went wrong then."""

    run: PipelineRun | None
    why: str = ""


def pipeline_of(settings: Settings, name: str) -> Pipeline:
    """The pipeline that gives the model `name`: the one of its settings, else the one in the project that releases it.

    Raises NotFound where there is none, UsageError where there are several, PipelineError where it cannot be used as it is written.
    """
    chosen = model_settings.of(settings, name).pipeline
    if chosen:
        path = settings.project / chosen
        if not path.is_file():
            raise NotFound("pipeline", chosen, f"Correct `pipeline` in [tool.mlops.models.{name}].")
        return loading.load(path)
    found = list(_releasing(settings.project, name))
    line = f'set [tool.mlops.models.{name}] pipeline = "FILE"'
    if len(found) > 1:
        listed = ", ".join(str(path.relative_to(settings.project)) for path in found[:5])
        raise UsageError(f"Several pipelines release {name!r} ({listed}): {line}.")
    if not found:
        raise NotFound("pipeline that releases", name, f"Write `release: {{name: {name}, ...}}` into a pipeline.yaml, or {line}.")
    return loading.load(found[0])


def new_data(settings: Settings, pipeline: Pipeline) -> str:
    """What of the data that a pipeline reads is not what its last run read, in a few words; "" where it would give the same again."""
    from ...pipelines.caching.plan import opened, planned

    filled = loading.parameters(pipeline, {})
    found: list[str] = []
    for plan in planned(filled, opened(settings, filled)):
        if plan.action == "run":
            found += [f"{plan.step}: {why}" for why in plan.why if why.startswith(("inputs.", "observed: "))]
    return "; ".join(found[:3]) + (f"; and {len(found) - 3} more" if len(found) > 3 else "")


def run(settings: Settings, pipeline: Pipeline, *, identifier: str, log: Path, alive: Callable[[], None]) -> Outcome:
    """Run a pipeline as `mlops run` does, with what it prints in the file `log`. A crash of its code cannot end whoever asked.

    `alive` is called now and then; what it raises ends the run, and goes on.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    # -P: a module of the user's project must never stand in for one of ours.
    command = [sys.executable, "-P", "-m", PACKAGE.name, "run", pipeline.path, "--json"]
    environment = {**finding(), RUN_ID: identifier, "PYTHONUNBUFFERED": "1"}
    try:
        ended = supervise(command, cwd=settings.project, env=environment, log=log, alive=alive)
    except OSError as error:
        return Outcome(run=None, why=f"it could not be run: {error}")
    lines = _lines(log)
    told = next((found for line in reversed(lines) if (found := _answer(line)) is not None), None)
    if told is not None:
        return Outcome(run=told, why=_failure(told))
    said = lines[-1].removeprefix("mlops: ")[:_LONGEST_WORDS] if lines else ""
    return Outcome(run=None, why=said or f"{_NO_ANSWER} (exit status {ended.status})")


def _releasing(project: Path, name: str) -> Iterator[Path]:
    for pattern in _PLACES:
        for path in sorted(project.glob(pattern)):
            if any(part.startswith(".") for part in path.relative_to(project).parts) or path.stat().st_size > _LARGEST:
                continue
            text = path.read_text(encoding="utf-8", errors="replace")
            if "release" not in text and "gates" not in text:
                continue
            try:
                pipeline = loading.load(path)
            except MlopsError:
                # A mistake must not take the model's gates away; other tools' files are passed over.
                if _may_release(path, text, name):
                    raise
                continue
            if (pipeline.release or {}).get("name", pipeline.name) == name:
                yield path


def _may_release(path: Path, text: str, name: str) -> bool:
    """Whether a file that is no pipeline as it is written may be meant to release the model `name`."""
    try:
        values = yaml_lines.read(path).values
    except PipelineError:
        return all(re.search(rf"^{key}\s*:", text, re.MULTILINE) for key in ("steps", "release")) and name in f"{path}\n{text}"
    if not isinstance(values, Mapping):
        return False
    misspelt = (item for key, item in values.items() if key not in _OTHER_KEYS and isinstance(item, Mapping) and "gates" in item)
    release = values.get("release", next(misspelt, None))
    if not isinstance(release, Mapping):
        return release is not None and isinstance(values.get("steps"), Mapping)
    ours = isinstance(values.get("steps"), Mapping) or "gates" in release or "model" in release
    return ours and release.get("name", name) == name


def _answer(line: str) -> PipelineRun | None:
    """The run that a line of `mlops run --json` tells of, where it is the last one and no event."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    whole = isinstance(found, dict) and "event" not in found and {"id", "status", "steps"} <= found.keys()
    return PipelineRun.from_json(found) if whole else None


def _failure(run: PipelineRun) -> str:
    """What went wrong in a run, in a sentence; "" where nothing did."""
    if run.status == "done":
        return ""
    for step in run.steps:
        told = step if isinstance(step, dict) else {"step": step.step, "state": step.state, "error": step.error}
        if told.get("state") == "failed":
            words = [line.strip() for line in str(told.get("error") or "").splitlines() if line.strip()]
            return f"its step {told['step']} failed" + (f": {words[-1][:_LONGEST_WORDS]}" if words else "")
    return f"its run was {run.status}"


def _lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip()]
