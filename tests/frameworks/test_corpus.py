"""Histories that train with PyTorch: what their replay comes to, and exactly which lines their slice holds."""

from __future__ import annotations

import pytest

from tests.replay.histories import FRAMEWORKS, histories, outcome
from tests.replay.test_corpus import check

ALL = {history.name: history for history in histories(FRAMEWORKS)}


@pytest.mark.parametrize("name", ALL)
def test_a_history_replays_and_its_slice_is_exact(name: str) -> None:
    check(ALL[name], outcome(ALL[name]))
