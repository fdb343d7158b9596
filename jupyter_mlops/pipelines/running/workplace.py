"""Where a step works: in the pipeline's own folder, or, on a machine that has none, in a temporary one filled by content."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ...config import Settings
from ...errors import SettingsError

if TYPE_CHECKING:
    from ...store.objects import ObjectStore

PIPELINES = "pipelines"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """The working folder of a step, and the settings that hold there. `visiting` tells that the project itself is elsewhere."""

    folder: Path
    settings: Settings
    visiting: bool = False

    @property
    def files(self) -> Path:
        """The folder of the files that steps share."""
        return files_of(self.settings)


def files_of(settings: Settings) -> Path:
    """The folder in which outputs of steps lie as files, by content."""
    return settings.home / PIPELINES / "files"


def mark(settings: Settings) -> str:
    """What tells this very project from one that has the same path on another machine."""
    path = settings.home / PIPELINES / "mark"
    try:
        return path.read_text("ascii")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        apart = path.with_name(f".{uuid.uuid4().hex}")
        apart.write_text(uuid.uuid4().hex, "ascii")
        # Whoever links first has made the mark.
        try:
            os.link(apart, path)
        except FileExistsError:
            pass
        finally:
            apart.unlink()
        return path.read_text("ascii")


def is_here(settings: Settings, marked: str) -> bool:
    """Whether the project that has this mark is on this machine."""
    try:
        return (settings.home / PIPELINES / "mark").read_text("ascii") == marked
    except OSError:
        return False


def carried(folder: Path, paths: Iterable[str], objects: ObjectStore) -> dict[str, Mapping[str, Any]]:
    """Files and folders of a pipeline, given relative to its folder, stored for those who do not have it."""
    from . import outputs

    return {path: outputs.keep_file(path, folder / path, objects) for path in paths if (folder / path).exists()}


@contextmanager
def at_work(folder: str, settings: Settings, marked: str, needed: Mapping[str, Mapping[str, Any]]) -> Iterator[Workplace]:
    """The place for a step of the pipeline in `folder`; `needed` are the files to bring where it is not here."""
    if is_here(settings, marked):
        yield Workplace(folder=Path(folder), settings=settings)
        return
    from ...store.objects import ObjectStore
    from ...store.places import temporary_folder
    from . import outputs

    home = temporary_folder("mlops") / blake3(f"{settings.project} {marked}".encode()).hexdigest()[:16]
    settings = reachable(replace(settings, project=home))
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_settings(settings)
    objects = ObjectStore(str(settings.objects))
    apart = Path(tempfile.mkdtemp(prefix="step-", dir=home))
    try:
        for path, told in needed.items():
            _copy(outputs.materialise(told, files_of(settings), objects), apart / path)
        yield Workplace(folder=apart, settings=settings, visiting=True)
    finally:
        shutil.rmtree(apart, ignore_errors=True)


def reachable(settings: Settings) -> Settings:
    """Settings that hold on other machines, too; raises SettingsError for those that name places of one machine alone."""
    if "://" not in (settings.objects or "") or str(settings.objects).startswith("file:"):
        raise SettingsError("objects", settings.objects, 'steps on other machines need a URL that all reach, such as "s3://bucket/objects".')
    if (settings.database or "sqlite").startswith("sqlite"):
        raise SettingsError("database", settings.database, "steps on other machines need a PostgreSQL URL that all reach.")
    return settings


def _write_settings(settings: Settings) -> None:
    """Let kernels, and whoever delivers their runs, find the settings as in any project."""
    names = ("experiment", "objects", "database", "keep", "trust", "pickle", "secrets")
    given = {name: value for name in names if (value := getattr(settings, name))}
    text = "[tool.mlops]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in given.items())
    apart = settings.project / f".{uuid.uuid4().hex}"
    apart.touch(0o600)  # the database's URL may hold a password
    apart.write_text(text, "utf-8")
    apart.replace(settings.project / "pyproject.toml")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
