"""The histories of the corpus: read from their files, recorded in real kernels, replayed and sliced."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jupyter_mlops import config
from jupyter_mlops.records import Replay, Slice, to_json
from jupyter_mlops.replay import recording as recordings
from jupyter_mlops.replay import slicing
from jupyter_mlops.replay.player import Options
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.replay.replaying import verified
from jupyter_mlops.store import journal, locks
from jupyter_mlops.store.objects import ObjectStore, open_objects
from jupyter_mlops.store.recordings import recording as told_by

from ..conftest import OURS, Kernel

CORPUS = Path(__file__).with_name("corpus")
FRAMEWORKS = Path(__file__).parents[1] / "frameworks" / "corpus"
TRACK = "%%mlops track history\n"
OUTSIDE = "!"
MINIMISING_SECONDS = 200.0


@dataclass(frozen=True, slots=True)
class Step:
    """One execution: the cell's id, its source, and the lines of it (from 1) that the slice is to hold."""

    cell: str
    source: str
    kept: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """A small notebook as it was worked on, and what its replay and the slice of `result` must come to."""

    name: str
    steps: tuple[Step, ...]
    result: str
    verdict: str = "identical"
    uncompared: tuple[tuple[int, str], ...] = ()
    tracked: bool = True
    proof: str = "proved"

    @property
    def executions(self) -> tuple[Step, ...]:
        """Its executions, without what happens outside the kernel; the last one tracked where nothing fits."""
        own = [step for step in self.steps if step.cell != OUTSIDE]
        if self.tracked:
            own[-1] = replace(own[-1], source=TRACK + own[-1].source, kept=frozenset(line + 1 for line in own[-1].kept))
        return tuple(own)

    @property
    def slice(self) -> list[str]:
        """The lines of the expected slice, each with the number of its execution."""
        return [line for number, step in enumerate(self.executions, 1) for line in _lines(number, step.source, step.kept)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a history: its replay, and the lines and the proof of the slice; `offset` executions came before the first one."""

    replay: Replay
    slice: Slice
    offset: int
    sources: tuple[str, ...] = field(default=())

    @property
    def lines(self) -> list[str]:
        """The lines of the slice, as `History.slice` has them."""
        kept: dict[int, set[int]] = {}
        for piece in self.slice.pieces:
            kept.setdefault(piece.seq - self.offset, set()).update(range(piece.line, piece.end_line + 1))
        return [line for number in sorted(kept) for line in _lines(number, self.sources[number - 1], kept[number])]


def histories(folder: Path) -> list[History]:
    """All histories of a folder."""
    return [history for path in sorted(folder.glob("*.cells")) for history in read(path.read_text(encoding="utf-8"))]


def read(text: str) -> Iterator[History]:
    """The histories of one file; README.md in the corpus tells the format."""
    for part in re.split(r"^=== ", text, flags=re.MULTILINE)[1:]:
        head, *cells = re.split(r"^\[([\w!-]+)\]\n", part, flags=re.MULTILINE)
        name, *about = head.splitlines()
        told = dict(line.split(": ", 1) for line in about if line and not line.startswith("#"))
        uncompared = (item.split(" ", 1) for item in told.get("uncompared", "").split(", ") if item)
        yield History(
            name=name,
            steps=tuple(_step(*pair) for pair in zip(cells[::2], cells[1::2], strict=True)),
            result=told["result"],
            verdict=told.get("verdict", "identical"),
            uncompared=tuple((int(number), word) for number, word in uncompared),
            tracked=told.get("run") != "fit",
            proof=told.get("proof", "proved"),
        )


def outcome(history: History) -> Outcome:
    """Record a history in a real kernel in a folder of its own, replay it, and prove the slice of its result."""
    for name in list(os.environ):
        if name.startswith(OURS):
            del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="corpus") as folder:
        project = Path(folder).resolve() / "project"
        project.mkdir()
        with delivered_by_nobody(project):
            recording = record(history, project)
        objects = open_objects(config.load(project))
        replay = verified(recording, objects, Options())
        return Outcome(
            replay=replay,
            slice=proven(recording, history, objects),
            offset=1,
            sources=tuple(step.source for step in history.executions),
        )


def record(history: History, project: Path) -> Recording:
    """What a real kernel records of a history."""
    kernel = Kernel(project)
    try:
        kernel.run("%load_ext jupyter_mlops")
        executions = iter(history.executions)
        for step in history.steps:
            if step.cell == OUTSIDE:
                with contextlib.chdir(project):
                    exec(step.source, {"Path": Path})
            else:
                kernel.run(next(executions).source)
    finally:
        kernel.close()
    return read_back(project)


def read_back(project: Path) -> Recording:
    """The recording of the last run in the journal of a project, without asking a worker."""
    [path] = journal.journals(project / ".mlops")
    records, _ = journal.read(path)
    objects = ObjectStore(project / ".mlops" / "objects")
    last = max(record["seq"] for record in records if record.get("kind") == "cell")
    told = told_by(records, last, lambda digest: _described(objects, digest))
    whole = [run for run in told["runs"] if run.parent is None]
    return recordings.from_json(to_json(told | {"run": whole[-1]}))


@contextlib.contextmanager
def delivered_by_nobody(project: Path) -> Iterator[None]:
    """Stand where the delivery worker would be, so that none is started: a recording needs no MLflow."""
    journal.make_private(project / ".mlops" / "journal")
    path = project / ".mlops" / "worker.lock"
    held = locks.hold(path)
    assert held is not None
    try:
        yield
    finally:
        locks.release(path, held)


def proven(recording: Recording, history: History, objects: ObjectStore) -> Slice:
    """The slice of the result, proved by one replay; by one more for each statement where the history asks for it."""
    slicing.MINIMISING_SECONDS = MINIMISING_SECONDS if history.proof == "minimal" else 0.0
    return slicing.proved(slicing.sliced(recording, history.result), recording, objects)


def _described(objects: ObjectStore, digest: str) -> dict[str, Any]:
    import json

    told: dict[str, Any] = json.loads(objects.get(digest))
    return told


def _step(cell: str, text: str) -> Step:
    lines = text.rstrip("\n").splitlines()
    kept = frozenset(number for number, line in enumerate(lines, 1) if not line.startswith("- "))
    return Step(cell, "\n".join(line.removeprefix("- ") for line in lines), kept)


def _lines(number: int, source: str, kept: Any) -> Iterator[str]:
    for place, line in enumerate(source.splitlines(), 1):
        if place in kept and line.strip() and not line.lstrip().startswith("#") and line + "\n" != TRACK:
            yield f"[{number}] {line}"
