"""`mlops init` prepares a folder and destroys nothing in it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import yaml

import jupyter_mlops as mlops
from jupyter_mlops.errors import SettingsError
from jupyter_mlops.surfaces.skeleton import HOOKS

PYPROJECT = '# mine\n[project]\nname = "x"   # keep this\n\n[tool.ruff]\nline-length = 99\n'
IGNORED = [".mlops/", "mlflow.db*", "mlruns/", "mlartifacts/", ".ipynb_checkpoints/"]


def test_an_empty_folder_gets_settings_and_ignored_files(project: Path) -> None:
    prepared = mlops.init()
    assert (project / "pyproject.toml").read_text() == '[tool.mlops]\nexperiment = "project"\n'
    assert (project / ".gitignore").read_text().splitlines() == ["# mlops and MLflow", *IGNORED]
    assert prepared.experiment == "project"
    assert [text.partition(":")[0] for text in prepared.changed] == [
        "pyproject.toml", ".gitignore", ".mlops/ made", "pipeline.yaml made", "steps/prepare.ipynb made", "steps/train.ipynb made"
    ]  # fmt: skip
    assert not (project / HOOKS).exists()
    assert "git repository" in prepared.notes[0]
    plan = mlops.run("pipeline.yaml", dry_run=True)
    assert [step.step for step in plan.steps] == ["prepare", "train"]


def test_a_second_time_changes_nothing(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    mlops.init()
    before = {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file() and ".mlops" not in path.parts}
    assert mlops.init().changed == ()
    assert {path: path.read_bytes() for path in project.rglob("*.*") if path.is_file() and ".mlops" not in path.parts} == before


def test_what_is_there_stays_byte_for_byte(project: Path) -> None:
    (project / "pyproject.toml").write_text(PYPROJECT)
    (project / ".gitignore").write_text("*.csv\nmlruns\n/.mlops\n")
    mlops.init(experiment="flights")
    assert (project / "pyproject.toml").read_text() == PYPROJECT + '\n[tool.mlops]\nexperiment = "flights"\n'
    text = (project / ".gitignore").read_text()
    assert text.startswith("*.csv\nmlruns\n/.mlops\n\n# mlops and MLflow\n")
    assert text.splitlines()[5:] == ["mlflow.db*", "mlartifacts/", ".ipynb_checkpoints/"]


def test_a_pipeline_that_is_there_is_the_pipeline(project: Path) -> None:
    (project / "pipeline.yml").write_text("name: mine\n")
    mlops.init()
    assert (project / "pipeline.yml").read_text() == "name: mine\n"
    assert not (project / "pipeline.yaml").exists()
    assert not (project / "steps").exists()


def test_a_notebook_of_the_user_is_never_written_over(project: Path) -> None:
    (project / "steps").mkdir()
    (project / "steps" / "train.ipynb").write_text("mine")
    mlops.init()
    assert (project / "steps" / "train.ipynb").read_text() == "mine"
    assert not (project / "pipeline.yaml").exists()


OURS = ["mlops run pipeline.yaml --dry-run"]
MINE = "# mine\nrepos:\n- repo: https://example.org/hooks  # keep\n  rev: v1\n  hooks:\n  - id: tidy\n"
DEEPER = "repos:\n    - repo: local\n      hooks:\n          - {id: tidy, language: system}\n"


@pytest.mark.parametrize(
    ("before", "entries"),
    [
        ("", OURS),
        (MINE, [None, *OURS]),
        (DEEPER, [None, *OURS]),
        (MINE + "ci: {skip: [tidy]}\n", [None]),  # no place at its end
        ("repos: [{repo: meta, hooks: [{id: identity}]}]\n", [None]),
        ("repos: [", None),
    ],
)
def test_the_check_before_a_commit_is_added_where_that_is_safe(project: Path, before: str, entries: list[str | None] | None) -> None:
    (project / ".git").mkdir()
    if before:
        (project / HOOKS).write_text(before)
    prepared = mlops.init()
    text = (project / HOOKS).read_text()
    assert text.startswith(before)
    if entries is None:
        assert text == before
    else:
        assert [hook.get("entry") for repo in yaml.safe_load(text)["repos"] for hook in repo["hooks"]] == entries
    assert (OURS[0] in prepared.notes[0]) is (text == before)
    mlops.init()
    assert (project / HOOKS).read_text() == text


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
