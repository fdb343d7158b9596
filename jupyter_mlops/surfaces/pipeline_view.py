"""How a pipeline reads: its steps as a table, its graph, what failed and how to go on, and what a run of it would do."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ..records import Gate, PipelineRun, StepRun
from .answers import Plan, short
from .blocks import Block, Blocks, Cell, Code, Drawing, Table, Text
from .drawing import DARK, Look, svg
from .line import number
from .quantities import size, span

MOST_UNCHANGED = 20
"""Steps without anything to tell (cached, waiting) that are listed; of more, only the number is told."""
MOST_DRAWN = 60
"""Steps up to which the graph is shown with the table; a larger one can be had as a file."""
MOST_ERROR_LINES = 15
"""The last lines of an error that are shown; the output notebook has them all."""

_DIGEST = re.compile("([0-9a-f]{8})[0-9a-f]{24,}")
_RAISED = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|Exit|Warning)\b")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_GREEN, _BLUE, _AMBER, _RED, _GREY = "#2e9e4f", "#4a86d8", "#c98a1b", "#d1603d", "#8a8f98"
_STATES = {
    "waiting": ("○", "faint", _GREY),
    "running": ("▶", "plain", _AMBER),
    "retrying": ("↻", "plain", _AMBER),
    "cached": ("≡", "faint", _BLUE),
    "done": ("✓", "good", _GREEN),
    "failed": ("✗", "bad", _RED),
    "skipped": ("·", "faint", _GREY),
    "cancelled": ("■", "bad", _GREY),
}
_ACTIONS = {"run": ("▶", "plain", _AMBER), "cached": ("≡", "faint", _BLUE), "after": ("?", "plain", _AMBER), "skip": ("·", "faint", _GREY)}
_TOLD = {"run": "runs", "cached": "is cached", "after": "depends", "skip": "not chosen"}
_FILES = {".ipynb": "notebooks", ".log": "logs"}
_GATES = {"passed": ("✓", "good"), "failed": ("✗", "bad"), "unchecked": ("○", "faint")}


def run_blocks(run: PipelineRun) -> Blocks:
    """The outcome, the steps, the graph, the gates, and of what failed: the cell, the error and the way on."""
    steps = list(run.steps)
    tone = {"done": "good", "failed": "bad", "cancelled": "bad"}[run.status]
    params = [f"{name} = {value}" for name, value in run.params.items()]
    blocks: list[Block] = [
        Text(run.name, "title"),
        Text(f"{run.status} in {span(run.seconds)}: {counted(steps)}", tone),
        Text(" · ".join([f"run {run.id[:8]}", *params]), "faint"),
        *steps_blocks(steps, run.edges),
    ]
    if run.gates:
        blocks.append(Table(("", "gate", "value", ""), tuple(map(_gate, run.gates))))
    for step in steps:
        if step.state == "failed":
            blocks += failure_blocks(step)
    return [*blocks, *(Text(note) for note in run.notes)]


def steps_blocks(steps: Sequence[StepRun], edges: Mapping[str, Sequence[str]]) -> Blocks:
    """The steps as a table, where their notebooks are, and their graph where there is one to see."""
    folder = _folder(steps)
    kinds = [kind for suffix, kind in _FILES.items() if any(step.notebook.endswith(suffix) for step in steps)]
    note = [Text(f"{' and '.join(kinds)} in {folder}", "faint")] if folder else []
    return [steps_table(steps), *note, *graph_of(edges, {step.step: _look(step) for step in steps})]


def steps_table(steps: Sequence[StepRun], most: int | None = None) -> Table:
    """One row for each step: state, cell, time, memory, and the executed notebook or log where it is not with most of the others.

    Where there are many without news, or more than `most` (as many as a window holds), those are told by their number.
    """
    quiet = [step for step in steps if step.state in ("cached", "waiting", "skipped")]
    shown = list(steps)
    if len(quiet) > MOST_UNCHANGED:
        shown = [step for step in steps if step not in quiet]
    if most is not None and len(shown) > most:
        first = ("failed", "running", "retrying")
        newest = sorted(shown, key=lambda step: (step.state not in first, -(step.started or 0)))[:most]
        shown = [step for step in shown if step in newest]
    columns = ("step", "state", "cell", "time", "memory", "notebook or log")
    folder = _folder(steps)
    rows = [_row(step, folder) for step in shown]
    rest = [step for step in steps if step not in shown]
    if rest:
        rows.append((Cell(f"and {counted(rest)}", "faint"), *(Cell("") for _ in columns[1:])))
    used = [place for place, _ in enumerate(columns) if place < 2 or any(row[place].text for row in rows)]
    return Table(tuple(columns[place] for place in used), tuple(tuple(row[place] for place in used) for row in rows))


def counted(steps: Iterable[StepRun]) -> str:
    """How many steps are in which state: 2 done, 1 cached."""
    counts = dict.fromkeys(_STATES, 0)
    for step in steps:
        counts[step.state] += 1
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "no steps"


def failure_blocks(step: StepRun) -> Blocks:
    """The cell that failed, and the end of its error."""
    place = f" in cell {step.cell} of {step.cells}" if step.cells else ""
    tried = f", at attempt {step.attempts}" if step.attempts > 1 else ""
    blocks: list[Block] = [Text(f"{step.step} failed{place}{tried}", "title")]
    if step.source:
        blocks.append(Code(step.source))
    return [*blocks, Code(error_text(step), "text")]


def error_text(step: StepRun) -> str:
    """The end of a step's error, without colours."""
    lines = _COLOURS.sub("", step.error).strip().splitlines() or [*step.why, "no message"][:1]
    return "\n".join(["…", *lines[-MOST_ERROR_LINES:]] if len(lines) > MOST_ERROR_LINES else lines)


def headline(step: StepRun) -> str:
    """The one line of a step's error that tells most: what was raised, else the last one."""
    lines = _COLOURS.sub("", step.error).strip().splitlines()
    return next((line for line in reversed(lines) if _RAISED.match(line)), lines[-1] if lines else "; ".join(step.why))


def plan_blocks(plan: Plan) -> Blocks:
    """What would be done with each step, and why."""
    running = [step for step in plan.steps if step.action == "run"]
    open_ = [step for step in plan.steps if step.action == "after"]
    rows = tuple(
        (
            Cell(f"{_ACTIONS[step.action][0]} {step.step}"),
            Cell(_TOLD[step.action], _ACTIONS[step.action][1]),
            Cell("; ".join(step.why), _ACTIONS[step.action][1]),
        )
        for step in plan.steps
    )
    depend = f"; {len(open_)} more if what they take from those has changed" if open_ else ""
    would = f"{len(running)} of {len(plan.steps)} steps would run{depend}" if running or open_ else "Every step is done already"
    return [
        Text(plan.name, "title"),
        Text(f"{would}. Nothing was run."),
        Table(("step", "", "why"), rows),
        *graph_of(plan.edges, _looks(plan)),
    ]


def graph_of(edges: Mapping[str, Sequence[str]], looks: Mapping[str, Look]) -> Blocks:
    """The graph of steps as a drawing, where there are edges and not too many steps."""
    return [Drawing(svg(edges, looks))] if any(edges.values()) and len(edges) <= MOST_DRAWN else []


def graph_file(answer: PipelineRun | Plan) -> str:
    """The graph with the states of its steps as an SVG file of its own, which follows the reader's light or dark ground."""
    looks = _looks(answer) if isinstance(answer, Plan) else {step.step: _look(step) for step in answer.steps}
    return svg(answer.edges, looks, ground=DARK)


def elapsed(step: StepRun) -> float | None:
    """Seconds that a step took, or has taken so far."""
    if step.seconds is None and step.started is not None and step.state in ("running", "retrying"):
        return time.time() - step.started
    return step.seconds


def _folder(steps: Iterable[StepRun]) -> str:
    """The folder in which most of the executed notebooks and logs are, under the names of their steps."""
    paths = ((Path(short(step.notebook)), step.step) for step in steps if step.notebook)
    folders = Counter(str(path.parent) for path, name in paths if path.stem == name)
    return folders.most_common(1)[0][0] if folders else ""


def _row(step: StepRun, folder: str) -> tuple[Cell, ...]:
    mark, tone, _ = _STATES[step.state]
    path = short(step.notebook) if step.notebook else ""
    usual = Path(path).stem == step.step and str(Path(path).parent) == folder
    place = "" if usual else _DIGEST.sub(r"\1*", path)
    cell = step.cells if step.state == "done" else step.cell
    return (
        Cell(f"{mark} {step.step}", tone, link=Path(path).as_posix() if path else ""),
        Cell(step.state if step.attempts < 2 else f"{step.state}, attempt {step.attempts}", tone),
        Cell(f"{cell} of {step.cells}" if step.cells and step.state != "cached" else "", number=True),
        Cell(span(elapsed(step)), number=True),
        Cell(size(step.memory) if step.memory else "", number=True),
        Cell(place, "faint", link=Path(path).as_posix() if place else ""),
    )


def _look(step: StepRun) -> Look:
    mark, _, colour = _STATES[step.state]
    cells = f"cell {step.cell} of {step.cells}" if step.cells and step.state in ("running", "failed") else ""
    seconds = span(elapsed(step)) if step.state != "cached" else ""
    return Look(mark, colour, " · ".join(part for part in (step.state, cells, seconds) if part))


def _looks(plan: Plan) -> dict[str, Look]:
    return {step.step: Look(_ACTIONS[step.action][0], _ACTIONS[step.action][2], _TOLD[step.action]) for step in plan.steps}


def _gate(gate: Gate) -> tuple[Cell, ...]:
    mark, tone = _GATES[gate.state]
    value = "" if gate.value is None else number(gate.value)
    return Cell(mark, tone), Cell(gate.name), Cell(value, number=True), Cell(gate.why or gate.state, "faint" if gate.why else tone)
