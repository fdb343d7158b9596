"""Locks: held by another process, or not to be had at all."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import StoreError
from jupyter_mlops.store import client, locks, state, worker
from jupyter_mlops.store.journal import Journal, journals, read


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A file system that has no locks."""
    refuse(monkeypatch, errno.ENOLCK)
    return monkeypatch


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", refused)


def test_only_a_lock_that_another_holds_counts_as_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "some.lock"
    path.touch()
    for number in (errno.EACCES, errno.EAGAIN):
        refuse(monkeypatch, number)
        assert (locks.hold(path), locks.is_held(path)) == (None, True)
    for number in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
        refuse(monkeypatch, number)
        for asked in (locks.hold, locks.is_held):
            with pytest.raises(StoreError, match=r"has no file locks .*: move the project to a local disk"):
                asked(path)


def test_a_session_where_there_are_no_locks_still_writes_its_journal(tmp_path: Path, refusing: pytest.MonkeyPatch) -> None:
    made = Journal.create(tmp_path, {})
    made.append({"kind": "cell", "seq": 1})
    assert made.trouble is None
    made.close()
    (path,) = journals(tmp_path)
    assert [record["kind"] for record in read(path)[0]] == ["session", "cell", "end"]


def test_a_worker_that_cannot_be_elected_tells_those_who_wait(project: Path, refusing: pytest.MonkeyPatch) -> None:
    for asked in (lambda: worker.main(str(project)), lambda: client.ask(config.load(project), "status")):
        with pytest.raises(StoreError, match="has no file locks"):
            asked()
    assert "has no file locks" in state.trouble(project / ".mlops")
