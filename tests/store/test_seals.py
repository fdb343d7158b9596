"""Seals of what was recorded: what breaks them, and what must not be taken for that."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_mlops.store.seals import altered
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
