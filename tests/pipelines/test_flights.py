"""The example in notebooks/: flights prepared, a classifier trained, evaluated and released."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
from nbclient import NotebookClient

from jupyter_mlops.surfaces import cli

EXAMPLE = Path(__file__).parents[2] / "notebooks"
STEPS = ("prepare-january", "prepare-february", "prepare-new", "train", "evaluate", "release")


@pytest.fixture
def flights(project: Path) -> Path:
    """A copy of the example, as working folder."""
    shutil.copytree(EXAMPLE, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns("out", ".*"))
    return project


def test_only_what_depends_on_a_changed_month_runs_again(flights: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = ran(capsys, "run pipeline.yaml")
    assert first["states"] == dict.fromkeys(STEPS, "done")
    assert [(gate["name"], gate["state"]) for gate in first["gates"]] == [
        ("auc at least 0.6", "passed"),
        ("auc no worse than the champion", "passed"),
        ("auc by origin at least 0.55", "passed"),
        ("target told by one feature", "passed"),
        ("loss of auc by unseen categories at most 0.05", "passed"),
    ]
    assert (first["release"]["state"], first["release"]["version"], first["release"]["champion"]) == ("promoted", 1, 1)
    card = (flights / "out" / "release" / "README.md").read_text()
    assert f"| area under the ROC curve | {first['gates'][0]['value']:.3f} |" in card
    again = ran(capsys, "run pipeline.yaml")
    assert again["states"] == dict.fromkeys(STEPS, "cached")
    assert (again["release"]["version"], again["release"]["again"]) == (1, True)
    march = flights / "data" / "flights-2013-3.parquet"
    pd.read_parquet(march).iloc[:-1000].to_parquet(march)
    later = {"prepare-new": "done", "evaluate": "done", "release": "done"}
    assert ran(capsys, "run pipeline.yaml")["states"] == dict.fromkeys(STEPS, "cached") | later
    assert ran(capsys, "run pipeline.yaml -p month=4")["states"] == dict.fromkeys(STEPS, "cached") | later
    assert ran(capsys, "run pipeline.yaml")["states"] == dict.fromkeys(STEPS, "cached")


def test_each_notebook_runs_by_itself_where_this_package_is_not_there(flights: Path) -> None:
    for name in ("prepare", "prepare", "prepare", "train", "evaluate", "release"):
        notebook = nbformat.read(f"{name}.ipynb", 4)
        parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
        if name == "prepare":
            month = 1 + len(list(flights.glob("out/*.parquet")))
            parameters.source = parameters.source.replace("flights-2013-1", f"flights-2013-{month}")
        notebook.cells.insert(0, nbformat.v4.new_code_cell("import sys; sys.modules['jupyter_mlops'] = None"))
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(flights)}}).execute()
    assert "| area under the ROC curve | not measured |" in (flights / "out" / "release" / "README.md").read_text()


def ran(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, Any]:
    """The run that a command prints, and what became of each step."""
    capsys.readouterr()
    status = cli.run([*command.split(), "--json"])
    out, err = capsys.readouterr()
    assert status == 0, err
    found = json.loads(out.splitlines()[-1])
    return found | {"states": {step["step"]: step["state"] for step in found["steps"]}}
