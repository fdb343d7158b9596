"""A folder that holds one version of a model with all that its service needs: files, hash, locked requirements, and this package.

    model/              the model's files, as they were registered
    model.json          the version: name, number, hash of the files, signature, trusted types
    SHA256SUMS          the same hashes for whoever has only a shell: sha256sum -c SHA256SUMS
    requirements.txt    every package with its version
    *.whl               this package

Nothing in it leads back to the project or its store: `mlops serve FOLDER` runs it wherever the requirements are installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from ...config import Settings
from ...errors import NotFound, UsageError
from ...pipelines.exporting.export_marks import is_untouched, marked
from ...records import ModelVersion, to_json
from ...store import formats, registry
from .requirements import Lock, locked
from .wheel import NAME as WHEEL
from .wheel import wheel

MODEL, DESCRIBED, SUMS, REQUIREMENTS = "model", "model.json", "SHA256SUMS", "requirements.txt"
_LIBRARIES = {"pytorch": "torch"}
"""MLflow's names of flavors whose module is called otherwise."""


def is_bundle(folder: Path) -> bool:
    """Whether a folder was written by `write`."""
    return (folder / DESCRIBED).is_file() and (folder / MODEL).is_dir()


def read(folder: Path) -> ModelVersion:
    """The version that a folder holds; its files are in `folder / MODEL`, and are to be checked against its digest before they are read.

    Raises NotFound for a folder that is none, NewerFormat for one of a later format.
    """
    try:
        told = json.loads((folder / DESCRIBED).read_text(encoding="utf-8"))
        formats.check(folder, int(told["format"]), formats.EXPORTED)
        version = ModelVersion.from_json(told["version"])
    except (OSError, ValueError, KeyError, TypeError):
        raise NotFound("exported model in", str(folder), "`mlops export NAME@champion --to docker` writes such a folder.") from None
    return version


def write(settings: Settings, version: ModelVersion, folder: Path, texts: Mapping[str, str], *, force: bool) -> tuple[list[str], Lock]:
    """Write the folder, with `texts` (file name to content) beside the model; its files, relative to it, and the lock.

    A folder that is no such folder is left alone, and so is a text that was edited since it was written, unless `force`: the new one is
    then put beside it as NAME.new. Raises UsageError, and what `registry.download` raises.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder with --out.")
    if folder.is_dir() and any(folder.iterdir()) and not is_bundle(folder):
        raise UsageError(f"{folder} holds something else: name an empty or a new folder with --out.")
    files = registry.download(settings, version)
    lock = _lock(files, version)
    folder.mkdir(parents=True, exist_ok=True)
    _replace(files, folder / MODEL)
    plain = replace(version, aliases=(), uri="", source="", tags={})
    described = json.dumps({"format": formats.EXPORTED, "version": to_json(plain)}, indent=2, sort_keys=True, default=str)
    _put(folder / DESCRIBED, (described + "\n").encode())
    _put(folder / SUMS, _sums(folder).encode())
    for old in folder.glob("*.whl"):
        old.unlink()
    _put(folder / WHEEL, wheel())
    edited = [name for name, text in {REQUIREMENTS: "\n".join(lock.lines) + "\n", **texts}.items() if not _text(folder / name, text, force)]
    found = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    notes = tuple(f"{name} was edited since it was exported, so it stays as it is: {name}.new is the new one." for name in edited)
    return found, Lock(lock.lines, (*lock.notes, *notes))


def _lock(files: Path, version: ModelVersion) -> Lock:
    """What loading the model needs, in the versions that were there as it was trained; the rest of that environment is left out."""
    file = files / "requirements.txt"
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    recorded = {name.strip(): number.strip() for name, sign, number in (line.partition("==") for line in lines) if sign}
    modules = {name.partition(".")[0] for name in version.trusted} | {_LIBRARIES.get(version.flavor, version.flavor)}
    if version.format != "skops":
        modules.add("mlflow")
    packages = metadata.packages_distributions()
    # Several distributions give the module mlflow: the one of its name has all of it.
    wanted = {module if module in packages[module] else packages[module][0] for module in modules if module in packages}
    # Modules of the standard library need no package; what is left is a file of the project.
    own = sorted(module for module in modules - set(packages) - sys.stdlib_module_names if module)
    notes = (f"The model needs {', '.join(own)} of your project: put a copy into the folder.",) if own else ()
    lock = locked(wanted, recorded)
    return Lock(lock.lines, (*lock.notes, *notes))


def _replace(source: Path, target: Path) -> None:
    """Copy a folder in place of another."""
    fresh = Path(tempfile.mkdtemp(prefix=".model-", dir=target.parent))
    shutil.copytree(source, fresh / "files")
    shutil.rmtree(target, ignore_errors=True)
    os.replace(fresh / "files", target)
    fresh.rmdir()


def _sums(folder: Path) -> str:
    paths = [*sorted(path for path in (folder / MODEL).rglob("*") if path.is_file()), folder / DESCRIBED]
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n" for path in paths)


def _text(path: Path, text: str, force: bool) -> bool:
    """Write a text with the mark that tells of edits; False where it would undo one."""
    new = marked(text)
    if path.exists() and not force:
        before = path.read_text(encoding="utf-8")
        if before.replace("\r\n", "\n") != new and not is_untouched(before):
            _put(path.with_name(f"{path.name}.new"), new.encode())
            return False
    _put(path, new.encode())
    return True


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)
