"""pipeline.yaml, read into a `Pipeline`: what is certainly wrong is told with its line and its remedy before anything runs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...errors import PipelineError
from ...records import Pipeline, PipelineStep
from ...store import formats
from . import checks, graph, notebooks, templates, yaml_lines
from .annotations import fits
from .grammar import KINDS, PIPELINE
from .kinds import Wrong
from .wording import nearest, shown

DEFAULT_NAME = "pipeline"
_SAME = ("params", "inputs", "outputs", "kernel", "after", "timeout", "resources", "env", "cache")
"""Keys of a step that the record has under the same name."""
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def load(path: Path) -> Pipeline:
    """The pipeline that a file defines, checked as far as can be told without running it; `parameters` then fills its templates.

    Inputs are as `PipelineStep` has them: `step.output` exactly where `graph.reference` finds a step, else a path, a URL, or a query.
    Raises PipelineError, and NewerFormat for a file whose keys only a newer version of this package knows.
    """
    if not path.is_file():
        beside = sorted(item.name for item in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise PipelineError(f"there is no file {shown(path)}{nearest(path.name, beside, alike=0.8)}")
    document = yaml_lines.read(path)
    if isinstance(document.values, Mapping):
        formats.check(document.file, document.values.get("format"), formats.PIPELINE)
    try:
        _unquoted(document)
        pipeline = _built(PIPELINE.read(document.values, ()), path.resolve(), document)
        checks.templates_of(pipeline)
        filled = parameters(pipeline, {})
        for check in (checks.references, checks.steps_of, checks.schedule_of):
            check(filled)
    except Wrong as wrong:
        raise document.error(wrong.at, wrong.what) from None
    return _with_plain_inputs(pipeline)


def from_notebooks(paths: Sequence[Path], folder: Path | None = None) -> Pipeline:
    """A pipeline of notebooks alone, named after them: where one's output has the name of another's parameter, it flows there.

    Raises PipelineError where two notebooks give the same output that a third takes.
    """
    place = (folder or Path.cwd()).resolve()
    names = _names(paths)
    said = {name: notebooks.declared(place / path) for name, path in zip(names, paths, strict=True)}
    steps = [
        PipelineStep(name=name, kind="notebook", source=os.path.relpath(place / path, place), inputs=_inferred(name, said, place))
        for name, path in zip(names, paths, strict=True)
    ]
    pipeline = Pipeline(name=names[0] if len(names) == 1 else place.name or DEFAULT_NAME, folder=str(place), steps=tuple(steps))
    graph.ordered(pipeline)
    return pipeline


def parameters(pipeline: Pipeline, given: Mapping[str, Any]) -> Pipeline:
    """The pipeline with its parameters set and every `{name}` in its steps replaced; call it also with nothing given.

    Texts (as `-p month=3` gives them) take the type of the pipeline's own default. A pipeline parameter that a shell command names goes
    into its step's `params`; the command itself is filled when it runs (`templates.command`). A pipeline made of notebooks gives each
    parameter to the notebooks that declare it. Raises PipelineError for an unknown name or a value of another type.
    """
    if not pipeline.path:
        return _given_to_notebooks(pipeline, given)
    for name in given:
        if name not in pipeline.params:
            raise PipelineError(f"the pipeline has no parameter {name!r}{nearest(name, pipeline.params)}", shown(pipeline.path))
    values: dict[str, Any] = {}
    for name, default in pipeline.params.items():
        values[name] = _typed(name, given[name], default) if name in given else templates.filled(default, values)
    filled = _with_plain_inputs(
        replace(
            pipeline,
            params=values,
            env=templates.filled(pipeline.env, values),
            steps=tuple(_filled(step, values) for step in pipeline.steps),
        )
    )
    if given:
        try:
            checks.references(filled)
            checks.steps_of(filled)
        except Wrong as wrong:
            raise PipelineError(wrong.what, shown(pipeline.path)) from None
    return filled


def _unquoted(document: yaml_lines.Document) -> None:
    """Raises Wrong for a template without quotes, which YAML takes for a table."""
    params = document.values.get("params") if isinstance(document.values, Mapping) else None
    for at, name in document.bare.items():
        if isinstance(params, Mapping) and name in params:
            raise Wrong(at, f'{{{name}}} is a table in YAML: put it into quotes, "{{{name}}}".')


def _built(table: Mapping[str, Any], path: Path, document: yaml_lines.Document) -> Pipeline:
    stem = path.stem if path.stem != DEFAULT_NAME else path.parent.name
    return Pipeline(
        name=table.get("name") or stem.lstrip(".") or DEFAULT_NAME,
        folder=str(path.parent),
        path=str(path),
        params=table.get("params", {}),
        env=table.get("env", {}),
        schedule=table.get("schedule"),
        notify=table.get("notify", ()),
        release=table.get("release"),
        steps=tuple(_step(name, step, document.line(("steps", name))) for name, step in table["steps"].items()),
    )


def _step(name: str, table: Mapping[str, Any], line: int) -> PipelineStep:
    kind = next(kind for kind in KINDS if kind in table)
    retries = table.get("retries", 0)
    waits = {"times": retries} if isinstance(retries, int) else retries
    given = {key: table[key] for key in _SAME if key in table}
    given |= {key: waits[key] for key in ("backoff", "factor") if key in waits}
    checks = table.get("validate", {})
    given["validate"] = {key: {"schema": asked} if isinstance(asked, str) else asked for key, asked in checks.items()}
    return PipelineStep(name=name, kind=kind, source=table[kind], retries=waits["times"], line=line, **given)


def _filled(step: PipelineStep, values: Mapping[str, Any]) -> PipelineStep:
    own = {part: templates.filled(getattr(step, part), values) for part in ("params", "inputs", "outputs", "validate")}
    own["env"] = {name: templates.written(value) for name, value in templates.filled(step.env, values).items()}
    own["outputs"] = {name: templates.written(value) for name, value in own["outputs"].items()}
    if step.kind == "shell":
        taken = {*own["params"], *own["inputs"], *own["outputs"]}
        own["params"] |= {name: values[name] for name in templates.names(step.source) if name in values and name not in taken}
    return replace(step, **own)


def _with_plain_inputs(pipeline: Pipeline) -> Pipeline:
    """Each input in its plainest form, and one that names the file that another step writes as that step's output."""
    steps = {step.name: step for step in pipeline.steps}
    written = {os.path.normpath(path): f"{step.name}.{name}" for step in pipeline.steps for name, path in step.outputs.items()}

    def plain(step: PipelineStep, value: Any) -> Any:
        if isinstance(value, Mapping) and "query" in value:
            return value
        path = value if isinstance(value, str) else value.get("path") or value["url"]
        if _URL.match(path):
            return path
        source = written.get(os.path.normpath(path))
        if source is not None and source.partition(".")[0] != step.name:
            return source
        if (named := graph.reference(path, steps)) is None:
            return path
        return f"./{path}" if isinstance(value, Mapping) or _is_rather_a_file(path, steps[named[0]], named[1], pipeline.folder) else path

    return replace(
        pipeline,
        steps=tuple(
            replace(step, inputs={name: plain(step, value) for name, value in step.inputs.items()}) if step.inputs else step
            for step in pipeline.steps
        ),
    )


def _is_rather_a_file(path: str, step: PipelineStep, output: str, folder: str) -> bool:
    """Whether `data.csv` means the file, although there is a step called data."""
    if not os.path.exists(os.path.join(folder, path)):
        return False
    try:
        found = checks.gives(step, folder)
    except PipelineError:
        return False
    return found is not None and output not in found


def _typed(name: str, value: Any, default: Any, whose: str = "") -> Any:
    try:
        return templates.typed(value, default)
    except templates.Misfit as misfit:
        raise PipelineError(f"the parameter {name} cannot be {value!r}: its default{whose} is {default!r}, so give {misfit}.") from None


def _names(paths: Sequence[Path]) -> list[str]:
    """A name for each notebook: of its file, with the folder before it where two files are called alike."""
    stems = [_name(path.stem) for path in paths]
    longer = [_name(f"{path.absolute().parent.name}-{path.stem}") for path in paths]
    names = [name if stems.count(stem) > 1 else stem for stem, name in zip(stems, longer, strict=True)]
    for name, path in zip(names, paths, strict=True):
        if names.count(name) > 1:
            raise PipelineError(f"two notebooks are called {shown(path)}, or alike: give one of them another name.")
    return names


def _name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", text).strip("-") or "notebook"
    return name if re.match(r"[A-Za-z_]", name) else f"_{name}"


def _inferred(name: str, said: Mapping[str, notebooks.Declared], folder: Path) -> dict[str, str]:
    """What flows into a notebook: outputs of others that have the name of its parameters, and the files that it says it reads."""
    found: dict[str, str] = {}
    for item in said[name].parameters:
        sources = [other for other in said if other != name and item.name in said[other].outputs]
        if len(sources) > 1:
            raise PipelineError(
                f"{name} takes {item.name!r}, which {' and '.join(sources)} both give: say in a pipeline.yaml which one is meant."
            )
        if sources:
            found[item.name] = f"{sources[0]}.{item.name}"
        elif item.source and isinstance(item.default, str) and (folder / item.default).exists():
            found[item.name] = item.default if graph.reference(item.default, said) is None else f"./{item.default}"
    return found


def _given_to_notebooks(pipeline: Pipeline, given: Mapping[str, Any]) -> Pipeline:
    said = {step.name: notebooks.declared(Path(pipeline.folder, step.source)) for step in pipeline.steps}
    steps = {step.name: step for step in pipeline.steps}
    values: dict[str, Any] = {}
    for name, value in given.items():
        takers = [step for step in steps if said[step].parameter(name) is not None]
        takers = takers or [step for step in steps if not said[step].tagged]
        if not takers:
            declared = [item.name for one in said.values() for item in one.parameters]
            raise PipelineError(f"no notebook declares the parameter {name!r}{nearest(name, dict.fromkeys(declared))}")
        for step in takers:
            values[name] = _for_notebook(name, value, said[step], steps[step].source)
            steps[step] = _set(steps[step], name, values[name])
    return replace(pipeline, params=values, steps=tuple(steps.values()))


def _for_notebook(name: str, value: Any, said: notebooks.Declared, source: str) -> Any:
    item = said.parameter(name)
    default = item.default if item is not None else None
    if item is None or name not in said.annotated:
        return _typed(name, value, default, f" in {source}")
    for read in _readings(value, default):
        if fits(read, item.type):
            return read
    raise PipelineError(f"the parameter {name} cannot be {value!r}: {source} declares it {item.type}, so give it such a value.")


def _readings(value: Any, default: Any) -> list[Any]:
    """What a value may be meant as: of the type of the default, else as JSON, else as the text it is."""
    found: list[Any] = []
    for like in (default, None):
        try:
            found.append(templates.typed(value, like))
        except templates.Misfit:
            continue
    return [*found, value]


def _set(step: PipelineStep, name: str, value: Any) -> PipelineStep:
    """The step with a parameter set; what flowed into it from elsewhere gives way."""
    if name in step.inputs:
        return replace(step, inputs={**step.inputs, name: str(value)})
    return replace(step, params={**step.params, name: value})
