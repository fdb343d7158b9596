"""The audit log tells what happened, in the transaction in which it happened; whatever is done to it afterwards is found."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import threading

import pytest
from sqlalchemy import text

from jupyter_mlops.store import audit as audits
from jupyter_mlops.store.audit import Anchor, Audit
from jupyter_mlops.store.shared import SharedState

FIELDS = ("seq", "at", "who", "what", "model", "version", "why", "details", "previous")


@pytest.fixture
def audit(state: SharedState) -> Audit:
    """A log of six entries."""
    made = Audit(state)
    made.append(None, "ann", "registered", "flights", 1, details={"digest": "d" * 64})
    made.append(None, "ben", "approved", "flights", 1, "looked at the slices")
    made.append(None, "ann", "promoted", "flights", 1, details={"aliases": {"champion": 1}, "auc": math.nan})
    made.append(None, "ann", "registered", "credit", 1)
    made.append(None, "ann", "refused", "credit", 1, "auc 0.6 is less than 0.7")
    made.append(None, "ann", "rolled back", "flights", 1)
    return made


def test_entries_are_read_newest_first_and_by_model(audit: Audit) -> None:
    assert [(entry.seq, entry.who, entry.what) for entry in audit.entries(limit=2)] == [(6, "ann", "rolled back"), (5, "ann", "refused")]
    flights = audit.entries("flights")
    assert [entry.seq for entry in flights] == [6, 3, 2, 1]
    assert dict(flights[1].details) == {"aliases": {"champion": 1}, "auc": "nan"}
    assert audit.head() == (6, audit.entries(limit=1)[0].digest)
    assert audit.verify([Anchor(*audit.head(), "elsewhere")]) == ()


def test_an_auditor_needs_nothing_but_sha256(audit: Audit, state: SharedState) -> None:
    previous = ""
    with state.read() as connection:
        for row in connection.execute(text("SELECT * FROM audit ORDER BY seq")):
            assert row.previous == previous
            previous = hashlib.sha256(json.dumps([getattr(row, name) for name in FIELDS]).encode()).hexdigest()
            assert row.digest == previous


def test_an_entry_is_there_exactly_if_what_it_tells_of_is(audit: Audit, state: SharedState) -> None:
    with contextlib.suppress(RuntimeError), state.begin() as connection:
        audit.append(connection, "ann", "promoted", "flights", 2)
        raise RuntimeError
    assert audit.head()[0] == 6
    with pytest.raises(ValueError, match="'sold' is not one of"):
        audit.append(None, "ann", "sold")
    assert audit.verify() == ()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        *((f"UPDATE audit SET {field} = 'x' WHERE seq = 3", "entry 3") for field in ("who", "model", "why", "details")),
        *((f"UPDATE audit SET {field} = 'x' WHERE seq = 3", "entry 3") for field in ("previous", "digest")),
        ("UPDATE audit SET what = 'refused' WHERE seq = 3", "entry 3 (refused flights) was changed"),
        ("UPDATE audit SET version = 2 WHERE seq = 3", "entry 3 (promoted flights) was changed"),
        ("UPDATE audit SET version = NULL WHERE seq = 3", "entry 3 (promoted flights) was changed"),
        ("UPDATE audit SET at = at + 0.001 WHERE seq = 3", "entry 3 (promoted flights) was changed"),
        ("UPDATE audit SET why = 'x' WHERE seq = 6", "entry 6 (rolled back flights) was changed"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1 is missing"),
        ("DELETE FROM audit WHERE seq IN (3, 4)", "entries 3 to 4 are missing"),
        ("DELETE FROM audit WHERE seq = 6", "entries 6 to 6 are missing at the end"),
        ("DELETE FROM audit", "entries 1 to 6 are missing at the end"),
        ("UPDATE audit SET seq = 0 - seq WHERE seq IN (2, 3); UPDATE audit SET seq = 5 + seq WHERE seq < 0", "entry 3"),
        ("UPDATE audit SET seq = 7 WHERE seq = 4", "entry 4 is missing"),
        ("UPDATE audit SET seq = seq + 1000 WHERE seq = 1", "entry 1 is missing"),
    ],
)  # fmt: skip
def test_whatever_is_changed_removed_or_reordered_is_found(audit: Audit, state: SharedState, change: str, told: str) -> None:
    anchor = Anchor(*audit.head(), "MLflow")
    with state.begin() as connection:
        for statement in change.split("; "):
            connection.execute(text(statement))
    found = audit.verify([anchor])
    assert any(told in problem.what for problem in found), found
    assert not any(problem.ok for problem in found)


def test_a_chain_that_is_written_anew_is_found_by_its_anchor_alone(audit: Audit, state: SharedState) -> None:
    anchor = Anchor(*audit.head(), "MLflow's tag of flights")
    with state.begin() as connection:
        connection.execute(text("DELETE FROM audit"))
    for number in range(8):
        audit.append(None, "eve", "promoted", "flights", number)
    assert audit.verify() == ()
    assert [(problem.what, problem.where) for problem in audit.verify([anchor])] == [
        ("entry 6 is not the one that was there when it was the last", "MLflow's tag of flights")
    ]


def test_many_writers_make_one_chain(state: SharedState) -> None:
    def write(name: str) -> None:
        for number in range(20):
            Audit(state).append(None, name, "alert", "flights", number)

    writers = [threading.Thread(target=write, args=(f"writer {number}",)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    audit = Audit(state)
    assert audit.head()[0] == 80
    assert audit.verify() == ()


def test_any_text_is_kept(state: SharedState) -> None:
    audit = Audit(state)
    told = audit.append(None, "zoë\0", "alert", "m", why="\ud800 'x'; DROP TABLE audit", details={"🦊": ["\0", "\udfff", 1e300, math.inf]})
    assert audit.entries() == (told,)
    assert told.why == "\\ud800 'x'; DROP TABLE audit"
    assert audit.verify() == ()


def test_a_long_log_is_read_in_pages(state: SharedState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "_PAGE", 3)
    audit = Audit(state)
    for number in range(10):
        audit.append(None, "ann", "alert", "m", number)
    assert audit.verify([Anchor(*audit.head(), "here")]) == ()
    with state.begin() as connection:
        connection.execute(text("UPDATE audit SET why = 'x' WHERE seq = 7"))
    assert [problem.what for problem in audit.verify()] == ["entry 7 (alert m) was changed after it was written"]


def test_who_acts_is_the_user_of_this_machine_unless_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLOPS_USER", raising=False)
    assert "@" in audits.who()
    monkeypatch.setenv("MLOPS_USER", "ann")
    assert audits.who() == "ann"
