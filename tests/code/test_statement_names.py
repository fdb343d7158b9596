"""What cells read, bind, change and delete: one row for each cell, whole values.

A row's answer is one text for each statement: `reads > writes ! mutates - deletes`, each part in alphabetical order, left out when empty.
"""

from __future__ import annotations

import pytest

from jupyter_mlops.code.statements import Statement, analyse


def written(statement: Statement) -> str:
    parts = [" ".join(sorted(statement.reads))]
    for sign, names in ((">", statement.writes), ("!", statement.mutates), ("-", statement.deletes)):
        if names:
            parts.append(sign + " " + " ".join(sorted(names)))
    return " ".join(part for part in parts if part)


PLAIN = [
    ("", []),
    ("   \n\t\n", []),
    ("# only a comment", []),
    ("x = 1", ["> x"]),
    ("x = y", ["y > x"]),
    ("x: int = y", ["int y > x"]),
    ("x: int", ["int"]),
    ("a = b = c", ["c > a b"]),
    ("a, b = b, a", ["a b > a b"]),
    ("a, *rest = xs", ["xs > a rest"]),
    ("[a, (b, *c)] = f(xs)", ["f xs > a b c"]),
    ("a = 1; b = a; del a", ["> a", "a > b", "a - a"]),
    ("x += y", ["x y > x ! x"]),
    ("x = x + 1", ["x > x"]),
    ("x", ["x"]),
    ("x.y.z", ["x"]),
    ("del x, y[0], z.w", ["x y z ! y z - x"]),
    ("λ = β + 1", ["β > λ"]),
    ("naïve = '日本' ; 平均 = naïve", ["> naïve", "naïve > 平均"]),
    ("if x:\n\ty = 1", ["x > y"]),
    ("x = 1\r\ny = x\r\n", ["> x", "x > y"]),
    ("assert x, msg", ["msg x"]),
    ("raise ValueError(x)", ["ValueError x"]),
    ("pass", [""]),
    ("'doc'", [""]),
    ("x = (\n    a +\n    b\n)", ["a b > x"]),
    ("x = not a or b and c", ["a b c > x"]),
    ("x = a if c else b", ["a b c > x"]),
    ("x = f'{a} {b!r:>{w}} {c.d[0]}'", ["a b c w > x"]),
    ("x = {**a, 'k': b, **c}", ["a b c > x"]),
    ("x = [*a, b]", ["a b > x"]),
    ("x = a[i:j, k]", ["a i j k > x"]),
    ("x = await fetch(u)", ["fetch u > x"]),
    ("x = yield_", ["yield_ > x"]),
    ("print(sum)", ["print sum"]),
    ("sum = df.sum()", ["df > sum"]),
    ("x = 1 if y else", []),
    ("this is no python", []),
    ("SELECT * FROM t", []),
]

WALRUS = [
    ("(n := len(xs))", ["len xs > n"]),
    ("if (n := f(x)) > 1:\n    print(n)", ["f print x > n"]),
    ("a and (b := c) and b", ["a c > b"]),
    ("a and (b := c)\nb", ["a c > b", "b"]),
    ("while chunk := f.read(10):\n    total += len(chunk)", ["f len total > chunk total ! f total"]),
    ("[last := v for v in vs]", ["vs > last"]),
    ("any((hit := v) > t for v in vs)\nprint(hit)", ["any t vs > hit", "hit print"]),
    ("f = lambda: (y := 1)", ["> f"]),
]

COMPREHENSIONS = [
    ("[i for i in xs]", ["xs"]),
    ("i = [i for i in i]", ["i > i"]),
    ("[a + b for a in xs for b in a if b > c]", ["c xs"]),
    ("[x for x in xs if x in [y for y in x]]", ["xs"]),
    ("{k: f(v) for k, v in d.items()}", ["d f"]),
    ("sum(x * w for x in xs)", ["sum w xs"]),
    ("[(lambda: i)() for i in xs]", ["xs"]),
    ("[x async for x in agen()]", ["agen"]),
    ("[[j for j in range(i)] for i in range(n)]", ["n range"]),
    ("[m.fit(X, y) for m in models]", ["X models y ! models"]),
]

LAMBDAS = [
    ("f = lambda x, k=K: x + k + z", ["K z > f"]),
    ("f = lambda *a, **k: (a, k, b)", ["b > f"]),
    ("df.apply(lambda r: r.a * scale, axis=1)", ["df scale"]),
    ("sorted(xs, key=lambda p: weights[p])", ["sorted weights xs"]),
]

FUNCTIONS = [
    ("def f(x):\n    return x + g", ["> f"]),
    ("def f(x=D, *a: T, k=E, **kw) -> R:\n    return x", ["D E R T > f"]),
    ("@deco(arg)\ndef f():\n    pass", ["arg deco > f"]),
    ("@deco\nclass K(Base, metaclass=Meta):\n    pass", ["Base Meta deco > K"]),
    ("async def f():\n    async with a as b:\n        return b", ["> f"]),
    ("class K:\n    a = b\n    c = a\n    def m(self):\n        return a, d", ["b > K"]),
    ("class K:\n    x = x\n    y = [x for _ in z]", ["x z > K"]),
    ("class K:\n    if flag:\n        x = 1\n    y = x", ["flag x > K"]),
    ("class K:\n    global g\n    g = 1", ["> K g"]),
    ("class K:\n    try:\n        a = 1\n    except ValueError as e:\n        b = a, e", ["ValueError a > K"]),
    ("class A:\n    class B:\n        z = q", ["q > A"]),
]

FLOW = [
    ("for i in xs:\n    print(i)", ["print xs > i"]),
    ("for i in i:\n    pass", ["i > i"]),
    ("for i, (a, *b) in xs:\n    s = s + a\nelse:\n    done = i", ["i s xs > a b done i s"]),
    ("for x.y in zs:\n    pass", ["x zs ! x"]),
    ("for d['k'] in zs:\n    pass", ["d zs ! d"]),
    ("async for x in s():\n    y = x", ["s > x y"]),
    ("while x < n:\n    x = x + 1", ["n x > x"]),
    ("if a:\n    x = 1\nelse:\n    x = 2\nprint(x)", ["a > x", "print x"]),
    ("for i in r:\n    if a:\n        x = 1\n    else:\n        x = 2\n    print(x)", ["a print r > i x"]),
    ("for i in r:\n    if a:\n        x = 1\n    print(x)", ["a print r x > i x"]),
    ("for i in r:\n    if bad:\n        continue\n    else:\n        x = 1\n    print(x)", ["bad print r > i x"]),
    ("with open(p) as f:\n    t = f.read()", ["open p > f t ! f"]),
    ("with a() as (b, c), d(b) as e.f:\n    pass", ["a d e > b c ! e"]),
    ("with suppress(E):\n    x = 1", ["E suppress > x"]),
    ("async with s as t:\n    u = t", ["s > t u"]),
    ("try:\n    x = f()\nexcept ValueError as e:\n    print(e, x)\nfinally:\n    g(x)", ["ValueError f g print x > x ! x"]),
    ("try:\n    import a\nexcept ImportError:\n    a = None", ["ImportError > a"]),
    ("e = 2.7\ntry:\n    f()\nexcept E as e:\n    log(e)", ["> e", "E f log"]),
    ("try:\n    x = 1\nexcept E:\n    raise\nelse:\n    y = x", ["E > x y"]),
    ("try:\n    f()\nexcept* E as g:\n    h(g)", ["E f h"]),
    (
        "match cmd:\n    case [a, *rest] if a:\n        r = rest\n    case {'k': v, **kw}:\n        r = kw\n    case _:\n        r = d",
        ["cmd d > a kw r rest v"],
    ),
    ("match p:\n    case Point(x=0, y=y) | Other(y):\n        pass\n    case Color.RED:\n        pass", ["Color Other Point p > y"]),
    ("match x:\n    case 1 as one:\n        pass", ["x > one"]),
]

IMPORTS = [
    ("import numpy as np, os.path", ["> np os"]),
    ("from a.b import c as d, e", ["> d e"]),
    ("from . import util", ["> util"]),
    ("from math import *", [""]),
    ("from __future__ import annotations", ["> annotations"]),
]

CHANGES = [
    ("df['c'] = 1", ["df ! df"]),
    ("df['c'] += x", ["df x ! df"]),
    ("df.loc[df.a > t, 'b'] = v", ["df t v ! df"]),
    ("df.iloc[0, 0] = df.at[1, 'x'] = 0", ["df ! df"]),
    ("df.values[mask] = 0", ["df mask ! df"]),
    ("df.columns = names", ["df names ! df"]),
    ("obj.a.b[0].c = 1", ["obj ! obj"]),
    ("a[0], b.c = 1, 2", ["a b ! a b"]),
    ("df.drop('a', axis=1, inplace=True)", ["df ! df"]),
    ("df.fillna(0, inplace=False)\n0", ["df", ""]),
    ("df.fillna(0, inplace=flag)", ["df flag ! df"]),
    ("df['a'].replace(1, 2, inplace=True)", ["df ! df"]),
    ("del df['c']", ["df ! df"]),
    ("xs.append(1)", ["xs ! xs"]),
    ("d.setdefault(k, []).append(v)", ["d k v ! d"]),
    ("v = d.pop('k')", ["d > v ! d"]),
    ("v = next(it)", ["it next > v ! it"]),
    ("random.shuffle(xs)", ["random xs ! xs"]),
    ("np.random.shuffle(a[1:])", ["a np ! a"]),
    ("heapq.heappush(h, 1)", ["h heapq ! h"]),
    ("np.add(a, b, out=c)", ["a b c np ! c"]),
    ("setattr(o, 'a', 1)", ["o setattr ! o"]),
    ("w.data.zero_()", ["w ! w"]),
    ("nn.init.xavier_uniform_(w)", ["nn w ! w"]),
    ("model.fit(X, y)", ["X model y ! model"]),
    ("h = model.fit(X, y)", ["X model y > h ! model"]),
    ("X2 = sc.fit_transform(X)", ["X sc > X2 ! sc"]),
    ("clf = SVC(C=C).fit(X, y)", ["C SVC X y > clf"]),
    ("models['a'].fit(X)", ["X models ! models"]),
    ("train(model, loader)\n0", ["loader model train ! loader model", ""]),
    ("acc = evaluate(model, X)", ["X evaluate model > acc"]),
    ("opt.step(); 0", ["opt ! opt", ""]),
    ("agent.remember(s, a)\n0", ["a agent s ! a agent s", ""]),
    (
        "print(df); display(df); plt.plot(xs); sns.heatmap(df); df.plot(); df.to_csv(p)",
        ["df print", "df display", "plt xs", "df sns", "df", "df p"],
    ),
    ("df.head()\ndf.describe()\ndf.groupby('a').mean()", ["df", "df", "df"]),
    ("for df in (a, b):\n    df['c'] = 1", ["a b > df ! a b df"]),
    ("for name, m in models.items():\n    m.fit(X)", ["X models > m name ! m models"]),
    ("for m, s in zip(ms, ss):\n    m.fit(s)", ["ms ss zip > m s ! m ms ss"]),
    ("with lock as l:\n    b = a\n    b.append(1)", ["a lock > b l ! a b"]),
    ("plt.rcParams['figure.dpi'] = 100", ["plt"]),
    ("os.environ['A'] = '1'", ["os"]),
    ("x = rng.normal(size=3)", ["rng > x ! rng"]),
    ("line = f.readline()", ["f > line ! f"]),
    ("metrics['a'] = 1", ["metrics ! metrics"]),
    ("gs.fit(X, y)", ["X gs y ! gs"]),
    ("T.append(1); K.add(2); stats.update(a=1)", ["T ! T", "K ! K", "stats ! stats"]),
]

TEXT = [
    ("exec('q = r')", ["exec r > q"]),
    ("exec(code)", ["code exec"]),
    ("exec('q = 1', ns)", ["exec ns ! ns"]),
    ("v = eval('a + b')", ["a b eval > v"]),
    ("globals()['x'] = 1", ["> x"]),
    ("y = globals()['x']", ["x > y"]),
    ("df.query('a > @limit and b < @other')", ["df limit other"]),
    ("r = duckdb.sql('SELECT * FROM flights JOIN planes USING (id)').df()", ["duckdb flights planes > r"]),
    ("m = smf.ols('y ~ np.log(x) + mine(z)', data=df)", ["df mine np smf > m"]),
]

NOTEBOOK = [
    ("%matplotlib inline", [""]),
    ("%%time\nx = f(y)\nz = x", ["f y > x", "x > z"]),
    ("\n%%time\n\nx = 1", ["> x"]),
    ("%%capture out\nx = f(y)\nprint(x)", ["f print y > out x"]),
    ("%%capture --no-stderr\nx = 1", ["> x"]),
    ("%%capture out\n%%time\nx = y", ["y > out x"]),
    ("%%timeit -n 3\ny = f(x)\ny + 1", ["f x"]),
    ("%%timeit z = a\nf(z)", ["a f"]),
    ("%time x = f(y)", ["f y > x"]),
    ("%time f(y)", ["f y"]),
    ("%timeit -n 10 -r3 y = f(x)", ["f x"]),
    ("t = %timeit -o f(x)", ["f x > t"]),
    ("%prun -s cumtime x = f()", ["f > x"]),
    ("%lprun -f f f(x)", ["f x"]),
    ("%memit f(x)", ["f x"]),
    ("x = !ls {path}", ["path > x"]),
    ("!ls {os.path.join(a, b)} $c $$d ${e}", ["a b c e os"]),
    ("!awk '{print $1}' data.txt", [""]),
    ("!pip install -q numpy", [""]),
    ("!echo {", [""]),
    ("!echo {a", [""]),
    ("files = %sx ls {d}", ["d > files"]),
    ("for i in r:\n    !echo {i}", ["r > i"]),
    ("if a:\n    %time x = f(i)", ["a f i > x"]),
    ("?help", [""]),
    ("df?", [""]),
    ("df.head??", [""]),
    ("x = 1\ndf?\ny = x", ["> x", "", "x > y"]),
    ("%run other.ipynb", [""]),
    ("%run -i script.py {arg}", ["arg"]),
    ("%cd {folder}", ["folder"]),
    ("%store -r a b", ["> a b"]),
    ("%store a", ["a"]),
    ("%xdel big", ["big - big"]),
    ("%%bash\necho $HOME {x} > out.txt", [""]),
    ("%%writefile m.py\nx = y", [""]),
    ("%%html\n<b>x</b>", [""]),
    ("%%javascript\nvar a = b;", [""]),
    ("%%sql result <<\nselect * from t where a = :limit", ["limit > result"]),
    ("%%R -i df -o fit\nfit <- lm(y ~ x, df)", ["df > fit"]),
    ("%%bigquery frame --project p\nselect 1", ["> frame"]),
    ("rows = %sql select 1", ["> rows"]),
    ("%%mlops track first\nx = f(y)", ["f y > x"]),
    ("%%unknown\nthis is no code", [""]),
    ("%%unknown\nx = y", ["y > x"]),
    ("  x = 1\n  y = x", ["> x", "x > y"]),
    (">>> x = 1\n>>> y = x", ["> x", "x > y"]),
    ("In [1]: x = 1", ["> x"]),
    ("get_ipython().run_line_magic('time', 'x = f(y)')", ["f y > x"]),
    ("get_ipython().run_cell_magic('time', '', 'x = y\\n')", ["y > x"]),
    ("get_ipython().system('ls {path}')", ["path"]),
    ("!ls \\\n  {a}\nx = b", ["a", "b > x"]),
    ("plt.show();", ["plt"]),
    ("await f(x)", ["f x"]),
]


@pytest.mark.parametrize(
    ("source", "answer"),
    [*PLAIN, *WALRUS, *COMPREHENSIONS, *LAMBDAS, *FUNCTIONS, *FLOW, *IMPORTS, *CHANGES, *TEXT, *NOTEBOOK],
)
def test_a_cell_reads_binds_changes_and_deletes(source: str, answer: list[str]) -> None:
    assert [written(statement) for statement in analyse(source)] == answer


@pytest.mark.parametrize(
    ("source", "captures", "alters"),
    [
        ("def f(x):\n    return x + g + len(h)", "g h len", ""),
        ("def f():\n    return f() + g", "g", ""),
        ("def f():\n    global n\n    n = n + 1", "n", "n"),
        ("def f():\n    global n\n    del n", "", "n"),
        ("def f():\n    log.append(1)", "log", "log"),
        ("def f():\n    df['a'] = 1", "df", "df"),
        ("def f():\n    mine = log\n    mine.append(1)", "log", "log"),
        ("def f():\n    x = 1\n    def g():\n        nonlocal x\n        x = y\n    return g", "y", ""),
        ("def f():\n    x = 1\n    def g():\n        global x\n        x = 2\n    return g, x", "", "x"),
        ("def f():\n    x = 1\n    class K:\n        y = x\n        def m(self):\n            return y\n    return K", "y", ""),
        ("def f():\n    import os\n    from a import b as c\n    return os, c, [i for i in d], (w := 1), w", "d", ""),
        ("def f(a, /, b, *c, d, **e):\n    return a, b, c, d, e, g", "g", ""),
        (
            "def f():\n    try:\n        pass\n    except E as e:\n        print(e)\n    for r in s:\n        del r",
            "E print s",
            "",
        ),
        (
            "def f(x):\n    match x:\n        case [a, *b]:\n            a, b\n        case {'k': c, **d}:\n            c, d, g",
            "g",
            "",
        ),
        ("class K:\n    k = 1\n    def m(self):\n        return k + self.k", "k", ""),
        ("f = lambda x: x + z", "z", ""),
        ("f = lambda: log.append(1)", "log", "log"),
        ("async def f():\n    return await g()", "g", ""),
        ("def f(x=D):\n    return D", "D", ""),
        ("def f():\n    n = 0\n    n += m\n    return n", "m", ""),
        ("def f():\n    return [f2(x) for x in xs if (y := x)], y", "f2 xs", ""),
    ],
)
def test_a_function_reads_and_changes_names_when_it_is_called(source: str, captures: str, alters: str) -> None:
    (statement,) = analyse(source)
    assert (" ".join(sorted(statement.captures)), " ".join(sorted(statement.alters))) == (captures, alters)
    assert statement.defines == (frozenset() if "lambda" in source else statement.writes)


@pytest.mark.parametrize(
    ("source", "conditional"),
    [
        ("x = 1", ""),
        ("if a:\n    x = 1", "x"),
        ("if a:\n    x = 1\nelse:\n    x = 2; y = 1", "y"),
        ("for i in r:\n    x = i", "i x"),
        ("while a:\n    x = 1", "x"),
        ("with a as b:\n    x = 1", ""),
        ("try:\n    x = 1\nexcept E:\n    y = 2", "x y"),
        ("try:\n    x = 1\nexcept E:\n    x = 2\nfinally:\n    z = 1", ""),
        ("a and (x := 1)", "x"),
        ("match a:\n    case 1:\n        x = 1\n    case _:\n        x = 2", ""),
        ("match a:\n    case 1:\n        x = 1", "x"),
        ("x += 1", ""),
        ("%%capture out\nx = 1", ""),
    ],
)
def test_names_that_may_keep_their_earlier_value(source: str, conditional: str) -> None:
    (statement,) = analyse(source)
    assert " ".join(sorted(statement.conditional)) == conditional


@pytest.mark.parametrize(
    ("source", "aliases"),
    [
        ("b = a", {"b": "a"}),
        ("b = c = a.x[0]", {"b": "a", "c": "a b"}),
        ("a, b = b, a", {"a": "b", "b": "a"}),
        ("b = a.copy()", {}),
        ("b = a + 1", {}),
        ("xs = [a, (b,)]", {"xs": "a b"}),
        ("opt = Adam(model.parameters(), lr=lr)", {"opt": "lr model"}),
        ("clf = SVC().fit(X, y)", {}),
        ("m = base.fit(X, y)", {"m": "base"}),
        ("acc = accuracy_score(y, p)", {}),
        ("for m in models.values():\n    pass", {"m": "models"}),
        ("with box as b:\n    c = b", {"b": "box", "c": "b box"}),
        ("ys = [m for m in models]", {"ys": "models"}),
        ("ys = [len(m) for m in models]", {}),
        ("x = a if t else b or c", {"x": "a b c"}),
        ("v = np.asarray(a)", {"v": "a"}),
    ],
)
def test_names_that_may_hold_one_object(source: str, aliases: dict[str, str]) -> None:
    (statement,) = analyse(source)
    assert {name: " ".join(sorted(others)) for name, others in statement.aliases.items()} == aliases


def test_what_a_call_is_handed_may_have_been_changed() -> None:
    (statement,) = analyse("history = train(model, loader, epochs=n)")
    assert (statement.mutates, statement.may_mutate) == (frozenset(), frozenset({"model", "loader", "n"}))
    (known,) = analyse("history = train(model, loader)", frozenset({"train"}))
    assert (known.mutates, known.may_mutate) == (frozenset({"model", "loader"}), frozenset())


def test_the_inner_statements_of_a_loop_have_their_own_flows() -> None:
    (loop,) = analyse(
        "for epoch in range(3):\n    loss = step(model)\n    if loss < best:\n        best = loss\n    else:\n        break\n"
    )
    assert [written(item) for item in loop.body] == ["model step > loss", "best loss > best"]
    assert [written(item) for item in loop.body[1].body] == ["loss > best", ""]
    assert [(item.source, item.line, item.end_line) for item in loop.body] == [
        ("loss = step(model)", 2, 2),
        ("if loss < best:\n        best = loss\n    else:\n        break", 3, 6),
    ]
    (guarded,) = analyse("try:\n    a = 1\nexcept E as e:\n    b = e\nelse:\n    c = a\nfinally:\n    d = 1")
    assert [item.source for item in guarded.body] == ["a = 1", "b = e", "c = a", "d = 1"]
    assert analyse("def f():\n    x = 1")[0].body == ()
