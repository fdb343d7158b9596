"""A step cut out of an explored notebook, as a user does it, and run by plain papermill where this package is not installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from jupyter_mlops.surfaces import cli
from tests.explored import CELLS, explored, prepare, without_package


def test_a_step_gives_the_recorded_results_wherever_it_runs(
    project: Path, kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = explored(kernel)
    recorded = answers(capsys, f"show {run}")["run"]["metrics"]["accuracy"]
    told = answers(capsys, f"step {run} --result accuracy --result model --out steps/train.ipynb")
    assert [(item["name"], item["default"], item["source"], item["help"]) for item in told["parameters"]] == [
        ("C", 0.5, "", "inverse of the strength of regularisation"),
        ("max_iter", 300, "", "of LogisticRegression"),
        ("points_file", "data/points.csv", "file", "input file"),
        ("extra_file", "steps/train_inputs/extra.parquet", "snapshot", "snapshot of extra"),
    ]
    assert told["outputs"] == [{"name": "accuracy", "kind": "metric", "value": recorded}, {"name": "model", "kind": "model", "value": None}]
    assert told["proof"] in ("proved", "minimal")
    assert "describe" not in (project / "steps" / "train.ipynb").read_text()
    nbformat.validate(nbformat.read(project / "steps" / "train.ipynb", as_version=4))
    found = papermill.inspect_notebook("steps/train.ipynb")
    assert {name: item["inferred_type_name"] for name, item in found.items()} == {
        "C": "float", "max_iter": "int", "points_file": "str", "extra_file": "str"
    }  # fmt: skip
    (project / "extra.db").unlink()
    assert output(project, tmp_path) == f"{{'accuracy': {recorded!r}, 'model': LogisticRegression(C=0.5, max_iter=300)}}"
    assert "LogisticRegression(C=0.25" in output(project, tmp_path, "-p", "C", "0.25")


def test_a_notebook_and_a_shell_cut_the_same_step(project: Path, kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    run = explored(kernel)
    told = answers(capsys, f"step {run} --result accuracy --out shell.ipynb")
    shown = kernel.run(f"%mlops step {run} --result accuracy --out magic.ipynb --json", timeout=250)
    again = json.loads(shown.result["text/plain"])
    # A run's id is MLflow's once it is delivered; what goes with a step is named after it.
    own = ("run", "path", "files", "parameters", "inputs")
    assert {name: value for name, value in again.items() if name not in own} == {
        name: value for name, value in told.items() if name not in own
    }
    assert [item["name"] for item in again["parameters"]] == [item["name"] for item in told["parameters"]]
    assert code_of(project / "magic.ipynb")[1:] == code_of(project / "shell.ipynb")[1:]
    assert cli.run(["step", run, "--result", "accuracy", "--out", "shell.ipynb"]) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_notebook_that_was_never_tracked_is_run_once_and_stays_as_it_is(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(project)
    cells = [nbformat.v4.new_markdown_cell("# Points\n\nAll of them.")]
    cells += [nbformat.v4.new_code_cell(cell) for cell in (*CELLS[1:5], *CELLS[6:])]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), project / "points.ipynb")
    before = (project / "points.ipynb").read_bytes()
    told = answers(capsys, "step points.ipynb --result accuracy --out train.ipynb")
    assert (project / "points.ipynb").read_bytes() == before
    texts = [cell["source"] for cell in json.loads((project / "train.ipynb").read_text())["cells"]]
    assert "# Points\n\nAll of them." in texts
    assert told["outputs"][0]["value"] == answers(capsys, f"show {told['run']}")["run"]["metrics"]["accuracy"]
    answers(capsys, "step points.ipynb --result points --out points_only.ipynb")
    assert "LogisticRegression" not in (project / "points_only.ipynb").read_text()


def test_each_result_is_what_it_was_where_it_arose(project: Path, kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "points.csv").write_text("a,y\n" + "".join(f"{number},{number * 5 % 11}\n" for number in range(40)))
    cells = [
        "%load_ext jupyter_mlops",
        "import os\nimport pandas as pd\nfrom sklearn.linear_model import Ridge",
        "alpha: float = 1\npoints = pd.read_csv(os.path.join('.', 'points.csv'))\npoints.to_csv('made.csv', index=False)",
        "made = pd.read_csv('made.csv')\nX, y = made[['a']], made.y",
        "model = Ridge(alpha=alpha).fit(X, y)\nprint(model.score(X, y))\nerror = abs(y - model.predict(X)).mean()",
        "X = X * 0\nerror = 0.5\ntotal = float(X.a.sum() + error + model.coef_[0])",
    ]
    for cell in cells:
        assert kernel.run(cell).error == ""
    run = json.loads(kernel.run("%mlops runs --json").result["text/plain"])[0]["id"]
    metrics = answers(capsys, f"show {run}")["run"]["metrics"]
    told = answers(capsys, "step", run, "--result", "model.score(X, y)", "--result", "total", "--out", "steps/train.ipynb")
    assert [(item["name"], item["type"], item["default"], item["source"]) for item in told["parameters"]] == [
        ("alpha", "float", 1, ""), ("error", "float", 0.5, ""), ("points_file", "str", "./points.csv", "file")
    ]  # fmt: skip
    assert output(project, tmp_path) == f"{{'model.score(X, y)': {metrics['model.score(X, y)']!r}, 'total': {metrics['total']!r}}}"


def test_a_result_that_hangs_on_an_unseeded_generator_is_refused(project: Path, kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.run("%load_ext jupyter_mlops")
    kernel.run("import numpy as np\nfrom sklearn.linear_model import LinearRegression")
    kernel.run("X = np.random.rand(50, 2)\ny = X[:, 0] + np.random.rand(50)")
    kernel.run("model = LinearRegression().fit(X, y)\nr2 = model.score(X, y)")
    kernel.run("from sklearn.linear_model import SGDRegressor\nsteep = [[float(n)] for n in range(30)]")
    # The estimator itself draws, and nothing in the code says so.
    kernel.run("walked = SGDRegressor(max_iter=3, tol=None, eta0=1e-4).fit(steep, range(30))\nfit = walked.score(steep, range(30))")
    runs = json.loads(kernel.run("%mlops runs --json").result["text/plain"])
    for run, result in ((runs[1]["id"], "r2"), (runs[0]["id"], "fit")):
        assert cli.run(["step", run, "--result", result, "--out", "train.ipynb"]) == 2
        told = capsys.readouterr().err.splitlines()[-1]
        assert told.startswith(f"mlops: train.ipynb was not written, because the step would not give the recorded result: {result} was ")
        assert told.endswith("put np.random.seed(0) on top of the notebook, run it again, and cut the step.")
    assert not (project / "train.ipynb").exists()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("step nosuch.ipynb --result a --out b.ipynb", "There is no notebook 'nosuch.ipynb'"),
        ("step broken.ipynb --result a --out b.ipynb", "broken.ipynb cannot be read as a notebook"),
        ("step failing.ipynb --result a --out b.ipynb", "cell 1 of failing.ipynb raises ZeroDivisionError"),
        ("step fine.ipynb --result nosuch --out b.ipynb", "'nosuch'"),
    ],
)
def test_a_notebook_that_cannot_be_cut_says_why(project: Path, capsys: pytest.CaptureFixture[str], command: str, sentence: str) -> None:
    (project / "broken.ipynb").write_text("no notebook")
    for name, source in (("failing", "1 / 0"), ("fine", "a = 1")):
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)]), project / f"{name}.ipynb")
    assert cli.run(command.split()) == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]
    assert not (project / "b.ipynb").exists()


def output(project: Path, folder: Path, *options: str) -> str:
    """What the outputs cell of the step shows when papermill runs it where this package cannot be imported."""
    command = [sys.executable, "-m", "papermill", "steps/train.ipynb", str(folder / "out.ipynb"), *options]
    subprocess.run(command, cwd=project, env={**os.environ, **without_package(folder)}, check=True, capture_output=True)
    shown = json.loads((folder / "out.ipynb").read_text())["cells"][-1]["outputs"][0]["data"]["text/plain"]
    return " ".join("".join(shown).split())


def code_of(notebook: Path) -> list[str]:
    """The sources of a notebook's code cells."""
    return [cell["source"] for cell in json.loads(notebook.read_text())["cells"] if cell["cell_type"] == "code"]


def answers(capsys: pytest.CaptureFixture[str], command: str, *more: str) -> Any:
    """What a command prints with --json; `more` are words of it that hold spaces."""
    capsys.readouterr()
    assert cli.run([*command.split(), *more, "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)
