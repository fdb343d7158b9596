"""Seals of what was recorded: what breaks them, and what must not be taken for that."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from blake3 import blake3

from jupyter_mlops.store.seals import altered, altered_journal, seal_journal
from jupyter_mlops.store.state import Ledger
from jupyter_mlops.store.tracking_server import TrackingServer, Unreachable


class Tagged(TrackingServer):
    """A server that knows one run, and answers nothing else."""

    def __init__(self, seals: str) -> None:
        self._seals = seals

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(data=SimpleNamespace(tags={"mlops.seals": self._seals}))

    def calling(self) -> Any:
        raise Unreachable("it does not answer")


@pytest.mark.parametrize("tag", ["{torn", "[]", '{"models": {"models:/m": {"name": "m"}}}'])
def test_a_tag_that_is_not_as_it_was_written_is_told(tag: str) -> None:
    assert list(altered(Tagged(tag), "0123456789")) == [("The tag mlops.seals", "the tags of run 01234567")]


@pytest.mark.parametrize("tag", ['{"history": "a"}', '{"models": {"models:/m": {"name": "m", "digest": "a"}}}'])
def test_a_server_that_does_not_answer_has_altered_nothing(tag: str) -> None:
    with pytest.raises(Unreachable):
        list(altered(Tagged(tag), "0123456789"))


def test_a_journal_that_was_changed_stays_broken_whatever_is_sealed_of_it_again(tmp_path: Path) -> None:
    ledger, path = Ledger(tmp_path), tmp_path / "session.jsonl"
    path.write_bytes(b"one\ntwo\nthree\n")
    seal_journal(ledger, "session", path, 14)
    path.write_bytes(b"one\ntwo\nTHREE\n")
    for position in (8, 14, 14):
        seal_journal(ledger, "session", path, position)
        assert altered_journal(ledger, "session", path)
    path.write_bytes(b"one\nTWO, and more\nthree\n")
    seal_journal(ledger, "session", path, 24)
    path.write_bytes(b"one\ntwo\nthree\n")
    seal_journal(ledger, "session", path, 24)
    assert not altered_journal(ledger, "session", path), "put back as it was"
    path.write_bytes(b"one\ntwo\nthree\nfour\n")
    seal_journal(ledger, "session", path, 19)
    assert ledger.seal("session") == (19, blake3(path.read_bytes()).hexdigest())
    ledger.close()
