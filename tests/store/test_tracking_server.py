"""Opening MLflow's database."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_mlops.store import tracking_server
from jupyter_mlops.store.tracking_server import Refused, TrackingServer, Unreachable

OPENERS = 3


def _open(uri: str) -> str:
    return TrackingServer(uri).experiment_id("together")


def test_a_new_database_is_opened_by_many_stores_at_once(project: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(OPENERS) as pool:
        assert len(set(pool.map(_open, [f"sqlite:///{project}/shared.db"] * OPENERS))) == 1
    assert [path.name for path in project.iterdir()] == ["shared.db"]


def test_a_process_killed_while_it_makes_the_database_leaves_none(project: Path) -> None:
    uri = f"sqlite:///{project}/mlflow.db"
    code = f"from jupyter_mlops.store.tracking_server import make_database; make_database({uri!r})"
    maker = subprocess.Popen([sys.executable, "-c", code], cwd=project)
    while not list(project.glob(".mlflow.db.*[0-9]")):
        time.sleep(0.01)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    assert not (project / "mlflow.db").exists()
    assert TrackingServer(uri).experiment_id("after") == "1"
    tables = sqlite3.connect(project / "mlflow.db").execute("select count(*) from sqlite_master where name = 'runs'").fetchone()
    assert tables == (1,)
    assert not list(project.glob(".mlflow.db*"))


def test_a_database_is_made_where_files_cannot_have_two_names(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    class Store:
        def __init__(self, uri: str, artifacts: str) -> None:
            self.engine = SimpleNamespace(dispose=lambda: Path(uri.removeprefix("sqlite:///")).write_bytes(b"tables"))

    monkeypatch.setattr(tracking_server, "SqlAlchemyStore", Store)
    monkeypatch.setattr(os, "link", refused)
    tracking_server.make_database(f"sqlite:///{project}/mlflow.db")
    assert {path.name: path.read_bytes() for path in project.iterdir()} == {"mlflow.db": b"tables"}
    (project / "mlflow.db").write_bytes(b"of another")
    tracking_server._appear(project / "late", project / "mlflow.db")
    assert (project / "mlflow.db").read_bytes() == b"of another"


def test_the_password_of_an_address_is_in_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for uri in ("http://alice:pLnt@9xQ7@127.0.0.1:1", "nosuch://alice:pLnt@127.0.0.1/x"):
        server = TrackingServer(uri)
        with pytest.raises((Refused, Unreachable)) as caught:
            server.experiment_id("any")
        said = f"{caught.value} {server.trouble} {server.shown}"
        assert [word for word in ("pLnt", "9xQ7") if word in said] == []
