"""Models end up in MLflow by their own flavors and predict the same; what may not be saved is refused with the line that allows it."""

from __future__ import annotations

import os
import pickle
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from mlflow import MlflowClient
from sklearn.cluster import DBSCAN, Birch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, StackingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import ModelRefused, StoreError
from jupyter_mlops.store import trust
from jupyter_mlops.store.models import ModelSaver, SavedModel
from jupyter_mlops.store.objects import ObjectStore
from jupyter_mlops.tracking import models
from tests.conftest import forget_tracking_uri

RANDOM = np.random.default_rng(0)
N = pd.DataFrame(RANDOM.random((60, 3)), columns=["a", "b", "c"])
MIXED = N.assign(
    s=["x", "y", "z"] * 20, flag=N["a"] > 0.5, day=pd.Timestamp("2026-01-01"), kind=pd.Categorical(["p", "q", "r"] * 20), n=range(60)
)
Y = (N["a"] > 0.5).astype(int)
TEXTS = ["good film", "bad play"] * 30
warnings.simplefilter("ignore")


@dataclass
class Desk:
    """A store, a saver, and what a delivery does with them."""

    folder: Path
    saver: ModelSaver
    uri: str = ""
    experiment: str = ""
    objects: ObjectStore = field(init=False)

    def __post_init__(self) -> None:
        self.uri = f"sqlite:///{self.folder / 'mlflow.db'}"
        self.client = MlflowClient(self.uri)
        self.experiment = self.client.create_experiment("tests", artifact_location=str(self.folder / "artifacts"))
        self.objects = ObjectStore(self.folder / "objects")

    def run(self) -> str:
        """A finished run."""
        run_id: str = self.client.create_run(self.experiment).info.run_id
        self.client.set_terminated(run_id, "FINISHED", end_time=1_000)
        return run_id

    def save(self, model: Any, data: Any = None, *, run_id: str = "", sys_path: tuple[str, ...] = (), **settings: Any) -> SavedModel:
        rows = models.example(data)
        record = {
            "name": "models['clf']",
            "class": type(model).__name__,
            "flavor": models.recognise(model),
            "transport": self.objects.put(models.pack(model)),
            "example": None if rows is None else self.objects.put(pickle.dumps(rows)),
        }
        chosen = Settings(project=self.folder, **settings)
        return self.saver.save(run_id or self.run(), self.uri, record, self.objects, chosen, ["pandas==3.1.1"], list(sys_path))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with ModelSaver() as saver:
        made = Desk(tmp_path_factory.mktemp("models"), saver)
        mlflow.set_tracking_uri(made.uri)
        yield made
        forget_tracking_uri()


def mixed() -> Any:
    columns = ColumnTransformer([("num", StandardScaler(), ["a", "n"]), ("cat", OneHotEncoder(), ["s", "flag", "kind"])])
    return make_pipeline(columns, LogisticRegression())


SAVED: dict[str, tuple[Any, Any]] = {
    "linear": (LogisticRegression(), N),
    "array": (LogisticRegression(), N.to_numpy()),
    "sparse": (LogisticRegression(), scipy.sparse.csr_matrix(N.to_numpy())),
    "forest": (RandomForestClassifier(5), N),
    "histogram": (HistGradientBoostingClassifier(max_iter=3), N),
    "neighbours": (KNeighborsClassifier(), N),
    "mixed columns": (mixed(), MIXED),
    "texts": (make_pipeline(TfidfVectorizer(), LogisticRegression()), TEXTS),
    "text column": (make_pipeline(TfidfVectorizer(), LogisticRegression()), pd.Series(TEXTS)),
    "search": (GridSearchCV(make_pipeline(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}, cv=2), N),
    "stack": (StackingClassifier([("a", LogisticRegression()), ("b", KNeighborsClassifier())], cv=2), N),
    "selection": (make_pipeline(SelectKBest(k=2), LogisticRegression()), N),
    "ufunc": (make_pipeline(FunctionTransformer(np.log1p), LogisticRegression()), N),
}


@pytest.mark.parametrize(("model", "data"), SAVED.values(), ids=SAVED.keys())
def test_a_saved_model_predicts_the_same(desk: Desk, model: Any, data: Any) -> None:
    model.fit(data, Y)
    rows = models.example(data)
    rows = np.array(list(rows), dtype=object) if isinstance(rows, (list, pd.Series)) else rows

    saved = desk.save(model, data)

    assert (saved.format, saved.flavor, saved.signature, saved.notes) == ("skops", "sklearn", True, ())
    assert saved.size > 0
    loaded = mlflow.pyfunc.load_model(saved.uri)
    np.testing.assert_array_equal(loaded.predict(rows), model.predict(rows))
    np.testing.assert_array_equal(mlflow.sklearn.load_model(saved.uri).predict_proba(rows), model.predict_proba(rows))
    assert loaded.metadata.signature.outputs is not None
    assert loaded.metadata.saved_input_example_info is not None


@pytest.mark.parametrize("model", [StandardScaler(), DBSCAN()], ids=repr)
def test_what_cannot_predict_is_saved_too(desk: Desk, model: Any) -> None:
    saved = desk.save(model.fit(N), N)
    assert type(mlflow.sklearn.load_model(saved.uri)) is type(model)
    assert saved.signature


def test_the_run_keeps_its_status_and_shows_the_model_once(desk: Desk) -> None:
    run_id, model = desk.run(), LogisticRegression().fit(N, Y)
    first = desk.save(model, N, run_id=run_id)
    assert desk.save(model, N, run_id=run_id) == first

    run = desk.client.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("FINISHED", 1_000)
    assert [output.model_id for output in run.outputs.model_outputs] == [first.uri.removeprefix("models:/")]
    logged = desk.client.get_logged_model(first.uri.removeprefix("models:/"))
    assert (logged.experiment_id, logged.source_run_id, logged.name, logged.status) == (desk.experiment, run_id, "models[_clf_]", "READY")
    requirements = (Path(logged.artifact_location.removeprefix("file://")) / "requirements.txt").read_text().split()
    assert "pandas==3.1.1" in requirements
    assert {item.split("==")[0] for item in requirements} >= {"scikit-learn", "skops", "mlflow"}


IN_A_NOTEBOOK = """
from sklearn.base import BaseEstimator
class InNotebook(BaseEstimator):
    def fit(self, X, y):
        self.seen_ = len(X)
        return self
    def predict(self, X):
        return [self.seen_] * len(X)
def double(values):
    return values * 2
"""
NOTEBOOK: dict[str, Any] = {"__name__": "__main__"}
exec(IN_A_NOTEBOOK, NOTEBOOK)
InNotebook, double = NOTEBOOK["InNotebook"], NOTEBOOK["double"]


@pytest.mark.parametrize(
    ("model", "names", "line"),
    [
        (InNotebook(), "InNotebook is defined in the notebook", '[tool.mlops] pickle = ["sklearn"]'),
        (
            make_pipeline(FunctionTransformer(double), LogisticRegression()),
            "double is defined in the notebook",
            '[tool.mlops] pickle = ["sklearn"]',
        ),
        (Birch(n_clusters=2), "Birch", '[tool.mlops] pickle = ["sklearn"]'),
        (FunctionTransformer(pd.read_json), "pandas.read_json is not known to be safe", '[tool.mlops] trust = ["pandas.read_json"]'),
        (FunctionTransformer(os.system), "posix.system, which no setting trusts", "leave it out"),
        (FunctionTransformer(eval), "builtins.eval, which no setting trusts", "leave it out"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refusal_names_the_type_and_the_line_that_allows_it(desk: Desk, model: Any, names: str, line: str) -> None:
    if isinstance(model, (InNotebook, Birch)):
        model.fit(N, Y)
    with pytest.raises(ModelRefused) as refusal:
        desk.save(model)
    assert names in str(refusal.value)
    assert line in str(refusal.value)


def test_pickle_is_used_where_the_user_chose_it(desk: Desk) -> None:
    saved = desk.save(InNotebook().fit(N, Y), N, pickle=("sklearn",))
    assert saved.format == "cloudpickle"
    assert list(mlflow.pyfunc.load_model(saved.uri).predict(N[:2])) == [60, 60]
    assert desk.save(LogisticRegression().fit(N, Y), N, pickle=("sklearn",)).format == "skops"


def test_a_type_of_the_project_is_saved_once_it_is_trusted(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ours.py").write_text("from sklearn.linear_model import LogisticRegression\nclass Ours(LogisticRegression):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import ours  # type: ignore[import-not-found]  # written above

    model = ours.Ours().fit(N, Y)
    with pytest.raises(ModelRefused, match=r'trust = \["ours.Ours"\]'):
        desk.save(model, N, sys_path=(str(tmp_path),))
    saved = desk.save(model, N, sys_path=(str(tmp_path),), trust=("ours.Ours",))
    assert saved.trusted == ("ours.Ours",)
    with pytest.raises(ModelRefused, match="cannot be loaded outside the notebook"):
        desk.save(model, N, trust=("ours.Ours",))


MISBEHAVING = """
import os, time
from sklearn.linear_model import LogisticRegression
class Printing(LogisticRegression):
    def predict(self, X):
        print("x" * 100_000); return super().predict(X)
class Failing(LogisticRegression):
    def predict(self, X): raise ValueError("not today")
class Hanging(LogisticRegression):
    def predict(self, X): time.sleep(600)
class Crashing(LogisticRegression):
    def predict(self, X): os.kill(os.getpid(), 11)
class Leaving(LogisticRegression):
    def predict(self, X): raise SystemExit(3)
"""


def test_a_model_that_misbehaves_hurts_nobody(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "misbehaving.py").write_text(MISBEHAVING)
    monkeypatch.syspath_prepend(tmp_path)
    import misbehaving  # type: ignore[import-not-found]  # written above

    names = tuple(f"misbehaving.{name}" for name in ("Printing", "Failing", "Hanging", "Crashing", "Leaving"))

    def save(kind: Any) -> SavedModel:
        return desk.save(kind().fit(N, Y), N, sys_path=(str(tmp_path),), trust=names)

    assert save(misbehaving.Printing).notes == ()
    failing = save(misbehaving.Failing)
    assert failing.signature
    assert "not today" in failing.notes[0]
    with pytest.raises(ModelRefused, match="SIGSEGV"):
        save(misbehaving.Crashing)
    with pytest.raises(ModelRefused, match="SystemExit"):
        save(misbehaving.Leaving)
    monkeypatch.setattr(desk.saver, "time_limit", 3.0 + _start_time(desk, tmp_path))
    with pytest.raises(ModelRefused, match="took more than"):
        save(misbehaving.Hanging)
    monkeypatch.undo()
    assert desk.save(LogisticRegression().fit(N, Y), N).format == "skops"


def _start_time(desk: Desk, folder: Path) -> float:
    """Seconds that a fresh saver needs on this machine."""
    desk.saver.close()
    started = time.monotonic()
    desk.save(LogisticRegression().fit(N, Y), N, sys_path=(str(folder),))
    return time.monotonic() - started


def test_a_store_that_fails_is_no_fault_of_the_model(desk: Desk, tmp_path: Path) -> None:
    elsewhere = Desk.__new__(Desk)
    elsewhere.folder, elsewhere.saver, elsewhere.objects = desk.folder, desk.saver, desk.objects
    elsewhere.uri = f"sqlite:///{tmp_path / 'missing' / 'folder' / 'mlflow.db'}"
    (tmp_path / "missing").write_text("a file where a folder should be")
    with pytest.raises(StoreError, match="tried again"):
        elsewhere.save(LogisticRegression().fit(N, Y), N, run_id="0" * 32)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("sklearn.tree._tree.Tree", True),
        ("scipy.sparse._csr.csr_matrix", True),
        ("sklearn.feature_selection._univariate_selection.f_classif", True),
        ("sklearn.utils.validation.check_array", True),
        ("numpy.mean", True),
        ("collections.OrderedDict", True),
        ("numpy.load", False),
        ("numpy.memmap", False),
        ("pandas.io.pickle.read_pickle", False),
        ("pandas.core.computation.eval.eval", False),
        ("numpy.testing._private.utils.runstring", False),
        ("sklearn.utils.os", False),
        ("posix.system", False),
        ("builtins.eval", False),
        ("builtins.getattr", False),
        ("operator.itemgetter", False),
        ("sklearn.no_such.Thing", False),
        ("mine.Foo", False),
        ("__main__.Foo", False),
    ],
)
def test_known_libraries_are_trusted_by_exact_type(name: str, known: bool) -> None:
    assert trust.is_known(name) is known


def test_what_runs_commands_is_trusted_by_no_setting() -> None:
    verdict = trust.judge(["posix.system", "mine.Foo", "__main__.f", "sklearn.tree._tree.Tree"], chosen=("posix.system", "mine.Foo"))
    assert verdict == trust.Verdict(
        trusted=("mine.Foo", "sklearn.tree._tree.Tree"), unknown=(), notebook=("__main__.f",), never=("posix.system",)
    )
