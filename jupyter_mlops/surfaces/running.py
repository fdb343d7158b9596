"""The verb `run`: from its words to a pipeline, shown as it goes, with the way on from a failure and reports for continuous integration."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import config
from ..errors import NotFound, UsageError
from ..records import Pipeline, PipelineRun, PipelineStep
from .answers import Plan, short

CHECKS = "jupyter_mlops.models.validation.steps:check"
"""Who checks the inputs of steps. By name, since that is what the machines of a cluster are told."""
RELEASER = "jupyter_mlops.models.registry.releasing:release"
"""Who releases a pipeline's model. By name, so that nothing is imported for one that is released already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What to run: `sources` are a pipeline's file or notebooks, `params` theirs; of the steps `only` these, and those from `start` on."""

    sources: tuple[Path, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    start: str | None = None
    force: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """The files to write at the end: JUnit XML, Markdown, and the graph as SVG."""

    junit: Path | None = None
    summary: Path | None = None
    graph: Path | None = None


def plan(choice: Choice, reports: Reports) -> Plan:
    """What would run, and why; nothing is run and only the graph is written."""
    from ..pipelines.caching.plan import opened, planned
    from ..pipelines.definition import graph

    pipeline = pipeline_of(choice)
    chosen = graph.selected(pipeline, choice.only, choice.start)
    steps = planned(pipeline, opened(config.load(), pipeline), chosen, force=choice.force)
    found = Plan(name=pipeline.name, steps=steps, edges=graph.upstream(pipeline))
    if reports.graph is not None:
        from .pipeline_view import graph_file

        _write(reports.graph, graph_file(found))
    return found


def run(choice: Choice, reports: Reports, *, on: str, jobs: int | None, out: Path | None) -> PipelineRun:
    """Run it, show how it goes, write the reports, and say how to go on where a step failed."""
    from ..pipelines.definition import graph

    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs {jobs} runs nothing: give 1 or more.")
    pipeline = pipeline_of(choice)
    graph.selected(pipeline, choice.only, choice.start)
    edges = graph.upstream(pipeline)
    # Only now: nobody waits for the runner to be told that a word is wrong.
    from ..pipelines.running import runner
    from ..pipelines.running.release import released
    from .progress import progress

    with progress(pipeline.name, edges) as told:
        found = runner.run(
            pipeline, settings=config.load(), executor=on, only=choice.only, start=choice.start, force=choice.force, jobs=jobs, out=out,
            identifier=os.environ.pop(config.RUN_ID, None), tags=_scheduled(), checks=CHECKS, on_event=told,
            after=lambda ended: released(pipeline, ended, config.load(), RELEASER),
        )  # fmt: skip
    notes = (*found.notes, *way_on(pipeline, found, choice))
    found = replace(found, edges=edges, notes=notes)
    report(found, reports)
    return found


def pipeline_of(choice: Choice) -> Pipeline:
    """The pipeline that the sources give, with its parameters set. Raises UsageError, NotFound and PipelineError."""
    from ..pipelines.definition import loading

    sources = [Path(source) for source in choice.sources]
    if not sources:
        raise UsageError("Say what to run: a pipeline.yaml, or one or more notebooks.")
    for source in sources:
        if not source.is_file():
            raise NotFound("file", str(source), "Name a pipeline.yaml, or one or more notebooks.")
    if all(source.suffix == ".ipynb" for source in sources):
        found = loading.from_notebooks(sources)
    elif len(sources) == 1 and sources[0].suffix in (".yaml", ".yml"):
        found = loading.load(sources[0])
    else:
        names = ", ".join(str(source) for source in sources)
        together = " together" if len(sources) > 1 else ""
        raise UsageError(f"{names} cannot be run{together}: give one pipeline.yaml, or one or more notebooks.")
    return loading.parameters(found, choice.params)


def way_on(pipeline: Pipeline, found: PipelineRun, choice: Choice) -> tuple[str, ...]:
    """How to go on after a failure or an interruption: what to mend, and the command that leaves out what is done; () after success."""
    if found.status == "done":
        return ()
    from ..pipelines.running import checking

    again = " ".join(["mlops run", *(shlex.quote(short(str(source))) for source in choice.sources), *_options(choice)])
    steps = {step.name: step for step in pipeline.steps}
    failed = [steps[step.step] for step in found.steps if step.state == "failed"]
    refused = {step.step for step in found.steps if checking.REFUSED in step.error}
    mend = list(dict.fromkeys(_data_of(step) if step.name in refused else _code_of(step, pipeline) for step in failed))
    kept = [step.step for step in found.steps if step.state in ("done", "cached") and steps[step.step].cache]
    first = f"Mend {_listed(mend)}, then: " if mend else "To go on: "
    return (f"{first}{again}{_not_again(kept)}",)


def _data_of(step: PipelineStep) -> str:
    """What a step was not begun with."""
    return f"the data of {_listed(list(step.validate))}, or what it is held against"


def _code_of(step: PipelineStep, pipeline: Pipeline) -> str:
    """Where the code of a step is, for its reader."""
    file = step.source.rpartition(":")[0] if step.kind == "python" else step.source
    if step.kind == "shell" or not Path(pipeline.folder, file).is_file():
        return f"step {step.name} in {short(pipeline.path)}" if step.kind == "shell" else file
    return short(str(Path(pipeline.folder, file)))


def report(found: PipelineRun, reports: Reports) -> None:
    """Write the reports that were asked for."""
    if reports.junit is not None:
        from .reports import junit

        _write(reports.junit, junit(found))
    if reports.summary is not None:
        from .reports import markdown

        # GitHub shows this file as a whole, whichever commands of the job's step have written to it.
        shared = os.environ.get("GITHUB_STEP_SUMMARY") == str(reports.summary)
        _write(reports.summary, markdown(found), mode="a" if shared else "w")
    if reports.graph is not None:
        from .pipeline_view import graph_file

        _write(reports.graph, graph_file(found))


def _scheduled() -> dict[str, str]:
    """Tags that tell which due time of which schedule the run is for, where a scheduler began it."""
    told = {"mlops.schedule": os.environ.get(config.SCHEDULE), "mlops.due": os.environ.get(config.DUE)}
    return {name: text for name, text in told.items() if text}


def _write(path: Path, text: str, mode: str = "w") -> None:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode, encoding="utf-8") as file:
        file.write(text)


def _options(choice: Choice) -> list[str]:
    given = [word for name, value in choice.params.items() for word in ("-p", shlex.quote(f"{name}={value}"))]
    only = [word for name in choice.only for word in ("--only", name)]
    return [*given, *only, *(["--from", choice.start] if choice.start else [])]


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _not_again(kept: list[str]) -> str:
    """Which steps the next run leaves out."""
    if not kept:
        return ""
    names = _listed([*kept[:3], f"{len(kept) - 3} more"] if len(kept) > 4 else kept)
    return f" ({names} {'is' if len(kept) == 1 else 'are'} cached)"
