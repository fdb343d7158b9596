"""What `init` writes in a project folder, and the page that `ui` serves."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path

from ..code.secrets import without_credentials
from ..config import Settings
from ..errors import SettingsError, StoreError, UsageError
from ..store import client
from . import skeleton
from .answers import Page, Prepared

IGNORED = (".mlops/", "mlflow.db*", "mlruns/", "mlartifacts/", ".ipynb_checkpoints/")
"""What the product and MLflow keep in a project folder, and no repository should."""


def prepare(folder: Path, experiment: str | None) -> Prepared:
    """Write what is missing of settings, .gitignore, a pipeline, and the check of it before a commit; a second time changes nothing."""
    name = folder.resolve().name if experiment is None else experiment
    if not name.strip():
        raise UsageError("Give the experiment a name: `mlops init --experiment NAME`.")
    changed = [*_settings(folder / "pyproject.toml", name, experiment is not None), *_ignore(folder / ".gitignore")]
    home = folder / ".mlops"
    if not home.is_dir():
        home.mkdir(mode=0o700)
        changed.append(".mlops/ made")
    changed += _pipeline(folder)
    hooks, notes = _hooks(folder)
    experiment = _experiment(folder / "pyproject.toml")
    return Prepared(project=str(folder.resolve()), experiment=experiment, changed=(*changed, *hooks), notes=tuple(notes))


def _settings(path: Path, experiment: str, named: bool) -> list[str]:
    """Add [tool.mlops] to pyproject.toml, or set its experiment where the user names one. Comments and order stay."""
    import tomlkit
    from tomlkit.exceptions import ParseError

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    try:
        document = tomlkit.parse(text)
    except ParseError as error:
        raise SettingsError("pyproject.toml", str(path), f"mend it first: {error}.") from None
    table = document.get("tool", {}).get("mlops")
    if table is None:
        # Appended as text: whatever is in the file stays as it is, byte for byte.
        body = tomlkit.dumps({"tool": {"mlops": {"experiment": experiment}}}).replace("[tool]\n", "")
        _write(path, f"{text.rstrip()}\n\n{body}" if text.strip() else body)
        return [f'pyproject.toml: [tool.mlops] experiment = "{experiment}"']
    if named and table.get("experiment") != experiment:
        table["experiment"] = experiment
        _write(path, tomlkit.dumps(document))
        return [f'pyproject.toml: experiment = "{experiment}"']
    return []


def _experiment(path: Path) -> str:
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    return str(document["tool"]["mlops"].get("experiment", path.parent.resolve().name))


def _ignore(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    there = {line.strip().rstrip("/").lstrip("/") for line in text.splitlines()}
    missing = [entry for entry in IGNORED if entry.rstrip("/") not in there]
    if not missing:
        return []
    _write(path, (f"{text.rstrip()}\n\n" if text.strip() else "") + "# mlops and MLflow\n" + "\n".join(missing) + "\n")
    return [f".gitignore: {', '.join(missing)}"]


def _pipeline(folder: Path) -> list[str]:
    files = skeleton.pipeline_files(folder)
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write(folder / name, content.decode())
    return [f"{name} made" for name in files]


def _hooks(folder: Path) -> tuple[list[str], list[str]]:
    """What was written for pre-commit, and what is left to the user."""
    pipeline = next((name for name in skeleton.PIPELINES if (folder / name).exists()), None)
    if pipeline is None:
        return [], []
    if not (folder / ".git").exists():
        return [], [f"This is not the root of a git repository: where it is, `mlops init` adds a check of {pipeline} before each commit."]
    path = folder / skeleton.HOOKS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    if f"mlops run {pipeline}" in text:
        return [], []
    hooked = skeleton.hooked(text, pipeline)
    if hooked is None:
        return [], [f"{path.name} stays as it is: add a local hook with the entry `mlops run {pipeline} --dry-run` to it."]
    _write(path, hooked)
    return [f"{path.name}: `mlops run {pipeline} --dry-run` before each commit"], ["`pre-commit install` switches the check on."]


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, so that a full disk leaves the old one."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        if path.exists():
            fresh.chmod(path.stat().st_mode)
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"{path} cannot be written ({error.strerror}); nothing in it was changed.") from None


def serve_ui(settings: Settings, port: int | None) -> Page:
    """Start MLflow's server over the project's store, on the loopback address only, and wait until it answers."""
    store = str(client.ask(settings, "status")["tracking_uri"])
    shown = without_credentials(store)
    if re.match(r"https?://", store):
        raise UsageError(f"The runs of this project are on a server, which has its own pages: open {shown} in a browser.")
    if port is not None and not 0 <= port < 2**16:
        raise UsageError(f"--port {port} is no port: give 1 to 65535, or 0 for any that is free.")
    chosen = port or _free_port()
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(chosen), "--workers", "1"]
    # By environment, since everybody on this computer can read command lines, and the address of a database may hold a password.
    environment = os.environ | {"MLFLOW_BACKEND_STORE_URI": store}
    log = settings.home / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=settings.project, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{chosen}"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            why = said[-1] if said else "no reason given"
            raise StoreError(f"MLflow's pages did not start ({why}); {log} says more, or try another --port.")
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return Page(url=url, store=shown, process=process)
        except OSError:
            time.sleep(0.1)
    process.terminate()
    raise StoreError(f"MLflow's pages did not answer within 60 s; {log} says more.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
