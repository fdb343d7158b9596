"""A pipeline's model earns its alias: registered, judged and promoted once, refused where it is worse, on a real registry."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jupyter_mlops import config, load
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.log import Log
from jupyter_mlops.store import registry, snapshots
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
    # Before there is any version, the model is the one that the pipeline made, also where a run of it only found it made.
    (project / "early.yaml").write_text(PIPELINE.partition("release:")[0])
    checked = []
    for _ in range(2):
        assert cli.run(["run", "early.yaml"]) == 0
        capsys.readouterr()
        assert cli.run(["check", "people", "--json"]) == 1
        checked.append(json.loads(capsys.readouterr().out))
    assert checked[0]["run"] == checked[1]["run"] != ""
    assert [[gate["state"] for gate in check["gates"] if gate["kind"] == "metric"] for check in checked] == [["passed", "unchecked"]] * 2
    status, first = ran(capsys)
    assert (status, first["release"]["state"], first["release"]["version"]) == (0, "promoted", 1), first
    assert [gate["state"] for gate in first["gates"]] == ["passed"] * 5
    _prediction_leads_back(project, capsys, checked[0]["run"])
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


def _prediction_leads_back(project: Path, capsys: pytest.CaptureFixture[str], run: str) -> None:
    """From a prediction of version 1 to the step that made it, its code, and what it was given."""
    log = Log(config.load(), "people")
    (identifier,) = ids(1)
    log.write({"wait": [1.5]}, [1], ids=[identifier], version=1)
    log.close()
    capsys.readouterr()
    assert cli.run(["lineage", identifier, "--json"]) == 0
    trace = json.loads(capsys.readouterr().out)
    assert (trace["version"]["version"], trace["run"]["id"], trace["missing"]) == (1, run, [])
    assert trace["code"].splitlines()[-1] == "result = train(feature='wait', table='table.learn')"
    assert "LogisticRegression().fit" in trace["code"]
    assert "def table" not in trace["code"]
    assert trace["statements"][0] < trace["statements"][1]
    data = {item["name"]: item for item in trace["data"]}
    assert data["train.py"]["digest"] == snapshots.digest_file(project / "train.py")
    assert (data["table"]["source"], data["table"]["kept"]) == ("table.learn", True)
    given = load(data["table"]["digest"])
    assert len(pd.read_parquet(io.BytesIO(given))) == data["training data of people/1"]["rows"] == 600
