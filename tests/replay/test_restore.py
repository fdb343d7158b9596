"""A run put back into a folder, and run there by tools that know nothing of this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.surfaces import cli
from tests.explored import CELLS, explored, without_package


def test_a_restored_run_opens_and_runs_without_this_package(project: Path, kernel: Any, tmp_path: Path) -> None:
    ref = explored(kernel)
    assert cli.run(["restore", ref, str(tmp_path / "there")]) == 0
    there = tmp_path / "there"
    files = sorted(path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file())
    frame = next(name for name in files if name.startswith("data/extra-"))
    stem = next(name for name in files if name.endswith("-slice.ipynb")).removesuffix("-slice.ipynb")
    data = [frame, "data/points.csv", "extra.db", "helper.py"]
    assert files == sorted([*data, "README.md", "requirements.txt", f"{stem}-as-executed.ipynb", f"{stem}-slice.ipynb"])
    assert (there / "data" / "points.csv").read_bytes() == (project / "data" / "points.csv").read_bytes()
    executed = json.loads((there / f"{stem}-as-executed.ipynb").read_text())["cells"]
    assert [cell["source"] for cell in executed[1:]][:4] == ["# %load_ext jupyter_mlops", *CELLS[1:4]]
    assert executed[0]["source"].startswith("# LogisticRegression")
    assert "ZeroDivisionError" in json.dumps(executed)
    assert "jupyter-mlops" not in (there / "requirements.txt").read_text()
    again = run(there, f"{stem}-as-executed")
    assert [text_of(cell) for cell in again] == [text_of(cell) for cell in executed if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in run(there, f"{stem}-slice"))


def test_files_from_beside_the_project_are_read_where_they_are_put(project: Path, kernel: Any, tmp_path: Path) -> None:
    shared = project.parent / "shared"
    shared.mkdir()
    (shared / "near.csv").write_text("x\n1\n2\n")
    for cell in ("%load_ext jupyter_mlops", f"from pathlib import Path\nn = len(Path('../shared/near.csv').read_text())\n"
                 f"m = len(open('{shared}/near.csv').read())", "%%mlops track lengths\ntotal = n + m"):  # fmt: skip
        assert kernel.run(cell).error == ""
    ref = json.loads(kernel.run("%mlops runs --json").result["text/plain"])[0]["id"]
    assert cli.run(["restore", ref, str(tmp_path / "there")]) == 0
    [put] = (tmp_path / "there").glob("elsewhere/*/near.csv")
    [notebook] = (tmp_path / "there").glob("*-as-executed.ipynb")
    code = json.loads(notebook.read_text())["cells"][2]["source"]
    assert code.count(f"('{put.relative_to(tmp_path / 'there')}')") == 2, code


def test_a_folder_that_holds_something_is_left_alone(
    project: Path, kernel: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ref = explored(kernel)
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine.txt").write_text("mine")
    assert cli.run(["restore", ref, str(tmp_path / "there")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine.txt"]
    for pack in (project / ".mlops" / "objects" / "packs").iterdir():
        content = bytearray(pack.read_bytes())
        content[len(content) // 2] ^= 255
        pack.write_bytes(bytes(content))
    assert cli.run(["restore", ref, str(tmp_path / "elsewhere")]) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert not any((tmp_path / "elsewhere").glob("*"))


def run(folder: Path, name: str) -> list[dict[str, Any]]:
    """The code cells of a notebook, executed by nbconvert where this package cannot be imported."""
    command = [sys.executable, "-m", "jupyter", "nbconvert", "--to", "notebook", "--execute", "--output", "again", f"{name}.ipynb"]
    subprocess.run(command, cwd=folder, env={**os.environ, **without_package(folder.parent)}, check=True, capture_output=True)
    cells = json.loads((folder / "again.ipynb").read_text())["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def text_of(cell: dict[str, Any]) -> str:
    """What a cell printed."""
    return "".join("".join(output.get("text", "")) for output in cell["outputs"])
