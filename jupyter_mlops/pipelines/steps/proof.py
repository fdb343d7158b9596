"""Runs a step before it is written, as papermill would, and compares its results with the recorded ones."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...records import CellEvent, Input, Verdict, to_json
from ...replay.recording import Recording, with_sources
from ...replay.slicing import compared
from ...replay.texts import IDENTICAL, UNCOMPARED
from ...store import snapshots
from ...store.objects import ObjectStore
from .layout import Layout


def verdicts(
    recording: Recording, layout: Layout, results: Sequence[str], files: Mapping[str, Path], objects: ObjectStore
) -> list[Verdict]:
    """The verdict of each result of a step that is run with the recorded parameters, in a fresh kernel and a folder of its own.

    Nothing is put into the random generators, and nothing in place of what a network gives: a step must do without. `files` are those
    that go with the step, by the path that its code gives them. A number is compared with what its output is at the end, too.
    """
    return compared(results, recording, _as_recording(recording, layout, files, objects), objects, held_by=layout.outputs)


def difference(found: Sequence[Verdict]) -> str:
    """What differs, in one sentence; "" when every result is identical."""
    for item in found:
        if item.verdict == UNCOMPARED:
            return f"{item.name} could not be compared ({item.why})."
        if item.verdict != IDENTICAL:
            values = f"was {item.recorded or 'recorded'} and is {item.replayed or 'different'}"
            return f"{item.name} {values}" + (f" ({item.why})." if item.why else ".")
    return ""


def _as_recording(recording: Recording, layout: Layout, files: Mapping[str, Path], objects: ObjectStore) -> Recording:
    """The step as a recording with fewer statements, which draws from generators as they are in any fresh kernel."""
    step = with_sources(recording, layout.sources)
    events, (first, *rest) = (tuple(replace(event, random={}, fetched={}) for event in part) for part in (step.events, step.history))
    return replace(step, events=events, history=(_reading(first, files, objects, recording.cwd), *rest), fetched={})


def _reading(event: CellEvent, files: Mapping[str, Path], objects: ObjectStore, cwd: Path) -> CellEvent:
    """The execution, as if it had read the files too."""
    more = []
    for where, path in files.items():
        frozen = snapshots.freeze_file(path, objects)
        whole = os.path.normpath(cwd / where)
        more.append(to_json(Input(name=where, kind="file", digest=frozen.digest, source=whole, size=frozen.size, kept=True)))
    return replace(event, files_read=(*event.files_read, *more))
