"""The packages of a run: which of them differ here, and an environment that has them as they were. No index is asked."""

from __future__ import annotations

import platform
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

import jupyter_mlops as mlops
from jupyter_mlops.errors import NotRebuilt
from jupyter_mlops.replay import environment

VERSION = platform.python_version()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels in place of an index, and a cache of its own."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for tool in ("PIP", "UV"):
        monkeypatch.setenv(f"{tool}_NO_INDEX", "1")
        monkeypatch.setenv(f"{tool}_FIND_LINKS", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def wheel(folder: Path, name: str, version: str, requires: str = "") -> None:
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        info = f"{name}-{version}.dist-info"
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requires}")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/entry_points.txt", f"[console_scripts]\n{name} = {name}:version.strip\n")
        file.writestr(f"{info}/RECORD", "")


def described(packages: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"python": VERSION, "packages": packages, **more}


@pytest.mark.parametrize(
    ("recorded", "here", "imported", "told"),
    [
        ({"numpy": "1.0"}, {"numpy": "1.0", "pandas": "3"}, (), ()),
        ({"numpy": "1.0", "jupyter-mlops": "0"}, {"numpy": "1.0", "jupyter-mlops": "1"}, (), ()),
        ({"numpy": "1.0"}, {"numpy": "2.0"}, (), ("numpy 1.0 recorded, 2.0 here",)),
        ({"absent": "1.0"}, {}, (), ("absent 1.0 recorded, not installed here",)),
        (
            {"alpha": "1", "scikit-learn": "1", "zeta": "1"},
            {"alpha": "2", "scikit-learn": "2", "zeta": "2"},
            ("sklearn.linear_model", "zeta"),
            ("scikit-learn 1 recorded, 2 here", "zeta 1 recorded, 2 here", "alpha 1 recorded, 2 here"),
        ),
    ],
)
def test_packages_that_differ_are_listed_the_imported_ones_first(
    recorded: dict[str, str], here: dict[str, str], imported: tuple[str, ...], told: tuple[str, ...]
) -> None:
    assert environment.differing(recorded, here, imported) == told


def test_what_no_index_has_is_told_apart() -> None:
    packages = {"numpy": "2.0", "mine": "1.0", "forked": "3.1", "jupyter-mlops": "0.1"}
    direct = {"mine": "-e file:///home/ada/mine", "forked": "git+https://example.org/forked@0123abc", "jupyter-mlops": "-e file:///x"}
    assert environment.requirements(described(packages, direct=direct)) == environment.Requirements(
        wanted=("forked @ git+https://example.org/forked@0123abc", "numpy==2.0"), linked=("mine==1.0",)
    )


def test_the_environment_of_a_run_is_built_once_and_has_its_packages_and_this_one(index: Path) -> None:
    # A combination that a solver would find fault with is rebuilt as it was.
    wheel(index, "mlopsone", "1.2", "Requires-Dist: mlopstwo>=9\n")
    wheel(index, "mlopstwo", "3.4")
    told = described({"mlopsone": "1.2", "mlopstwo": "3.4", "jupyter-mlops": "0"})
    python = environment.rebuilt(told)
    code = (
        "import mlopsone, mlopstwo, jupyter_mlops, importlib.metadata as m\n"
        "print(mlopsone.version, mlopstwo.version, jupyter_mlops.__version__, bool(m.entry_points(group='mlflow.run_context_provider')))"
    )
    told_there = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd="/").stdout.split()
    assert told_there == ["1.2", "3.4", mlops.__version__, "True"]
    script = (python.parent / "mlopsone").read_text()
    assert str(python.parent) in script
    assert ".making" not in script
    assert sorted(path.suffix for path in environment.cache().iterdir()) == ["", ".lock"]
    for path in index.iterdir():
        path.unlink()
    assert environment.rebuilt(told) == python
    assert environment.key(told) != environment.key(described({"mlopsone": "1.2", "mlopstwo": "3.5"}))


def test_what_a_killed_build_left_is_made_anew(index: Path) -> None:
    wheel(index, "mlopsone", "1.2")
    told = described({"mlopsone": "1.2"})
    left = environment.cache() / f"{environment.key(told)}.making" / "bin"
    left.mkdir(parents=True)
    (left / "python").write_text("half written")
    python = environment.rebuilt(told)
    assert subprocess.run([python, "-c", "import mlopsone"], check=False, cwd="/").returncode == 0
    assert not left.exists()


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (described({"mlopsabsent": "1.0"}), r"rebuilt: mlopsabsent==1\.0 cannot be installed \(.+\)\. Without --env"),
        (described({"mlopsgone": "1.0"}, direct={"mlopsgone": "file:///nosuch/mlopsgone"}), r"rebuilt: mlopsgone @ file:///nosuch/mlopsgone"),
        (described({}) | {"python": "3.99.0"}, r"rebuilt: Python 3\.99(\.0)? cannot be installed"),
    ],
)
def test_what_cannot_be_installed_is_named_and_nothing_is_left(index: Path, told: dict[str, Any], sentence: str) -> None:
    with pytest.raises(NotRebuilt, match=sentence) as caught:
        environment.rebuilt(told)
    assert "\n" not in str(caught.value)
    assert [path.suffix for path in environment.cache().iterdir()] == [".lock"]
