"""The kept statements of executions as editable text: what a step's cells are made of. Pure."""

from __future__ import annotations

import ast
import builtins
import keyword
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ...code.notebook_syntax import UNREADABLE, Cell, parse_cell, parse_python
from ...code.statements import Statement, analyse
from ...records import Piece

INJECTED = "Parameters"
"""What papermill heads its own cell of parameters with."""


@dataclass(frozen=True, slots=True)
class Part:
    """One kept statement: `seq` is its execution, `text` its whole lines with the comments that belong to it, `comment` what stands behind
    it or directly above it, as a text without `#`."""

    seq: int
    text: str
    comment: str = ""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """What the text reads, binds and calls."""
        return analyse(self.text)

    @property
    def tree(self) -> ast.Module | None:
        """The text as Python whose positions are those of the text; None where it holds magics."""
        try:
            return parse_python(self.text)
        except UNREADABLE:
            return None

    @property
    def writes(self) -> frozenset[str]:
        """Names that the text binds, its functions' changes of globals included."""
        return frozenset().union(*(statement.writes | statement.alters for statement in self.statements))


def parts_of(pieces: Iterable[Piece], sources: Mapping[int, str]) -> list[Part]:
    """The statements of `pieces` in order; `sources` are the executions' whole sources by seq."""
    found: list[Part] = []
    for piece in pieces:
        cell = parse_cell(sources.get(piece.seq, ""))
        inside = [item for item in analyse(sources.get(piece.seq, "")) if piece.line <= item.line and item.end_line <= piece.end_line]
        if cell is None or not inside or _is_cut_within_lines(piece, inside, cell):
            found.append(Part(piece.seq, piece.source))
            continue
        found += _parts(piece.seq, cell, inside)
    return found


def _is_cut_within_lines(piece: Piece, inside: Sequence[Statement], cell: Cell) -> bool:
    """Whether only some of several statements on one line are kept."""
    lines = piece.source.splitlines()
    if lines and lines[-1].strip() not in cell.lines[piece.end_line - 1]:
        return True
    return any(one.end_line == other.line for one, other in pairwise(inside))


def _parts(seq: int, cell: Cell, statements: Sequence[Statement]) -> Iterator[Part]:
    ends = {item.line: item.end_line for item in statements}
    for item in statements:
        first = item.line
        while first > 1 and cell.lines[first - 2].lstrip().startswith("#"):
            first -= 1
        above = [line.strip().lstrip("#").strip() for line in cell.lines[first - 1 : item.line - 1]]
        behind = _behind(cell.lines[item.end_line - 1])
        # A comment above several statements without comments of their own is a heading of them all.
        after = ends.get(item.end_line + 1)
        heads = after is not None and not _behind(cell.lines[after - 1])
        # What papermill writes above the values that it was given says nothing about them.
        comment = behind or ("" if heads or above == [INJECTED] else " ".join(above))
        yield Part(seq, "\n".join(cell.lines[first - 1 : item.end_line]), comment)


def _behind(line: str) -> str:
    """The comment at the end of a line of code; "" where a # may be part of a text."""
    code, mark, comment = line.rpartition("#")
    if not mark:
        return ""
    code, mark, comment = line.partition("#") if line.count("#") > 1 else (code, mark, comment)
    return comment.strip() if code.count('"') % 2 == 0 and code.count("'") % 2 == 0 else ""


def edited(part: Part, edits: Iterable[tuple[ast.expr, str]]) -> Part:
    """The part with expressions of its tree replaced by other texts."""
    lines = [line.encode() for line in part.text.split("\n")]
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        end = node.end_lineno or node.lineno
        after = lines[end - 1][node.end_col_offset :]
        lines[node.lineno - 1 : end] = [lines[node.lineno - 1][: node.col_offset] + text.encode() + after]
    return replace(part, text=b"\n".join(lines).decode())


def names_in(parts: Iterable[Part]) -> set[str]:
    """Every name that the code uses for anything, so that a new one is certainly free."""
    found: set[str] = set()
    for part in parts:
        for statement in part.statements:
            found |= statement.reads | statement.writes | statement.mutates | statement.captures | statement.alters | statement.deletes
        for node in ast.walk(part.tree) if part.tree is not None else ():
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.arg):
                found.add(node.arg)
    return found


def free_name(wanted: Sequence[str], taken: set[str]) -> str | None:
    """The first of `wanted` that can be a new name of a variable; it is taken from then on."""
    for name in wanted:
        if name.isidentifier() and not keyword.iskeyword(name) and not hasattr(builtins, name) and name not in taken:
            taken.add(name)
            return name
    return None


def without_dead(parts: Sequence[Part], names: frozenset[str]) -> list[Part]:
    """The parts without those that only bind some of `names`, or what only these read, for nothing that is left."""
    kept = list(parts)
    for part in reversed(parts):
        others = [statement for other in kept if other is not part for statement in other.statements]
        used = frozenset[str]().union(*(item.reads | item.captures | item.mutates | item.may_mutate for item in others))
        changes = any(statement.mutates or statement.alters or not statement.writes for statement in part.statements)
        if part.writes and part.writes <= names and not changes and not part.writes & used:
            kept.remove(part)
            names |= frozenset[str]().union(*(statement.reads for statement in part.statements))
    return kept


def hoisted_imports(parts: Sequence[Part]) -> tuple[list[str], list[Part]]:
    """The import statements that can stand on top of everything, each once, and the other parts.

    An import stays where it is after code that may change what it finds (the path, the environment, magics), and where its name has
    another meaning elsewhere in the code.
    """
    texts: list[str] = []
    rest: list[Part] = []
    bound = _counts(parts)
    open_to_change = False
    for part in parts:
        if not open_to_change and _is_import(part) and all(bound[name] == 1 for name in part.writes):
            text = part.text
            if text not in texts:
                texts.append(text)
            continue
        rest.append(part)
        open_to_change = open_to_change or _may_change_imports(part)
    return texts, rest


def _counts(parts: Sequence[Part]) -> dict[str, int]:
    """In how many different texts each name is bound."""
    texts: dict[str, set[str]] = {}
    for part in parts:
        for name in part.writes:
            texts.setdefault(name, set()).add(part.text.strip())
    return {name: len(found) for name, found in texts.items()}


def _is_import(part: Part) -> bool:
    tree = part.tree
    return (
        tree is not None
        and bool(tree.body)
        and all(
            isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and all(alias.name != "*" for alias in node.names))
            for node in tree.body
        )
    )


def _may_change_imports(part: Part) -> bool:
    text = part.text
    return part.tree is None or any(word in text for word in ("sys.", "environ", "chdir", "matplotlib.use", "importlib"))
