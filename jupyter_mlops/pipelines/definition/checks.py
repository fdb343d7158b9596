"""What is certainly wrong with a pipeline, found before anything runs. Each check raises `Wrong` with the place of the first fault."""

from __future__ import annotations

import mimetypes
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...code.literals import words
from ...errors import PipelineError, UsageError
from ...records import Pipeline, PipelineStep
from . import functions, graph, notebooks, templates
from .annotations import fits, fits_default
from .kinds import Wrong
from .wording import nearest, shown
from .yaml_lines import At

_DIGEST = re.compile(r"[0-9a-f]{6,64}")
_LIKE_A_REFERENCE = re.compile(r"[A-Za-z_][\w-]*\.[^\W\d]\w*")
_SUFFIXES = words(
    "arrow avro bz2 csv db duckdb feather geojson gpkg gz h5 hdf5 ipc joblib json jsonl log md nc ndjson npy npz onnx orc parquet pickle "
    "pkl pt pth rds sav sql sqlite tar toml tsv txt xlsx xml xz yaml yml zarr zip zst"
)


def gives(step: PipelineStep, folder: str) -> frozenset[str] | None:
    """The names of what a step gives; None where that shows only when it runs. Raises PipelineError for a notebook that cannot be read."""
    if step.kind == "python":
        return None
    if step.kind == "shell":
        return frozenset(step.outputs)
    said = notebooks.declared(Path(folder, step.source))
    return frozenset((*said.outputs, *step.outputs)) if said.named else None


def templates_of(pipeline: Pipeline) -> None:
    """Every `{name}` is a parameter of the pipeline, or in a shell command something of the step."""
    before: list[str] = []
    for name, value in pipeline.params.items():
        _known(value, before, ("params", name))
        before.append(name)
    _known(pipeline.env, before, ("env",))
    for step in pipeline.steps:
        for part in ("params", "inputs", "outputs", "env", "validate"):
            for name, value in getattr(step, part).items():
                _known(value, before, ("steps", step.name, part, name))
        if step.kind == "shell":
            _known(step.source, [*before, *step.params, *step.inputs, *step.outputs], ("steps", step.name, "shell"))


def _known(value: Any, names: list[str], at: At) -> None:
    for name in templates.names(value):
        if name not in names:
            raise Wrong(at, f"{{{name}}} names no parameter (write {{{{{name}}}}} for plain text){nearest(name, names)}")


def references(pipeline: Pipeline) -> None:
    """Every step and output that is named exists; steps do not wait for each other (that raises PipelineError)."""
    steps = {step.name: step for step in pipeline.steps}
    for step in pipeline.steps:
        for name in step.after:
            if name not in steps:
                told = f"step {step.name!r} comes after {name!r}, which is no step{nearest(name, steps)}"
                raise Wrong(("steps", step.name, "after"), told)
        for name, value in step.inputs.items():
            _source(value, steps, pipeline, ("steps", step.name, "inputs", name))
    if pipeline.release is not None:
        model = pipeline.release["model"]
        if graph.reference(model, steps) is None:
            known = nearest(str(model).partition(".")[0], steps)
            raise Wrong(("release", "model"), f"the released model {model!r} is no output of a step{known}")
        _source(model, steps, pipeline, ("release", "model"))
        for key in ("test", "reference"):
            _source(pipeline.release.get(key), steps, pipeline, ("release", key))
    graph.ordered(pipeline)


def _source(value: Any, steps: Mapping[str, PipelineStep], pipeline: Pipeline, at: At) -> None:
    if not isinstance(value, str):
        return
    if (source := graph.reference(value, steps)) is not None:
        name, output = source
        found = _of_step(lambda: gives(steps[name], pipeline.folder), name)
        if found is not None and output not in found:
            told = f"it gives {', '.join(sorted(found))}." if found else "it gives nothing: tag a cell of it 'outputs', or declare files."
            raise Wrong(at, f"step {name!r} gives no {output!r}: {told}" if found else f"step {name!r} gives no {output!r}, {told}")
    elif _LIKE_A_REFERENCE.fullmatch(value) and not _may_be_a_file(value, pipeline.folder):
        name = value.partition(".")[0]
        raise Wrong(at, f"{value!r} names no step and no file{nearest(name, steps)}")


def _may_be_a_file(value: str, folder: str) -> bool:
    suffix = value.rpartition(".")[2].lower()
    return suffix in _SUFFIXES or mimetypes.guess_type(value)[0] is not None or os.path.exists(os.path.join(folder, value))


def steps_of(pipeline: Pipeline) -> None:
    """Notebooks and functions are there, and take what they are given."""
    for step in pipeline.steps:
        at: At = ("steps", step.name)
        if both := [name for name in step.inputs if name in step.params]:
            raise Wrong((*at, "inputs", both[0]), f"step {step.name!r} has {both[0]!r} as a param and as an input: keep one of them.")
        _validated(step, pipeline.folder, at)
        if step.kernel and step.kind != "notebook":
            raise Wrong((*at, "kernel"), f"step {step.name!r} is no notebook and has no kernel: take the key away.")
        if step.kind == "notebook":
            _notebook(step, pipeline.folder, at)
        elif step.kind == "python":
            _function(step, pipeline.folder, at)


def _validated(step: PipelineStep, folder: str, at: At) -> None:
    """What is checked is an input, and the files of its schema and reference are there; a reference may be a digest."""
    for name, asked in step.validate.items():
        if name not in step.inputs:
            told = f"step {step.name!r} checks {name!r}, which is none of its inputs{nearest(name, step.inputs)}"
            raise Wrong((*at, "validate", name), told)
        for key, value in asked.items():
            file = Path(folder, functions.path_of(value))
            if not file.exists() and not (key == "reference" and _DIGEST.fullmatch(value)):
                learn = "" if key == "reference" else ", write one with `mlops validate DATA --learn --out FILE`"
                told = f"step {step.name!r}: there is no {key} {shown(file)}: correct its path{learn}."
                raise Wrong((*at, "validate", name), told)


def schedule_of(pipeline: Pipeline) -> None:
    """The schedule has a time zone that exists, and is due at some time."""
    if pipeline.schedule is None:
        return
    from ..scheduling.due import Cron, zone

    name = pipeline.schedule.get("timezone") or "UTC"
    for key, check in (("timezone", lambda: zone(name)), ("cron", Cron(pipeline.schedule["cron"], name).check)):
        try:
            check()
        except UsageError as error:
            raise Wrong(("schedule", key), str(error)) from None


def _of_step(read: Any, name: str) -> Any:
    """What is read of a step's file, whose faults belong to that step."""
    try:
        return read()
    except PipelineError as error:
        raise Wrong(("steps", name, "notebook"), f"step {name!r}: {error}") from None


def _notebook(step: PipelineStep, folder: str, at: At) -> None:
    path = Path(folder, step.source)
    said = _of_step(lambda: notebooks.declared(path), step.name)
    if not said.tagged:
        return
    known = {item.name: item for item in said.parameters}
    for part in ("params", "inputs"):
        for name, value in getattr(step, part).items():
            item = known.get(name)
            if item is None:
                raise Wrong(
                    (*at, part, name), f"step {step.name!r} sets {name!r}, which {step.source} does not declare{nearest(name, known)}"
                )
            if part == "params":
                wanted = item.type if name in said.annotated else f"like its default {item.default!r}"
                right = fits(value, item.type) if name in said.annotated else fits_default(value, item.default)
                if not right:
                    raise _misfit(step, name, value, f"{step.source} declares it {wanted}", at)


def _function(step: PipelineStep, folder: str, at: At) -> None:
    at_source: At = (*at, "python")
    path = functions.file_of(step.source, Path(folder))
    name = step.source.rpartition(":")[2]
    try:
        source = functions.source_of(path) if path is not None else None
    except OSError:
        raise Wrong(at_source, f"step {step.name!r}: there is no file {step.source.rpartition(':')[0]}: mend its path.") from None
    if path is None or source is None:
        return
    if name not in source.functions:
        if source.complete:
            raise Wrong(at_source, f"step {step.name!r}: {shown(path)} has no function {name!r}{nearest(name, source.functions)}")
        return
    signature = source.functions[name]
    if signature is None:
        return
    for part in ("params", "inputs"):
        for given, value in getattr(step, part).items():
            annotation = signature.annotations.get(given)
            if annotation is None and not signature.others:
                ending = nearest(given, signature.annotations)
                raise Wrong((*at, part, given), f"step {step.name!r} sets {given!r}, which {name}() does not take{ending}")
            if part == "params" and annotation and not fits(value, annotation):
                raise _misfit(step, given, value, f"{name}() wants {annotation}", at)
    if missing := [item for item in signature.required if item not in step.params and item not in step.inputs]:
        raise Wrong(at_source, f"step {step.name!r}: {name}() needs {', '.join(missing)}: give it under params or inputs.")


def _misfit(step: PipelineStep, name: str, value: Any, told: str, at: At) -> Wrong:
    return Wrong((*at, "params", name), f"step {step.name!r} sets {name} to {value!r}, and {told}: give it such a value.")
