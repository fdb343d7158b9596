"""Plays a recording once more, in a fresh kernel and a folder of its own; what comes out is again a recording.

It runs the recorded code with the user's rights: the guard (see `guard`) refuses the network, other programs and writes outside the
folder at the level of Python, and native code is not confined.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..records import CellEvent, to_json
from ..store import journal
from ..store.objects import ObjectStore
from ..store.recordings import recording as told_by
from . import mlflow_store
from . import recording as recordings
from .inputs import Inputs
from .materials import SECRET_NAME
from .process import Kernel, ReplayFailed
from .recording import Recording
from .sandbox import Sandbox
from .script import INTERRUPTED, UNENDED, Script, own_cells
from .stage import Places, Scene, Told, read_told, tell

LEAST_PATIENCE, PATIENCE = 600.0, 10.0
"""How long a cell may take: this many seconds, or this many times what it took in the recording."""

_OWN = "jupyter_mlops"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user permits: `live` runs network and database cells again, `allow` lifts the guard; `python` is the interpreter of a
    rebuilt environment (None: this one)."""

    live: bool = False
    allow: bool = False
    python: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of playing. The events of `recording` have the seqs of those that they replay, and paths as they were; `objects` holds
    their bytes until the player closes.

    `uncompared` says, by seq, why a cell could not be run as recorded, and `excused` are those whose reason is a listed one. `served` says
    what a cell did without that changes its results in nothing but what it prints: an installation, or the network whose recorded data it
    got. `own` are the executions that show something of this package's own, which is no result of the user's.
    """

    recording: Recording
    objects: ObjectStore
    notes: tuple[str, ...] = ()
    uncompared: Mapping[int, str] = field(default_factory=dict)
    excused: frozenset[int] = frozenset()
    served: Mapping[int, str] = field(default_factory=dict)
    own: frozenset[int] = frozenset()
    seconds: float = 0.0


class Player:
    """A kernel and a folder for one recording; a context manager that ends the one and removes the other."""

    def __init__(self, recording: Recording, objects: ObjectStore, options: Options | None = None) -> None:
        self._recording = recording
        self._objects = objects
        self._options = options or Options()
        self._script = Script(recording)
        self._sandbox = Sandbox(recording.project, recording.cwd)
        self._kernel = Kernel(self._sandbox, self._options.python)
        try:
            self._inputs = Inputs(recording, self._sandbox, objects)
        except BaseException:
            self._sandbox.close()
            raise
        self._notes: list[str] = []
        self._uncompared: dict[int, str] = {}
        self._excused: set[int] = set()
        self._served: dict[int, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the kernel and remove the folder."""
        try:
            self._kernel.close()
        finally:
            self._sandbox.close()

    def play(self) -> Played:
        """Run every execution of the recording in its order. What an execution raises does not end the replay, as it did not end the
        recording. Raises Corrupt when stored bytes are not what was recorded, and ReplayFailed when no kernel can be started."""
        started = time.perf_counter()
        recording, sandbox, inputs = self._recording, self._sandbox, self._inputs
        tell(self._scene(), sandbox.root / "scene.json")
        secrets = {name for event in recording.events for name in SECRET_NAME.findall(event.source)}
        self._kernel.start(sandbox.environment(self._script.hash_seed, recording.notebook, secrets))
        # While the kernel starts, its files are put in place.
        inputs.settle(recording)
        tell(Places(moved=inputs.moved, barred=inputs.barred, folders=inputs.folders), sandbox.root / "places.json")
        if recording.events:
            inputs.put(recording.events[0])
        self._kernel.wait()
        for event in recording.events:
            self._play(event)
        if self._kernel.alive:
            self._kernel.run_silently(f"__import__('{_OWN}.tracking.session', fromlist=['current']).current().close()", LEAST_PATIENCE)
        return Played(
            recording=self._heard(),
            objects=ObjectStore(sandbox.project / ".mlops" / "objects"),
            notes=tuple(dict.fromkeys(self._notes)),
            uncompared=self._uncompared,
            excused=frozenset(self._excused),
            served=self._served,
            own=own_cells(recording.history or recording.events),
            seconds=time.perf_counter() - started,
        )

    def _play(self, event: CellEvent) -> None:
        if not self._kernel.alive:
            self._tell(event.seq, "the kernel had ended before it", excused=False)
            return
        if event.status in UNENDED and event is self._recording.events[-1]:
            self._tell(event.seq, "it had not ended when the recording did, and is left out", excused=True)
            return
        self._inputs.put(event)
        tell(self._script.cue(event), self._sandbox.root / "cue.json")
        limit = event.seconds if event.status == INTERRUPTED else max(LEAST_PATIENCE, PATIENCE * event.seconds)
        ended = self._kernel.run(event.source, event.cell, limit)
        if not self._kernel.alive:
            self._tell(event.seq, f"the kernel died in it ({first_line(event.source)!r})", excused=False)
            return
        told = read_told(self._sandbox.root / "told.json")
        for item in told:
            if item.excused:
                self._note(event.seq, item.why)
                self._served[event.seq] = "; ".join(filter(None, [self._served.get(event.seq, ""), item.why]))
        told = [item for item in told if not item.excused]
        if not ended and event.status != INTERRUPTED:
            told.append(Told(why=f"it was interrupted after {limit:.0f} s, which it did not need in the recording", excused=False))
        told += [Told(why=why, excused=excused) for why, excused in self._script.reservations(event)]
        told += [Told(why=why, excused=False) for why in self._inputs.refused.get(event.seq, ())]
        for item in told:
            self._tell(event.seq, item.why, excused=item.excused)
        if told and event.status == "ok":
            self._inputs.put_written(event)
        if event.status == "ok" and not all(item.excused for item in told):
            self._script.missed(event)

    def _tell(self, seq: int, why: str, *, excused: bool) -> None:
        """Remember why an execution did not run as recorded; it is excused when all its reasons are."""
        self._note(seq, why)
        if seq not in self._uncompared and excused:
            self._excused.add(seq)
        elif not excused:
            self._excused.discard(seq)
        self._uncompared[seq] = "; ".join(filter(None, [self._uncompared.get(seq, ""), why]))

    def _note(self, seq: int, why: str) -> None:
        self._notes.append(f"[{seq}] {why[:1].upper()}{why[1:]}.".replace("..", "."))

    def ask(self, function: str, argument: Any) -> Any:
        """The answer of "module:function", a function of this package that takes and gives JSON, called in the replay's own kernel."""
        place = self._sandbox.root / "answer.json"
        place.unlink(missing_ok=True)
        words = f"{function!r}, {json.dumps(argument)!r}, {str(place)!r}"
        self._kernel.run_silently(f"__import__('{_OWN}.replay.inside', fromlist=['answer']).answer({words})", LEAST_PATIENCE)
        if not place.exists():
            raise ReplayFailed(f"The replay's kernel did not answer {function}: run it again with --debug.")
        answer = json.loads(place.read_text(encoding="utf-8"))
        if "error" in answer:
            raise ReplayFailed(answer["error"])
        return answer["value"]

    def _scene(self) -> Scene:
        recording, sandbox = self._recording, self._sandbox
        return Scene(
            root=str(sandbox.root),
            tree=str(sandbox.tree),
            project=str(sandbox.project),
            recorded=str(recording.project),
            objects=str(self._objects.where),
            notebook=recording.notebook,
            session=recording.session,
            experiment=recording.run.experiment,
            path=os.environ.get("PYTHONPATH", ""),
            block=recording.block,
            allow=self._options.allow,
            live=self._options.live,
        )

    def _heard(self) -> Recording:
        """What this package recorded of the replay."""
        recording, sandbox = self._recording, self._sandbox
        paths = journal.journals(sandbox.project / ".mlops")
        if not paths:
            raise ReplayFailed("The replay's kernel recorded nothing: run it again with --debug.")
        records, _ = journal.read(paths[0])
        told = told_by(records, max((event.seq for event in recording.events), default=0), lambda digest: {})
        # Paths as they were, so that what shows one compares.
        text = json.dumps(to_json(told)).replace(json.dumps(str(sandbox.tree))[1:-1], "")
        heard = recordings.from_json(json.loads(text) | {"run": to_json(recording.run)})
        known = {event.seq: event for event in recording.events}
        events = tuple(
            replace(event, source=known[event.seq].source, session=recording.session) for event in heard.events if event.seq in known
        )
        return replace(heard, events=events, runs=mlflow_store.with_logged(heard.runs, sandbox.root / mlflow_store.PLACE))


def first_line(source: str) -> str:
    """The first line of a cell, shortened: how it is named in a sentence."""
    line = next((line.strip() for line in source.splitlines() if line.strip()), "")
    return line if len(line) <= 60 else line[:57] + "..."
