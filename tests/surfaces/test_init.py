"""`mlops init` prepares a folder and destroys nothing in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import jupyter_mlops as mlops
from jupyter_mlops.errors import SettingsError

PYPROJECT = '# mine\n[project]\nname = "x"   # keep this\n\n[tool.ruff]\nline-length = 99\n'
IGNORED = [".mlops/", "mlflow.db*", "mlruns/", "mlartifacts/", ".ipynb_checkpoints/"]


def test_an_empty_folder_gets_settings_and_ignored_files(project: Path) -> None:
    prepared = mlops.init()
    assert (project / "pyproject.toml").read_text() == '[tool.mlops]\nexperiment = "project"\n'
    assert (project / ".gitignore").read_text().splitlines() == ["# mlops and MLflow", *IGNORED]
    assert prepared.experiment == "project"
    assert len(prepared.changed) == 3


def test_a_second_time_changes_nothing(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    mlops.init()
    before = {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()}
    assert mlops.init().changed == ()
    assert {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()} == before


def test_what_is_there_stays_byte_for_byte(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / ".gitignore").write_text("*.csv\nmlruns\n/.mlops\n")
    mlops.init(experiment="flights")
    assert (project / "pyproject.toml").read_text() == PYPROJECT + '\n[tool.mlops]\nexperiment = "flights"\n'
    text = (project / ".gitignore").read_text()
    assert text.startswith("*.csv\nmlruns\n/.mlops\n\n# mlops and MLflow\n")
    assert text.splitlines()[5:] == ["mlflow.db*", "mlartifacts/", ".ipynb_checkpoints/"]


def test_another_experiment_replaces_only_that_setting(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT + '\n[tool.mlops]\nkeep = "1 GB"  # small disk\nexperiment = "old"\n')
    assert mlops.init().experiment == "old"
    assert mlops.init(experiment="new").changed == ('pyproject.toml: experiment = "new"',)[:1]
    assert (project / "pyproject.toml").read_text() == PYPROJECT + '\n[tool.mlops]\nkeep = "1 GB"  # small disk\nexperiment = "new"\n'


@pytest.mark.parametrize("name", ['with "quotes"', "back\\slash", "Ærøskøbing ✈", "a\nb"])
def test_odd_names_come_back_as_they_are(project: Path, name: str) -> None:
    mlops.init(experiment=name)
    assert tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mlops"]["experiment"] == name


def test_a_broken_pyproject_is_left_alone(project: Path) -> None:
    (project / "pyproject.toml").write_text("[project\nname =")
    with pytest.raises(SettingsError, match="mend it"):
        mlops.init()
    assert (project / "pyproject.toml").read_text() == "[project\nname ="
    assert not (project / ".gitignore").exists()
