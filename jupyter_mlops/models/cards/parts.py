"""What a card is made of, whatever it is written as: sections with words, tables, code and plots."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A paragraph; `tone` is plain, faint, good or bad."""

    text: str
    tone: str = "plain"
    kind: str = "words"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under headings, all texts. `numbers` are the places of columns set flush right; `tones` the tone of each row ("" for plain)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...] = ()
    tones: tuple[str, ...] = ()
    kind: str = "table"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Source text."""

    text: str
    kind: str = "code"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A picture as SVG. `name` is that of its file, `text` what it shows, for who cannot see it, `caption` the line under it."""

    name: str
    svg: str
    text: str
    caption: str = ""
    kind: str = "plot"


Part = Words | Table | Code | Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the card under a heading; `anchor` is its place in the page."""

    title: str
    anchor: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A whole card: what stands on top, and its sections. `badges` are (text, tone); `tiles` (name, value, remark)."""

    title: str
    subtitle: str
    badges: tuple[tuple[str, str], ...] = ()
    tiles: tuple[tuple[str, str, str], ...] = ()
    sections: tuple[Section, ...] = ()
    missing: tuple[str, ...] = field(default=())

    @property
    def plots(self) -> tuple[Plot, ...]:
        """All its plots."""
        return tuple(part for section in self.sections for part in section.parts if isinstance(part, Plot))
