"""What all widgets are: an answer, the module that draws it, and how it looks where no widget can be shown."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import anywidget
import traitlets

from ...errors import UsageError
from ..answers import plain
from ..blocks import Blocks
from ..display import blocks_of, html_of, to_text

STATIC = Path(__file__).with_name("static")
_WIDTH = 120

Answer = TypeVar("Answer")


class ViewWidget(anywidget.AnyWidget, Generic[Answer]):
    """An answer (`given`), drawn by the view of the name `view`.

    Beside the widget stand the answer's table as HTML and as text: that is what nbconvert, GitHub and editors without widgets show. Where
    nobody looks as the cell runs (papermill, nbconvert --execute, a replay) there is only the table, and nothing of the widget is saved.
    """

    view: ClassVar[str] = ""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    actions: traitlets.List[Any] = traitlets.List(help="What the view offers to do: nothing, since a kernel is no server.").tag(sync=True)

    def __init__(self, given: Answer) -> None:
        self.given = given
        values = {name: wire(plain(value)) for name, value in self.values(given).items()}
        super().__init__(_esm=module(self.view), _css=styles(), **values)

    def values(self, given: Answer) -> Mapping[str, Any]:
        """What the view finds in its model, by name."""
        raise NotImplementedError

    def below(self) -> Blocks:
        """What the view shows and the answer's own page does not."""
        return ()

    def open(self) -> None:
        """Tell the page of this widget, where somebody may look at it."""
        if attended():
            super().open()

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        static = {"text/plain": to_text(self.given, _WIDTH), "text/html": html_of([*blocks_of(self.given), *self.below()])}
        self.open()
        shown = super()._repr_mimebundle_(**options) if self.comm is not None else None
        data, metadata = shown or ({}, {})
        return {**data, **static}, metadata


@cache
def module(view: str) -> str:
    """The module that draws a view."""
    return _built(f"{view}.js")


@cache
def styles() -> str:
    """How all views look."""
    return _built("views.css")


def attended() -> bool:
    """Whether somebody may look at what the cell shows: what runs a notebook in one go cannot answer a question either, and says so."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return False
    # Voila runs a notebook in one go too, but to show it to somebody.
    if os.environ.get("SERVER_SOFTWARE", "").startswith("voila"):
        return True
    request = kernel.get_parent("shell") if hasattr(kernel, "get_parent") else {}
    return bool((request or {}).get("content", {}).get("allow_stdin", True))


def seen() -> Any:
    """A trait that the view reads."""
    return traitlets.Any().tag(sync=True)


def wire(value: Any) -> Any:
    """JSON values as every browser reads them: numbers that JSON does not know become texts, and so does what is no plain value."""
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, Mapping):
        return {str(key): wire(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [wire(item) for item in value]
    return str(value)


def _built(name: str) -> str:
    try:
        return (STATIC / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"Widgets cannot be shown, since their views were not built here ({name} is missing): run `pip install .` in the checkout, "
            "which builds them, and restart the kernel. The answer by itself shows as a table."
        ) from None
