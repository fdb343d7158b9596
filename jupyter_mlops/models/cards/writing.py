"""Writes a card: as Markdown with its plots beside it, and as one HTML file that needs nothing else, no network either."""

from __future__ import annotations

import base64
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ...config import Settings
from ...errors import UsageError
from ...records import Card
from .facts import gathered
from .parts import Sheet
from .sections import sheet as made

if TYPE_CHECKING:
    from jinja2 import Environment

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~$])")
_FORMS = {".md": ("markdown",), ".html": ("html",)}


def card(settings: Settings, ref: str, out: Path | None = None) -> Card:
    """Write the card of the version that `ref` names (NAME: the champion, else the newest).

    `out` is a folder (default: cards/NAME-VERSION), or a file that ends with .md or .html where only that is wanted. Raises NotFound and
    UsageError.
    """
    facts = gathered(settings, ref)
    name = re.sub(r"[^\w.-]+", "-", facts.version.name).strip(".-") or "model"
    target = Path(out) if out is not None else settings.project / "cards" / f"{name}-{facts.version.version}"
    forms = _FORMS.get(target.suffix.lower(), ("markdown", "html"))
    if len(forms) > 1 and target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: give --out a folder, or a name that ends with .md or .html.")
    if len(forms) == 1 and target.is_dir():
        raise UsageError(f"{target} is a folder: give --out the name of a file, or of a folder that does not end so.")
    sheet = made(facts)
    paths = {form: target if len(forms) == 1 else target / f"card.{'md' if form == 'markdown' else form}" for form in forms}
    plots: list[str] = []
    if "markdown" in forms:
        folder = paths["markdown"].with_name(f"{paths['markdown'].stem}-plots")
        for plot in sheet.plots:
            _put(folder / f"{_file_name(plot.name)}.svg", plot.svg)
            plots.append(str(folder / f"{_file_name(plot.name)}.svg"))
        _put(paths["markdown"], markdown(sheet, folder.name))
    if "html" in forms:
        _put(paths["html"], html(sheet))
    return Card(
        model=facts.version.name, version=facts.version.version, markdown=str(paths.get("markdown", "")), html=str(paths.get("html", "")),
        plots=tuple(plots), missing=sheet.missing,
    )  # fmt: skip


def html(sheet: Sheet) -> str:
    """A card as one page of HTML. All that comes from data is escaped, and the page may run no script."""
    return _templates().get_template("card.html.j2").render(sheet=sheet)


def markdown(sheet: Sheet, folder: str) -> str:
    """A card as Markdown, whose plots are NAME.svg in `folder` beside it."""
    text = _templates().get_template("card.md.j2").render(sheet=sheet, folder=folder)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader

    made = Environment(
        loader=PackageLoader(__package__, "templates"),
        autoescape=lambda name: bool(name and name.endswith(".html.j2")),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"line": _line, "cell": _cell, "fenced": _fenced, "data_uri": _data_uri, "file_name": _file_name}
    return made


def _line(text: object) -> str:
    """A text in one line of Markdown, in which nothing of it is markup."""
    return _MARKDOWN.sub(r"\\\1", " ".join(str(text).split()))


def _cell(text: object) -> str:
    return _line(text) or " "


def _fenced(text: str) -> str:
    """Code between fences that are longer than any in it."""
    longest = max((len(found) for found in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}python\n{text.rstrip()}\n{fence}"


def _data_uri(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _file_name(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name)


def _put(path: Path, text: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)
