"""What is recorded of each execution of a cell."""

from __future__ import annotations

from typing import Any

import pytest

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


def test_cells_before_tracking_are_noted(project: Any, notebook: Notebook) -> None:
    notebook.session.close()
    from jupyter_mlops.tracking import session as sessions

    notebook.run("C = 0.25")
    notebook.session = sessions.start(notebook.shell)
    notebook.run("x = C")
    assert [(cell["source"], cell["status"]) for cell in notebook.cells] == [("C = 0.25", "untracked"), ("x = C", "ok")]
