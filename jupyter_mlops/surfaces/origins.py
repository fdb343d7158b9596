"""From a result down to what made it: statement by statement, each told once, with its parameters, files and snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from .. import config
from ..code.slices import Step
from ..records import CellEvent, Node, Run
from ..replay.recording import Recording, recorded
from ..replay.results import Sought
from ..replay.slicing import Slicing
from .answers import short

_LONGEST = 80


def results_of(run: Run, name: str | None) -> list[Node]:
    """A node for the model and each metric of a run (None), or for the result of this name. Raises NotFound and UsageError."""
    return tree_of(recorded(run.own_id or run.id, config.load()), name)


def tree_of(recording: Recording, name: str | None) -> list[Node]:
    """As `results_of`, of a recording."""
    tree = _Tree(recording, Slicing(recording, *([] if name is None else [name])))
    return [tree.of(item) for item in tree.slicing.sought]


class _Tree:
    def __init__(self, recording: Recording, slicing: Slicing) -> None:
        self.recording, self.slicing = recording, slicing
        self._events = {event.seq: event for event in recording.events}
        self._shown: set[int] = set()
        self._behind: dict[int, frozenset[int]] = {}

    def of(self, item: Sought) -> Node:
        history = self.slicing.history
        run = self.recording.run
        model = next((kept for kept in self.recording.models.get(run.own_id, ()) if kept["name"] == item.name), None)
        value = f"{run.metrics[item.name]:.6g}" if item.name in run.metrics else str(model["class"]) if model else ""
        below = tuple(node for number in reversed(history.ends(item.wanted)) for node in self._statement(number))
        return Node(kind="metric" if item.kind == "series" else item.kind, name=item.name, detail=value, below=below)

    def _statement(self, number: int) -> Iterator[Node]:
        """The statement and what it depends on, or a mark where it stands in the tree already. Imports are no origin of anything."""
        step = self.slicing.history.steps[number]
        statement = step.statement
        if statement.imports:
            return
        if statement.literals and statement.literals.keys() == statement.writes:
            yield from (Node(kind="parameter", name=name, detail=_brief(repr(value))) for name, value in statement.literals.items())
            return
        name, cell = f"[{step.place.seq}] {_brief(statement.source)}", self._events[step.place.seq].cell
        if number in self._shown:
            yield Node(kind="statement", name=name, ref=cell, detail="see above")
            return
        self._shown.add(number)
        # What a statement needs both directly and through another is told under the other.
        direct = step.needs - frozenset().union(*(self._all_behind(other) for other in step.needs))
        behind = (node for other in sorted(direct, reverse=True) for node in self._statement(other))
        yield Node(kind="statement", name=name, ref=cell, below=(*self._files(step), *self._snapshots(step), *behind))

    def _all_behind(self, number: int) -> frozenset[int]:
        """The statements that this one depends on, through others too."""
        waiting = [number]
        while waiting:
            needs = self.slicing.history.steps[waiting[-1]].needs
            if missing := [other for other in needs if other not in self._behind]:
                waiting += missing
                continue
            self._behind[waiting.pop()] = frozenset(needs).union(*(self._behind[other] for other in needs))
        return self._behind[number]

    def _files(self, step: Step) -> Iterator[Node]:
        event = self._events[step.place.seq]
        for item, how in (*((item, "read") for item in event.files_read), *((item, "written") for item in event.files_written)):
            place = str(_of(item, "source") or _of(item, "name") or "")
            if place and (any(_ends(place, text) for text in step.statement.texts) or _alone(event, step)):
                yield Node(kind="file", name=short(place), ref=str(_of(item, "digest") or ""), detail=how)

    def _snapshots(self, step: Step) -> Iterator[Node]:
        """Data that came from the network or a database, or that the record has a digest of where it was bound first."""
        event = self._events[step.place.seq]
        fetched = self.recording.fetched.get(event.seq, {})
        for name in sorted(step.statement.writes & fetched.keys()):
            yield Node(kind="data", name=name, ref=fetched[name], detail="as the network gave it")
        for name in sorted((step.statement.writes & event.values.keys()) - fetched.keys()):
            yield Node(kind="data", name=name, ref=event.values[name])


def _ends(place: str, text: str) -> bool:
    """Whether a path ends with the whole parts of another, which may begin with `.` and `..`."""
    parts = [part for part in PurePath(text).parts if part not in (".", "..")]
    return bool(parts) and list(PurePath(place).parts[-len(parts) :]) == parts


def _alone(event: CellEvent, step: Step) -> bool:
    """Whether no text of the cell names its files, and this statement is one that calls something."""
    return bool(step.statement.calls) and event.source.count("\n") == 0


def _of(item: Any, key: str) -> Any:
    return item.get(key) if isinstance(item, Mapping) else getattr(item, key)


def _brief(text: str) -> str:
    first, *rest = text.strip().splitlines() or [""]
    return first[: _LONGEST - 1] + "…" if rest or len(first) > _LONGEST else first
