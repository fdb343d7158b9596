"""papermill's own tests, which its package ships, run with this package's engine as the default, in an environment of their own.

Run by name: `pytest tests/papermill`. The environment (1 GB) stays in pytest's cache folder, so that only the first run takes minutes to
make it; this project is installed into it each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MINUTES = 30
# What papermill's tests need besides papermill; versions as it asks for them where they matter.
NEEDS = ("boto3", "moto", "pytest", "pytest-env", "pytest-mock", "ipywidgets", "pygithub", "attrs")
LEFT_OUT = {
    "test_abs.py": "Azure blob storage: needs the cloud's client libraries",
    "test_adl.py": "Azure data lake: needs the cloud's client libraries",
    "test_gcs.py": "Google cloud storage: needs the cloud's client libraries",
    "test_hdfs.py": "Hadoop: needs its client libraries",
    "test_execute.py::TestBrokenNotebook2::test": (
        "its notebook imports `display` from IPython.core.display, which IPython 9 does not have: papermill's own engine fails it as well"
    ),
}


@pytest.fixture(scope="session")
def python(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment with this project as it is now, and what papermill's tests need."""
    folder = Path(request.config.cache.mkdir(f"papermill-{sys.version_info.major}.{sys.version_info.minor}"))
    interpreter = folder / "bin/python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        _install(interpreter, str(PROJECT), *NEEDS)
        (folder / "installed").touch()
    _install(interpreter, "--no-deps", "--force-reinstall", str(PROJECT))
    return interpreter


def _install(interpreter: Path, *what: str) -> None:
    subprocess.run([interpreter, "-m", "pip", "install", "--quiet", *what], check=True, timeout=MINUTES * 60)


@pytest.mark.timeout(2 * MINUTES * 60)
def test_papermills_own_tests_pass_with_this_engine(python: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    suite = subprocess.run(
        [python, "-c", "import importlib.util as u; print(u.find_spec('papermill').submodule_search_locations[0])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    left_out = [f"--deselect={name}" if "::" in name else f"--ignore={suite}/tests/{name}" for name in LEFT_OUT]
    command = [python, "-m", "pytest", "-p", "default_engine", "-p", "no:cacheprovider", "-c", os.devnull, f"--rootdir={suite}/tests"]
    done = subprocess.run(
        [*command, *left_out, f"--junitxml={report}", f"{suite}/tests"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        stdout=sys.stderr,
    )
    counted = {name: int(ElementTree.parse(report).getroot()[0].attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    assert (done.returncode, counted["failures"], counted["errors"]) == (0, 0, 0)
    assert counted["tests"] > 400
