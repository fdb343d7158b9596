"""Versions of models made by hand: registered in the shared state, their files where a download would put them, without MLflow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jupyter_mlops.config import Settings
from jupyter_mlops.records import ModelVersion
from jupyter_mlops.store import registry
from jupyter_mlops.store.seals import folder_digest
from jupyter_mlops.store.standings import Standing, Standings

NUMBERS, ORIGIN, TARGET = ["distance", "hour"], "origin", "late"


def flights(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    """A table of flights, half of which are late, more of them late in the day."""
    draw = np.random.default_rng(seed)
    hour = draw.uniform(5, 23, rows)
    frame = pd.DataFrame({"distance": draw.uniform(100, 2500, rows), "hour": hour, ORIGIN: draw.choice(["EWR", "JFK", "LGA"], rows)})
    frame[TARGET] = (draw.random(rows) < (hour - 4) / 22).astype(int)
    return frame


def fitted(frame: pd.DataFrame) -> Pipeline:
    """A model of them."""
    columns = make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(handle_unknown="ignore"), [ORIGIN]))
    return make_pipeline(columns, LogisticRegression()).fit(frame[[*NUMBERS, ORIGIN]], frame[TARGET])


def registered(settings: Settings, name: str, version: int = 1, *, champion: bool = True, **parts: Any) -> ModelVersion:
    """A version of that model, in the shared state and in the folder of downloads."""
    model = parts.pop("model", None) or fitted(flights())
    folder = settings.home / "models" / "new"
    folder.mkdir(parents=True)
    skops.io.dump(model, folder / "model.skops")
    trusted = tuple(skops.io.get_untrusted_types(file=folder / "model.skops"))
    inputs = [{"name": item, "type": "double", "required": True} for item in NUMBERS] + [
        {"name": ORIGIN, "type": "string", "required": True}
    ]
    outputs = [{"type": "long", "required": True}]
    flavor = {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1"}
    described = {
        "flavors": {"sklearn": flavor, "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"}},
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
    }
    (folder / "MLmodel").write_text(json.dumps(described))  # YAML takes JSON
    (folder / "requirements.txt").write_text("mlflow==3.0\nnotebook==7.0\n")
    digest = folder_digest(folder)
    shutil.rmtree(settings.home / "models" / digest, ignore_errors=True)
    folder.rename(settings.home / "models" / digest)
    made = ModelVersion(
        name=name, version=version, uri=f"models:/{name}/{version}", created=1.0, by="ann", digest=digest, flavor="sklearn", format="skops",
        size=4000, trusted=trusted, signature={"inputs": inputs, "outputs": outputs}, target=TARGET, task="classification", **parts,
    )  # fmt: skip
    state = registry.state_of(settings)
    standings = Standings(state)
    with state.begin() as connection:
        standings.keep(connection, made)
        standing = standings.get(name, connection) or Standing(name)
        standings.put(connection, standing.with_champion(version) if champion else standing)
    return registry.version(settings, f"{name}/{version}")


def files(folder: Path) -> set[str]:
    """The files below a folder, relative to it."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
