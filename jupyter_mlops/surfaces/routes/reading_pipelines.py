"""What the panel reads of pipelines: those of the project, what became of their runs, and what their steps printed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ... import config
from ...errors import MlopsError, NotFound, PipelineError, UsageError
from ...records import PipelineRun, PipelineStep, Run, StepRun
from ...store import client
from ..answers import Layout, Plan
from ..drawing import layout
from .places import contents_path

MOST_FOLDERS = 2_000
MOST_DEEP = 5
MOST_RUNS = 2_000
"""Runs that are asked for at once; those of steps are among them."""
MOST_TEXT = 200_000
"""Characters of what a step printed: its end is shown."""
MOST_NOTEBOOK = 100_000_000

_STEPS = re.compile(r"^steps:\s*($|#|\{)", re.MULTILINE)
_KINDS = re.compile(r"\b(notebook|python|shell):\s")
_NAME = re.compile(r"""^name:\s*["']?([^"'#\n]*[^"'#\s])""", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_LEFT_OUT = {"node_modules", "__pycache__", "site-packages", "mlruns", "mlartifacts"}
_STATES = {"FINISHED": "done", "FAILED": "failed", "KILLED": "cancelled", "RUNNING": "running", "SCHEDULED": "waiting"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a file, and the `line` (from 1; 0 where it is not known) at which."""

    message: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRun:
    """A run of a pipeline that is over, or goes on elsewhere; `schedule` and `due` tell for which due time it was begun."""

    run: PipelineRun
    schedule: str = ""
    due: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFile:
    """A pipeline as its file says, with its latest run; with a `fault` no more than its place is known.

    `path` is as the contents name it, `schedule` and `release` as the file has them.
    """

    path: str
    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[PipelineStep, ...] = ()
    edges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    layout: Layout = field(default_factory=Layout)
    schedule: Mapping[str, Any] | None = None
    release: Mapping[str, Any] | None = None
    fault: Fault | None = None
    last: PastRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What one code cell of a notebook printed (`cell` counts from 1), or a command (`cell` is 0); `error` is what it raised."""

    cell: int
    source: str = ""
    text: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a step printed. `file` is where it lies, `cut` tells that its beginning is left out, `earlier` that another run made it."""

    file: str
    printed: tuple[Printed, ...] = ()
    cut: bool = False
    earlier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutedNotebook:
    """The executed notebook of a step as it lies on the disk; `modified` is a moment."""

    name: str
    text: str
    modified: float


def pipelines() -> list[PipelineFile]:
    """The pipelines of the project by their paths, each with its latest run."""
    settings = config.load()
    files = [_read(path, place) for path in _files(settings.project) if (place := contents_path(path)) is not None]
    latest = _latest_runs(settings) if any(file.steps for file in files) else {}
    return [replace(file, last=next(iter(_past(latest.get(file.name, ()), file)), None)) for file in files]


def pipeline_runs(path: Path, limit: int = 20) -> list[PastRun]:
    """The runs of the pipeline in a file, newest first."""
    if not 1 <= limit <= MOST_RUNS:
        raise UsageError(f"A limit of {limit} runs cannot be listed: give 1 to {MOST_RUNS}.")
    file = _read(path, str(path))
    runs = _runs(config.load(), f"tags.`mlops.pipeline` = {_quoted(file.name)}", min(MOST_RUNS, limit * (len(file.steps) + 2)))
    return _past(runs, file)[:limit]


def pipeline_plan(
    path: Path, params: Mapping[str, Any] | None = None, only: Sequence[str] = (), start: str | None = None, force: bool = False
) -> Plan:
    """What a run would do with each step, and why."""
    from ..running import Choice, Reports, plan

    return plan(Choice(sources=(path,), params=params or {}, only=tuple(only), start=start, force=force), Reports())


def step_log(pipeline: str, step: str, run: str) -> Log:
    """What a step printed in a run of a pipeline; of one that was not run again, what it did before."""
    file, earlier = _output(pipeline, step, run)
    if file.suffix == ".ipynb":
        return replace(_told_by_notebook(file), earlier=earlier)
    return replace(told_by_log(file), earlier=earlier)


def executed_notebook(pipeline: str, step: str, run: str) -> ExecutedNotebook:
    """The executed notebook of a step in a run, which Jupyter's own contents do not show, since it lies in a hidden folder."""
    file, _ = _output(pipeline, step, run)
    told = file.stat()
    if file.suffix != ".ipynb":
        raise UsageError(f"The step {step} is no notebook: read its log instead.")
    if told.st_size > MOST_NOTEBOOK:
        raise UsageError(f"{file.name} has {told.st_size / 1e6:,.0f} MB, too much to be shown here: open a copy of {file}.")
    return ExecutedNotebook(name=file.name, text=file.read_text("utf-8"), modified=told.st_mtime)


# -- files of pipelines


def _files(project: Path) -> list[Path]:
    """The files of the project that define pipelines, in the order of their paths."""
    found: list[Path] = []
    for number, (folder, below, names) in enumerate(os.walk(project)):
        place = Path(folder)
        deep = len(place.relative_to(project).parts) >= MOST_DEEP
        below[:] = [] if deep else sorted(name for name in below if _may_hold(place / name))
        found += [place / name for name in sorted(names) if _is_pipeline(place / name)]
        if number > MOST_FOLDERS:
            break
    return found


def _may_hold(folder: Path) -> bool:
    """Whether pipelines of the user may lie in a folder: not in hidden ones, nor among installed packages."""
    return not folder.name.startswith(".") and folder.name not in _LEFT_OUT and not (folder / "pyvenv.cfg").exists()


def _is_pipeline(path: Path) -> bool:
    """Whether a file is meant as a pipeline: by its name, or by what it holds."""
    if path.suffix not in (".yaml", ".yml") or path.name.startswith("."):
        return False
    if path.stem == "pipeline" or path.stem.endswith(("-pipeline", "_pipeline", ".pipeline")):
        return True
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(20_000)
    except (OSError, UnicodeDecodeError):
        return False
    return _STEPS.search(text) is not None and _KINDS.search(text) is not None


def _read(path: Path, place: str) -> PipelineFile:
    """A pipeline as its file says, or what is wrong with it."""
    from ...pipelines.definition import graph, loading

    try:
        pipeline = loading.load(path)
        graph.ordered(pipeline)
        edges = graph.upstream(pipeline)
        params = loading.parameters(pipeline, {}).params
    except PipelineError as error:
        return PipelineFile(path=place, name=_name_of(path), fault=_fault(error, place))
    except MlopsError as error:
        return PipelineFile(path=place, name=_name_of(path), fault=Fault(message=str(error), file=place))
    return PipelineFile(
        path=place, name=pipeline.name, params=params, steps=pipeline.steps, edges=edges, layout=layout(edges),
        schedule=pipeline.schedule, release=pipeline.release,
    )  # fmt: skip


def _fault(error: PipelineError, place: str) -> Fault:
    """The sentence apart from its place, which is told by itself; a notebook may be to blame rather than the pipeline's own file."""
    message = str(error)
    for where in (f"{error.file}, line {error.line}: ", f"{error.file}: "):
        message = message.removeprefix(where) if error.file else message
    return Fault(message=message, file=(contents_path(Path(error.file).resolve()) if error.file else None) or place, line=error.line)


def _name_of(path: Path) -> str:
    """What a file that cannot be used calls its pipeline, as far as that can be told."""
    with suppress(OSError, UnicodeDecodeError):
        if (written := _NAME.search(path.read_text("utf-8"))) is not None:
            return written[1]
    return path.stem if path.stem != "pipeline" else path.absolute().parent.name


# -- runs of pipelines


def _latest_runs(settings: config.Settings) -> dict[str, list[Run]]:
    """The latest runs of the project's pipelines and of their steps, by the names of the pipelines."""
    found: dict[str, list[Run]] = {}
    for run in _runs(settings, "tags.`mlops.pipeline` LIKE '%'", MOST_RUNS // 4):
        found.setdefault(run.pipeline["pipeline"], []).append(run)
    return found


def _runs(settings: config.Settings, where: str, limit: int) -> list[Run]:
    if not settings.home.is_dir():
        return []  # nothing ran here yet, and to look makes no project of a folder
    answer = client.ask(settings, "runs", where=where, sort="", limit=limit, offset=0, experiment=None)
    return [Run.from_json(item) for item in answer]


def _quoted(name: str) -> str:
    """A name as the filters of runs quote it: they know no way to write both kinds of quotes."""
    if "'" in name and '"' in name:
        raise UsageError(f"Runs of {name} cannot be looked up: leave the quotes out of the pipeline's name.")
    return f'"{name}"' if "'" in name else f"'{name}'"


def _past(runs: Sequence[Run], file: PipelineFile) -> list[PastRun]:
    """The runs of a pipeline among those given, newest first, each with what became of its steps."""
    below: dict[str, list[Run]] = {}
    for run in runs:
        if run.parent:
            below.setdefault(run.parent, []).append(run)
    wholes = [run for run in runs if "step" not in run.pipeline]
    return [_past_run(run, [one for name in {run.id, run.own_id} for one in below.get(name, ())], file) for run in wholes]


def _past_run(run: Run, below: Sequence[Run], file: PipelineFile) -> PastRun:
    status = _STATES.get(run.status, "running")
    attempts: dict[str, list[Run]] = {}
    for one in sorted(below, key=lambda one: one.started):
        attempts.setdefault(one.pipeline.get("step", one.name), []).append(one)
    cached = [name for name in run.pipeline.get("cached", "").split(", ") if name]
    names = dict.fromkeys([*(step.name for step in file.steps), *attempts, *cached])
    rest = {"running": "waiting", "cancelled": "cancelled"}.get(status, "skipped")
    steps = tuple(
        _step_run(name, attempts[name]) if name in attempts else StepRun(step=name, state="cached" if name in cached else rest)
        for name in names
    )
    told = PipelineRun(
        id=run.own_id or run.id, name=run.name, status=status, started=run.started, seconds=run.seconds or 0.0, params=run.params,
        steps=steps, edges=file.edges,
    )  # fmt: skip
    return PastRun(run=told, schedule=run.pipeline.get("schedule", ""), due=run.pipeline.get("due", ""), error=run.error)


def _step_run(name: str, attempts: Sequence[Run]) -> StepRun:
    """What became of a step, from the runs of its attempts."""
    last = attempts[-1]
    return StepRun(
        step=name, state=_STATES.get(last.status, "running"), key=last.pipeline.get("key"), run=last.own_id or last.id,
        started=last.started, seconds=last.seconds, attempts=len(attempts), error=last.error, metrics=last.metrics,
    )  # fmt: skip


# -- what steps wrote


def _output(pipeline: str, step: str, run: str) -> tuple[Path, bool]:
    """The executed notebook or the log of a step in a run, and whether an earlier run made it, as for a step that was done already."""
    for part in (pipeline, step, run):
        if not part or part.startswith(".") or "/" in part or "\\" in part or "\0" in part:
            raise UsageError(f"{part!r} is no name of a pipeline, a step or a run.")
    settings = config.load()
    folder = settings.home / "pipelines" / pipeline / run[:8]
    for suffix in (".ipynb", ".log"):
        if (file := folder / f"{step}{suffix}").is_file():
            return file, False
    return _kept(settings, pipeline, step), True


def _kept(settings: config.Settings, pipeline: str, step: str) -> Path:
    """What the latest result of a step was made with, out of the object store."""
    from ...pipelines.caching.commits import Commits
    from ...pipelines.caching.contents import opened
    from ...pipelines.running.outputs import materialise
    from ...pipelines.running.workplace import files_of
    from ...store.objects import open_objects

    commit = Commits(settings, opened(settings.project, settings.home)).latest(pipeline, step)
    if commit is None or not commit.notebook:
        raise NotFound("output of the step", step, "It was not run yet, or what it printed was removed: run it with force to make it anew.")
    kind = "ipynb" if commit.parts.get("kind") == "notebook" else "log"
    told = {"digest": commit.notebook, "object": commit.notebook, "format": kind}
    return materialise(told, files_of(settings), open_objects(settings), to_last=False)


def told_by_log(file: Path) -> Log:
    """What a command printed, without its colours; its end where it is long."""
    text = _COLOURS.sub("", file.read_text("utf-8", "replace"))
    return Log(file=str(file), printed=(Printed(cell=0, text=text[-MOST_TEXT:]),), cut=len(text) > MOST_TEXT)


def _told_by_notebook(file: Path) -> Log:
    """What the cells printed, as far back as there is room."""
    cells = [cell for cell in json.loads(file.read_text("utf-8")).get("cells", ()) if cell.get("cell_type") == "code"]
    printed = [told for number, cell in enumerate(cells, 1) if (told := _printed(number, cell)) is not None]
    room, kept = MOST_TEXT, list[Printed]()
    for told in reversed(printed):
        room -= len(told.text) + len(told.error)
        if room < 0 and kept:
            break
        kept.append(told)
    return Log(file=str(file), printed=tuple(reversed(kept)), cut=len(kept) < len(printed))


def _printed(number: int, cell: Mapping[str, Any]) -> Printed | None:
    """What a cell printed; None where it printed nothing."""
    parts: list[str] = []
    error = ""
    for output in cell.get("outputs", ()):
        match output.get("output_type"):
            case "stream":
                parts.append(_text(output.get("text", "")))
            case "error":
                error = _text(output.get("traceback", []), "\n") or f"{output.get('ename', '')}: {output.get('evalue', '')}"
            case "execute_result" | "display_data":
                parts.append(_text(output.get("data", {}).get("text/plain", "")) + "\n")
            case _:
                continue
    text = "".join(parts)
    if not text.strip() and not error:
        return None
    return Printed(cell=number, source=_text(cell.get("source", "")), text=text[-MOST_TEXT:], error=error[-MOST_TEXT:])


def _text(value: str | list[str], between: str = "") -> str:
    return _COLOURS.sub("", value if isinstance(value, str) else between.join(value))
