"""Every result of two recordings side by side: executions, runs and models, each compared in its own way."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..errors import MlopsError
from ..records import CellEvent, Input, Run, Verdict
from ..store.objects import ObjectStore
from .causes import Dependence, dependence
from .contents import compare_digests
from .outputs import compare_outputs
from .stage import UNREAD
from .texts import DIFFERENT, SAME, TOLERANCE, UNCOMPARED, Compared, Context, close, compare_texts, explained, short
from .written import compare_written

if TYPE_CHECKING:
    from .player import Played
    from .recording import Recording

Ask = Callable[[str, Any], Any]
"""Runs a function of this package inside the kernel of the replay: `ask("module:function", argument)`."""

NOTHING = "(nothing)"
_AGREE = "jupyter_mlops.replay.model_results:agree"
_UNFINISHED = ("running", "killed")


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, and how it came about."""

    verdict: Verdict
    compared: Compared = field(default=SAME)

    @property
    def doubtful(self) -> bool:
        """Whether only the code excuses the difference, so that a second replay must confirm it."""
        return self.compared.doubtful

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells the result from all others."""
        return self.verdict.kind, self.verdict.name, self.verdict.seq


def findings(recorded: Recording, played: Played, objects: ObjectStore, models: Ask | None = None) -> list[Finding]:
    """Every result of the recording compared, in the order of execution."""
    comparison = _Comparison(recorded, played, objects, models)
    found = [finding for event in recorded.events for finding in comparison.of_execution(event)]
    found += comparison.of_runs()
    return sorted(found, key=lambda finding: finding.verdict.seq)


def _folders_of(recording: Recording) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(folder) for folder in (recording.cwd, recording.project)))


class _Comparison:
    def __init__(self, recorded: Recording, played: Played, objects: ObjectStore, models: Ask | None) -> None:
        self._recorded, self._played, self._models = recorded, played, models
        self._objects = (objects, played.objects)
        self._replayed = {event.seq: event for event in played.recording.events}
        self._depends: Dependence = dependence(recorded.events)
        self._folders = (_folders_of(recorded), _folders_of(played.recording))

    # -- executions

    def of_execution(self, event: CellEvent) -> Iterator[Finding]:
        if event.status == "untracked":
            return
        seq, again = event.seq, self._replayed.get(event.seq)
        if again is None:
            yield self._finding("error", "replay", seq, Compared(DIFFERENT, "the cell was not run"))
            return
        context = self._context(event, again)
        if event.status in (*_UNFINISHED, "interrupted"):
            why = explained(["interrupted"]) if event.status == "interrupted" else "the cell had not ended when the record ends"
            yield self._finding("output", "cell", seq, Compared(UNCOMPARED, why, excused=event.status == "interrupted"))
            return
        yield from self._error(event, again, context)
        if self._knows_outputs(event):
            for shown in compare_outputs(event.outputs, again.outputs, self._objects, context):
                yield self._finding(shown.kind, shown.name, seq, self._doubted(shown.compared, context.causes))
        yield from self._values(event, again)
        yield from self._files(event, again, context)

    def _knows_outputs(self, event: CellEvent) -> bool:
        """A record that came from MLflow alone holds the outputs of the run's own executions only."""
        return not self._recorded.partial or event.seq in self._recorded.run.cells

    def _context(self, event: CellEvent, again: CellEvent) -> Context:
        began = self._recorded.events[0].started, next(iter(self._replayed.values())).started
        return Context(
            causes=self._depends.shown.get(event.seq, frozenset()),
            statements=self._depends.statements.get(event.seq, ()),
            folders=self._folders,
            seconds=(event.seconds, again.seconds),
            elapsed=(event.started + event.seconds - began[0], again.started + again.seconds - began[1]),
        )

    def _error(self, event: CellEvent, again: CellEvent, context: Context) -> Iterator[Finding]:
        first, second = (_last_line(item.error) if item.status != "ok" else "" for item in (event, again))
        if event.status == again.status == "ok":
            return
        if bool(first) != bool(second) or event.status != again.status:
            compared = Compared(DIFFERENT, recorded=short(first) or "no error", replayed=short(second) or "no error")
        else:
            compared = compare_texts(first, second, context)
        yield self._finding("error", "error", event.seq, compared)

    def _values(self, event: CellEvent, again: CellEvent) -> Iterator[Finding]:
        for name in dict.fromkeys([*event.values, *again.values]):
            causes = self._depends.of(event.seq, name)
            if name not in event.values:
                if again.values[name] == UNREAD and (name in event.writes or name in event.mutates):
                    why = "its content was not recorded: it was too large to be read in a small part of its cell's own time"
                    yield self._finding("frame", name, event.seq, Compared(UNCOMPARED, why))
                continue
            if name not in again.values:
                compared = Compared(DIFFERENT, recorded=f"digest {event.values[name][:12]}", replayed=NOTHING)
            else:
                compared = compare_digests(event.values[name], again.values[name], self._objects, causes)
            yield self._finding("frame", name, event.seq, self._doubted(compared, causes))

    def _files(self, event: CellEvent, again: CellEvent, context: Context) -> Iterator[Finding]:
        sides = [_by_place(item.files_written, folders) for item, folders in zip((event, again), self._folders, strict=True)]
        for place in dict.fromkeys([*sides[0], *sides[1]]):
            first, second = (side.get(place) for side in sides)
            if first is None or second is None:
                there, missing = f"{(first or second).size:,} bytes", NOTHING  # type: ignore[union-attr]  # one of them is there
                compared = Compared(DIFFERENT, recorded=there if first else missing, replayed=missing if first else there)
                if "temporary file" in context.causes:
                    compared = Compared(UNCOMPARED, explained(["temporary file"]), excused=True)
            elif not first.digest:
                compared = Compared(UNCOMPARED, "its content was not read before it changed again")
            elif not second.digest:
                compared = Compared(UNCOMPARED, "the content of its replay was not read")
            else:
                compared = compare_written(place, first.digest, second.digest, self._objects, context)
            yield self._finding("file", place, event.seq, self._doubted(compared, context.causes))

    # -- runs

    def of_runs(self) -> Iterator[Finding]:
        known = {run.own_id for run in self._recorded.runs}
        kept = {event.seq for event in self._recorded.events}
        runs = [replace(run, cells=tuple(kept & set(run.cells))) for run in self._recorded.runs if not run.cells or kept & set(run.cells)]
        pairs = _paired(_rooted(runs), _rooted(self._played.recording.runs))
        gone = sum(1 for event in self._recorded.events for run in event.runs if run not in known)
        for first, second in pairs:
            if first is not None:
                yield from self._run(first, second)
            elif second is not None and gone:
                gone -= 1  # its record was deleted
            elif second is not None:
                compared = Compared(DIFFERENT, "the replay made a run that the record has not", recorded=NOTHING, replayed=second.name)
                yield self._finding("model", second.name, min(second.cells, default=self._last), compared)

    @property
    def _last(self) -> int:
        return max((event.seq for event in self._recorded.events), default=0)

    def _run(self, run: Run, again: Run | None) -> Iterator[Finding]:
        seqs = run.cells or (self._last,)
        yield from self._numbers("metric", run.metrics, again.metrics if again else {}, run, set(run.series))
        yield from self._numbers("series", run.series, again.series if again else {}, run, set())
        for name in dict.fromkeys([*run.params, *(again.params if again else ())]):
            first, second = run.params.get(name, NOTHING), again.params.get(name, NOTHING) if again else NOTHING
            context = Context(causes=self._depends.of_result(seqs, name), folders=self._folders)
            compared = _plain(first, second, context)
            yield self._finding("parameter", name, min(seqs), self._doubted(compared, context.causes))
        yield from self._inputs(run, again)
        yield from self._tables(run, again)
        yield from self._fitted(run, again)
        if again is not None and run.status != again.status and "RUNNING" not in (run.status, again.status):
            compared = Compared(DIFFERENT, recorded=run.status.lower(), replayed=again.status.lower())
            yield self._finding("error", f"status of {run.name}", max(seqs), compared)

    def _numbers(self, kind: str, first: Mapping[str, Any], second: Mapping[str, Any], run: Run, skip: set[str]) -> Iterator[Finding]:
        for name in dict.fromkeys([*first, *second]):
            if name in skip:
                continue
            if name not in first or name not in second:
                sides = (str(side[name]) if name in side else NOTHING for side in (first, second))
                compared = Compared(DIFFERENT, "", recorded=short(next(sides)), replayed=short(next(sides)))
            else:
                compared = _number(first[name], second[name]) if kind == "metric" else _series(first[name], second[name])
            causes = self._depends.of_result(run.cells, name)
            yield self._finding(kind, name, self._seq_of(run, name), self._doubted(compared, causes))

    def _seq_of(self, run: Run, name: str) -> int:
        """The execution of the run that gave a result of this name."""
        root = name.partition(".")[0].partition("[")[0]
        own = [event for event in reversed(self._recorded.events) if event.seq in run.cells]
        for event in own:
            if root in event.writes or root in event.mutates:
                return event.seq
        return next((event.seq for event in own if name in event.source), min(run.cells, default=self._last))

    def _inputs(self, run: Run, again: Run | None) -> Iterator[Finding]:
        sides = [_inputs_of(item) if item else {} for item in (run, again)]
        for (name, place), item in sides[0].items():
            other = sides[1].get((name, place))
            kind, seq = "file" if item.kind in ("file", "folder") else "frame", min(run.cells, default=self._last)
            if item.digest is None:
                compared = Compared(UNCOMPARED, "its content was not read when it was recorded")
            elif other is None or other.digest is None:
                compared = Compared(DIFFERENT, recorded=f"digest {item.digest[:12]}", replayed=NOTHING)
            elif kind == "file":
                compared = compare_written(name, item.digest, other.digest, self._objects)
            else:
                compared = compare_digests(item.digest, other.digest, self._objects, self._depends.of_result(run.cells, name))
            yield self._finding(kind, f"input {name}", seq, self._doubted(compared, self._depends.of_result(run.cells, name)))

    def _tables(self, run: Run, again: Run | None) -> Iterator[Finding]:
        mine = self._recorded.tables.get(run.own_id, ()), self._played.recording.tables.get(again.own_id, ()) if again else ()
        sides = [_numbered(items) for items in mine]
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            causes = self._depends.of_result(run.cells, name)
            first, second = (side.get(name) for side in sides)
            if first is None or second is None:
                there = "a table"
                compared = Compared(DIFFERENT, recorded=there if first else NOTHING, replayed=there if second else NOTHING)
            else:
                compared = compare_digests(first["digest"], second["digest"], self._objects, causes)
            yield self._finding("frame", f"table {name}", self._seq_of(run, name), self._doubted(compared, causes))

    # -- models

    def _fitted(self, run: Run, again: Run | None) -> Iterator[Finding]:
        mine = self._recorded.models.get(run.own_id, ()), self._played.recording.models.get(again.own_id, ()) if again else ()
        sides = [_numbered(items) for items in mine]
        for name in dict.fromkeys([*sides[0], *sides[1]]):
            first, second = (side.get(name) for side in sides)
            if first is None or second is None:
                told = [str(item["class"]) if item else NOTHING for item in (first, second)]
                compared = Compared(DIFFERENT, recorded=told[0], replayed=told[1])
            else:
                compared = self._model(first, second, run)
            causes = self._depends.of_result(run.cells, name)
            yield self._finding("model", name, self._seq_of(run, name), self._doubted(compared, causes))

    def _model(self, first: Mapping[str, Any], second: Mapping[str, Any], run: Run) -> Compared:
        if first.get("class") != second.get("class"):
            return Compared(DIFFERENT, "another class", recorded=str(first.get("class")), replayed=str(second.get("class")))
        params = _params_apart(first.get("all_params") or {}, second.get("all_params") or {})
        if params is not None:
            return params
        if first.get("transport") == second.get("transport"):
            return SAME
        if self._models is None:
            digests = [f"digest {item['transport'][:12]}" for item in (first, second)]
            return Compared(DIFFERENT, "other bytes", recorded=digests[0], replayed=digests[1])
        try:
            answer = self._models(_AGREE, self._argument(first, second, run))
        except MlopsError as error:
            return Compared(UNCOMPARED, f"the two models could not be compared: {error}")
        if not answer["verdict"]:
            return Compared(UNCOMPARED, answer["why"], recorded=answer["recorded"], replayed=answer["replayed"])
        return Compared(answer["verdict"], answer["why"], recorded=answer["recorded"], replayed=answer["replayed"])

    def _argument(self, first: Mapping[str, Any], second: Mapping[str, Any], run: Run) -> dict[str, Any]:
        """What the kernel needs, put where it may read: the sandbox's own objects."""
        theirs, ours = self._objects
        argument: dict[str, Any] = {"store": ours.where, "replayed": second["transport"], "example": None}
        if first.get("example") and theirs.has(first["example"]):
            argument["example"] = ours.put(theirs.get(first["example"]))
        if theirs.has(first["transport"]):
            argument["recorded"] = ours.put(theirs.get(first["transport"]))
        else:
            # Once a model is in MLflow, `gc` takes what carried it there.
            argument |= {"run": run.own_id or run.id, "name": first["name"], "flavor": first["flavor"]}
        return argument

    # -- what all have in common

    def _doubted(self, compared: Compared, causes: frozenset[str]) -> Compared:
        """A difference that the code behind a result may excuse."""
        reasons = sorted(causes)
        if compared.verdict != DIFFERENT or compared.certain or not reasons or compared.recorded == NOTHING or compared.replayed == NOTHING:
            return compared
        return replace(compared, verdict=UNCOMPARED, excused=True, doubtful=True, why=explained(reasons))

    def _finding(self, kind: str, name: str, seq: int, compared: Compared) -> Finding:
        if compared.verdict == DIFFERENT and (why := self._aside(kind, name, seq)):
            compared = replace(compared, verdict=UNCOMPARED, why=why, excused=True, doubtful=False)
        if compared.verdict == DIFFERENT and seq in self._played.uncompared:
            compared = replace(
                compared, verdict=UNCOMPARED, why=self._played.uncompared[seq], excused=seq in self._played.excused, doubtful=False
            )
        verdict = Verdict(
            kind=kind,
            name=name,
            seq=seq,
            verdict=compared.verdict,
            why=compared.why,
            excused=compared.excused and compared.verdict == UNCOMPARED,
            recorded=compared.recorded,
            replayed=compared.replayed,
        )
        return Finding(verdict, compared)

    def _aside(self, kind: str, name: str, seq: int) -> str:
        """Why what was shown may differ: it is this package's own, or tells of an installation or download that a replay leaves out."""
        if kind in ("output", "plot", "error") and seq in self._played.own and not name.startswith("status of"):
            return explained(["this package's own output"])
        return self._played.served.get(seq, "") if kind == "output" and name in ("stdout", "stderr") else ""


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]


def _plain(first: Any, second: Any, context: Context) -> Compared:
    if json.dumps(first, sort_keys=True, default=str) == json.dumps(second, sort_keys=True, default=str):
        return SAME
    return compare_texts(str(first), str(second), context)


def _number(first: Any, second: Any) -> Compared:
    if first == second or (first != first and second != second):
        return SAME
    near = isinstance(first + second, float) and close(float(first), float(second))
    why = "equal but for the last digits" if near else ""
    return Compared(TOLERANCE if near else DIFFERENT, why, recorded=repr(first), replayed=repr(second))


def _series(first: Sequence[Sequence[Any]], second: Sequence[Sequence[Any]]) -> Compared:
    if len(first) != len(second):
        return Compared(DIFFERENT, "another number of steps", recorded=f"{len(first)} steps", replayed=f"{len(second)} steps")
    near = False
    for (step, value), (other, again) in zip(first, second, strict=True):
        if step != other:
            return Compared(DIFFERENT, "other steps", recorded=f"step {step}", replayed=f"step {other}")
        found = _number(value, again)
        if found.verdict == DIFFERENT:
            return replace(found, why=f"step {step}")
        near = near or found.verdict == TOLERANCE
    return Compared(TOLERANCE, "equal but for the last digits") if near else SAME


def _params_apart(first: Mapping[str, Any], second: Mapping[str, Any]) -> Compared | None:
    for name in dict.fromkeys([*first, *second]):
        values = [json.dumps(side.get(name), sort_keys=True, default=str) for side in (first, second)]
        if values[0] != values[1]:
            found = compare_texts(values[0], values[1])
            if found.verdict in (DIFFERENT, TOLERANCE):
                return Compared(DIFFERENT, f"parameter {name}", recorded=short(values[0]), replayed=short(values[1]))
    return None


def _numbered(items: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Items by their names; a name that comes again is numbered."""
    found: dict[str, Mapping[str, Any]] = {}
    for item in items:
        name, count = str(item["name"]), 2
        while name in found:
            name, count = f"{item['name']} ({count})", count + 1
        found[name] = item
    return found


def _inputs_of(run: Run) -> dict[tuple[str, int], Input]:
    """The inputs of a run by name; the same name with other content is counted on."""
    found: dict[tuple[str, int], Input] = {}
    for item in run.inputs:
        given = Input.of(item)
        place = 0
        while (given.name, place) in found:
            place += 1
        found[given.name, place] = given
    return found


def _by_place(files: Iterable[Any], folders: Sequence[str]) -> dict[str, Input]:
    """Files by their path within the project, wherever that is."""
    found = {}
    for file in files:
        item = Input.of(file)
        place = item.source or item.name
        for folder in folders:
            place = place.removeprefix(folder + "/")
        found[place] = item
    return found


def _rooted(runs: Sequence[Run]) -> list[Run]:
    """The runs without parents that are not among them: the run of a pipeline, which a step's hangs under, is of another session."""
    ids = {name for run in runs for name in (run.id, run.own_id)}
    return [run if run.parent is None or run.parent in ids else replace(run, parent=None) for run in runs]


def _paired(first: Sequence[Run], second: Sequence[Run]) -> Iterator[tuple[Run | None, Run | None]]:
    """Runs of the record with those of the replay that the same execution made, in their order; None where there is no other."""
    waiting: dict[tuple[int, bool], list[Run]] = {}
    for run in second:
        waiting.setdefault(_made_by(run), []).append(run)
    for run in first:
        others = waiting.get(_made_by(run))
        yield run, others.pop(0) if others else None
    for rest in waiting.values():
        yield from ((None, run) for run in rest)


def _made_by(run: Run) -> tuple[int, bool]:
    return min(run.cells, default=0), run.parent is not None
