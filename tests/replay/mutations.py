"""Two notebooks, recorded once, and changes of their recordings each of which alters some recorded result for certain."""

from __future__ import annotations

import ast
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from jupyter_mlops import config
from jupyter_mlops.records import Input
from jupyter_mlops.replay.player import Options
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.replay.replaying import verified
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore, open_objects

from ..conftest import OURS, Kernel
from .histories import delivered_by_nobody, read_back

SEED = 20_240

HELPER = "SHIFT = 3.25\n\ndef scale(values):\n    return values * 1.5 + SHIFT\n"
ROWS = ["x,y", *(f"{place * 37 % 101 / 7:.4f},{place * 53 % 97 / 5 + place / 9:.4f}" for place in range(40))]

# What is left out of a comparison stands beside what must not be: clocks, draws and ids that nobody recorded, sets of texts.
PLAIN = [
    "import random, time, uuid\nimport numpy as np\nfrom helper import scale",
    "data = np.array([[float(part) for part in line.split(',')] for line in open('data.csv').read().split()[1:]])",
    "np.random.seed(11)\nrandom.seed(5)\nnoise = np.random.normal(size=40)\npick = random.random()",
    "weight, bias = 0.75, 2.5\n\ndef predict(values):\n    return scale(values) * weight + bias",
    "began = time.time()\nguess = predict(data[:, 0]) + noise * 0.01\nlog = {'sum': guess.sum(), 'seconds': time.time() - began}",
    "print(f\"sum {log['sum']} in {log['seconds']:.3f} s\", uuid.uuid4())\nlabels = {f'l{x:.1f}' for x in guess[:5]}\nlabels",
    "%%mlops track plain\nerror = float(np.abs(guess - data[:, 1]).mean())\ntotal = log['sum'] + pick * 10.0\n"
    "made = np.random.default_rng().normal()",
]
FITTED = [
    "import numpy as np, pandas as pd\nfrom helper import scale\ntable = pd.read_csv('data.csv')",
    "table['z'] = scale(table['x']) - 0.5 * table['y']\ntable['far'] = table['z'] - 6.0\ntarget = table['far'].map(np.signbit)",
    "from sklearn.ensemble import RandomForestClassifier\nfrom sklearn.model_selection import cross_validate\n"
    "noisy = table[['x', 'y']] + np.random.RandomState(4).normal(scale=2.0, size=(40, 2))",
    "forest = RandomForestClassifier(n_estimators=7, random_state=3).fit(noisy, target)\nscore = forest.predict_proba(noisy)[:, 1].mean()",
    "folds = pd.DataFrame(cross_validate(forest, noisy, target, cv=3))\nfolds['test_score'].mean() + score",
]
NOTEBOOKS = {"plain": PLAIN, "fitted": FITTED}
PATCHES = {
    "plain": ["import numpy as np; _n = np.abs; np.abs = lambda x: _n(x) * 1.0001", "import random; random.random = lambda: 0.5",
              "import numpy as np; _n = np.random.normal; np.random.normal = lambda size: _n(size=size) + 1e-6"],
    "fitted": ["import pandas as pd; _r = pd.read_csv; pd.read_csv = lambda path: _r(path).round(1)",
               "import pandas as pd; _r = pd.read_csv; pd.read_csv = lambda path: _r(path).iloc[::-1]"],
}  # fmt: skip
SWAPS = {"plain": [(3, 5), (4, 5), (5, 6)], "fitted": [(2, 4), (3, 4), (4, 5)]}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one notebook's recording, told by a seed."""

    notebook: str
    kind: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.notebook}-{self.kind}-{self.seed}"


def mutants(count: int) -> list[Mutant]:
    """As many, of all kinds and notebooks in turn."""
    kinds = list(KINDS)
    return [Mutant(list(NOTEBOOKS)[place // len(kinds) % 2], kinds[place % len(kinds)], SEED + place) for place in range(count)]


def record(notebook: str, project: Path) -> None:
    """Run a notebook, tracked, in a project of its own."""
    for name in [name for name in os.environ if name.startswith(OURS)]:
        del os.environ[name]
    project.mkdir()
    (project / "pyproject.toml").touch()
    (project / "data.csv").write_text("\n".join(ROWS) + "\n")
    (project / "helper.py").write_text(HELPER)
    with delivered_by_nobody(project):
        kernel = Kernel(project)
        try:
            for cell in ["%load_ext jupyter_mlops", *NOTEBOOKS[notebook]]:
                assert kernel.run(cell).error == ""
        finally:
            kernel.close()


def verdict(mutant: Mutant, project: str) -> str:
    """Replay a mutant in the place of the recording, and compare it with the recording."""
    recording, objects = _recorded(project)
    variant = KINDS[mutant.kind](recording, objects, random.Random(mutant.seed), mutant.notebook) if mutant.kind in KINDS else recording
    found = verified(recording, objects, Options(), variant=variant)
    return found.verdict if mutant.kind in KINDS or found.verdict == "identical" else f"{found.verdict}: {found.first}"


@cache
def _recorded(project: str) -> tuple[Recording, ObjectStore]:
    return read_back(Path(project)), open_objects(config.load(Path(project)))


def _literal(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """Another number somewhere in a cell."""
    places = [(event.seq, number) for event in recording.events for number in _numbers(event.source)]
    seq, (line, start, stop, value) = chance.choice(places)
    lines = recording.event(seq).source.split("\n")
    other = value + chance.choice([1, 2, 3]) if isinstance(value, int) else value * chance.choice([0.5, 1.01, 2.0])
    lines[line] = f"{lines[line][:start]}{other!r}{lines[line][stop:]}"
    return _with_source(recording, seq, "\n".join(lines))


def _numbers(source: str) -> list[tuple[int, int, int, int | float]]:
    head, _, body = source.partition("\n") if source.startswith("%%") else ("", "", source)
    if body.startswith("%"):
        return []
    found = []
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            line = node.lineno - 1 + bool(head)
            if source.split("\n")[line][node.col_offset : node.end_col_offset] == repr(node.value):
                found.append((line, node.col_offset, node.end_col_offset or 0, node.value))
    return found


def _seed(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """Another seed."""
    seeds = {"plain": ["np.random.seed(11)", "random.seed(5)"], "fitted": ["RandomState(4)", "random_state=3"]}[notebook]
    old = chance.choice(seeds)
    new = old.rstrip(")0123456789") + str(chance.randrange(100, 10_000)) + (")" if old.endswith(")") else "")
    event = next(event for event in recording.events if old in event.source)
    return _with_source(recording, event.seq, event.source.replace(old, new))


def _row(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """Another value in the input, one row less, or two rows in the other order."""
    rows = list(ROWS)
    place = chance.randrange(1, len(rows) - 1)
    match chance.choice(["value", "less", "order"]):
        case "value":
            x, _, y = rows[place].partition(",")
            rows[place] = f"{float(x) + chance.choice([0.001, 1.0]):.4f},{y}"
        case "less":
            del rows[place]
            rows.append("1.0,1.0")
        case _:
            rows[place], rows[place + 1] = rows[place + 1], rows[place]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.csv"
        path.write_text("\n".join(rows) + "\n")
        digest = snapshots.freeze_file(path, objects).digest

    def changed(item: Input) -> Input:
        item = item if isinstance(item, Input) else Input.from_json(item)
        return replace(item, digest=digest, size=sum(len(row) + 1 for row in rows)) if item.name == "data.csv" else item

    events = tuple(replace(event, files_read=tuple(changed(item) for item in event.files_read)) for event in recording.events)
    return replace(recording, events=events)


def _module(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """Another version of a local module."""
    old, new = chance.choice([("1.5", f"1.5{chance.randrange(1, 99)}"), ("3.25", f"3.25{chance.randrange(1, 99)}"), ("+ SHIFT", "- SHIFT")])
    digest = objects.put(HELPER.replace(old, new).encode())
    modules = tuple((seq, {**module, "digest": digest} if module["module"] == "helper" else module) for seq, module in recording.modules)
    assert modules != recording.modules
    return replace(recording, modules=modules)


def _package(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """A function of a package that behaves in another way."""
    event = recording.events[1]
    return _with_source(recording, event.seq, f"{chance.choice(PATCHES[notebook])}\n{event.source}")


def _order(recording: Recording, objects: ObjectStore, chance: random.Random, notebook: str) -> Recording:
    """Two cells in the other order."""
    first, second = chance.choice(SWAPS[notebook])
    events = list(recording.events)
    sources = events[first].source, events[second].source
    return _with_source(_with_source(recording, events[first].seq, sources[1]), events[second].seq, sources[0])


def _with_source(recording: Recording, seq: int, source: str) -> Recording:
    return replace(recording, events=tuple(replace(event, source=source) if event.seq == seq else event for event in recording.events))


Change = Callable[[Recording, ObjectStore, random.Random, str], Recording]
KINDS: dict[str, Change] = {
    "literal": _literal, "row": _row, "seed": _seed, "module": _module, "package": _package, "order": _order, "number": _literal,
}  # fmt: skip
