"""Opening MLflow's database."""

from __future__ import annotations

import multiprocessing
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from jupyter_mlops.store.tracking_server import TrackingServer

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
