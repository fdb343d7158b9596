"""Recordings made by hand, for what needs no kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jupyter_mlops.records import CellEvent, Run
from jupyter_mlops.replay.player import Played
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.store.objects import ObjectStore


def event(seq: int, source: str = "", **facts: Any) -> CellEvent:
    """An execution that ended well."""
    return CellEvent(**{"session": "s", "seq": seq, "source": source, "started": 100.0 + seq, "seconds": 0.5, "status": "ok"} | facts)


def run(**facts: Any) -> Run:
    """A run of the execution 1."""
    known = {"id": "r", "own_id": "r", "name": "fit", "status": "FINISHED", "experiment": "e", "started": 100.0, "cells": (1,)}
    return Run(**known | facts)


def recording(events: Sequence[CellEvent], runs: Sequence[Run] = (), **facts: Any) -> Recording:
    """A recording of these executions and runs, asked for by the first run."""
    asked = runs[0] if runs else run()
    return Recording(run=asked, session="s", project=Path("/p"), cwd=Path("/p"), events=tuple(events), runs=tuple(runs), **facts)


def played(
    made: Recording, objects: ObjectStore, uncompared: Mapping[int, str] | None = None, excused: frozenset[int] = frozenset(), **facts: Any
) -> Played:
    """What a player would give for a replay that made this recording."""
    return Played(recording=made, objects=objects, uncompared=uncompared or {}, excused=excused, **facts)
