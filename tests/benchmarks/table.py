"""The rows that every benchmark gives, and how they are shown."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One figure: ours beside a peer's, measured side by side in one run. `asked` is what the ratio should be, `note` who the peer is."""

    name: str
    ours: float
    peer: float
    ratio: float
    asked: str
    note: str = ""


def row(name: str, ours: float, peer: float, asked: str, note: str = "") -> Row:
    """A row with the ratio of ours to the peer's."""
    return Row(name, ours, peer, ours / peer if peer else float("inf"), asked, note)


def seconds(*actions: Callable[[], Any], rounds: int = 5) -> list[float]:
    """Median seconds of each action; the actions take turns, so that a busy moment of the machine hits all of them."""
    times: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for action, taken in zip(actions, times, strict=True):
            start = time.perf_counter()
            action()
            taken.append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a table."""
    lines = ["| figure | ours | peer | ratio | asked | note |", "|---|---:|---:|---:|---|---|"]
    lines += [f"| {item.name} | {item.ours:.4g} | {item.peer:.4g} | {item.ratio:.3f} | {item.asked} | {item.note} |" for item in rows]
    return "\n".join(lines)
