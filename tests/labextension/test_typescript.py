"""The sources of the extension: their types are right, agree with the records of Python, and what needs no page does what it says."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.npm import Node

from . import types

ROOT = Path(__file__).parents[2]

SOURCES = sorted((ROOT / "labextension" / "src").rglob("*.ts"))

# JupyterLab shares only these of its packages as one copy each; of any other, an extension may use the types alone.
SHARED = {
    "application", "apputils", "coreutils", "docmanager", "filebrowser", "launcher", "mainmenu", "notebook", "services", "settingregistry",
    "statedb", "statusbar", "translation", "ui-components",
}  # fmt: skip


def ran(command: list[str], folder: Path, node: Node) -> str:
    """What a command says; it has to succeed."""
    done = subprocess.run(command, cwd=folder, env=node.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("project", ["labextension", "tests/labextension"])
def test_types_are_right(project: str, checkout_with_modules: Path, node: Node) -> None:
    compiler = checkout_with_modules / "labextension" / "node_modules" / "typescript" / "bin" / "tsc"
    ran(["node", str(compiler), "--noEmit", "-p", project], checkout_with_modules, node)


def test_what_needs_no_page_does_what_it_says(checkout_with_modules: Path, node: Node) -> None:
    said = ran(["node", "units.cjs"], checkout_with_modules / "labextension", node)
    assert int(re.search(r"^# pass (\d+)$", said, re.MULTILINE)[1]) >= 60  # type: ignore[index]  # the runner always says it
    assert "# fail 0" in said


def test_types_of_records_are_those_of_python() -> None:
    assert types.FILE.read_text(encoding="utf-8") == types.text(), "write them anew: python -m tests.labextension.types"


def test_every_form_told_by_hand_is_of_a_field_that_exists() -> None:
    names = {f"{kind.__name__}.{field}" for kind in types.classes() for field in kind.__dataclass_fields__}
    assert set(types.NESTED) <= names


def test_only_what_jupyterlab_shares_is_imported_for_its_values() -> None:
    values = re.compile(r"^import (?!type )[^;]*?from '(@jupyterlab/([\w-]+))'", re.MULTILINE)
    found = {(file.name, name) for file in SOURCES for _, name in values.findall(file.read_text(encoding="utf-8")) if name not in SHARED}
    assert not found


def test_no_text_becomes_html() -> None:
    ways = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|\beval\(|new Function\(")
    found = {f"{file.name}: {way}" for file in SOURCES for way in ways.findall(file.read_text(encoding="utf-8"))}
    assert not found


def test_modules_are_short_and_their_lines_too() -> None:
    lengths = {file.name: file.read_text(encoding="utf-8").splitlines() for file in SOURCES if file.name != types.FILE.name}
    assert {name: len(lines) for name, lines in lengths.items() if len(lines) >= 350} == {}
    assert {name: line for name, lines in lengths.items() for line in lines if len(line) > 140} == {}
