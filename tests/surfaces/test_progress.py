"""How a run is shown as it goes."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from jupyter_mlops.surfaces.arguments import FORM
from jupyter_mlops.surfaces.progress import Board, JsonLines, Lines, LiveTable, progress

from .hand_made import EDGES, EVENTS, FOLDER


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_each_event_changes_what_is_known_of_its_step() -> None:
    clock = iter(range(100))
    board = Board(list(EDGES), clock=lambda: float(next(clock)))
    assert [board.take(event) is not None for event in EVENTS[:2]] == [False, True]
    for event in EVENTS[2:]:
        board.take(event)
    told = {
        name: (step.state, step.attempts, step.cell, step.cells, step.seconds, step.memory, step.why) for name, step in board.steps.items()
    }
    assert told == {
        "months": ("cached", 0, 0, 0, None, 0, ("unchanged",)),
        "prepare": ("done", 1, 8, 8, 3.2, 412_000_000, ()),
        "train": ("failed", 2, 4, 7, 1.0, 0, ()),
        "evaluate": ("skipped", 0, 0, 0, None, 0, ("train failed",)),
        "release": ("skipped", 0, 0, 0, None, 0, ("train failed",)),
    }


def test_where_there_is_no_terminal_a_step_has_a_line_as_it_begins_and_one_as_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("flight-delays", EDGES) as take:
        for event in EVENTS:
            take(event)
    out, err = capsys.readouterr()
    assert out == ""
    lines = [re.sub(r"^\d\d:\d\d:\d\d  ", "", line) for line in err.splitlines()]
    assert lines == [
        "months    cached     unchanged",
        "prepare   running    params.month: 3 -> 4",
        f"prepare   done       3.2 s · 8 of 8 cells · 412.0 MB · {FOLDER}/prepare.ipynb",
        "train     running",
        "train     retrying   again in 1 s · ValueError: no rows",
        "train     running",
        "train     failed     1 s · 4 of 7 cells · ValueError: no rows",
        "evaluate  skipped    train failed",
        "release   skipped    train failed",
    ]


def test_with_json_each_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    token = FORM.set("--json")
    with progress("flight-delays", EDGES) as take:
        for event in EVENTS:
            take(event)
    FORM.reset(token)
    out, err = capsys.readouterr()
    assert err == ""
    assert [json.loads(line) for line in out.splitlines()] == list(EVENTS)


def test_in_a_terminal_a_table_lives_as_long_as_steps_run() -> None:
    out = Terminal()
    table = LiveTable(Board(list(EDGES)), out)
    for event in EVENTS[:2]:
        table.take(event)
    assert out.getvalue() == ""
    for event in EVENTS[2:5]:
        table.take(event)
    table.close()
    drawn = out.getvalue()
    assert "▶ prepare" in drawn
    assert "8 of 8" in drawn
    assert "412.0 MB" in drawn
    assert "1 running, 1 cached" in drawn.replace("3 waiting, ", "")


@pytest.mark.parametrize("shown", [Lines, JsonLines, LiveTable])
def test_what_an_event_says_beyond_what_is_known_does_no_harm(shown: type, capsys: pytest.CaptureFixture[str]) -> None:
    events: list[Mapping[str, Any]] = [
        {},
        {"event": "step", "step": "nosuch", "state": "done"},
        {"event": "cell", "step": "train", "new": object()},
    ]
    one = shown(io.StringIO()) if shown is JsonLines else shown(Board(list(EDGES)), io.StringIO())
    for event in events:
        one.take(event)
    one.close()


NOTEBOOK = f"""
import time
from jupyter_mlops.surfaces.progress import progress
with progress("flight-delays", {EDGES!r}) as take:
    for event in {EVENTS!r}:
        take(event)
        time.sleep(0.3)
"""


def test_a_notebook_shows_one_output_that_renews_itself(kernel: Any) -> None:
    ran = kernel.run(NOTEBOOK)
    assert ran.error == ""
    first, *later = ran.displays
    assert first["text/plain"] == "flight-delays\n5 waiting"
    assert "<svg" in first["text/html"]
    assert any("▶ prepare" in bundle["text/html"] for bundle in later)
    assert re.fullmatch(r"flight-delays: 1 cached, 1 done, 1 failed, 2 skipped in \d.*", later[-1]["text/plain"])
