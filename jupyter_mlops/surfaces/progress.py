"""How a run of a pipeline is shown as it goes: a live table, plain lines, JSON lines, or an output of a notebook that renews itself."""

from __future__ import annotations

import contextvars
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from ..records import StepRun
from .answers import short
from .arguments import FORM
from .blocks import Blocks, Text
from .pipeline_view import counted, elapsed, headline, steps_blocks, steps_table
from .quantities import size, span

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

PERIOD = 0.25
"""Seconds between two pictures of a live table, or of a notebook's output."""

Event = Mapping[str, Any]
_TOLD = frozenset(item.name for item in fields(StepRun)) - {"step", "started", "why"}


class Board:
    """How the steps stand after the events so far: `steps` maps names to records, in the order of the pipeline."""

    def __init__(self, names: Sequence[str], clock: Callable[[], float] = time.time) -> None:
        self.steps = {name: StepRun(step=name, state="waiting") for name in names}
        self.began = clock()
        self._clock = clock

    def take(self, event: Event) -> tuple[StepRun, StepRun] | None:
        """Take an event; the step that it is about, before and after. None for an event about no step.

        Times are those of this clock, since the clocks of other machines may differ.
        """
        before = self.steps.get(str(event.get("step")))
        if before is None:
            return None
        news = {name: value for name, value in event.items() if name in _TOLD and value is not None}
        why = event.get("why") or (() if "state" in news and news["state"] != before.state else before.why)
        news["why"] = (why,) if isinstance(why, str) else tuple(why)
        if news.get("state") == "running" and before.state != "running":
            news |= {"started": self._clock(), "attempts": news.get("attempts", before.attempts + 1), "seconds": None}
        after = replace(before, **news)
        self.steps[before.step] = after
        return before, after


class Shown(Protocol):
    """One way to show a run."""

    def take(self, event: Event) -> None:
        """Show what an event says."""

    def close(self) -> None:
        """Show no more."""


@contextmanager
def progress(name: str, edges: Mapping[str, Sequence[str]]) -> Iterator[Callable[[Event], None]]:
    """Show the run of a pipeline for as long as the block lasts, in the way that fits where it is called; gives what takes its events."""
    shown = _fitting(name, edges)
    try:
        yield shown.take
    finally:
        shown.close()


def _fitting(name: str, edges: Mapping[str, Sequence[str]]) -> Shown:
    if FORM.get() == "--json":
        return JsonLines(sys.stdout)
    if _in_notebook():
        return NotebookOutput(name, edges)
    live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
    return LiveTable(Board(list(edges)), sys.stderr) if live else Lines(Board(list(edges)), sys.stderr)


class JsonLines:
    """Each event as a line of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, event: Event) -> None:
        """Write the event."""
        print(json.dumps(dict(event), default=repr, ensure_ascii=False), file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to write."""


class Lines:
    """A line when a step begins, and when it ends."""

    def __init__(self, board: Board, out: TextIO) -> None:
        self._board, self._out = board, out
        self._width = max((len(step) for step in board.steps), default=0)

    def take(self, event: Event) -> None:
        """Write a line where the state of a step changed."""
        changed = self._board.take(event)
        if changed is not None and changed[0].state != changed[1].state:
            print(f"{time.strftime('%H:%M:%S')}  {line(changed[1], self._width)}", file=self._out, flush=True)

    def close(self) -> None:
        """Nothing is left to write."""


class LiveTable:
    """A table in a terminal that is drawn anew as long as steps run. It is not begun before one does: then rich takes its time to start."""

    def __init__(self, board: Board, out: TextIO) -> None:
        self._board, self._out = board, out
        self._live: Live | None = None

    def take(self, event: Event) -> None:
        """Take the event; the table is drawn a few times a second."""
        changed = self._board.take(event)
        if self._live is None and changed is not None and changed[1].state == "running":
            from rich.console import Console
            from rich.live import Live

            console = Console(file=self._out, highlight=False)
            self._live = Live(get_renderable=self._drawn, console=console, refresh_per_second=1 / PERIOD, transient=True)
            self._live.start()

    def close(self) -> None:
        """Take the table away: the answer that follows shows how it ended."""
        if self._live is not None:
            self._live.stop()

    def _drawn(self) -> Group:
        from rich.console import Group

        from .display import rich_of

        steps = list(self._board.steps.values())
        room = self._live.console.height - 6 if self._live is not None else len(steps)
        summary = Text(f"{counted(steps)} · {span(time.time() - self._board.began)}", "faint")
        return Group(rich_of(steps_table(steps, max(room, 3))), rich_of(summary))


class NotebookOutput:
    """An output of a notebook that shows table and graph, and renews itself; what it showed last is saved with the notebook."""

    def __init__(self, name: str, edges: Mapping[str, Sequence[str]]) -> None:
        from IPython.display import display

        self._name, self._edges = name, edges
        self._board = Board(list(edges))
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._handle = display(self._bundle(self._blocks()), raw=True, display_id=True)
        # The kernel knows by the context which cell an output belongs to.
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._renew,), daemon=True, name="mlops-progress")
        self._thread.start()

    def take(self, event: Event) -> None:
        """Take the event; the output is renewed a few times a second."""
        with self._lock:
            self._board.take(event)

    def close(self) -> None:
        """Leave one line: the answer that follows shows how it ended."""
        self._ended.set()
        self._thread.join()
        steps = list(self._board.steps.values())
        self._show([Text(f"{self._name}: {counted(steps)} in {span(time.time() - self._board.began)}", "faint")])

    def _renew(self) -> None:
        shown = ""
        while not self._ended.wait(PERIOD):
            bundle = self._bundle(self._blocks())
            if bundle["text/html"] != shown:
                self._handle.update(bundle, raw=True)
                shown = bundle["text/html"]

    def _blocks(self) -> Blocks:
        with self._lock:
            steps = list(self._board.steps.values())
        return [Text(self._name, "title"), Text(counted(steps)), *steps_blocks(steps, self._edges)]

    def _show(self, blocks: Blocks) -> None:
        self._handle.update(self._bundle(blocks), raw=True)

    def _bundle(self, blocks: Blocks) -> dict[str, str]:
        from .display import html_of

        texts = [block.text for block in blocks if isinstance(block, Text)]
        return {"text/html": html_of(blocks), "text/plain": "\n".join(texts)}


def line(step: StepRun, width: int = 0) -> str:
    """A step's state as one line: why it runs or does not, what it took, its error, and where its notebook is."""
    facts = ["; ".join(step.why) if step.state not in ("done", "failed") else ""]
    if step.state in ("done", "failed"):
        cell = step.cells if step.state == "done" else step.cell
        facts += [span(elapsed(step)), f"{cell} of {step.cells} cells" if step.cells else "", size(step.memory) if step.memory else ""]
    if step.state in ("failed", "retrying") and step.error:
        facts.append(headline(step))
    if step.state in ("done", "failed") and step.notebook:
        facts.append(short(step.notebook))
    return f"{step.step:{width}}  {step.state:9}  {' · '.join(fact for fact in facts if fact)}".rstrip()


def _in_notebook() -> bool:
    """Whether this runs in a kernel, whose outputs a notebook shows."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
