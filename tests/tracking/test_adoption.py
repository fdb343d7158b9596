"""Notebooks that use MLflow themselves: their runs stay theirs, ours are added to them, and nothing is there twice."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mlflow.entities import Run

from tests.conftest import OURS, Kernel, end_workers
from tests.delivered import flush, mlflow_runs, store, with_database
from tests.delivery_desk import wait_until

SETUP = """
%load_ext jupyter_mlops
import threading, warnings, mlflow, numpy as np
from sklearn.linear_model import LogisticRegression
warnings.simplefilter("ignore")
X = np.random.default_rng(0).random((40, 3)); y = (X[:, 0] > 0.5).astype(int)
"""


@dataclass(slots=True)
class Study:
    """A notebook that goes on from test to test."""

    project: Path
    kernel: Kernel

    def made_by(self, *cells: str, uri: str | None = None) -> list[Run]:
        """The runs that are new in MLflow after these cells were run and delivered."""
        before = {run.info.run_id for run in mlflow_runs(self.project)}
        for cell in cells:
            assert self.kernel.run(cell).error == ""
        flush(self.project)
        return [run for run in mlflow_runs(self.project, uri) if run.info.run_id not in before]

    def history(self, run: Run, metric: str) -> list[float]:
        return [point.value for point in store(self.project).get_metric_history(run.info.run_id, metric)]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    """One notebook for all tests here: MLflow and scikit-learn take seconds to import."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        project = with_database(tmp_path_factory.mktemp("adoption"))
        kernel = Kernel(project)
        kernel.run(SETUP)
        yield Study(project, kernel)
        kernel.close()
        end_workers(project)


def test_what_the_user_logged_wins_and_ours_is_added(study: Study) -> None:
    [run] = study.made_by(
        "with mlflow.start_run(run_name='mine'):\n"
        "    mlflow.log_param('C', 99)\n"
        "    clf = LogisticRegression(C=0.5, max_iter=300).fit(X, y)\n"
        "    acc = clf.score(X, y)\n"
        "    half = acc / 2\n"
        "    mlflow.log_metric('acc', 0.25)\n"
        "    mlflow.log_metric('theirs', 1.0)"
    )
    half = float(study.kernel.run("print(half)").stdout)
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert run.data.params == {"C": "99", "max_iter": "300"}
    assert run.data.metrics == {"acc": 0.25, "theirs": 1.0, "half": half}
    assert {name: study.history(run, name) for name in run.data.metrics} == {"acc": [0.25], "theirs": [1.0], "half": [half]}
    assert len(run.outputs.model_outputs) == 1
    assert {item.dataset.name for item in run.inputs.dataset_inputs} >= {"X", "y"}


def test_a_run_that_stays_open_is_ended_by_the_user_alone(study: Study) -> None:
    [run] = study.made_by("mine = mlflow.start_run()\nclf = LogisticRegression(C=0.5).fit(X, y)")
    assert (run.info.status, run.info.end_time) == ("RUNNING", None)
    study.kernel.run("mlflow.end_run()")
    wait_until(lambda: "C" in store(study.project).get_run(run.info.run_id).data.params)
    flush(study.project)
    ended = store(study.project).get_run(run.info.run_id)
    assert (ended.info.status, ended.data.params) == ("FINISHED", {"C": "0.5"})
    assert len(ended.outputs.model_outputs) == 1


def test_a_loop_over_runs_of_the_user(study: Study) -> None:
    runs = study.made_by(
        "for c in (0.1, 1.0, 10.0):\n"
        "    with mlflow.start_run():\n"
        "        mlflow.log_param('C', c)\n"
        "        clf = LogisticRegression(C=c).fit(X, y)\n"
        "        mlflow.log_metric('score', clf.score(X, y))"
    )
    assert [run.data.params["C"] for run in runs] == ["0.1", "1.0", "10.0"]
    assert [len(study.history(run, "score")) for run in runs] == [1, 1, 1]
    assert [len(run.outputs.model_outputs) for run in runs] == [1, 1, 1]
    assert {run.info.status for run in runs} == {"FINISHED"}


def test_nested_runs_keep_their_parent(study: Study) -> None:
    outer, inner = study.made_by(
        "with mlflow.start_run(run_name='outer'):\n"
        "    with mlflow.start_run(run_name='inner', nested=True):\n"
        "        clf = LogisticRegression(C=0.3).fit(X, y)"
    )
    assert (outer.info.run_name, outer.data.params) == ("outer", {})
    assert (inner.info.run_name, inner.data.params) == ("inner", {"C": "0.3"})
    assert inner.data.tags["mlflow.parentRunId"] == outer.info.run_id


def test_a_run_without_a_fit_stays_as_it_is(study: Study) -> None:
    [run] = study.made_by(
        "with mlflow.start_run():\n    mlflow.log_metric('m', 1.5)\n    mlflow.log_text('kept', 'note.txt')\ntotal = X.sum()"
    )
    assert (run.data.params, run.data.metrics, run.info.status) == ({}, {"m": 1.5}, "FINISHED")
    assert [item.path for item in store(study.project).list_artifacts(run.info.run_id)] == ["note.txt"]


def test_a_run_that_raises_is_failed_once(study: Study) -> None:
    before = len(mlflow_runs(study.project))
    shown = study.kernel.run("with mlflow.start_run():\n    clf = LogisticRegression(C=0.7).fit(X, y)\n    raise LookupError('gone')")
    assert shown.error == "LookupError: gone"
    flush(study.project)
    [run] = mlflow_runs(study.project)[before:]
    assert (run.info.status, run.data.tags["mlops.error"], run.data.params) == ("FAILED", "LookupError: gone", {"C": "0.7"})


def test_autologging_makes_the_one_run_and_the_one_model(study: Study) -> None:
    [run] = study.made_by("mlflow.sklearn.autolog(silent=True)", "clf = LogisticRegression(C=0.25).fit(X, y)", "acc = clf.score(X, y)")
    study.kernel.run("mlflow.sklearn.autolog(disable=True)")
    assert (run.info.status, run.data.params["C"], run.data.tags["estimator_name"]) == ("FINISHED", "0.25", "LogisticRegression")
    assert len(run.outputs.model_outputs) == 1
    assert "training_accuracy_score" in run.data.metrics
    assert "acc" in run.data.metrics
    assert all(len(study.history(run, name)) == 1 for name in run.data.metrics)


def test_autologging_of_fits_in_a_loop(study: Study) -> None:
    runs = study.made_by(
        "mlflow.sklearn.autolog(silent=True)",
        "for c in (0.1, 1.0):\n    clf = LogisticRegression(C=c).fit(X, y)",
        "mlflow.sklearn.autolog(disable=True)",
    )
    assert [run.data.params["C"] for run in runs if "C" in run.data.params] == ["0.1", "1.0"]
    assert sum(len(run.outputs.model_outputs) for run in runs if run.outputs) == 2


def test_threads_that_log(study: Study) -> None:
    [run] = study.made_by(
        "with mlflow.start_run() as active:\n"
        "    clf = LogisticRegression(C=0.4).fit(X, y)\n"
        "    def log(part):\n"
        "        for step in range(20):\n"
        "            mlflow.log_metric(f'part{part}', step / 2, step=step, run_id=active.info.run_id)\n"
        "    threads = [threading.Thread(target=log, args=(part,)) for part in range(4)]\n"
        "    for thread in threads: thread.start()\n"
        "    for thread in threads: thread.join()"
    )
    assert {f"part{part}": study.history(run, f"part{part}") for part in range(4)} == {
        f"part{part}": [step / 2 for step in range(20)] for part in range(4)
    }
    assert run.data.params == {"C": "0.4"}


def test_the_experiment_that_the_user_set(study: Study) -> None:
    [run] = study.made_by("mlflow.set_experiment('sweep')", "clf = LogisticRegression(C=0.6).fit(X, y)")
    assert store(study.project).get_experiment(run.info.experiment_id).name == "sweep"
    [own] = study.made_by("with mlflow.start_run():\n    clf = LogisticRegression(C=0.65).fit(X, y)")
    assert own.info.experiment_id == run.info.experiment_id


def test_the_tracking_uri_that_the_user_set(study: Study) -> None:
    before = mlflow_runs(study.project)
    uri = f"sqlite:///{study.project}/other.db"
    here = f"sqlite:///{study.project}/mlflow.db"
    other = study.made_by(
        f"mlflow.set_tracking_uri('{uri}')\nmlflow.set_experiment('far')",
        "clf = LogisticRegression(C=0.8).fit(X, y)",
        "with mlflow.start_run():\n    clf = LogisticRegression(C=0.9).fit(X, y)",
        f"mlflow.set_tracking_uri('{here}')",
        uri=uri,
    )
    assert [run.data.params for run in other] == [{"C": "0.8"}, {"C": "0.9"}]
    assert {run.info.run_id for run in mlflow_runs(study.project)} == {run.info.run_id for run in before}
