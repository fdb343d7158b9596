"""The least code that recreates a result: which of the statements executed so far its value goes back to.

The statements are followed in the order in which they ran. For each name the walk knows which statements make up its current value (the
last that bound it, and those that changed it since, also through other names of the object), and which functions that value may run.
What has no name of its own (a global random generator, a file, the working folder, an option) has a place, see `ambience`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .ambience import GENERATORS, Ambience
from .callables import Manner, manner
from .mutation import only_reads
from .sharing import Sharing
from .statements import Statement

_IMPORT = re.compile(r"import\s+([\w.]+)(?:\s+as\s+(\w+))?|from\s+([\w.]+)\s+import\s+\(?([^()#]+?),?\s*\)?", re.DOTALL)
_ONE_SHOT = re.compile(r"\((?:[^()]|\([^()]*\))*\sfor\s|(?:iter|map|filter|zip|enumerate|reversed|open|csv\.\w*reader)\(")
_CARRIES = re.compile(r"[\[{(]|(?:\w+\.)*(?:[A-Z]\w*|partial|defaultdict|wraps|vectorize|jit|lru_cache|cache)\(")
_SHOWN = re.compile(r"_+|_\d+")
_GENERATORS = frozenset(GENERATORS)
_PLAIN = (str, int, float, bool, bytes, complex, type(None))


@dataclass(frozen=True, slots=True)
class Executed:
    """One execution of a cell. `stopped` is the line that raised (0: nothing ran), None when it ran to its end.

    `bound` are the names that the namespace showed as bound, `drew` the global generators that moved (None where nobody knows), `read` and
    `written` paths of files, `values` the digests of the frames and arrays that it bound or changed, by name.
    """

    seq: int
    statements: tuple[Statement, ...]
    stopped: int | None = None
    bound: frozenset[str] = frozenset()
    drew: frozenset[str] | None = None
    read: frozenset[str] = frozenset()
    written: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A top-level statement of an execution: the `index`-th of the cell that ran as number `seq`."""

    seq: int
    index: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A result: the values of `names` after the execution `seq` (None: at the end), and what the statements at `places` do."""

    names: frozenset[str] = frozenset()
    seq: int | None = None
    places: frozenset[Place] = frozenset()


@dataclass(slots=True)
class Step:
    """A statement that ran (`partly`, when it raised), and the steps, by number, that what it did depends on.

    `unseeded` are the global generators that it drew from although no statement had seeded them.
    """

    place: Place
    statement: Statement
    partly: bool = False
    needs: frozenset[int] = frozenset()
    unseeded: frozenset[str] = frozenset()


def slice_of(executions: Sequence[Executed], wanted: Wanted, *, careful: bool = False) -> tuple[Place, ...]:
    """The statements behind a result, in the order in which they ran.

    A careful slice also keeps calls that could change what they are given, and everything that sets options of modules.
    """
    history = History(executions, careful=careful)
    return tuple(history.steps[number].place for number in history.behind(wanted))


class History:
    """All that ran, followed once; any number of results can be asked for."""

    def __init__(self, executions: Sequence[Executed], *, careful: bool = False) -> None:
        self.steps: list[Step] = []
        self._careful = careful
        self._current: dict[str, tuple[int, ...]] = {}
        self._after: dict[int, dict[str, tuple[int, ...]]] = {}
        self._code: dict[str, frozenset[int]] = {}
        self._once: set[str] = set()
        self._texts: dict[str, str] = {}
        self._digests: dict[str, str] = {}
        self._seeded: set[str] = set()
        self._unseeded: dict[str, list[int]] = {}
        self._sharing = Sharing()
        self._ambience = Ambience(careful=careful)
        for execution in executions:
            self._execute(execution)
            self._after[execution.seq] = dict(self._current)

    def behind(self, wanted: Wanted) -> list[int]:
        """The steps behind a result, by number, in the order in which they ran."""
        return self.closed(self.ends(wanted))

    def ends(self, wanted: Wanted) -> list[int]:
        """The steps, by number, that last had to do with a result."""
        state = self._current if wanted.seq is None else self._after.get(wanted.seq, self._current)
        last = [number for name in wanted.names for number in _value(name, state)]
        return [*last, *(number for number, step in enumerate(self.steps) if step.place in wanted.places)]

    def closed(self, numbers: Iterable[int], without: frozenset[int] = frozenset()) -> list[int]:
        """These steps and all that they depend on, in order; as if the steps of `without` were not needed."""
        kept: set[int] = set()
        waiting = [number for number in numbers if number not in without]
        while waiting:
            number = waiting.pop()
            if number not in kept:
                kept.add(number)
                waiting += self.steps[number].needs - kept - without
            if not waiting:
                waiting += self._drawn_between(kept) - without
        return sorted(kept)

    def _drawn_between(self, kept: set[int]) -> set[int]:
        """Draws from generators that nothing seeded: their state is recorded where a cell begins, so that all draws count from the cell
        of the first that is kept to the last."""
        found: set[int] = set()
        for draws in self._unseeded.values():
            if own := kept.intersection(draws):
                first, last = self.steps[min(own)].place.seq, max(own)
                found.update(number for number in draws if number < last and self.steps[number].place.seq >= first)
        return found - kept

    # -- one execution after the other

    def _execute(self, execution: Executed) -> None:
        unchanged = self._unchanged(execution)
        step = None
        for index, statement in enumerate(execution.statements):
            if execution.stopped is not None and statement.line > execution.stopped:
                break
            step = Step(Place(execution.seq, index), statement, execution.stopped is not None and statement.end_line >= execution.stopped)
            self.steps.append(step)
            self._take(len(self.steps) - 1, step, execution, unchanged)
        if step is not None and not step.partly and not step.statement.writes:
            self._current["_"] = (len(self.steps) - 1,)
            self._extend("Out", len(self.steps) - 1)
        self._digests.update(execution.values)

    def _unchanged(self, execution: Executed) -> frozenset[str]:
        """Names that the text says were changed in place, by one statement, and whose content proves that they were not."""
        found = []
        for name, digest in execution.values.items():
            if self._digests.get(name) == digest:
                touching = [item for item in execution.statements if name in item.mutates | item.writes | item.may_mutate]
                if len(touching) == 1 and name not in touching[0].writes:
                    found.append(name)
        return frozenset(found)

    def _take(self, number: int, step: Step, execution: Executed, unchanged: frozenset[str]) -> None:
        statement = step.statement
        texts = _bound_texts(statement)
        if texts and not step.partly and all(self._texts.get(name) == text for name, text in texts.items()):
            return  # it only binds once more what is bound already
        called = self._called(statement)
        definitions = [self.steps[item].statement for item in called]
        touched = self._ambience.touched(statement, execution, definitions)
        reads = statement.reads | statement.mutates | touched.reads | touched.changes
        changes = self._changes(statement, called, unchanged)
        for item in definitions:
            reads |= item.captures | item.defines
        reads -= {f"random {kind}" for kind in _GENERATORS - self._seeded}  # see `_drawn_between`
        needs = {item for name in reads | changes for item in _value(name, self._current)}
        if statement.opaque and not statement.star_imports and not statement.calls & {"%run", "%pylab"}:
            needs.update(item for value in self._current.values() for item in value)
        step.needs = frozenset(needs - {number})
        code = self._code_in(number, statement)
        for name in self._sharing.reached(changes, statement) if changes else ():
            self._extend(name, number)
            self._texts.pop(name, None)
            if name in changes:
                self._code[name] = self._code.get(name, frozenset()) | code
        self._bind(number, step, code, texts, execution)
        self._sharing.bind(statement, changes, partly=step.partly)
        self._settle(number, step, touched.binds, touched.changes)

    def _settle(self, number: int, step: Step, binds: frozenset[str], changes: frozenset[str]) -> None:
        for place in binds:
            self._current[place] = (number,)
        for place in changes:
            self._extend(place, number)
        self._seeded |= {place.removeprefix("random ") for place in binds if place.startswith("random ")}
        drawn = {place.removeprefix("random ") for place in changes if place.startswith("random ")}
        step.unseeded = frozenset(drawn - self._seeded)
        for kind in step.unseeded:
            self._unseeded.setdefault(kind, []).append(number)

    def _bind(self, number: int, step: Step, code: frozenset[int], texts: Mapping[str, str], execution: Executed) -> None:
        statement = step.statement
        untold: frozenset[str] = frozenset()
        if statement.opaque:
            untold = execution.bound - frozenset[str]().union(*(item.writes for item in execution.statements))
        for name in statement.writes | untold:
            keeps = name in statement.conditional or name in statement.mutates or step.partly or _is_submodule(statement)
            if keeps:
                self._extend(name, number)
            else:
                self._current[name] = (number,)
                self._once.discard(name)
            self._texts.pop(name, None)
            own = code | {number} if name in statement.defines else code
            self._code[name] = own | self._code.get(name, frozenset()) if keeps else own
            if self._is_once(statement.computed.get(name, "")):
                self._once.add(name)
        for name in () if step.partly else statement.deletes:
            self._current.pop(name, None)
            self._texts.pop(name, None)
        if not step.partly:
            self._texts.update(texts)

    def _extend(self, name: str, number: int) -> None:
        before = self._current.get(name, ())
        if number not in before[-1:]:
            self._current[name] = (*before, number)

    # -- what a statement runs and changes

    def _called(self, statement: Statement) -> frozenset[int]:
        """The definitions whose code this statement may run."""
        found: set[int] = set()
        waiting = [name for name in statement.reads | statement.mutates if self._code.get(name)]
        seen = set(waiting)
        while waiting:
            for number in self._code[waiting.pop()]:
                if number not in found:
                    found.add(number)
                    definition = self.steps[number].statement
                    more = {name for name in definition.captures | definition.defines if self._code.get(name)} - seen
                    seen |= more
                    waiting += more
        return frozenset(found)

    def _changes(self, statement: Statement, called: frozenset[int], unchanged: frozenset[str]) -> frozenset[str]:
        """The names whose objects the statement changes in place."""
        manners = self._manners(called)
        changes = statement.mutates
        if manners and _is_call(statement) and all(self._is_told(call) for call in statement.calls):
            # A call whose result is thrown away was made for what it changes; here its code tells what that is.
            changes = frozenset()
        if self._careful or any(item.changes for item in manners):
            changes |= statement.may_mutate | statement.mutates
        changes |= _used(statement) & self._once
        changes |= frozenset(self._changed_by_calls(statement))
        for number in called:
            changes |= self.steps[number].statement.alters
        return changes - unchanged

    def _manners(self, called: Iterable[int]) -> list[Manner]:
        return [manner(self.steps[number].statement.source) for number in called if self.steps[number].statement.defines]

    def _is_told(self, call: str) -> bool:
        """Whether it is known what a call changes: its code is known, or it only reads."""
        root, _, method = call.partition(".")
        kinds = self._manners(self._code.get(root, ()))
        return only_reads(call) or (bool(kinds) and (not method or any(method in item.methods for item in kinds)))

    def _changed_by_calls(self, statement: Statement) -> Iterator[str]:
        """Names of instances and functions that calls of their own change."""
        for call in statement.calls:
            root, _, method = call.partition(".")
            for number in self._code.get(root, ()):
                definition = self.steps[number].statement
                how = manner(definition.source) if definition.defines else Manner()
                itself = root in definition.defines
                called = how.remembers if itself else how.counts or how.methods.get("__call__", False)
                if how.methods.get(method, False) if method else called:
                    yield root

    def _code_in(self, number: int, statement: Statement) -> frozenset[int]:
        """The definitions whose code the values that this statement makes may run later."""
        found: set[int] = set()
        makes_code = statement.captures and not statement.defines and not statement.body
        if makes_code and all(_CARRIES.match(statement.computed.get(name, "(")) for name in statement.writes):
            found.add(number)
        # A function runs what decorates it, an instance what its class was made from, a changed object what was put into it.
        behind = frozenset[str]().union(*statement.aliases.values(), statement.reads if statement.mutates or statement.defines else ())
        for name in behind:
            found |= self._code.get(name, frozenset())
        for call in statement.calls:
            found.update(item for item in self._code.get(call, ()) if manner(self.steps[item].statement.source).lasting)
        return frozenset(found)

    def _is_once(self, expression: str) -> bool:
        """Whether a value can be run through only once."""
        if expression.isidentifier():
            return expression in self._once
        called = self._code.get(expression.partition("(")[0], ())
        return bool(_ONE_SHOT.match(expression)) or any(item.generates for item in self._manners(called))


def _value(name: str, state: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    return state.get("Out", ()) if name not in state and _SHOWN.fullmatch(name) else state.get(name, ())


def _is_call(statement: Statement) -> bool:
    return not statement.writes and not statement.body and any(statement.source.startswith(f"{call}(") for call in statement.calls)


def _used(statement: Statement) -> frozenset[str]:
    """The names whose values are used, not only given another name."""
    return statement.reads - {source for source in statement.computed.values() if source.isidentifier()}


def _bound_texts(statement: Statement) -> dict[str, str]:
    """For a statement that binds imports, functions without defaults, or plain literals and does nothing else, by what text each name is
    bound: {} for any other."""
    names = statement.writes
    if not names or statement.mutates or statement.body:
        return {}
    if names == statement.literals.keys() and all(isinstance(item, _PLAIN) for item in statement.literals.values()):
        return {name: repr(value) for name, value in statement.literals.items()}
    if names == statement.defines and not statement.reads and not statement.source.startswith("class"):
        return dict.fromkeys(names, statement.source)
    texts = _imported(statement.source) if statement.imports and not statement.star_imports else {}
    return texts if texts.keys() == names else {}


def _imported(source: str) -> dict[str, str]:
    """What each name that an import binds stands for."""
    found = _IMPORT.fullmatch(source.strip())
    if found is None:
        return {}
    if found[1]:
        return {found[2] or found[1].split(".")[0]: found[1]}
    names: dict[str, str] = {}
    for part in found[4].split(","):
        name, _, new = part.strip().partition(" as ")
        names[new.strip() or name] = f"{found[3]}:{name}"
    return names


def _is_submodule(statement: Statement) -> bool:
    """`import a.b` binds `a`, and what was imported of it before stays."""
    return any("." in module and module.split(".")[0] in statement.writes for module in statement.imports)
