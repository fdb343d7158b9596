"""Pages of runs, and how many there are, as a list that is scrolled asks for them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_mlops.store.paging import Asked, total
from tests.delivery_desk import Desk, Kernel


@pytest.mark.parametrize("count", [0, 1, 2, 49, 50, 51, 511, 512, 513, 5000, 10_000])
def test_the_end_is_found_with_few_questions_near_a_guess(count: int) -> None:
    asked: list[int] = []

    def exists(place: int) -> bool:
        asked.append(place)
        return place < count

    for known in sorted({0, min(50, count), count}):
        for guess in (None, 0, 1, count - 1, count, count + 1, count + 700, 20_000):
            assert total(exists, known, guess) == count
    asked.clear()
    assert total(exists, 0, count) == count
    assert len(asked) <= 2
    asked.clear()
    assert total(exists, 0, max(0, count - 3)) == count
    assert len(asked) <= 6


def _paged(desk: Desk, **asked: object) -> tuple[list[str], int]:
    """All pages of three, one after the other; each must tell the same total."""
    names: list[str] = []
    totals = set()
    while True:
        page, count = desk.queries.page(Asked(limit=3, offset=len(names), **asked))  # type: ignore[arg-type]  # as given
        totals.add(count)
        names += [run.name for run in page]
        if len(page) < 3:
            assert len(totals) == 1
            return names, totals.pop()


def _made(kernel: Kernel, count: int, first: int = 0, *, finished: Callable[[int], bool] = lambda number: True, **patch: object) -> None:
    for number in range(first, first + count):
        run = kernel.run(name=f"run-{number}", metrics=kernel.points(("auc", number % 4, None)), **patch)
        if finished(number):
            kernel.finish(run)


def test_pages_put_together_are_the_whole_list_while_runs_still_wait(desk: Desk, writer: Kernel) -> None:
    _made(writer, 8, finished=lambda number: number % 3 != 0)  # three stay open: they are in MLflow, and still wait for their end
    desk.deliver()
    _made(writer, 4, 8)
    desk.courier.read()
    assert any(not item.run.delivered for item in desk.courier.pending())
    newest_first = [f"run-{number}" for number in reversed(range(12))]
    assert _paged(desk) == (newest_first, 12)
    assert _paged(desk, where="auc >= 2") == ([name for name in newest_first if int(name[4:]) % 4 >= 2], 6)
    by_metric = sorted(newest_first, key=lambda name: (int(name[4:]) % 4, -int(name[4:])))
    assert _paged(desk, sort="auc") == (by_metric, 12)
    desk.deliver()
    assert _paged(desk) == (newest_first, 12)


def test_runs_of_one_notebook(desk: Desk, writer: Kernel) -> None:
    odd = "it's \"odd\" = 'x'.ipynb"
    _made(writer, 4)
    _made(writer, 4, 4, notebook="other study.ipynb")
    _made(writer, 1, 8, notebook=odd)
    for _ in range(2):  # waiting, then delivered
        desk.courier.read()
        assert _paged(desk, notebook="other study.ipynb") == ([f"run-{number}" for number in (7, 6, 5, 4)], 4)
        assert _paged(desk, notebook="study.ipynb", where="auc > 0") == (["run-3", "run-2", "run-1"], 3)
        assert _paged(desk, notebook=odd) == (["run-8"], 1)
        assert _paged(desk, notebook="none.ipynb") == ([], 0)
        desk.deliver()


def test_a_page_without_mlflow_comes_from_what_was_delivered(desk: Desk, writer: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    _made(writer, 5)
    desk.deliver()
    server = desk.servers[desk.servers.default_uri()]
    monkeypatch.setattr(type(server), "resting", property(lambda self: True))
    assert _paged(desk) == ([f"run-{number}" for number in (4, 3, 2, 1, 0)], 5)
    assert _paged(desk, notebook="study.ipynb", where="auc = 3") == (["run-3"], 1)


def test_the_total_follows_runs_that_come_and_go(desk: Desk, writer: Kernel) -> None:
    _made(writer, 7)
    desk.deliver()
    assert desk.queries.page(Asked(limit=2))[1] == 7
    _made(writer, 2, 7)
    desk.deliver()
    assert desk.queries.page(Asked(limit=2))[1] == 9
    for run in desk.all_runs()[:3]:
        desk.client.delete_run(run.info.run_id)
    assert desk.queries.page(Asked(limit=2))[1] == 6
    assert desk.queries.page(Asked(limit=2, offset=40)) == ([], 6)
