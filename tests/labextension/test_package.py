"""The extension comes with the package: from a checkout with and without Node, from a source distribution, and editable."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from tests.npm import Node

ROOT = Path(__file__).parents[2]

LARGEST = 300_000

BUILT = "data/share/jupyter/labextensions/@jupyter-mlops/labextension/"

CONFIGURED = "data/etc/jupyter/jupyter_server_config.d/jupyter_mlops.json"

VIEWS = "jupyter_mlops/surfaces/widgets/static/"

NODE = ("node", "npm", "npx", "nodejs", "corepack")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as they are checked out: nothing is built, and no package of npm is there."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml", "hatch_build.py", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "notebooks").mkdir()
    for name in ("1_track_and_compare.ipynb", "4_serve_and_monitor.ipynb"):
        shutil.copy(ROOT / "notebooks" / name, folder / "notebooks")
    shutil.copytree(ROOT / "notebooks" / "stream", folder / "notebooks" / "stream")
    left_out = shutil.ignore_patterns("node_modules", "__pycache__", "static")
    shutil.copytree(ROOT / "labextension", folder / "labextension", ignore=left_out)
    shutil.copytree(ROOT / "jupyter_mlops", folder / "jupyter_mlops", ignore=left_out)
    shutil.rmtree(folder / "jupyter_mlops" / "labextension", ignore_errors=True)
    return folder


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment like this one, in which no Node is found."""
    programs = tmp_path_factory.mktemp("programs")
    for folder in os.environ["PATH"].split(os.pathsep):
        for program in Path(folder).iterdir() if Path(folder).is_dir() else ():
            link = programs / program.name
            if program.name not in NODE and not link.is_symlink():
                link.symlink_to(program)
    return {**os.environ, "PATH": str(programs)}


@pytest.fixture(scope="module")
def wheel(checkout: Path, without_node: dict[str, str]) -> Path:
    """The wheel that pip makes of the checkout where there is no Node."""
    assert all(shutil.which(name, path=without_node["PATH"]) is None for name in NODE)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", "dist", "."]
    done = subprocess.run(command, cwd=checkout, env=without_node, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next((checkout / "dist").glob("*.whl"))


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel by name; those of its .data folder without the package's version."""
    with zipfile.ZipFile(wheel) as opened:
        return {name.partition(".data/")[0] and _plain(name): opened.read(name) for name in opened.namelist()}


def _plain(name: str) -> str:
    before, within, after = name.partition(".data/")
    return f"data/{after.removeprefix('data/')}" if within else before


def built(files: dict[str, bytes]) -> dict[str, bytes]:
    """The bundle among the files of a wheel."""
    return {name.removeprefix(BUILT): content for name, content in files.items() if name.startswith(BUILT)}


def hatch(folder: Path, call: str, environment: dict[str, str] | None = None) -> Path:
    """What hatchling makes of the sources in `folder`; the file."""
    code = f"import hatchling.build as build, pathlib; print(pathlib.Path('made').resolve() / build.build_{call}('made'))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return Path(done.stdout.splitlines()[-1])


def test_pip_without_node_makes_a_wheel_that_carries_the_extension_and_enables_it(wheel: Path) -> None:
    files = contents(wheel)
    metadata = json.loads(built(files)["package.json"])
    assert metadata["name"] == "@jupyter-mlops/labextension"
    assert metadata["jupyterlab"]["_build"]["load"] in built(files)
    assert json.loads(built(files)["install.json"])["packageName"] == "jupyter_mlops"
    assert json.loads(built(files)["schemas/@jupyter-mlops/labextension/plugin.json"])["title"]
    assert json.loads(files[CONFIGURED]) == {"ServerApp": {"jpserver_extensions": {"jupyter_mlops": True}}}


def test_wheel_carries_what_the_demo_plays(wheel: Path) -> None:
    played = {name.removeprefix("jupyter_mlops/notebooks/") for name in contents(wheel) if name.startswith("jupyter_mlops/notebooks/")}
    assert played == {"1_track_and_compare.ipynb", "4_serve_and_monitor.ipynb", "stream/pipeline.yaml", "stream/train.ipynb"}


def test_wheel_carries_each_view_as_a_module_of_its_own(wheel: Path) -> None:
    files = contents(wheel)
    views = {file.stem for file in (ROOT / "labextension" / "src" / "views").glob("*.ts")}
    assert {name.removeprefix(VIEWS) for name in files if name.startswith(VIEWS)} == {f"{name}.js" for name in views} | {"views.css"}
    for name in views:
        module = files[f"{VIEWS}{name}.js"]
        assert b"export{" in module or b"export default" in module
        assert b'import"' not in module
        assert b"from\"" not in module, "a widget's module is given to the browser as one text, which can import nothing"
    assert b"@import" not in files[f"{VIEWS}views.css"]


def test_bundle_is_at_most_300_kb_and_once_in_the_wheel(wheel: Path) -> None:
    files = contents(wheel)
    sizes = {name: len(content) for name, content in built(files).items()}
    assert sum(sizes.values()) <= LARGEST, sizes
    assert not [name for name in files if name.startswith("jupyter_mlops/labextension/")]


def test_jupyterlab_lists_the_extension_as_enabled_from_the_wheel_alone(wheel: Path, tmp_path: Path) -> None:
    for name, content in contents(wheel).items():
        if name.startswith("data/"):
            file = tmp_path / name.removeprefix("data/")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    places = {"JUPYTER_PATH": str(tmp_path / "share" / "jupyter")}
    command = [sys.executable, "-m", "jupyter", "labextension", "list"]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **places}, capture_output=True, text=True, check=False)
    said = (done.stdout + done.stderr).split(str(tmp_path), 1)[1].split("\n\n")[0]
    assert "@jupyter-mlops/labextension" in said
    assert "enabled" in said
    assert "OK" in said


def test_source_distribution_installs_without_node_and_without_the_network(
    wheel: Path, checkout: Path, without_node: dict[str, str], tmp_path: Path
) -> None:
    with tarfile.open(hatch(checkout, "sdist")) as opened:
        opened.extractall(tmp_path, filter="data")
    unpacked = next(tmp_path.iterdir())
    assert not list(unpacked.rglob("node_modules"))
    assert (unpacked / "labextension" / "src" / "index.ts").is_file()
    nowhere = {**without_node, "npm_config_registry": "http://127.0.0.1:9", "npm_config_cache": str(tmp_path / "none")}
    assert built(contents(hatch(unpacked, "wheel", nowhere))) == built(contents(wheel))


def test_editable_install_puts_the_extension_where_jupyterlab_looks(wheel: Path, checkout: Path, tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--ignore-installed"]
    command = [*pip, "--prefix", str(tmp_path), "--editable", "."]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    placed = tmp_path / "share" / "jupyter" / "labextensions" / "@jupyter-mlops" / "labextension"
    assert {str(file.relative_to(placed)): file.read_bytes() for file in placed.rglob("*") if file.is_file()} == built(contents(wheel))
    assert (tmp_path / CONFIGURED.removeprefix("data/")).is_file()


def test_bundle_is_stale_as_soon_as_a_source_changes(wheel: Path, checkout: Path, bundle: ModuleType, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns("node_modules"))
    ours = bundle.Bundle(copy)
    assert ours.fresh()

    def changed(change: Callable[[], object]) -> bool:
        before = ours.digest()
        change()
        assert ours.fresh() is (before == ours.digest())
        return before != ours.digest()

    sources = copy / "labextension"
    assert not changed(lambda: (sources / "src" / "index.ts").touch())
    assert not changed(lambda: (sources / "README.md").write_text("read by people only"))
    assert changed(lambda: (sources / "style" / "base.css").write_text("* { color: red }"))
    assert changed(lambda: (sources / "src" / "panel.ts").unlink())
    assert changed(lambda: (sources / "src" / "more.ts").write_text("export const more = 1;"))
    ours.stamp.write_text(ours.digest())
    assert ours.fresh()
    shutil.rmtree(ours.views)
    assert not ours.fresh()


def test_stale_bundle_is_built_anew_before_it_is_packed(wheel: Path, checkout: Path, node: Node) -> None:
    style = checkout / "labextension" / "style" / "base.css"
    before = style.read_text(encoding="utf-8")
    style.write_text(before + "\n.mlops-of-today { color: var(--jp-brand-color1); }\n", encoding="utf-8")
    files = contents(hatch(checkout, "wheel", node.environment))
    style.write_text(before, encoding="utf-8")
    assert b"mlops-of-today" in files[f"{VIEWS}views.css"]
    assert any(b"mlops-of-today" in content for content in built(files).values())
    assert built(files)["sources.sha256"] != built(contents(wheel))["sources.sha256"]


def test_lock_file_names_no_registry_and_fits_the_package() -> None:
    lock = json.loads((ROOT / "labextension" / "package-lock.json").read_text(encoding="utf-8"))
    package = json.loads((ROOT / "labextension" / "package.json").read_text(encoding="utf-8"))
    assert not [name for name, item in lock["packages"].items() if "resolved" in item]
    assert all("integrity" in item for name, item in lock["packages"].items() if name)
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    assert lock["packages"][""]["devDependencies"] == package["devDependencies"]
