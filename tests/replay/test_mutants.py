"""Recorded runs of which one thing is changed before they are replayed: none of them may pass as the run that was recorded.

The code under test does not know what was changed. `MUTANTS=200 python -m pytest tests/replay/test_mutants.py` makes as many.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from .mutations import NOTEBOOKS, Mutant, mutants, record, verdict

COUNT = int(os.environ.get("MUTANTS", "14"))
PROCESSES = 2


@pytest.fixture(scope="module")
def verdicts() -> Iterator[dict[str, Future[str]]]:
    """The verdict on each mutant; each is played in a kernel of its own."""
    with tempfile.TemporaryDirectory(prefix="mutants") as folder, ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        for name in NOTEBOOKS:
            record(name, Path(folder).resolve() / name)
        pairs = [Mutant(name, "none", 0) for name in NOTEBOOKS] + mutants(COUNT)
        yield {mutant.name: pool.submit(verdict, mutant, str(Path(folder).resolve() / mutant.notebook)) for mutant in pairs}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_what_nobody_changed_replays_identically(notebook: str, verdicts: dict[str, Future[str]]) -> None:
    assert verdicts[f"{notebook}-none-0"].result() == "identical"


@pytest.mark.parametrize("mutant", mutants(COUNT), ids=lambda mutant: mutant.name)
def test_a_changed_run_is_never_called_identical(mutant: Mutant, verdicts: dict[str, Future[str]]) -> None:
    assert verdicts[mutant.name].result() == "different"
