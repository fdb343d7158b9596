"""How each answer reads: from a record to blocks. Pure; `display` turns blocks into a terminal's or a notebook's form."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import singledispatch
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..records import CellEvent, ColumnChange, Diff, Input, Node, PipelineRun, Replay, Restored, Run, Slice, Snapshot, Status, Step
from .answers import (
    AboutSchedules,
    Change,
    Collected,
    Comparison,
    Demo,
    Exported,
    Page,
    Plan,
    Prepared,
    Report,
    Runs,
    Story,
    Tracking,
    inputs_of,
    short,
)
from .blocks import Block, Blocks, Cell, Code, Table, Text, Tree
from .demo_view import demo_blocks
from .export_view import export_blocks
from .line import direction, number
from .pipeline_view import plan_blocks, run_blocks
from .quantities import size, span
from .replay_view import replay_blocks
from .schedule_view import schedule_blocks
from .slice_view import slice_blocks
from .status_view import status_blocks
from .step_view import restored_blocks, step_blocks

METRIC_COLUMNS = 4
PARAM_COLUMNS = 4


_STATES = {
    "on": Text("Tracking is on.", "good"),
    "off": Text("Tracking is off: `%mlops track on` resumes it."),
    "none": Text("No notebook is tracked by this process: `%load_ext jupyter_mlops` in a notebook starts it."),
}


@singledispatch
def view(answer: Any) -> Blocks:
    """The blocks that show an answer; a value that is none of ours shows itself."""
    if isinstance(answer, AbstractContextManager):
        raise UsageError("A run is made of code: write `%%mlops track NAME` on top of a cell, or `with mlops.track(NAME):` around a block.")
    return [Text(repr(answer))]


@view.register
def _(answer: list) -> Blocks:  # type: ignore[type-arg]  # singledispatch needs the plain class
    return [block for item in answer for block in view(item)]


@view.register
def _(content: bytes) -> Blocks:
    return [Text(f"A file of {size(len(content))}: `mlops load DIGEST --out FILE` writes it.")]


@view.register
def _(path: Path) -> Blocks:
    return [Text(f"Written to {path}.")]


@view.register
def _(runs: Runs) -> Blocks:
    if not runs:
        if runs.sought:
            return [Text(f"No run matches {runs.sought}: `mlops runs` lists all.", "faint")]
        return [Text("No runs here. Fit a model in a notebook after `%load_ext jupyter_mlops`, or try `mlops demo`.", "faint")]
    metrics, params = _common((run.metrics for run in runs), METRIC_COLUMNS), _common(_varying(runs), PARAM_COLUMNS)
    replayed = any(run.replay for run in runs)
    columns = ("run", "name", "status", "started", *(["replay"] if replayed else []), *metrics, *params, "time", "model")
    rows = tuple(
        (
            Cell(run.id[:8], "faint"),
            Cell(run.name),
            _status(run),
            Cell(_when(run.started)),
            *([_replayed(run.replay)] if replayed else []),
            *(_number(run.metrics.get(name)) for name in metrics),
            *(_value(run.params.get(name)) for name in params),
            Cell(span(run.seconds), number=True),
            Cell(str((run.model or {}).get("class") or "")),
        )
        for run in runs
    )
    return [Table(columns, rows, needed=4, elastic=1, csv=True)]


_REPLAYED = {
    "identical": "replayed: every compared result identical",
    "tolerance": "replayed: equal within float tolerance",
    "different": "replayed: different (`mlops replay` says where)",
}


@view.register
def _(story: Story) -> Blocks:
    run = story.run
    where = f" in {short(run.notebook)}" if run.notebook else ""
    blocks: list[Block] = [
        Text(run.name, "title"),
        Text(f"{run.status.lower()} · {run.experiment} · {_when(run.started)} · {span(run.seconds)}{where}"),
        Text(f"run {run.id}" + ("" if run.delivered else " (not in MLflow yet)"), "faint"),
    ]
    if run.replay:
        blocks.append(Text(_REPLAYED[run.replay], "good" if run.replay == "identical" else "plain"))
    if run.note:
        blocks.append(Text(run.note))
    if run.metrics:
        blocks.append(Table(("metric", "value"), tuple((Cell(name), _number(value)) for name, value in run.metrics.items())))
    if run.series:
        blocks.append(Table(("stepped metric", "steps", "last"), tuple(_series(name, points) for name, points in run.series.items())))
    if run.params:
        blocks.append(Table(("parameter", "value"), tuple((Cell(name), _value(value)) for name, value in run.params.items())))
    if run.inputs:
        blocks.append(_inputs(inputs_of(run)))
    if run.model:
        blocks.append(Text(" · ".join(str(run.model[key]) for key in ("class", "flavor", "uri") if run.model.get(key))))
    tags = {name: text for name, text in run.tags.items() if not name.startswith("mlflow.")}
    if tags:
        blocks.append(Table(("tag", "text"), tuple((Cell(name), Cell(text)) for name, text in tags.items())))
    blocks += [Text(f"skipped: {text}", "bad") for text in run.skipped]
    if run.error:
        blocks.append(Code(run.error.strip(), "text"))
    for event in story.cells:
        blocks += _event(event)
    return blocks


@view.register
def _(comparison: Comparison) -> Blocks:
    runs = comparison.runs
    heads = tuple(run.id[:8] for run in runs)
    kinds = {
        "metric": [(Cell(name), *_marked(name, values)) for name, values in comparison.metrics.items()],
        "parameter": [(Cell(name), *map(_value, values)) for name, values in comparison.params.items()],
        "data": [(Cell(name), *(Cell((digest or "")[:12]) for digest in values)) for name, values in comparison.inputs.items()],
    }
    rows = [(Cell("" if place else kind, "faint"), *cells) for kind, found in kinds.items() for place, cells in enumerate(found)]
    rows.insert(0, (Cell("run", "faint"), Cell(""), *(Cell(run.name) for run in runs)))
    differ = any(kinds.values())
    blocks: list[Block] = [Table(("", "differs", *heads), tuple(rows))] if differ else [Text("Parameters, metrics and data are the same.")]
    same = ", ".join(f"{count} {_plural(kind, count)}" for kind, count in comparison.same.items() if count)
    if same:
        blocks.append(Text(f"the same: {same}", "faint"))
    differences = [text for text in comparison.code if text]
    blocks += [Code(text, "diff") for text in differences] or [Text("The code of their cells is the same.", "faint")]
    return blocks


@view.register
def _(node: Node) -> Blocks:
    return [_tree(node)]


@view.register
def _(status: Status) -> Blocks:
    return status_blocks(status)


@view.register
def _(replay: Replay) -> Blocks:
    return replay_blocks(replay)


@view.register
def _(found: Slice) -> Blocks:
    return slice_blocks(found)


@view.register
def _(step: Step) -> Blocks:
    return step_blocks(step)


@view.register
def _(restored: Restored) -> Blocks:
    return restored_blocks(restored)


@view.register
def _(run: PipelineRun) -> Blocks:
    return run_blocks(run)


@view.register
def _(exported: Exported) -> Blocks:
    return export_blocks(exported)


@view.register
def _(plan: Plan) -> Blocks:
    return plan_blocks(plan)


@view.register
def _(snapshot: Snapshot) -> Blocks:
    table = snapshot.rows is not None and snapshot.columns is not None
    shape = f"{snapshot.rows:,} rows x {snapshot.columns:,} columns" if table else ""
    new = f"{size(snapshot.stored)} new in the store" if snapshot.stored else "nothing new to store" if snapshot.kept else "digest only"
    facts = (snapshot.kind, shape, size(snapshot.size), new)
    blocks: list[Block] = [Text(snapshot.name or snapshot.kind, "title"), Text(" · ".join(fact for fact in facts if fact))]
    if snapshot.schema:
        blocks.append(Table(("column", "type"), tuple((Cell(str(column)), Cell(str(kind), "faint")) for column, kind in snapshot.schema)))
    return [*blocks, Text(f'get it back: mlops.load("{snapshot.digest}")', "faint")]


@view.register
def _(diff: Diff) -> Blocks:
    if diff.identical:
        return [Text("The two are identical.", "good")]
    before, after = diff.rows
    rows = f"rows: {before:,} → {after:,}" if before is not None and after is not None else ""
    blocks: list[Block] = [Text(text) for text in (rows, diff.detail) if text]
    changes = [ColumnChange.of(item) for item in diff.columns]
    shown = [change for change in changes if change.change != "same"]
    if shown:
        blocks.append(Table(("column", "change", "values changed", "before", "after"), tuple(_change(change) for change in shown)))
    if len(changes) > len(shown):
        blocks.append(Text(f"the same: {len(changes) - len(shown)} columns", "faint"))
    return blocks


_DEEDS = {"logged": "Logged to run", "noted": "Noted on run"}


@view.register
def _(change: Change) -> Blocks:
    values = ", ".join(f"{name} {'removed' if value is None else f'= {_brief(value)}'}" for name, value in change.values.items())
    did = _DEEDS.get(change.did, f"{change.did.capitalize()} run")
    return [Text(f"{did} {change.name} ({change.run[:8]})" + (f": {values}" if values else "."))]


@view.register
def _(tracking: Tracking) -> Blocks:
    details = {name.replace("_", " "): value for name, value in tracking.details.items() if value not in (None, "", [], {})}
    rows = tuple((Cell(_DETAILS.get(name, name), "faint"), Cell(_detail(name, value))) for name, value in details.items())
    return [_STATES[tracking.state], *([Table(("", ""), rows)] if rows else [])]


_MARKS = {True: Cell("✓", "good"), False: Cell("✗", "bad")}


@view.register
def _(report: Report) -> Blocks:
    rows = tuple(
        (_MARKS[problem.ok], Cell(problem.what), Cell(short(problem.where), "faint"), Cell(problem.remedy)) for problem in report.problems
    )
    wrong = sum(not problem.ok for problem in report.problems)
    verdict = Text(f"{wrong} {_plural('problems', wrong)}: do what the last column says.", "bad") if wrong else Text("All is well.", "good")
    return [Table(("", report.title.lower(), "where", "what to do"), rows), verdict]


@view.register
def _(collected: Collected) -> Blocks:
    verb = "would be removed" if collected.dry_run else "removed"
    count = f"{collected.removed:,} {_plural('objects', collected.removed)}"
    blocks: list[Block] = [Text(f"{count} ({size(collected.freed)}) {verb}; everything a run or snapshot needs stays.")]
    if collected.files:
        files = f"{collected.files:,} {_plural('files', collected.files)}"
        blocks.append(Text(f"{files} of outputs ({size(collected.file_bytes)}) that no step used lately {verb}.", "faint"))
    if collected.firings:
        blocks.append(Text(f"{collected.firings:,} {_plural('due times', collected.firings)} of long ago {verb}.", "faint"))
    return blocks


@view.register
def _(prepared: Prepared) -> Blocks:
    done = [Text(f"✓ {text}") for text in prepared.changed] or [Text("Everything was there already; nothing was changed.")]
    left = [Text(note) for note in prepared.notes]
    told = f'Runs go to the MLflow experiment "{prepared.experiment}". In a notebook here: %load_ext jupyter_mlops'
    return [*done, *left, Text(told, "faint")]


@view.register
def _(page: Page) -> Blocks:
    return [Text(f"MLflow shows the runs at {page.url}")]


@view.register
def _(answer: AboutSchedules) -> Blocks:
    return schedule_blocks(answer)


@view.register
def _(demo: Demo) -> Blocks:
    return demo_blocks(demo, runs=view(Runs(demo.runs)), comparison=view(demo.comparison), lineage=view(demo.lineage))


def _event(event: CellEvent) -> Blocks:
    facts = [
        f"cell [{event.seq}]",
        _when(event.started),
        span(event.seconds),
        *([] if event.status in ("success", "ok") else [event.status]),
    ]
    flows = {"reads": sorted(set(event.reads)), "writes": sorted({*event.writes, *event.mutates})}
    flow = " · ".join(f"{verb} {', '.join(names)}" for verb, names in flows.items() if names)
    return [Text(" · ".join(facts), "faint"), Code(event.source.rstrip()), *([Text(flow, "faint")] if flow else [])]


def _inputs(inputs: Iterable[Input]) -> Table:
    return Table(
        ("data", "kind", "rows x columns", "size", "digest", ""),
        tuple(
            (
                Cell(item.name),
                Cell(item.kind, "faint"),
                Cell("" if item.rows is None or item.columns is None else f"{item.rows:,} x {item.columns:,}", number=True),
                Cell(size(item.size) if item.size else "", number=True),
                Cell((item.digest or "not read yet")[:12]),
                Cell("kept" if item.kept else f"digest only{item.why and ': ' + item.why}", "faint"),
            )
            for item in inputs
        ),
    )


_DETAILS = {"pid": "worker", "kept": "data kept", "waiting": "waiting for delivery", "tracking uri": "runs go to"}


def _detail(name: str, value: Any) -> str:
    return size(value) if name == "kept" and isinstance(value, int) else f"process {value}" if name == "pid" else _brief(value)


def _series(name: str, points: Sequence[Sequence[float]]) -> tuple[Cell, ...]:
    return Cell(name), Cell(f"{len(points):,}", number=True), _number(points[-1][1] if points else None)


def _change(change: ColumnChange) -> tuple[Cell, ...]:
    sides = Cell(_statistics(change.before)), Cell(_statistics(change.after))
    return Cell(change.column), Cell(change.change), _count(change.changed), *sides


def _statistics(values: Mapping[str, Any]) -> str:
    told = {name: value for name, value in values.items() if value is not None and name != "count" and (name, value) != ("missing", 0)}
    return ", ".join(f"{name} {_brief(value)}" for name, value in told.items())


_LABELS = {"run": "", "data": "data ", "file": "file ", "cell": "cell ", "parameter": "", "model": "model ", "metric": "", "statement": ""}


def _tree(node: Node) -> Tree:
    groups: dict[str, list[Node]] = {}
    for child in node.below:
        groups.setdefault(child.kind, []).append(child)
    if node.kind == "parameter":
        return Tree(f"{node.name} = {node.detail}")
    ref = node.ref[:12] if node.kind in ("run", "data", "file") else node.ref
    detail = " · ".join(part for part in (node.detail, ref) if part)
    params = groups.pop("parameter", [])
    below = [_tree(child) for children in groups.values() for child in children]
    if params:
        below.insert(0, Tree("parameters", "", tuple(_tree(child) for child in params)))
    return Tree(f"{_LABELS.get(node.kind, '')}{node.name}", detail, tuple(below))


def _marked(metric: str, values: Sequence[Any]) -> Iterable[Cell]:
    """The values of a metric, the best one marked where its name tells which way is better."""
    way = direction(metric)
    known = [value for value in values if value is not None and value == value]
    best = (max(known) if way > 0 else min(known)) if way and len(set(known)) > 1 else None
    return [replace(_number(value), tone="good") if best is not None and value == best else _number(value) for value in values]


def _common(sides: Iterable[Mapping[str, Any]], most: int) -> list[str]:
    """The names that most sides have, those that more sides have first, then plain ones; at most `most`."""
    counts: dict[str, int] = {}
    for side in sides:
        for name in side:
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: (-counts[name], "." in name or "__" in name))[:most]


def _varying(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """The parameters of each run that are not the same in all; all of them for a single run."""
    names = {name for run in runs for name in run.params}
    varying = {name for name in names if len(runs) == 1 or len({str(run.params.get(name)) for run in runs}) > 1}
    return [{name: value for name, value in run.params.items() if name in varying} for run in runs]


def _status(run: Run) -> Cell:
    return Cell(run.status.lower(), {"FAILED": "bad", "KILLED": "bad", "FINISHED": "plain"}.get(run.status, "faint"))


def _replayed(verdict: str | None) -> Cell:
    return Cell(verdict or "", {"identical": "good", "different": "bad"}.get(verdict or "", "plain"))


def _when(moment: float) -> str:
    if not moment:
        return ""
    now, then = time.localtime(), time.localtime(moment)
    if then[:3] == now[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%d %b %H:%M" if then.tm_year == now.tm_year else "%Y-%m-%d", then)


def _number(value: float | None) -> Cell:
    return Cell("" if value is None else number(value), number=True)


def _count(value: int | None) -> Cell:
    return Cell("" if value is None else f"{value:,}", number=True)


def _value(value: Any) -> Cell:
    return Cell("" if value is None else _brief(value), number=isinstance(value, (int, float)) and not isinstance(value, bool))


def _brief(value: Any) -> str:
    text = number(value) if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:59] + "…"


def _plural(word: str, count: int) -> str:
    return word[:-1] if count == 1 else word
