"""What `doctor` examines of an installation: packages, extras, the extension of JupyterLab, other kernels, the port of services."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import Settings
from ..records import Problem
from .health_store import well

PACKAGE = "jupyter_mlops"
TOLD = ("mlflow", "ipython", "ipykernel", "scikit-learn", "pandas", "pyarrow", "jupyterlab")
"""The packages whose versions are listed where they are right; those that are not are named, whichever they are."""

EXTRAS = ("serve", "data", "fairness", "dask", "s3", "postgres")
EXTENSION = "@jupyter-mlops/labextension"
SERVER_EXTENSION = "jupyter_mlops"
PORT = 8000
"""Where `mlops serve` listens unless it is told otherwise."""
_KERNEL_SECONDS = 20
_LOOK = f"import importlib.util as u, sys; sys.exit(0 if u.find_spec({PACKAGE!r}) else 3)"


def packages(settings: Settings) -> Iterator[Problem]:
    """The versions of what this package stands on."""
    yield well(f"{PACKAGE} {__version__}, Python {sys.version.split()[0]}", sys.prefix)
    for name, found, wanted in _requirements(""):
        if found is None:
            yield Problem(what=f"{name} is not installed", remedy=f'Run: python -m pip install "{name}{wanted}"')
        elif not wanted.contains(found, prereleases=True):
            yield Problem(what=f"{name} {found} does not fit: {wanted} is needed", remedy=f'Run: python -m pip install -U "{name}{wanted}"')
        elif name.lower() in TOLD:
            yield well(f"{name} {found}")
    if shutil.which("mlops") is None:
        # Not wrong: a kernel's environment need not be the one that the terminal has activated.
        advice = "Activate this environment in a terminal, or use `python -m jupyter_mlops` there."
        yield Problem(what="the command `mlops` is not on the PATH", where=str(Path(sys.executable).parent), remedy=advice, ok=True)


def extras(settings: Settings) -> Iterator[Problem]:
    """Which extras are there; one that the settings need and that is not there is wrong."""
    used = {"postgres": (settings.database or "").startswith("postgres"), "s3": (settings.objects or "").startswith("s3:")}
    there = []
    for extra in EXTRAS:
        missing = [name for name, found, _ in _requirements(extra) if found is None]
        if not missing:
            there.append(extra)
            continue
        needed = used.get(extra, False)
        yield Problem(
            what=f"the extra [{extra}] is not installed ({', '.join(missing)})" + (", and the settings need it" if needed else ""),
            remedy=f"{'Run' if needed else 'Where it is needed'}: python -m pip install '{PACKAGE}[{extra}]'",
            ok=not needed,
        )
    if there:
        yield well(f"extras installed: {', '.join(there)}")


def labextension(settings: Settings) -> Iterator[Problem]:
    """Whether JupyterLab finds the extension and nobody switched it off."""
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    again = f"Install the package again in the environment that JupyterLab runs in: python -m pip install --force-reinstall {PACKAGE}"
    places = [Path(folder, *EXTENSION.split("/")) for folder in jupyter_path("labextensions")]
    found = next((place for place in places if (place / "package.json").is_file()), None)
    if found is None:
        yield Problem(what="JupyterLab does not find the extension", where=str(places[0].parent.parent), remedy=again)
        return
    configured = [Path(folder) for folder in jupyter_config_path()]
    switched = {**_server_extensions(configured)}
    if SERVER_EXTENSION not in switched:
        yield Problem(what="JupyterLab's server does not know the extension", where=str(configured[0]), remedy=again)
    elif not switched[SERVER_EXTENSION]:
        remedy = f"Run: jupyter server extension enable {SERVER_EXTENSION}"
        yield Problem(what="the extension is switched off in JupyterLab's server", remedy=remedy)
    elif off := _disabled(configured):
        yield Problem(
            what="the extension is switched off in JupyterLab", where=str(off), remedy=f"Run: jupyter labextension enable {EXTENSION}"
        )
    else:
        yield well("JupyterLab has the extension", found)


def kernels(settings: Settings) -> Iterator[Problem]:
    """Kernels for Python in whose environment this package is missing: a notebook that runs there cannot be tracked."""
    from jupyter_client.kernelspec import KernelSpecManager

    for name, found in sorted(KernelSpecManager().get_all_specs().items()):
        command = found["spec"].get("argv") or [""]
        if found["spec"].get("language") != "python" or not Path(command[0]).is_absolute() or command[0] == sys.executable:
            continue
        where = str(found["resource_dir"])
        if not Path(command[0]).exists():
            yield Problem(
                what=f"the kernel {name!r} starts {command[0]}, which is gone", where=where, remedy=f"Run: jupyter kernelspec remove {name}"
            )
        elif _lacks(command[0]):
            # Not wrong where nothing is to be tracked in it.
            remedy = f"To track notebooks there: {command[0]} -m pip install {PACKAGE}"
            yield Problem(what=f"the kernel {name!r} runs in an environment without {PACKAGE}", where=where, remedy=remedy, ok=True)


def port(settings: Settings) -> Iterator[Problem]:
    """Whether services find their port free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError as error:
            remedy = f"If that is no service of yours, choose another: mlops serve NAME --port {PORT + 1}"
            yield Problem(what=f"port {PORT} is taken ({error.strerror})", where=f"127.0.0.1:{PORT}", remedy=remedy, ok=True)
        else:
            yield well(f"port {PORT} is free for `mlops serve`")


def _requirements(extra: str) -> Iterator[tuple[str, str | None, Any]]:
    """The name, the installed version and the wanted ones of each package that this one, or one of its extras, requires."""
    from packaging.requirements import Requirement

    try:
        listed = metadata.requires(PACKAGE) or []
    except metadata.PackageNotFoundError:  # run from its sources
        return
    for line in listed:
        wanted = Requirement(line)
        own = wanted.marker is None or wanted.marker.evaluate({"extra": ""})
        if own == bool(extra) or (extra and not (wanted.marker and wanted.marker.evaluate({"extra": extra}))):
            continue
        try:
            yield wanted.name, metadata.version(wanted.name), wanted.specifier
        except metadata.PackageNotFoundError:
            yield wanted.name, None, wanted.specifier


def _server_extensions(folders: list[Path]) -> dict[str, bool]:
    """The server's extensions and whether each is on, as its configuration files say; the first folder wins."""
    found: dict[str, bool] = {}
    for folder in reversed(folders):
        for path in [*sorted((folder / "jupyter_server_config.d").glob("*.json")), folder / "jupyter_server_config.json"]:
            found |= _json(path).get("ServerApp", {}).get("jpserver_extensions", {})
    return found


def _disabled(folders: list[Path]) -> Path | None:
    """The file that switches the extension of JupyterLab off."""
    for folder in folders:
        path = folder / "labconfig" / "page_config.json"
        told = _json(path).get("disabledExtensions", {})
        if EXTENSION in told and (isinstance(told, list) or told[EXTENSION]):
            return path
    return None


def _json(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _lacks(python: str) -> bool:
    """Whether another Python has not got this package."""
    try:
        return subprocess.run([python, "-P", "-c", _LOOK], capture_output=True, timeout=_KERNEL_SECONDS, check=False).returncode == 3
    except (OSError, subprocess.TimeoutExpired):
        return False
