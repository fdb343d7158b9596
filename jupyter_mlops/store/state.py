"""The ledger `.mlops/state.db`: what was delivered to MLflow, and how far each journal was read.

Only the delivery worker writes it. It can be lost: everything in it is found again in the journals and in MLflow.
"""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import NewerFormat
from ..records import Run, to_json
from . import formats
from .disks import is_local
from .journal import make_private

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, started REAL NOT NULL, position INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL DEFAULT 'open'
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, mlflow_id TEXT, tracking_uri TEXT NOT NULL, experiment TEXT NOT NULL, name TEXT NOT NULL, session TEXT NOT NULL,
    started REAL NOT NULL, status TEXT NOT NULL, class TEXT NOT NULL, record TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS runs_by_mlflow_id ON runs (mlflow_id);
CREATE INDEX IF NOT EXISTS runs_by_experiment ON runs (experiment, started);
CREATE TABLE IF NOT EXISTS sent (session TEXT NOT NULL, id TEXT NOT NULL, state TEXT NOT NULL, PRIMARY KEY (session, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    source TEXT NOT NULL, size INTEGER NOT NULL, mtime INTEGER NOT NULL, inode INTEGER NOT NULL, input TEXT NOT NULL,
    PRIMARY KEY (source, size, mtime, inode)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seals (session TEXT PRIMARY KEY, position INTEGER NOT NULL, digest TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shelved (tracking_uri TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (tracking_uri, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS kept (digest TEXT PRIMARY KEY, size INTEGER NOT NULL) WITHOUT ROWID;
"""


def recent(home: Path, experiment: str | None = None, limit: int = 200) -> list[dict[str, Any]]:
    """The last delivered runs of an experiment (of all when None), newest first: the JSON of `records.Run` plus its model's "class".

    Reads the ledger only and never waits for the worker: [] while there is none.
    """
    query = "SELECT record, class FROM runs WHERE deleted = 0 AND (?1 IS NULL OR experiment = ?1) ORDER BY started DESC LIMIT ?2"
    return [json.loads(record) | {"class": name} for record, name in _rows(home, query, experiment, limit)]


def servers(home: Path) -> list[str]:
    """The tracking URIs that runs were delivered to; [] while there is no ledger."""
    return [uri for (uri,) in _rows(home, "SELECT DISTINCT tracking_uri FROM runs")]


def _rows(home: Path, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """What the ledger answers; [] while there is none, and where only a newer version of this package can read it."""
    try:
        with closing(sqlite3.connect(f"{(home / 'state.db').absolute().as_uri()}?mode=ro", uri=True, timeout=0.2)) as connection:
            formats.check(home / "state.db", connection.execute("PRAGMA user_version").fetchone()[0], formats.LEDGER)
            return connection.execute(query, values).fetchall()
    except (sqlite3.Error, NewerFormat):
        return []


def trouble(home: Path) -> str:
    """Why runs wait for MLflow, as the worker told last; "" while nothing keeps them."""
    try:
        return (home / "trouble.txt").read_text(encoding="utf-8")
    except OSError:
        return ""


def tell_trouble(home: Path, why: str) -> None:
    """Say why runs wait, for kernels that look; "" when they wait no more."""
    if why:
        (home / "trouble.txt").write_text(why, encoding="utf-8")
    else:
        (home / "trouble.txt").unlink(missing_ok=True)


class Ledger:
    """The writing side. Safe to use from several threads of the worker; every call is one transaction. Raises NewerFormat."""

    def __init__(self, home: Path) -> None:
        make_private(home / "journal")
        self._path = home / "state.db"
        self._mutex = threading.RLock()
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            # A full disk, or a lock, says nothing against the file itself.
            if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
                raise
            # Everything in it is found again, so a damaged ledger is put aside rather than trusted.
            number = next(number for number in itertools.count(1) if not self._aside("", number).exists())
            for suffix in ("", "-wal", "-shm"):
                damaged = self._path.with_name(self._path.name + suffix)
                if damaged.exists():
                    damaged.replace(self._aside(suffix, number))
            return self._connect()

    def _aside(self, suffix: str, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}{suffix}.damaged" + (f".{number}" if number > 1 else ""))

    def _connect(self) -> sqlite3.Connection:
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self._path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            formats.check(self._path, connection.execute("PRAGMA user_version").fetchone()[0], formats.LEDGER)
            # As the shared state: a network's disk has no memory for a write-ahead log that all readers share.
            local = is_local(self._path.parent)
            connection.execute(f"PRAGMA journal_mode={'WAL' if local else 'DELETE'}")
            connection.execute(f"PRAGMA synchronous={'NORMAL' if local else 'FULL'}")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version={formats.LEDGER}")
        except (sqlite3.Error, NewerFormat):
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Write everything out and let go of the file."""
        with self._mutex:
            self._connection.close()

    def _run(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._mutex:
            return self._connection.execute(query, values).fetchall()

    def sessions(self) -> dict[str, tuple[int, str]]:
        """How far each journal was delivered, in bytes, and whether its session is open, ended or recovered."""
        return {session: (position, state) for session, position, state in self._run("SELECT session, position, state FROM sessions")}

    def set_session(self, session: str, started: float, position: int, state: str) -> None:
        """Note that everything before byte `position` of the session's journal is delivered."""
        self._run(
            "INSERT INTO sessions (session, started, position, state) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (session) DO UPDATE SET position = excluded.position, state = excluded.state",
            session, started, position, state,
        )  # fmt: skip

    def seal(self, session: str) -> tuple[int, str] | None:
        """(How many bytes of a session's journal are sealed, the digest of these); see `seals`."""
        rows = self._run("SELECT position, digest FROM seals WHERE session = ?", session)
        return (int(rows[0][0]), str(rows[0][1])) if rows else None

    def set_seal(self, session: str, position: int, digest: str) -> None:
        """Seal the first `position` bytes of a session's journal."""
        self._run("INSERT OR REPLACE INTO seals (session, position, digest) VALUES (?, ?, ?)", session, position, digest)

    def sent(self, session: str, run: str) -> dict[str, Any]:
        """What of this session's patches to this run is in MLflow; {} when nothing is."""
        rows = self._run("SELECT state FROM sent WHERE session = ? AND id = ?", session, run)
        return json.loads(rows[0][0]) if rows else {}

    def set_sent(self, session: str, run: str, state: dict[str, Any]) -> None:
        """Note what is in MLflow."""
        self._run("INSERT OR REPLACE INTO sent (session, id, state) VALUES (?, ?, ?)", session, run, json.dumps(state))

    def set_run(self, run: Run, *, mlflow_id: str | None, tracking_uri: str, deleted: bool) -> None:
        """Keep the run as it was delivered, for `recent` and for when MLflow cannot be reached."""
        self._run(
            "INSERT OR REPLACE INTO runs (id, mlflow_id, tracking_uri, experiment, name, session, started, status, class, record, deleted)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            run.own_id, mlflow_id, tracking_uri, run.experiment, run.name, run.session, run.started, run.status,
            str((run.model or {}).get("class", "")), json.dumps(to_json(run)), int(deleted),
        )  # fmt: skip

    def mark_deleted(self, mlflow_id: str) -> None:
        """Leave a run out of `recent` from now on."""
        self._run("UPDATE runs SET deleted = 1 WHERE mlflow_id = ?", mlflow_id)

    def place(self, ref: str) -> tuple[str, str] | None:
        """(MLflow id, tracking URI) of the run with this id, ours or MLflow's; None when it was not delivered from here."""
        rows = self._run("SELECT mlflow_id, tracking_uri FROM runs WHERE (id = ?1 OR mlflow_id = ?1) AND mlflow_id IS NOT NULL", ref)
        return (rows[0][0], rows[0][1]) if rows else None

    def matching(self, prefix: str) -> list[str]:
        """Our ids of the runs whose id, ours or MLflow's, begins with `prefix`."""
        end = prefix + "\U0010ffff"
        rows = self._run("SELECT id FROM runs WHERE (id >= ?1 AND id < ?2) OR (mlflow_id >= ?1 AND mlflow_id < ?2) LIMIT 20", prefix, end)
        return [identifier for (identifier,) in rows]

    def runs(self, ids: Iterable[str] | None = None, *, limit: int = 10_000) -> list[Run]:
        """Delivered runs as they were when delivered: those with these MLflow ids, or the newest `limit`."""
        if ids is None:
            rows = self._run("SELECT record FROM runs WHERE deleted = 0 ORDER BY started DESC LIMIT ?", limit)
        else:
            rows = self._run("SELECT record FROM runs WHERE mlflow_id IN (SELECT value FROM json_each(?))", json.dumps(list(ids)))
        return [Run.from_json(json.loads(record)) for (record,) in rows]

    def run(self, own_id: str) -> Run | None:
        """The run with this id of ours, as delivered."""
        rows = self._run("SELECT record FROM runs WHERE id = ?", own_id)
        return Run.from_json(json.loads(rows[0][0])) if rows else None

    def places(self) -> dict[str, set[str]]:
        """The experiments that runs went to, by tracking URI."""
        found: dict[str, set[str]] = {}
        for uri, experiment in self._run("SELECT DISTINCT tracking_uri, experiment FROM runs"):
            found.setdefault(uri, set()).add(experiment)
        return found

    def deleted(self) -> set[str]:
        """Our ids of the runs that were deleted."""
        return {identifier for (identifier,) in self._run("SELECT id FROM runs WHERE deleted = 1")}

    def read_digests(self) -> set[str]:
        """The digests of the files that the worker read."""
        return {digest for (digest,) in self._run("SELECT json_extract(input, '$.digest') FROM files") if digest}

    def file(self, source: str, stat: Sequence[int]) -> dict[str, Any] | None:
        """The input that was read for the file `source` when its [size, mtime_ns, inode] were these."""
        rows = self._run("SELECT input FROM files WHERE source = ? AND size = ? AND mtime = ? AND inode = ?", source, *stat)
        return json.loads(rows[0][0]) if rows else None

    def set_file(self, source: str, stat: Sequence[int], item: dict[str, Any]) -> None:
        """Keep what was read for a file, so that it is read once."""
        self._run(
            "INSERT OR REPLACE INTO files (source, size, mtime, inode, input) VALUES (?, ?, ?, ?, ?)", source, *stat, json.dumps(item)
        )

    def shelved(self, tracking_uri: str) -> set[str]:
        """The snapshots that were brought to this MLflow from here."""
        return {digest for (digest,) in self._run("SELECT digest FROM shelved WHERE tracking_uri = ?", tracking_uri)}

    def set_shelved(self, tracking_uri: str, digest: str) -> None:
        """Note that a snapshot is in the artifact store of this MLflow."""
        self._run("INSERT OR IGNORE INTO shelved (tracking_uri, digest) VALUES (?, ?)", tracking_uri, digest)

    def keep(self, digest: str, size: int) -> None:
        """Count bytes that are kept by themselves towards the setting `keep`."""
        self._run("INSERT OR IGNORE INTO kept (digest, size) VALUES (?, ?)", digest, size)

    def kept(self) -> int:
        """Bytes that are kept by themselves."""
        return int(self._run("SELECT COALESCE(SUM(size), 0) FROM kept")[0][0])
