from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_mlops.code.paths import mentioned


class Hostile(str):
    """Text whose every use would run the user's code."""

    def __add__(self, other: object) -> str:
        raise AssertionError("ran the user's code")

    __radd__ = __str__ = __format__ = __truediv__ = __add__  # type: ignore[assignment]


class Guarded:
    @property
    def folder(self) -> str:
        raise AssertionError("ran the user's code")


NAMES: dict[str, Any] = {
    "d": "data",
    "root": Path("/big"),
    "cfg": {"file": "conf.yaml", "n": 3},
    "o": SimpleNamespace(out="results"),
    "years": [2020, 2021],
    "files": ("a.csv", "b.csv"),
    "n": 7,
    "hostile": Hostile("evil.csv"),
    "guarded": Guarded(),
}


@pytest.mark.parametrize(
    ("source", "paths"),
    [
        ("pd.read_csv('data/a.csv')", {"data/a.csv"}),
        ("open(d + '/x.txt')", {"data", "/x.txt", "data/x.txt"}),
        ("open(f'{d}/part-{n:03d}.csv')", {"data", "data/part-007.csv"}),
        ("os.path.join(d, 'sub', 'x.csv')", {"data", "sub", "x.csv", "data/sub/x.csv"}),
        ("Path('in') / 'x.csv'", {"in", "x.csv", "in/x.csv"}),
        ("(root / 'y' / f'z{n}.parquet').exists()", {"/big", "y", "/big/y", "z7.parquet", "/big/y/z7.parquet"}),
        ("root.joinpath('q.db').with_suffix('.txt')", {"/big", "q.db", "/big/q.db", ".txt", "/big/q.txt"}),
        ("root.parent", {"/big", "/"}),
        ("open(cfg['file'])", {"file", "conf.yaml"}),
        ("open(o.out)", {"results"}),
        ("p = d + '/k.csv'\nopen(p)", {"data", "/k.csv", "data/k.csv"}),
        ("for y in years:\n    read(f'{y}.csv')", {"2020.csv", "2021.csv"}),
        ("for f in files:\n    read(f'in/{f}')", {"a.csv", "b.csv", "in/a.csv", "in/b.csv"}),
        ("[read(f'{i}.csv') for i in range(2)]", {"0.csv", "1.csv"}),
        ("open('%s/%d.csv' % (d, n))", {"%s/%d.csv", "data", "data/7.csv"}),
        ("open('{}/x{k}.csv'.format(d, k=n))", {"{}/x{k}.csv", "data"}),
        ("open('{}/x.csv'.format(d))", {"{}/x.csv", "data", "data/x.csv"}),
        ("open(str(root) + '/t.csv')", {"/big", "/t.csv", "/big/t.csv"}),
        ("'/'.join([d, 'x.csv'])", {"/", "data", "x.csv", "data/x.csv"}),
        ("!cat {d}/a.csv $d", {"cat", "data/a.csv", "data"}),
        ("%%bash\ncp in.csv out/", {"cp", "in.csv", "out/"}),
        ("%run sub/x.py", {"sub/x.py"}),
        ("def f():\n    return open('deep.csv')", {"deep.csv"}),
        ("open(hostile + '/x')", {"/x"}),
        ("open(f'{hostile}.csv')", set()),
        ("open(guarded.folder)", set()),
        ("open(unknown + '/x.csv')", {"/x.csv"}),
        ("x = f'{n:>9999999999}'", set()),
        ("x = '%9999999999d' % n", set()),
        ("1 / 0; n / n; d / d", {"data"}),
        ("this is no code", set()),
    ],
)
def test_paths_that_a_cell_mentions(source: str, paths: set[str]) -> None:
    assert mentioned(source, NAMES) == paths


def test_several_sources_or_a_tree() -> None:
    assert mentioned(["p = 'a.csv'", "open('b/' + p)"], {}) == {"a.csv", "b/", "b/a.csv"}
    assert mentioned(ast.parse("open('a.csv')"), {}) == {"a.csv"}
