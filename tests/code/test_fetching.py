"""Which assignments take data from the network or a database."""

from __future__ import annotations

import ast

import pytest

from jupyter_mlops.code.fetching import fetches, fetching_functions

NAMES = {"url": "https://example.org/a.csv", "path": "a.csv", "df": 1}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = pd.read_csv('https://example.org/a.csv')", [("x", "network")]),
        ("x = pd.read_csv(url)", [("x", "network")]),
        ("x = pd.read_csv(path)", []),
        ("base = 'https://example.org/'\nfull = base + 'a.csv'\nx = pd.read_csv(full)", [("x", "network")]),
        ("x = pd.read_csv(f'https://example.org/{year}.csv')", [("x", "network")]),
        ("X, y = fetch_openml('adult', return_X_y=True)", [("X y", "network")]),
        ("for year in years:\n    x = pd.read_csv(url)\n    frames.append(x)", [("x", "network")]),
        ("with sqlite3.connect('a.db') as c:\n    x = pd.read_sql('select 1', c)", [("x", "database")]),
        ("c = sqlite3.connect('a.db')\nn = c.execute('select 1').fetchone()", [("c", "database"), ("n", "database")]),
        ("r = requests.get('https://example.org')\nrows = r.json()['rows']\nx = pd.DataFrame(rows)",
         [("r", "network"), ("rows", "derived"), ("x", "derived")]),
        ("def load():\n    return requests.get(url).json()\nx = load()", [("x", "derived")]),
        ("def load():\n    x = pd.read_csv(url)\n    return x", []),
        ("class A:\n    x = pd.read_csv(url)", []),
        ("url2 = 'https://example.org'", []),
        ("x: pd.DataFrame = pd.read_csv(url)", [("x", "network")]),
        ("x = df.merge(df)", []),
        ("x.y = pd.read_csv(url)", []),
    ],
)  # fmt: skip
def test_what_an_assignment_fetches(source: str, expected: list[tuple[str, str]]) -> None:
    assert [(" ".join(fetch.names), fetch.kind) for fetch in fetches(ast.parse(source), NAMES.get, frozenset())] == expected


def test_what_came_raw_is_followed_into_later_cells() -> None:
    [fetch] = fetches(ast.parse("x = pd.DataFrame(rows)\ny = x.sum()"), NAMES.get, frozenset({"rows"}))[:1]
    assert (fetch.names, fetch.kind) == (("x",), "derived")


def test_equal_expressions_have_equal_marks() -> None:
    marks = [fetches(ast.parse(text), NAMES.get, frozenset())[0].mark for text in ("x = f(url, 1)", "x  =  f( url,1 )", "x = f(url, 2)")]
    assert (marks[0] == marks[1], marks[0] == marks[2]) == (True, False)


def test_functions_that_fetch_are_known() -> None:
    source = "def a():\n    return pd.read_sql('q', c)\ndef b():\n    return 1\nclass C:\n    def d(self):\n        return urlopen('x')"
    assert fetching_functions(ast.parse(source)) == {"a"}
