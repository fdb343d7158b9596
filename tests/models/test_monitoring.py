"""A model in service is watched: what drifted, decayed, failed or went silent is told, once; what nobody can know is said to be so."""

from __future__ import annotations

import dataclasses
import http.server
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from jupyter_mlops import config
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import StoreError, UsageError
from jupyter_mlops.models.drift import Profile
from jupyter_mlops.models.gates import gathering
from jupyter_mlops.models.monitoring import monitoring, performance, prometheus, references
from jupyter_mlops.models.monitoring.monitoring import monitor
from jupyter_mlops.models.monitoring.references import PREDICTION, Reference
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.labels import join
from jupyter_mlops.models.predictions.log import Log
from jupyter_mlops.models.retraining import retraining
from jupyter_mlops.models.serving.minutes import Minutes
from jupyter_mlops.records import Alert, Drift, ModelVersion, Monitoring, to_json
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.surfaces import monitoring as verb
from jupyter_mlops.surfaces.cli import status
from jupyter_mlops.surfaces.monitoring_page import page
from jupyter_mlops.surfaces.monitoring_view import monitoring_blocks
from tests.models.registered import frame, registered

NAME = "shop"


def inputs(seed: int, rows: int = 600) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    return pd.DataFrame({"x": draw.normal(size=rows), "y": draw.random(rows), "place": draw.choice(["EWR", "JFK", "LGA"], rows)})


def answers(data: pd.DataFrame) -> np.ndarray[Any, Any]:
    return (data["x"].to_numpy() > 0).astype(int)


@pytest.fixture
def settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with a model that says whether x > 0, and is right nine times in ten."""
    (project / "pyproject.toml").write_text(f'[tool.mlops]\n[tool.mlops.models.{NAME}]\nsensitive = ["place"]\n')
    version = ModelVersion(name=NAME, version=1, task="classification")
    monkeypatch.setattr(registry, "version", lambda settings, ref: dataclasses.replace(version, name=ref))
    data = inputs(0, 5000)
    made = answers(data)
    metrics = {
        name: [item["value"], item["error"]] for name, item in performance.measured(made, truth(made, 0), "classification", [0, 1]).items()
    }
    reference = Reference(
        profile=Profile.of(data), predictions=Profile.of({PREDICTION: made}), metrics=metrics, labels=(0, 1), task="classification"
    )
    monkeypatch.setattr(references, "_made", lambda settings, version: reference)
    return config.load()


def truth(made: np.ndarray[Any, Any], seed: int, right: float = 0.9) -> np.ndarray[Any, Any]:
    return np.where(np.random.default_rng(seed).random(len(made)) < right, made, 1 - made)


def log(settings: Settings, data: pd.DataFrame, made: Any = None, name: str = NAME) -> list[str]:
    """Predictions of the data in the log; their ids."""
    found = ids(len(data))
    writer = Log(settings, name)
    try:
        writer.write(
            {column: data[column].tolist() for column in data}, list(answers(data) if made is None else made), ids=found, version=1
        )
        assert writer.flush()
    finally:
        writer.close()
    return list(found)


def drift(found: Monitoring) -> dict[str, Drift]:
    return {item.column: Drift.of(item) for item in found.drift}


def told(found: Monitoring) -> list[tuple[str, Any]]:
    return [(alert.kind, alert.details["about"]) for alert in map(Alert.of, found.alerts)]


def test_predictions_like_the_training_data_are_well(settings: Settings) -> None:
    made = answers(inputs(1))
    found_ids = log(settings, inputs(1))
    join(settings, NAME, pd.DataFrame({"id": found_ids, "truth": truth(made, 1)}))
    found = monitor(settings, NAME)
    assert (found.verdict, found.rows, found.labelled, found.alerts) == ("well", 600, 600, ())
    assert {item.verdict for item in drift(found).values()} == {"none"}
    assert set(drift(found)) == {"x", "y", "place", PREDICTION}
    item = found.performance["accuracy"]
    assert item["value"] == pytest.approx(0.9, abs=0.04)
    assert item["interval"][0] < item["value"] < item["interval"][1]
    assert item["reference"] == pytest.approx(0.9, abs=0.02)
    assert {(group["column"], group["group"]) for group in found.slices} == {("place", "EWR"), ("place", "JFK"), ("place", "LGA")}
    assert sum(group["rows"] for group in found.slices) == 600
    assert [point[2] for point in found.series["accuracy"]] == [600]
    assert status(found) == 0


def test_drift_of_an_input_and_of_the_prediction_is_told_once(settings: Settings) -> None:
    data = inputs(2).assign(x=lambda held: held["x"] + 1)
    log(settings, data)
    first, second = monitor(settings, NAME), monitor(settings, NAME)
    assert first.verdict == "alert"
    assert told(first) == [("drift", "x"), ("drift", PREDICTION)]
    assert [alert.details["new"] for alert in first.alerts] == [True, True]
    assert [alert.details["new"] for alert in second.alerts] == [False, False]
    entries = Audit(registry.state_of(settings)).entries(NAME)
    assert sorted((entry.what, entry.details["about"]) for entry in entries) == [("alert", PREDICTION), ("alert", "x")]
    assert status(first) == 1


def test_a_cause_that_was_gone_is_told_again(settings: Settings) -> None:
    log(settings, inputs(2).assign(x=5.0 + inputs(2)["x"]), made=answers(inputs(2)))
    past = time.time()
    time.sleep(0.01)
    assert [alert.details["new"] for alert in monitor(settings, NAME, end=past).alerts] == [True]
    log(settings, inputs(3))
    assert monitor(settings, NAME, start=past).verdict == "well"
    assert [alert.details["new"] for alert in monitor(settings, NAME, end=past).alerts] == [True]


def test_decay_is_told_once_the_truth_is_known(settings: Settings) -> None:
    found_ids = log(settings, inputs(4))
    before = monitor(settings, NAME)
    assert before.verdict == "well"
    assert before.notes == (f"The truth of these predictions is not known yet: `mlops labels {NAME} FILE` tells it.",)
    join(settings, NAME, pd.DataFrame({"id": found_ids, "truth": truth(answers(inputs(4)), 4, right=0.7)}))
    found = monitor(settings, NAME)
    assert ("decay", "accuracy") in told(found)
    assert {kind for kind, _ in told(found)} == {"decay"}


def test_a_business_metric_of_the_users_own_is_told(settings: Settings) -> None:
    (settings.project / "money.py").write_text("def gain(made, truth, context):\n    return float(sum((made == truth) * context['y']))\n")
    file = settings.project / "pyproject.toml"
    file.write_text(file.read_text() + 'business = "money.py:gain"\n')
    made = answers(inputs(5))
    found_ids = log(settings, inputs(5))
    join(settings, NAME, pd.DataFrame({"id": found_ids, "truth": made}))
    item = monitor(settings, NAME).performance["gain"]
    assert item["value"] == pytest.approx(inputs(5)["y"].sum())


@pytest.mark.parametrize(
    "data",
    [
        inputs(6, 12),
        pd.DataFrame({"x": [1.0] * 100, "y": [2.0] * 100, "place": ["EWR"] * 100}),
        pd.DataFrame({"x": [None] * 100, "y": [float("nan")] * 100, "place": [None] * 100}),
    ],
    ids=["tiny", "constant", "all missing"],
)
def test_data_of_which_nothing_can_be_said_is_said_to_be_so(settings: Settings, data: pd.DataFrame) -> None:
    log(settings, data, made=[1] * len(data))
    found = monitor(settings, NAME)
    assert {item.verdict for item in drift(found).values()} == {"insufficient data"}
    assert all(item.why for item in drift(found).values())
    # That a column went silent is known all the same.
    assert {kind for kind, _ in told(found)} <= {"missing"}


def test_nothing_logged_is_insufficient_data(settings: Settings) -> None:
    found = monitor(settings, NAME)
    assert (found.verdict, found.rows, found.alerts) == ("insufficient data", 0, ())
    assert found.notes == ("Version 1 predicted nothing that was logged in this window.",)
    log(settings, inputs(7))
    assert "It made 600 predictions at other times" in monitor(settings, NAME, end=time.time() - 3600).notes[0]


def test_a_column_that_the_log_hides_is_not_compared(settings: Settings) -> None:
    file = settings.project / "pyproject.toml"
    file.write_text(file.read_text() + 'redact = ["place"]\n')
    log(settings, inputs(1).assign(place="hidden"))
    found = monitor(settings, NAME)
    assert found.verdict == "well"
    assert "place" not in drift(found)
    with pytest.raises(UsageError, match="no input 'age'"):
        monitor(settings, NAME, by=("age",))


def test_failures_of_the_service_are_told(settings: Settings) -> None:
    log(settings, inputs(8))
    minutes = Minutes(settings, NAME)
    for number in range(200):
        minutes.count(1, 500 if number % 20 == 0 else 200, "champion", 1, 0.004)
    minutes.close()
    found = monitor(settings, NAME)
    assert told(found) == [("health", "errors")]
    assert found.service["requests"] == 200
    assert found.service["error_rate"] == 0.05
    assert found.service["latency"]["p95"] <= 0.005
    assert found.service["machine"]["cpus"] >= 1


class _Listener(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))  # type: ignore[attr-defined]
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Listener)
    server.got = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_people_are_told_by_webhook_in_one_message(settings: Settings, webhook: Any) -> None:
    file = settings.project / "pyproject.toml"
    file.write_text(file.read_text() + f'alerts = [{{webhook = "http://127.0.0.1:{webhook.server_port}/"}}]\n')
    log(settings, inputs(2).assign(x=lambda held: held["x"] + 1))
    monitor(settings, NAME)
    monitor(settings, NAME)
    (message,) = webhook.got
    assert message["text"].splitlines()[0] == "shop: 2 alerts"
    assert [alert["kind"] for alert in message["alerts"]] == ["drift", "drift"]
    assert monitor(settings, NAME, tell=False).verdict == "alert"
    assert len(webhook.got) == 1


def test_drift_starts_the_pipeline_where_it_is_asked_to(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(retraining, "start", lambda settings, name, *, why: begun.append(why) or object())
    log(settings, inputs(2).assign(x=lambda held: held["x"] + 1))
    assert not monitor(settings, NAME, retrain=False, tell=False).notes[1:]
    assert "Its training was started." in monitor(settings, NAME, retrain=True).notes
    monitor(settings, NAME, retrain=True)
    assert len(begun) == 1
    assert begun[0].startswith("drift of x: ")


def test_the_table_the_page_and_the_figures_tell_the_same(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    data = inputs(2).assign(x=lambda held: held["x"] + 1, place="<script>alert(1)</script>")
    join(settings, NAME, pd.DataFrame({"id": log(settings, data), "truth": answers(data)}))
    html, figures = tmp_path / "page.html", tmp_path / "shop.prom"
    monkeypatch.chdir(settings.project)
    found = verb.monitor(NAME, None, None, (), html=html, prometheus=figures, watch=None, retrain=False, tell=False)
    assert 'mlops_monitor_drift{model="shop",version="1",column="x"} 1.0' in figures.read_text()
    assert prometheus.text(found) == figures.read_text()
    text = html.read_text()
    assert page(found) == text
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert text.count("<svg") > 5
    assert "http" not in text.replace("http-equiv", "")
    assert monitoring_blocks(found)
    assert Monitoring.from_json(json.loads(json.dumps(to_json(found)))).rows == 600


@pytest.mark.parametrize(
    ("since", "until", "watch"),
    [("yesterday", None, None), (None, "2026-99-99", None), ("2030-01-01", "2029-01-01", None), (None, None, "0.1s")],
)
def test_a_window_that_is_none_is_refused(settings: Settings, since: str | None, until: str | None, watch: str | None) -> None:
    with pytest.raises(UsageError):
        verb.monitor(NAME, since, until, (), html=None, prometheus=None, watch=watch, retrain=False, tell=False)


def test_watching_goes_on_until_it_is_ended(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    log(settings, inputs(1))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    found = verb.monitor(NAME, "all", None, (), html=None, prometheus=None, watch="5m", retrain=False, tell=False)
    assert (found.verdict, pauses) == ("well", [300.0] * 3)


def test_many_predictions_are_counted_as_few_are(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of several files and of a part of a file's time; the truth of so many as are kept."""
    monkeypatch.setattr(monitoring.windows, "MOST_LABELLED", 100)
    for seed in (1, 2, 3):
        found_ids = log(settings, inputs(seed))
        join(settings, NAME, pd.DataFrame({"id": found_ids, "truth": truth(answers(inputs(seed)), seed)}))
    found = monitor(settings, NAME)
    assert (found.rows, found.labelled, found.verdict) == (1800, 1800, "well")
    assert found.performance["accuracy"]["rows"] <= 100


def test_a_registered_model_is_held_against_its_own_data(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole way: a model of MLflow's registry, its snapshots, its predictions."""
    (version,) = registered(project, name="late", reference=frame(400), test=frame(300, seed=1), target="late")
    settings = config.load()
    data = frame(500, seed=2)[["a", "b"]]
    log(settings, data.assign(a=data["a"] / 2), made=[0] * 500, name="late")
    found = monitor(settings, "late/1")
    assert found.version == version.version
    assert ("drift", "a") in told(found)
    assert drift(found)["b"].verdict == "none"
    kept = list((settings.home / "monitoring").glob("*.json"))
    for file in kept:
        file.unlink()
    plain = gathering.frame_of

    def silent(settings: Settings, source: Any) -> pd.DataFrame:
        if source == version.test:
            raise StoreError("no answer")
        return plain(settings, source)

    with monkeypatch.context() as patch:
        # The store does not answer for a moment.
        patch.setattr(gathering, "frame_of", silent)
        once = references.reference_of(settings, version)
        assert (once.metrics, once.profile is None) == ({}, False)
    reference = references.reference_of(settings, version)
    assert set(reference.metrics) == {"accuracy", "balanced_accuracy", "f1", "precision", "recall"}
    assert reference.notes == ()
    assert list((settings.home / "monitoring").glob("*.json")) == kept
    # What a version never had is known once and for all.
    (bare,) = registered(project, name="bare", reference=frame(100))
    assert any("Decay is not known" in note for note in references.reference_of(settings, bare).notes)
    assert len(list((settings.home / "monitoring").glob("*.json"))) == len(kept) + 1
