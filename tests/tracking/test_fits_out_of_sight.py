"""Fits that no call in a cell's own text reports, and calls that only look like fits: which runs they make."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Notebook

DATA = """
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache
import copy, threading
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_validate, GridSearchCV
from sklearn.pipeline import make_pipeline
X, y = load_iris(return_X_y=True)
"""
TRAIN = "def train(C):\n    return LogisticRegression(C=C, max_iter=500).fit(X, y)"
LIBRARY = "from sklearn.linear_model import LogisticRegression, Ridge\n" + (
    "def candidates(X, y):\n    return {'a': LogisticRegression(max_iter=500).fit(X, y), 'b': Ridge().fit(X, y)}\n"
    "def untrained():\n    return [LogisticRegression(), Ridge()]\n"
)
THREE = ["parent", "LogisticRegression", "LogisticRegression", "LogisticRegression"]
TWO = ["parent", "LogisticRegression", "LogisticRegression"]
MIXED = ["parent", "LogisticRegression", "Ridge"]
MODELS = "models = [LogisticRegression(C=C, max_iter=500) for C in (0.1, 1.0)]"
START = "threads = [threading.Thread(target=m.fit, args=(X, y)) for m in models]"
THREADS = "\n[thread.start() for thread in threads]\n[thread.join() for thread in threads]\nNone"

CASES = [
    (
        "models fitted in a pool of threads",
        [MODELS, "with ThreadPoolExecutor() as pool:\n    list(pool.map(lambda m: m.fit(X, y), models))"],
        TWO,
    ),
    (
        "a function that fits, in a pool",
        [TRAIN, "with ThreadPoolExecutor() as pool:\n    made = list(pool.map(train, [0.1, 1.0, 10.0]))"],
        THREE,
    ),
    (
        "futures",
        [
            MODELS,
            "pool = ThreadPoolExecutor()\njobs = [pool.submit(m.fit, X, y) for m in models]\nmade = [job.result() for job in jobs]",
        ],
        TWO,
    ),
    ("threads", [f"{MODELS}\n{START}{THREADS}"], TWO),
    (
        "threads, models of an earlier cell",
        [MODELS, f"{START}{THREADS}"],
        TWO,
    ),
    ("map with a lambda", ["models = [LogisticRegression(max_iter=500), Ridge()]\nlist(map(lambda m: m.fit(X, y), models))"], MIXED),
    ("a dict of models fitted by a library", ["import library\nmodels = library.candidates(X, y)"], MIXED),
    ("models that a library only builds", ["import library\nmodels = library.untrained()"], []),
    ("models that are copied", [f"{TRAIN}\nclf = train(1.0)", "copies = [copy.deepcopy(clf)]", "best = copies[0]"], ["LogisticRegression"]),
    ("a cached function called twice", [f"@lru_cache\n{TRAIN}", "a = train(1.0)\nb = train(1.0)"], ["LogisticRegression"]),
    ("a cached function called in two cells", [f"@cache\n{TRAIN}", "a = train(1.0)", "b = train(1.0)"], ["LogisticRegression"]),
    ("a cached function in a loop", [f"@cache\n{TRAIN}", "for C in (0.1, 1.0, 0.1):\n    clf = train(C)"], TWO),
    ("the last part of a pipeline", ["lr = LogisticRegression(max_iter=500)\nm = make_pipeline(lr).fit(X, y)", "lr.coef_"], ["Pipeline"]),
    (
        "a part of a part of a pipeline",
        ["lr = Ridge()\ninner = make_pipeline(lr)\nm = make_pipeline(inner).fit(X, y)", "m.fit(X, y)"],
        ["Pipeline", "Pipeline"],
    ),
    (
        "the models of a cross-validation are its own",
        ["scores = cross_validate(LogisticRegression(max_iter=500), X, y, return_estimator=True)"],
        ["cross_validate"],
    ),
]


@pytest.mark.parametrize(("cells", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_runs_of_fits_out_of_sight(
    notebook: Notebook, project: Path, monkeypatch: pytest.MonkeyPatch, cells: list[str], expected: list[str]
) -> None:
    (project / "library.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(project)
    notebook.run(DATA, *cells)
    kinds = [run.model["class"] if run.model else "parent" if "parent" in expected else "cross_validate" for run in notebook.runs]
    assert sorted(kinds) == sorted(expected)
    assert [run.parent is not None for run in notebook.runs].count(True) == (len(expected) - 1 if "parent" in expected else 0)
    assert {run.status for run in notebook.runs} <= {"FINISHED"}


def test_a_cached_function_that_raises_makes_a_failed_run(notebook: Notebook) -> None:
    notebook.run(DATA, "@cache\ndef train(C):\n    return LogisticRegression(C=C).fit(X[:3], y)", "train(1.0)")
    assert [run.status for run in notebook.runs] == ["FAILED"]


def test_later_results_of_a_cached_model_join_its_run(notebook: Notebook) -> None:
    notebook.run(DATA, f"@cache\n{TRAIN}", "a = train(1.0)", "b = train(1.0)\nscore = b.score(X, y)")
    assert [sorted(run.metrics) for run in notebook.runs] == [["score"]]


@pytest.mark.parametrize(
    ("cells", "names"),
    [
        (["ev = {'acc': clf.score(X, y)}\nprint(ev['acc'])", "ev['acc']"], ["acc"]),
        (["ev = {'acc': clf.score(X, y)}", "ev['acc'] / 2"], ["acc", "ev['acc'] / 2"]),
        (
            ["gs = GridSearchCV(clf, {'C': [1.0, 0.5]}, cv=2).fit(X, y)\nprint(gs.best_score_)", "gs.best_score_"],
            ["best_index", "best_score"],
        ),
    ],
)
def test_a_value_has_one_name(notebook: Notebook, cells: list[str], names: list[str]) -> None:
    notebook.run(DATA, "clf = LogisticRegression(max_iter=500).fit(X, y)", *cells)
    assert sorted(notebook.runs[-1].metrics) == names
