"""The packages that a run was made with: which of them differ here, and an environment that has them as they were.

An environment is built once for the same packages and the same Python, under the user's cache folder, by uv where that is installed,
else by Python's own venv and pip; both ask the index that the user has set up for them.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import NotRebuilt
from ..store import locks

OWN = "jupyter-mlops"
PACKAGE = Path(__file__).resolve().parent.parent
_POLL_SECONDS = 0.2
_REASON = 200


@dataclass(frozen=True, slots=True)
class Requirements:
    """What pip or uv installs, one requirement each, sorted; `linked` are the distributions that were links to a folder on the
    machine of the run, as `name==version`: no index has them, their imported modules are in the run's record."""

    wanted: tuple[str, ...]
    linked: tuple[str, ...] = ()


def requirements(environment: Mapping[str, Any]) -> Requirements:
    """The requirements of a described environment (see `tracking.environment.describe`); this package is not among them."""
    direct: Mapping[str, str] = environment.get("direct") or {}
    wanted, linked = [], []
    for name, version in sorted((environment.get("packages") or {}).items()):
        origin = direct.get(name, "")
        if name == OWN:
            continue
        if origin.startswith("-e "):
            linked.append(f"{name}=={version}")
        else:
            wanted.append(f"{name} @ {origin}" if origin else f"{name}=={version}")
    return Requirements(tuple(wanted), tuple(linked))


def differing(
    recorded: Mapping[str, str], here: Mapping[str, str] | None = None, imported: Collection[str] = ()
) -> tuple[str, ...]:
    """The recorded packages that are here in another version or not at all, those that the run imported first.

    `recorded` and `here` (default: this process's) map normalised names to versions, `imported` holds names of imported packages.
    """
    if here is None:
        from ..tracking.environment import packages

        here = packages()
    differ = {name: version for name, version in recorded.items() if here.get(name) != version and name != OWN}
    first = {_normal(name) for name in imported} | _distributions_of(imported)
    ordered = sorted(differ, key=lambda name: (name not in first, name))
    return tuple(f"{name} {differ[name]} recorded, {here.get(name) or 'not installed'} here" for name in ordered)


def _distributions_of(imported: Collection[str]) -> set[str]:
    """scikit-learn for sklearn, as far as the packages here tell."""
    if not imported:
        return set()
    known = importlib.metadata.packages_distributions()
    return {_normal(name) for module in imported for name in known.get(module.partition(".")[0], ())}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def rebuilt(environment: Mapping[str, Any]) -> Path:
    """The Python of an environment with the packages and the Python version of a described environment, and this package as it runs now.

    It is built if it is not in the cache yet, which can take minutes. Raises NotRebuilt, which names what could not be installed.
    """
    found = requirements(environment)
    folder = cache() / key(environment)
    python = folder / "bin" / "python"
    if not python.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(folder.name + ".lock")):
            if not python.exists():
                _build(folder, str(environment.get("python") or platform.python_version()), found.wanted)
    return python


def key(environment: Mapping[str, Any]) -> str:
    """What the environment is kept under: BLAKE3 of the Python version, the sorted requirements and the place of this package."""
    from blake3 import blake3

    content = [str(environment.get("python") or ""), str(PACKAGE), *requirements(environment).wanted]
    return blake3("\n".join(content).encode()).hexdigest()[:32]


def cache() -> Path:
    """The folder of all rebuilt environments; it can be deleted whenever no replay runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jupyter_mlops" / "environments"


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    while (held := locks.hold(lock)) is None:
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        locks.release(lock, held)


def _build(folder: Path, version: str, wanted: Sequence[str]) -> None:
    # What a killed build left has this name too, and is made anew.
    making = folder.with_name(folder.name + ".making")
    shutil.rmtree(making, ignore_errors=True)
    uv = shutil.which("uv")
    make, install = (_by_uv(uv, making, version)) if uv else _by_pip(making, version)
    try:
        making.mkdir()
        listed = making / "requirements.txt"
        listed.write_text("".join(f"{line}\n" for line in wanted), encoding="utf-8")
        _run(make, (), f"Python {version}")
        # Exactly what was installed there: a solver could find fault with combinations that worked.
        _run([*install, "--no-deps", "--requirement", str(listed)], wanted, "a package")
        _bring_own(making)
        _rename_in_scripts(making, folder)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _by_uv(uv: str, making: Path, version: str) -> tuple[list[str], list[str]]:
    make = [uv, "venv", "--quiet", "--allow-existing", "--no-project", "--python", version, str(making)]
    return make, [uv, "pip", "install", "--quiet", "--python", str(making / "bin" / "python")]


def _by_pip(making: Path, version: str) -> tuple[list[str], list[str]]:
    options = ["--quiet", "--no-input", "--no-compile", "--disable-pip-version-check"]
    return [_interpreter(version), "-m", "venv", str(making)], [str(making / "bin" / "python"), "-m", "pip", "install", *options]


def _interpreter(version: str) -> str:
    """A Python of the same minor version: this one, else one on the PATH. Another patch release is good enough: differences are listed."""
    minor = ".".join(version.split(".")[:2])
    if platform.python_version().startswith(minor + "."):
        return sys.executable
    found = shutil.which(f"python{minor}")
    if found is None or subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        raise NotRebuilt(f"Python {minor}", "there is none on the PATH, and uv, which could get it, is not installed")
    return found


def _run(command: Sequence[str], wanted: Sequence[str], what: str) -> None:
    """Run one command of uv or pip; when it fails, the requirement that its message names is what could not be installed."""
    # A PYTHONPATH or an active environment of the user's would be looked into first.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        told = done.stderr or done.stdout
        raise NotRebuilt(_named(told, wanted) or what, _reason(told))


def _named(told: str, wanted: Sequence[str]) -> str:
    named = [line for line in wanted if re.search(rf"(?<![\w.-]){re.escape(line)}(?![\w.])", told)]
    if not named:
        names = {line: re.split(r"==| @ ", line)[0] for line in wanted}
        named = [line for line, name in names.items() if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", told)]
    return ", ".join(named[:3])


def _reason(told: str) -> str:
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or line.startswith(("╰", "Because"))]
    text = " ".join((errors or lines or ["no reason was given"])[-1].split())
    text = re.sub(r"^(ERROR|error): *", "", text).rstrip(".")
    return text if len(text) <= _REASON else text[: _REASON - 1] + "…"


def _bring_own(making: Path) -> None:
    """Put this very package into the environment, as it runs here; what it needs is among the run's packages."""
    site = next((making / "lib").glob("python*/site-packages"))
    (site / PACKAGE.name).symlink_to(PACKAGE, target_is_directory=True)
    # With what is installed of it go its entry points, through which MLflow finds it.
    metadata = getattr(importlib.metadata.distribution(OWN), "_path", None)
    if metadata is not None:
        (site / Path(metadata).name).symlink_to(metadata, target_is_directory=True)


def _rename_in_scripts(making: Path, folder: Path) -> None:
    """Scripts name the Python of their environment by its whole path."""
    old, new = os.fsencode(making), os.fsencode(folder)
    for script in [*(making / "bin").iterdir(), making / "pyvenv.cfg"]:
        if script.is_file() and not script.is_symlink():
            content = script.read_bytes()
            if old in content and b"\0" not in content:
                script.write_bytes(content.replace(old, new))
