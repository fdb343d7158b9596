"""The README's promises that a machine can check."""

from __future__ import annotations

import re
import subprocess
import tomllib
from dataclasses import fields
from pathlib import Path

import jupyter_mlops as mlops
from jupyter_mlops.code.secrets import FORMS
from jupyter_mlops.config import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_ci_finds_the_two_commands_in_the_readme() -> None:
    found = subprocess.run(["bash", ROOT / ".ci" / "run", "--commands"], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == [
        "python -m pip install . && mlops demo",
        'python -m pip install -e ".[test]" && python -m pytest',
    ]


def test_every_verb_is_in_the_readme() -> None:
    assert [verb for verb in mlops.VERBS if not re.search(rf"^\|.*`{verb}\b", README, re.MULTILINE)] == []


def test_every_setting_is_in_the_readme() -> None:
    assert [field.name for field in fields(Settings) if field.name != "project" and f"| `{field.name}` |" not in README] == []


def test_every_form_of_secret_is_in_the_readme() -> None:
    assert [form.name for form in FORMS if f"`{form.name}`" not in README] == []


def test_the_version_is_one() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == mlops.__version__
