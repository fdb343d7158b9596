"""Which runs a notebook's cells make, and what belongs to each."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_mlops.records import Run
from jupyter_mlops.store import snapshots

from .conftest import Notebook

DATA = """
import numpy as np, pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split, cross_val_score, GridSearchCV
from sklearn.preprocessing import StandardScaler
from sklearn.pipeline import make_pipeline
from sklearn.cluster import KMeans
from sklearn.tree import DecisionTreeClassifier
from sklearn.metrics import accuracy_score, f1_score, classification_report
X, y = load_breast_cancer(return_X_y=True)
X = X[:, :5]
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=7)
"""
FIT = "clf = LogisticRegression(C=0.5, max_iter=2000).fit(X_train, y_train)"

TRAIN = "def train(depth):\n    return DecisionTreeClassifier(max_depth=depth).fit(X_train, y_train)"


def facts(run: Run) -> dict[str, Any]:
    """What a case states of a run: the class of its model, its status, the names of its metrics, and how it stands to other runs."""
    return {
        "model": run.model["class"] if run.model else None,
        "status": run.status,
        "metrics": sorted(run.metrics),
        "child": run.parent is not None,
        "cells": list(run.cells),
    }


def run(model: str | None, metrics: list[str], cells: list[int], *, status: str = "FINISHED", child: bool = False) -> dict[str, Any]:
    return {"model": model, "status": status, "metrics": metrics, "child": child, "cells": cells}


CASES: list[tuple[str, list[str], list[dict[str, Any]]]] = [
    ("a mean makes no run", ["pd.DataFrame(X).mean()", "m = X.mean()"], []),
    ("a fit makes a run", [FIT], [run("LogisticRegression", [], [2])]),
    ("a number assigned", [FIT + "\nacc = accuracy_score(y_test, clf.predict(X_test))"], [run("LogisticRegression", ["acc"], [2])]),
    ("a number shown", [FIT, "clf.score(X_test, y_test)"], [run("LogisticRegression", ["clf.score(X_test, y_test)"], [2, 3])]),
    (
        "a number printed",
        [FIT, "print('accuracy', clf.score(X_test, y_test))"],
        [run("LogisticRegression", ["clf.score(X_test, y_test)"], [2, 3])],
    ),
    (
        "a name printed rounded",
        [FIT, "acc = clf.score(X_test, y_test)\nprint(f'{acc:.3f}', round(acc, 2))"],
        [run("LogisticRegression", ["acc"], [2, 3])],
    ),
    (
        "a dict of numbers",
        [FIT, "scores = {'f1': f1_score(y_test, clf.predict(X_test)), 'recall': 3}"],
        [run("LogisticRegression", ["f1", "recall"], [2, 3])],
    ),
    (
        "a later cell joins",
        [FIT, "pred = clf.predict(X_test)", "acc = accuracy_score(y_test, pred)"],
        [run("LogisticRegression", ["acc"], [2, 4])],
    ),
    (
        "what does not come from the model stays out",
        [FIT, "n = len(X_test)", "share = y_test.mean()"],
        [run("LogisticRegression", [], [2])],
    ),
    ("literals and counters are no metrics", [FIT + "\nlimit = 0.5\ni = 0\ni += 1\nprint(limit)"], [run("LogisticRegression", [], [2])]),
    (
        "again with another value",
        [FIT, FIT.replace("0.5", "2.0")],
        [run("LogisticRegression", [], [2]), run("LogisticRegression", [], [3])],
    ),
    (
        "fits in a loop are children",
        [
            "res = {}\nfor c in (0.1, 1.0):\n    m = LogisticRegression(C=c, max_iter=2000).fit(X_train, y_train)\n"
            "    acc = m.score(X_test, y_test)\n    res[f'C{c}'] = acc"
        ],
        [
            run(None, ["C0.1", "C1.0"], [2]),
            run("LogisticRegression", ["acc"], [2], child=True),
            run("LogisticRegression", ["acc"], [2], child=True),
        ],
    ),
    (
        "a scaler belongs to the model that follows",
        ["scaler = StandardScaler()\nA = scaler.fit_transform(X_train)", "clf = LogisticRegression(max_iter=500).fit(A, y_train)"],
        [run("LogisticRegression", [], [2, 3])],
    ),
    ("a scaler alone is a run", ["scaler = StandardScaler().fit(X_train)"], [run("StandardScaler", [], [2])]),
    (
        "a clusterer",
        ["km = KMeans(n_clusters=3, n_init=2, random_state=0).fit(X)\nkm.inertia_"],
        [run("KMeans", ["inertia", "n_iter"], [2])],
    ),
    (
        "a pipeline",
        ["pipe = make_pipeline(StandardScaler(), LogisticRegression())\npipe.fit(X_train, y_train)"],
        [run("Pipeline", [], [2])],
    ),
    (
        "a function that fits",
        [
            "def train(depth):\n    return DecisionTreeClassifier(max_depth=depth).fit(X_train, y_train)",
            "tree = train(3)\nacc = tree.score(X_test, y_test)",
        ],
        [run("DecisionTreeClassifier", ["acc"], [3])],
    ),
    ("a cell that raises", ["clf = LogisticRegression().fit(X_train, y_train[:3])"], [run(None, [], [2], status="FAILED")]),
    ("a cell that raises after the fit", [FIT + "\n1 / 0"], [run("LogisticRegression", [], [2], status="FAILED")]),
    (
        "an exception that the cell catches",
        [
            "for c in (-1, 1.0):\n    try:\n        m = LogisticRegression(C=c, max_iter=2000).fit(X_train, y_train)\n"
            "    except ValueError:\n        pass"
        ],
        [run(None, [], [2]), run(None, [], [2], status="FAILED", child=True), run("LogisticRegression", [], [2], child=True)],
    ),
    (
        "another name for a model is no fit",
        [FIT, "best = clf", "import copy\nother = copy.deepcopy(clf)"],
        [run("LogisticRegression", [], [2])],
    ),
    ("a loaded model is no fit", [FIT, "import pickle\nother = pickle.loads(pickle.dumps(clf))"], [run("LogisticRegression", [], [2])]),
    (
        "code that looks at a function that fits is no fit",
        [TRAIN, "import inspect, pickle\nlines = inspect.getsource(train)\nprint(train)\nsize = len(repr(train))"],
        [],
    ),
    ("a fit in text that is executed", [f"exec({FIT!r})"], [run("LogisticRegression", [], [2])]),
    ("a fit that is timed", [f"%timeit -n 2 -r 2 {FIT[6:]}"], [run("LogisticRegression", [], [2])]),
    (
        "functions that fit, called in parallel",
        [TRAIN, "from joblib import Parallel, delayed\ntrees = Parallel(n_jobs=1)(delayed(train)(d) for d in (1, 2))"],
        [run("DecisionTreeClassifier", [], [3])],
    ),
    (
        "scores of fits in a comprehension belong to all of them",
        ["accs = [DecisionTreeClassifier(max_depth=d).fit(X_train, y_train).score(X_test, y_test) for d in (1, 2)]"],
        [
            run(None, ["accs"], [2]),
            run("DecisionTreeClassifier", [], [2], child=True),
            run("DecisionTreeClassifier", [], [2], child=True),
        ],
    ),
    (
        "models in a dict",
        [
            "models = {'a': KMeans(2, n_init=1), 'b': DecisionTreeClassifier()}\n"
            "for name, m in models.items():\n    m.fit(X_train, y_train)",
            "for name, m in models.items():\n    print(name, m.score(X_test, y_test))",
            "best = models['a']\nscore = best.score(X_test)",
            "models['b'].score(X_test, y_test)",
        ],
        [
            run(None, ["models['b'].score(X_test, y_test)"], [2, 5]),
            run("KMeans", ["inertia", "m.score(X_test, y_test)", "n_iter", "score"], [2, 3, 4], child=True),
            run("DecisionTreeClassifier", ["m.score(X_test, y_test)"], [2, 3], child=True),
        ],
    ),
    (
        "a trainer that holds its model",
        [
            "class Trainer:\n    def run(self):\n        self.model = DecisionTreeClassifier(max_depth=2).fit(X_train, y_train)\n"
            "        return self\n    def accuracy(self):\n        return self.model.score(X_test, y_test)",
            "trainer = Trainer().run()\ntrainer.accuracy()",
        ],
        [run("DecisionTreeClassifier", ["trainer.accuracy"], [3])],
    ),
    (
        "a named run takes what the cell computes from an earlier model",
        [FIT, "import jupyter_mlops\nwith jupyter_mlops.track('evaluation'):\n    acc = clf.score(X_test, y_test)"],
        [run("LogisticRegression", [], [2]), run(None, ["acc"], [3])],
    ),
    ("a tracked cell without a fit", ["%%mlops track sums\ntotal = X.sum()"], [run(None, ["total"], [2])]),
]


@pytest.mark.parametrize(("cells", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_runs_of_a_notebook(notebook: Notebook, cells: list[str], expected: list[dict[str, Any]]) -> None:
    if "%%mlops" in cells[0]:
        notebook.run("%load_ext jupyter_mlops")
        expected = [item | {"cells": [number + 1 for number in item["cells"]]} for item in expected]
    assert [facts(item) for item in notebook.run(DATA, *cells).runs] == expected


def test_parameters_are_what_somebody_chose(notebook: Notebook) -> None:
    notebook.run(
        DATA,
        "C = 0.1\nunused = 5",
        "split = train_test_split(X, y, test_size=0.3, random_state=1)",
        "import matplotlib\nmatplotlib.use('agg')\nimport matplotlib.pyplot as plt\nfig = plt.figure(figsize=(3, 3))",
        "for depth in [2]:\n    clf = LogisticRegression(C=C, max_iter=300).fit(split[0], split[2])",
    )
    assert notebook.runs[0].params == {
        "C": 0.1,
        "depth": 2,
        "max_iter": 300,
        "train_test_split.test_size": 0.3,
        "train_test_split.random_state": 1,
    }


def test_parameters_of_other_models_stay_with_them(notebook: Notebook) -> None:
    notebook.run(
        DATA,
        "def train(model, X, y, rounds=1):\n    return model.fit(X, y)\n"
        "class Trainer:\n    def fit(self, X, y):\n        return train(KMeans(2), X, y)",
        "depth = 4\ntree = train(DecisionTreeClassifier(max_depth=depth), X_train, y_train, rounds=3)\nTrainer().fit(X_train, y_train)",
        "def report(model, X, y, digits=3):\n    print(round(model.score(X, y), digits))\nreport(tree, X_train, y_train, digits=2)",
        "for m in [LogisticRegression(C=0.5, max_iter=3000), KMeans(3, n_init=1)]:\n    m.fit(X_train, y_train)",
        "table = pd.DataFrame(X_train, columns=list('abcde'))\ntable['y'] = y_train\nclf = LogisticRegression(C=2.0, max_iter=3000)\n"
        "clf.set_params(C=3.0).fit(X_train, y_train)",
    )
    split = {"train_test_split.test_size": 0.25, "train_test_split.random_state": 7}
    regressions = [item.params for item in notebook.runs if item.model and item.model["class"] == "LogisticRegression"]
    assert regressions == [{**split, "C": 0.5, "max_iter": 3000}, {**split, "C": 3.0, "max_iter": 3000}]


def test_a_program_and_a_notebook_that_fit_are_runs(notebook: Notebook, project: Any) -> None:
    import nbformat

    cells = ["C = 0.5\nfrom sklearn.linear_model import LogisticRegression", "clf = LogisticRegression(C=C).fit([[0], [1]], [0, 1])"]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells]), project / "other.ipynb")
    (project / "program.py").write_text("\n".join([*cells, "acc = clf.score([[0], [1]], [0, 1])"]))
    notebook.run("import sklearn.linear_model", "%run other.ipynb", "clf.score([[1]], [1])", "%run program.py")
    first, second = notebook.runs
    assert (facts(first), first.params) == (run("LogisticRegression", ["clf.score([[1]], [1])"], [2, 3]), {"C": 0.5})
    assert (facts(second), second.params) == (run("LogisticRegression", ["acc"], [4]), {"C": 0.5})


def test_arrays_that_take_the_place_of_others_have_their_own_digest(notebook: Notebook) -> None:
    notebook.run(DATA, "for part in range(4):\n    clf = DecisionTreeClassifier().fit(X[part::4], y[part::4])")
    kept = [(item["name"], snapshots.load(item["digest"], notebook.session.objects)) for fit in notebook.runs for item in fit.inputs]
    assert [(name, value.tolist()) for name, value in kept] == [
        (f"{name}[part::4]", notebook.names[name][part::4].tolist()) for part in range(4) for name in ("X", "y")
    ]


def test_scores_by_fold_are_a_stepped_metric(notebook: Notebook) -> None:
    [cross] = notebook.run(DATA, "scores = cross_val_score(LogisticRegression(max_iter=3000), X, y, cv=3)\nscores.mean()").runs
    assert [step for step, _ in cross.series["scores"]] == [0, 1, 2]
    assert cross.metrics["scores.mean"] == pytest.approx(notebook.names["scores"].mean())


def test_losses_of_a_loop_are_a_stepped_metric(notebook: Notebook) -> None:
    [sgd] = notebook.run(
        DATA,
        "from sklearn.linear_model import SGDClassifier\nsgd = SGDClassifier(random_state=0)\nlosses = []\n"
        "for epoch in range(4):\n    sgd.partial_fit(X_train, y_train, classes=[0, 1])\n    loss = 1 - sgd.score(X_test, y_test)\n"
        "    losses.append(loss)\n    print(f'epoch {epoch}: {loss:.3f}')",
    ).runs
    assert [step for step, _ in sgd.series["loss"]] == [0, 1, 2, 3]
    assert [value for _, value in sgd.series["losses"]] == notebook.names["losses"]
    assert sgd.model is not None


def test_predictions_are_not_scores(notebook: Notebook) -> None:
    [fitted] = notebook.run(
        DATA, FIT, "pred = clf.predict(X_test)\nproba = clf.predict_proba(X_test)[:, 1]\nbest = proba[:20].tolist()"
    ).runs
    assert (fitted.series, fitted.metrics) == ({}, {})


def test_the_data_of_a_fit_can_be_had_again_after_it_was_changed(notebook: Notebook) -> None:
    before = notebook.run(DATA).names["X_train"].copy()
    notebook.run(FIT, "X_train *= 0\nclf.fit(X_train + 1, 1 - y_train)")
    first, second = notebook.runs
    digest = next(item["digest"] for item in first.inputs if item["name"] == "X_train")
    assert (snapshots.load(digest, notebook.session.objects) == before).all()
    assert {item["digest"] for item in second.inputs}.isdisjoint(item["digest"] for item in first.inputs)


def test_the_data_of_each_turn_of_a_loop_is_its_own(notebook: Notebook) -> None:
    first = notebook.run(DATA).names["X_train"] + 1
    notebook.run("for i in range(2):\n    X_train += 1\n    tree = DecisionTreeClassifier(max_depth=2).fit(X_train, y_train)")
    digests = [item["digest"] for child in notebook.runs if child.parent for item in child.inputs if item["name"] == "X_train"]
    assert digests == [snapshots.digest(first), snapshots.digest(first + 1)]
    assert (snapshots.load(digests[0], notebook.session.objects) == first).all()


def test_an_interrupted_cell_ends_its_run_as_killed(notebook: Notebook) -> None:
    [interrupted] = notebook.run(DATA, FIT + "\nraise KeyboardInterrupt").runs
    assert interrupted.status == "KILLED"


def test_the_files_behind_a_fit_are_its_inputs(notebook: Notebook) -> None:
    notebook.run(
        DATA,
        "pd.DataFrame(X[:, :2], columns=['a', 'b']).assign(y=y).to_csv('data.csv', index=False)",
        "table = pd.read_csv('data.csv')",
        "clf = LogisticRegression().fit(table[['a', 'b']], table['y'])",
    )
    [fitted] = notebook.runs
    files = [item for item in fitted.inputs if item["kind"] == "file"]
    assert [(item["name"], item["kept"]) for item in files] == [("data.csv", True)]


def test_a_block_of_a_program_makes_a_run(project: Any) -> None:
    import subprocess
    import sys

    (project / "train.py").write_text(
        "import jupyter_mlops as mlops\nfrom sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression\n"
        "X, y = load_iris(return_X_y=True)\nwith mlops.track('from a script'):\n    C = 0.3\n"
        "    clf = LogisticRegression(C=C, max_iter=500).fit(X, y)\n"
        "    acc = clf.score(X, y)\n"
    )
    subprocess.run([sys.executable, "train.py"], check=True, cwd=project, timeout=120)
    from jupyter_mlops.store import journal
    from jupyter_mlops.store.runs import fold

    [path] = journal.journals(project / ".mlops")
    [made] = fold(journal.read(path)[0]).values()
    assert (made.name, made.status, made.params, list(made.latest())) == ("from a script", "FINISHED", {"C": 0.3, "max_iter": 500}, ["acc"])
    assert [model["class"] for model in made.models] == ["LogisticRegression"]
