"""How the status of a notebook reads."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..records import CellState, Foreseen, LostName, Status
from .blocks import Block, Blocks, Cell, Table, Text

_TONES = {"stale": "bad", "gone": "faint", "never run": "faint", "running": "faint", "fresh": "good"}


def status_blocks(status: Status) -> Blocks:
    """The blocks of a notebook's status: its stale cells, its names without code, and what a restart would change."""
    cells = [CellState.of(item) for item in status.cells]
    names = [LostName.of(item) for item in status.names]
    restart = [Foreseen.of(item) for item in status.restart]
    saved = f", saved {time.strftime('%H:%M:%S', time.localtime(status.saved))}" if status.saved else ""
    blocks: list[Block] = [
        *([Text(f"{status.notebook}{saved}", "faint")] if status.notebook else []),
        _verdict(cells),
        *_table(
            ("cell", "", "state", "why"),
            [(*_place(cell), Cell(cell.state, _TONES[cell.state]), Cell(" ".join(cell.why))) for cell in _told(cells)],
        ),
    ]
    if names:
        blocks.append(Text("Names without code that makes them", "title"))
        blocks += _table(("name", "why"), [(Cell(name.name), Cell(name.why)) for name in names])
    if restart:
        blocks.append(Text("A restart and a run of all cells would change", "title"))
        rows = [(*_place(item), Cell(item.why, "bad" if item.kind == "error" else "plain")) for item in restart]
        blocks += _table(("cell", "", "what"), rows)
    else:
        blocks.append(Text("A restart and a run of all cells would change nothing that the code tells.", "good"))
    return [*blocks, *(Text(note, "faint") for note in status.notes)]


def _verdict(cells: list[CellState]) -> Text:
    stale = sum(cell.state == "stale" for cell in cells)
    if stale:
        return Text(f"{stale} {'cell is' if stale == 1 else 'cells are'} stale.", "bad")
    return Text("No cell is stale.", "good")


def _told(cells: list[CellState]) -> list[CellState]:
    """The cells of which there is something to tell."""
    return [cell for cell in cells if cell.state in ("stale", "gone")]


def _place(item: CellState | Foreseen) -> tuple[Cell, Cell]:
    return Cell("" if item.seq is None else f"[{item.seq}]", "faint"), Cell(item.line)


def _table(columns: tuple[str, ...], rows: Sequence[tuple[Cell, ...]]) -> list[Block]:
    return [Table(columns, tuple(rows))] if rows else []
