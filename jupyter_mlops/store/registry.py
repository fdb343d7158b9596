"""Versions of registered models: finding them, their files, and the models themselves.

MLflow's registry holds the versions; the shared state knows which one is champion and with which hash each was registered. What was
registered here is found without MLflow; all else is asked of the delivery worker. A model is loaded only from files whose hash is checked.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import Altered, ModelRefused, NotFound, StoreError, UsageError
from ..records import ModelVersion, Run
from . import client

if TYPE_CHECKING:
    from .shared import SharedState

_FLUSH_SECONDS = 120.0
_REF = re.compile(r"(?:models:/)?(?P<name>[^/@]+?)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))?/?")


def names(settings: Settings) -> tuple[str, ...]:
    """Every registered model, those that plain MLflow registered too. Those known here are told where MLflow does not answer."""
    from .standings import Standings

    own = Standings(state_of(settings)).names()
    try:
        there = client.ask(settings, "registry.names")
    except StoreError:
        there = []
    return tuple(sorted({*own, *there}))


def registered(settings: Settings, name: str) -> tuple[ModelVersion, ...]:
    """Every version of a model, the newest first, those that plain MLflow registered too. Raises NotFound where there is none."""
    from .standings import ALIASES, Standings

    there = {item["version"]: ModelVersion.from_json(item) for item in client.ask(settings, "registry.versions", name=name)}
    standings = Standings(state_of(settings))
    own, standing = {item.version: item for item in standings.versions(name)}, standings.get(name)
    decided = standing is not None and bool(standing.aliases)  # else MLflow's are, or those of another shared state
    found = {}
    for number, item in there.items():
        known = own.get(number, item)
        # Aliases of the user's own are in MLflow alone.
        aliases = tuple(alias for alias in item.aliases if not decided or alias not in ALIASES)
        found[number] = replace(known, aliases=tuple(dict.fromkeys((*known.aliases, *aliases))))
    if not found:
        raise NotFound("registered model", name, "`mlops register RUN NAME` registers a run's model.")
    return tuple(found[number] for number in sorted(found, reverse=True))


def version(settings: Settings, ref: str) -> ModelVersion:
    """The version that `ref` names: NAME/3, NAME@champion, or NAME (the champion, else the newest). Raises NotFound and UsageError."""
    name, number, alias = parse(ref)
    found = _own(settings, name, number, alias)
    if found is not None:
        return found
    versions = registered(settings, name)
    if number is not None:
        chosen = [item for item in versions if item.version == number]
    else:
        chosen = [item for item in versions if (alias or "champion") in item.aliases] or list(versions if alias is None else ())
    if not chosen:
        there = ", ".join(f"{item.version}{''.join(f' @{alias}' for alias in item.aliases)}" for item in versions[:8])
        what = f"version {number}" if number is not None else f"alias {alias}"
        raise NotFound(f"{what} of the model", name, f"It has {there}; `mlops promote {name} --version N` makes one the champion.")
    return chosen[0]


def champion(settings: Settings, name: str) -> ModelVersion | None:
    """The version that serves; None while there is none. A few milliseconds for models registered here: it may be polled."""
    with contextlib.suppress(NotFound):
        return version(settings, f"{name}@champion")
    return None


def download(settings: Settings, version: ModelVersion) -> Path:
    """The folder with a version's files (MLmodel and what belongs to it), on this machine, their hash just checked.

    Nothing of it is executed. Raises `Altered` where the files are not those that were registered, and ModelRefused where nobody noted a
    hash as they were (a version that plain MLflow registered).
    """
    from .model_folders import check, copy

    if not version.digest:
        raise ModelRefused(
            f"Version {version.version} of {version.name} was registered without `mlops register`, so there is no hash to check its files "
            f"by: `mlops register RUN {version.name}` with its run {version.run[:8]} notes it."
        )
    folder = settings.home / "models" / version.digest
    if folder.is_dir():
        with contextlib.suppress(Altered):
            check(folder, version.digest, _title(version))
            return folder
        shutil.rmtree(folder)
    source = Path(client.ask(settings, "registry.files", uri=version.source or version.uri, run=version.run))
    fresh = folder.with_name(f".{uuid.uuid4().hex}")
    try:
        copy(source, fresh, _title(version))
        check(fresh, version.digest, _title(version))
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    check(folder, version.digest, _title(version))
    return folder


def load(settings: Settings, version: ModelVersion) -> Any:
    """The model itself, from files whose hash is checked: skops with exactly the types that were trusted as it was registered and that
    are trusted here now, other formats that hold no code, and pickle only where the setting `pickle` names the flavor.

    Raises `Altered`, and ModelRefused with the one line of settings that allows it. MLflow is not imported for skops models.
    """
    from .model_folders import load as load_folder

    return load_folder(download(settings, version), version, settings)


def of_run(settings: Settings, run: Run) -> ModelVersion:
    """The model of a run as if it were registered, with version 0: it can be downloaded and loaded in the same way.

    Its hash is the one that was sealed as it was logged, and taken now where there is none. Raises NotFound for a run without a model.
    """
    return ModelVersion.from_json(client.ask(settings, "registry.of_run", ref=delivered(settings, run).id))


def delivered(settings: Settings, run: Run) -> Run:
    """A run as MLflow has it, with its model: what a cell fitted just now is waited for, and a model comes after its run."""
    if run.delivered and run.model and run.model.get("uri"):
        return run
    client.ask(settings, "flush", timeout=_FLUSH_SECONDS)
    return Run.from_json(client.ask(settings, "run", ref=run.own_id or run.id))


def follow(settings: Settings, name: str, *, patience: float = 30.0, take: bool = False) -> tuple[str, ...]:
    """Let MLflow's aliases follow the shared state, and say what was found there: an alias set by hand is set back, or adopted.

    Waits at most `patience` seconds for the delivery worker, which otherwise does it as soon as it can. `take` takes the model over from
    another shared state.
    """
    try:
        return tuple(client.ask(settings, "registry.follow", patience=patience, name=name, take=take)["notes"])
    except StoreError as error:
        return (f"MLflow's aliases follow later: {error}",)


def parse(ref: str) -> tuple[str, int | None, str | None]:
    """(name, version, alias) of NAME, NAME/3, NAME@champion, also with models:/ before it. Raises UsageError."""
    match = _REF.fullmatch(ref)
    if match is None:
        raise UsageError(f"{ref!r} names no model: write NAME, NAME@champion or NAME/3.")
    return match["name"], int(match["version"]) if match["version"] else None, match["alias"]


@lru_cache(maxsize=4)
def state_of(settings: Settings) -> SharedState:
    """The shared state of these settings, one object for each, so that its connections are used again."""
    from .shared import SharedState

    return SharedState(settings)


def _own(settings: Settings, name: str, number: int | None, alias: str | None) -> ModelVersion | None:
    """What the shared state alone can tell; None where MLflow must be asked."""
    from .standings import ALIASES, Standings

    standings = Standings(state_of(settings))
    if number is not None:
        return standings.version(name, number)
    if alias is not None and alias not in ALIASES:
        return None
    standing = standings.get(name)
    chosen = standing.aliases.get(alias or "champion") if standing is not None else None
    return standings.version(name, chosen) if chosen is not None else None


def _title(version: ModelVersion) -> str:
    return f"Version {version.version} of {version.name}" if version.version else f"The model of run {version.run[:8]}"


def with_notes(version: ModelVersion, *notes: str) -> ModelVersion:
    """The version with further notes."""
    return replace(version, notes=tuple(dict.fromkeys((*version.notes, *notes))))
