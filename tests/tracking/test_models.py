"""Finding scikit-learn's models among values: what they are, what was chosen, what came of the fit, and their bytes."""

from __future__ import annotations

import io
import pickle
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.cluster import DBSCAN, KMeans, MiniBatchKMeans
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, StandardScaler

from jupyter_mlops.errors import ModelRefused
from jupyter_mlops.tracking import models

X = pd.DataFrame(np.random.default_rng(0).random((60, 3)), columns=["a", "b", "c"])
Y = (X["a"] > 0.5).astype(int)


class Mine(BaseEstimator, ClassifierMixin):
    """As users write them: learns under a plain name."""

    def __init__(self, k: int = 3) -> None:
        self.k = k

    def fit(self, X: Any, y: Any) -> Mine:
        self.common = int(np.argmax(np.bincount(y)))
        self.seen = len(X)
        return self

    def predict(self, X: Any) -> Any:
        return np.full(len(X), self.common)


class Shifter(TransformerMixin, BaseEstimator):
    def fit(self, X: Any, y: Any = None) -> Shifter:
        self.shift_ = len(X)
        return self

    def transform(self, X: Any) -> Any:
        return X


class Untold(BaseEstimator):
    def get_params(self, deep: bool = True) -> Any:
        raise RuntimeError("no")


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Pretender:
    """Looks like an estimator to isinstance."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]  # that is the point of it
        return LogisticRegression


def scaled(estimator: Any) -> Pipeline:
    columns = ColumnTransformer([("num", StandardScaler(), ["a", "b"]), ("rest", "passthrough", ["c"])])
    return Pipeline([("columns", columns), ("clf", estimator)])


FITTABLE: list[Callable[[], Any]] = [
    LogisticRegression,
    lambda: RandomForestClassifier(5),
    lambda: KNeighborsClassifier(3),
    lambda: SGDClassifier(random_state=0),
    lambda: MLPClassifier(max_iter=3),
    lambda: KMeans(2, n_init=1),
    DBSCAN,
    StandardScaler,
    lambda: FunctionTransformer(np.log1p),
    Mine,
    Shifter,
    lambda: scaled(LogisticRegression()),
    lambda: GridSearchCV(scaled(LogisticRegression()), {"clf__C": [0.1, 1]}, cv=2),
    lambda: VotingClassifier([("a", LogisticRegression()), ("b", GradientBoostingClassifier(n_estimators=2))]),
    lambda: StackingClassifier([("a", LogisticRegression())], cv=2),
    lambda: TransformedTargetRegressor(Ridge()),
    lambda: FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())]),
    lambda: make_pipeline(StandardScaler(), KMeans(2, n_init=1)),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", FITTABLE)
def test_a_fit_is_seen_and_told_from_the_next(make: Callable[[], Any]) -> None:
    model = make()
    before = models.fit_state(model)
    assert (models.recognise(model), models.is_fitted(model)) == ("sklearn", False)

    model.fit(X, Y)
    first = models.fit_state(model)
    assert models.is_fitted(model)
    assert first != before
    if hasattr(model, "predict"):
        model.predict(X)
    assert models.fit_state(model) == first

    model.fit(X[:50], Y[:50])
    assert models.fit_state(model) != first


@pytest.mark.parametrize("model", [SGDClassifier(random_state=0), MiniBatchKMeans(2, n_init=1, random_state=0)], ids=repr)
def test_a_partial_fit_in_place_is_another_fit(model: Any) -> None:
    model.partial_fit(X, Y) if isinstance(model, MiniBatchKMeans) else model.partial_fit(X, Y, classes=[0, 1])
    first = models.fit_state(model)
    model.partial_fit(X, Y)
    assert models.fit_state(model) != first


NO_MODELS = [
    None,
    1,
    "clf",
    LogisticRegression,
    [1],
    X,
    Y,
    Hostile(),
    Pretender(),
    Mock(),
    MagicMock(spec=LogisticRegression),
    object(),
    len,
]


@pytest.mark.parametrize("value", NO_MODELS, ids=lambda value: type(value).__name__)
def test_what_is_no_model_has_no_answers(value: object) -> None:
    assert models.recognise(value) is None
    assert models.is_fitted(value) is False
    assert models.fit_state(value) is None
    assert models.is_preparation(value) is False
    assert models.choices(value) == models.all_params(value) == {}
    assert models.outcomes(value) == models.Outcomes()
    assert list(models.contained(value)) == []


@pytest.mark.parametrize(
    ("model", "prepares"),
    [
        (StandardScaler(), True),
        (OneHotEncoder(), True),
        (ColumnTransformer([("a", StandardScaler(), ["a"])]), True),
        (make_pipeline(StandardScaler(), OneHotEncoder()), True),
        (FeatureUnion([("a", StandardScaler())]), True),
        (Shifter(), True),
        (make_pipeline(StandardScaler(), LogisticRegression()), False),
        (KMeans(2), False),
        (Mine(), False),
    ],
    ids=repr,
)
def test_transformers_prepare_and_are_no_result(model: object, prepares: bool) -> None:
    assert models.is_preparation(model) is prepares


@pytest.mark.parametrize(
    ("model", "chosen"),
    [
        (LogisticRegression(), {}),
        (LogisticRegression(C=0.1, verbose=1, n_jobs=2), {"C": 0.1}),
        (LogisticRegression(class_weight={0: 1, 1: np.float64(2.0)}), {"class_weight": {"0": 1, "1": 2.0}}),
        (Mine(k=5), {"k": 5}),
        (Untold(), {}),
        (FunctionTransformer(np.log1p), {"func": "log1p"}),
        (FunctionTransformer(lambda x: x), {"func": "<lambda>"}),
        (
            scaled(LogisticRegression(C=0.5)),
            {
                "columns": "ColumnTransformer",
                "columns__num": "StandardScaler",
                "columns__num__columns": ["a", "b"],
                "columns__rest": "passthrough",
                "columns__rest__columns": ["c"],
                "clf": "LogisticRegression",
                "clf__C": 0.5,
            },
        ),
        (
            GridSearchCV(LogisticRegression(), {"C": np.array([0.1, 1.0])}, cv=2),
            {"cv": 2, "estimator": "LogisticRegression", "param_grid": {"C": [0.1, 1.0]}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_choices_are_what_differs_from_the_defaults(model: object, chosen: dict[str, Any]) -> None:
    assert models.choices(model) == chosen


def test_all_params_hold_the_defaults_too() -> None:
    params = models.all_params(make_pipeline(StandardScaler(), LogisticRegression(C=0.5)))
    assert params["logisticregression__C"] == 0.5
    assert params["logisticregression__fit_intercept"] is True
    assert params["standardscaler__with_mean"] is True


@pytest.mark.filterwarnings("ignore")
def test_a_search_tells_its_best_and_its_table() -> None:
    found = models.outcomes(GridSearchCV(scaled(LogisticRegression()), {"clf__C": [0.001, 10.0]}, cv=2).fit(X, Y))
    assert found.params == {"best.clf__C": 10.0}
    assert found.metrics["best_score"] > 0.8
    assert list(found.tables["cv_results"]["param_clf__C"]) == [0.001, 10.0]
    assert list(found.tables["cv_results"]["params"]) == ["{'clf__C': 0.001}", "{'clf__C': 10.0}"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("model", "metrics", "series"),
    [
        (KMeans(2, n_init=1), {"inertia", "n_iter"}, {}),
        (MLPClassifier(max_iter=4), {"n_iter", "loss", "best_loss"}, {"loss_curve": 4}),
        (GradientBoostingClassifier(n_estimators=3), set(), {"train_score": 3}),
        (make_pipeline(StandardScaler(), MLPClassifier(max_iter=4)), {"n_iter", "loss", "best_loss"}, {"loss_curve": 4}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_fit_tells_its_losses(model: Any, metrics: set[str], series: dict[str, int]) -> None:
    found = models.outcomes(model.fit(X, Y))
    assert metrics <= found.metrics.keys()
    assert {name: len(points) for name, points in found.series.items()} == series
    assert all([step for step, _ in points] == list(range(len(points))) for points in found.series.values())


@dataclass
class Bundle:
    model: Any
    name: str = "b"


def test_models_inside_collections_are_found_with_their_path() -> None:
    one, two, three, four = LogisticRegression(), Ridge(), KMeans(), StandardScaler()
    value = {"svm": one, "rest": [two, {"deep": [KMeans()]}], "bundle": Bundle(three), "pair": ("scaler", four)}
    assert dict(models.contained(value)) == {"['svm']": one, "['rest'][0]": two, "['bundle'].model": three, "['pair'][1]": four}
    assert len(list(models.contained([Ridge() for _ in range(1_000)]))) == 50


@pytest.mark.parametrize(
    "data",
    [
        X,
        X["a"],
        X.to_numpy(),
        scipy.sparse.csr_array(X.to_numpy()),
        scipy.sparse.coo_matrix(X.to_numpy()),
        X.to_numpy().tolist(),
        ["a", "b", "c", "d", "e", "f"],
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_example_is_a_copy_of_the_first_rows(data: Any) -> None:
    rows = models.example(data)
    assert (rows.shape[0] if hasattr(rows, "shape") else len(rows)) == 5
    assert rows is not data


@pytest.mark.parametrize(
    "data",
    [None, 3, "text", iter([1]), Hostile(), Mock(), np.array(1.0), np.zeros((5, 2_000_000)), []],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_rows_gives_no_example(data: Any) -> None:
    assert models.example(data) is None


def test_an_example_is_found_by_the_width_of_the_model() -> None:
    model = LogisticRegression().fit(X, Y)
    rows = models.example_for(model, [np.ones((9, 2)), "text", X])
    pd.testing.assert_frame_equal(rows, X[:5])
    assert models.example_for(model, [np.ones((9, 2))]) is None


class Raising:
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


class Endless:
    def __reduce__(self) -> Any:
        return (list, ([Endless()],))


def generator() -> Any:
    yield 1


def frame() -> Any:
    return sys._getframe()


UNPICKLABLE: dict[str, Callable[[], Any]] = {
    "lock": threading.Lock,
    "rlock": threading.RLock,
    "condition": threading.Condition,
    "event": threading.Event,
    "thread-local": threading.local,
    "thread": lambda: threading.Thread(target=print),
    "generator": generator,
    "open file": lambda: io.FileIO(__file__),
    "buffer": lambda: io.BufferedReader(io.FileIO(__file__)),
    "socket": lambda: socket.socket(),
    "database": lambda: sqlite3.connect(":memory:"),
    "cursor": lambda: sqlite3.connect(":memory:").cursor(),
    "frame": frame,
    "map with generator": lambda: map(str, generator()),
    "process": lambda: subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL),
    "raising": Raising,
    "endless": Endless,
    "weak reference": lambda: __import__("weakref").ref(Mine),
    "coroutine": lambda: _coroutine(),
}


async def _nothing() -> None:
    """Awaited by nobody."""


def _coroutine() -> Any:
    started = _nothing()
    started.close()
    return started


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", UNPICKLABLE.values(), ids=UNPICKLABLE.keys())
def test_what_cannot_be_packed_is_named_with_its_place(make: Callable[[], Any]) -> None:
    model = make_pipeline(StandardScaler(), Mine()).fit(X, Y)
    model.steps[1][1].resource = make()
    with pytest.raises(ModelRefused, match=r"steps\[1\]\[1\]\.resource") as refusal:
        models.pack(model)
    assert "it holds a" in str(refusal.value)
    assert "cannot be pickled" in str(refusal.value)


def test_a_model_larger_than_the_limit_is_refused() -> None:
    with pytest.raises(ModelRefused, match="more than 1 MB"):
        models.pack(KNeighborsClassifier().fit(np.zeros((100_000, 2)), np.zeros(100_000)), limit=1_000_000)


def test_a_packed_model_predicts_the_same() -> None:
    model = scaled(RandomForestClassifier(5, random_state=0)).fit(X, Y)
    np.testing.assert_array_equal(pickle.loads(models.pack(model)).predict_proba(X), model.predict_proba(X))


def test_importing_the_kernel_side_imports_no_library() -> None:
    heavy = ("numpy", "pandas", "sklearn", "mlflow", "cloudpickle", "torch")
    code = f"import sys, jupyter_mlops.tracking.models; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
