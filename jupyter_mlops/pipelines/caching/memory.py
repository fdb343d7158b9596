"""What was once read out of files that have not changed since: a SQLite file of this machine alone, which can be deleted at any time.

It is no part of the shared state: what it holds is true of this machine's files only, and is asked for a thousand times in a run.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...store.disks import is_local

_FORMAT = 1
_MOST_WAITING = 500
_BUSY_SECONDS = 5.0
_SCHEMA = "CREATE TABLE IF NOT EXISTS facts (kind TEXT, name TEXT, stamp TEXT, value TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID"


class Memory:
    """Remembers JSON values by (kind, name) with a stamp: another stamp, and the value is forgotten.

    It never fails: where its file cannot be used, nothing is remembered beyond the life of the object.
    """

    def __init__(self, home: Path) -> None:
        # Python's syntax trees, of which digests are made, differ between its versions.
        self._file = home / f"memory-{_FORMAT}-{sys.version_info[0]}.{sys.version_info[1]}.db"
        self._lock = threading.Lock()
        self._new: dict[tuple[str, str], tuple[str, Any]] = {}
        self._known: dict[tuple[str, str], tuple[str, Any]] = {}
        self._connection: sqlite3.Connection | None = None

    def get(self, kind: str, name: str, stamp: str) -> Any:
        """The value, or None."""
        with self._lock:
            found = self._known.get((kind, name)) or self._read(kind, name)
        return found[1] if found is not None and found[0] == stamp else None

    def put(self, kind: str, name: str, stamp: str, value: Any) -> None:
        """Remember a value; it is written with the next ones, at the latest by `flush`."""
        with self._lock:
            self._known[kind, name] = self._new[kind, name] = (stamp, value)
            waiting = len(self._new)
        if waiting >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what is new."""
        with self._lock:
            rows = [(*key, stamp, json.dumps(value)) for key, (stamp, value) in self._new.items()]
            self._new.clear()
            if rows:
                with suppress(sqlite3.Error, OSError), self._opened() as connection:
                    connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)", rows)

    def close(self) -> None:
        """Write what is new and close the file; it is opened again when needed."""
        self.flush()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _read(self, kind: str, name: str) -> tuple[str, Any] | None:
        if self._connection is None and not self._file.exists():
            return None
        try:
            row = self._opened().execute("SELECT stamp, value FROM facts WHERE kind = ? AND name = ?", (kind, name)).fetchone()
            found = None if row is None else (str(row[0]), json.loads(row[1]))
        except (sqlite3.Error, OSError, ValueError):
            return None
        if found is not None:
            self._known[kind, name] = found
        return found

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, check_same_thread=False)
            try:
                # A write-ahead log needs no wait for the disk at each step; it needs a disk of this machine.
                connection.execute(f"PRAGMA journal_mode={'WAL' if is_local(self._file.parent) else 'DELETE'}")
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(_SCHEMA)
            except sqlite3.Error as error:
                connection.close()
                if not isinstance(error, sqlite3.OperationalError):
                    # It is damaged: begin anew.
                    self._file.unlink(missing_ok=True)
                raise
            self._connection = connection
        return self._connection
