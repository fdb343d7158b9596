"""Databases for the shared state: a SQLite file, and a PostgreSQL server of the tests' own where one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

_USER = "nobody"


def program(name: str) -> str | None:
    """The path of one of PostgreSQL's programs; Debian keeps them off the PATH."""
    return shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)), None)


KINDS = ("sqlite", "postgresql") if program("initdb") and program("postgres") else ("sqlite",)
"""What the shared state is tested on here."""


@dataclass
class Postgres:
    """A PostgreSQL server that listens on a socket in a temporary folder."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None
    made: int = 0

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [str(program("postgres")), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        options = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200", "-c", "logging_collector=off"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([*command, *options], stdout=log, stderr=log, **_as_user())
        deadline = time.monotonic() + 60
        while True:
            try:
                self._connect("postgres").close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """Stop it; whoever is connected loses the connection."""
        if self.process is not None:
            self.process.send_signal(2)
            self.process.wait(60)

    def database(self) -> str:
        """The URL of a new, empty database."""
        self.made += 1
        name = f"test_{self.made}"
        with self._connect("postgres") as connection:
            connection.autocommit = True
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://mlops@/{name}?host={self.folder}"

    def _connect(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(host=str(self.folder), user="mlops", dbname=name)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server of its own, gone afterwards."""
    # Pytest's own temporary folders are closed to the user that the server runs as, and their paths are too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="mlops-pg-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        words = [str(program("initdb")), "-D", str(folder / "data"), "-U", "mlops", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        subprocess.run(words, check=True, capture_output=True, **_as_user())
        server = Postgres(folder)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as_user() -> dict[str, object]:
    """PostgreSQL refuses to run as root."""
    return {"user": _USER, "extra_groups": [], "cwd": "/"} if os.geteuid() == 0 else {}
