"""How a step and a restored run read."""

from __future__ import annotations

import shlex
from typing import Any

from ..records import Parameter, Restored, Step
from .answers import short
from .blocks import Block, Blocks, Cell, Table, Text

MOST_FILES = 20
_PROOFS = {
    "minimal": "Run with these parameters in a fresh kernel, it gave the recorded results; without any one of its statements it does not.",
    "proved": "Run with these parameters in a fresh kernel, it gave the recorded results.",
}


def step_blocks(step: Step) -> Blocks:
    """The file, what can be set, what comes out, and the proof."""
    blocks: list[Block] = [
        Text(f"Written to {short(step.path)}.", "title"),
        Text(f"{step.kept} of {step.executed} executed statements of run {step.run[:8]}"),
    ]
    parameters = [Parameter.of(item) for item in step.parameters]
    if parameters:
        rows = tuple(
            (Cell(item.name), Cell(item.type, "faint"), Cell(repr(item.default)), Cell(item.source, "faint"), Cell(item.help))
            for item in parameters
        )
        blocks.append(Table(("parameter", "type", "default", "input", "help"), rows, needed=3))
    blocks.append(Table(("output", "kind", "value"), tuple(_output(item) for item in step.outputs)))
    blocks += [Text(f"with it: {short(path)}", "faint") for path in step.files]
    blocks += [Text(note, "bad") for note in step.notes]
    blocks.append(Text(_PROOFS.get(step.proof, step.proof), "good"))
    options = [*(_option(item) for item in parameters[:1]), f" --cwd {shlex.quote(step.folder)}" if step.folder not in ("", ".") else ""]
    return [*blocks, Text(f"Run it: papermill {shlex.quote(short(step.path))} out.ipynb" + "".join(options), "faint")]


def restored_blocks(restored: Restored) -> Blocks:
    """The folder, what is in it, and what could not be put there."""
    shown = restored.files[:MOST_FILES]
    more = len(restored.files) - len(shown)
    blocks: list[Block] = [
        Text(f"Run {restored.run[:8]} is in {short(restored.folder)}.", "title"),
        Table(("file",), tuple((Cell(path),) for path in shown)),
    ]
    if more:
        blocks.append(Text(f"and {more} more", "faint"))
    blocks += [Text(note, "bad") for note in restored.notes]
    return [*blocks, Text("Its README.md says how to open and run it.", "faint")]


def _output(item: Any) -> tuple[Cell, ...]:
    value = item.get("value")
    return Cell(str(item.get("name"))), Cell(str(item.get("kind")), "faint"), Cell("" if value is None else repr(value), number=True)


def _option(item: Parameter) -> str:
    return f" -p {item.name} {shlex.quote(str(item.default))}" if isinstance(item.default, (int, float, str)) else ""
