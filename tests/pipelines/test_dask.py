"""Pipelines on a real Dask cluster: other machines' workers, lost workers, a lost scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import pytest
from sqlalchemy import text

from jupyter_mlops import config
from jupyter_mlops.errors import ClusterLost
from jupyter_mlops.pipelines.definition import loading
from jupyter_mlops.store.shared import SharedState
from tests.databases import Postgres
from tests.delivered import flush
from tests.delivery_desk import wait_until
from tests.pipelines import notebook_files
from tests.pipelines.clusters import Cluster, can_hide, cluster
from tests.pipelines.running import Told, lines, pipeline, python, run, shell, states
from tests.s3_server import s3


@pytest.fixture
def dask(project: Path, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster with two workers that see the project."""
    with cluster(tmp_path / "cluster") as found:
        found.add()
        found.add()
        yield found


def commits(project: Path) -> dict[str, int]:
    """How many results each step has."""
    with SharedState(config.load()).read() as connection:
        return {row[0]: row[1] for row in connection.execute(text("select step, count(*) from commits group by step"))}


def test_steps_run_on_workers_and_tell_how_far_they_are(project: Path, dask: Cluster) -> None:
    notebook_files.write(project / "make.ipynb", "rows: int = 2", "{'total': total}", "total = sum(range(rows))")
    (project / "pipeline.yaml").write_text(
        "name: flow\n"
        "steps:\n"
        "  make: {notebook: make.ipynb, params: {rows: 4}}\n"
        "  show: {shell: 'echo {total} > {out}', inputs: {total: make.total}, outputs: {out: total.txt}}\n"
    )
    flow = loading.parameters(loading.load(project / "pipeline.yaml"), {})
    told = Told()
    done = run(flow, told, executor=dask.address)
    assert (done.status, (project / "total.txt").read_text()) == ("done", "6\n")
    cells = [event["cell"] for event in told.events if event["event"] == "cell" and event["step"] == "make" and "cell" in event]
    assert sorted(set(cells)) == [1, 2, 3, 4]
    assert Path(done.steps[0].notebook).exists()
    assert states(run(flow)) == {"make": "cached", "show": "cached"}


def test_a_worker_with_other_versions_than_the_key_says_is_refused(project: Path, tmp_path: Path) -> None:
    """Its folder of packages comes first, as that of an environment in which something else is installed."""
    other = tmp_path / "other/site-packages/cronsim-99.0.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: cronsim\nVersion: 99.0\n\n")
    (project / "steps.py").write_text("import cronsim\ndef uses():\n    return 1\n")
    (project / "plain.py").write_text("import json\ndef plain():\n    return 1\n")
    flow = pipeline(project, python("uses", "steps.py:uses", retries=2, backoff=0.1), python("plain", "plain.py:plain"))
    with cluster(tmp_path / "cluster", PYTHONPATH=str(other.parent)) as found:
        found.add()
        done = run(flow, executor=found.address)
    assert states(done) == {"uses": "failed", "plain": "done"}
    assert done.steps[0].attempts == 1
    assert f"has other versions of what this step imports (cronsim 99.0 instead of {version('cronsim')}): install" in done.steps[0].error
    assert commits(project) == {"plain": 1}
    assert states(run(flow)) == {"uses": "done", "plain": "cached"}


def test_an_address_where_nobody_listens_is_told(project: Path) -> None:
    with pytest.raises(ClusterLost, match=r"The cluster at dask://127.0.0.1:9 was lost .*: start it and run the same again"):
        run(pipeline(project, shell("one", "true")), executor="dask://127.0.0.1:9")


def test_a_step_whose_worker_is_killed_runs_on_another_and_counts_once(project: Path, dask: Cluster) -> None:
    command = "echo $$ >> pids; echo begun >> log.txt; sleep 2; echo made > {out}"
    flow = pipeline(project, shell("slow", command, outputs={"out": "out.txt"}), shell("next", "cat {path}", inputs={"path": "slow.out"}))
    told = Told()
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(run(flow, told, executor=dask.address)))
    thread.start()
    wait_until(lambda: bool(lines(project / "pids")), 60)
    worker = next(event["worker"] for event in told.events if event.get("state") == "running" and "worker" in event)
    port = int(worker.rpartition(":")[2])
    killed = next(process for process in dask.workers if f":{port}" in (dask.folder / _log(dask, process)).read_text())
    killed.kill()
    thread.join(120)
    assert (done[0].status, states(done[0])) == ("done", {"slow": "done", "next": "done"})
    assert len(lines(project / "log.txt")) == 2
    assert commits(project) == {"slow": 1, "next": 1}


def _log(found: Cluster, process: Any) -> str:
    return f"worker-{found.workers.index(process)}.log"


def test_a_run_whose_scheduler_is_lost_says_so_and_goes_on_later(project: Path, dask: Cluster, tmp_path: Path) -> None:
    slow = shell("slow", "touch begun; sleep 3; echo slow >> log.txt", after=("one",))
    flow = pipeline(project, shell("one", "echo one >> log.txt"), slow)
    done: list[Any] = []
    told = Told()
    thread = threading.Thread(target=lambda: done.append(run(flow, told, executor=dask.address)))
    thread.start()
    wait_until((project / "begun").exists, 60)
    assert dask.scheduler is not None
    dask.scheduler.kill()
    thread.join(120)
    assert done[0].status == "failed"
    assert states(done[0]) == {"one": "done", "slow": "failed"}
    assert told.events[-1]["state"] == "failed"
    assert done[0].notes == (
        f"The cluster at {dask.address} was lost (its scheduler does not answer any more): start it and run the same again; "
        "what is done stays done.",
    )
    again = run(flow)
    assert (again.status, states(again)["one"]) == ("done", "cached")
    # The worker went on to the end of what it was doing: its result counts, too.
    assert lines(project / "log.txt").count("one") == 1


@pytest.fixture
def mlflow_server(postgres_server: Postgres, tmp_path: Path) -> Iterator[str]:
    """MLflow's server on PostgreSQL; its address."""
    address = tmp_path / "mlflow"
    address.mkdir()
    database = postgres_server.database().replace("postgresql://", "postgresql+psycopg://")
    with (address / "log").open("wb") as log:
        command = ["server", "--backend-store-uri", database, "--artifacts-destination", str(address / "artifacts"), "--host", "127.0.0.1"]
        port = str(_free_port())
        words = [sys.executable, "-m", "mlflow", *command, "--port", port, "--workers", "1"]
        env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        process = subprocess.Popen(words, cwd=address, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until(lambda: _answers(int(port)), 120)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 9)
        process.wait()


def _free_port() -> int:
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _answers(port: int) -> bool:
    import urllib.request

    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def three_frames(project: Path) -> None:
    """A pipeline whose notebooks pass a pandas, a Polars and a Dask frame, and use a module and a file of the project."""
    (project / "data").mkdir()
    (project / "data" / "in.csv").write_text("a,b\n" + "".join(f"{n},{n % 3}\n" for n in range(30)))
    (project / "helper.py").write_text("def double(value):\n    return value * 2\n")
    table, polars = "table: str = ''", "import polars as pl\nfrom helper import double\n"
    for name, parameters, code, outputs in (
        ("read", "path: str = ''", "import pandas as pd\nt = pd.read_csv(path)", "{'table': t}"),
        ("polars", table, f"{polars}t = pl.read_parquet(table).with_columns(c=double(pl.col('a')))", "{'table': t}"),
        ("dask", table, "import dask.dataframe as dd\nt = dd.read_parquet(table)", "{'table': t, 'total': int(t.c.sum().compute())}"),
        ("last", f"{table}\ntotal: int = 0", "import pandas as pd\nn = len(pd.read_parquet(table))", "{'rows': n, 'total': total}"),
    ):
        notebook_files.write(project / f"{name}.ipynb", parameters, outputs, code)
    (project / "pipeline.yaml").write_text(
        "name: frames\n"
        "steps:\n"
        "  read: {notebook: read.ipynb, inputs: {path: data/in.csv}}\n"
        "  polars: {notebook: polars.ipynb, inputs: {table: read.table}}\n"
        "  dask: {notebook: dask.ipynb, inputs: {table: polars.table}}\n"
        "  last: {notebook: last.ipynb, inputs: {table: dask.table, total: dask.total}}\n"
    )


@pytest.mark.parametrize("elsewhere", [can_hide()])
@pytest.mark.timeout(900)
def test_workers_of_other_machines_need_nothing_of_the_project(
    elsewhere: bool, project: Path, tmp_path: Path, postgres_server: Postgres, mlflow_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_frames(project)
    with s3(monkeypatch) as store, cluster(tmp_path / "cluster", **store.env) as found:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
        monkeypatch.setenv("MLOPS_OBJECTS", store.url)
        monkeypatch.setenv("MLOPS_DATABASE", postgres_server.database())
        for _ in range(2):
            found.add(hidden=project if elsewhere else None)
        flow = loading.parameters(loading.load(project / "pipeline.yaml"), {})
        done = run(flow, executor=found.address)
        told = {step.step: step for step in done.steps}
        assert [step.error for step in done.steps] == [""] * 4
        assert done.status == "done"
        assert told["last"].metrics == {"rows": 30, "total": 2 * sum(range(30))}
        assert json.loads(Path(told["polars"].notebook).read_text())["metadata"]["papermill"]["exception"] is None
        assert set(states(run(flow)).values()) == {"cached"}
        flush(project)
        client = mlflow.MlflowClient(mlflow_server)

        def children() -> dict[str, str]:
            runs = [run for found in client.search_experiments() for run in client.search_runs([found.experiment_id])]
            by_own = {run.data.tags.get("mlops.run_id"): run for run in runs}
            under = by_own[done.id].info.run_id if done.id in by_own else ""
            return {run.info.run_name: run.info.status for run in runs if run.data.tags.get("mlflow.parentRunId") == under != ""}

        wait_until(lambda: children() == dict.fromkeys(("read", "polars", "dask", "last"), "FINISHED"), 60)


@pytest.mark.parametrize("hides", [can_hide()])
def test_other_machines_say_which_setting_they_need(hides: bool, project: Path, tmp_path: Path) -> None:
    with cluster(tmp_path / "cluster") as found:
        found.add(hidden=project if hides else None)
        done = run(pipeline(project, shell("one", "true")), executor=found.address)
    expected = (
        "The setting objects = None cannot be used: steps on other machines need a URL that all reach, such as \"s3://bucket/objects\"."
        if hides
        else ""
    )
    assert done.steps[0].error == expected

