"""The tutorials run from top to bottom through our own engine; the first and the fourth have their test in the demo, which plays them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import jupyter_mlops as mlops
from tests.delivered import with_database

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["2_replay_and_slice", "3_pipeline_and_schedule", "5_bring_your_own_framework"])
def test_a_tutorial_runs(project: Path, name: str) -> None:
    with_database(project)
    shutil.copytree(NOTEBOOKS, project, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".mlops", "mlruns", "mlflow.db", "out"))
    done = mlops.run(f"{name}.ipynb")
    assert done.status == "done", [step.error for step in done.steps]
