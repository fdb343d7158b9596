"""Which cells of a notebook are stale, which names have no code any more, and what a restart and a run of all cells would change. Pure.

A cell is stale when a name that it read was bound or changed since by a cell that comes before it, when a cell that it depends on was run
again and made something else, or when its own source is no longer what was executed. A notebook that ran in order is fresh throughout:
that a cell below binds or changes a name again makes nothing above it stale.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache

from ..records import CellState, Foreseen, LostName, Status
from .notebook_syntax import parse_cell
from .statements import analyse
from .versions import FILE, Execution, History, Namespace, Trace, Version

_GIVEN = frozenset(dir(builtins)) | {"get_ipython", "display", "In", "Out", "exit", "quit"}
_LINE_WIDTH = 60


@dataclass(frozen=True, slots=True)
class NotebookCell:
    """A code cell of the notebook file; `id` is "" in files older than nbformat 4.5."""

    id: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known beside the executions: the notebook's code cells in order (None where it cannot be read), when it was `saved`,
    the names that live (None: unknown), names that the kernel gave (`given`), files that changed on disk since they were read, and the
    execution that is `running` now."""

    session: str = ""
    notebook: str = ""
    cells: Sequence[NotebookCell] | None = None
    saved: float | None = None
    living: AbstractSet[str] | None = None
    given: AbstractSet[str] = frozenset()
    changed_files: AbstractSet[str] = frozenset()
    running: Execution | None = None


@dataclass(slots=True)
class _Place:
    """A cell in the order in which a run of all cells takes them; `rehearsed` is what that run would do with it."""

    key: str
    source: str
    trace: Trace | None
    edited: bool = False
    running: bool = False
    rehearsed: Trace | None = None

    @property
    def seq(self) -> int | None:
        return self.trace.execution.seq if self.trace else None

    @property
    def line(self) -> str:
        return _first_line(self.source)

    def __str__(self) -> str:
        executed = self.trace.execution.source if self.trace else self.source
        return f"cell [{self.seq}] `{_first_line(executed)}`" if self.trace else f"the cell `{self.line}`"


def status(history: History, around: Surroundings) -> Status:
    """Where the notebook and its kernel differ."""
    return _Document(history, around).status()


class _Document:
    """The executions laid beside the notebook."""

    def __init__(self, history: History, around: Surroundings) -> None:
        self._history, self._around = history, around
        self._gone: list[_Place] = []
        self._owner: dict[str, _Place] = {}
        self._unsaved = False
        self._places = self._placed()
        self._unknown = False
        self._bound: dict[str, _Place] = {}
        self._rehearse()

    def status(self) -> Status:
        around = self._around
        return Status(
            session=around.session,
            notebook=around.notebook,
            saved=around.saved,
            cells=tuple(self._states()),
            names=tuple(self._lost()),
            restart=tuple(self._restart()),
            notes=tuple(self._notes()),
        )

    # -- which execution belongs to which cell

    def _placed(self) -> list[_Place]:
        traces = dict(self._history.traces)
        running = self._around.running
        if self._around.cells is None:
            places = [_Place(key, trace.execution.source, trace) for key, trace in traces.items()]
            self._owner = {place.key: place for place in places}
            return places
        places = []
        for number, cell in enumerate(self._around.cells):
            place = _Place(cell.id or f"place {number}", cell.source, traces.pop(cell.id, None) if cell.id else None)
            place.running = running is not None and _is(running, cell)
            self._owner[place.key] = place
            places.append(place)
        for key, trace in list(traces.items()):
            self._match(key, trace, places)
        for place in places:
            if place.trace is not None and not _same_code(place.trace.execution.source, place.source):
                if self._newer_than_file(place.trace):
                    place.source = place.trace.execution.source
                else:
                    place.edited = True
        return places

    def _match(self, key: str, trace: Trace, places: list[_Place]) -> None:
        """Find the cell of an execution that has no id of the notebook's: by its text, else it is new or gone."""
        same = [place for place in places if _same(place.source, trace.execution.source)]
        for place in same:
            # Cells of the same text cannot be told apart: what one of them did, all did.
            if place.trace is None or place.trace.execution.seq < trace.execution.seq:
                place.trace = trace
        if same:
            self._owner[key] = same[0]
            return
        place = self._owner[key] = _Place(key, trace.execution.source, trace)
        if self._newer_than_file(trace):
            before = [index for index, other in enumerate(places) if other.seq is not None and other.seq < trace.execution.seq]
            places.insert(max(before, key=lambda index: places[index].seq or 0) + 1 if before else len(places), place)
        else:
            self._gone.append(place)

    def _newer_than_file(self, trace: Trace) -> bool:
        newer = self._around.saved is not None and trace.execution.started > self._around.saved
        self._unsaved |= newer
        return newer

    # -- what a run of all cells would do

    def _rehearse(self) -> None:
        space = Namespace(self._history.ids)
        for place in self._places:
            if place.trace is None or place.edited:
                execution = Execution(seq=place.seq or 0, source=place.source)
                statements = analyse(place.source, objects=self._history.objects)
                place.rehearsed = space.rehearse(execution, statements, place.key, frozenset())
                self._unknown |= any(statement.opaque for statement in statements)
            elif space.repeat(place.trace):
                place.rehearsed = place.trace
            else:
                place.rehearsed = space.rehearse(place.trace.execution, place.trace.statements, place.key, place.trace.unseen)
            for name in place.rehearsed.outputs:
                self._bound.setdefault(name, place)

    # -- stale cells

    def _states(self) -> Iterator[CellState]:
        why = self._why_stale()
        for place in self._places:
            state = "running" if place.running else "never run" if place.trace is None else "stale" if why[place.key] else "fresh"
            yield CellState(cell=place.key, seq=place.seq, line=place.line, state=state, why=tuple(why[place.key]))
        for place in self._gone:
            why_gone = ("It is no longer in the notebook as it ran.",)
            yield CellState(cell=place.key, seq=place.seq, line=place.line, state="gone", why=why_gone)

    def _why_stale(self) -> dict[str, list[str]]:
        why: dict[str, list[str]] = {}
        makers: dict[str, _Place] = {}
        for place in self._places:
            why[place.key] = []
            if place.trace is not None:
                why[place.key] = [] if place.running else list(self._reasons(place, place.trace, makers))
                makers.update(dict.fromkeys(place.trace.outputs, place))
        edited = {place.key for place in self._places if place.edited and not why[place.key]}
        for place in self._places:
            if place.edited:
                why[place.key].insert(0, "Its code was edited since it ran.")
        self._spread(why, edited)
        return why

    def _reasons(self, place: _Place, trace: Trace, makers: Mapping[str, _Place]) -> Iterator[str]:
        for name, version in trace.inputs.items():
            source = self._owner.get(version.cell)
            again = source.trace if source is not None and source is not place else None
            maker = makers.get(name)
            if name.startswith(FILE) and name.removeprefix(FILE) in self._around.changed_files:
                yield f"{name} changed on disk after this cell read it."
            elif again is not None and again.execution.seq > max(trace.execution.seq, version.seq) and _differs(again, name, version):
                yield f"{name} was made anew by {source} after this cell ran."
            elif (
                maker is not None
                and maker.trace is not None
                and maker is not source
                and maker.trace.execution.seq > trace.execution.seq
                and maker.trace.outputs[name].id != version.id
            ):
                yield f"{name} was bound or changed by {maker}, which comes before this cell but ran after it."

    def _spread(self, why: dict[str, list[str]], edited: set[str]) -> None:
        """What a stale cell made is stale in the cells that read it; an edit spreads only through the names that it makes another."""
        readers: dict[str, list[tuple[_Place, str, Version]]] = {}
        for place in self._places:
            for name, version in place.trace.inputs.items() if place.trace is not None and not place.running else ():
                if version.cell in self._owner:
                    readers.setdefault(self._owner[version.cell].key, []).append((place, name, version))
        waiting = [place for place in self._places if why[place.key]]
        for stale in waiting:
            for place, name, version in readers.get(stale.key, ()):
                if not why[place.key] and not (stale.key in edited and self._made_again(stale, name, version)):
                    why[place.key].append(f"{name} comes from {stale}, which is stale itself.")
                    waiting.append(place)

    def _made_again(self, place: _Place, name: str, version: Version) -> bool:
        again = place.rehearsed.outputs.get(name) if place.rehearsed else None
        return again is not None and again.id == version.id

    # -- names without code

    def _lost(self) -> Iterator[LostName]:
        if self._unknown:
            return
        living = self._around.living
        for name, version in sorted(self._history.space.versions.items()):
            if name in self._bound or name.startswith(FILE) or (living is not None and name not in living):
                continue
            place = self._owner.get(version.bound_by)
            if place is None or place in self._gone:
                why = f"{place or 'The cell'}, which made it, is no longer in the notebook."
            elif place.edited:
                why = f"{place}, which made it, was edited and does not make it any more."
            else:
                why = f"{place} made it when it ran before, with other code."
            yield LostName(name=name, seq=version.seq, why=_sentence(why))

    # -- what a restart would change

    def _restart(self) -> Iterator[Foreseen]:
        for place in self._places:
            if not place.running:
                for kind, name, why in self._changes(place):
                    yield Foreseen(kind=kind, cell=place.key, seq=place.seq, line=place.line, name=name, why=_sentence(why))
        needed = {version.cell for version in self._history.space.versions.values()}
        for place in self._gone:
            if place.key in needed:
                why_missing = "It is no longer there, so it would not run."
                yield Foreseen(kind="missing", cell=place.key, seq=place.seq, line=place.line, why=why_missing)

    def _changes(self, place: _Place) -> Iterator[tuple[str, str, str]]:
        trace, then = place.trace, place.rehearsed
        if then is None:
            return
        if trace is None:
            yield "new", "", "It was never run; now it would be."
        elif place.edited:
            yield "code", "", "It would run with the code as it was edited since."
        for name in sorted(self._unbound(place, then)):
            below = self._bound.get(name)
            where = f"only {below}, which comes later, binds it" if below else "no cell binds it"
            yield "error", name, f"NameError: {name} is not bound there; {where}."
        if trace is None or place.edited:
            return
        if trace.execution.status not in ("ok", "untracked"):
            yield "error", "", "It failed when it ran last; a run of all cells stops there."
        for name, now in trace.inputs.items():
            version = then.inputs.get(name)
            if version is None or version.id == now.id:
                continue
            was, would = self._owner.get(now.cell), self._owner.get(version.cell)
            if was is would:
                yield "value", name, f"{name} comes from {would}, which would make another."
            else:
                yield "value", name, f"{name} came from {was or 'outside'}; it would come from {would or 'outside'}."

    def _unbound(self, place: _Place, then: Trace) -> frozenset[str]:
        if self._unknown:
            return frozenset()
        names = then.missing - _GIVEN - frozenset(self._around.given)
        if place.trace is not None and not place.edited:
            # What it found somewhere when it ran, it will find again.
            names -= place.trace.missing
        return frozenset(name for name in names if not name.startswith("_"))

    def _notes(self) -> Iterator[str]:
        around = self._around
        if around.cells is None:
            yield "The notebook file cannot be read: cells stand in the order in which they first ran, with the code that ran."
        elif self._unsaved:
            yield "The notebook was saved before the last cells ran: edits since are known only when it is saved."
        if self._unknown:
            yield "A cell that did not run yet binds names that its text does not tell, so names without code cannot be told."


def _differs(again: Trace, name: str, version: Version) -> bool:
    """Whether a later execution made something else of a name; one that failed before it came to the name made nothing."""
    made = again.outputs.get(name)
    return made.id != version.id if made is not None else again.execution.status == "ok"


def _is(execution: Execution, cell: NotebookCell) -> bool:
    return execution.cell == cell.id if execution.cell and cell.id else _same(execution.source, cell.source)


def _same(one: str, other: str) -> bool:
    return one.strip() == other.strip()


def _same_code(one: str, other: str) -> bool:
    """Whether two texts are the same but for comments and layout, which make no other results."""
    return _same(one, other) or (_code(one) is not None and _code(one) == _code(other))


@lru_cache(maxsize=1024)
def _code(source: str) -> str | None:
    cell = parse_cell(source)
    return ast.dump(cell.tree) if cell is not None and cell.tree.body and not cell.magics else None


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] if text.startswith("cell") else text


def _first_line(source: str) -> str:
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= _LINE_WIDTH else line[: _LINE_WIDTH - 1] + "…"
