"""Settings: defaults < [tool.mlops] in pyproject.toml < MLOPS_* environment < argument."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import SettingsError

RUN_ID = "MLOPS_RUN_ID"
"""No setting: the variable by which a scheduler gives a run its id, the same each time that the run is begun."""
SCHEDULE = "MLOPS_SCHEDULE"
"""No setting: the name of the schedule that a run is of."""
DUE = "MLOPS_DUE"
"""No setting: the due time that a run is for, on the clock of its schedule, as ISO 8601."""

_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be set, with its default.

    `experiment` is the MLflow experiment (default: the user's own, else the project folder's name); `objects` an fsspec URL
    for the bytes (default: `.mlops/objects`); `keep` the most bytes of data kept by themselves; `line` whether a line under a
    result cell shows its run; `trust` exact types that skops may load beyond those of known libraries; `pickle` MLflow flavors
    that may be saved by pickle; `secrets` further names whose values are secret; `database` the SQLAlchemy URL of the shared
    state (default: `.mlops/shared.db`).
    """

    project: Path
    experiment: str | None = None
    objects: str | None = None
    database: str | None = None
    keep: int = 10 * 10**9
    line: bool = True
    trust: tuple[str, ...] = ()
    pickle: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()

    @property
    def home(self) -> Path:
        """The folder `.mlops` beside the MLflow store."""
        return self.project / ".mlops"


def load(start: Path | None = None, **arguments: Any) -> Settings:
    """The settings that hold in folder `start` (default: the working folder); `arguments` win over everything else."""
    folder = (start or Path.cwd()).resolve()
    project = find_project(folder)
    table = written(project / "pyproject.toml")
    values = _read(table, "[tool.mlops] ") | _read(_from_environment(), "MLOPS_")
    return replace(Settings(project=project, **values), **arguments)


def written(pyproject: Path) -> Mapping[str, Any]:
    """The table [tool.mlops] of a pyproject.toml; {} where there is none. Raises SettingsError for a file that is no TOML."""
    table = _document(pyproject, _mtime(pyproject)).get("tool", {}).get("mlops", {})
    return table if isinstance(table, dict) else {}


def find_project(folder: Path) -> Path:
    """The nearest folder upwards that has `.mlops` or a pyproject.toml with a [tool.mlops] table; else `folder` itself."""
    for candidate in (folder, *folder.parents):
        if (candidate / ".mlops").is_dir():
            return candidate
        pyproject = candidate / "pyproject.toml"
        if pyproject.is_file() and declares_mlops(pyproject):
            return candidate
    return folder


def parse_size(text: str | int) -> int:
    """Bytes of a size such as `10 GB` or `512MiB`; a plain number is bytes."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(text))
    if match is None or match[2].upper() not in _UNITS:
        raise SettingsError("keep", text, 'write a size such as "10 GB".')
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _read(table: Mapping[str, Any], where: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    known = {field.name for field in fields(Settings)} - {"project"}
    for name, value in table.items():
        if name not in known:
            # Later parts of the product keep tables of their own here; only plain misspelt settings are refused.
            if not isinstance(value, dict) and where.startswith("["):
                raise SettingsError(where + name, value, f"there is no such setting; there are {', '.join(sorted(known))}.")
            continue
        values[name] = _convert(name, value, where)
    return values


def _convert(name: str, value: Any, where: str) -> Any:
    if name == "keep":
        return parse_size(value)
    if name == "line":
        if isinstance(value, str):
            value = {"1": True, "true": True, "on": True, "yes": True, "0": False, "false": False, "off": False, "no": False}.get(
                value.lower()
            )
        if not isinstance(value, bool):
            raise SettingsError(where + name, value, "write true or false.")
        return value
    if name in ("trust", "pickle", "secrets"):
        items = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise SettingsError(where + name, value, 'write a list of texts, such as ["a", "b"].')
        return tuple(item for item in items if item)
    if not isinstance(value, str):
        raise SettingsError(where + name, value, "write a text.")
    return value or None


def _from_environment() -> dict[str, str]:
    return {key[6:].lower(): value for key, value in os.environ.items() if key.startswith("MLOPS_") and value}


def declares_mlops(pyproject: Path) -> bool:
    """Whether a pyproject.toml has a table [tool.mlops], however empty. Raises SettingsError for a file that is no TOML."""
    return "mlops" in _document(pyproject, _mtime(pyproject)).get("tool", {})


def _mtime(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=16)
def _document(path: Path, mtime: int) -> dict[str, Any]:
    if not mtime:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError("pyproject.toml", str(path), f"mend it: {error}.") from None
