"""The verb `replay` as users meet it: in a shell and in a notebook, with its verdict kept, and with records that somebody altered."""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from jupyter_mlops import config
from jupyter_mlops.records import Replay, Verdict
from jupyter_mlops.store import client, packs
from jupyter_mlops.store.objects import open_objects
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.display import to_html, to_text

from ..conftest import Kernel

CELLS = [
    "import pandas as pd\nfrom sklearn.linear_model import LinearRegression",
    "table = pd.read_csv('data.csv')\nprint(len(table), 'rows')",
    "import helper, time\nt0 = time.time()\nmodel = LinearRegression().fit(table[['x']], helper.twice(table['y']))\n"
    "r2 = model.score(table[['x']], helper.twice(table['y']))\nprint(f'r2 {r2:.3f} in {time.time() - t0:.2f} s')",
]


@pytest.fixture
def recorded(project: Path, kernel: Kernel) -> Path:
    """A project with one delivered run."""
    (project / "data.csv").write_text("x,y\n" + "\n".join(f"{x},{x * 7 % 11}" for x in range(30)) + "\n")
    (project / "helper.py").write_text("def twice(x):\n    return x * 2\n")
    for cell in ["%load_ext jupyter_mlops", *CELLS]:
        assert kernel.run(cell).error == ""
    return project


def test_large_files_count_by_their_content(project: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "large.csv").write_text("x\n" + "".join(f"{number * 7919 % 9_999_991:07}\n" for number in range(2_500_000)))
    cells = [
        "%load_ext jupyter_mlops",
        "import pandas as pd\ntable = pd.read_csv('large.csv')",
        "table['y'] = table.x % 1000\ntable.to_parquet('large.parquet', compression=None)",
        "from sklearn.linear_model import LinearRegression\nmodel = LinearRegression().fit(table[['x']], table.y)\n"
        "r2 = model.score(table[['x']], table.y)",
    ]
    for cell in cells:
        assert kernel.run(cell).error == ""
    assert min(path.stat().st_size for path in project.glob("large.*")) > 10_000_000
    assert cli.run(["replay", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["score"], [item for item in told["results"] if item["verdict"] != "identical"]) == ("identical", 1.0, [])
    assert {item["name"] for item in told["results"] if item["kind"] == "file"} == {"large.parquet", "input large.csv"}


def test_what_the_code_itself_logs_to_mlflow_is_compared(project: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [
        "%load_ext jupyter_mlops",
        "import mlflow\nfrom sklearn.linear_model import LinearRegression",
        "draw = __import__('pathlib').Path('draw.txt')\nx = [[1.0], [2.0], [4.0]]",
        "def plain(value):\n    with mlflow.start_run(run_name='plain'):\n        mlflow.log_metric('m', value)",
        "plain(1.5)",
        "with mlflow.start_run():\n    model = LinearRegression().fit(x, [1.0, 3.0, 4.0])\n"
        "    mlflow.log_metric('fit/r2', model.score(x, [1.0, 3.0, 4.0]))\n"
        "    for step in range(3):\n        mlflow.log_metric('loss', 1 / (step + 1), step=step)\n"
        "    mlflow.log_metric('written', float(draw.read_text()) if draw.exists() else 2.0)\n    draw.write_text('3')",
    ]
    for cell in cells:
        assert kernel.run(cell).error == ""
    assert cli.run(["replay", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    logged = {(item["kind"], item["name"], item["verdict"]) for item in told["results"] if item["kind"] in ("metric", "series")}
    assert logged == {("metric", name, "identical") for name in ("m", "fit/r2", "written")} | {("series", "loss", "identical")}


def test_data_that_was_too_dear_to_read_is_a_miss(recorded: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    cell = "import numpy as np\nwords = np.array(['word'] * 500_000, dtype=object)\nmodel.score(table[['x']], table.y)"
    assert kernel.run(cell).error == ""
    assert cli.run(["replay", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    missed = [(item["name"], item["verdict"]) for item in told["results"] if item["verdict"] != "identical" and not item["excused"]]
    assert missed == [("words", "uncompared")]
    counted = [item for item in told["results"] if not item["excused"]]
    assert told["score"] == (len(counted) - 1) / len(counted)
    assert cli.run(["replay"]) == 0
    assert "Identical in all that was compared" in capsys.readouterr().out


def test_a_run_is_replayed_in_a_shell_and_in_a_notebook(recorded: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    (recorded / "data.csv").write_text("x,y\n1,2\n")  # the recorded content counts, not today's
    (recorded / "helper.py").write_text("def twice(x):\n    return x * 3\n")
    assert cli.run(["replay", "--json"]) == 0
    out, progress = capsys.readouterr()
    shell = json.loads(out)
    assert (shell["verdict"], shell["score"], shell["part"], shell["cells"], shell["first"]) == ("identical", 1.0, "history", 4, None)
    assert {item["kind"] for item in shell["results"]} >= {"metric", "frame", "output", "model", "file"}
    assert {item["why"] for item in shell["results"] if item["verdict"] != "identical"} == {"time: a clock time or duration"}
    assert "native code is not confined" in progress
    told = kernel.run("%mlops replay --json")
    assert told.stderr == ""
    there = json.loads(told.result["text/plain"])
    assert (there["verdict"], len(there["results"])) == (shell["verdict"], len(shell["results"]))
    client.ask(config.load(), "flush", timeout=60)
    [run] = asked(capsys, "runs")
    assert run["replay"] == "identical"
    assert cli.run(["runs"]) == 0
    assert "identical" in capsys.readouterr().out
    assert cli.run(["show"]) == 0
    assert "every compared result identical" in capsys.readouterr().out
    kept = list(recorded.rglob("artifacts/mlops/replay.json"))
    assert [json.loads(path.read_text())["verdict"] for path in kept] == ["identical"]


Alter = Callable[[Path], tuple[Path, bytes]]


def _journal(project: Path) -> tuple[Path, bytes]:
    """Another literal in a cell of the journal, the line's checksum made right."""
    path = next(path for path in (project / ".mlops" / "journal").glob("*.jsonl") if b"read_csv" in path.read_bytes())
    before = path.read_bytes()
    lines = before.split(b"\n")
    for place, line in enumerate(lines):
        text = line.rpartition(b"\t")[0].replace(b"LinearRegression()", b"LinearRegression(fit_intercept=False)")
        if text:
            lines[place] = b"%s\t%08x" % (text, zlib.crc32(text))
    path.write_bytes(b"\n".join(lines))
    return path, before


def _history(project: Path) -> tuple[Path, bytes]:
    return _edited(next(project.rglob("artifacts/mlops/history.ipynb")), b"LinearRegression().fit", b"LinearRegression( ).fit")


def _model(project: Path) -> tuple[Path, bytes]:
    return _edited(next(project.rglob("artifacts/MLmodel")), b"sklearn", b"sklearm")


def _pack(project: Path) -> tuple[Path, bytes]:
    """Another bit in the kept content of the input file."""
    objects = open_objects(config.load(project))
    objects.refresh()
    found = objects.lookup(packs.OBJECT, blake3((project / "data.csv").read_bytes()).digest())
    assert found is not None
    path, place = project / ".mlops" / "objects" / "packs" / found[0], found[1].offset + found[1].stored // 2
    before = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
    return path, before


def _edited(path: Path, old: bytes, new: bytes) -> tuple[Path, bytes]:
    before = path.read_bytes()
    assert old in before
    path.write_bytes(before.replace(old, new))
    return path, before


def test_a_record_that_was_altered_is_refused_by_name(recorded: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = client.ask(config.load(), "flush", timeout=120)
    assert told["done"], told
    name = asked(capsys, "runs")[0]["name"]
    alterations: dict[str, Alter] = {
        f"The journal of {name} in ": _journal,
        "The notebook history.ipynb in ": _history,
        "The model 'model' in ": _model,
        "The file 'data.csv' in ": _pack,
    }
    for what, alter in alterations.items():
        path, before = alter(recorded)
        assert cli.run(["replay"]) == 2, what
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"mlops: {what}"), error
        assert "altered after it was recorded" in error
        path.write_bytes(before)
    assert client.ask(config.load(), "altered", ref=name) == []


def asked(capsys: pytest.CaptureFixture[str], command: str) -> Any:
    capsys.readouterr()
    assert cli.run([*command.split(), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def _replay(*results: Verdict, **facts: Any) -> Replay:
    known = {"run": "a" * 32, "verdict": "identical", "score": 1.0, "results": results, "cells": 3, "seconds": 2.5}
    return Replay(**known | facts)


def test_a_replay_tells_the_first_difference_with_both_values() -> None:
    same = Verdict(kind="metric", name="auc", seq=2, verdict="identical")
    apart = Verdict(kind="metric", name="f1", seq=2, verdict="different", recorded="0.91", replayed="0.92")
    left = Verdict(kind="output", name="stdout", seq=1, verdict="uncompared", why="time: a clock time or duration", excused=True)
    text = to_text(_replay(left, same, apart, verdict="different", score=0.5, first=apart, packages=("numpy 1 recorded, 2 here",)))
    assert (
        text
        == """\
Different: the run does not give the same results again.
run aaaaaaaa · 3 cells · score 0.50 · 2.5 s
First difference: metric f1 of cell [2]

 recorded   0.91
 replayed   0.92


           identical   different   not compared
 ──────────────────────────────────────────────
 metrics           1           1
 outputs                                      1


 not compared, because of
 ────────────────────────────────────────────────────
 time: a clock time or duration   [1] output (stdout)

Packages that differ: numpy 1 recorded, 2 here. `mlops replay --env` runs with the recorded ones."""
    )
    assert "&lt;b&gt;" in to_html(_replay(Verdict(kind="metric", name="<b>", seq=1, verdict="tolerance", recorded="1", replayed="2")))


@pytest.mark.parametrize(("verdict", "status"), [("identical", 0), ("tolerance", 0), ("different", 1)])
def test_the_exit_status_says_whether_it_differs(verdict: str, status: int) -> None:
    assert cli.status(_replay(verdict=verdict)) == status


def test_a_replay_needs_no_mlflow_in_the_process_that_asks(recorded: Path) -> None:
    import subprocess

    code = "import sys; from jupyter_mlops.replay import replaying, genuine, verdicts; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
