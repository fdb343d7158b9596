"""Registered models as the sidebar reads them: the list, one model, its services and its card; all made by the real verbs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound
from jupyter_mlops.models.monitoring.traffic import WIDTH, traffic
from jupyter_mlops.models.registry.promoting import approve, promote, rollback
from jupyter_mlops.models.serving import presence
from jupyter_mlops.models.serving.minutes import Minutes
from jupyter_mlops.records import Gate
from jupyter_mlops.store import leases
from jupyter_mlops.surfaces import commands
from jupyter_mlops.surfaces.routes import places, reading_models
from jupyter_mlops.surfaces.routes.beginnings import begun
from tests.delivered import with_database
from tests.models.registered import frame, logged, registered
from tests.models.services import Client
from tests.models.test_serving_registry import ROW, serving

GATES = """\
[tool.mlops.models.flights]
approvals = 1
gates = [{metric = "auc", at_least = 0.8}, {metric = "accuracy", at_least = 0.999}]
"""


@pytest.fixture
def settings(project: Path, monkeypatch: pytest.MonkeyPatch) -> config.Settings:
    """A project whose registry is a database, below the server's root."""
    with_database(project)
    monkeypatch.setattr(places, "_root", project.parent)
    return config.load(project)


def gates(told: Any) -> list[tuple[str, str]]:
    return [(gate.name, gate.state) for gate in map(Gate.of, told.gates)]


def test_a_project_without_models_has_an_empty_list(settings: config.Settings) -> None:
    found = reading_models.models()
    assert (found.models, found.services) == ((), ())
    with pytest.raises(NotFound, match="`mlops register RUN NAME`"):
        reading_models.model("flights")


def test_the_list_has_each_model_with_who_is_champion_and_what_happened_last(settings: config.Settings) -> None:
    registered(settings.project, count=2)
    registered(settings.project, name="houses")
    promote(settings, "flights", version=1, who="ann")
    promote(settings, "flights", version=2, to="challenger", who="ann")
    flights, houses = reading_models.models().models
    assert (flights.name, flights.versions, flights.newest, flights.by) == ("flights", 2, 2, "ann")
    assert (flights.aliases, flights.metrics) == ({"champion": 1, "challenger": 2}, {"auc": 0.9})
    assert (flights.last, houses.last) == ("promoted version 2", "registered version 1")
    assert (houses.name, houses.versions, houses.aliases) == ("houses", 1, {})
    assert flights.changed > houses.changed > 0


def test_what_plain_mlflow_registered_is_listed_and_shown_too(settings: config.Settings) -> None:
    import mlflow

    from tests.conftest import forget_tracking_uri

    run = logged(settings.project)
    mlflow.set_tracking_uri(f"sqlite:///{settings.project}/mlflow.db")
    mlflow.register_model(f"runs:/{run}/model", "theirs")
    forget_tracking_uri()
    (listed,) = reading_models.models().models
    assert (listed.name, listed.versions, listed.newest) == ("theirs", 1, 1)
    found = reading_models.model("theirs")
    assert [(item.version, item.run) for item in found.versions] == [(1, run)]
    assert found.entries == ()


def test_a_model_is_shown_with_aliases_approvals_its_gates_and_the_audit_log(settings: config.Settings) -> None:
    (settings.project / "pyproject.toml").write_text(GATES)
    data = frame(rows=300)
    registered(settings.project, count=2, reference=data, test=frame(rows=300, seed=1), target="late")
    approve(settings, "flights", version=1, why="looked at it", who="ben")
    refused = promote(settings, "flights", version=1, who="cleo")
    assert refused.verdict == "refused"
    promote(settings, "flights", version=1, force=True, why="the first one", who="cleo")
    found = reading_models.model("flights")
    assert [(item.version, item.aliases, item.approved) for item in found.versions] == [(2, (), ()), (1, ("champion",), ("ben",))]
    assert (found.approvals, found.gates) == (1, ("auc at least 0.8", "accuracy at least 0.999"))
    assert list(found.checks) == ["1"]
    assert gates(found.checks["1"]) == [("auc at least 0.8", "passed"), ("accuracy at least 0.999", "failed")]
    assert [item.what for item in found.entries] == ["forced", "refused", "approved", "registered", "registered"]
    assert (found.entries[0].why, found.entries[0].details) == ("the first one", {"told": "1 of 2 gates passed"})
    assert "accuracy at least 0.999 failed" in found.entries[1].why
    assert (found.more, reading_models.model("flights", entries=2).more) == (False, True)
    assert [item.what for item in reading_models.model("flights", entries=2).entries] == ["forced", "refused"]


def test_settings_that_cannot_be_read_are_told_and_hide_nothing_else(settings: config.Settings) -> None:
    registered(settings.project)
    (settings.project / "pyproject.toml").write_text("[tool.mlops.models.flights]\ngates = [{metrik = 'auc'}]\n")
    found = reading_models.model("flights")
    assert [item.version for item in found.versions] == [1]
    assert found.gates == ()
    assert "metrik" in found.notes[0]


def test_gates_are_said_one_by_one_to_a_program_that_follows(settings: config.Settings) -> None:
    (settings.project / "pyproject.toml").write_text(GATES.replace("approvals = 1\n", ""))
    registered(settings.project, reference=frame(300), test=frame(300, seed=1), target="late")
    command = [sys.executable, "-m", "jupyter_mlops", "promote", "flights", "--version", "1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))
    assert (done.returncode, json.loads(done.stdout)["verdict"]) == (1, "refused")
    assert [line for line in done.stderr.splitlines() if line.startswith("gate ")] == [
        "gate 1 of 2: auc at least 0.8 ...", "gate 2 of 2: accuracy at least 0.999 ...",
    ]  # fmt: skip


# -- services


def test_a_service_is_found_while_it_runs_with_its_version_and_traffic(settings: config.Settings) -> None:
    registered(settings.project, count=2)
    promote(settings, "flights", version=1, who="ann")
    assert reading_models.services() == ()
    with serving("flights@champion") as (told, process):
        (service,) = reading_models.services()
        assert (service.name, service.state, service.asked, service.url) == ("flights", "ready", "flights@champion", told["url"])
        assert (service.versions, service.last, service.requests) == ((("champion", 1),), None, 0)
        client = Client(told["url"])
        for _ in range(20):
            assert client.post(ROW).status == 200
        promote(settings, "flights", version=2, who="ann")
        deadline = time.monotonic() + 60
        while reading_models.services()[0].versions != (("champion", 2),) or not reading_models.services()[0].requests:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        (service,) = reading_models.model("flights").services
        assert (service.requests, service.error_rate) == (20, 0.0)
        assert service.requests_per_second > 0
        assert service.p50 is not None
        assert service.p99 is not None
        assert 0 < service.p50 <= service.p99 < 5
        assert len(service.series) == 60
        assert reading_models.models().services[0].state == "ready"
        process.terminate()
        process.wait(30)
    (service,) = reading_models.services()
    assert (service.name, service.state, service.url, service.requests) == ("flights", "ended", "", 20)
    assert list((settings.home / "serving").iterdir()) == []


def test_the_card_of_a_service_that_was_killed_is_taken_away_and_one_that_hangs_is_silent(settings: config.Settings) -> None:
    folder = settings.home / "serving"
    folder.mkdir(parents=True)
    told = {"name": "flights", "asked": "flights", "url": "http://127.0.0.1:9", "version": 3, "workers": 1, "since": time.time()}
    (folder / "1.json").write_text(json.dumps({**told, "process": leases.process()}))
    (folder / "2.json").write_text(json.dumps({**told, "process": f"{leases.process()}7"}))
    (folder / "3.json").write_text("{")
    (service,) = reading_models.services()
    assert (service.state, service.versions) == ("silent", (("champion", 3),))
    assert "start it again" in service.notes[0]
    assert sorted(path.name for path in folder.iterdir()) == ["1.json", "3.json"]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n\r\n[1]", b'HTTP/1.1 200 OK\r\n\r\n{"ready": true, "model": "another"}', b"\xff" * 50]
)
def test_what_answers_in_the_place_of_a_service_is_not_taken_for_it(answer: bytes) -> None:
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(answer)

        thread = threading.Thread(target=reply, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        card = presence.Presence(name="flights", asked="flights", url=url, version=1, workers=1, process="", since=0.0)
        assert presence.standing(card) == {}
        thread.join(5)


def test_traffic_is_told_by_half_minutes(settings: config.Settings) -> None:
    minutes = Minutes(settings, "flights")
    for status, seconds in [(200, 0.004)] * 98 + [(200, 0.2), (500, 0.1)]:
        minutes.count(1, status, "champion", 1, seconds)
    minutes.count(2, 200, "shadow", 1, 0.004)
    minutes.write()
    found = traffic(settings, "flights")
    assert (found["requests"], found["failures"], found["error_rate"]) == (100, 1, 0.01)
    assert 0.0025 < found["latency"]["p50"] <= 0.005
    assert 0.0025 < found["latency"]["p99"] <= 0.25
    start, rate, p50, _, share = found["series"][-1]
    assert (rate, p50, share) == (100 / WIDTH, found["latency"]["p50"], 0.01)
    assert found["series"][0][1:] == [0.0, None, None, 0.0]
    assert start == pytest.approx(time.time() - WIDTH, abs=5)
    assert traffic(settings, "flights", time.time() + 7200)["last"] is None


# -- cards


def test_a_card_is_read_as_it_was_written_and_is_stale_once_something_happened(settings: config.Settings) -> None:
    registered(settings.project, count=2)
    promote(settings, "flights", version=1, who="ann")
    before = reading_models.card("flights@champion")
    assert (before.model, before.version, before.html, before.stale) == ("flights", 1, "", False)
    assert before.out.startswith("project/.mlops/cards/flights-1-")
    commands.card("flights/1", out=settings.project.parent / before.out)
    page = reading_models.card("flights/1")
    assert page.html.lstrip().lower().startswith("<!doctype html>")
    assert "<script" not in page.html
    assert (page.stale, page.out) == (False, before.out)
    promote(settings, "flights", version=2, who="ann")
    rollback(settings, "flights", why="late flights are missed", who="ben")
    assert reading_models.card("flights/1").stale
    with pytest.raises(NotFound):
        reading_models.card("flights/7")


def test_a_folder_is_no_project_because_the_server_knows_an_mlflow(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example.org")
    assert not begun(config.load(project))
    assert reading_models.models().models == ()
    assert not (project / ".mlops").exists()
    (project / "pyproject.toml").write_text("[tool.mlops]\n")
    assert begun(config.load(project))
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert not begun(config.load(project))
