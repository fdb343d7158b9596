"""The folder of a replay: where paths lead, what its kernel's environment holds, and that nothing of it stays."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from jupyter_mlops.config import Settings
from jupyter_mlops.replay.sandbox import Sandbox
from jupyter_mlops.tracking import session


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's home with settings and caches."""
    home = tmp_path / "home"
    for path, text in {
        ".config/matplotlib/matplotlibrc": "font.size: 9",
        ".cache/matplotlib/fontlist-v390.json": "{}",
        ".ipython/profile_default/startup/00.py": "x = 1",
        ".ipython/profile_default/history.sqlite": "private",
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "IPYTHONDIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    return home


def test_a_kernel_that_replays_gives_on_what_it_had_before_its_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live = session.Session(Settings(project=tmp_path))
    monkeypatch.setattr(session, "_session", live)
    monkeypatch.setenv("SET_BY_A_CELL", "3")
    monkeypatch.setenv("API_TOKEN", "x")
    with Sandbox(tmp_path, tmp_path) as sandbox:
        variables = sandbox.environment("7", "a.ipynb", {"API_TOKEN", "NOT_SET"})
    assert (variables.get("SET_BY_A_CELL"), variables["API_TOKEN"]) == (None, "x")
    assert not variables.keys() & {"NOT_SET"}
    live.close()


def test_the_project_and_its_neighbours_have_their_places(tmp_path: Path) -> None:
    project = tmp_path / "work" / "project"
    with Sandbox(project, project / "notebooks") as sandbox:
        assert sandbox.cwd.relative_to(sandbox.project).as_posix() == "notebooks"
        assert (sandbox.cwd / ".." / ".." / "shared" / "x.csv").resolve() == sandbox.place(tmp_path / "work" / "shared" / "x.csv")
        assert sandbox.place(project / "a" / ".." / "b.csv") == sandbox.project / "b.csv"
        assert sandbox.cwd.is_dir()
        root = sandbox.root
    assert not root.exists()


def test_what_a_killed_replay_left_goes_when_the_next_one_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = (
        f"import os, signal, tempfile\nfrom pathlib import Path\nfrom jupyter_mlops.replay.sandbox import Sandbox\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\nSandbox(Path({str(tmp_path)!r}), Path({str(tmp_path)!r}))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    [left] = tmp_path.glob("mlops-replay-*")
    with Sandbox(tmp_path, tmp_path) as living:
        assert not left.exists()
        with Sandbox(tmp_path, tmp_path):
            assert living.project.is_dir()
    assert list(tmp_path.glob("mlops-replay-*")) == []


def test_what_the_code_made_read_only_goes_too(tmp_path: Path) -> None:
    with Sandbox(tmp_path, tmp_path) as sandbox:
        folder = sandbox.project / "closed"
        folder.mkdir()
        (folder / "x").write_text("x")
        folder.chmod(0o500)
        root = sandbox.root
    assert not root.exists()


def test_the_kernel_has_the_users_settings_and_writes_none_of_the_users_files(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://example.invalid")
    monkeypatch.setenv("MLOPS_OBJECTS", "s3://bucket")
    monkeypatch.setenv("MY_SETTING", "1")
    with Sandbox(tmp_path, tmp_path) as sandbox:
        variables = sandbox.environment("7", "a.ipynb")
        assert (variables["MY_SETTING"], variables["PYTHONHASHSEED"]) == ("1", "7")
        assert not {"MLFLOW_TRACKING_URI", "MLOPS_OBJECTS"} & variables.keys()
        for name in ("TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "JOBLIB_TEMP_FOLDER"):
            assert Path(variables[name]).is_relative_to(sandbox.root), name
        found = {path.relative_to(sandbox.home).as_posix() for path in sandbox.home.rglob("*") if path.is_file()}
        assert found == {"matplotlib/matplotlibrc", "matplotlib/fontlist-v390.json", "ipython/profile_default/startup/00.py"}
