"""The shared state: the same on SQLite and PostgreSQL, by many processes at once, and when its database is away."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, String, Table, func, insert, select, update

from jupyter_mlops import errors
from jupyter_mlops.config import Settings
from jupyter_mlops.store import disks, shared
from jupyter_mlops.store.shared import SharedState, tables
from tests import databases
from tests.processes import all_at_once

NOTES = Table("test_notes", tables, Column("name", String(50), primary_key=True), Column("count", Integer, nullable=False))

_TABLE = """
from sqlalchemy import Column, Integer, String, Table, insert, select, update
from jupyter_mlops.store.shared import SharedState, tables
notes = Table("test_notes", tables, Column("name", String(50), primary_key=True), Column("count", Integer, nullable=False))
state = SharedState(settings)
"""


def test_what_a_block_writes_is_there_once_it_ends_well(state: SharedState) -> None:
    with state.begin() as connection:
        connection.execute(insert(NOTES).values(name="a", count=1))
    with contextlib.suppress(RuntimeError), state.begin() as connection:
        connection.execute(insert(NOTES).values(name="b", count=1))
        raise RuntimeError
    with state.read() as connection:
        connection.execute(insert(NOTES).values(name="c", count=1))
    with state.read() as connection:
        assert connection.execute(select(NOTES.c.name)).scalars().all() == ["a"]


def test_an_insert_leaves_what_is_there(state: SharedState) -> None:
    for count in (1, 2):
        with state.begin() as connection:
            connection.execute(state.insert(NOTES).values(name="a", count=count).on_conflict_do_nothing())
    with state.read() as connection:
        assert connection.execute(select(NOTES.c.count)).scalar_one() == 1


def test_the_clock_is_the_time_of_day(state: SharedState) -> None:
    before, now, after = time.time(), state.now(), time.time()
    assert before - 0.01 <= now <= after + 0.01


def test_many_processes_make_the_tables_at_once(shared_settings: Settings) -> None:
    code = f"{_TABLE}\nready()\nwith state.begin() as connection:\n    "
    code += "connection.execute(insert(notes).values(name=str(number), count=number))"
    assert all_at_once(code, shared_settings, 8) == [[]] * 8
    with SharedState(shared_settings).read() as connection:
        assert sorted(connection.execute(select(NOTES.c.count)).scalars()) == list(range(8))


def test_many_processes_count_together(state: SharedState, shared_settings: Settings) -> None:
    with state.begin() as connection:
        connection.execute(insert(NOTES).values(name="sum", count=0))
    code = f"{_TABLE}\nready()\nfor _ in range(50):\n    with state.begin() as connection:\n        "
    code += "connection.execute(update(notes).values(count=notes.c.count + 1))"
    all_at_once(code, shared_settings, 4)
    with state.read() as connection:
        assert connection.execute(select(NOTES.c.count)).scalar_one() == 200


def test_only_one_process_writes_at_a_time_on_sqlite(project: Path) -> None:
    settings = Settings(project=project)
    state = SharedState(settings)
    with state.begin() as connection:
        connection.execute(insert(NOTES).values(name="sum", count=0))
    # Read first, then write what was read: lost updates, unless the transaction was alone from its start.
    code = f"{_TABLE}\nready()\nfor _ in range(50):\n    with state.begin() as connection:\n        "
    code += "count = connection.execute(select(notes.c.count)).scalar_one(); connection.execute(update(notes).values(count=count + 1))"
    all_at_once(code, settings, 4)
    with state.read() as connection:
        assert connection.execute(select(NOTES.c.count)).scalar_one() == 200


def test_a_forked_child_has_connections_of_its_own(state: SharedState) -> None:
    with state.begin() as connection:
        connection.execute(insert(NOTES).values(name="a", count=0))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with state.begin() as connection:
                connection.execute(update(NOTES).values(count=NOTES.c.count + 1))
            status = 0
        finally:
            os._exit(status)
    for _ in range(20):
        with state.read() as connection:
            connection.execute(select(func.count()).select_from(NOTES)).scalar_one()
    assert os.waitpid(child, 0)[1] == 0
    with state.read() as connection:
        assert connection.execute(select(NOTES.c.count)).scalar_one() == 1


@pytest.mark.parametrize(
    "database", ["shared.db", "sqlite://", "sqlite:///:memory:", "mysql://user:geheim@host/name", "nonsense://x", "sqlite:///a?mode=ro"]
)
def test_a_database_that_cannot_be_used_is_refused(database: str, project: Path) -> None:
    with pytest.raises(errors.SettingsError, match=r"sqlite:///shared.db or postgresql://"):
        SharedState(Settings(project=project, database=database))


def test_a_relative_file_lies_in_the_project(project: Path) -> None:
    state = SharedState(Settings(project=project, database="sqlite:///state/mine.db"))
    state.now()
    assert (project / "state" / "mine.db").is_file()


def test_a_file_that_is_no_database_is_named(project: Path) -> None:
    (project / "mine.db").write_text("This is not a database, whatever its name says. " * 100)
    with pytest.raises(errors.StoreError, match=r"mine\.db is damaged \(file is not a database\): restore it"):
        SharedState(Settings(project=project, database="sqlite:///mine.db")).now()


def test_a_server_that_is_away_is_named_without_its_password(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "PATIENCE", 0.3)
    state = SharedState(Settings(project=project, database="postgresql://user:geheim@127.0.0.1:9/name"))
    with pytest.raises(errors.StoreError, match="does not answer") as caught:
        state.now()
    assert "geheim" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


@pytest.mark.parametrize("kind", databases.KINDS[1:])
def test_a_server_that_starts_again_is_waited_for(kind: str, project: Path) -> None:
    with databases.postgres() as server:
        state = SharedState(Settings(project=project, database=server.database()))
        with state.begin() as connection:
            connection.execute(insert(NOTES).values(name="a", count=1))
        server.stop()
        again = threading.Timer(1.0, server.start)
        again.start()
        with state.read() as connection:
            assert connection.execute(select(NOTES.c.count)).scalar_one() == 1
        again.join()
        state.close()


MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:40 / /home rw,relatime shared:1 - nfs4 server:/home rw
24 22 0:41 / /home/here rw,relatime - xfs /dev/vdb rw
25 22 0:42 / /mnt/my\\040disk rw,relatime - fuse.sshfs host:/ rw
26 22 0:43 / /mnt/twice rw,relatime - ext4 /dev/vdc rw
27 22 0:44 / /mnt/twice rw,relatime - cifs //host/share rw
"""


@pytest.mark.parametrize(
    ("folder", "local"),
    [
        ("/data", True),
        ("/home/user", False),
        ("/home", False),
        ("/homes", True),
        ("/home/here/x", True),
        ("/mnt/my disk/x", False),
        ("/mnt/twice/x", False),
    ],
)
def test_a_disk_of_the_network_is_told_from_one_of_this_machine(
    folder: str, local: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = tmp_path / "mountinfo"
    listed.write_text(MOUNTS)
    monkeypatch.setattr(disks, "_MOUNTS", listed)
    assert disks.is_local(Path(folder)) is local


@pytest.mark.parametrize(("local", "journal"), [(True, "wal"), (False, "delete")])
def test_the_write_ahead_log_is_for_local_disks(local: bool, journal: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "is_local", lambda folder: local)
    with SharedState(Settings(project=project)).read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == journal
