"""What `doctor` examines of a store: its folder, clock, journals, objects and shared state, the delivery worker, and MLflow."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ..code.secrets import without_credentials
from ..config import Settings
from ..errors import NewerFormat, WorkerUnavailable
from ..records import Problem
from ..store import client, formats, journal
from .quantities import size

LEAST_DISK = 2 * 10**9
"""Bytes that should be free on the store's disk, so that a fit's model and data fit in."""

MOST_DRIFT = 5.0
"""Seconds by which the disk's clock may differ from this computer's."""

WORKER_SECONDS = 30.0
"""How long the worker, which may have to load MLflow first, has to answer."""
_SERVER_SECONDS = 5.0
_REVISION = re.compile(r"""^(revision|down_revision)\s*(?::[^=]*)?=\s*["'](\w+)["']""", re.MULTILINE)
_TIME = "%Y-%m-%d %H:%M"


def project(settings: Settings) -> Iterator[Problem]:
    """Where the store is."""
    if settings.home.exists() and not settings.home.is_dir():
        remedy = "Give that file another name; the first tracked cell then makes the store."
        yield Problem(what="the store's place is taken by a file", where=str(settings.home), remedy=remedy)
        return
    there = settings.home.is_dir()
    yield well(
        "the project's store is here" if there else "no store here yet: the first tracked cell, or `mlops init`, makes it", settings.project
    )


def disk(settings: Settings) -> Iterator[Problem]:
    """Room, and the right to write."""
    place = settings.home if settings.home.is_dir() else settings.project
    free = shutil.disk_usage(place).free
    if free < LEAST_DISK:
        yield Problem(
            what=f"only {size(free)} free on the disk", where=str(place), remedy="Free some space, or remove what no run needs: mlops gc"
        )
    else:
        yield well(f"{size(free)} free on the disk", place)
    probe = place / f".mlops-probe-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        drift = abs(probe.stat().st_mtime - time.time())
        probe.unlink()
    except OSError as error:
        remedy = f"See to its rights (chmod u+w {place}), or move the project to a disk that can be written."
        yield Problem(what=f"the store cannot be written ({error.strerror})", where=str(place), remedy=remedy)
        return
    yield well("the store can be written", place)
    # A network disk with another clock would mix up the order of runs.
    if drift > MOST_DRIFT:
        yield Problem(
            what=f"the disk's clock differs by {drift:.0f} s", remedy="Set the clocks of this computer and of its file server by NTP."
        )
    else:
        yield well("this computer's clock and the disk's agree")


def journals(settings: Settings) -> Iterator[Problem]:
    """Journals that cannot be read by this version, or that were begun in the future."""
    paths = journal.journals(settings.home)
    begun = 0.0
    for path in paths:
        header = journal.header(path)
        begun = max(begun, float(header.get("started") or 0.0))
        try:
            formats.check(path, header.get("version"), formats.JOURNAL)
        except NewerFormat as error:
            yield Problem(what="a journal cannot be read", where=str(path), remedy=str(error))
    if begun > time.time() + MOST_DRIFT:
        when = time.strftime(_TIME, time.localtime(begun))
        remedy = "Set this computer's clock by NTP: runs stand in the order of their times, so that new ones would come after those."
        yield Problem(what=f"a session began in the future ({when}), so that a clock was wrong then or is now", remedy=remedy)
    living = sum(journal.alive(path) for path in paths)
    yield well(f"journals: {len(paths)}, of living sessions: {living}", settings.home / "journal" if paths else "")


def objects(settings: Settings) -> Iterator[Problem]:
    """Packs that cannot be read; `verify` reads every byte of the others."""
    from ..store.objects import own_objects

    if not settings.home.is_dir() and settings.objects is None:
        return
    found = list(own_objects(settings).unreadable())
    yield from found
    if not found:
        yield well("the packs of stored data can be read; `mlops verify` checks every byte of them")


def shared_state(settings: Settings) -> Iterator[Problem]:
    """The database of schedules, versions of models and the audit log."""
    from ..store.shared import SharedState

    if settings.database is None and not (settings.home / "shared.db").exists():
        return
    with closing(SharedState(settings)) as state:
        drift = abs(state.now() - time.time())
        yield well("the shared state answers", state.where)
        if drift > MOST_DRIFT:
            remedy = "Set the clocks of both by NTP: claims and schedules go by that of the database."
            yield Problem(what=f"the database's clock differs by {drift:.0f} s", where=state.where, remedy=remedy)


def worker(settings: Settings) -> Iterator[Problem]:
    """The process that delivers to MLflow, and what waits for it."""
    if not settings.home.is_dir():
        return
    try:
        status: dict[str, Any] = client.ask(settings, "status", patience=WORKER_SECONDS)
    except WorkerUnavailable as error:
        number = client.card(settings.home).get("pid")
        end = f"End process {number} (kill -9 {number})" if number else "See what its log says"
        remedy = f"{end}: the next command starts another, and nothing is lost."
        yield Problem(what=str(error).partition(";")[0], where=_log(settings), remedy=remedy)
        return
    yield well("the delivery worker answers")
    store, trouble = (without_credentials(str(status.get(part) or "")) for part in ("tracking_uri", "error"))
    waiting = int(status.get("waiting") or 0)
    if trouble:
        remedy = "Start that server, or mend MLFLOW_TRACKING_URI: nothing is lost, everything is delivered then."
        yield Problem(
            what=f"{waiting} changes wait for delivery: {trouble}", where=store, remedy=trouble if "upgrade" in trouble else remedy
        )
    else:
        yield well(f"changes that wait for delivery: {waiting}" if waiting else "everything is delivered", store)


def mlflow(settings: Settings) -> Iterator[Problem]:
    """Whether MLflow's store, where the environment or the project has it, can be used."""
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    uri = named or f"sqlite:///{settings.project / 'mlflow.db'}"
    if re.match(r"[\w.-]+:\d+(/|$)", uri):
        remedy = f"Write it with its scheme: export MLFLOW_TRACKING_URI=http://{uri}"
        yield Problem(what=f"MLFLOW_TRACKING_URI = {uri!r} is no address", remedy=remedy)
    elif uri.startswith(("http://", "https://")):
        yield _server(uri.rstrip("/"))
    elif uri.startswith("sqlite:///"):
        yield from _schema(Path(uri.removeprefix("sqlite:///").partition("?")[0]), uri)


def _server(uri: str) -> Problem:
    """Whether an MLflow server answers to what the environment says of us."""
    shown = without_credentials(uri)
    asked = urllib.request.Request(f"{shown}/api/2.0/mlflow/experiments/search?max_results=1", headers=_credentials(uri))
    mend = "Start that server, or mend MLFLOW_TRACKING_URI: nothing is lost, everything is delivered then."
    try:
        with urllib.request.urlopen(asked, timeout=_SERVER_SECONDS) as answer:
            json.loads(answer.read())
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            remedy = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, where kernels start."
            return Problem(what=f"MLflow's server refuses us ({error.code})", where=shown, remedy=remedy)
        return Problem(what=f"what answers there is no MLflow server ({error.code})", where=shown, remedy=mend)
    except ValueError:
        return Problem(what="what answers there is no MLflow server", where=shown, remedy=mend)
    except OSError as error:
        return Problem(what=f"MLflow's server does not answer ({getattr(error, 'reason', error)})", where=shown, remedy=mend)
    return well("MLflow's server answers", shown)


def _credentials(uri: str) -> dict[str, str]:
    """The header that MLflow's own client would send."""
    name, word, token = (os.environ.get(f"MLFLOW_TRACKING_{part}", "") for part in ("USERNAME", "PASSWORD", "TOKEN"))
    within = urlsplit(uri)
    if not name and within.username:
        name, word = unquote(within.username), unquote(within.password or "")
    if name:
        return {"Authorization": f"Basic {base64.b64encode(f'{name}:{word}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def _schema(path: Path, uri: str) -> Iterator[Problem]:
    """Whether the tables of MLflow's SQLite database are those of the installed MLflow, told without loading it."""
    spec = find_spec("mlflow")
    if not path.exists() or spec is None or spec.origin is None:
        return
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as database:
            found = str((database.execute("SELECT version_num FROM alembic_version").fetchone() or ("",))[0])
    except sqlite3.DatabaseError as error:
        remedy = "Restore it from a backup; without one, move it away: MLflow then begins a new one, and `.mlops` keeps its journals."
        yield Problem(what=f"MLflow's database cannot be read ({error})", where=str(path), remedy=remedy)
        return
    known = dict[str, str]()
    for file in Path(spec.origin).parent.glob("store/db_migrations/versions/*.py"):
        told = dict(_REVISION.findall(file.read_text(encoding="utf-8")))
        known[told.get("revision", "")] = told.get("down_revision", "")
    newest = set(known) - set(known.values())
    if found in newest:
        yield well("MLflow's database has the tables of the installed MLflow", path)
    elif found in known:
        remedy = f"Copy the file as a backup, then run: mlflow db upgrade {uri}"
        yield Problem(what="MLflow's database was made by an older MLflow", where=str(path), remedy=remedy)
    else:
        remedy = "Install the MLflow that made it, or a later one: python -m pip install -U mlflow"
        yield Problem(what="MLflow's database was made by a newer MLflow", where=str(path), remedy=remedy)


def well(what: str, where: object = "") -> Problem:
    """Something that was checked and is as it should be."""
    return Problem(what=what, where=str(where), ok=True)


def _log(settings: Settings) -> str:
    """The worker's log, with its last line."""
    path = settings.home / "worker.log"
    with contextlib.suppress(OSError):
        lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"{path}: {lines[-1][:200]}" if lines else str(path)
    return str(path)
