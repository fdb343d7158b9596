"""The package as users have it: installed among all others, not in a checkout that is on the path besides."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from jupyter_mlops.store.client import PACKAGE

from ..browser.acts import write_notebook

CELLS = (
    "%load_ext jupyter_mlops",
    "import pandas as pd\nfrom sklearn.datasets import load_iris\nfrom sklearn.linear_model import LogisticRegression\n"
    "iris = load_iris(as_frame=True).frame\nunused = iris.describe()",
    "C = 0.5\nmodel = LogisticRegression(C=C, max_iter=500).fit(iris.drop(columns='target'), iris['target'])\n"
    "accuracy = model.score(iris.drop(columns='target'), iris['target'])\naccuracy",
)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that borrows this one's packages, in which ours is a copy, as pip would put it there."""
    place = tmp_path_factory.mktemp("installed") / "env"
    venv.create(place, with_pip=False, symlinks=True)
    site = next(place.glob("lib/python*/site-packages"))
    for folder in (Path(folder) for folder in sys.path if folder.endswith("site-packages")):
        # Its metadata are needed, and not the file that leads into the checkout.
        theirs = (item for item in folder.iterdir() if PACKAGE.name not in item.name or item.suffix == ".dist-info")
        for item in theirs:
            if not (site / item.name).exists():
                (site / item.name).symlink_to(item)
    shutil.copytree(PACKAGE, site / PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    return place / "bin" / "python"


def test_the_loop_works_where_it_is_installed(python: Path, project: Path) -> None:
    write_notebook(project / "work.ipynb", *CELLS)

    def mlops(*words: str) -> str:
        asked = subprocess.run([python, "-m", PACKAGE.name, *words], cwd=project, capture_output=True, text=True, timeout=200)
        assert asked.returncode == 0, asked.stderr
        return asked.stdout

    found = subprocess.run(
        [python, "-P", "-c", f"import sys, {PACKAGE.name} as own; print(own.__file__, *sys.path, sep='\\n')"],
        cwd=project, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert Path(found[0]).is_relative_to(python.parents[1])
    assert str(PACKAGE.parent) not in found
    mlops("run", "work.ipynb")
    run = next(run for run in json.loads(mlops("runs", "--json")) if "accuracy" in run["metrics"])
    replayed = json.loads(mlops("replay", run["id"], "--json"))
    assert (replayed["verdict"], replayed["score"], replayed["notes"]) == ("identical", 1.0, [])
    mlops("step", run["id"], "--result", "accuracy", "--out", "fit.ipynb")
    *_, ended = mlops("run", "fit.ipynb", "-p", "C=0.7", "--json").splitlines()
    assert "accuracy" in json.loads(ended)["steps"][0]["metrics"]
