"""Blocks in a terminal, as plain text, and as HTML for a notebook. Everything that comes from runs and data is escaped."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ..records import Check, Diff, Node, PipelineRun, Replay, Restored, Run, Slice, Snapshot, Status, Step, Validation
from .answers import AboutSchedules, Change, Collected, Comparison, Demo, Exported, Page, Plan, Prepared, Report, Runs, Story, Tracking
from .blocks import Block, Blocks, Cell, Code, Drawing, Table, Text, Tree
from .model_views import view
from .registry_view import AboutRegistry
from .release_view import AboutReleases

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell
    from rich.console import Console, RenderableType
    from rich.tree import Tree as RichTree

ANSWERS = (
    *AboutRegistry.__args__, *AboutReleases.__args__, *AboutSchedules.__args__, Change, Check, Collected, Comparison, Demo, Diff, Exported,
    Node,
    Page, PipelineRun, Plan, Prepared, Replay, Report, Restored, Runs, Slice, Snapshot, Status, Step, Story, Tracking, Validation,
)  # fmt: skip
"""The types that a notebook shows as tables. A single Run is shown through its Story."""


LEAST_ELASTIC = 20
"""Characters that a shortened name still has."""
MOST_HIDDEN = 4
"""Columns without room that are named; of the others only the number is told."""


def register(shell: InteractiveShell) -> None:
    """Teach a notebook's formatters how answers look; the records themselves know nothing of it."""
    for mime, form in (("text/html", to_html), ("text/plain", _pretty)):
        for kind in (*ANSWERS, Run):
            shell.display_formatter.formatters[mime].for_type(kind, form)


def unregister(shell: InteractiveShell) -> None:
    """Undo `register`."""
    for mime in ("text/html", "text/plain"):
        for kind in (*ANSWERS, Run):
            shell.display_formatter.formatters[mime].pop(kind, None)


def to_terminal(answer: Any, console: Console) -> None:
    """Print an answer; lines never break inside a column of a terminal that is wide enough."""
    for whole in _spaced(blocks_of(answer)):
        for block in _fitted(whole, console.width):
            if not isinstance(block, Drawing):
                console.print(rich_of(block), soft_wrap=isinstance(block, (Text, Code)))


def to_text(answer: Any, width: int = 160) -> str:
    """An answer as plain text, without colours."""
    from rich.console import Console

    out = io.StringIO()
    to_terminal(answer, Console(file=out, width=width, no_color=True, highlight=False, force_jupyter=False, force_terminal=False))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def to_html(answer: Any) -> str:
    """An answer as HTML that inherits font and colours, so that it reads on light and on dark ground."""
    return html_of(blocks_of(answer))


def html_of(blocks: Blocks) -> str:
    """Blocks as HTML, as `to_html` gives it for an answer."""
    return f"<div class='jupyter-mlops' style='line-height:1.45'>{''.join(map(_html, blocks))}</div>"


def blocks_of(answer: Any) -> Blocks:
    """The blocks of an answer; a run by itself is shown as its story, without its cells."""
    return view(Story(run=answer) if isinstance(answer, Run) else answer)


def _pretty(answer: Any, printer: Any, cycle: bool) -> None:
    printer.text(to_text(answer, 120))


def _spaced(blocks: Iterable[Block]) -> Iterable[Block]:
    """An empty line before each title, except the first."""
    for place, block in enumerate(blocks):
        if place and isinstance(block, Text) and block.tone == "title":
            yield Text("")
        yield block


_STYLES = {"plain": "", "title": "bold", "faint": "dim", "good": "green", "bad": "red"}


def rich_of(block: Text | Code | Tree | Table) -> RenderableType:
    """A block as rich prints it; a path that is a link can be followed where the terminal knows how."""
    from rich.text import Text as RichText

    match block:
        case Text(text, tone):
            return RichText(text, style=_STYLES[tone])
        case Code(text, language):
            from rich.syntax import Syntax

            return Syntax(text, language, theme="ansi_light", background_color="default")
        case Tree():
            return _rich_tree(block)
        case Table():
            return _rich_table(block)


def _rich_table(block: Table) -> RenderableType:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text as RichText

    table = RichTable(box=box.SIMPLE_HEAD, show_header=any(block.columns), pad_edge=False, header_style="bold")
    for index, column in enumerate(block.columns):
        filled = [row[index] for row in block.rows if row[index].text]
        right = bool(filled) and all(cell.number for cell in filled)
        table.add_column(RichText(column), justify="right" if right else "left", overflow="fold")
    for row in block.rows:
        table.add_row(*(RichText(cell.text, style=_rich_style(cell)) for cell in row))
    return table


def _rich_style(cell: Cell) -> str:
    return f"{_STYLES[cell.tone]} link {Path(cell.link).absolute().as_uri()}".strip() if cell.link else _STYLES[cell.tone]


def _fitted(block: Block, width: int) -> Blocks:
    """A table without the columns that a terminal has no room for, and a word about them."""
    if not isinstance(block, Table) or not block.needed:
        return [block]
    widths = [max(len(column), *(len(row[index].text) for row in block.rows)) + 3 for index, column in enumerate(block.columns)]
    place = block.elastic
    if place is not None and sum(widths) > width and widths[place] > LEAST_ELASTIC + 3:
        widths[place] = max(LEAST_ELASTIC + 3, widths[place] - (sum(widths) - width))
        rows = (
            (*row[:place], replace(row[place], text=_elided(row[place].text, widths[place] - 3)), *row[place + 1 :]) for row in block.rows
        )
        block = replace(block, rows=tuple(rows))
    shown = len(widths)
    while shown > block.needed and sum(widths[:shown]) > width:
        shown -= 1
    if shown == len(widths):
        return [block]
    table = Table(block.columns[:shown], tuple(row[:shown] for row in block.rows))
    hidden = list(block.columns[shown:])
    if len(hidden) > MOST_HIDDEN:
        hidden[MOST_HIDDEN - 1 :] = [f"{len(hidden) - MOST_HIDDEN + 1} more columns"]
    ways = "a wider window, --csv or --json" if block.csv else "a wider window or --json"
    return [table, Text(f"no room here for {', '.join(hidden)}: {ways} shows all", "faint")]


def _elided(text: str, most: int) -> str:
    """A text without its middle; names of runs differ at their ends."""
    if len(text) <= most:
        return text
    end = most // 2
    return f"{text[: most - end - 1]}…{text[-end:]}"


def _rich_tree(tree: Tree) -> RichTree:
    from rich.text import Text as RichText
    from rich.tree import Tree as RichTree

    def label(node: Tree) -> RichText:
        return RichText.assemble(node.label, *([("  " + node.detail, "dim")] if node.detail else []))

    grown = RichTree(label(tree), guide_style="dim")
    waiting = [(grown, child) for child in tree.below]
    for parent, child in waiting:
        branch = parent.add(label(child))
        waiting += [(branch, below) for below in child.below]
    return grown


_CSS = {
    "plain": "",
    "title": "font-weight:bold;font-size:105%;margin-top:.6em",
    "faint": "opacity:.65",
    "good": "color:#2e9e4f",
    "bad": "color:#d1603d",
}


def _html(block: Block) -> str:
    match block:
        case Text(text, tone):
            return f"<div style='{_CSS[tone]}'>{escape(text)}</div>"
        case Code(text, language):
            css = _diff_css if language == "diff" else _no_css
            lines = "".join(f"<span style='{css(line)}'>{escape(line)}</span>\n" for line in text.splitlines())
            return f"<pre style='margin:.3em 0;padding:.4em .8em;background:rgba(128,128,128,.1);color:inherit'>{lines}</pre>"
        case Tree():
            return f"<ul style='margin:.2em 0'>{_html_tree(block)}</ul>"
        case Drawing(svg):
            return f"<div style='overflow:auto;max-height:40em;margin:.4em 0'>{svg}</div>"
        case Table(columns, rows):
            head = "".join(f"<th style='text-align:left'>{escape(column)}</th>" for column in columns)
            body = "".join(f"<tr>{''.join(map(_html_cell, row))}</tr>" for row in rows)
            thead = f"<thead><tr>{head}</tr></thead>" if any(columns) else ""
            return f"<table style='margin:.4em 0'>{thead}<tbody>{body}</tbody></table>"


def _html_cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.link and not any(part.startswith(".") for part in Path(cell.link).parts):
        text = f"<a href='{quote(cell.link)}' target='_blank'>{text}</a>"
    elif cell.link:
        text = f"<span title='{escape(cell.link)}'>{text}</span>"  # a Jupyter server does not serve hidden folders
    return f"<td style='text-align:{'right' if cell.number else 'left'};{_CSS[cell.tone]}'>{text}</td>"


def _html_tree(tree: Tree) -> str:
    detail = f" <span style='opacity:.65'>{escape(tree.detail)}</span>" if tree.detail else ""
    below = f"<ul style='margin:0'>{''.join(map(_html_tree, tree.below))}</ul>" if tree.below else ""
    return f"<li>{escape(tree.label)}{detail}{below}</li>"


def _no_css(line: str) -> str:
    return ""


def _diff_css(line: str) -> str:
    return _CSS["good"] if line.startswith("+") else _CSS["bad"] if line.startswith("-") else _CSS["faint"] if line.startswith("@") else ""
