"""The commands of binder/ in a fresh environment: they install the package, and what starts there opens a tutorial in JupyterLab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from tests.browser.lab import PRIVATE, Lab

ROOT = Path(__file__).parents[2]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A copy of the repository with a fresh environment in `venv`, which borrows this one's packages instead of loading them anew."""
    folder = tmp_path / "repository"
    made = ("node_modules", "__pycache__", ".*", "build", "tests", "mlruns", "mlflow.db*")
    shutil.copytree(ROOT, folder, ignore=lambda where, names: shutil.ignore_patterns(*made)(where, names) - {".gitignore"})
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    packages = next((folder / "venv").glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def test_binder_installs_the_package_and_opens_a_tutorial(image: Path, tmp_path: Path) -> None:
    programs = image / "venv" / "bin"
    environment = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "VIRTUAL_ENV": str(image / "venv")}
    environment.pop("PYTHONPATH", None)
    subprocess.run([image / "binder" / "postBuild"], cwd=image, env=environment, check=True, capture_output=True)
    placed = image / "venv" / "share" / "jupyter" / "labextensions" / "@jupyter-mlops" / "labextension" / "package.json"
    assert json.loads(placed.read_text(encoding="utf-8"))["jupyterlab"]["_build"]["load"]
    said = subprocess.run([programs / "mlops", "--version"], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert said.stdout.strip()
    with Started(image, tmp_path / "home", environment) as lab, urlopen(f"{lab.url}/?token={lab.token}", timeout=30) as answer:
        path = urlsplit(answer.url).path
        assert path.startswith("/lab/tree/notebooks/")
        tutorial = lab.ask(f"api/contents/{path.removeprefix('/lab/tree/')}?content=1")
        assert tutorial["content"]["cells"]
        extensions = lab.ask("lab/api/settings")["settings"]
        assert "@jupyter-mlops/labextension:plugin" in {item["id"] for item in extensions}


class Started(Lab):
    """The server as Binder starts it: binder/start with the command of the server, in the repository's folder."""

    def __init__(self, image: Path, home: Path, environment: dict[str, str]) -> None:
        super().__init__(home)
        self.root = image
        self._around = environment

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the image, with a home of its own."""
        return {**self._around, **{name: str(self.home / folder) for name, folder in PRIVATE.items()}}

    def command(self) -> list[str]:
        """What Binder runs."""
        return [str(self.root / "binder" / "start"), "jupyter", "lab", *super().command()[3:]]

    def __enter__(self) -> Started:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()
