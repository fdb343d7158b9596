"""What is recorded of each execution of a cell."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jupyter_mlops.store import journal
from jupyter_mlops.tracking.freezing import _copies_on_write
from jupyter_mlops.tracking.instrument import Listener, Recorder
from jupyter_mlops.tracking.origin import starting_folder
from tests.conftest import Kernel

from .conftest import Notebook

NAMES: list[tuple[str, list[str], dict[str, Any]]] = [
    ("assignment", ["a = 1"], {"reads": [], "writes": ["a"]}),
    ("reading", ["a = 1", "b = a + 1"], {"reads": ["a"], "writes": ["b"]}),
    ("change in place", ["a = []", "a.append(1)"], {"mutates": ["a"], "writes": []}),
    ("item assignment", ["d = {}", "d['x'] = 1"], {"mutates": ["d"], "writes": []}),
    ("deletion", ["a = 1", "del a"], {"deletes": ["a"], "writes": []}),
    ("exec", ["exec('z = 5')"], {"writes": ["z"]}),
    ("exec of computed text", ["text = 'z' + ' = 5'", "exec(text)"], {"writes": ["z"]}),
    ("star import", ["from math import *"], {"reads": [], "status": "ok"}),
    ("time magic", ["%%time\nq = 4"], {"writes": ["q"]}),
    ("async cell", ["import asyncio\nawait asyncio.sleep(0)\nr = 1"], {"writes": ["asyncio", "r"]}),
    ("function", ["g = 2\ndef f():\n    return g"], {"writes": ["f", "g"]}),
    ("shell command", ["out = !echo hello"], {"writes": ["out"]}),
    ("thread", ["import threading\nt = threading.Thread(target=lambda: None)\nt.start()\nt.join()"], {"status": "ok"}),
    ("error", ["1 / 0"], {"status": "error"}),
    ("syntax error", ["a = = 1"], {"status": "error", "writes": []}),
    ("interrupt", ["raise KeyboardInterrupt"], {"status": "interrupted"}),
]


@pytest.mark.parametrize(("cells", "expected"), [case[1:] for case in NAMES], ids=[case[0] for case in NAMES])
def test_names_and_status_of_a_cell(notebook: Notebook, cells: list[str], expected: dict[str, Any]) -> None:
    last = notebook.run(*cells).cells[-1]
    own = set(notebook.names)  # builtins are read by every cell and say nothing
    found = {
        key: [name for name in last[key] if name in own or key == "deletes"] if isinstance(last[key], list) else last[key]
        for key in expected
    }
    assert found == expected


def test_star_imports_bind_their_names(notebook: Notebook) -> None:
    assert {"sqrt", "pi"} <= set(notebook.run("from math import *").cells[-1]["writes"])


def test_cells_are_recorded_in_the_order_in_which_they_ran(notebook: Notebook) -> None:
    notebook.run("a = 1", "b = a", "a = 2", "b = a", "")
    assert [(cell["seq"], cell["source"]) for cell in notebook.cells] == [(1, "a = 1"), (2, "b = a"), (3, "a = 2"), (4, "b = a")]


def test_a_cell_in_a_cell_is_one_event(notebook: Notebook) -> None:
    notebook.run("%%capture out\nx = 1\nprint(x)", "get_ipython().run_cell('y = 2')")
    assert [cell["source"].splitlines()[0] for cell in notebook.cells] == ["%%capture out", "get_ipython().run_cell('y = 2')"]
    assert "x" in notebook.cells[0]["writes"]
    assert "y" in notebook.cells[1]["writes"]


def test_a_notebook_that_is_run_by_a_cell_belongs_to_it(notebook: Notebook, project: Any) -> None:
    import nbformat

    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("from_other = 3")]), project / "other.ipynb")
    (project / "script.py").write_text("from_script = 4\n")
    notebook.run("%run other.ipynb", "%run script.py")
    assert [sorted(set(cell["writes"]) - {"nbformat"}) for cell in notebook.cells] == [["from_other"], ["from_script"]]


def test_tracking_can_be_paused(notebook: Notebook) -> None:
    notebook.run("a = 1")
    notebook.session.pause()
    notebook.run("secret_work = 2")
    notebook.session.resume()
    notebook.run("b = 3")
    assert [cell["source"] for cell in notebook.cells] == ["a = 1", "b = 3"]


def test_outputs_are_kept(notebook: Notebook) -> None:
    notebook.run("print('hello')\n6 * 7")
    shown = [(item["kind"], item["data"]["text/plain"]) for item in notebook.cells[0]["outputs"]]
    assert shown == [("stream", "hello\n"), ("result", "42")]


def test_a_large_output_is_kept_by_content(notebook: Notebook) -> None:
    notebook.run("print('x' * 100_000)")
    [output] = notebook.cells[0]["outputs"]
    reference = output["data"]["text/plain"]
    assert notebook.session.objects.get(reference["object"]).decode() == "x" * 100_000 + "\n"


def test_the_traceback_of_a_cell_is_kept(notebook: Notebook) -> None:
    notebook.run("def f():\n    return 1 / 0\nf()")
    assert notebook.cells[0]["error"].splitlines()[-1] == "ZeroDivisionError: division by zero"


def test_files_are_seen_however_they_are_opened(notebook: Notebook, project: Any) -> None:
    import pandas

    for name in ("a", "b", "c", "d", "e"):
        pandas.DataFrame({"x": [1, 2]}).to_parquet(project / f"{name}.parquet")
    notebook.run(
        "import pandas as pd\nframe = pd.read_parquet('a.parquet')",
        "import polars as pl\nframe = pl.read_parquet('b.parquet')",
        "import duckdb\nrows = duckdb.sql(\"select * from 'c.parquet'\").fetchall()",
        "import pyarrow.parquet as pq\ntable = pq.read_table('d.parquet')",
        "!cat e.parquet > copy.bin",
    )
    assert [[item["name"] for item in cell["files_read"]] for cell in notebook.cells] == [
        ["a.parquet"],
        ["b.parquet"],
        ["c.parquet"],
        ["d.parquet"],
        ["e.parquet"],
    ]
    assert [item["name"] for item in notebook.cells[-1]["files_written"]] == ["copy.bin"]


def test_results_are_the_same_as_without_tracking(notebook: Notebook) -> None:
    cells = [
        "print(1, f'{2.5:.1f}', sep='-')",
        "[print(i) for i in range(2)]",
        "x = print('%s and %d' % ('a', 3))",
        "print('{} {b}'.format(1, b=2))",
    ]
    notebook.run(*cells)
    text = "".join(item["data"]["text/plain"] for cell in notebook.cells for item in cell["outputs"] if item["kind"] == "stream")
    assert text == "1-2.5\n0\n1\na and 3\n1 2\n"


def test_a_secret_is_never_written(notebook: Notebook) -> None:
    secret = "".join(reversed("esroh-tcerroc-2retnuh"))  # this file is itself a local module whose source is kept
    notebook.run(f"password = '{secret}'\nprint('it is', password)", "raise ValueError(password)")
    written = b"".join(path.read_bytes() for path in notebook.session.settings.home.rglob("*") if path.is_file())
    assert secret.encode() not in written
    assert notebook.cells[0]["source"].splitlines()[0] == 'password = secret("password")'


def test_frames_and_arrays_that_a_cell_binds_have_a_digest(notebook: Notebook) -> None:
    from jupyter_mlops.store import snapshots

    notebook.run("import numpy as np, pandas as pd\na = np.arange(5)\ndf = pd.DataFrame({'a': a})", "df['a'] = 2")
    first, second = (cell["values"] for cell in notebook.cells)
    assert first["a"] == snapshots.digest(notebook.names["a"])
    assert second["df"] == snapshots.digest(notebook.names["df"]) != first["df"]


def test_random_state_before_a_cell_is_kept_when_it_changed(notebook: Notebook) -> None:
    notebook.run("import random\nrandom.random()", "random.random()", "random", "random")
    assert [bool(cell["random"]) for cell in notebook.cells[1:]] == [True, True, False]


def test_random_state_is_kept_by_the_next_cell_that_could_draw(notebook: Notebook) -> None:
    notebook.run("import random\nrandom.seed(1)", "C = 0.5", "def draw():\n    return random.random()", "draw()")
    assert [list(cell["random"]) for cell in notebook.cells[1:]] == [[], [], ["random"]]


@pytest.mark.parametrize(
    ("cell", "bound"),
    [
        ("C = 0.5", {"C"}),
        ("def make():\n    global made\n    made = 1", {"make"}),
        ("make()", {"made"}),
        ("exec('hidden = 1')", {"hidden"}),
        ("from math import *", {"pi"}),
    ],
)
def test_names_that_a_cell_binds_are_found_however_it_binds_them(notebook: Notebook, cell: str, bound: set[str]) -> None:
    notebook.run("def make():\n    global made\n    made = 1", cell)
    assert bound <= set(notebook.cells[-1]["writes"])


def test_names_bound_between_cells_are_not_the_next_cells(notebook: Notebook) -> None:
    notebook.run("a = 1")
    notebook.names.update(between=1, a=2)
    notebook.run("b = abs(-1)", "del between\na = abs(-3)")
    first, second = notebook.cells[-2:]
    assert (first["writes"], second["writes"], second["deletes"]) == (["b"], ["a"], ["between"])


def test_code_of_an_earlier_load_of_the_extension_runs_as_it_is() -> None:
    heard: list[Any] = []
    parts = ("fit_begins", "fit_takes", "fit_ends", "value_passes")
    listener = SimpleNamespace(**dict.fromkeys(parts, lambda *what: heard.append(what)))
    recorder = Recorder(cast(Listener, listener), heard.append)
    assert [recorder.note(0, "f"), recorder.argument(0, 0, 1), recorder.done(0, 2), recorder.kept(0, 3)] == ["f", 1, 2, 3]
    assert heard == []


def test_a_history_begins_where_its_first_cell_ran(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    cells = {"%cd ..\n%load_ext jupyter_mlops": "/began", "import os; os.chdir('..')": "/began", "x = 1": str(tmp_path)}
    for cell, folder in cells.items():
        assert starting_folder(SimpleNamespace(user_ns={"In": ["", cell]}, starting_dir="/began")) == folder


def test_what_a_front_end_asks_for_itself_is_no_cell(project: Path, kernel: Kernel) -> None:
    kernel.run("%load_ext jupyter_mlops")
    kernel.run("x = 1")
    kernel.client.execute("_shown_among_the_variables = dir()", store_history=False, allow_stdin=False)
    kernel.run("y = x")
    kernel.run("%unload_ext jupyter_mlops")
    [path] = journal.journals(project / ".mlops")
    begun = [record["source"] for record in journal.read(path)[0] if record["kind"] == "begin"]
    assert begun == ["x = 1", "y = x", "%unload_ext jupyter_mlops"]


def test_a_frame_of_pandas_2_is_copied_unless_it_copies_on_write(monkeypatch: pytest.MonkeyPatch) -> None:
    for version, chosen, expected in (("2.3.3", False, False), ("2.3.3", "warn", False), ("2.3.3", True, True), ("3.0.1", True, True)):
        options = SimpleNamespace(mode=SimpleNamespace(copy_on_write=chosen))
        monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(__version__=version, options=options))
        assert _copies_on_write() is expected


def test_cells_before_tracking_are_noted(project: Any, notebook: Notebook) -> None:
    notebook.session.close()
    from jupyter_mlops.tracking import session as sessions

    notebook.run("C = 0.25")
    notebook.session = sessions.start(notebook.shell)
    notebook.run("x = C")
    assert [(cell["source"], cell["status"]) for cell in notebook.cells] == [("C = 0.25", "untracked"), ("x = C", "ok")]
