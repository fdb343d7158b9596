"""The shared state: what several processes, or several machines, must agree on (claims, commits, schedules). A database by SQLAlchemy.

SQLite in `.mlops/shared.db`, or whatever `database` in the settings names: PostgreSQL where machines share. Modules put their tables into
`tables`; they are made on first use. Only SQLAlchemy's core is imported, since a command's start waits for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, String, Table, create_engine, event, insert, select, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError

from ..config import Settings
from ..errors import SettingsError, StoreError
from . import formats
from .disks import is_local
from .journal import make_private

tables = MetaData()
"""Every table of the shared state."""

VERSIONS = Table("formats", tables, Column("part", String(32), primary_key=True), Column("version", Integer, nullable=False))
"""The version of the shared state, which all its tables have together; a database without this table is of the first."""

PATIENCE = 10.0
"""Seconds for which a database that does not answer is asked again before a transaction begins."""
_BUSY_SECONDS = 60
_FINAL = ("unable to open", "readonly", "read-only", "not a database", "password", "authentication", "does not exist")
_DAMAGED = ("not a database", "malformed")
_LOCK = 0x6D6C6F70
_CLOCKS = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0", "postgresql": "SELECT extract(epoch FROM clock_timestamp())"}
_NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
}


class SharedState:
    """The database of a project's settings. Nothing is opened before the first use; a forked child opens connections of its own.

    Raises SettingsError for a URL that cannot be used; from every method, StoreError for a database that does not answer, and NewerFormat.
    """

    def __init__(self, settings: Settings) -> None:
        self.url = _url(settings)
        self.where = self.url.render_as_string(hide_password=True)
        self._file = Path(self.url.database) if self.url.get_backend_name() == "sqlite" and self.url.database else None
        self._engine: Engine | None = None
        self._pid = 0
        self._made: set[str] = set()

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A connection in a transaction that writes: committed at the end, taken back when the block raises.

        On SQLite it is the only one that writes, from its first statement on.
        """
        with self._connected("IMMEDIATE") as connection:
            yield connection
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; what is written in it is taken back."""
        with self._connected("DEFERRED") as connection:
            yield connection

    def now(self, connection: Connection | None = None) -> float:
        """Seconds since the epoch by the database's own clock, which is one for all machines."""
        if connection is None:
            with self.read() as opened:
                return self.now(opened)
        return float(connection.exec_driver_sql(_CLOCKS[self.url.get_backend_name()]).scalar_one())

    def insert(self, table: Table) -> Any:
        """An INSERT for this database that knows `on_conflict_do_nothing` and `on_conflict_do_update`."""
        if self.url.get_backend_name() == "sqlite":
            return sqlite.insert(table)
        # Only now: it takes longer to import than a pipeline in which nothing changed may.
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)

    def close(self) -> None:
        """Give up all connections; the next use opens new ones."""
        if self._engine is not None:
            # Connections that a fork inherited belong to the parent, which still speaks over them.
            self._engine.dispose(close=self._pid == os.getpid())
            self._engine = None

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "where": self.where, "_file": self._file, "_engine": None, "_pid": 0, "_made": set()}

    @contextmanager
    def _connected(self, mode: str) -> Iterator[Connection]:
        try:
            connection = self._connect(mode)
        except DBAPIError as error:
            raise self._unreachable(error) from error
        try:
            yield connection
        except OperationalError as error:
            raise self._unreachable(error) from error
        finally:
            connection.close()

    def _connect(self, mode: str) -> Connection:
        """A connection whose tables exist. A database that does not answer is asked again for a while: nothing has been done yet."""
        deadline = time.monotonic() + PATIENCE
        pause = 0.1
        while True:
            try:
                engine = self._opened()
                if not self._made.issuperset(tables.tables):
                    self._make(engine)
                connection = engine.connect().execution_options(mlops_begin=mode)
                try:
                    connection.begin()
                except BaseException:
                    connection.close()
                    raise
                return connection
            except OperationalError as error:
                if time.monotonic() + pause > deadline or not _may_pass(error):
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 1.0)

    def _opened(self) -> Engine:
        if self._engine is None or self._pid != os.getpid():
            self.close()
            self._pid = os.getpid()
            self._engine = _sqlite(self.url, self._file) if self.url.get_backend_name() == "sqlite" else _postgresql(self.url)
        return self._engine

    def _make(self, engine: Engine) -> None:
        wanted = set(tables.tables)
        with engine.connect() as connection:
            there = set(connection.exec_driver_sql(_NAMES[self.url.get_backend_name()]).scalars())
            if VERSIONS.name in there:
                formats.check(self.where, connection.execute(select(VERSIONS.c.version)).scalar(), formats.SHARED)
        # A database of the first version may be one that nobody may write to any more: it is read as it is.
        if wanted - {VERSIONS.name} <= there:
            self._made = wanted
            return
        with engine.connect().execution_options(mlops_begin="IMMEDIATE") as connection, connection.begin():
            if self._file is None:
                # Two processes that make one table at the same time would get in each other's way, in spite of IF NOT EXISTS.
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            tables.create_all(connection)
            if connection.execute(select(VERSIONS.c.version)).scalar() is None:
                connection.execute(insert(VERSIONS).values(part="all", version=formats.SHARED))
        self._made = wanted

    def _unreachable(self, error: DBAPIError) -> StoreError:
        why = " ".join(str(error.orig).split()).rstrip(".")
        if any(sign in why for sign in _DAMAGED):
            return StoreError(f"The shared state {self.where} is damaged ({why}): restore it from a backup, or set another `database`.")
        return StoreError(
            f"The shared state {self.where} does not answer ({why}): check that it is there and may be written, or set another `database`."
        )


def _url(settings: Settings) -> URL:
    given = settings.database
    if given is None:
        return URL.create("sqlite", database=str(settings.home / "shared.db"))
    try:
        url = make_url(given)
        backend = url.get_backend_name()
    except (ArgumentError, NoSuchModuleError):
        backend = ""
    if backend == "postgres":
        url, backend = url.set(drivername="postgresql"), "postgresql"
    if backend == "sqlite" and url.database and url.database != ":memory:" and not url.query:
        return url.set(database=str(settings.project / url.database))
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
    raise SettingsError("database", given, "write an SQLAlchemy URL such as sqlite:///shared.db or postgresql://user@host/name.")


def _sqlite(url: URL, file: Path | None) -> Engine:
    assert file is not None
    try:
        make_private(file.parent)
    except OSError as error:
        raise StoreError(f"{file.parent} cannot be made ({error.strerror}): check the disk and its permissions.") from error
    engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "isolation_level": None})
    # A write-ahead log needs memory that all its readers share, which a network's disk has not.
    journal = "WAL" if is_local(file.parent) else "DELETE"

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute("PRAGMA synchronous=NORMAL" if journal == "WAL" else "PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('mlops_begin', 'DEFERRED')}")

    return engine


def _postgresql(url: URL) -> Engine:
    try:
        return create_engine(url, pool_pre_ping=True, pool_size=2, max_overflow=20, connect_args={"connect_timeout": 10})
    except ImportError as error:
        remedy = f"install its driver: pip install 'jupyter_mlops[postgres]' ({error})."
        raise SettingsError("database", url.render_as_string(), remedy) from None


def _may_pass(error: OperationalError) -> bool:
    """Whether waiting can help: a server that starts again does, a file that cannot be opened or a wrong password does not."""
    told = str(error.orig).lower()
    return not any(sign in told for sign in _FINAL)
