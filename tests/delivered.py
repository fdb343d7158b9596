"""What became of a project's runs: delivery by the project's own worker, and MLflow's view of the outcome."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import mlflow
from mlflow.entities import Run

from jupyter_mlops import config
from jupyter_mlops.store import client
from tests.delivery_desk import wait_until


@functools.cache
def _empty_database() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db").search_experiments()
        return Path(folder, "mlflow.db").read_bytes()


def with_database(project: Path) -> Path:
    """The project with an empty MLflow database in it: making one takes MLflow seconds, so all tests share the same."""
    (project / "mlflow.db").write_bytes(_empty_database())
    return project


def flush(project: Path) -> None:
    """Wait until everything that is journaled is in MLflow."""

    def done() -> bool:
        return bool(client.ask(config.load(project), "flush", timeout=120)["done"])

    wait_until(done, 120)


def store(project: Path, uri: str | None = None) -> mlflow.MlflowClient:
    """MLflow's client for the project's own database, or for `uri`."""
    return mlflow.MlflowClient(uri or f"sqlite:///{project}/mlflow.db")


def mlflow_runs(project: Path, uri: str | None = None) -> list[Run]:
    """Every run in MLflow, oldest first, but the one that only holds data for others; no two of them stand for the same run of ours."""
    found: list[Run] = []
    mlflow_client = store(project, uri)
    for experiment in mlflow_client.search_experiments(filter_string="name != 'mlops-objects'"):
        found.extend(mlflow_client.search_runs([experiment.experiment_id], max_results=10_000))
    own = [run.data.tags["mlops.run_id"] for run in found if "mlops.run_id" in run.data.tags]
    assert len(set(own)) == len(own)
    return sorted(found, key=lambda run: int(run.info.start_time))


def settled(project: Path, uri: str | None = None) -> list[Run]:
    """The runs once none of them is RUNNING: the sessions that died have been discovered by then."""
    flush(project)
    wait_until(lambda: all(run.info.status != "RUNNING" for run in mlflow_runs(project, uri)), 60)
    flush(project)
    return mlflow_runs(project, uri)


def artifact(project: Path, run: Run, path: str, uri: str | None = None) -> str:
    """A text file of a run."""
    return Path(store(project, uri).download_artifacts(run.info.run_id, path)).read_text(encoding="utf-8")


def steps(project: Path, run: Run, metric: str) -> list[int]:
    """The steps at which MLflow has a metric, in order."""
    return sorted(int(point.step) for point in store(project).get_metric_history(run.info.run_id, metric))
