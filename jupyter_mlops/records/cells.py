"""Executions of cells: what was run, in the order in which it really ran."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Record):
    """One output of a cell: `kind` is stream, display, result or error.

    `data` maps mime types to text, or to {"object": digest, "size": n} for what is large.
    """

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Input(Record):
    """A piece of data that a run or cell used. `kind`: frame, series, array, sparse, file, folder, table.

    `digest` is None while the delivery worker has not read a large file yet (then `stat` is [size, mtime_ns, inode] as the cell ended).
    `kept` tells whether the bytes are in the store, `source` where it came from (a path or URL), `why` why bytes were not kept.
    """

    name: str
    kind: str
    digest: str | None
    source: str = ""
    size: int = 0
    rows: int | None = None
    columns: int | None = None
    kept: bool = False
    why: str = ""
    stat: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CellEvent(Record):
    """One execution of a cell (or of a tracked block), as it really ran.

    `seq` is the true order within the session, from 1. `reads`, `writes`, `mutates`, `deletes` are names of the user's namespace.
    `values` holds the digests of the frames and arrays that the cell bound or changed, by name. `random` describes the state of the
    random generators before the cell (see `tracking.random_state`). `fetched` holds the data that its network and database statements
    gave, by name, in the order in which it came: [digest, mark of the expression that asked for it]. `peak_memory` is the process's
    highest resident size so far, in bytes.
    """

    session: str
    seq: int
    source: str
    started: float
    seconds: float
    status: str
    cell: str = ""
    error: str = ""
    outputs: tuple[Any, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    mutates: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    files_read: tuple[Any, ...] = ()
    files_written: tuple[Any, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    fetched: Mapping[str, Any] = field(default_factory=dict)
    random: Mapping[str, Any] = field(default_factory=dict)
    cpu_seconds: float = 0.0
    peak_memory: int = 0
    runs: tuple[str, ...] = ()
