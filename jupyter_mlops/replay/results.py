"""Results by the names that users give them: a metric, a name of the notebook, the model, a figure; and the statements that made them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..code.expressions import metric_name
from ..code.literals import PLOTTING, feeds
from ..code.slices import Executed, History, Wanted
from ..code.statements import Statement, analyse, objects_after, plain
from ..errors import NotFound
from ..records import CellEvent, Output, Run
from .recording import Recording

_CELL_LINE = re.compile(r'File "(?:[^"]*ipykernel_[^"]*|<ipython-input-[^"]*>)", line (\d+)')
_SHOWING = frozenset({"print", "display", "pprint"})
_FIGURE = re.compile(r"(?:figure|plot|cell)?\s*\[?(\d+)\]?")
_IMAGES = ("image/", "application/vnd.plotly", "application/vnd.bokeh", "application/vnd.vega")


@dataclass(frozen=True, slots=True)
class Sought:
    """A result that a slice is to recreate. `kind` is metric, series, model, name or figure; `seq` the execution after which it stood.

    `careful` is `wanted` with what may have changed the result afterwards, in the same execution: a forecast that a model remembers.
    """

    kind: str
    name: str
    seq: int
    wanted: Wanted

    @property
    def careful(self) -> Wanted:
        root = re.split(r"[.\[ (]", self.name)[0]
        return replace(self.wanted, names=self.wanted.names | {root}, seq=self.seq) if self.kind == "model" else self.wanted


def executions(recording: Recording) -> list[Executed]:
    """The executions of a recording, as slices read them."""
    cells = _analysed(recording.events)
    found: list[Executed] = []
    for place, (event, statements) in enumerate(cells):
        # Before cells that cannot draw, the states of the generators are not looked at.
        after = next((later for later, code in cells[place + 1 :] if not plain(code)), None)
        found.append(
            Executed(
                seq=event.seq,
                statements=statements,
                stopped=_stopped(event, statements),
                bound=frozenset(event.writes),
                drew=_drew(event, after),
                read=frozenset(_paths(event.files_read)),
                written=frozenset(_paths(event.files_written)),
                values=event.values,
            )
        )
    return found


def _analysed(events: Sequence[CellEvent]) -> list[tuple[CellEvent, tuple[Statement, ...]]]:
    """The executions with their statements, each read with what was known when it ran."""
    fitting: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    imported: frozenset[str] = frozenset()
    cells = []
    for event in events:
        statements = analyse(event.source, fitting, objects)
        cells.append((event, statements, fitting, objects))
        fitting = fitting.union(*(statement.fitting_defs for statement in statements))
        imported = imported.union(*(statement.modules for statement in statements))
        objects = objects_after(statements, objects)
    found = []
    for event, statements, fitting, known in cells:
        # Functions may name what is bound only later.
        later = (objects - imported - known) & frozenset[str]().union(*(item.captures for item in statements))
        found.append((event, analyse(event.source, fitting, known | later) if later else statements))
    return found


def _stopped(event: CellEvent, statements: Sequence[Statement]) -> int | None:
    if event.status in ("ok", "untracked"):
        return None
    line = _CELL_LINE.search(event.error)
    return int(line[1]) if line else max((statement.end_line for statement in statements), default=0)


def _drew(event: CellEvent, after: CellEvent | None) -> frozenset[str] | None:
    """The global generators whose states differ after the execution; None where the states were not recorded."""
    if after is None or "untracked" in (event.status, after.status):
        return None
    return frozenset(key for key, state in after.random.items() if key in ("random", "numpy", "torch") and event.random.get(key) != state)


def _paths(files: Sequence[Any]) -> Iterator[str]:
    for item in files:
        path = item.get("source") or item.get("name") if isinstance(item, Mapping) else item.source or item.name
        if path:
            yield str(path)


def sought(recording: Recording, history: History, name: str | None) -> list[Sought]:
    """The results that `name` means; None means the run's model and metrics. Raises NotFound."""
    run = recording.run
    if name is None:
        found = [*_models(recording, history), *(item for key in (*run.metrics, *run.series) for item in _metric(recording, history, key))]
        if not found:
            raise NotFound("model or metric of run", run.name or run.id, "Name a result: `mlops slice RUN NAME`.")
        return list(dict.fromkeys(found))
    if name == "model" and (models := _models(recording, history)):
        found = models
    elif name in run.metrics or name in run.series:
        found = _metric(recording, history, name)
    elif seq := _last_writer(recording, name):
        found = [Sought("name", name, seq, Wanted(frozenset({name}), seq))]
    else:
        found = _figure(recording, history, name)
    if not found:
        known = ", ".join(dict.fromkeys((*run.metrics, *run.series, *(["model"] if run.model else []))))
        raise NotFound("result", name, f"The run has {known}; any name of the notebook can be sliced too." if known else "")
    return found


def _own(recording: Recording, history: History) -> list[int]:
    cells = set(recording.run.cells) or {event.seq for event in recording.events}
    return [number for number, step in enumerate(history.steps) if step.place.seq in cells]


def _models(recording: Recording, history: History) -> list[Sought]:
    """The models of the run, each with the statement that fitted it; where none was kept, the names that the last fit changed."""
    own = _own(recording, history)
    fits = [number for number in own if history.steps[number].statement.fits]
    found = []
    for item in recording.models.get(recording.run.own_id, ()):
        name = str(item["name"])
        root = re.split(r"[.\[ (]", name)[0]
        touching = [number for number in own if root in _touched(history.steps[number].statement)]
        # Some models are made by other calls than fits (`smooth`, `filter`), or inside functions that hand them on.
        makers = [number for number in touching if number in fits] or touching or fits
        if makers:
            step = history.steps[makers[-1]]
            found.append(Sought("model", name, step.place.seq, Wanted(places=frozenset({step.place}))))
        elif seq := _last_writer(recording, root):
            found.append(Sought("model", name, seq, Wanted(frozenset({root}), seq)))
    if not found and fits:
        step = history.steps[fits[-1]]
        for name in sorted(step.statement.writes or step.statement.mutates):
            found.append(Sought("name", name, step.place.seq, Wanted(frozenset({name}), step.place.seq)))
    return found


def _metric(recording: Recording, history: History, key: str) -> list[Sought]:
    """The statement that gave a metric of the run its value: the last that binds the name, or shows the expression."""
    kind = "metric" if key in recording.run.metrics and key not in recording.run.series else "series"
    own = _own(recording, history)
    shown = {event.seq: _shown_text(event) for event in recording.events if event.outputs}
    for tells in (_binds, _shows, _mentions):
        for number in reversed(own):
            step = history.steps[number]
            if tells(step.statement, key):
                return [Sought(kind, key, step.place.seq, Wanted(places=frozenset({step.place})))]
    # An entry of a dict that a cell ended with.
    for number in reversed(own):
        step = history.steps[number]
        if f"'{key}': " in shown.get(step.place.seq, ""):
            return [Sought(kind, key, step.place.seq, Wanted(places=frozenset({step.place})))]
    # What a model says of its own training, or what a function that the run's code calls has logged.
    if models := _models(recording, history):
        return [Sought(kind, key, models[-1].seq, models[-1].wanted)]
    places = [history.steps[number].place for number in own[-1:]]
    return [Sought(kind, key, place.seq, Wanted(places=frozenset({place}))) for place in places]


def _shown_text(event: CellEvent) -> str:
    outputs = map(Output.of, event.outputs)
    return "\n".join(str(output.data.get("text/plain", "")) for output in outputs if output.kind == "result")


def _binds(statement: Statement, key: str) -> bool:
    return key in statement.computed or any(_binds(inner, key) for inner in statement.body)


def _shows(statement: Statement, key: str) -> bool:
    """Whether a statement prints or ends with an expression that is recorded under this name."""
    try:
        tree = ast.parse(statement.source)
    except (SyntaxError, ValueError):
        return False
    shown: list[ast.expr] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SHOWING:
            shown += [item for argument in node.args for item in ast.walk(argument) if isinstance(item, ast.expr)]
        elif isinstance(node, ast.Expr):
            shown += [node.value, *(node.value.elts if isinstance(node.value, ast.Tuple) else ())]
    return any(metric_name(ast.unparse(item)).removesuffix("()") == key for item in shown if not isinstance(item, ast.Constant))


def _mentions(statement: Statement, key: str) -> bool:
    """Whether a statement makes the dict or list that the name is a part of: `scores.auc`, `cross_val_score.mean`, `"auc": ...`."""
    root, _, last = key.partition(".")
    touched = _touched(statement)
    quoted = any(f"{quote}{part}{quote}" in statement.source for part in {key, last} - {""} for quote in "'\"")
    return (root in touched and not statement.defines) or quoted or any(call.rpartition(".")[2] == root for call in statement.calls)


def _touched(statement: Statement) -> frozenset[str]:
    return statement.writes | statement.mutates


def _last_writer(recording: Recording, name: str) -> int:
    return max((event.seq for event in recording.events if name in event.writes or name in event.mutates), default=0)


def _figure(recording: Recording, history: History, name: str) -> list[Sought]:
    """The figures that an execution drew: `figure` is the last one's, `figure 7` those of the seventh execution."""
    if name not in ("figure", "plot") and not _FIGURE.fullmatch(name):
        return []
    asked = _FIGURE.fullmatch(name)
    drawn = [event.seq for event in recording.events if any(map(_is_image, event.outputs))]
    seqs = [seq for seq in drawn if asked is None or seq == int(asked[1])]
    if not seqs:
        return []
    places = frozenset(step.place for step in history.steps if step.place.seq == seqs[-1] and _draws(step.statement))
    return [Sought("figure", name, seqs[-1], Wanted(places=places))] if places else []


def _is_image(output: Any) -> bool:
    data = output.get("data", {}) if isinstance(output, Mapping) else output.data
    return any(mime.startswith(_IMAGES) for mime in data)


def _draws(statement: Statement) -> bool:
    return not statement.defines and (
        any(not feeds(call) and call not in _SHOWING for call in statement.calls)
        or bool(PLOTTING & (statement.reads | statement.writes))
        or not (statement.writes or statement.calls <= _SHOWING)
    )


def run_of(runs: Sequence[Run], sample: Run) -> list[Run]:
    """The runs of a replay that may be this one: made by its executions, as it is a child of another or not."""
    return [run for run in runs if set(run.cells) & set(sample.cells) and (run.parent is None) == (sample.parent is None)] or [
        run for run in runs if set(run.cells) & set(sample.cells)
    ]
