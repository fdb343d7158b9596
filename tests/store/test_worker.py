"""The worker process: one for each store, there when it is needed, gone when it is not."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest
from mlflow import MlflowClient
from pandas.testing import assert_frame_equal

from jupyter_mlops import config
from jupyter_mlops.code.secrets import Redactor
from jupyter_mlops.errors import NotKept, UsageError
from jupyter_mlops.store import client, locks, objects, snapshots
from jupyter_mlops.store.worker import IDLE_SECONDS, Worker
from tests.delivery_desk import Kernel, migrated, wait_until
from tests.remote_mlflow import RemoteMlflow


@pytest.fixture
def settings(project: Path, database: Path) -> config.Settings:
    migrated(database, project)
    return config.load(project)


def workers(project: Path) -> list[psutil.Process]:
    """The worker processes of a project."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        command = process.info["cmdline"] or []  # a process that has ended and is not waited for has none
        if "jupyter_mlops.store.worker" in command and str(project) in command:
            found.append(process)
    return found


def test_what_a_kernel_writes_is_delivered_while_it_lives(settings: config.Settings) -> None:
    kernel = Kernel(settings.project)
    run = kernel.run(metrics=kernel.points(("auc", 0.9, None)))
    client.ensure_worker(settings)
    assert client.ask(settings, "flush", timeout=60) == {"done": True, "waiting": 0, "why": []}
    kernel.finish(run)
    assert client.ask(settings, "flush", timeout=60)["done"]
    (found,) = client.ask(settings, "runs")
    assert (found["own_id"], found["status"], found["metrics"], found["delivered"]) == (run, "FINISHED", {"auc": 0.9}, True)
    assert client.ask(settings, "resolve", ref=run[:8]) == found["id"]
    status = client.ask(settings, "status")
    assert {key: status[key] for key in ("sessions", "waiting", "error", "tracking_uri")} == {
        "sessions": 1, "waiting": 0, "error": None, "tracking_uri": f"sqlite:///{settings.project}/mlflow.db",
    }  # fmt: skip
    with pytest.raises(UsageError, match="no verb 'dance'"):
        client.ask(settings, "dance")
    kernel.journal.close()


def test_many_ask_for_a_worker_and_one_serves(settings: config.Settings) -> None:
    for _ in range(8):
        client.ensure_worker(settings)
    pid = client.ask(settings, "ping")["pid"]
    wait_until(lambda: [process.pid for process in workers(settings.project)] == [pid])
    assert psutil.Process(pid).nice() == 10
    assert (settings.home / "worker.json").stat().st_mode & 0o777 == 0o600


def test_a_module_of_the_project_does_not_stand_in_for_one_of_the_worker(settings: config.Settings) -> None:
    for name in ("mlflow", "json", "random", "sqlite3"):
        (settings.project / f"{name}.py").write_text("raise SystemExit('the wrong module')")
    assert client.ask(settings, "ping")["stamp"] == client.stamp()


def test_a_worker_of_other_code_is_replaced(settings: config.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    old = client.ask(settings, "ping")["pid"]
    card = settings.home / "worker.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"stamp": "older"}))
    assert client.ask(settings, "ping")["pid"] != old
    wait_until(lambda: old not in [process.pid for process in workers(settings.project)])


def test_a_stopped_worker_leaves_nothing_but_its_lock_and_log(settings: config.Settings) -> None:
    client.ask(settings, "status")
    client.ask(settings, "stop")
    wait_until(lambda: not locks.is_held(settings.home / "worker.lock"))
    assert sorted(path.name for path in settings.home.iterdir()) == ["journal", "state.db", "worker.lock", "worker.log"]


def test_a_killed_kernels_run_is_recovered_by_the_worker(settings: config.Settings) -> None:
    code = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path; from tests.delivery_desk import Kernel\n"
        "k = Kernel(Path(sys.argv[1])); print(k.run(params={'C': 1}), flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(settings.project), str(client.PACKAGE.parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    run = process.stdout.readline().strip()
    client.ask(settings, "flush", timeout=60)
    assert client.ask(settings, "run", ref=run)["status"] == "RUNNING"
    process.kill()
    process.wait()
    wait_until(lambda: client.ask(settings, "run", ref=run)["status"] == "KILLED")
    assert client.ask(settings, "flush", timeout=60)["done"]
    found = MlflowClient(f"sqlite:///{settings.project}/mlflow.db").get_run(client.ask(settings, "resolve", ref=run))
    assert (found.info.status, found.data.tags["mlops.reason"]) == ("KILLED", "the process ended without a word while this run was open")


@pytest.mark.parametrize(
    ("alive", "waiting", "requests", "quiet", "ends"),
    [
        (0, 0, 0, IDLE_SECONDS - 1, False),
        (0, 0, 0, IDLE_SECONDS + 1, True),
        (1, 0, 0, 10_000, False),
        (0, 0, 1, 10_000, False),
        (0, 3, 0, IDLE_SECONDS + 1, False),
        (0, 3, 0, 10_000, True),
    ],
)
def test_a_worker_ends_when_nothing_lives_and_nothing_waits(
    settings: config.Settings, alive: int, waiting: int, requests: int, quiet: float, ends: bool
) -> None:
    class Courier:
        def __init__(self) -> None:
            self.alive, self.waiting = alive, waiting

    worker = Worker(settings, lambda: True)
    worker._requests = requests
    courier: Any = Courier()
    assert worker._idle(courier, quiet) is ends


@pytest.fixture
def remote(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RemoteMlflow]:
    """A remote MLflow that runs, and that the project uses."""
    server = RemoteMlflow(tmp_path / "server", database)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    server.begin()
    yield server
    server.end()


def test_a_server_that_goes_and_comes_back_gets_everything_once(
    project: Path, remote: RemoteMlflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config.load(project)
    # As where servers ask for a password: the records of runs have it not, and no message.
    address = remote.uri.replace("//", "//alice:pLnt9xQ7Zu@")
    recorded = Redactor().text(address)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    kernel = Kernel(project)
    first = kernel.run(name="first", tracking_uri=recorded, metrics=kernel.points(("loss", 0.5, 0), ("loss", 0.4, 1)))
    assert client.ask(settings, "flush", timeout=120)["done"]
    remote.end()
    kernel.run(first, metrics=kernel.points(("loss", 0.3, 2)))
    kernel.cell("fit", first)
    kernel.finish(first)
    kernel.finish(kernel.run(name="second", tracking_uri=recorded))
    answer = client.ask(settings, "flush", timeout=3)
    assert (answer["done"], answer["waiting"]) == (False, 2)
    status = client.ask(settings, "status")
    assert (status["waiting"], bool(status["error"]), "pLnt9xQ7Zu" in f"{status['error']} {answer['why']}") == (2, True, False)
    assert [run["name"] for run in client.ask(settings, "runs")] == ["second", "first"]
    remote.begin()
    assert client.ask(settings, "flush", timeout=120)["done"]
    mlflow = MlflowClient(remote.uri)
    found = mlflow.search_runs([mlflow.get_experiment_by_name("project").experiment_id], order_by=["attributes.start_time ASC"])
    assert [(run.info.run_name, run.info.status) for run in found] == [("first", "FINISHED"), ("second", "FINISHED")]
    assert [item.value for item in mlflow.get_metric_history(found[0].info.run_id, "loss")] == [0.5, 0.4, 0.3]
    assert [item.path for item in mlflow.list_artifacts(found[0].info.run_id, "mlops")] == ["mlops/history.ipynb"]
    kernel.journal.close()


def test_a_teammate_gets_the_data_of_a_run_from_the_remote_mlflow(project: Path, tmp_path: Path, remote: RemoteMlflow) -> None:
    frame = pd.DataFrame({"month": [1, 2, 3], "delay": [0.5, None, 2.25], "carrier": ["UA", "DL", "ÅÄ"]})
    (project / "plan.csv").write_text("a,b\n1,2\n")
    settings, kernel = config.load(project), Kernel(project)
    digest = snapshots.freeze(frame, objects.open_objects(settings)).digest
    plan = snapshots.freeze_file(project / "plan.csv", objects.open_objects(settings)).digest
    run = kernel.run(inputs=[{"name": "frame", "kind": "frame", "digest": digest, "kept": True}])
    kernel.cell("read", run, files_read=[{"name": "plan.csv", "kind": "file", "digest": plan, "kept": True}])
    kernel.finish(run)
    assert client.ask(settings, "flush", timeout=120)["done"]
    kernel.journal.close()

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    theirs = objects.open_objects(config.load(elsewhere))
    assert_frame_equal(snapshots.load(digest[:10], theirs), frame)
    assert snapshots.load(plan, theirs) == b"a,b\n1,2\n"
    with pytest.raises(NotKept):
        snapshots.load("0" * 64, theirs)
    (there,) = MlflowClient(remote.uri).search_experiments(filter_string="name = 'mlops-objects'")
    assert len(MlflowClient(remote.uri).search_runs([there.experiment_id])) == 1
