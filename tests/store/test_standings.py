"""Which version is champion, as the shared state keeps it: on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading

import pytest

from jupyter_mlops.errors import NotFound
from jupyter_mlops.records import ModelVersion
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.store.standings import Standing, Standings, known

VERSION = ModelVersion(name="flights", version=1, digest="d" * 64, reference="a" * 64, signature={"inputs": [{"name": "x"}]}, notes=("n",))


def test_a_standing_is_kept_and_each_change_is_a_revision(state: SharedState) -> None:
    standings = Standings(state)
    assert standings.get("flights") is None
    with pytest.raises(NotFound, match="no registered model 'flights'"):
        known(None, "flights")
    with state.begin() as connection:
        first = standings.put(connection, Standing("flights", "sqlite:///x"))
    with state.begin() as connection:
        second = standings.put(connection, first.with_champion(1).with_champion(2).with_challenger(3))
    assert standings.get("flights") == second
    assert (second.revision, second.line, second.of(2), second.of(3)) == (2, (1, 2), ("champion",), ("challenger",))
    assert standings.names(behind=True) == ["flights"]
    standings.note_written("flights", {"champion": (2,)}, followed=2)
    assert standings.names(behind=True) == []
    assert standings.names() == ["flights"]
    found = standings.get("flights")
    assert found is not None
    assert found.written == {"champion": (2,)}


def test_versions_are_kept_with_aliases_and_the_approvals_of_their_very_files(state: SharedState) -> None:
    standings = Standings(state)
    with state.begin() as connection:
        standings.keep(connection, VERSION)
        standings.put(connection, Standing("flights").with_champion(1))
        assert standings.approve(connection, VERSION, "ben", "why not")
        assert not standings.approve(connection, VERSION, "ben", "again")
    found = standings.version("flights", 1)
    assert found is not None
    assert (found.aliases, found.approved, found.notes, found.signature) == (("champion",), ("ben",), ("n",), VERSION.signature)
    assert standings.data() == {"a" * 64}
    with state.begin() as connection:
        standings.keep(connection, ModelVersion(name="flights", version=1, digest="e" * 64))
    changed = standings.version("flights", 1)
    assert changed is not None
    assert changed.approved == (), "what was approved are other files"
    with state.begin() as connection:
        assert standings.approve(connection, changed, "ben", "these, too")
    assert [version.approved for version in standings.versions("flights")] == [("ben",)]
    assert standings.version("flights", 2) is None


def test_a_shared_state_has_one_identity(state: SharedState) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(Standings(state).identity())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1


def test_changes_at_the_same_time_lose_nothing(state: SharedState) -> None:
    standings, audit = Standings(state), Audit(state)

    def promote(version: int) -> None:
        for _ in range(10):
            with state.begin() as connection:
                audit.lock(connection)
                standing = standings.get("flights", connection) or Standing("flights")
                standings.put(connection, standing.with_champion(version))
                audit.append(connection, str(version), "promoted", "flights", version, details={"from": standing.champion})

    threads = [threading.Thread(target=promote, args=(version,)) for version in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    standing = standings.get("flights")
    assert standing is not None
    assert (standing.revision, len(standing.line)) == (40, 40)
    told = [entry.version for entry in reversed(audit.entries())]
    assert tuple(told) == standing.line
    assert [entry.details["from"] for entry in reversed(audit.entries())] == [None, *told[:-1]]
    assert audit.verify() == ()
