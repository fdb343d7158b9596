"""How long a scikit-learn fit holds the user's cell up when it is captured, and whether the captured run is complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import mlflow
import numpy as np
from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from jupyter_mlops import config
from jupyter_mlops.store import client, snapshots
from jupyter_mlops.store.objects import open_objects

from .kernels import TRACK, Kernel, kernels, run, take_turns
from .table import Row, row

ROUNDS = 7
SETUP = """
import numpy as np
from sklearn.linear_model import LogisticRegression
random = np.random.default_rng(0)
X = random.normal(size=(5000, 20))
y = (X[:, 0] + X[:, 1] ** 2 > 1).astype(int)
model = LogisticRegression(C=0.5, max_iter=200)
"""
FIT = "model.fit(X, y)\naccuracy = model.score(X, y)"
CHANGE = "X += X ** 2\ny[:] = 1 - y\nmodel.set_params(C=2.0)\n" + FIT
PARTS = ("model", "signature", "metrics", "dataset", "environment")


def measure() -> list[Row]:
    """All figures of this module."""
    with kernels("pass", TRACK, "import mlflow.sklearn\nmlflow.sklearn.autolog(silent=True)") as (plain, ours, autolog):
        for kernel in (plain, ours, autolog):
            run(kernel, SETUP)
        times = [[wall for wall, _ in rounds] for rounds in take_turns((plain, ours, autolog), FIT, ROUNDS)]
        return [*_held_up(*times), *_complete(ours, autolog), *_restored(ours)]


def _held_up(plain: list[float], ours: list[float], autolog: list[float]) -> Iterator[Row]:
    bare = median(plain)
    note = f"mlflow.sklearn.autolog; the plain cell takes {bare:.3f} s"
    yield row("a fit's cell held up, s", median(ours) - bare, median(autolog) - bare, "<= 0.02", note)
    yield row("the first fit's cell held up, s", ours[0] - plain[0], autolog[0] - plain[0], "<= 0.02", "the same")


def _complete(ours: Kernel, autolog: Kernel) -> Iterator[Row]:
    _deliver(ours)
    kept, others = _parts(ours.folder), _parts(autolog.folder)
    yield row("parts of its runs in MLflow", len(kept), len(others), ">= 1", f"of {', '.join(PARTS)}, autolog has {', '.join(others)}")


def _deliver(kernel: Kernel) -> None:
    done = client.ask(config.load(kernel.folder), "flush", timeout=300)
    if not done["done"]:
        raise RuntimeError(f"the runs were not delivered: {done['why']}")


def _runs(folder: Path) -> tuple[MlflowClient, list[Run]]:
    """The finished runs in a folder's store, oldest first."""
    uri = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow_client = MlflowClient(uri)
    experiments = [item.experiment_id for item in mlflow_client.search_experiments()]
    return mlflow_client, list(mlflow_client.search_runs(experiments, order_by=["attributes.start_time ASC"]))


def _parts(folder: Path) -> list[str]:
    """Which parts every run of the folder's store has."""
    mlflow_client, runs = _runs(folder)
    found = [_parts_of(mlflow_client, item) for item in runs]
    return [part for part in PARTS if found and all(has[part] for has in found)]


def _parts_of(mlflow_client: MlflowClient, item: Run) -> dict[str, Any]:
    outputs = item.outputs.model_outputs if item.outputs else []
    info = mlflow.models.get_model_info(f"models:/{outputs[0].model_id}") if outputs else None
    return {
        "model": info,
        "signature": info and info.signature,
        "metrics": item.data.metrics,
        "dataset": item.inputs.dataset_inputs if item.inputs else None,
        "environment": info and mlflow.pyfunc.get_model_dependencies(f"models:/{outputs[0].model_id}"),
    }


def _restored(ours: Kernel) -> Iterator[Row]:
    """The next cell changes the arrays in place and fits the same object again: what does each run give back?"""
    run(ours, FIT)
    run(ours, CHANGE)
    _deliver(ours)
    names: dict[str, Any] = {}
    expected = []
    for source in (SETUP + FIT, CHANGE):
        exec(source, names)
        expected.append((names["X"].copy(), names["y"].copy(), names["model"].predict_proba(names["X"])))
    last_two = _runs(ours.folder)[1][-2:]
    right = sum(_is_restored(ours.folder, item, *wanted) for item, wanted in zip(last_two, expected, strict=True))
    note = "two fits of one object, its arrays changed in place between"
    yield row("runs that give back their own model and arrays", right, 2, ">= 1", note)


def _is_restored(folder: Path, item: Run, features: Any, target: Any, predicted: Any) -> bool:
    settings = config.load(folder)
    known = client.ask(settings, "run", ref=item.info.run_id)
    arrays = [snapshots.load(entry["digest"], open_objects(settings)) for entry in known["inputs"]]
    model = mlflow.sklearn.load_model(f"models:/{item.outputs.model_outputs[0].model_id}")
    return (
        any(np.array_equal(array, features) for array in arrays)
        and any(np.array_equal(array, target) for array in arrays)
        and np.array_equal(model.predict_proba(features), predicted)
    )
