"""How kept statements become the cells of a papermill notebook. Nothing runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from jupyter_mlops.pipelines.definition import annotations
from jupyter_mlops.pipelines.steps import layout, parameters
from jupyter_mlops.pipelines.steps.parts import hoisted_imports, parts_of
from jupyter_mlops.records import Parameter, Piece

SOURCES = {
    1: "import pandas as pd\nfrom sklearn.ensemble import RandomForestClassifier",
    2: "# where the flights are\nDATA = 'data/flights.csv'\nC: float = 0.1  # regularisation >= 0\nlayers = [1, 2]\nresults = []",
    4: "flights = pd.read_csv('data/more.csv', sep=',')\nother = pd.read_csv(DATA)",
    9: "model = RandomForestClassifier(\n    n_estimators=50,  # trees\n    max_depth=3,\n).fit(flights, other)\nresults.append(C)",
}
CHOSEN = {"n_estimators": 50, "max_depth": 3, "C": 0.1}
FILES = ("data/flights.csv", "data/more.csv")


def laid_out() -> layout.Layout:
    parts = parts_of([Piece(seq=seq, line=1, end_line=text.count("\n") + 1, source=text) for seq, text in SOURCES.items()], SOURCES)
    found, rest = parameters.lifted(parts, CHOSEN, lambda seq, text: text in FILES, set())
    return layout.laid_out(rest, found, {"model": "model", "results": "results"})


def test_literals_keywords_and_files_become_parameters_with_types_and_the_comments_as_help() -> None:
    assert laid_out().parameters == (
        Parameter(name="DATA", type="str", default="data/flights.csv", help="where the flights are", source="file"),
        Parameter(name="C", type="float", default=0.1, help="regularisation >= 0"),
        Parameter(name="layers", type="list[int]", default=[1, 2]),
        Parameter(name="n_estimators", type="int", default=50, help="trees"),
        Parameter(name="max_depth", type="int", default=3, help="of RandomForestClassifier"),
        Parameter(name="more", type="str", default="data/more.csv", help="input file", source="file"),
    )


def test_the_code_reads_them_and_keeps_its_cells() -> None:
    found = laid_out()
    assert found.imports == ("import pandas as pd", "from sklearn.ensemble import RandomForestClassifier")
    assert found.cells == (
        (2, "results = []"),
        (4, "flights = pd.read_csv(more, sep=',')\nother = pd.read_csv(DATA)"),
        (
            9,
            "model = RandomForestClassifier(\n    n_estimators=n_estimators,  # trees\n    max_depth=max_depth,\n).fit(flights, other)\n"
            "results.append(C)",
        ),
    )


def test_papermill_finds_the_parameters_and_jupyter_takes_the_notebook(tmp_path: Path) -> None:
    content = layout.notebook(laid_out(), "# train", {4: ["## Load"], 9: ["## Load", "## Fit"]}, {"mlops": {}})
    nbformat.validate(nbformat.from_dict(content))
    (tmp_path / "step.ipynb").write_text(json.dumps(content))
    assert {name: (item["inferred_type_name"], item["default"], item["help"]) for name, item in inspect(tmp_path).items()} == {
        "DATA": ("str", "'data/flights.csv'", "where the flights are"),
        "C": ("float", "0.1", "regularisation ≥ 0"),
        "layers": ("list[int]", "[1, 2]", ""),
        "n_estimators": ("int", "50", "trees"),
        "max_depth": ("int", "3", "of RandomForestClassifier"),
        "more": ("str", "'data/more.csv'", "input file"),
    }
    assert [(cell["id"], cell["metadata"].get("tags")) for cell in content["cells"]] == [
        ("about", None), ("parameters", ["parameters"]), ("imports", None), ("code-1", None), ("text-1", None), ("code-2", None),
        ("text-2", None), ("code-3", None), ("outputs", ["outputs"]),
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["a=b#c", "'\"\\=", "x == 1  # no", ["a=1", "#"], {"k=": "v"}, True, None, -1e-7, (1, 2)])
def test_papermill_reads_any_value_and_python_the_same_one(tmp_path: Path, value: Any) -> None:
    item = Parameter(name="value", type=annotations.type_of(value), default=value, help="a = b, c >= d # e")
    content = layout.notebook(layout.laid_out((), [item], {}), "", {}, {})
    (tmp_path / "step.ipynb").write_text(json.dumps(content))
    found = inspect(tmp_path)["value"]
    assert (eval(found["default"]), found["help"]) == (value, "a is b, c ≥ d # e")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("C = 1\nC = 2", []),
        ("total = 0\ntotal += 1", []),
        ("seen = [1]\nseen.append(2)", []),
        ("first, second = 1, 'a'", ["first", "second"]),
        ("_hidden = 1\nempty = []\nnothing = None\nraw = b'x'\nmany = {1, 2}", []),
        ("def f():\n    global C\n    C = 2\nC = 1", []),
        ("depth = 3\nexec(text)", []),
        ("for depth in [1, 2]:\n    pass\nC = 1", ["C"]),
        ("if C:\n    depth = 3", []),
        ("x = y = 5", ["x", "y"]),
        ("max = 5\nbound = 1e999\nrate = 1e9", ["rate"]),
    ],
)
def test_only_names_with_one_plain_value_become_parameters(source: str, names: list[str]) -> None:
    parts = parts_of([Piece(seq=1, line=1, end_line=source.count("\n") + 1, source=source)], {1: source})
    assert [item.name for item in parameters.lifted(parts, {}, lambda seq, text: False, set())[0]] == names


@pytest.mark.parametrize(
    ("source", "annotation"),
    [
        ("x: float = 1", "float"), ("x: int | None = 3", "int | None"), ("x: list[float] = [1, 2]", "list[float]"),
        ("x: Optional[int] = 3", "int"), ("x: np.int64 = 3", "int"), ("x = 1", "int"),
    ],
)  # fmt: skip
def test_the_type_that_the_code_gives_stays_where_it_needs_no_import(source: str, annotation: str) -> None:
    parts = parts_of([Piece(seq=1, line=1, end_line=1, source=source)], {1: source})
    assert [item.type for item in parameters.lifted(parts, {}, lambda seq, text: False, set())[0]] == [annotation]


@pytest.mark.parametrize(
    ("source", "named", "code"),
    [
        ("t = read(Path('data') / 'x.csv')", {"x": "data/x.csv"}, "t = read(Path(x))"),
        ("t = read(pathlib.Path('data', 'x.csv'))", {"x": "data/x.csv"}, "t = read(pathlib.Path(x))"),
        ("import os\nt = read(os.path.join('data', 'x.csv'))", {"x": "data/x.csv"}, "t = read(x)"),
        ("folder = 'data'\nt = read(f'{folder}/x.csv')", {"x": "data/x.csv"}, "t = read(x)"),
        ("folder = 'data'\nt = read(f'{folder}/x.csv')\nlist(folder)", {"folder": "data", "x": "data/x.csv"}, "t = read(x)\nlist(folder)"),
        ("root = Path('data')\nt = read(root / 'x.csv')", {"x": "data/x.csv"}, "t = read(Path(x))"),
        ("name = 'x'\nt = read(f'data/{name}.csv')", {"name": "x"}, "t = read(f'data/{name}.csv')"),
        ("t = read(f'data/{g()}/x.csv')", {}, "t = read(f'data/{g()}/x.csv')"),
        ("t = read(Path('data') / 'y.csv')", {}, "t = read(Path('data') / 'y.csv')"),
        ("d = 'data'\nd = g(d)\nt = read(f'{d}/x.csv')", {}, "d = 'data'\nd = g(d)\nt = read(f'{d}/x.csv')"),
    ],
)
def test_a_path_of_texts_is_a_parameter_and_one_of_other_values_is_left_to_the_code(source: str, named: dict[str, str], code: str) -> None:
    parts = parts_of([Piece(seq=1, line=1, end_line=source.count("\n") + 1, source=source)], {1: source})
    found, rest = parameters.lifted(parts, {}, lambda seq, text: text == "data/x.csv", set())
    assert {item.name: item.default for item in found} == named
    assert layout.laid_out(rest, (), {}).cells == ((1, code),)


@pytest.mark.parametrize(
    ("source", "chosen", "code"),
    [
        ("Ridge(alpha=2)", {"alpha": 2}, "Ridge(alpha=alpha)"),
        ("Ridge(alpha=2)", {"alpha": 3}, "Ridge(alpha=2)"),
        ("Ridge(alpha=2)", {}, "Ridge(alpha=2)"),
        ("alpha = f()\nRidge(alpha=2)", {"alpha": 2}, "alpha = f()\nRidge(alpha=Ridge_alpha)"),
        ("split(x, seed=1)\nRidge(seed=1)", {"split.seed": 1, "seed": 1}, "split(x, seed=split_seed)\nRidge(seed=Ridge_seed)"),
        ("Ridge(alpha=2)\nRidge(alpha=2)", {"alpha": 2}, "Ridge(alpha=alpha)\nRidge(alpha=alpha)"),
        ("Ridge(alpha=2)\nRidge(alpha=5)", {"alpha": 2}, "Ridge(alpha=alpha)\nRidge(alpha=5)"),
        ("dé = Ridge(alpha=2); plt.plot(alpha=2)", {"alpha": 2, "plt.plot.alpha": 2}, "dé = Ridge(alpha=alpha); plt.plot(alpha=2)"),
    ],
)
def test_keywords_that_are_parameters_of_the_run_are_lifted(source: str, chosen: dict[str, Any], code: str) -> None:
    parts = parts_of([Piece(seq=1, line=1, end_line=source.count("\n") + 1, source=source)], {1: source})
    rest = parameters.lifted(parts, chosen, lambda seq, text: False, set())[1]
    assert layout.laid_out(rest, (), {}).cells == ((1, code),)


@pytest.mark.parametrize(
    ("source", "imports"),
    [
        ("import a\nx = 1\nimport b", ["import a", "import b"]),
        ("import sys\nsys.path.append('.')\nimport mine", ["import sys"]),
        ("import a\nfrom b import *", ["import a"]),
        ("from a import f\nfrom b import f", []),
        ("import a\nimport a", ["import a"]),
        ("%matplotlib inline\nimport a", []),
        ("import numpy as np\nnp = 3", []),
    ],
)
def test_imports_stand_on_top_where_nothing_decides_over_them(source: str, imports: list[str]) -> None:
    parts = parts_of([Piece(seq=1, line=1, end_line=source.count("\n") + 1, source=source)], {1: source})
    assert hoisted_imports(parts)[0] == imports


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("from __future__ import annotations\nimport a\na.f()", {1: "from __future__ import annotations\nn: int = 3\nimport a\na.f()"}),
        ("%%capture shown\nprint(1)", {1: "%%capture shown\nprint(1)", 2: "n: int = 3\ny = 1"}),
    ],
)
def test_what_must_stand_first_stands_first(first: str, expected: dict[int, str]) -> None:
    cells = {1: first, 2: "y = 1"}
    pieces = [Piece(seq=seq, line=1, end_line=text.count("\n") + 1, source=text) for seq, text in cells.items()]
    step = layout.laid_out(parts_of(pieces, cells), [Parameter(name="n", type="int", default=3)], {})
    assert {seq: step.sources[seq] for seq in expected} == expected


CELLS = [
    {"cell_type": "markdown", "source": "# Flights"},
    {"cell_type": "code", "source": "a"},
    {"cell_type": "markdown", "source": "## Model"},
    {"cell_type": "markdown", "source": ["It is ", "simple."]},
    {"cell_type": "code", "source": "b"},
    {"cell_type": "code", "source": "c"},
    {"cell_type": "markdown", "source": "a remark"},
    {"cell_type": "code", "source": "d"},
    {"cell_type": "markdown", "source": "## End"},
    {"cell_type": "code", "source": "e"},
]


@pytest.mark.parametrize(
    ("index", "texts"),
    [
        (1, ["# Flights"]),
        (4, ["# Flights", "## Model", "It is simple."]),
        (5, ["# Flights", "## Model"]),
        (7, ["# Flights", "## Model", "a remark"]),
        (9, ["# Flights", "## End"]),
    ],
)
def test_texts_above_a_cell_and_the_headings_it_stands_under_belong_to_it(index: int, texts: list[str]) -> None:
    assert layout.belonging(CELLS, index) == texts


def inspect(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = papermill.inspect_notebook(str(folder / "step.ipynb"))
    return found
