"""What belongs to each cell of a replay: states of generators, snapshots of the network, and what must be said of it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from ..code.statements import Statement, analyse
from ..records import CellEvent
from ..tracking.random_state import ARRIVED
from .causes import UNSEEDED
from .recording import UNTRACKED, Recording
from .stage import Cue

INTERRUPTED = "interrupted"
UNENDED = ("running", "killed")
GLOBAL = ("random", "numpy", "torch", "torch.cuda")
_SEEDS = re.compile(r"\bseed\w*\s*\(|manual_seed|set_state|setstate|set_rng_state")
_PACKAGE = "jupyter_mlops"
_IMPORTS = re.compile(rf"\bimport {_PACKAGE}(?: as (\w+))?")
_TRACKS = re.compile(r"\s*%%mlops track\b")
_TELLING = frozenset({"runs", "show", "compare", "lineage", "status", "widget"})
_ASKING = frozenset({"input", "getpass", "getpass.getpass"})


class Script:
    """The cues of a recording's cells, to be asked for in their order. `broken` is set when a cell could not be run as recorded: the next
    one that is watched then gets the states that it had."""

    def __init__(self, recording: Recording) -> None:
        history = recording.events if recording.restarted else recording.history or recording.events
        self._first = dict(first_states(history))
        self._named = named_states(history)
        self._latest = latest_states(history)
        self.broken = False
        self.hash_seed = str(recording.environments[0][1].get("hash_seed") or 0) if recording.environments else "0"

    def cue(self, event: CellEvent) -> Cue:
        """What belongs to this execution; also what belonged to earlier ones that are not played."""
        random: dict[str, str] = {}
        for seq in [seq for seq in self._first if seq <= event.seq]:
            random |= self._first.pop(seq)
        if self.broken and event.status != UNTRACKED:
            random = {**self._latest[event.seq], **random}
            self.broken = False
        states, made = self._named.get(event.seq, ({}, {}))
        return Cue(
            seq=event.seq,
            random={**random, **states},
            generators=made,
            fetched=event.fetched,
            digested=tuple(event.values),
            written={str(item["source"]): str(item["digest"]) for item in event.files_written if item.get("kept") and item.get("digest")},
            whole=event.status in ("ok", UNTRACKED),
        )

    def missed(self, event: CellEvent) -> None:
        """Note that an execution did not run as recorded. Where it seeds a generator nothing is put back: the seed could be another."""
        self.broken = self.broken or not _SEEDS.search(event.source)

    def reservations(self, event: CellEvent) -> Iterator[tuple[str, bool]]:
        """Why an execution cannot be what it was, whatever comes of it, and whether the reason is a listed one."""
        if event.status == INTERRUPTED:
            yield f"it was interrupted after {event.seconds:.1f} s, and is again after that time: what it had done by then can differ", True
        if event.status == UNTRACKED:
            yield "it ran before tracking began, so that nothing but its code is known", True
        if any(_ASKING & statement.calls for statement in analyse(event.source)):
            yield "it asked for input, and answers are not recorded", True


def first_states(events: Sequence[CellEvent]) -> Mapping[int, Mapping[str, str]]:
    """The states to put the global generators into, by the seq of the execution before which that is done.

    Each generator is put back once: later states follow from the code, or a changed seed would go unseen. Where code that tracking did not
    see sets a seed, nothing is put back. A generator that arrived later is put into the state in which its import made it, if that is
    known: PyTorch's is not where the same cell seeds it.
    """
    found: dict[int, dict[str, str]] = {}
    seen: set[str] = set()
    seeded = watched = False
    for event in events:
        states = {key: state for key, state in event.random.items() if key in GLOBAL and key not in seen}
        seen.update(states)
        if watched:
            arrived = set(event.random.get(ARRIVED, "").split()) - ({"torch"} if _SEEDS.search(event.source) else set())
            states = {key: state for key, state in states.items() if key in arrived}
        elif seeded:
            states = {}
        if states:
            found[event.seq] = states
        watched = watched or "random" in event.random
        seeded = seeded or bool(_SEEDS.search(event.source))
    return found


def named_states(events: Sequence[CellEvent]) -> Mapping[int, tuple[Mapping[str, str], Mapping[str, str]]]:
    """The states of generators that names hold, by seq: those to put back before it, and those to put back once it made them.

    Only of generators that their statement gave no seed, and once for each: later states follow from the code.
    """
    found: dict[int, tuple[dict[str, str], dict[str, str]]] = {}
    unseeded: set[str] = set()
    for event in events:
        for key, state in event.random.items():
            kind, _, name = key.partition(":")
            if kind == "name" and name in unseeded:
                found.setdefault(event.seq, ({}, {}))[0][key] = state
                unseeded.discard(name)
        for statement in analyse(event.source):
            unseeded -= statement.writes
            unseeded |= made_unseeded(statement)
        for key, state in event.random.items():
            kind, _, name = key.partition(":")
            if kind == "made" and name in unseeded:
                found.setdefault(event.seq, ({}, {}))[1][name] = state
                unseeded.discard(name)
    return found


def latest_states(events: Sequence[CellEvent]) -> Mapping[int, Mapping[str, str]]:
    """All states of the global generators before each execution, as far as they are known, by seq."""
    found: dict[int, Mapping[str, str]] = {}
    known: dict[str, str] = {}
    for event in events:
        known = known | {key: state for key, state in event.random.items() if key in GLOBAL}
        found[event.seq] = known
    return found


def own_cells(events: Sequence[CellEvent]) -> frozenset[int]:
    """The executions that call this package, by magic or as a module, or read what it told of runs (a table, a widget and what is ticked in
    it): what they show is about the tracking itself. A block that is only tracked shows the user's own results."""
    found: set[int] = set()
    names: set[str] = set()
    told: set[str] = set()
    for event in events:
        names.update(name or _PACKAGE for name in _IMPORTS.findall(event.source))
        magic = False
        for statement in analyse(event.source):
            verbs = {call.rpartition(".")[2] for call in statement.calls if call.partition(".")[0] in names} - {"track"}
            magic |= "%mlops" in statement.calls and not _TRACKS.match(event.source)
            reads = not told.isdisjoint(statement.reads)
            if verbs or reads or magic:
                found.add(event.seq)
            if reads or not verbs.isdisjoint(_TELLING):
                told |= statement.writes
            else:
                told -= statement.writes - statement.conditional
    return frozenset(found)


def made_unseeded(statement: Statement) -> frozenset[str]:
    """The names that a statement binds to generators without a seed."""
    return frozenset(name for name, expression in statement.computed.items() if UNSEEDED.search(expression))
