"""The few blocks that every answer is shown with, whatever the surface: text, table, tree, code, drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. `tone` is plain, title, faint, good or bad."""

    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table; `tone` as in Text, `number` tells that it is set flush right, `link` is the path of the file that it names."""

    text: str
    tone: str = "plain"
    number: bool = False
    link: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; every row has as many cells as there are columns.

    Where a terminal is too narrow, columns after the first `needed` are left out from the right (0: all are needed, and wrap);
    before that, the texts of the `elastic` column are shortened in the middle. `csv` tells that the same can be had as CSV.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    needed: int = 0
    elastic: int | None = None
    csv: bool = False


@dataclass(frozen=True, slots=True)
class Tree:
    """A label with a faint detail, and the trees below it."""

    label: str
    detail: str = ""
    below: tuple[Tree, ...] = ()


@dataclass(frozen=True, slots=True)
class Code:
    """Source text in a language that highlighters know: python or diff."""

    text: str
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture as SVG that takes the colours around it; a terminal leaves it out."""

    svg: str


Block = Text | Table | Tree | Code | Drawing
Blocks = Sequence[Block]
