"""A pipeline's model earns its alias: registered, judged and promoted once, refused where it is worse, on a real registry."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.surfaces import cli
from tests.delivered import with_database

PIPELINE = """
name: people
params: {feature: wait}
steps:
  table: {python: "train.py:table"}
  train: {python: "train.py:train", params: {feature: "{feature}"}, inputs: {table: table.learn}}
release:
  model: train.model
  name: people
  test: table.test
  reference: table.learn
  target: late
  gates:
    - {metric: rows, at_least: 100}
    - {metric: auc, at_least: 0.5, of: data}
    - {no_worse_than: champion, metric: auc}
    - {leakage: rows}
    - {gate: "checks.py:known"}
  to: champion
"""
TRAIN = '''
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression


def people(rows, seed):
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({"wait": draw.normal(size=rows), "load": draw.normal(size=rows)})
    return frame.assign(late=(draw.random(rows) < 1 / (1 + np.exp(-2 * frame["wait"] - 0.5 * frame["load"]))).astype(int))


def table():
    return {"learn": people(600, 0), "test": people(900, 1)}


def train(table, feature):
    """A model of one feature, or of both."""
    frame = pd.read_parquet(table)
    columns = ["wait", "load"] if feature == "both" else [feature]
    return {"model": LogisticRegression().fit(frame[columns], frame["late"]), "rows": len(frame)}
'''
CHECKS = '''
def known(evidence):
    """The training data is known."""
    return evidence.reference is not None and len(evidence.reference) == 600
'''


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """The exit status of a run of the pipeline, and what it tells."""
    capsys.readouterr()
    status = cli.run(["run", "pipeline.yaml", *words, "--json"])
    out, err = capsys.readouterr()
    assert out, err
    return status, json.loads(out.splitlines()[-1])


def test_a_pipeline_releases_its_model_once_and_none_that_is_worse(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_database(project)
    for name, text in {"pipeline.yaml": PIPELINE, "train.py": TRAIN, "checks.py": CHECKS}.items():
        (project / name).write_text(text)
    status, first = ran(capsys)
    assert (status, first["release"]["state"], first["release"]["version"]) == (0, "promoted", 1), first
    assert [gate["state"] for gate in first["gates"]] == ["passed"] * 5
    status, again = ran(capsys)
    assert (status, again["release"]["again"], again["release"]["version"]) == (0, True, 1)
    assert again["gates"] == first["gates"]

    status, worse = ran(capsys, "-p", "feature=load")
    assert (status, worse["release"]["state"], worse["release"]["version"]) == (1, "refused", 2)
    states = {gate["kind"]: gate["state"] for gate in worse["gates"]}
    assert (states["no_worse_than"], states["leakage"]) == ("failed", "passed")
    settings = config.load()
    champion = registry.champion(settings, "people")
    assert champion is not None
    assert (champion.version, champion.target) == (1, "late")

    status, better = ran(capsys, "-p", "feature=both")
    assert (status, better["release"]["state"], better["release"]["champion"]) == (0, "promoted", 3)
    status, back = ran(capsys)
    assert (status, back["release"]["version"]) == (0, 1)
    assert registry.champion(settings, "people").version == 3  # type: ignore[union-attr]  # there is one
    assert len(registry.registered(settings, "people")) == 3
    told = [(entry.what, entry.version) for entry in reversed(Audit(registry.state_of(settings)).entries("people"))]
    assert told == [("registered", 1), ("promoted", 1), ("registered", 2), ("refused", 2), ("registered", 3), ("promoted", 3)]
    assert cli.run(["check", "people"]) == 0
    assert "people (version 3): passed" in capsys.readouterr().out

    code = "import sys; from jupyter_mlops.surfaces import cli; cli.run(['run', 'pipeline.yaml', '--json', '-p', 'feature=both']); "
    code += "print(sorted({'mlflow', 'pandas', 'numpy', 'sklearn', 'sqlalchemy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"
