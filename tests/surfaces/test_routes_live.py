"""What changes in a project is told to the pages that listen, at once, and nobody looks where nobody listens."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from jupyter_mlops.config import Settings
from jupyter_mlops.store.client import ask
from jupyter_mlops.surfaces.routes.watching import Watchers
from tests.delivery_desk import Kernel, wait_until
from tests.surfaces.jupyter import Jupyter, made

PIPELINE = "name: told\nsteps:\n  one: {shell: 'true'}\n"


class Page:
    """A page that listens: what it was told."""

    def __init__(self) -> None:
        self.told: queue.Queue[list[str]] = queue.Queue()

    def hears(self, kind: str) -> bool:
        """Wait until it is told that something of a kind changed; queue.Empty where it never is."""
        while kind not in self.told.get(timeout=10):
            continue
        return True

    def quiet(self, seconds: float) -> list[list[str]]:
        """What it is told for so long."""
        time.sleep(seconds)
        return [self.told.get() for _ in range(self.told.qsize())]


@contextmanager
def listening(jupyter: Jupyter, folder: str) -> Iterator[Page]:
    """A page that listens to a folder for as long as the block lasts."""
    page, ready, ended = Page(), threading.Event(), threading.Event()
    headers = {"Authorization": f"token {jupyter.token}"}
    answer = requests.get(jupyter.base + "mlops/live", params={"folder": folder}, headers=headers, stream=True, timeout=60)
    assert answer.status_code == 200

    def listen() -> None:
        try:
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    page.told.put(json.loads(line[6:])["changed"])
                    ready.set()
        except (requests.RequestException, AttributeError, ValueError, OSError):
            pass  # it was closed below
        ended.set()

    threading.Thread(target=listen, daemon=True).start()
    assert ready.wait(10)
    try:
        time.sleep(0.4)  # its watcher has looked for the first time
        page.quiet(0)
        yield page
    finally:
        # The connection itself: `close` waits for the thread that reads from it.
        os.close(os.dup(answer.raw.fileno()))
        answer.raw._fp.fp.raw._sock.shutdown(2)
        assert ended.wait(10)


def _changes(folder: Path) -> dict[str, tuple[str, Callable[[Kernel], Any]]]:
    return {
        "a cell that runs": ("runs", lambda kernel: kernel.cell("x = 1")),
        "a run that begins": ("runs", lambda kernel: kernel.run(name="told")),
        "another notebook": ("runs", lambda kernel: Kernel(folder, notebook="other.ipynb").cell("y = 2")),
    }


@pytest.mark.parametrize("what", list(_changes(Path())))
def test_each_change_of_the_journals_is_told(jupyter: Jupyter, what: str) -> None:
    folder = made(jupyter, what.replace(" ", "-"))
    kernel = Kernel(folder)
    kernel.cell("import this")
    with listening(jupyter, folder.name) as page:
        kind, change = _changes(folder)[what]
        for _ in range(3):
            page.quiet(0)
            change(kernel)
            assert page.hears(kind)
    kernel.journal.close()


def test_changes_of_the_shared_state_are_told_by_their_kind(jupyter: Jupyter) -> None:
    folder = made(jupyter, "shared")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    added = {"action": "add", "pipeline": "shared/pipeline.yaml", "cron": "0 6 * * *"}
    assert jupyter.change("schedule", "shared", **added).status_code == 200
    with listening(jupyter, "shared") as page:
        jupyter.change("schedule", "shared", action="pause", name="told")
        assert page.hears("schedules")
        assert all("models" not in changed for changed in page.quiet(0.5))
        job = jupyter.start("run", "shared", sources=["shared/pipeline.yaml"])
        jupyter.ended(job)
        assert page.hears("pipelines")


def test_reading_changes_nothing(jupyter: Jupyter) -> None:
    folder = made(jupyter, "looked-at")
    kernel = Kernel(folder)
    kernel.finish(kernel.run(name="one", metrics=kernel.points(("auc", 0.5, None))))
    kernel.journal.close()
    verbs = [("runs", {}), ("runs", {"sort": "-auc"}), ("status", {}), ("pipelines", {}), ("timetable", {}), ("models", {})]
    verbs += [("snapshots", {}), ("services", {}), ("audit", {}), ("monitored", {})]
    ask(Settings(project=folder), "flush", timeout=30)
    for verb, arguments in verbs:
        jupyter.ask(verb, "looked-at", **arguments)
    with listening(jupyter, "looked-at") as page:
        page.quiet(1.0)
        for _ in range(2):
            for verb, arguments in verbs:
                jupyter.ask(verb, "looked-at", **arguments)
        assert page.quiet(1.0) == []  # else pages would ask again and again


def test_many_pages_are_told_and_one_watcher_looks(jupyter: Jupyter) -> None:
    folder = made(jupyter, "tabs")
    (folder / "deep").mkdir()
    kernel = Kernel(folder)
    kernel.cell("x = 1")
    server = psutil.Process(jupyter.process.pid)
    jupyter.ask("runs", "tabs")
    before = server.num_threads()
    with listening(jupyter, "tabs") as first, listening(jupyter, "tabs") as second, listening(jupyter, "tabs/deep") as third:
        assert server.num_threads() <= before + 1 + 5  # the watcher, and threads of the loop's own pool
        kernel.cell("y = 2")
        for page in (first, second, third):
            assert page.hears("runs")
    kernel.journal.close()


def test_a_watcher_ends_with_its_last_listener(tmp_path: Path) -> None:
    def watching() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "mlops-watch" and thread.is_alive()]

    async def pages() -> None:
        watchers = Watchers()
        assert watching() == []
        first, second = (watchers.listen(tmp_path, tmp_path) for _ in range(2))
        assert (len(watching()), watchers.projects) == (1, [str(tmp_path)])
        (tmp_path / ".mlops").mkdir()
        kernel = await asyncio.to_thread(Kernel, tmp_path)
        await asyncio.sleep(0.4)
        kernel.cell("x = 1")
        assert [await first.wait(5), await second.wait(5)] == [["runs"], ["runs"]]
        assert await first.wait(0.4) == []
        watchers.leave(tmp_path, first)
        assert len(watching()) == 1
        watchers.leave(tmp_path, second)
        assert watchers.projects == []
        await asyncio.to_thread(wait_until, lambda: not watching(), 5)
        kernel.journal.close()

    asyncio.run(pages())


def test_a_page_that_goes_is_noticed(jupyter: Jupyter) -> None:
    folder = made(jupyter, "gone-page")
    Kernel(folder).cell("x = 1")
    server = psutil.Process(jupyter.process.pid)
    with listening(jupyter, "gone-page"):
        open_with = len(server.net_connections(kind="tcp"))
    wait_until(lambda: len(server.net_connections(kind="tcp")) < open_with, 10)
    spent = sum(server.cpu_times()[:2])
    time.sleep(1)
    assert sum(server.cpu_times()[:2]) - spent < 0.2  # nobody listens: nobody looks
