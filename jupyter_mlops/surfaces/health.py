"""What `doctor` examines, one small check after another; each says what is well, or what to do."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import Settings
from ..errors import MlopsError
from ..records import Problem
from ..store import client, journal
from .quantities import size

LEAST_DISK = 2 * 10**9
"""Bytes that should be free on the store's disk, so that a fit's model and data fit in."""

LEAST_VERSIONS = {"mlflow": (3, 10), "ipython": (9, 0), "ipykernel": (7, 0), "scikit-learn": (1, 6), "pandas": (2, 3), "pyarrow": (20, 0)}
MOST_DRIFT = 5.0
"""Seconds by which the disk's clock may differ from this computer's."""


def examine(settings: Settings) -> Iterator[Problem]:
    """Every check, in the order in which a remedy may help the next one."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except MlopsError as error:
            yield Problem(what=f"the {check.__name__.strip('_')} could not be checked", remedy=str(error))
        except OSError as error:
            remedy = "See to the rights and the disk of this place, then run `mlops doctor` again."
            yield Problem(
                what=f"the {check.__name__.strip('_')}: {error.strerror or error}", where=str(error.filename or ""), remedy=remedy
            )


def _installation(settings: Settings) -> Iterator[Problem]:
    yield well(f"jupyter_mlops {__version__}, Python {sys.version.split()[0]}", sys.prefix)
    for name, least in LEAST_VERSIONS.items():
        wanted = ".".join(map(str, least))
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Problem(what=f"{name} is not installed", remedy=f'Run: python -m pip install "{name}>={wanted}"')
            continue
        if tuple(int(part) for part in found.split(".")[:2] if part.isdigit()) < least:
            yield Problem(what=f"{name} {found} is too old", remedy=f'Run: python -m pip install -U "{name}>={wanted}"')
        else:
            yield well(f"{name} {found}")
    if shutil.which("mlops") is None:
        # Not wrong: a kernel's environment need not be the one that the terminal has activated.
        advice = "Activate this environment in a terminal, or use `python -m jupyter_mlops` there."
        yield Problem(what="the command `mlops` is not on the PATH", where=str(Path(sys.executable).parent), remedy=advice, ok=True)


def _project(settings: Settings) -> Iterator[Problem]:
    there = settings.home.is_dir()
    yield well(
        "the project's store is here" if there else "no store here yet: the first tracked cell, or `mlops init`, makes it", settings.project
    )


def _disk(settings: Settings) -> Iterator[Problem]:
    place = settings.home if settings.home.is_dir() else settings.project
    free = shutil.disk_usage(place).free
    if free < LEAST_DISK:
        yield Problem(
            what=f"only {size(free)} free on the disk", where=str(place), remedy="Free some space, or remove what no run needs: mlops gc"
        )
    else:
        yield well(f"{size(free)} free on the disk", place)
    if os.access(place, os.W_OK):
        yield well("the store can be written", place)
    else:
        yield Problem(what="the store cannot be written", where=str(place), remedy=f"Give yourself the right to write: chmod u+w {place}")


def _clock(settings: Settings) -> Iterator[Problem]:
    """A network disk with another clock would mix up the order of runs."""
    if not settings.home.is_dir() or not os.access(settings.home, os.W_OK):
        return
    probe = settings.home / f"clock.{os.getpid()}"
    probe.touch()
    try:
        drift = abs(probe.stat().st_mtime - time.time())
    finally:
        probe.unlink()
    if drift > MOST_DRIFT:
        yield Problem(
            what=f"the disk's clock differs by {drift:.0f} s", remedy="Set the clocks of this computer and of its file server by NTP."
        )
    else:
        yield well("this computer's clock and the disk's agree")


def _journals(settings: Settings) -> Iterator[Problem]:
    paths = journal.journals(settings.home) if settings.home.is_dir() else []
    living = sum(journal.alive(path) for path in paths)
    yield well(f"journals: {len(paths)}, of living sessions: {living}", settings.home / "journal" if paths else "")


def _worker(settings: Settings) -> Iterator[Problem]:
    if not settings.home.is_dir():
        return
    status: dict[str, Any] = client.ask(settings, "status")
    yield well("the delivery worker answers")
    store, trouble = str(status.get("tracking_uri") or ""), str(status.get("error") or "")
    if trouble:
        remedy = "Start that server, or mend MLFLOW_TRACKING_URI: nothing is lost, everything is delivered then."
        yield Problem(what=f"MLflow's store is not reached: {trouble}", where=store, remedy=remedy)
    else:
        yield well("MLflow's store is reached", store)
    waiting = int(status.get("waiting") or 0)
    yield well(f"changes that wait for delivery: {waiting}" if waiting else "everything is delivered")


def well(what: str, where: object = "") -> Problem:
    """Something that was checked and is as it should be."""
    return Problem(what=what, where=str(where), ok=True)


CHECKS: tuple[Callable[[Settings], Iterator[Problem]], ...] = (_installation, _project, _disk, _clock, _journals, _worker)
