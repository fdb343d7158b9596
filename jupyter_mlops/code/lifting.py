"""Lays kept statements out as code: the literals that feed the result on top, as parameters, then the rest in the order of execution."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .notebook_syntax import lines_of
from .slices import Place, Step

_TIMING = re.compile(r"%time(?:it)?[ \t]+(?!-)")
_MOST_VALUES = 50


@dataclass(frozen=True, slots=True)
class Part:
    """Consecutive kept statements of one execution: their first and last line in the cell, and their text."""

    seq: int
    line: int
    end_line: int
    source: str


@dataclass(frozen=True, slots=True)
class Code:
    """Kept statements as code: `whole` as they were executed; `parts` without the literals in `heading`, which stands before all of them.
    `parameters` are the names and values of these.
    """

    whole: tuple[Part, ...]
    parts: tuple[Part, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    heading: str = ""

    @property
    def cells(self) -> dict[int, str]:
        """The code of each execution; the heading belongs to the first."""
        found: dict[int, str] = {}
        for part in self.parts:
            found[part.seq] = f"{found[part.seq]}\n{part.source}" if part.seq in found else part.source
        return found

    @property
    def source(self) -> str:
        """All of it as one text, a blank line between executions."""
        return "\n\n".join(text for text in (self.heading, *self.cells.values()) if text) + "\n"


def code_of(steps: Sequence[Step], sources: Mapping[int, str]) -> Code:
    """The code of these steps; `sources` are the texts of their cells by seq."""
    lifted = _lifted(steps)
    heading = "\n".join(_line_of(step, sources[step.place.seq]) for step in lifted)
    parameters = {name: value for step in lifted for name, value in step.statement.literals.items()}
    places = {step.place for step in lifted}
    rest = [step for step in steps if step.place not in places]
    return Code(tuple(_parts(steps, sources)), tuple(_parts(rest, sources)), parameters, heading)


def _lifted(steps: Sequence[Step]) -> list[Step]:
    """The steps that bind literals and can stand on top: what they bind is bound once, and not read before."""
    if any(step.statement.source.startswith(("from __future__", "%%")) for step in steps):
        return []  # these must come first themselves
    bound: dict[str, int] = {}
    read_before: set[str] = set()
    candidates: list[Step] = []
    for step in steps:
        statement = step.statement
        if _binds_literals(step) and not statement.writes & read_before:
            candidates.append(step)
        # What a function reads it reads when it is called, and a name that was not bound by then is a builtin's.
        read_before |= statement.reads | {name for name in statement.captures if hasattr(builtins, name)}
        for name in statement.writes | statement.deletes | statement.alters:
            bound[name] = bound.get(name, 0) + 1
    return [step for step in candidates if all(bound[name] == 1 for name in step.statement.writes)]


def _binds_literals(step: Step) -> bool:
    statement = step.statement
    alone = statement.writes == statement.literals.keys() and not (statement.body or statement.calls or statement.reads)
    sizes = [len(value) for value in statement.literals.values() if isinstance(value, (list, dict, set, tuple))]
    return bool(statement.writes) and alone and not step.partly and all(0 < size <= _MOST_VALUES for size in sizes)


def _line_of(step: Step, cell: str) -> str:
    """The statement with the comment behind it."""
    statement = step.statement
    rest = lines_of(cell)[statement.end_line - 1].rpartition(statement.source.rpartition("\n")[2])[2]
    return f"{statement.source}  {rest.strip()}" if rest.strip().startswith("#") else statement.source


def _parts(steps: Sequence[Step], sources: Mapping[int, str]) -> list[Part]:
    found: list[Part] = []
    last: Place | None = None
    for step in steps:
        statement, place = step.statement, step.place
        source = _TIMING.sub("", statement.source, count=1) if statement.source.startswith("%time ") else statement.source
        if last is not None and place.seq == last.seq and place.index == last.index + 1:
            before = found.pop()
            between = lines_of(sources[place.seq])[before.end_line : statement.line - 1]
            gap = "\n" * (1 + bool(between and not all(line.strip() for line in between)))
            found.append(Part(place.seq, before.line, statement.end_line, f"{before.source}{gap}{source}"))
        else:
            found.append(Part(place.seq, statement.line, statement.end_line, source))
        last = place
    return found
