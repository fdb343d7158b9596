"""From one prediction back to its code and data, and from data and versions to their predictions; batch scoring on a cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import jupyter_mlops as mlops
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.models.predictions import feeding, labels, scoring, tracing
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.log import Log
from jupyter_mlops.records import Trace
from jupyter_mlops.surfaces import cli
from tests.conftest import Kernel
from tests.delivered import flush, with_database
from tests.models import made
from tests.models.logs import START, written
from tests.pipelines.clusters import can_hide, cluster

CELLS = (
    "%load_ext jupyter_mlops",
    "import numpy as np, pandas as pd\nfrom sklearn.linear_model import LogisticRegression",
    "flights = pd.read_csv('flights.csv')\nunused = 3",
    "C = 0.5\nX, y = flights[['distance', 'hour']], flights['late']",
    "model = LogisticRegression(C=C, max_iter=500).fit(X, y)\naccuracy = model.score(X, y)",
)


def answers(capsys: pytest.CaptureFixture[str], command: str) -> Any:
    """What a command prints with --json."""
    capsys.readouterr()
    assert cli.run([*command.split(), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def test_a_prediction_leads_to_the_cells_and_data_that_made_it_and_back(
    project: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]
) -> None:
    with_database(project)
    made.flights(300).to_csv(project / "flights.csv", index=False)
    for cell in CELLS:
        assert kernel.run(cell).error == ""
    flush(project)
    run = answers(capsys, "runs")[0]
    assert cli.run(["register", run["id"], "flights", "--target", "late"]) == 0, capsys.readouterr().err
    # On hidden inputs, and with a label that came later and another that took its place.
    settings = Settings(project=project)
    log = Log(settings, "flights", redact=("tail",))
    first, second = ids(2, at=START)
    log.write({"distance": [500.0, 900.0], "hour": [8.0, 20.0], "tail": ["N1", "N2"]}, [0, 1], ids=[first, second], version=1)
    log.close()
    for truth in (0, 1):
        labels.join(settings, "flights", pd.DataFrame({"id": [second], "late": [truth]}))
    trace = answers(capsys, f"lineage {second}")
    assert (trace["prediction"]["output"], trace["prediction"]["truth"], trace["prediction"]["inputs"]["hour"]) == (1, 1, 20.0)
    assert [label["truth"] for label in trace["labels"]] == [1, 0]
    assert (trace["version"]["version"], trace["version"]["run"], trace["run"]["id"]) == (1, run["id"], run["id"])
    assert "LogisticRegression(C=C" in trace["code"]
    assert "unused" not in trace["code"]
    assert trace["statements"][0] < trace["statements"][1]
    digests = {item["digest"] for item in run["inputs"]}
    assert digests <= {item["digest"] for item in trace["data"]}
    assert "training" in {item["role"] for item in trace["data"]}
    assert trace["missing"] == ["The values of tail are hidden: the log has hashes in their place."]
    assert cli.run(["lineage", second]) == 0
    shown = capsys.readouterr().out
    for text in (
        "prediction 1",
        "version flights/1",
        "truth: 1",
        "before: 0",
        "minimal code: ",
        "LogisticRegression(C=C",
        "missing: The values",
    ):
        assert text in shown, text
    # And the other way.
    version = answers(capsys, "lineage flights/1 --out all.parquet")
    assert (version["used"]["predictions"], version["used"]["first"]) == (2, START)
    assert pd.read_parquet("all.parquet")["id"].tolist() == [first, second]
    for item in trace["data"]:
        told = answers(capsys, f"lineage {item['digest'][:16]}")
        assert "flights/1" in json.dumps(told)
        assert told["below"][-1]["name"] == "2 predictions"
    assert cli.run(["lineage", trace["data"][0]["digest"], "--out", "some.csv"]) == 0
    assert "2 predictions" in capsys.readouterr().out
    assert len(pd.read_csv("some.csv")) == 2
    assert cli.run(["lineage", second, "--out", "no.csv"]) == 2
    assert "give NAME/VERSION or a digest" in capsys.readouterr().err


def test_what_a_prediction_cannot_be_traced_to_is_said(project: Path) -> None:
    settings = Settings(project=with_database(project))
    made.registered(settings, "flights", reference="ab" * 32)
    made_ids = written(project, requests=1, size=2)
    trace = tracing.of_prediction(settings, made_ids[1])
    assert isinstance(trace, Trace)
    assert (trace.version.version, trace.run, trace.code) == (1, None, "")
    assert trace.missing == (
        "The registry does not say which run made version 1 of flights.",
        f"The bytes of the training data of flights/1 ({'ab' * 6}) are not in this store; the digest tells whether other data is the same.",
    )
    gone = written(project, requests=1, size=1, version=9)
    found = tracing.of_prediction(settings, gone[0])
    assert found.version is None
    assert [text.partition(".")[0] for text in found.missing] == ["There is no registered model 'flights'"]
    assert [(item.version, item.predictions) for item in tracing.users(settings, "ab" * 4, set())] == [(1, 2)]
    with pytest.raises(NotFound, match=r"There is no prediction .p0+.\. It was not sampled"):
        mlops.lineage("p" + "0" * 26)
    with pytest.raises(NotFound):
        mlops.lineage("flights/8")
    with pytest.raises(UsageError, match=re.escape("give --out a name that ends with .parquet or .csv")):
        mlops.lineage("flights/1", out=Path("all.txt"))


@pytest.mark.parametrize("hides", [can_hide()])
def test_a_cluster_that_knows_nothing_of_the_project_predicts_the_same(
    hides: bool, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(project=project)
    made.registered(settings, "flights")
    frame = made.flights(500, seed=5).drop(columns=["late"])
    frame.to_parquet("data.parquet")
    monkeypatch.setattr(feeding, "CHUNK_ROWS", 64)
    with cluster(tmp_path / "cluster") as found:
        for _ in range(2):
            found.add(hidden=project if hides else None)
        on = scoring.predict(settings, "flights", project / "data.parquet", on=found.address, out=project / "out.parquet", log=True)
        with pytest.raises(Exception, match="Column 'hour' in row 70 must be a number"):
            scoring.predict(
                settings, "flights", frame.astype({"hour": object}).assign(hour=[*([1.0] * 70), "x", *([1.0] * 429)]), on=found.address
            )
    here = scoring.predict(settings, "flights", frame)
    out = pd.read_parquet("out.parquet")
    assert (on.rows, on.logged, on.workers) == (500, 500, found.address)
    assert out["prediction"].tolist() == list(here.predictions)
    assert np.array_equal(out["hour"], frame["hour"])
    assert tracing.usage(settings, made.registry.version(settings, "flights/1")).predictions == 500
