"""How a model's gates read: one line for each, with its value, its bound, the verdict and why."""

from __future__ import annotations

from ..records import Check, Gate
from .blocks import Blocks, Cell, Table, Text
from .line import number
from .quantities import span

_MARKS = {"passed": ("✓", "good"), "failed": ("✗", "bad"), "unchecked": ("?", "faint")}


def check_blocks(check: Check) -> Blocks:
    """The verdict, the gates, and what else there is to know."""
    gates = [Gate.of(gate) for gate in check.gates]
    counts = {state: sum(gate.state == state for gate in gates) for state in _MARKS}
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "no gates"
    facts = (
        told, f"against version {check.against}" if check.against else "", f"{check.rows:,} rows" if check.rows else "", span(check.seconds)
    )  # fmt: skip
    title = check.model if check.version is None or str(check.version) in check.model else f"{check.model} (version {check.version})"
    tone = _MARKS[check.verdict][1] if gates else "plain"
    blocks: list[Text | Table] = [Text(f"{title}: {check.verdict}", tone), Text(" · ".join(fact for fact in facts if fact), "faint")]
    if gates:
        blocks.append(Table(("", "gate", "value", "bound", "verdict", "why"), tuple(map(_row, gates))))
    return [*blocks, *(Text(note, "faint") for note in check.notes)]


def _row(gate: Gate) -> tuple[Cell, ...]:
    mark, tone = _MARKS[gate.state]
    value, bound = ("" if item is None else number(item) for item in (gate.value, gate.bound))
    measured = Cell(value, number=True), Cell(bound, number=True)
    return Cell(mark, tone), Cell(gate.name), *measured, Cell(gate.state, tone), Cell(gate.why, "faint")
