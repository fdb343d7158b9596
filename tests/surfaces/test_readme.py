"""The README's promises that a machine can check without running what stands in it; tests/docs runs that."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import jupyter_mlops as mlops

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_finds_the_two_commands_in_the_readme() -> None:
    found = subprocess.run(["bash", ROOT / ".ci" / "run", "--commands"], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [
        "python -m pip install . && mlops demo",
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


def test_every_verb_is_in_the_readme() -> None:
    assert [verb for verb in mlops.VERBS if f"[{verb}](docs/verbs.md#{verb})" not in README] == []


def test_the_version_is_one() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == mlops.__version__
