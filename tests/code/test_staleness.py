"""Stale cells, names without code, and what a restart would change, as tables of what was executed and what the notebook says."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.code.staleness import NotebookCell, Surroundings, status
from jupyter_mlops.code.versions import Execution, History
from jupyter_mlops.records import Status

LOAD, ADD, HEAD = "df = load()", "df['x'] = 1", "df.head()"


def told(executed: str, code: dict[str, str], notebook: str | None = None, **around: Any) -> Status:
    """The status after executing cells by their letters; a capital letter stands for the second code of its cell.

    `notebook` holds the cells in the notebook's order, likewise, and always in its last code; default: as executed, without repetitions.
    """
    history = History()
    for seq, letter in enumerate(executed, 1):
        source = code[letter]
        given = around.get("events", {}).get(seq, {})
        history.add(Execution(seq=seq, source=source, cell=letter.lower(), started=float(seq), **given))
    order = notebook if notebook is not None else "".join(dict.fromkeys(executed.lower()))
    latest = {letter.lower(): code[letter] for letter in executed}
    cells = [NotebookCell(letter.lower(), code[letter] if notebook is not None else latest[letter]) for letter in order]
    options = {"saved": 1000.0, **{name: value for name, value in around.items() if name != "events"}}
    return status(history, Surroundings(cells=cells, **options))


def states(found: Status) -> dict[str, str]:
    return {cell.cell: cell.state for cell in found.cells if cell.state != "fresh"}


FRESH: list[tuple[str, str, dict[str, str]]] = [
    ("a frame that later cells change", "abc", {"a": LOAD, "b": ADD, "c": HEAD}),
    ("an output before a change", "abc", {"a": LOAD, "b": HEAD, "c": ADD}),
    ("a loop counter used again", "abc", {"a": "for i in range(3): pass\nprint(i)", "b": "print(i)", "c": "for i in range(9): pass"}),
    ("a name bound again below", "abc", {"a": "x = 1", "b": "print(x)", "c": "x = 2"}),
    ("all cells twice", "abcabc", {"a": "n = 0", "b": "n += 1", "c": "print(n)"}),
    ("an upstream cell again, unchanged", "aba", {"a": "x = 1", "b": "print(x)"}),
    ("a comment added upstream", "abA", {"a": "x = 1", "A": "# one\nx = 1", "b": "print(x)"}),
    ("another statement of the upstream cell edited", "abA", {"a": "x = 1\ny = 1", "A": "x = 1\ny = 2", "b": "print(x)"}),
    ("a change through an alias", "abcd", {"a": "x = []", "b": "y = x", "c": "y.append(1)", "d": "print(x)"}),
    ("a function defined before its global", "abc", {"a": "def f():\n    return g", "b": "g = 1", "c": "f()"}),
    ("the same name as scratch", "abcd", {"a": "t = 1", "b": "print(t)", "c": "t = 2", "d": "print(t)"}),
    ("a deleted name", "abc", {"a": "x = 1", "b": "print(x)", "c": "del x"}),
    ("an augmented total", "abc", {"a": "total = 0", "b": "for k in range(3):\n    total += k", "c": "print(total)"}),
    ("random numbers", "ab", {"a": "import random\nx = random.random()", "b": "print(x)"}),
]  # fmt: skip


@pytest.mark.parametrize(("executed", "code"), [case[1:] for case in FRESH], ids=[case[0] for case in FRESH])
def test_nothing_is_stale(executed: str, code: dict[str, str]) -> None:
    assert states(told(executed, code)) == {}


def test_a_comment_written_since_makes_nothing_stale() -> None:
    code = {"a": "x = 1", "A": "x = (\n    1  # one\n)", "b": "print(x)"}
    assert states(told("ab", code, "Ab")) == {}


STALE: list[tuple[str, str, dict[str, str], str | None, dict[str, str]]] = [
    ("an upstream cell with other code", "abA", {"a": "x = 1", "A": "x = 2", "b": "print(x)"}, None, {"b": "stale"}),
    ("what follows from it", "abcA", {"a": "x = 1", "A": "x = 2", "b": "y = x", "c": "print(y)"}, None, {"b": "stale", "c": "stale"}),
    ("a counter run again", "abcb", {"a": "n = 0", "b": "n += 1", "c": "print(n)"}, None, {"c": "stale"}),
    ("a list appended to again", "abcb", {"a": "x = []", "b": "x.append(1)", "c": "print(x)"}, None, {"c": "stale"}),
    ("appended to again through an alias", "abcdc",
     {"a": "x = []", "b": "y = x", "c": "y.append(1)", "d": "print(x)"}, None, {"d": "stale"}),
    ("a cell inserted above", "abc", {"a": "x = 1", "b": "print(x)", "c": "x = 2"}, "acb", {"b": "stale"}),
    ("a change inserted above", "abc", {"a": LOAD, "b": HEAD, "c": ADD}, "acb", {"b": "stale"}),
    ("a global of a function", "abcA", {"a": "g = 1", "A": "g = 2", "b": "def f():\n    return g", "c": "f()"}, None, {"c": "stale"}),
    ("a method's global", "abcdA",
     {"a": "g = 1", "A": "g = 2", "b": "class K:\n    def f(self):\n        return g", "c": "k = K()", "d": "print(k.f())"}, None,
     {"c": "stale", "d": "stale"}),
    ("a function edited and run", "abA", {"a": "def f():\n    return 1", "A": "def f():\n    return 2", "b": "f()"}, None, {"b": "stale"}),
    ("a name that is not made any more", "abA", {"a": "x = 1", "A": "y = 1", "b": "print(x)"}, None, {"b": "stale"}),
    ("random numbers drawn again", "abca", {"a": "x = random.random()", "b": "print(x)", "c": "print(1)"}, None, {"b": "stale"}),
    ("edited, not run", "ab", {"a": "x = 1", "A": "x = 2", "b": "print(x)"}, "Ab", {"a": "stale", "b": "stale"}),
    ("edited, not run, the same value", "ab", {"a": "x = 1\nz = 1", "A": "x = 1\nz = 2", "b": "print(x)"}, "Ab", {"a": "stale"}),
    ("a cell added", "a", {"a": "x = 1", "b": "print(x)"}, "ab", {"b": "never run"}),
    ("a cell deleted", "ab", {"a": "x = 1", "b": "print(2)"}, "b", {"a": "gone"}),
    ("given from below, run again below", "acbC", {"a": "x = 1", "b": "print(x)", "c": "x = 2", "C": "x = 3"}, "abC", {"b": "stale"}),
]  # fmt: skip


@pytest.mark.parametrize(("executed", "code", "notebook", "expected"), [case[1:] for case in STALE], ids=[case[0] for case in STALE])
def test_what_is_stale(executed: str, code: dict[str, str], notebook: str | None, expected: dict[str, str]) -> None:
    assert states(told(executed, code, notebook)) == expected


def test_digests_tell_that_a_value_is_the_same_or_is_not() -> None:
    code = {"a": "x = read()", "A": "x = read_faster()", "b": "print(x)"}
    same = {1: {"values": {"x": "d1"}}, 3: {"values": {"x": "d1"}}}
    other = {1: {"values": {"x": "d1"}}, 3: {"values": {"x": "d2"}}}
    assert states(told("abA", code, events=same)) == {}
    assert states(told("abA", code, events=other)) == {"b": "stale"}
    drawn = {"a": "x = random.random()", "b": "print(x)"}
    assert states(told("aba", drawn, events=same)) == {}


def test_a_file_that_a_cell_wrote_again_or_that_changed_on_disk() -> None:
    code = {"a": "write(1)", "A": "write(2)", "b": "print(open('f.csv').read())"}
    events = {1: {"files_written": {"f.csv": "d1"}}, 2: {"files_read": {"f.csv": "d1"}}, 3: {"files_written": {"f.csv": "d2"}}}
    assert states(told("abA", code, events=events)) == {"b": "stale"}
    assert states(told("ab", code, events={2: events[2]})) == {}
    [cell] = [item for item in told("ab", code, events={2: events[2]}, changed_files={"f.csv"}).cells if item.state == "stale"]
    assert cell.why == ("file f.csv changed on disk after this cell read it.",)


def test_a_cell_that_failed_again_made_nothing_new() -> None:
    code = {"a": "x = 1", "A": "1 / 0\nx = 2", "b": "print(x)"}
    failed = {"status": "error", "error": 'Traceback:\n  File "<cell>", line 1, in <module>\nZeroDivisionError'}
    assert states(told("abA", code, events={3: failed})) == {}


def test_the_reason_names_the_cell_and_the_name() -> None:
    found = told("abcA", {"a": "x = 1", "A": "x = 2", "b": "y = x", "c": "print(y)"})
    assert {cell.cell: cell.why for cell in found.cells if cell.why} == {
        "b": ("x was made anew by cell [4] `x = 2` after this cell ran.",),
        "c": ("y comes from cell [2] `y = x`, which is stale itself.",),
    }


LOST: list[tuple[str, str, dict[str, str], str | None, dict[str, str]]] = [
    ("nothing", "ab", {"a": "x = 1", "b": "y = x"}, None, {}),
    ("deleted", "ab", {"a": "x = 1", "b": "y = x"}, "b", {"x": "Cell [1] `x = 1`, which made it, is no longer in the notebook."}),
    ("edited", "ab", {"a": "x = 1", "A": "z = 1", "b": "y = x"}, "Ab",
     {"x": "Cell [1] `x = 1`, which made it, was edited and does not make it any more."}),
    ("run with other code", "aA", {"a": "x = 1", "A": "z = 1"}, None,
     {"x": "Cell [2] `z = 1` made it when it ran before, with other code."}),
    ("made by another cell too", "ab", {"a": "x = 1", "b": "x = 2"}, "a", {}),
    ("unbound since", "ab", {"a": "x = 1", "b": "del x"}, "", {}),
]  # fmt: skip


@pytest.mark.parametrize(("executed", "code", "notebook", "expected"), [case[1:] for case in LOST], ids=[case[0] for case in LOST])
def test_names_without_code(executed: str, code: dict[str, str], notebook: str | None, expected: dict[str, str]) -> None:
    assert {name.name: name.why for name in told(executed, code, notebook).names} == expected


def test_a_name_that_does_not_live_any_more_is_not_missed() -> None:
    assert told("ab", {"a": "x = 1", "b": "y = 2"}, "b", living={"y"}).names == ()


RESTART: list[tuple[str, str, dict[str, str], str | None, list[tuple[str, str, str]]]] = [
    ("nothing", "abc", {"a": LOAD, "b": ADD, "c": HEAD}, None, []),
    ("a name bound below", "ba", {"a": "print(x)", "b": "x = 1"}, "ab", [("error", "a", "x")]),
    ("a deleted cell", "ab", {"a": "x = 1", "b": "print(x)"}, "b", [("error", "b", "x"), ("missing", "a", "")]),
    ("a cell that never ran", "a", {"a": "x = 1", "b": "print(x)"}, "ab", [("new", "b", "")]),
    ("a cell that never ran and cannot", "a", {"a": "x = 1", "b": "print(w)"}, "ab", [("new", "b", ""), ("error", "b", "w")]),
    ("an edited cell", "ab", {"a": "x = 1", "A": "x = 2", "b": "print(x)"}, "Ab", [("code", "a", ""), ("value", "b", "x")]),
    ("run twice", "abbc", {"a": "n = 0", "b": "n += 1", "c": "print(n)"}, None, [("value", "b", "n"), ("value", "c", "n")]),
    ("out of order", "acb", {"a": "x = 1", "b": "print(x)", "c": "x = 2"}, "abc", [("value", "b", "x")]),
    ("a function's global bound below", "bac", {"a": "f()", "b": "def f():\n    return g", "c": "g = 1"}, "bac", []),
    ("in order with a star import", "ab", {"a": "from math import *", "b": "print(pi)"}, None, []),
]  # fmt: skip


@pytest.mark.parametrize(("executed", "code", "notebook", "expected"), [case[1:] for case in RESTART], ids=[case[0] for case in RESTART])
def test_what_a_restart_would_change(
    executed: str, code: dict[str, str], notebook: str | None, expected: list[tuple[str, str, str]]
) -> None:
    events = {1: {"writes": ("pi", "sqrt")}} if "math" in code["a"] else {}
    assert [(item.kind, item.cell, item.name) for item in told(executed, code, notebook, events=events).restart] == expected


def test_a_notebook_saved_before_the_last_cells_ran_says_only_what_is_known() -> None:
    code = {"a": "x = 1", "A": "x = 2", "b": "print(x)", "c": "print(9)"}
    found = told("aAbc", code, "ab", saved=1.5)
    assert [(cell.cell, cell.state, cell.line) for cell in found.cells] == [
        ("a", "fresh", "x = 2"), ("b", "fresh", "print(x)"), ("c", "fresh", "print(9)"),
    ]  # fmt: skip
    assert [note.partition(":")[0] for note in found.notes] == ["The notebook was saved before the last cells ran"]


def test_without_a_notebook_the_order_is_that_of_the_first_execution() -> None:
    history = History()
    for seq, (cell, source) in enumerate([("a", "x = 1"), ("b", "print(x)"), ("a", "x = 2")], 1):
        history.add(Execution(seq=seq, source=source, cell=cell))
    found = status(history, Surroundings())
    assert [(cell.cell, cell.state) for cell in found.cells] == [("a", "fresh"), ("b", "stale")]
    assert len(found.notes) == 1


def test_cells_without_ids_are_known_by_their_text() -> None:
    history = History()
    for seq, source in enumerate(["x = 1", "print(x)"], 1):
        history.add(Execution(seq=seq, source=source, status="untracked"))
    cells = [NotebookCell("", source) for source in ("x = 1\n", "print(x)", "print(x, 2)", "print(x)")]
    found = status(history, Surroundings(cells=cells, saved=5.0))
    assert [(cell.seq, cell.state) for cell in found.cells] == [(1, "fresh"), (2, "fresh"), (None, "never run"), (2, "fresh")]
