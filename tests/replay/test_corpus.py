"""Every history of the corpus, recorded in a real kernel: what its replay comes to, and exactly which lines its slice holds."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from jupyter_mlops.records import Verdict

from .histories import CORPUS, History, Outcome, histories, outcome

ALL = {history.name: history for history in histories(CORPUS)}
PROCESSES = 2


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Outcome]]]:
    """What comes of the histories whose tests were chosen, two at a time, while their tests wait in the same order."""
    chosen = [item.callspec.params["name"] for item in request.session.items if item.module is request.module and hasattr(item, "callspec")]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield {name: pool.submit(outcome, ALL[name]) for name in dict.fromkeys(chosen)}
        pool.shutdown(cancel_futures=True)


def test_the_corpus_is_varied() -> None:
    assert len(ALL) == sum(path.read_text(encoding="utf-8").count("\n=== ") + 1 for path in CORPUS.glob("*.cells"))
    assert len(ALL) >= 60


@pytest.mark.parametrize("name", ALL)
def test_a_history_replays_and_its_slice_is_exact(name: str, outcomes: dict[str, Future[Outcome]]) -> None:
    check(ALL[name], outcomes[name].result())


def check(history: History, came: Outcome) -> None:
    """Hold what came of a history against what its file says."""
    assert came.replay.verdict == history.verdict, told(came)
    assert agree(history, came), told(came)
    assert came.lines == history.slice
    # Where no statement is in doubt, one replay proves a slice minimal.
    assert came.slice.proof == history.proof or (came.slice.proof, history.proof) == ("minimal", "proved"), came.slice.why


def uncompared(came: Outcome) -> list[tuple[int, bool, str]]:
    """The executions with results that are not identical: whether all of those are excused, and why."""
    apart: dict[int, list[Verdict]] = {}
    for item in came.replay.results:
        if item.verdict != "identical":
            apart.setdefault(item.seq - came.offset, []).append(item)
    return [(place, all(item.excused for item in items), items[0].why) for place, items in sorted(apart.items())]


def agree(history: History, came: Outcome) -> bool:
    """Whether exactly the expected executions have results that are left out, each for the expected reason."""
    found = uncompared(came)
    return [(place, True) for place, _ in history.uncompared] == [item[:2] for item in found] and all(
        word in why for (_, word), (*_, why) in zip(history.uncompared, found, strict=True)
    )


def told(came: Outcome) -> str:
    lines = [f"[{item.seq - came.offset}] {item.kind} {item.name}: {item.verdict} {item.why} {item.recorded!r} / {item.replayed!r}"
             for item in came.replay.results if item.verdict != "identical"]  # fmt: skip
    return "\n".join([*lines, *came.replay.notes])
