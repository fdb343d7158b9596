"""Which version of which file is put before which cell, and which generators get their states back: told from records alone."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.replay.inputs import folders_written, schedule
from jupyter_mlops.replay.script import first_states, named_states, own_cells

from .hand_made import event, recording

A, B = "a" * 64, "b" * 64


def file(path: str, digest: str | None, changed: float = 50.0) -> dict[str, Any]:
    return {"name": path, "source": path, "kind": "file", "digest": digest, "kept": True, "stat": [1, int(changed * 1e9), 7]}


READ, WRITTEN = "files_read", "files_written"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ([{READ: [file("/p/x", A)]}], [(1, "/p/x", A)]),
        # Listed in 1, read in 3: it was there from the beginning.
        ([{}, {}, {READ: [file("/p/x", A)]}], [(1, "/p/x", A)]),
        # It came between 1 and 2, by another hand.
        ([{}, {}, {READ: [file("/p/x", A, changed=101.5)]}], [(2, "/p/x", A)]),
        # The cell that wrote it writes it again.
        ([{WRITTEN: [file("/p/x", A)]}, {READ: [file("/p/x", A)]}], []),
        ([{WRITTEN: [file("/p/x", None)]}, {READ: [file("/p/x", A)]}], []),
        # Between 1 and 2 somebody else wrote it.
        ([{WRITTEN: [file("/p/x", A)]}, {READ: [file("/p/x", B)]}], [(2, "/p/x", B)]),
        ([{READ: [file("/p/x", A)]}, {READ: [file("/p/x", B)]}], [(1, "/p/x", A), (2, "/p/x", B)]),
        ([{READ: [file("/p/x", A)]}, {READ: [file("/p/x", A)]}], [(1, "/p/x", A)]),
        # Written and read by one cell.
        ([{READ: [file("/p/x", A)], WRITTEN: [file("/p/x", A)]}, {READ: [file("/p/x", A)]}], []),
        # Read, then appended to.
        ([{READ: [file("/p/x", A)]}, {READ: [file("/p/x", B)], WRITTEN: [file("/p/x", B)]}], [(1, "/p/x", A)]),
    ],
)
def test_files_are_put_before_the_cells_that_met_them(facts: list[dict[str, Any]], expected: list[tuple[int, str, str]]) -> None:
    told = recording([event(number, **item) for number, item in enumerate(facts, 1)])
    assert [(seq, version.path, version.digest) for seq, versions in sorted(schedule(told).items()) for version in versions] == expected


def test_modules_are_put_when_they_were_met_and_not_where_a_cell_writes_them() -> None:
    events = [event(1), event(2), event(3, files_written=[file("/p/made.py", A)]), event(4)]
    modules = [(2, "lib.py", A), (4, "lib.py", B), (4, "made.py", A), (4, "/elsewhere/m.py", A)]
    told = recording(events, modules=tuple((seq, {"module": "m", "path": path, "digest": digest}) for seq, path, digest in modules))
    found = [(seq, version.path, version.digest) for seq, versions in sorted(schedule(told).items()) for version in versions]
    assert found == [(1, "/p/lib.py", A), (1, "/elsewhere/m.py", A), (4, "/p/lib.py", B)]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        (["df.to_csv('out/x.csv')"], {1: {"/p/out"}}),
        (["import os\nos.makedirs('out')\ndf.to_csv('out/x.csv')"], {1: set()}),
        (["OUT = Path('out')", "OUT.mkdir()"], {1: {"/p/out"}, 2: set()}),
    ],
)
def test_folders_that_no_code_makes_were_there(sources: list[str], expected: dict[int, set[str]]) -> None:
    events = [event(number, source, files_written=[file("/p/out/x.csv", A)]) for number, source in enumerate(sources, 1)]
    assert folders_written(recording(events)) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("import random", {"random": "r1"}), ("random.seed(1)", {"random": "r2"})], {1: {"random": "r1"}}),
        (
            [("", {"random": "r1"}), ("import numpy", {"numpy": "n1", "arrived": "numpy"}), ("", {"numpy": "n2"})],
            {1: {"random": "r1"}, 2: {"numpy": "n1"}},
        ),
        # The cell that imported it seeded it: the state follows from its code.
        ([("", {"random": "r1"}), ("import numpy; numpy.random.seed(1)", {}), ("", {"numpy": "n1"})], {1: {"random": "r1"}}),
        # Every process begins PyTorch with the same seed: a later state follows from the code.
        ([("", {"random": "r1"}), ("torch.rand(1)", {"torch": "t1"})], {1: {"random": "r1"}}),
        ([("import torch", {}), ("", {"random": "r1", "torch": "t1"})], {2: {"random": "r1", "torch": "t1"}}),
        # Before tracking began, a seed was set: the state follows from it.
        ([("random.seed(3)", {}), ("", {"random": "r1"})], {}),
    ],
)
def test_global_generators_are_put_back_once(events: list[tuple[str, dict[str, str]]], expected: dict[int, dict[str, str]]) -> None:
    assert first_states([event(number, source, random=states) for number, (source, states) in enumerate(events, 1)]) == expected


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([("rng = np.random.default_rng()", {"made:rng": "m"}), ("rng.random()", {"name:rng": "n"})], {1: ({}, {"rng": "m"})}),
        ([("rng = np.random.default_rng(4)", {"made:rng": "m"}), ("rng.random()", {"name:rng": "n"})], {}),
        ([("r = random.Random()", {}), ("r.random()", {"name:r": "n"}), ("", {"name:r": "o"})], {2: ({"name:r": "n"}, {})}),
        ([("r = random.Random()", {}), ("r = random.Random(1)", {}), ("r.random()", {"name:r": "n"})], {}),
    ],
)
def test_named_generators_are_put_back_where_nobody_seeded_them(events: list[tuple[str, dict[str, str]]], expected: object) -> None:
    assert named_states([event(number, source, random=states) for number, (source, states) in enumerate(events, 1)]) == expected


def test_cells_that_call_this_package_are_known() -> None:
    blocks = ["with m.track('a'):\n    x = 1", "%%mlops track a\nx"]
    sources = ["%load_ext jupyter_mlops", "%mlops runs", "import jupyter_mlops as m", "m.log({'a': 1})", "mlops = 1", *blocks]
    assert own_cells([event(number, source) for number, source in enumerate(sources, 1)]) == {2, 4}


def test_cells_that_read_what_this_package_told_of_runs_are_its_own() -> None:
    sources = [
        "import jupyter_mlops as m",
        "w = m.widget(m.runs())",
        "best = w.selected[0]",
        "best",
        "best = 3",
        "best",
        "d = m.load('ab')",
        "d",
    ]
    assert own_cells([event(number, source) for number, source in enumerate(sources, 1)]) == {2, 3, 4, 7}
