"""Marks of what a project holds: when one differs from before, that kind of thing changed. Looking is quick and writes nothing."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ...config import Settings

KINDS = ("runs", "pipelines", "schedules", "models", "monitor")

_ROWS = 200
_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "pipelines": ("SELECT count(*), max(rowid) FROM commits",),
    "schedules": ("SELECT * FROM schedules", f"SELECT * FROM firings ORDER BY rowid DESC LIMIT {_ROWS}"),
    "models": (
        "SELECT count(*), max(rowid) FROM audit",
        f"SELECT * FROM registered_models ORDER BY rowid DESC LIMIT {_ROWS}",
        "SELECT count(*), max(rowid) FROM model_versions",
        "SELECT count(*), max(rowid) FROM approvals",
        f"SELECT * FROM retrainings ORDER BY rowid DESC LIMIT {_ROWS}",
    ),
    "monitor": ("SELECT count(*), max(rowid) FROM alert_causes",),
}

Mark = tuple[Any, ...]


class Marks:
    """The marks of one project. Not safe to use from several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._home, self._project = settings.home, settings.project
        self._stamp: Mark = ()
        self._shared: dict[str, Mark] = {}

    def take(self) -> dict[str, Mark]:
        """The marks now, by kind."""
        journals = _folder(self._home / "journal", ".jsonl")
        runs = (journals, *_database(self._project / "mlflow.db"), *_database(self._home / "state.db"))
        outputs = _folder(self._home / "pipelines")
        shared = self._of_shared()
        return {
            "runs": runs,
            # The states of a pipeline's steps are told by the journals of their kernels.
            "pipelines": (outputs, journals if outputs else (), shared.get("pipelines")),
            "schedules": (shared.get("schedules"),),
            "models": (shared.get("models"),),
            "monitor": (shared.get("monitor"), *_each(self._home / "services")),
        }

    def _of_shared(self) -> dict[str, Mark]:
        """What the tables of the shared state hold, read again where its file changed: claims are renewed there all the time."""
        path = self._home / "shared.db"
        stamp = tuple(_database(path))
        if stamp != self._stamp and path.exists():
            uri = f"{path.absolute().as_uri()}?mode=ro"
            with suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True, timeout=0.1)) as database:
                self._shared = {kind: tuple(_asked(database, text) for text in texts) for kind, texts in _QUESTIONS.items()}
                self._stamp = stamp
        return self._shared


def _asked(database: sqlite3.Connection, question: str) -> int:
    try:
        return hash(tuple(database.execute(question).fetchall()))
    except sqlite3.OperationalError as error:
        if "no such table" in str(error):
            return 0
        raise


def _folder(path: Path, ending: str = "") -> Mark:
    """How many entries a folder has, how large they are together, and when the latest of them changed."""
    count, size, latest = 0, 0, 0
    with suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.endswith(ending):
                with suppress(OSError):
                    stat = entry.stat()
                    count, size, latest = count + 1, size + stat.st_size, max(latest, stat.st_mtime_ns)
    return (count, size, latest) if count else ()


def _each(path: Path) -> Iterator[Mark]:
    with suppress(OSError), os.scandir(path) as entries:
        yield from (_folder(Path(entry.path)) for entry in sorted(entries, key=lambda entry: entry.name))


def _database(path: Path) -> Iterator[Mark]:
    """When SQLite's file and its log were written, and how large they are."""
    for file in (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = file.stat()
        except OSError:
            yield ()
        else:
            yield (stat.st_size, stat.st_mtime_ns) if stat.st_size else ()
