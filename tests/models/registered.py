"""Models in MLflow, made by plain MLflow in little time, and registered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.linear_model import LogisticRegression

from jupyter_mlops import config
from jupyter_mlops.records import ModelVersion, Run
from jupyter_mlops.store import client
from tests.conftest import forget_tracking_uri


def frame(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    """Flights that are late, rather surely, where `a` is large."""
    random = np.random.default_rng(seed)
    made = pd.DataFrame({"a": random.random(rows), "b": random.random(rows), "origin": random.choice(["EWR", "JFK"], rows)})
    return made.assign(late=(made["a"] + 0.3 * random.random(rows) > 0.65).astype(int))


def logged(project: Path, C: float = 1.0, uri: str | None = None, model: Any = None, **options: Any) -> str:
    """A run of plain MLflow with a model of skops, or as `options` of `log_model` say; its id."""
    named = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri or f"sqlite:///{project}/mlflow.db")
    try:
        data = frame()
        model = model or LogisticRegression(C=C).fit(data[["a", "b"]], data["late"])
        chosen = {"serialization_format": "skops", "name": "model", "pip_requirements": ["scikit-learn"], **options}
        with mlflow.start_run() as run:
            mlflow.log_metric("auc", 0.9)
            signature = infer_signature(data[["a", "b"]], np.array([0, 1]))
            mlflow.sklearn.log_model(model, signature=signature, **chosen)
        return str(run.info.run_id)
    finally:
        forget_tracking_uri()
        if named is not None:
            os.environ["MLFLOW_TRACKING_URI"] = named


def registered(project: Path, name: str = "flights", count: int = 1, who: str = "ann", **options: Any) -> list[ModelVersion]:
    """Several versions of a model, the first one first."""
    from jupyter_mlops.models.registry.registering import register

    settings = config.load(project)
    runs = [logged(project, C=1.0 + number) for number in range(count)]
    found = [Run.from_json(client.ask(settings, "run", ref=ref)) for ref in runs]
    return [register(settings, run, name, who=who, **options) for run in found]
