"""Where a service takes its model from: which version an alias names now, and that version itself.

The registry is one source, a folder another: that of an exported service, which needs neither a registry nor MLflow.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson

from ...config import Settings
from ...errors import NotFound
from ...records import ModelVersion
from ...store import model_folders, registry
from ...store.audit import Audit, who
from ...store.standings import ALIASES, Standings


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model version in memory. `inputs` and `outputs` are MLflow's schema of it, as lists; () where it has none.

    `example` is a request that the model can answer, None without any; `digest` is that of the version's files.
    """

    name: str
    version: int
    model: Any
    flavor: str = "sklearn"
    inputs: tuple[Mapping[str, Any], ...] = ()
    outputs: tuple[Mapping[str, Any], ...] = ()
    example: Any = None
    digest: str = ""
    run: str = ""


class Source(Protocol):
    """The versions of one registered model. Its methods are called in threads, never at the same time."""

    name: str

    def current(self, alias: str) -> int | None:
        """The version that an alias names now (a number names itself); None where nobody has the alias. Raises MlopsError."""

    def load(self, version: int) -> Loaded:
        """A version, with its files checked against their digest. Raises MlopsError, and whatever the model's own code raises."""

    def tell(self, what: str, version: int | None, why: str, details: Mapping[str, Any]) -> None:
        """Note in the audit log what became of a version here: served, swapped or load failed."""

    def close(self) -> None:
        """Give up what the source holds open."""


class RegistrySource:
    """A registered model. Changes of the aliases that this package keeps are seen at once, those of others within seconds.

    With `tells` the audit log is written; one process of a service does.
    """

    def __init__(self, settings: Settings, name: str, *, tells: bool = True) -> None:
        self.name = name
        self._settings = settings
        self._state = registry.state_of(settings)
        self._tells = tells
        self._seen: dict[str, tuple[float, int | None]] = {}

    def current(self, alias: str) -> int | None:
        if alias.isdecimal():
            return int(alias)
        if not alias or alias in ALIASES:
            standing = Standings(self._state).get(self.name)
            found = standing.aliases.get(alias or "champion") if standing is not None else None
            if found is not None or (alias and standing is not None):
                return found
        # Only MLflow knows this one, and asking it takes a process of its own.
        asked, known = self._seen.get(alias, (-_ASK_AGAIN, None))
        if time.monotonic() - asked >= _ASK_AGAIN:
            known = None
            with contextlib.suppress(NotFound):
                known = registry.version(self._settings, f"{self.name}@{alias}" if alias else self.name).version
            self._seen[alias] = (time.monotonic(), known)
        return known

    def load(self, version: int) -> Loaded:
        found = registry.version(self._settings, f"{self.name}/{version}")
        folder = registry.download(self._settings, found)
        return loaded(folder, found, self._settings)

    def tell(self, what: str, version: int | None, why: str, details: Mapping[str, Any]) -> None:
        if self._tells:
            Audit(self._state).append(None, who(), what, self.name, version, why, {**details, "process": os.getpid()})

    def close(self) -> None:
        self._state.close()


class FolderSource:
    """A model that was exported to a folder, and whatever version is put there later."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self.name = self._version().name

    def current(self, alias: str) -> int | None:
        version = self._version().version
        return version if alias in ("", "champion", str(version)) else None

    def load(self, version: int) -> Loaded:
        found = self._version()
        if found.version != version:
            raise NotFound(f"version {version} in the folder", str(self._folder))
        folder = self._folder / "model"
        model_folders.check(folder, found.digest, f"Version {found.version} of {found.name}")
        return loaded(folder, found, self._settings)

    def tell(self, what: str, version: int | None, why: str, details: Mapping[str, Any]) -> None:
        """There is no audit log where only the folder is; the service's own log has it."""

    def close(self) -> None:
        """Nothing is held open."""

    def _version(self) -> ModelVersion:
        from ..exporting import bundle

        return bundle.read(self._folder)


_ASK_AGAIN = 5.0
_LARGEST_EXAMPLE = 4 * 2**20


def loaded(folder: Path, version: ModelVersion, settings: Settings) -> Loaded:
    """A version from a folder whose hash was checked."""
    model = model_folders.load(folder, version, settings)
    contents = model_folders.inspect(folder, f"Version {version.version} of {version.name}")
    signature = contents.signature or version.signature
    return Loaded(
        name=version.name,
        version=version.version,
        model=model,
        flavor=contents.flavor,
        inputs=tuple(signature.get("inputs") or ()),
        outputs=tuple(signature.get("outputs") or ()),
        example=_example(folder),
        digest=version.digest,
        run=version.run,
    )


def _example(folder: Path) -> Any:
    """The request that MLflow keeps beside a model as an example of its input; None without one that can be read."""
    path = folder / "serving_input_example.json"
    try:
        if path.stat().st_size > _LARGEST_EXAMPLE:
            return None
        found = orjson.loads(path.read_bytes().replace(b"NaN", b"null"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
