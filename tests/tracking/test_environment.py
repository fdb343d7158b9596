"""What a result was computed with is recorded, and nothing that is secret."""

import importlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.tracking.environment import DIFF_LIMIT, LocalModules, describe, direct_references, git_state, packages


def test_packages_are_those_that_metadata_tells() -> None:
    found = packages()
    for name in ("pandas", "scikit-learn", "mlflow", "pytest"):
        assert found[name] == importlib.metadata.version(name)
    assert list(found) == sorted(found)


def test_a_package_installed_by_a_cell_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert "odd-name" not in packages()
    (tmp_path / "Odd.Name-1.2.dist-info").mkdir()
    os.utime(tmp_path, ns=(1, 1))
    assert packages()["odd-name"] == "1.2"
    old = tmp_path / "older.egg-info"
    old.mkdir()
    (old / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: older\nVersion: 3\n")
    os.utime(tmp_path, ns=(2, 2))
    assert packages()["older"] == "3"


def test_variables_are_recorded_by_name_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_TOKEN", "planted9Xq")
    described = describe()
    assert "PLANTED_TOKEN" in described["variables"]
    assert "planted9Xq" not in repr(described)
    assert described["python"] == platform.python_version()
    assert described["cores"] >= described["usable_cores"] >= 1
    assert described["memory"] > 10**8


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "code.py").write_text("x = 1\n")
    (tmp_path / "note.ipynb").write_text("{}\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "remote", "add", "origin", "https://bob:planted9Xq@git.example.org/x.git")
    return tmp_path


def test_the_commit_and_what_is_not_committed_are_recorded(repository: Path) -> None:
    clean = git_state(repository)
    assert clean == {
        "commit": git(repository, "rev-parse", "HEAD"),
        "branch": "main",
        "remote": "https://git.example.org/x.git",
        "root": str(repository),
        "dirty": False,
        "changed": [],
        "untracked": [],
        "diff": "",
        "truncated": False,
    }
    (repository / "code.py").write_text('x = 2\npassword = "planted9Xq"\n')
    (repository / "note.ipynb").write_text('{"outputs": 1}\n')
    (repository / "new é.txt").write_text("x")
    (repository / "folder").mkdir()
    changed = git_state(repository / "folder")
    assert changed["dirty"]
    assert (changed["changed"], changed["untracked"]) == (["code.py", "note.ipynb"], ["new é.txt"])
    assert "-x = 1\n+x = 2\n" in changed["diff"]
    assert "note.ipynb" not in changed["diff"]
    assert "planted9Xq" not in repr(changed)


def test_a_long_diff_is_cut_and_says_so(repository: Path) -> None:
    (repository / "code.py").write_text("x = 3  # long\n" * (DIFF_LIMIT // 10))
    state = git_state(repository)
    assert state["truncated"]
    assert len(state["diff"]) == DIFF_LIMIT


def test_without_git_there_is_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) == {}
    monkeypatch.setenv("PATH", "")
    assert git_state(tmp_path) == {}


def test_a_repository_without_a_commit_is_recorded(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "new.py").write_text("x")
    state = git_state(tmp_path)
    assert (state["commit"], state["branch"], state["untracked"], state["diff"]) == (None, "main", ["new.py"], "")


def test_own_modules_are_recorded_as_they_were_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, beside = tmp_path / "project", tmp_path / "beside"
    (project / "own_package").mkdir(parents=True)
    beside.mkdir()
    (project / "own_package" / "__init__.py").write_text("from . import part\n")
    (project / "own_package" / "part.py").write_text("y = 1\n")
    (beside / "own_helper.py").write_text("z = 1\n")
    monkeypatch.syspath_prepend(project)
    monkeypatch.syspath_prepend(beside)
    modules = LocalModules(project)
    modules.seen()
    own_package = importlib.import_module("own_package")
    importlib.import_module("own_helper")
    importlib.import_module("this_is_not_there".replace("this_is_not_there", "colorsys"))
    try:
        assert sorted(modules.seen()) == [
            ("own_helper", beside / "own_helper.py", b"z = 1\n"),
            ("own_package", project / "own_package" / "__init__.py", b"from . import part\n"),
            ("own_package.part", project / "own_package" / "part.py", b"y = 1\n"),
        ]
        assert modules.seen() == []
        (project / "own_package" / "part.py").write_text("y = 2  # edited\n")
        assert modules.seen() == []
        importlib.reload(own_package.part)
        assert modules.seen() == [("own_package.part", project / "own_package" / "part.py", b"y = 2  # edited\n")]
    finally:
        for name in ("own_helper", "own_package", "own_package.part"):
            sys.modules.pop(name, None)


def test_a_folder_that_a_package_was_built_in_and_that_is_gone_is_not_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, url in {"certifi": (tmp_path / "built" / "certifi").as_uri(), "here": tmp_path.as_uri()}.items():
        (tmp_path / f"{name}-1.0.dist-info").mkdir()
        (tmp_path / f"{name}-1.0.dist-info" / "direct_url.json").write_text(json.dumps({"url": url, "dir_info": {}}))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert direct_references() == {"here": tmp_path.as_uri()}
