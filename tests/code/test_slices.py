"""The statements behind a result, as tables of cells; and that running only those gives the same value."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.code.slices import Executed, Wanted, slice_of
from jupyter_mlops.code.statements import analyse, objects_after


def history(*cells: str) -> list[Executed]:
    objects: frozenset[str] = frozenset()
    found = []
    for number, source in enumerate(cells, 1):
        statements = analyse(source, objects=objects)
        objects = objects_after(statements, objects)
        found.append(Executed(number, statements))
    return found


def kept(cells: list[Executed], *names: str, careful: bool = False) -> list[str]:
    places = slice_of(cells, Wanted(frozenset(names)), careful=careful)
    return [cells[place.seq - 1].statements[place.index].source for place in places]


def run(sources: list[str]) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for source in sources:
        exec(source, namespace)
    return namespace


# cells (statements that the slice of `r` drops begin with "- "), one cell a text
CASES = {
    "what is not read": ["a = 1\n- b = 2", "r = a"],
    "shows": ["a = [3, 1]\n- print(a)\n- a", "- sorted(a)\nr = a[0]"],
    "the last binding counts": ["- a = 1", "a = 2", "r = a"],
    "what came later does not": ["a = 1", "r = a", "- a = 2"],
    "a cell run twice": ["- n = 1", "- n = n + 1", "n = 5", "n = n + 1", "r = n"],
    "out of order": ["- k = 1", "def f():\n    return k", "k = 2", "r = f()"],
    "function over globals, as they were when it was called": [
        "k = 1", "def f():\n    return k", "r = f()", "- k = 2",
    ],
    "function that calls a function": ["def g(x):\n    return x * k", "def f(x):\n    return g(x) + 1", "k = 3", "r = f(2)"],
    "the last definition counts": ["- def f():\n    return 1", "def f():\n    return 2", "r = f()"],
    "the same definition again": ["def f():\n    return 1", "a = f()", "- def f():\n    return 1", "r = a + f()"],
    "the same import again": ["import math", "a = math.floor(2.5)", "- import math", "r = a + math.ceil(0.5)"],
    "imports that are used": ["import math\n- import json\nfrom os import path, sep", "r = path.join('a', str(math.pi))"],
    "the parts of a package": ["import xml.dom\nimport xml.sax", "r = (xml.dom.__name__, xml.sax.__name__)"],
    "change in place": ["a = [1]", "a.append(2)\n- b = [0]\n- b.append(1)", "r = sum(a)"],
    "change through another name": ["a = [1]", "b = a", "b.append(2)", "r = sum(a)"],
    "change through a part": ["a = {'x': [1]}", "p = a['x']", "p.append(2)", "r = a['x']"],
    "change of what is held": ["a = [1]", "box = {'a': a}", "a.append(2)", "r = box['a']"],
    "change through what holds it": ["a = [1]", "box = [a]", "box[0].append(2)", "r = a"],
    "change of what was put in": ["a = [1]\nbox = {}", "box['a'] = a", "a.append(2)", "r = box"],
    "two names for one object": ["a = b = []\n- c = d = []", "b.append(1)", "- d.append(1)", "r = a"],
    "a name that points elsewhere now": ["a = [1]", "- b = a", "- b = []\n- b.append(2)", "r = a"],
    "a copy": ["a = [1]", "- b = a.copy()", "- b.append(2)", "r = a"],
    "a key beside it": ["d = {'x': 1}", "x = d['x']", "- d['y'] = 2", "r = x"],
    "a part taken out before": ["d = {'x': [1]}", "x = d['x']", "- d['x'] = 2", "r = x"],
    "deleted item": ["d = {'x': 1, 'y': 2}", "del d['x']", "- del_me = 1\n- del del_me", "r = len(d)"],
    "augmented": ["t = 1", "t += 2", "t *= 3\n- u = 1\n- u += 1", "r = t"],
    "augmented through another name": ["a = [1]", "b = a", "b += [2]", "r = a"],
    "conditional": ["- a = 0", "a = 1", "if a > 5:\n    a = 2", "r = a"],
    "either branch": ["- a = 1", "t = True", "if t:\n    a = 2\nelse:\n    a = 3", "r = a"],
    "loop": ["t = 0", "for i in range(3):\n    t += i", "- for i in range(3):\n    print(i)", "r = t"],
    "loop that may not run": ["x = 1", "for x in []:\n    pass", "r = x"],
    "loop variable": ["for i in range(3):\n    pass", "r = i"],
    "loop over parts": ["xs = [[1], [2]]", "for x in xs:\n    x.append(0)", "r = xs[0]"],
    "try": ["a = 1", "try:\n    a = 1 / 0\nexcept ZeroDivisionError:\n    pass", "r = a"],
    "with": ["import contextlib", "with contextlib.suppress(Exception):\n    a = 3", "r = a"],
    "unpacked": ["a, b = 1, 2", "- c, d = 3, 4", "r = b"],
    "walrus": ["- y = 1", "x = (y := 5) + 1", "r = y"],
    "class": ["base = 2", "class K:\n    def f(self):\n        return base * self.n", "k = K()", "k.n = 4", "r = k.f()"],
    "instance and what its methods read later": [
        "class K:\n    def f(self):\n        return g", "k = K()", "g = 1", "r = k.f()", "- g = 2",
    ],
    "method that changes": [
        "class K:\n    def __init__(self):\n        self.n = 0\n    def up(self):\n        self.n += 1\n        return self.n\n"
        "    def get(self):\n        return self.n",
        "k = K()", "- k.get()", "- a = k.get()", "b = k.up()", "k.up()", "r = k.get()",
    ],
    "method that calls one that changes": [
        "class K:\n    n = 0\n    def _up(self):\n        self.n += 1\n    def fit(self):\n        self._up()\n        return self.n",
        "k = K()", "a = k.fit()", "r = k.n",
    ],
    "patched class": ["class K:\n    pass", "def f(self):\n    return 7", "k = K()", "K.f = f", "r = k.f()"],
    "inheritance": ["class A:\n    def f(self):\n        return c", "class B(A):\n    pass", "c = 5", "r = B().f()"],
    "patched object": ["import types", "m = types.SimpleNamespace()", "m.f = lambda: 3", "- other = lambda: 4", "r = m.f()"],
    "closure": ["def make(n):\n    def f():\n        return n + k\n    return f", "f = make(1)", "k = 2", "r = f()"],
    "lambda": ["f = lambda x: x + k", "k = 2", "r = f(1)", "- k = 3"],
    "partial": ["from functools import partial", "def f(x, y):\n    return x + y + k", "p = partial(f, 1)", "k = 2", "r = p(3)"],
    "functions in a dict": ["def f():\n    return k", "t = {'f': f}", "k = 2", "r = t['f']()"],
    "decorator": [
        "def twice(f):\n    def g(*a):\n        return f(*a) * factor\n    return g",
        "@twice\ndef h(x):\n    return x", "factor = 2", "r = h(3)",
    ],
    "lru_cache": ["from functools import lru_cache\n- import json", "@lru_cache\ndef f(x):\n    return x + k", "k = 1", "r = f(1)"],
    "global": ["n = 0", "def up():\n    global n\n    n += 1", "up()", "- print(n)", "up()", "r = n"],
    "function that changes its argument": ["a = [1]", "def add(x):\n    x.append(2)", "add(a)", "r = a"],
    "function that changes its argument and is used": ["a = [1]", "def add(x):\n    x.append(2)\n    return len(x)", "n = add(a)", "r = a"],
    "function that only looks": ["a = [1]", "- def look(x):\n    print(len(x))", "- look(a)", "r = a"],
    "function that copies first": ["a = [1]", "- def f(x):\n    x = x.copy()\n    x.append(2)\n    return x", "- b = f(a)", "r = a"],
    "function that hands on": ["a = [1]", "def g(x):\n    x.append(2)", "def f(x):\n    g(x)", "f(a)", "r = a"],
    "generator": ["def gen():\n    yield 1\n    yield 2\n    yield 3", "g = gen()", "a = next(g)", "- print(a)", "r = next(g)"],
    "generator consumed by a loop": ["g = (i for i in range(4))", "for x in g:\n    break", "r = list(g)"],
    "iterator": ["it = iter([1, 2, 3])", "- other = iter([1])", "- list(other)", "first = list(zip(it, 'a'))", "r = list(it)"],
    "map": ["m = map(str, [1, 2])", "head = next(m)", "r = list(m)"],
    "comprehension": ["n = 2", "- i = 9", "r = [i * n for i in range(3)]"],
    "exec of plain text": ["a = 1", "exec('b = a + 1')", "r = b"],
    "namespace key": ["globals()['a'] = 3", "- b = 1", "r = a"],
    "the seed and every draw since": [
        "import random\n- random.seed(7)", "random.seed(3)", "a = random.random()", "- b = 1", "r = random.random()",
    ],
    "a generator of its own": [
        "import random", "g = random.Random(3)", "a = g.random()", "- h = random.Random(4)\n- h.random()", "r = g.random()",
    ],
    "the seed in a function": [
        "import random", "def seed_all(n):\n    random.seed(n)", "seed_all(3)", "def draw():\n    return random.random()", "r = draw()",
    ],
    "shuffled": ["import random", "random.seed(1)", "xs = list(range(9))", "random.shuffle(xs)", "r = xs"],
    "a list with the name of a module": ["F = [1]", "F.append(2)", "r = sum(F)"],
    "a dict with the name of a module, in its own cell": ["nn = {}\nnn['b'] = 2\n- sm = {}\n- sm['c'] = 1", "r = nn"],
    "a part of what has the name of a module": ["pl = {'x': [1]}", "part = pl['x']", "part.append(2)", "r = pl"],
    "a dict with the name of a figure": ["fig = {}", "fig['x'] = 1", "fig.update(y=2)", "- ax = {}\n- ax['z'] = 3", "r = fig"],
    "a loop over what has the name of axes": ["xs = [[1], [2]]", "for ax in xs:\n    ax.append(0)", "r = xs[0]"],
    "a parameter with the name of a module": ["a = [1]", "def add(F):\n    F.append(2)", "add(a)", "r = a"],
    "a module and then a list of its name": [
        "import math", "- math.floor(2)\nx = math.floor(2.5)", "math = [x]", "math.append(3)", "r = math",
    ],
    "a list and then a module of its name": ["- math = [1]", "- math.append(3)", "import math", "- math.floor(2)", "r = math.floor(2.5)"],
    "environment": ["import os", "os.environ['SLICE_K'] = '3'", "- import json", "r = os.environ['SLICE_K']"],
    "path of modules": ["import sys\n- sys.path.append('/nowhere')", "r = sys.maxsize"],
    "recursion": ["def f(n):\n    return 1 if n < 2 else n * f(n - 1)", "r = f(5)"],
    "type alias and annotations": ["n: int = 3\n- m: int = 4", "r = n"],
    "match": ["x = 3", "match x:\n    case 3:\n        y = 1\n    case _:\n        y = 2", "r = y"],
    "swap": ["a, b = [1], [2]", "a, b = b, a", "- a.append(3)", "b.append(4)", "r = b"],
    "setattr": ["class K:\n    pass", "k = K()", "setattr(k, 'n', 3)", "r = k.n"],
    "deepcopy": ["import copy", "a = [[1]]", "b = copy.deepcopy(a)", "- a[0].append(2)", "r = b"],
    "default argument": ["k = 1", "def f(n=k):\n    return n", "- k = 2", "r = f()"],
    "a call before": ["def f(x):\n    return x", "- a = f(1)", "r = f(2)"],
    "mutable default": ["def f(x, seen=[]):\n    seen.append(x)\n    return len(seen)", "a = f(1)", "r = f(2)"],
    "state of a function": ["def f():\n    f.n += 1\n    return f.n", "f.n = 0", "a = f()", "r = f()"],
    "closure with a state": [
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n        return n\n    return up",
        "up = make()", "a = up()", "r = up()",
    ],
    "set in a loop of names": ["a, b = [1], [2]", "for x in (a, b):\n    x.append(0)", "r = b"],
}  # fmt: skip


@pytest.mark.parametrize("cells", CASES.values(), ids=CASES)
def test_the_slice_holds_the_expected_statements_and_gives_the_same_value(cells: list[str]) -> None:
    statements = [_statements(cell) for cell in cells]
    whole = history(*["\n".join(text for text, _ in cell) for cell in statements])
    expected = [text for cell in statements for text, wanted in cell if wanted]
    assert kept(whole, "r") == expected
    everything = [item.source for execution in whole for item in execution.statements]
    assert repr(run(expected)["r"]) == repr(run(everything)["r"])


def _statements(cell: str) -> list[tuple[str, bool]]:
    """The statements of a cell as written in `CASES`, and whether they are expected."""
    found: list[tuple[str, bool]] = []
    for line in cell.split("\n"):
        if line.startswith((" ", ")", "else", "except", "    ")) or (found and found[-1][0].startswith("@") and "\n" not in found[-1][0]):
            found[-1] = (f"{found[-1][0]}\n{line}", found[-1][1])
        else:
            found.append((line.removeprefix("- "), not line.startswith("- ")))
    return found


_NAMES = st.sampled_from("abcd")
_NUMBERS = st.integers(0, 9).map(str)
_TEMPLATES = st.sampled_from(
    [
        "{x} = [{n}]", "{x} = {y}", "{x} = {y}[:]", "{x} = list({y})", "{x} = [{y}, {n}]", "{x} = {y} + [{n}]", "{x}, {y} = {y}, {x}",
        "{x}.append({n})", "{x}.append({y})", "{x} += [{n}]", "{x}.insert(0, {y})", "{x}[0] = {n}",
        "{x}[0] = {y}", "{x}[:1] = [{n}, {n}]", "{x}.reverse()", "{x}.pop(0) if len({x}) > 1 else None", "del {x}[1:]",
        "if len({x}) > {n}:\n    {x}.append({n})", "if len({x}) > 2:\n    {y} = {z}",
        "if len({x}) > 2:\n    {y} = {z}\nelse:\n    {y} = [{n}]",
        "for i in range(3):\n    {x}.append(i)", "for e in {x}:\n    if isinstance(e, list):\n        e.append({n})\n        break",
        "while len({x}) < 4:\n    {x}.append({n})", "try:\n    {x}.append({y}[{n}])\nexcept IndexError:\n    {x} = [{n}]",
        "with null:\n    {x}.append({n})", "k = {n}", "k += 1", "k = len({x})", "{x} = [k]", "{x}.append(k)",
        "def f(p):\n    p.append({n})", "def f(p):\n    return [k, len(p)]", "def f(p):\n    q = p\n    q.append(k)\n    return q",
        "def f(p):\n    return g(p)", "def f(p):\n    {z}.append(k)\n    return p", "def f(p):\n    global k\n    k += 1\n    return [k]",
        "def g(p):\n    p.insert(0, {n})\n    return p", "def g(p):\n    return p[:1]", "f({x})",
        "{x} = f({y}) or [{n}]", "{x} = [f, {y}][1]",
        "{x} = (lambda q: q + [k])({y})", "f = lambda p: p + [k]", "h = f", "h({x})", "f = g", "{x} = [e for e in {y}]",
        "{x} = box.put({y})",
        "box = Box()", "box.put({x})", "{x} = box.items", "other = box", "other.put({n})", "{x} = [other.count()]", "Box.put = patched",
        "it = iter([1, 2, 3, 4, 5, 6, 7, 8, 9])", "{x} = [next(it, 0)]", "{x} = list(it)", "it = (k for _ in range(9))",
        "draw.seed({n})", "{x} = [draw.random()]", "{x}.append(draw.randint(0, 9))", "up()", "{x} = [up()]", "up = make()",
        "print({x})", "len({x})", "str({x})", "{x} = [table.setdefault('{x}', {y})]", "table['{x}'] = {y}", "{x} = list(table.values())",
    ]
)  # fmt: skip
_LINES = st.builds(lambda template, x, y, z, n: template.format(x=x, y=y, z=z, n=n), _TEMPLATES, _NAMES, _NAMES, _NAMES, _NUMBERS)
_START = """\
a, b, c, d, k, table = [1], [2], [3], [4, 5], 1, {}
class Box:
    def __init__(self):
        self.items = []
    def put(self, item):
        self.items.append(item)
        return [item]
    def count(self):
        return len(self.items)
def patched(self, item):
    self.items.insert(0, k)
    return [item, k]
def f(p):
    return [p]
def g(p):
    return p
def make():
    n = 0
    def up():
        nonlocal n
        n += 1
        return n
    return up
box = Box()
other = Box()
it = iter([0, 0])
up = make()
h = g
"""


@settings(max_examples=400)
@given(st.lists(_LINES, min_size=1, max_size=25), st.sampled_from("abcdk"))
def test_running_the_slice_of_any_program_gives_the_value_that_the_program_gave(lines: list[str], wanted: str) -> None:
    cells = history("import random as draw\ndraw.seed(0)\nimport contextlib\nnull = contextlib.nullcontext()", _START, *lines)
    statements = [item.source for execution in cells for item in execution.statements]
    try:
        whole = run(statements)
    except (TypeError, IndexError):
        return  # a program that breaks off is no history of finished cells
    assert repr(run(kept(cells, wanted))[wanted]) == repr(whole[wanted])


@pytest.mark.parametrize("call", ["net.eval()", "net.compile('adam')", "net.train()", "net.load_state_dict(saved)", "net.add_pipe('s')"])
def test_calls_that_put_a_model_into_another_state_are_kept(call: str) -> None:
    assert kept(history("net = load()", call, "r = net.predict(1)"), "r") == ["net = load()", call, "r = net.predict(1)"]


@pytest.mark.parametrize(
    ("make", "write"),
    [
        ("place.mkdir(exist_ok=True)", "table.to_csv(place / 'x.csv')"),
        ("(place / 'raw').mkdir(parents=True)", "table.to_csv(place / 'raw' / 'x.csv')"),
        ("os.makedirs(place)", "table.to_csv(os.path.join(place, 'x.csv'))"),
        ("os.makedirs('data/raw')", "table.to_csv('data/raw/x.csv')"),
    ],
)
def test_a_folder_is_made_before_a_file_is_written_into_it(make: str, write: str) -> None:
    cells = ["import os\nfrom pathlib import Path\nimport pandas as pd", "place = Path('data')", make, "table = pd.DataFrame()", write]
    assert {make, write} <= set(kept(history(*cells, "r = pd.read_csv('x.csv')"), "r"))
    assert make not in kept(history(*cells[:4], "table.to_csv('x.csv')", "r = pd.read_csv('x.csv')"), "r")
