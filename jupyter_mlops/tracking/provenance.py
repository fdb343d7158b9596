"""Where each name's value came from: a graph of definitions that grows statement by statement, in the order of execution.

A definition is one binding or change of a name. It points to the definitions that its statement read, so that a fit can ask
for every literal, keyword and piece of data behind it, and a later result for the run of the model that it was computed from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..code.literals import feeds
from ..code.statements import Statement
from ..records import Input

MISSING: Any = object()
_SETS_KEY = re.compile(r"""\w+\[(["'])[^"'\]]*\1\]\s*=[^=]""")


@dataclass(slots=True, eq=False)
class Definition:
    """One binding or in-place change of `name`; `run` is the run that its value was computed from, `order` tells which run came later."""

    name: str
    sources: tuple[Definition, ...]
    literal: Any = MISSING
    keywords: tuple[tuple[str, str, Any], ...] = ()
    captures: frozenset[str] = frozenset()
    inputs: tuple[Input, ...] = ()
    run: str | None = None
    order: int = 0
    explicit: bool = False

    def mark(self, run: str, order: int) -> None:
        """Say that this value is the product of `run`, whatever it was computed from."""
        self.run, self.order, self.explicit = run, order, True


@dataclass(slots=True)
class Origins:
    """Everything behind a result: literals by name, literal keywords by function and keyword, and the data it goes back to."""

    literals: dict[str, Any] = field(default_factory=dict)
    keywords: dict[tuple[str, str], Any] = field(default_factory=dict)
    inputs: dict[tuple[str, str | None], Input] = field(default_factory=dict)


class Provenance:
    """The definitions that are current, by name, and how they come about."""

    def __init__(self) -> None:
        self.names: dict[str, Definition] = {}
        # Names bound to one object, and names whose objects may hold each other.
        self._same: dict[str, set[str]] = {}
        self._sharing: dict[str, set[str]] = {}

    def execute(self, statement: Statement, around: tuple[Definition, ...] = ()) -> list[Definition]:
        """Take in one executed statement (and the statements inside it); returns the definitions that it made.

        `around` is what the blocks around it read in their heads.
        """
        made: list[Definition] = []
        if statement.body:
            # What a block reads in its head (the iterable, the condition) decides over whatever is bound inside.
            bound = _bound_inside(statement)
            head = (*around, *self._reading(_head_reads(statement)))
            for name in sorted(statement.writes - bound):
                made.append(self._define(name, head, statement))
            for inner in statement.body:
                made += self.execute(inner, head)
            return made
        # A fit gives the model a new state, an assignment to a key gives what holds it another part; what only holds the model or the
        # frame, or is held by it, keeps its own history.
        shared = self._same if statement.fits or _SETS_KEY.match(statement.source) else self._sharing
        mutates = self._changed(statement)
        changed = mutates | frozenset(other for name in mutates for other in shared.get(name, ()))
        sources = tuple(dict.fromkeys((*self._reading(statement.reads | mutates), *around)))
        for name in sorted(statement.writes | changed):
            made.append(self._define(name, sources, statement))
        for name in statement.deletes:
            self.names.pop(name, None)
        self._share(statement)
        return made

    def behind(self, names: Iterable[str]) -> Origins:
        """All that the current values of `names` depend on, nearest definitions first (the nearest wins where names repeat)."""
        origins = Origins()
        for definition in self._walk(self._reading(names)):
            if definition.literal is not MISSING:
                origins.literals.setdefault(definition.name, definition.literal)
            for function, keyword, value in definition.keywords:
                if feeds(function):
                    origins.keywords.setdefault((function, keyword), value)
            for item in definition.inputs:
                origins.inputs.setdefault((item.source or item.name, item.digest), item)
        return origins

    def nearest(self, names: Iterable[str], wanted: Callable[[str], bool]) -> list[str]:
        """The names closest behind `names` that are wanted and still stand for what was read: all of the first step back that has any."""
        seen: set[int] = set()
        layer = list(self._reading(names))
        while layer:
            found = sorted({item.name for item in layer if self.names.get(item.name) is item and wanted(item.name)})
            if found:
                return found
            seen.update(map(id, layer))
            layer = list({id(source): source for item in layer for source in item.sources if id(source) not in seen}.values())
        return []

    def captured(self, names: Iterable[str]) -> set[str]:
        """The names that the functions among `names` read when they are called."""
        direct = set(names)
        return {definition.name for definition in self._reading(direct)} - direct

    def run_of(self, names: Iterable[str]) -> str | None:
        """The latest run that any of `names` was computed from."""
        latest = max(self._reading(names), key=lambda item: item.order, default=None)
        return latest.run if latest is not None else None

    def _changed(self, statement: Statement) -> frozenset[str]:
        """The names whose values a statement changes. Data that is handed to a call together with a model is only learned from, or
        predicted on: it does not become a product of that model."""
        if not statement.fits and not any(definition.run for definition in self._reading(statement.reads)):
            return statement.mutates
        return frozenset(name for name in statement.mutates if _is_changed_itself(name, statement))

    def _define(self, name: str, sources: tuple[Definition, ...], statement: Statement) -> Definition:
        before = self.names.get(name)
        keeps_earlier = name not in statement.writes or name in statement.mutates or name in statement.conditional
        if keeps_earlier and before is not None and before not in sources:
            sources = (*sources, before)
        definition = Definition(
            name=name,
            sources=sources,
            literal=statement.literals.get(name, MISSING),
            keywords=statement.keywords,
            captures=statement.captures if name in statement.defines else frozenset(),
        )
        inherit(definition)
        self.names[name] = definition
        return definition

    def _share(self, statement: Statement) -> None:
        """Note which names have to do with the same objects now, so that a change made through one is a change of the others."""
        rebound = statement.writes | statement.deletes
        _join(self._sharing, rebound, statement.aliases)
        _join(self._same, rebound, {name: {source} for name, source in statement.computed.items() if source.isidentifier()})

    def _reading(self, names: Iterable[str]) -> tuple[Definition, ...]:
        """The current definitions of `names`, and of what the functions among them read when they are called."""
        found: dict[str, Definition] = {}
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            definition = self.names.get(name)
            if definition is None or name in found:
                continue
            found[name] = definition
            waiting.extend(definition.captures)
        return tuple(found.values())

    @staticmethod
    def _walk(start: Iterable[Definition]) -> Iterator[Definition]:
        seen: set[int] = set()
        layer = list(start)
        while layer:
            below: list[Definition] = []
            for definition in layer:
                if id(definition) not in seen:
                    seen.add(id(definition))
                    yield definition
                    below.extend(definition.sources)
            layer = below


def inherit(definition: Definition) -> None:
    """Take the latest run among the sources, unless the definition is itself the product of a run."""
    if definition.explicit:
        return
    latest = max(definition.sources, key=lambda item: item.order, default=None)
    if latest is not None:
        definition.run, definition.order = latest.run, latest.order


def _is_changed_itself(name: str, statement: Statement) -> bool:
    """Whether a name is changed by a method of its own or by an assignment into it, rather than by a call that it is handed to."""
    into = statement.source.removeprefix("del ").lstrip().startswith((f"{name}[", f"{name}.", f"{name} "))
    return into or any(call.startswith(f"{name}.") for call in statement.calls)


def _head_reads(statement: Statement) -> frozenset[str]:
    """What a block reads besides the statements in it."""
    inside: frozenset[str] = frozenset()
    for inner in statement.body:
        inside |= inner.reads
    return statement.reads - inside


def _bound_inside(statement: Statement) -> frozenset[str]:
    bound: frozenset[str] = frozenset()
    for inner in statement.body:
        bound |= inner.writes | _bound_inside(inner)
    return bound


def _join(groups: dict[str, set[str]], rebound: Iterable[str], more: Mapping[str, Iterable[str]]) -> None:
    """Take rebound names out of their groups, and put each name of `more` together with its others and theirs."""
    for name in rebound:
        for other in groups.pop(name, ()):
            groups[other].discard(name)
    for name, others in more.items():
        together = {name, *others}.union(*(groups.get(other, ()) for other in others))
        for one in together:
            groups.setdefault(one, set()).update(together - {one})
