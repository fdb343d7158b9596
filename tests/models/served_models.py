"""Models that services are tried with, small and quickly fitted, as a source gives them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from jupyter_mlops.models.serving.sources import Loaded

TYPES = {"float64": "double", "float32": "float", "int64": "long", "int32": "integer", "bool": "boolean", "datetime64[ns]": "datetime"}


@functools.cache
def numbers(rows: int = 200) -> pd.DataFrame:
    """Columns of numbers only."""
    return pd.DataFrame(np.random.default_rng(0).normal(size=(rows, 5)), columns=[f"x{place}" for place in range(5)])


@functools.cache
def mixed(rows: int = 200) -> pd.DataFrame:
    """Columns of several types, with missing values."""
    chance = np.random.default_rng(1)
    frame = pd.DataFrame({
        "age": chance.integers(18, 90, rows),
        "income": chance.normal(30_000, 9_000, rows).round(2),
        "city": chance.choice(["Aarhus", "Bergen", "Lund"], rows),
        "member": chance.random(rows) < 0.5,
    })  # fmt: skip
    frame.loc[3, "income"] = np.nan
    return frame


def truth(frame: pd.DataFrame) -> Any:
    """Something to learn."""
    return (frame.iloc[:, 0] > frame.iloc[:, 0].median()).astype(int)


def inputs_of(frame: pd.DataFrame) -> tuple[dict[str, Any], ...]:
    """MLflow's schema of a frame."""
    return tuple({"name": name, "type": TYPES.get(str(kind), "string"), "required": True} for name, kind in frame.dtypes.items())


@functools.cache
def classifier() -> Any:
    """Goes by the names of its columns."""
    frame = mixed()
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), ["age", "income"]), (OneHotEncoder(), ["city"]), remainder="passthrough"
    )
    return make_pipeline(columns, LogisticRegression()).fit(frame, truth(frame))


@functools.cache
def forest() -> Any:
    """Takes numbers only."""
    return RandomForestClassifier(n_estimators=5, random_state=0).fit(numbers(), truth(numbers()))


@functools.cache
def line() -> Any:
    """A regression whose last bits depend on how many rows are multiplied at once."""
    frame = numbers(500)
    return make_pipeline(StandardScaler(), Ridge()).fit(frame, frame.sum(axis=1) * np.pi)


class Constant:
    """Predicts its version, for each row, after a while."""

    def __init__(self, version: int, seconds: float = 0.0, each: float = 0.0) -> None:
        self.version, self.seconds, self.each = version, seconds, each

    def predict(self, rows: Any) -> Any:
        if self.seconds or self.each:
            time.sleep(self.seconds + self.each * len(rows))
        return np.full(len(rows), self.version)


class Picky:
    """Fails on rows in which x0 is negative."""

    def predict(self, rows: Any) -> Any:
        first = np.asarray(rows)[:, 0]
        if (first < 0).any():
            raise ValueError("x0 is negative")
        return first * 2


class Ending:
    """Ends the process that predicts with it, if it can."""

    def predict(self, rows: Any) -> Any:
        raise SystemExit("the model wants to end")


def loaded(model: Any, version: int = 1, frame: pd.DataFrame | None = None, **fields: Any) -> Callable[[], Loaded]:
    """How a source makes a version of a model; its columns are those of `frame`."""
    rows = numbers() if frame is None else frame
    given = {"inputs": inputs_of(rows), "example": {"dataframe_split": split(rows.dropna().iloc[:2])}, **fields}
    return lambda: Loaded(name="shop", version=version, model=model, **given)


def constant(version: int, **fields: Any) -> Callable[[], Loaded]:
    """A version that predicts its own number."""
    return loaded(Constant(version), version, **fields)


def split(frame: pd.DataFrame) -> dict[str, Any]:
    """A frame as `dataframe_split` has it."""
    told = frame.astype(object).where(frame.notna(), None).to_dict(orient="split")
    return {"columns": told["columns"], "data": told["data"]}
