"""What running a record again shows, and how a notebook stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict(Record):
    """One result of a cell or run, as recorded and as replayed.

    `kind`: metric, parameter, series, frame, model, output, plot, file, error. `verdict`: identical, tolerance (equal but for the last
    digits of floats), different, or uncompared; `why` says why a result was not compared, or how it differs. `excused` tells whether the
    reason is a listed one (see `replay.verdicts.CAUSES`): what was not compared without one counts as a miss.
    """

    kind: str
    name: str
    seq: int
    verdict: str
    why: str = ""
    excused: bool = False
    recorded: str = ""
    replayed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay(Record):
    """What came of running a recorded run again. `verdict`: identical, tolerance or different.

    `score` is the share, from 0 to 1, of identical results among all but the excused ones. `results` holds a `Verdict` for each, in the
    order of execution; `first` is the first that differs. `part` is history or slice; `packages` lists those that differ from the record;
    `notes` says what was skipped, refused or put elsewhere; `environment` is "" for the packages of this process, else the rebuilt one.
    """

    run: str
    verdict: str
    score: float
    results: tuple[Any, ...] = ()
    first: Any = None
    part: str = "history"
    cells: int = 0
    packages: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    environment: str = ""
    started: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece(Record):
    """Consecutive lines of one execution that a slice keeps: whole statements, as executed."""

    seq: int
    line: int
    end_line: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice(Record):
    """The least code that recreates a result of a run. `proof`: minimal (proved, and without any statement it fails), proved or unproved.

    `name` is the result (a metric, a name, "model"); `pieces` are in the order of execution; `kept` of `executed` statements; `parameters`
    are the literals that feed the result; `source` is the code with those lifted to the top; `why` says what stands in the way of a proof.
    """

    run: str
    name: str
    pieces: tuple[Any, ...]
    kept: int
    executed: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    proof: str = "unproved"
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored(Record):
    """A folder in which a run can be opened and run again: `files` are what was put there, relative to it; `notes` what could not be."""

    folder: str
    run: str
    files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellState(Record):
    """How one cell of a notebook stands. `state`: fresh, stale, never run, gone (no longer in the notebook) or running.

    `cell` is the notebook's id of the cell, `seq` its last execution (None: there was none), `line` the first line of its source;
    `why` says in sentences what makes it stale.
    """

    cell: str
    seq: int | None
    line: str
    state: str
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LostName(Record):
    """A name that lives on although no code in the notebook makes it any more; `seq` is the execution that did."""

    name: str
    seq: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen(Record):
    """What a restart and a run of all cells from the top would bring to one cell.

    `kind`: error (it would raise, `name` is not bound yet), value (`name` would be another than it was given), code (its code was edited),
    new (it was never run) or missing (it is no longer in the notebook, so that it would not run).
    """

    kind: str
    cell: str
    seq: int | None
    line: str
    why: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status(Record):
    """Where a notebook and its kernel differ: `cells` in the order of the notebook, `names` without code, and `restart`, foreseen changes.

    `saved` is when the notebook file was saved last (None: it cannot be read, and the cells stand in the order of their first execution).
    """

    session: str
    notebook: str
    saved: float | None = None
    cells: tuple[Any, ...] = ()
    names: tuple[Any, ...] = ()
    restart: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
