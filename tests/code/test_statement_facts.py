"""What statements hold besides names: literals, keywords, calls, computed values, fits, imports, paths and their text."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.code.statements import Statement, analyse


def only(source: str) -> Statement:
    (statement,) = analyse(source)
    return statement


@pytest.mark.parametrize(
    ("source", "literals"),
    [
        ("C = 0.1", {"C": 0.1}),
        ("a, b = 1, 'two'", {"a": 1, "b": "two"}),
        ("a = b = -3", {"a": -3, "b": -3}),
        ("x: int = 3", {"x": 3}),
        ("lr, n, flag, none = 1e-3, 2**10, True, None", {"lr": 0.001, "n": 1024, "flag": True, "none": None}),
        ("sizes = [1, (2, 3), {'a': {4}}]", {"sizes": [1, (2, 3), {"a": {4}}]}),
        ("(n := 5)", {"n": 5}),
        ("a, *b = 1, 2, 3", {"a": 1, "b": [2, 3]}),
        ("s = 'a' 'b' + 'c'", {"s": "abc"}),
        ("s = f'plain'", {"s": "plain"}),
        ("n = 9**9**9", {}),
        ("s = 'a' * 10**9", {}),
        ("x = 1 / 0", {}),
        ("x = {[]: 1}", {}),
        ("x = ...", {}),
        ("x = y", {}),
        ("x = [1, y]", {}),
        ("x += 1", {}),
        ("d['a'] = 1", {}),
        ("for i in r:\n    n = 5", {"n": 5}),
        ("for i in r:\n    i = 5", {}),
        ("if a:\n    n = 1\nelse:\n    n = 2", {}),
        ("def f():\n    n = 1", {}),
        ("class K:\n    n = 1", {}),
        ("def f(n=1):\n    pass", {}),
        ("%time n = 3", {"n": 3}),
        ("%timeit n = 3", {}),
        ("%%capture out\nn = 3", {"n": 3}),
    ],
)
def test_literals(source: str, literals: dict[str, Any]) -> None:
    assert only(source).literals == literals


@pytest.mark.parametrize(
    ("source", "keywords"),
    [
        ("a, b = train_test_split(X, y, test_size=0.2, random_state=s)", (("train_test_split", "test_size", 0.2),)),
        ("m = sklearn.svm.SVC(C=1, kernel='rbf')", (("SVC", "C", 1), ("SVC", "kernel", "rbf"))),
        ("df = pd.DataFrame.from_dict(d, orient='index')", (("DataFrame.from_dict", "orient", "index"),)),
        ("m.fit(X, y, epochs=3)", (("m.fit", "epochs", 3),)),
        ("m = SVC(**{'C': 2, 'gamma': g})", (("SVC", "C", 2),)),
        ("m = SVC(**params)", ()),
        ("p = make_pipeline(Scaler(with_mean=False), SVC(C=1))", (("Scaler", "with_mean", False), ("SVC", "C", 1))),
        ("plt.plot(x, lw=2)", (("plt.plot", "lw", 2),)),
        ("xgb.train(p, d, num_boost_round=10)", (("train", "num_boost_round", 10),)),
        ("def f():\n    g(a=1)", ()),
        ("for k in ks:\n    KMeans(n_clusters=k, n_init=10)", (("KMeans", "n_init", 10),)),
    ],
)
def test_literal_keywords(source: str, keywords: tuple[Any, ...]) -> None:
    assert only(source).keywords == keywords


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("clf.fit(X)", {"clf.fit"}),
        ("models['a'].fit(X)", {"models[].fit"}),
        ("SVC().fit(X).predict(Y)", {"SVC", "SVC().fit", "SVC().fit().predict"}),
        ("[f(x) for x in g()]", {"f", "g"}),
        ("@deco(1)\ndef f(x=h()):\n    k()", {"deco", "h"}),
        ("f = lambda: g()", set()),
        ("class K:\n    x = f()", {"f"}),
        ("(a or b)(c)", set()),
        ("!ls", {"!"}),
        ("%run x.py", {"%run"}),
        ("%time f()", {"%time", "f"}),
        ("%%bash\nls", {"%%bash"}),
        ("'a'.join(xs)", {"join"}),
    ],
)
def test_calls(source: str, calls: set[str]) -> None:
    assert only(source).calls == calls


@pytest.mark.parametrize(
    ("source", "computed"),
    [
        ("acc = accuracy_score(y, p)", {"acc": "accuracy_score(y, p)"}),
        ("acc = round(m.score(X,y), 3)", {"acc": "round(m.score(X,y), 3)"}),
        ("loss, acc = model.evaluate(X)", {"loss": "model.evaluate(X)", "acc": "model.evaluate(X)"}),
        ("a, b = f(), g()", {"a": "f()", "b": "g()"}),
        ("a = b = f()", {"a": "f()", "b": "f()"}),
        ("(n := len(xs))", {"n": "len(xs)"}),
        ("r: float = f()", {"r": "f()"}),
        ("total += loss.item()", {"total": "total + loss.item()"}),
        ("x = await f()", {"x": "await f()"}),
        ("β = f(λ)", {"β": "f(λ)"}),
        ("b = a", {"b": "a"}),
        ("n += 1", {}),
        ("n = n + 1", {}),
        ("C = 0.1", {}),
        ("best = float('inf')", {}),
        ("best = -np.inf", {}),
        ("d = dict(); xs = list()", {}),
        ("for i in range(3):\n    loss = f(i)", {"loss": "f(i)"}),
        ("for i in xs:\n    i = f(i)", {}),
        ("for i, (a, b) in xs:\n    pass", {}),
        ("with open(p) as f:\n    t = f.read()", {"t": "f.read()"}),
        ("t0 = time.time()", {}),
        ("t0 = perf_counter()", {}),
        ("now = datetime.now()", {}),
        ("took = time.time() - t0", {"took": "time.time() - t0"}),
        ("import a", {}),
        ("def f():\n    x = g()", {}),
        ("f = lambda: g()", {}),
        ("if c:\n    x = 1\nelse:\n    x = f()", {"x": "f()"}),
        ("%time acc = f(x)", {"acc": "f(x)"}),
        ("%timeit acc = f(x)", {}),
        ("x = (\n    f(a) +\n    1\n)", {"x": "f(a) +\n    1"}),
    ],
)
def test_computed(source: str, computed: dict[str, str]) -> None:
    found: dict[str, str] = {}
    for statement in analyse(source):
        found |= statement.computed
    assert found == computed


@pytest.mark.parametrize(
    ("source", "fits", "known"),
    [
        ("clf.fit(X, y)", True, ""),
        ("p = SVC().fit(X, y).predict(Z)", True, ""),
        ("X2 = sc.fit_transform(X)", True, ""),
        ("loss.backward()", True, ""),
        ("r = sm.OLS(y, X).fit()", True, ""),
        ("b = xgb.train(params, d)", True, ""),
        ("cv = lgb.cv(params, d)", True, ""),
        ("s = cross_val_score(clf, X, y)", True, ""),
        ("s = model_selection.cross_validate(clf, X, y)", True, ""),
        ("model.train()", False, ""),
        ("trainer.train()", True, ""),
        ("for m in ms:\n    if m:\n        m.fit(X)", True, ""),
        ("with a:\n    try:\n        m.fit(X)\n    finally:\n        pass", True, ""),
        ("fitted = [m.fit(X) for m in ms]", True, ""),
        ("def f():\n    m.fit(X)", False, ""),
        ("f = lambda: m.fit(X)", False, ""),
        ("class K:\n    def f(self):\n        self.m.fit()", False, ""),
        ("train_model(X)", True, "train_model"),
        ("train_model(X)", False, ""),
        ("study.optimize(objective, n_trials=3)", True, "objective"),
        ("t.run(X)", True, "Trainer Trainer.run"),
        ("def train_model():\n    pass", False, "train_model"),
        ("%time clf.fit(X)", True, ""),
        ("x = ms['fit']", False, ""),
        ("fit(X)", False, ""),
        ("X2 = sm.fit_resample(X, y)", False, ""),
        ("print(clf.fit)", False, ""),
    ],
)
def test_fits(source: str, fits: bool, known: str) -> None:
    assert only(source + ("\n" if fits else "")).fits is False or fits
    assert any(statement.fits for statement in analyse(source, frozenset(known.split()))) is fits


@pytest.mark.parametrize(
    ("source", "known", "definitions"),
    [
        ("def f():\n    m.fit(X)", "", "f"),
        ("def f():\n    return g()", "g", "f"),
        ("def f():\n    def inner():\n        m.fit(X)\n    inner()", "", "f"),
        ("f = lambda m: m.fit(X)", "", "f"),
        ("class T:\n    def run(self):\n        self.m.fit(X)", "", "T T.run"),
        ("class T:\n    def run(self):\n        self.go()\n    def go(self):\n        self.m.fit(X)", "", "T T.go T.run"),
        ("class T:\n    def name(self):\n        return 1", "", ""),
        ("def f():\n    pass", "f", ""),
        ("async def f():\n    m.partial_fit(X)", "", "f"),
        ("if c:\n    def f():\n        m.fit(X)", "", "f"),
    ],
)
def test_definitions_that_fit(source: str, known: str, definitions: str) -> None:
    assert " ".join(sorted(only_with(source, known).fitting_defs)) == definitions


def only_with(source: str, known: str) -> Statement:
    (statement,) = analyse(source, frozenset(known.split()))
    return statement


def test_a_function_defined_in_the_same_cell_fits_when_called() -> None:
    statements = analyse("def outer(m):\n    return inner(m)\ndef inner(m):\n    return m.fit(X)\nr = outer(SVC())")
    assert [(statement.fits, sorted(statement.fitting_defs)) for statement in statements] == [
        (False, ["outer"]),
        (False, ["inner"]),
        (True, []),
    ]


def test_a_function_defined_anew_without_a_fit_is_known_no_more() -> None:
    assert [statement.fits for statement in analyse("def f(): pass\nf()", frozenset({"f"}))] == [False, False]


@pytest.mark.parametrize(
    ("source", "imports", "stars"),
    [
        ("import numpy as np, os.path", {"numpy", "os.path"}, ()),
        ("from sklearn.svm import SVC", {"sklearn.svm"}, ()),
        ("from math import *", {"math"}, ("math",)),
        ("from ..lib import *", {"..lib"}, ("..lib",)),
        ("from . import util", {"."}, ()),
        ("if a:\n    import b\nelse:\n    from c import d", {"b", "c"}, ()),
        ("def f():\n    import a", set(), ()),
        ("x = 1", set(), ()),
    ],
)
def test_imports(source: str, imports: set[str], stars: tuple[str, ...]) -> None:
    statement = only(source)
    assert (statement.imports, statement.star_imports) == (imports, stars)
    assert statement.opaque is bool(stars)


@pytest.mark.parametrize(
    ("source", "network"),
    [
        ("df = pd.read_sql_query(q, con)", True),
        ("r = requests.get(u)", True),
        ("df = pd.read_csv('https://x.org/a.csv')", True),
        ("df = pd.read_parquet('s3://bucket/a')", True),
        ("con = duckdb.connect()", True),
        ("e = create_engine('sqlite:///a.db')", True),
        ("rows = con.execute('select 1').fetchall()", True),
        ("d = fetch_california_housing()", True),
        ("t = pd.read_html(u)", True),
        ("%sql select 1", True),
        ("x = %sql select 1", True),
        ("%%sql\nselect 1", True),
        ("!wget -q https://x.org/a", True),
        ("!curl $u", True),
        ("df = pd.read_csv('a.csv')", False),
        ("d = load_iris()", False),
        ("print('see https://x.org')", False),
        ("!ls", False),
        ("def f():\n    return requests.get(u)", False),
    ],
)
def test_what_reads_from_a_network_or_database(source: str, network: bool) -> None:
    assert only(source).network is network


@pytest.mark.parametrize(
    ("source", "texts"),
    [
        ("pd.read_csv('data/a.csv')", ("data/a.csv",)),
        ("p = Path('data') / 'a b.tar.gz'", ("data", "a b.tar.gz")),
        ("open(f'{d}/x.txt')", ("/x.txt",)),
        ("x = 'one\\ntwo'", ()),
        ("x = 'C:\\\\data\\\\a.csv'", ("C:\\data\\a.csv",)),
        ("x = ''", ()),
        ("x = 'What is this, then?'", ()),
        ("!cat 'my file.csv' -n", ("cat", "my file.csv")),
        ("%run sub/other.ipynb", ("sub/other.ipynb",)),
        ("%%bash\ncp a.csv b/", ("cp", "a.csv", "b/")),
        ("def f():\n    open('a.txt')", ()),
    ],
)
def test_texts_that_may_be_paths(source: str, texts: tuple[str, ...]) -> None:
    assert only(source).texts == texts


def test_at_most_200_texts_are_kept() -> None:
    assert len(only(f"x = {[f'{number}.csv' for number in range(300)]}").texts) == 200


@pytest.mark.parametrize(
    ("source", "sources"),
    [
        ("x = 1; y = 2 # c", [("x = 1", 1, 1), ("y = 2", 1, 1)]),
        ("\n\nf(\n  a,\n)\n", [("f(\n  a,\n)", 3, 5)]),
        ("@deco\n@other\ndef f():\n    pass\n", [("@deco\n@other\ndef f():\n    pass", 1, 4)]),
        ("s = 'é'; t = 'ü'", [("s = 'é'", 1, 1), ("t = 'ü'", 1, 1)]),
        ("s = '''a\nb'''", [("s = '''a\nb'''", 1, 2)]),
        ("%%time\n\nx = 1\n!ls", [("x = 1", 3, 3), ("!ls", 4, 4)]),
        ("!ls \\\n  -l\nx = 1", [("!ls \\\n  -l", 1, 2), ("x = 1", 3, 3)]),
        ("x = !ls \\\n  -l\ny = 1", [("x = !ls \\\n  -l", 1, 2), ("y = 1", 3, 3)]),
        ("%matplotlib inline\nimport os", [("%matplotlib inline", 1, 1), ("import os", 2, 2)]),
        ("%%bash\nls\npwd", [("%%bash\nls\npwd", 1, 3)]),
        ("for i in r:\n    !echo {i}\n    x = i", [("for i in r:\n    !echo {i}\n    x = i", 1, 3)]),
        ("x = 1\r\ny = 2", [("x = 1", 1, 1), ("y = 2", 2, 2)]),
        ("  x = 1\n  y = 2", [("x = 1", 1, 1), ("y = 2", 2, 2)]),
        ("df.head?\nx = 1", [("df.head?", 1, 1), ("x = 1", 2, 2)]),
        ("\n  \n!pip install a\nx = 1", [("!pip install a", 3, 3), ("x = 1", 4, 4)]),
        ("plt.plot(x);", [("plt.plot(x)", 1, 1)]),
        ("x = 1\f\ny = 2", [("x = 1", 1, 1), ("y = 2", 2, 2)]),
    ],
)
def test_each_statement_keeps_its_text_and_lines(source: str, sources: list[tuple[str, int, int]]) -> None:
    assert [(item.source, item.line, item.end_line) for item in analyse(source)] == sources


@pytest.mark.parametrize(
    ("source", "ambient"),
    [
        ("np.random.seed(0)", True),
        ("x = np.random.rand(3)", True),
        ("torch.manual_seed(0)", True),
        ("random.random()", True),
        ("pd.set_option('display.width', 100); 0", True),
        ("os.environ['A'] = '1'", True),
        ("%cd data", True),
        ("a = train_test_split(X)", True),
        ("a = train_test_split(X, random_state=0)", False),
        ("s = df.sample(5)", True),
        ("x = np.mean(a)", False),
        ("x = rng.random()", False),
        ("print(x)", False),
    ],
)
def test_state_that_no_name_holds(source: str, ambient: bool) -> None:
    assert analyse(source)[0].ambient is ambient


@pytest.mark.parametrize(
    ("source", "opaque"),
    [
        ("%run other.ipynb", True),
        ("exec(code)", True),
        ("exec('x = 1')", False),
        ("globals().update(d)", True),
        ("globals()['x'] = 1", False),
        ("x = vars(args)", False),
        ("%reset -f", True),
        ("%time f()", False),
    ],
)
def test_names_that_the_text_does_not_tell(source: str, opaque: bool) -> None:
    assert only(source).opaque is opaque


def test_the_same_cell_is_analysed_once() -> None:
    assert analyse("x = f(1)") is analyse("x = f(1)")
