"""The last 50 of 10,000 runs, beside MLflow's own search in the same store."""

from __future__ import annotations

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
from mlflow.store.tracking.dbmodels import models
from mlflow.tracking import MlflowClient
from sqlalchemy import create_engine, insert

from jupyter_mlops import config
from jupyter_mlops.store import client

from .kernels import empty_folder, end_workers
from .startup import command
from .table import Row, row, seconds

RUNS = 10_000
SEARCH = """
import sys, mlflow
mlflow.set_tracking_uri(sys.argv[1])
print(mlflow.search_runs(search_all_experiments=True, max_results=50))
"""


def measure() -> list[Row]:
    """All figures of this module."""
    with empty_folder() as folder:
        uri = f"sqlite:///{folder}/mlflow.db"
        fill(folder, uri)
        return [*_asked(folder, uri), *_commands(folder, uri)]


def _asked(folder: Path, uri: str) -> Iterator[Row]:
    settings = config.load(folder)
    client.ask(settings, "runs", limit=50)
    mlflow.set_tracking_uri(uri)
    ours, searched, everything = seconds(
        lambda: client.ask(settings, "runs", limit=50),
        lambda: mlflow.search_runs(search_all_experiments=True, max_results=50),
        lambda: mlflow.search_runs(search_all_experiments=True),
    )
    yield row(f"50 of {RUNS} runs, s", ours, searched, "printed", "mlflow.search_runs(max_results=50) in a warm process")
    yield row(f"50 of {RUNS} runs, s", ours, everything, "printed", "mlflow.search_runs() as it is called by default, in a warm process")


def _commands(folder: Path, uri: str) -> Iterator[Row]:
    def process(*words: str) -> None:
        subprocess.run(words, cwd=folder, check=True, capture_output=True)

    warm, searched = seconds(lambda: process(command("mlops"), "runs", "--limit", "50"), lambda: process(sys.executable, "-c", SEARCH, uri))
    end_workers(folder)
    cold = seconds(lambda: process(command("mlops"), "runs", "--limit", "50"), rounds=1)[0]
    note = "a Python program with mlflow.search_runs(max_results=50)"
    yield row(f"mlops runs --limit 50 of {RUNS}, worker at work, s", warm, searched, "printed", note)
    yield row("the same, which starts the worker, s", cold, searched, "printed", "the same")


def fill(folder: Path, uri: str, runs: int = RUNS) -> None:
    """Runs with 5 parameters, 4 metrics and 2 tags each, put into MLflow's own tables at once."""
    experiment = int(MlflowClient(uri).create_experiment("study", artifact_location=str(folder / "artifacts")))
    begun = int(time.time() * 1000) - runs * 1000
    kinds = (models.SqlRun, models.SqlParam, models.SqlMetric, models.SqlLatestMetric, models.SqlTag)
    tables: dict[Any, list[dict[str, Any]]] = {kind: [] for kind in kinds}
    for number in range(runs):
        run, start = uuid.uuid4().hex, begun + number * 1000
        tables[models.SqlRun].append(_run(run, experiment, start, folder))
        tables[models.SqlParam] += [{"run_uuid": run, "key": f"param_{item}", "value": str(number % (item + 2))} for item in range(5)]
        point = {"run_uuid": run, "value": number / runs, "timestamp": start, "step": 0, "is_nan": False}
        values = [{**point, "key": f"metric_{item}"} for item in range(4)]
        tables[models.SqlMetric] += values
        tables[models.SqlLatestMetric] += values
        tables[models.SqlTag] += [{"run_uuid": run, "key": key, "value": "text"} for key in ("mlflow.user", "stage")]
    engine = create_engine(uri)
    with engine.begin() as connection:
        for kind, rows in tables.items():
            connection.execute(insert(kind), rows)
    engine.dispose()


def _run(run: str, experiment: int, start: int, folder: Path) -> dict[str, Any]:
    return {
        "run_uuid": run,
        "name": f"run-{run[:4]}",
        "experiment_id": experiment,
        "status": "FINISHED",
        "start_time": start,
        "end_time": start + 900,
        "lifecycle_stage": "active",
        "artifact_uri": str(folder / "artifacts" / run),
        "source_type": "LOCAL",
        "user_id": "ada",
    }
