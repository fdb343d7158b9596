"""Versions of names: what each execution was given and what it made, told apart by how it was computed. Pure.

Two versions of a name are the same when the same statements made them from the same versions, or when their digests are equal. So a cell
that is run again unchanged makes what it made before, and only what really became another is told as a change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .statements import Statement, analyse, objects_after

FILE = "file "
"""What stands before a path among the names; no Python name looks like it."""

_CLASS = re.compile(r"(@.*\n)*\s*class\b")
_LINE = re.compile(r"\bline (\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of a cell, as recorded: `writes` and `deletes` are all names that it bound and unbound, `values` digests by name.

    `files_read` and `files_written` map files to their digests (or what else tells contents apart). `cell` is "" where no front end tells.
    """

    seq: int
    source: str
    cell: str = ""
    status: str = "ok"
    started: float = 0.0
    error: str = ""
    writes: Sequence[str] = ()
    deletes: Sequence[str] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    files_read: Mapping[str, str] = field(default_factory=dict)
    files_written: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A value that a name had: equal `id` means an equal value.

    `cell` and `seq` tell what bound or changed it last, `bound_by` what bound it.
    """

    id: int
    cell: str
    seq: int
    bound_by: str


@dataclass(frozen=True, slots=True)
class Trace:
    """What an execution was given (`inputs`) and left behind (`outputs`), by name; files stand under `FILE` and their path.

    `missing` are names that it reads and that nothing had bound (builtins among them), `unseen` those that it bound although no statement
    tells so.
    """

    execution: Execution
    statements: tuple[Statement, ...]
    inputs: Mapping[str, Version]
    outputs: Mapping[str, Version]
    missing: frozenset[str]
    unseen: frozenset[str]


class Ids:
    """Numbers for versions, shared by what happened and by what would happen."""

    def __init__(self) -> None:
        self._known: dict[Any, int] = {}
        self._by_digest: dict[tuple[str, str], int] = {}
        self._draws: dict[Any, int] = {}
        self._next = 0

    def of(self, key: Any) -> int:
        """The number of what was computed in this way; a new one for a new way."""
        if key not in self._known:
            self._next += 1
            self._known[key] = self._next
        return self._known[key]

    def digested(self, name: str, digest: str, key: Any) -> int:
        """The number of a value with this digest, from now on also of what is computed in this way."""
        self._known[key] = self._by_digest.setdefault((name, digest), self.of(key))
        return self._known[key]

    def draw(self, key: Any) -> int:
        """Count one more draw from state without a name."""
        self._draws[key] = self._draws.get(key, 0) + 1
        return self._draws[key]

    def last_draw(self, key: Any) -> int:
        """The last draw, which is taken to come again when all is run from the top."""
        return self._draws.get(key, 1)


class Namespace:
    """The versions of all names while executions follow one another."""

    def __init__(self, ids: Ids) -> None:
        self.versions: dict[str, Version] = {}
        self._ids = ids
        self._uses: dict[str, frozenset[str]] = {}
        self._alters: dict[str, frozenset[str]] = {}
        self._shares: dict[str, frozenset[str]] = {}
        self._classes: set[str] = set()

    def run(self, execution: Execution, statements: Iterable[Statement], cell: str, unseen: frozenset[str]) -> Trace:
        """Let an execution happen. `unseen` are names that it binds although no statement tells (star imports, `%run`, computed code)."""
        return self._run(execution, tuple(statements), cell, unseen, self._ids.draw)

    def rehearse(self, execution: Execution, statements: Iterable[Statement], cell: str, unseen: frozenset[str]) -> Trace:
        """The same, taking random draws to come as they came last."""
        # Digests tell what was made then, not what would be made now.
        bare = replace(execution, values={}, files_written=dict.fromkeys(execution.files_written, ""))
        return self._run(bare, tuple(statements), cell, unseen, self._ids.last_draw)

    def repeat(self, trace: Trace) -> bool:
        """Let an execution happen again as it did, where it would be given the same; False where it would not, and nothing happened."""
        if not trace.missing.isdisjoint(self.versions):
            return False
        for name, version in trace.inputs.items():
            now = self.versions.get(name)
            if (now.id if now is not None else None) != version.id and (now is not None or version.cell):
                return False
        for statement in trace.statements:
            self._learn(statement)
            for name in statement.deletes:
                self.versions.pop(name, None)
        for name in trace.execution.deletes:
            self.versions.pop(name, None)
        self.versions.update(trace.outputs)
        return True

    def needs(self, statement: Statement) -> frozenset[str]:
        """The names that a statement reads, also through the functions that it may call."""
        found = statement.reads | statement.mutates
        waiting = list(found)
        for name in waiting:
            more = self._uses.get(name, frozenset()) - found
            found |= more
            waiting += more
        return found

    def _run(
        self, execution: Execution, statements: tuple[Statement, ...], cell: str, unseen: frozenset[str], draw: Callable[[Any], int]
    ) -> Trace:
        inputs = {FILE + name: self._file(name, digest) for name, digest in execution.files_read.items()}
        outputs: dict[str, Version] = {}
        keys: dict[str, Any] = {}
        missing: set[str] = set()
        for statement in statements:
            needed = self.needs(statement)
            missing |= needed - self.versions.keys()
            given = {name: self.versions[name] for name in sorted(needed | statement.conditional) if name in self.versions}
            for name, version in given.items():
                if name not in outputs:
                    inputs.setdefault(name, version)
            files = tuple((name, inputs[FILE + name].id) for name in execution.files_read if _mentions(statement, name))
            base: tuple[Any, ...] = (statement.source, tuple((name, version.id) for name, version in given.items()), files)
            if statement.ambient or statement.network:
                base = (*base, draw(base))
            for name in (statement.writes | self._changed(statement)) - statement.deletes:
                keys[name] = (base, name)
                old = self.versions.get(name)
                bound_by = cell if name in statement.writes or old is None else old.bound_by
                outputs[name] = self.versions[name] = Version(self._ids.of(keys[name]), cell, execution.seq, bound_by)
            self._learn(statement)
            for name in statement.deletes:
                self._forget(name, outputs)
        whole = (execution.source, tuple((name, version.id) for name, version in sorted(inputs.items())))
        for name in unseen - outputs.keys():
            outputs[name] = Version(self._ids.of((whole, name)), cell, execution.seq, cell)
        for name, digest in execution.values.items():
            if name in keys and name in outputs:
                outputs[name] = replace(outputs[name], id=self._ids.digested(name, digest, keys[name]))
        for name, digest in execution.files_written.items():
            key = (whole, FILE + name)
            number = self._ids.digested(name, digest, key) if digest else self._ids.of(key)
            outputs[FILE + name] = Version(number, cell, execution.seq, cell)
        for name in execution.deletes:
            self._forget(name, outputs)
        self.versions.update(outputs)
        return Trace(execution, statements, inputs, outputs, frozenset(missing), unseen)

    def _file(self, path: str, digest: str) -> Version:
        """The file as the session wrote it, else as it came from outside."""
        return self.versions.get(FILE + path) or Version(self._ids.of((path, digest)), "", 0, "")

    def _changed(self, statement: Statement) -> frozenset[str]:
        """The names whose objects a statement changes, also under other names and through functions that it may call."""
        called = frozenset(name.partition(".")[0] for name in statement.calls)
        changed = statement.mutates.union(*(self._alters.get(name, frozenset()) for name in called))
        shared = changed.union(*(self._shares.get(name, frozenset()) for name in changed))
        return frozenset(name for name in shared if name in self.versions or name in statement.mutates)

    def _learn(self, statement: Statement) -> None:
        """Remember what the names that a statement binds carry along: what functions use and change, and which names share an object."""
        if statement.defines and _CLASS.match(statement.source):
            self._classes |= statement.defines
        for name in statement.writes:
            others = statement.aliases.get(name, frozenset())
            if name not in statement.conditional:
                self._part(name)
            # What a class makes carries its methods along.
            makers = [maker for maker in (*others, *statement.calls) if maker in others or maker in self._classes]
            self._set(self._uses, name, statement.captures.union(*(self._uses.get(maker, frozenset()) for maker in makers)))
            self._set(self._alters, name, statement.alters.union(*(self._alters.get(maker, frozenset()) for maker in makers)))
            for other in others:
                self._share(name, other)

    def _share(self, name: str, other: str) -> None:
        group = {name, other} | self._shares.get(name, frozenset()) | self._shares.get(other, frozenset())
        for member in group:
            self._shares[member] = frozenset(group - {member})

    def _part(self, name: str) -> None:
        for mate in self._shares.pop(name, frozenset()):
            self._shares[mate] -= {name}

    @staticmethod
    def _set(where: dict[str, frozenset[str]], name: str, names: frozenset[str]) -> None:
        if names:
            where[name] = names
        else:
            where.pop(name, None)

    def _forget(self, name: str, outputs: dict[str, Version]) -> None:
        self.versions.pop(name, None)
        outputs.pop(name, None)


class History:
    """What the executions of a session made of its names; of each cell the last execution is kept."""

    def __init__(self) -> None:
        self.ids = Ids()
        self.space = Namespace(self.ids)
        self.traces: dict[str, Trace] = {}
        self.bound: set[str] = set()
        self.objects: frozenset[str] = frozenset()

    def add(self, execution: Execution, statements: tuple[Statement, ...] | None = None) -> None:
        """The next execution; `statements` are those of its source where they are known already."""
        known = analyse(execution.source, objects=self.objects) if statements is None else statements
        self.objects = objects_after(known, self.objects)
        told = frozenset[str]().union(*(statement.writes | statement.mutates for statement in known))
        done = tuple(completed(execution, known))
        cell = key_of(execution)
        # The cell keeps the place in the document that its first execution gave it.
        self.traces[cell] = self.space.run(execution, done, cell, frozenset(execution.writes) - told)
        self.bound |= self.traces[cell].outputs.keys()


def completed(execution: Execution, statements: Iterable[Statement]) -> Iterator[Statement]:
    """The statements of an execution that ran to their end: all, or those before the line at which it failed."""
    failed = _LINE.search(execution.error) if execution.status not in ("ok", "untracked") else None
    if execution.status in ("ok", "untracked"):
        yield from statements
    elif failed:
        yield from (statement for statement in statements if statement.end_line < int(failed[1]))


def key_of(execution: Execution) -> str:
    """What tells one cell from another: the front end's id, else the cell's own text."""
    return execution.cell or f"source {execution.source.strip()}"


def _mentions(statement: Statement, path: str) -> bool:
    name = path.rpartition("/")[2]
    return not statement.texts or any(name in text for text in statement.texts)
