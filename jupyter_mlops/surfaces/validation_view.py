"""How the checks of data read: what is wrong, with columns, rows and values."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ..records import Drift, Finding, Validation
from .blocks import Block, Blocks, Cell, Table, Text
from .line import number

_MOST_ROWS = 3
_MOST_EXAMPLES = 3


def validation_blocks(found: Validation) -> Blocks:
    """A verdict, the findings as a table, and what else there is to know."""
    findings = [Finding.of(item) for item in found.findings]
    against = f" {found.schema}" if found.schema.startswith("learned") else f" of {found.schema}" if found.schema else ""
    shape = f"{found.rows:,} rows x {found.columns:,} columns"
    blocks: list[Block] = [Text(found.data, "title")]
    if findings:
        count = f"{len(findings)} finding{'s' * (len(findings) > 1)}"
        blocks.append(Text(f"failed: {count} in {found.checks:,} checks{against}, on {shape}", "bad"))
        blocks.append(_table(findings))
    else:
        blocks.append(Text(f"passed: {found.checks:,} checks{against}, on {shape}", "good"))
    if found.drift:
        blocks.append(Text(_drift([Drift.of(item) for item in found.drift]), "faint"))
    blocks += [Text(note, "faint") for note in found.notes]
    return [*blocks, *([Text(f"data {found.digest[:12]}", "faint")] if found.digest else [])]


def _table(findings: list[Finding]) -> Table:
    columns = ("", "check", "column", "what is wrong", "rows", "values")
    rows = [
        (
            Cell("✗", "bad"),
            Cell(item.check),
            Cell(item.column),
            Cell(item.what),
            Cell(_rows(item), "faint"),
            Cell(", ".join(_value(value) for value in item.examples[:_MOST_EXAMPLES]), "faint"),
        )
        for item in findings
    ]
    used = [place for place, _ in enumerate(columns) if any(row[place].text for row in rows)]
    return Table(tuple(columns[place] for place in used), tuple(tuple(row[place] for place in used) for row in rows))


def _rows(item: Finding) -> str:
    """The first of the rows, from 0, as `frame.iloc` takes them."""
    shown = item.rows[:_MOST_ROWS]
    return ", ".join([*map(str, shown), *(["…"] if item.count > len(shown) > 0 else [])])


def _value(value: Any) -> str:
    if isinstance(value, float):
        return number(value)
    return repr(value) if isinstance(value, str) else "missing" if value is None else str(value)


def _drift(drift: list[Drift]) -> str:
    words = {"drift": "drifted", "none": "did not", "insufficient data": "cannot be told"}
    counts = Counter(item.verdict for item in drift)
    told = [f"{counts[verdict]:,} {word}" for verdict, word in words.items() if counts[verdict]]
    return f"drift: of {len(drift):,} columns {', '.join(told)}"
