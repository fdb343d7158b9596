"""`doctor` names what is wrong and what to do: each thing is really broken here."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import UsageError
from jupyter_mlops.records import Problem
from jupyter_mlops.store import client, formats, journal
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.store.standings import Standings
from jupyter_mlops.surfaces import health, health_installation, health_store
from jupyter_mlops.surfaces.project import serve_ui
from tests.delivery_desk import Kernel

HEAD = "ffffffffffff"
EARLIER = "451aebb31d03"


def wrong(problems: Iterator[Problem]) -> str:
    """The one thing that is wrong, with where and its remedy."""
    (found,) = [item for item in problems if not item.ok]
    assert found.remedy
    return f"{found.what} | {found.where} | {found.remedy}"


@pytest.fixture
def settings(project: Path) -> Settings:
    (project / ".mlops").mkdir()
    return Settings(project=project)


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation whose packages are others than those that it needs, and an empty place of Jupyter's files."""
    folder = tmp_path / "jupyter_mlops-9.dist-info"
    folder.mkdir()
    needed = ("pandas>=99", "nosuchpackage>=1.5", "cyclopts", "s3fs9>=1; extra == 's3'", "never; python_version < '3'")
    (folder / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: jupyter_mlops\nVersion: 9\n" + "".join(f"Requires-Dist: {n}\n" for n in needed)
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(tmp_path / "etc"))
    return tmp_path


def test_packages_that_are_missing_or_too_old_are_named_with_the_command(installation: Path, settings: Settings) -> None:
    found = {item.what: item.remedy for item in health_installation.packages(settings) if not item.ok}
    assert set(found.values()) == {
        'Run: python -m pip install -U "pandas>=99"', 'Run: python -m pip install "nosuchpackage>=1.5"'
    }  # fmt: skip
    assert any(what.startswith("pandas ") and "does not fit: >=99 is needed" in what for what in found)


def test_an_extra_is_wrong_only_where_the_settings_need_it(installation: Path, settings: Settings) -> None:
    missing = [item for item in health_installation.extras(settings) if "[s3]" in item.what]
    assert [(item.ok, item.remedy) for item in missing] == [(True, "Where it is needed: python -m pip install 'jupyter_mlops[s3]'")]
    needed = wrong(health_installation.extras(Settings(project=settings.project, objects="s3://bucket/objects")))
    assert "s3fs9" in needed
    assert "Run: python -m pip install 'jupyter_mlops[s3]'" in needed


def test_an_extension_that_jupyterlab_does_not_show(installation: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_core.paths.ENV_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.ENV_CONFIG_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_JUPYTER_PATH", [])
    monkeypatch.setattr("jupyter_core.paths.SYSTEM_CONFIG_PATH", [])
    assert "JupyterLab does not find the extension" in wrong(health_installation.labextension(settings))
    built = installation / "share" / "labextensions" / "@jupyter-mlops" / "labextension"
    built.mkdir(parents=True)
    (built / "package.json").write_text("{}")
    assert "server does not know the extension" in wrong(health_installation.labextension(settings))
    configured = installation / "etc" / "jupyter_server_config.d"
    configured.mkdir(parents=True)
    extensions = configured / "jupyter_mlops.json"
    extensions.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {"jupyter_mlops": False}}}))
    assert "jupyter server extension enable jupyter_mlops" in wrong(health_installation.labextension(settings))
    extensions.write_text(json.dumps({"ServerApp": {"jpserver_extensions": {"jupyter_mlops": True}}}))
    assert [item.ok for item in health_installation.labextension(settings)] == [True]
    page = installation / "etc" / "labconfig" / "page_config.json"
    page.parent.mkdir()
    page.write_text(json.dumps({"disabledExtensions": {"@jupyter-mlops/labextension": True}}))
    assert "jupyter labextension enable @jupyter-mlops/labextension" in wrong(health_installation.labextension(settings))


def test_kernels_without_the_package_or_without_their_python(installation: Path, settings: Settings) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(installation / "bare")], check=True)
    bare = installation / "bare" / "bin" / "python"
    for name, python in (("gone", "/nosuch/bin/python"), ("bare", str(bare))):
        folder = installation / "share" / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
    assert "jupyter kernelspec remove gone" in wrong(health_installation.kernels(settings))
    told = [item for item in health_installation.kernels(settings) if "'bare'" in item.what]
    assert [(item.ok, item.remedy) for item in told] == [(True, f"To track notebooks there: {bare} -m pip install jupyter_mlops")]


def test_a_port_that_another_has(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(health_installation, "PORT", other.getsockname()[1])
        (found,) = health_installation.port(settings)
    assert "is taken" in found.what
    assert "mlops serve NAME --port" in found.remedy


def test_places_that_cannot_hold_a_store(project: Path) -> None:
    (project / ".mlops").write_text("a file")
    assert "Give that file another name" in wrong(health_store.project(Settings(project=project)))
    # Not even the administrator writes there, and there is no room.
    told = {item.what.partition(" (")[0]: item.remedy for item in health_store.disk(Settings(project=Path("/proc"))) if not item.ok}
    assert "chmod u+w" in told["the store cannot be written"]
    assert "mlops gc" in told["only 0 bytes free on the disk"]


def future(settings: Settings) -> None:
    session = Kernel(settings.project, started=time.time() + 10**6)
    session.write("cell", seq=1)
    session.journal.close()


def newer_journal(settings: Settings) -> None:
    session = Kernel(settings.project, version=formats.JOURNAL + 1)
    session.write("cell", seq=1)
    session.journal.close()
    session.journal.path.write_bytes(journal.encode({"kind": "session", "version": formats.JOURNAL + 1}))


def damaged_pack(settings: Settings) -> None:
    folder = settings.home / "objects" / "packs"
    folder.mkdir(parents=True)
    (folder / "00.pack").write_bytes(b"x" * 500)


def damaged_shared_state(settings: Settings) -> None:
    (settings.home / "shared.db").write_bytes(b"x" * 5000)


def newer_shared_state(settings: Settings) -> None:
    with closing(SharedState(settings)) as state:
        Standings(state).identity()
    with closing(sqlite3.connect(settings.home / "shared.db")) as database, database:
        database.execute("UPDATE formats SET version = ?", (formats.SHARED + 1,))


def mlflow_of(revision: str) -> Callable[[Settings], None]:
    def make(settings: Settings) -> None:
        with closing(sqlite3.connect(settings.project / "mlflow.db")) as database, database:
            database.execute("CREATE TABLE alembic_version (version_num TEXT)")
            database.execute("INSERT INTO alembic_version VALUES (?)", (revision,))

    return make


def damaged_mlflow(settings: Settings) -> None:
    (settings.project / "mlflow.db").write_bytes(b"x" * 5000)


BROKEN: list[tuple[Callable[[Settings], None], Callable[[Settings], Iterator[Problem]], str]] = [
    (future, health_store.journals, "Set this computer's clock"),
    (newer_journal, health_store.journals, "upgrade this package"),
    (damaged_pack, health_store.objects, "restore this file from a backup"),
    (damaged_shared_state, lambda settings: health.examine(settings), "is damaged (file is not a database): restore it from a backup"),
    (newer_shared_state, lambda settings: health.examine(settings), "upgrade this package"),
    (mlflow_of(EARLIER), health_store.mlflow, "mlflow db upgrade sqlite:///"),
    (mlflow_of(HEAD), health_store.mlflow, "python -m pip install -U mlflow"),
    (damaged_mlflow, health_store.mlflow, "Restore it from a backup"),
]


@pytest.mark.parametrize(("broken", "check", "remedy"), BROKEN, ids=[remedy for _, _, remedy in BROKEN])
def test_a_broken_store_is_named_with_its_remedy(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Settings], None],
    check: Callable[[Settings], Iterator[Problem]], remedy: str,
) -> None:  # fmt: skip
    broken(settings)
    monkeypatch.setattr(health, "CHECKS", (health_store.shared_state,))
    assert remedy in wrong(check(settings))


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    """A server that gives this answer to everything."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_an_mlflow_server_that_is_away_another_or_refuses(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "localhost:5000")
    assert "export MLFLOW_TRACKING_URI=http://localhost:5000" in wrong(health_store.mlflow(settings))
    for status, body, said in (
        (404, b"", "is no MLflow server (404)"),
        (200, b"<html>", "is no MLflow server"),
        (401, b"", "MLFLOW_TRACKING_USERNAME"),
    ):
        with answering(status, body) as uri:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
            assert said in wrong(health_store.mlflow(settings))
    told = wrong(health_store.mlflow(settings))  # the last one has ended by now
    assert "does not answer" in told
    assert "Start that server" in told
    with answering(200, b"{}") as uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        assert [item.ok for item in health_store.mlflow(settings)] == [True]


def test_a_worker_that_hangs_is_named_by_its_number(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(item.ok for item in health_store.worker(settings))
    number = client.card(settings.home)["pid"]
    monkeypatch.setattr(health_store, "WORKER_SECONDS", 0.5)
    os.kill(number, signal.SIGSTOP)
    try:
        assert f"kill -9 {number}" in wrong(health_store.worker(settings))
    finally:
        os.kill(number, signal.SIGCONT)


def test_the_password_of_mlflows_address_is_shown_nowhere(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = "https://alice:pLnt9xQ7@127.0.0.1:1"
    for error in (None, f"API request to {uri}/api failed"):
        monkeypatch.setattr(client, "ask", lambda *_, error=error, **__: {"tracking_uri": uri, "error": error, "waiting": 1})
        assert "pLnt9xQ7" not in str(list(health_store.worker(settings)))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert "pLnt9xQ7" not in wrong(health_store.mlflow(settings))
    with pytest.raises(UsageError, match=r"open https://127\.0\.0\.1:1 in a browser"):
        serve_ui(settings, None)
