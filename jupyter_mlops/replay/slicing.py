"""Slices of a recording: computed from its code, then proved by playing them; where that fails they grow, up to the whole history."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

from ..code.ambience import GENERATORS
from ..code.lifting import Code, code_of
from ..code.slices import History, Step
from ..records import CellEvent, Piece, Replay, Run, Slice, Verdict
from ..store.objects import ObjectStore
from .findings import Finding, findings
from .player import Options, Played, Player
from .process import ReplayFailed
from .recording import Recording, with_sources
from .results import Sought, executions, run_of, sought
from .texts import DIFFERENT, IDENTICAL, UNCOMPARED
from .verdicts import summary

DEFAULT = "model and metrics"
MINIMISING_SECONDS = 30.0
_HELD = "jupyter_mlops.replay.held:held"
_AGREES = "jupyter_mlops.replay.held:agrees"

Tell = Callable[[str], None]


def sliced(recording: Recording, name: str | None = None) -> Slice:
    """The slice behind a result of the run (None: its model and metrics), from the code alone. Raises NotFound."""
    slicing = Slicing(recording, *([] if name is None else [name]))
    return slicing.record(slicing.first())


def proved(found: Slice, recording: Recording, objects: ObjectStore, options: Options = Options(), tell: Tell = lambda text: None) -> Slice:  # noqa: B008  # frozen
    """The slice, played until it gives its result again: with more statements where it did not, with fewer where it does without them.

    Raises what `Player.play` does.
    """
    return proved_together([] if found.name == DEFAULT else [found.name], recording, objects, options, tell)


def proved_together(
    names: Sequence[str],
    recording: Recording,
    objects: ObjectStore,
    options: Options = Options(),  # noqa: B008  # frozen
    tell: Tell = lambda text: None,
) -> Slice:
    """The slice behind several results at once (none: the run's model and metrics), proved as one."""
    return _Proof(Slicing(recording, *names), recording, objects, options, tell).prove()


def replayed_slice(recording: Recording, objects: ObjectStore, options: Options, tell: Tell = lambda text: None) -> Replay:
    """The replay of the slice behind the run's model and metrics, compared in these."""
    slicing = Slicing(recording)
    proof = _Proof(slicing, recording, objects, options, tell)
    trial = proof.grown()
    if trial.played is None:
        raise ReplayFailed(trial.why)
    return summary(trial.recording, trial.found, trial.played)


def compared(
    names: Sequence[str],
    recording: Recording,
    changed: Recording,
    objects: ObjectStore,
    tell: Tell = lambda text: None,
    held_by: Mapping[str, str] = MappingProxyType({}),
) -> list[Verdict]:
    """The verdict on each of these results of a recording when `changed`, the same with other code, is played in its place.

    `held_by` are the names that hold results at its end: a metric is compared with what its name holds, too.
    """
    proofs = [_Proof(Slicing(recording, name), recording, objects, Options(), tell) for name in names]
    with Player(changed, objects) as player:
        played = player.play()
        found = [proof.verdict(changed, played, player) for proof in proofs]
        for name, variable in held_by.items():
            if name in recording.run.metrics:
                number = player.ask(_HELD, {"name": variable, "store": played.objects.where})["number"]
                found.append(_of_number(name, recording, number))
    return found


def _of_number(name: str, recording: Recording, number: Any) -> Verdict:
    """The verdict on a metric whose name holds this number at the end."""
    known = recording.run.metrics[name]
    same = number == known or (number != number and known != known)
    seq = max(recording.run.cells, default=0)
    verdict, why = (IDENTICAL, "") if same else (DIFFERENT, f"what {name} is at the end of the code is not what was recorded")
    return Verdict(kind="metric", name=name, seq=seq, verdict=verdict, why=why, recorded=repr(known), replayed=repr(number))


@dataclass(frozen=True, slots=True)
class Trial:
    """One play of some steps: what was compared, and why that is no proof ("" when it is one). `played` is None where it came to no end."""

    numbers: tuple[int, ...]
    recording: Recording
    played: Played | None
    found: Sequence[Finding]
    why: str


class Slicing:
    """The slices of some results of a recording (none named: its model and metrics), narrower and wider."""

    def __init__(self, recording: Recording, *names: str) -> None:
        self.recording = recording
        self.name = ", ".join(names) or DEFAULT
        self._executions = executions(recording)
        self.history = History(self._executions)
        self.sought: list[Sought] = [item for name in names or [None] for item in sought(recording, self.history, name)]
        self._sources = {event.seq: event.source for event in recording.events}

    @cached_property
    def careful(self) -> History:
        """The history that takes every call that could change something for one that does."""
        return History(self._executions, careful=True)

    def first(self) -> tuple[int, ...]:
        """The numbers of the steps that the code says are needed."""
        return tuple(self.history.closed(self._ends(self.history)))

    def wider(self) -> Iterator[tuple[int, ...]]:
        """Larger and larger slices: all that could matter, then whole cells that touch its names, then everything up to the result."""
        careful = tuple(self.careful.closed(number for item in self.sought for number in self.careful.ends(item.careful)))
        yield careful
        steps = self.history.steps
        names = {name for number in careful for name in _touched(steps[number])}
        cells = {steps[number].place.seq for number in careful}
        last = max(item.seq for item in self.sought)
        touching = {step.place.seq for step in steps if step.place.seq <= last and _changed(step) & names} | cells
        yield tuple(self.careful.closed(number for number, step in enumerate(steps) if step.place.seq in touching))
        yield tuple(number for number, step in enumerate(steps) if step.place.seq <= last)

    def without(self, numbers: Sequence[int], dropped: Iterable[int]) -> tuple[int, ...]:
        """What is left of these steps when some are not needed, nor what only these needed."""
        away = frozenset(dropped)
        # Steps that the code does not call for, but without which the proof failed, each stay until their own trial.
        roots = {*self._ends(self.history), *(set(numbers) - set(self.first()))} - away
        left = set(self.history.closed(roots, without=away))
        return tuple(number for number in numbers if number in left and number not in away)

    def uncertain(self, numbers: Sequence[int]) -> list[int]:
        """The steps without which the others would not fail for sure: they bind no name that only they bind and that is read later."""
        import builtins

        found = []
        steps = self.history.steps
        ends = set(self._ends(self.history))
        for place, number in enumerate(numbers):
            statement = steps[number].statement
            bound = {name for other in numbers[:place] for name in steps[other].statement.writes}
            later = {name for other in numbers[place + 1 :] for name in steps[other].statement.reads | steps[other].statement.captures}
            only = {name for name in statement.writes - bound if not hasattr(builtins, name)}
            if number not in ends and not only & later:
                found.append(number)
        return found

    def code(self, numbers: Sequence[int]) -> Code:
        """The code of these steps."""
        return code_of([self.history.steps[number] for number in numbers], self._sources)

    def record(self, numbers: Sequence[int], proof: str = "unproved", why: str = "it was not replayed") -> Slice:
        """The slice of these steps."""
        code = self.code(numbers)
        return Slice(
            run=self.recording.run.id,
            name=self.name,
            pieces=tuple(Piece(seq=part.seq, line=part.line, end_line=part.end_line, source=part.source) for part in code.whole),
            kept=len(numbers),
            executed=len(self.history.steps),
            parameters=dict(code.parameters),
            source=code.source,
            proof=proof,
            why=why if proof == "unproved" else "",
        )

    def playable(self, numbers: Sequence[int]) -> Recording:
        """The recording that these steps are."""
        code = self.code(numbers)
        cells = code.cells
        first = self.history.steps[numbers[0]].place.seq if numbers else 0
        if code.heading:
            cells = {first: "", **cells}
            cells[first] = "\n".join(text for text in (code.heading, cells[first]) if text)
        played = with_sources(self.recording, cells)
        return replace(played, events=tuple(self._begun(played.events, numbers)), restarted=True)

    def _begun(self, events: Sequence[CellEvent], numbers: Sequence[int]) -> Iterator[CellEvent]:
        """Generators that no kept statement seeds begin with the state that they had before the first kept draw."""
        # Whether the last cell drew, no later state tells: then what could draw counts.
        starts = {
            kind: history.steps[number].place.seq
            for history in (self.careful, self.history)
            for number in reversed(numbers)
            for kind in history.steps[number].unseeded
        }
        states = {kind: state for kind in GENERATORS if (state := self._state(kind, starts.get(kind))) is not None}
        for place, event in enumerate(events):
            named = {key: state for key, state in event.random.items() if key.partition(":")[0] in ("name", "made")}
            yield replace(event, random={**states, **named} if place == 0 else named)

    def _state(self, kind: str, seq: int | None) -> Any:
        """The last recorded state of a generator when the execution `seq` began."""
        known = [event.random[kind] for event in self.recording.events if seq is not None and event.seq <= seq and kind in event.random]
        return known[-1] if known else None

    def _ends(self, history: History) -> list[int]:
        return [number for item in self.sought for number in history.ends(item.wanted)]


class _Proof:
    def __init__(self, slicing: Slicing, recording: Recording, objects: ObjectStore, options: Options, tell: Tell) -> None:
        self._slicing, self._recording, self._objects, self._options, self._tell = slicing, recording, objects, options, tell
        self._references: dict[str, _Reference] = {}

    def prove(self) -> Slice:
        trial = self.grown()
        if trial.why:
            return self._slicing.record(trial.numbers, "unproved", trial.why)
        numbers, minimal = self._shrunk(trial)
        return self._slicing.record(numbers, "minimal" if minimal else "proved")

    def grown(self) -> Trial:
        """The first play, of larger and larger slices, that proves its result; else the last."""
        numbers = self._slicing.first()
        trial = self._play(numbers)
        for wider in self._slicing.wider():
            if not trial.why:
                break
            if len(wider) > len(trial.numbers):
                self._tell(f"That is not enough ({trial.why}): with {len(wider)} statements")
                trial = self._play(wider)
        return trial

    def _shrunk(self, trial: Trial) -> tuple[tuple[int, ...], bool]:
        """Fewer steps that still prove the result; whether each of the rest was shown to be needed, in the time there is."""
        started = time.monotonic()
        numbers, seconds = trial.numbers, trial.played.seconds if trial.played is not None else 0.0
        tried: set[int] = set()
        while waiting := [number for number in self._slicing.uncertain(numbers) if number not in tried]:
            if time.monotonic() - started + seconds > MINIMISING_SECONDS:
                return numbers, False
            number = waiting[-1]
            tried.add(number)
            fewer = self._slicing.without(numbers, [number])
            self._tell(f"Without line {self._slicing.history.steps[number].statement.source.splitlines()[0][:60]!r}")
            if not self._play(fewer).why:
                numbers = fewer
        return numbers, True

    def _play(self, numbers: tuple[int, ...]) -> Trial:
        recording = self._slicing.playable(numbers)
        self._tell(f"Running {len(numbers)} of {len(self._slicing.history.steps)} statements")
        try:
            with Player(recording, self._objects, self._options) as player:
                played = player.play()
                found = [finding for item in self._slicing.sought for finding in self._compared(item, recording, played, player)]
        except ReplayFailed as error:
            # Too few statements may leave a kernel that ends or hangs: with more of them it may do better.
            return Trial(numbers, recording, None, (), str(error))
        wrong = next((item.verdict for item in found if item.verdict.verdict != IDENTICAL), None)
        why = "" if wrong is None else _told(wrong)
        return Trial(numbers, recording, played, found, why)

    def verdict(self, recording: Recording, played: Played, player: Player) -> Verdict:
        """The worst verdict on the result when `recording` was played."""
        found = [finding.verdict for item in self._slicing.sought for finding in self._compared(item, recording, played, player)]
        return next((item for item in found if item.verdict != IDENTICAL), found[0])

    def _compared(self, item: Sought, recording: Recording, played: Played, player: Player) -> list[Finding]:
        if item.kind == "name":
            return [self._of_name(item, played, player)]
        if item.kind == "figure":
            event = self._recording.event(item.seq)
            told = findings(replace(recording, events=(event,), runs=()), _with_runs(played, ()), self._objects)
            drawn = [finding for finding in told if finding.verdict.kind == "plot"]
            return drawn or [_finding(item, UNCOMPARED, "the record holds no picture")]
        found = self._of_run(item, recording, played, player)
        if item.kind == "metric" and item.name.isidentifier() and not any(finding.verdict.verdict == IDENTICAL for finding in found):
            # A slice may leave out what made it a result of a run; the name still holds the number.
            number = player.ask(_HELD, {"name": item.name, "store": played.objects.where})["number"]
            if number is not None and number == recording.run.metrics[item.name]:
                return [_finding(item, IDENTICAL)]
        return found or [_finding(item, UNCOMPARED, "the replay gave no such result")]

    def _of_run(self, item: Sought, recording: Recording, played: Played, player: Player) -> list[Finding]:
        """The result in that run of the replay which gives it again, if one does."""
        kept = {event.seq for event in recording.events}
        # Its first cell may be one that the slice leaves out: both are told by those that are left.
        cells = tuple(seq for seq in recording.run.cells if seq in kept) or recording.run.cells
        run = replace(recording.run, inputs=(), params={}, cells=cells)
        found: list[Finding] = []
        for again in run_of(played.recording.runs, run):
            pair = _with_runs(played, (replace(again, cells=run.cells, parent=run.parent),))
            told = findings(_bare(recording, (run,)), pair, self._objects, player.ask)
            found = [finding for finding in told if finding.verdict.kind == item.kind and finding.verdict.name == item.name]
            if found and all(finding.verdict.verdict == IDENTICAL for finding in found):
                break
        return found

    def _of_name(self, item: Sought, played: Played, player: Player) -> Finding:
        now = player.ask(_HELD, {"name": item.name, "store": played.objects.where})
        event = next(event for event in self._recording.events if event.seq == item.seq)
        if now["digest"] and item.name in event.values:
            return _finding(item, IDENTICAL if now["digest"] == event.values[item.name] else DIFFERENT, "its content differs")
        # The record holds no content of this name: what the whole history gives, played again, decides.
        reference = self._reference(item)
        if now["pickle"] and reference.packed:
            argument = {"name": item.name, "store": played.objects.where, "reference": played.objects.put(reference.packed)}
            answer = player.ask(_AGREES, argument)
            return _finding(item, answer["verdict"] or UNCOMPARED, answer["why"])
        for key in ("digest", "number"):
            if reference.told[key] not in ("", None) and now[key] not in ("", None):
                return _finding(item, IDENTICAL if now[key] == reference.told[key] else DIFFERENT, "its content differs")
        return _finding(item, UNCOMPARED, "its content was not recorded, and cannot be pickled to be compared")

    def _reference(self, item: Sought) -> _Reference:
        if item.name not in self._references:
            self._tell("Running the whole history once: the record does not hold this result")
            events = tuple(event for event in self._recording.events if event.seq <= item.seq)
            with Player(replace(self._recording, events=events), self._objects, self._options) as player:
                played = player.play()
                told = player.ask(_HELD, {"name": item.name, "store": played.objects.where})
                self._references[item.name] = _Reference(told, played.objects.get(told["pickle"]) if told["pickle"] else b"")
        return self._references[item.name]


@dataclass(frozen=True, slots=True)
class _Reference:
    """What a name held when the whole history was played: as `held` tells it, with the pickled value."""

    told: Mapping[str, Any]
    packed: bytes


def _bare(recording: Recording, runs: tuple[Run, ...]) -> Recording:
    """The recording without what its cells showed and bound: only these runs are to be compared."""
    events = (replace(event, outputs=(), values={}, files_written=(), status="ok") for event in recording.events)
    return replace(recording, events=tuple(events), runs=runs)


def _with_runs(played: Played, runs: tuple[Run, ...]) -> Played:
    return replace(played, recording=_bare(played.recording, runs) if runs else replace(played.recording, runs=()))


def _finding(item: Sought, verdict: str, why: str = "") -> Finding:
    kind = item.kind if item.kind != "name" else "frame"
    return Finding(Verdict(kind=kind, name=item.name, seq=item.seq, verdict=verdict, why="" if verdict == IDENTICAL else why))


def _told(verdict: Verdict) -> str:
    values = f"{verdict.recorded} recorded, {verdict.replayed} now" if verdict.recorded or verdict.replayed else ""
    told = "; ".join(text for text in (verdict.why, values) if text)
    return f"{verdict.name}: {told or verdict.verdict}"


def _touched(step: Step) -> frozenset[str]:
    return step.statement.reads | step.statement.captures | _changed(step)


def _changed(step: Step) -> frozenset[str]:
    statement = step.statement
    return statement.writes | statement.mutates | statement.may_mutate | statement.alters
