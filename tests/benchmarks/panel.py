"""The panel over 10,000 runs, in a real JupyterLab: first rows, scrolling, pages of the route, changes told live, and a roll-back."""

from __future__ import annotations

import contextlib
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from playwright.sync_api import Browser, Page, expect

from jupyter_mlops import config
from jupyter_mlops.models.registry.promoting import promote
from tests.browser.acts import PANEL, loaded, open_section
from tests.browser.lab import Lab, running
from tests.conftest import end_workers
from tests.delivered import with_database
from tests.delivery_desk import Kernel
from tests.models.registered import registered

from .jupyterlab import chromium
from .listing import RUNS, fill
from .table import Row, row

ROUNDS = 7
FIRST_ROWS_MS = 300
FRAME_MS = 50
PAGE_MS = 300
SORTED_MS = 1000
TOLD_MS = 500
ROLLED_BACK_MS = 5000

QUESTIONS: tuple[tuple[str, dict[str, Any], float], ...] = (
    ("the first page", {}, PAGE_MS),
    ("the last page", {"offset": RUNS - 50}, PAGE_MS),
    ("a filter by a metric", {"where": "metric_1 > 0.5"}, PAGE_MS),
    ("sorted by a metric, MLflow's own join", {"sort": "-metric_2"}, SORTED_MS),
)

OPENED = """
() => {
  document.addEventListener('pointerdown', () => { window.pressed = performance.now(); }, {capture: true, once: true});
  const look = () => {
    if (document.querySelector('.mlops-runs [data-key]')) window.shown = performance.now();
    else requestAnimationFrame(look);
  };
  look();
}
"""

SCROLLED = """
async table => {
  const pauses = [];
  let last = performance.now();
  for (let frame = 0; frame < 120; frame += 1) {
    table.scrollTop += 137;
    await new Promise(done => requestAnimationFrame(done));
    const now = performance.now();
    pauses.push(now - last);
    last = now;
  }
  pauses.sort((a, b) => a - b);
  return pauses[108];
}
"""


def measure() -> list[Row]:
    """All figures of this module; each beside its bound."""
    with tempfile.TemporaryDirectory() as home, running(Path(home)) as lab, chromium() as browser:
        try:
            return [*_runs(lab, browser), *_live(lab), *_roll_back(lab, browser)]
        finally:
            end_workers(Path(home))


def _bound(what: str, milliseconds: float, bound: float) -> Row:
    return row(f"{what}, ms", milliseconds, bound, "<= 1", "the bound")


def _runs(lab: Lab, browser: Browser) -> Iterator[Row]:
    folder = _project(lab, "runs")
    fill(folder, f"sqlite:///{folder}/mlflow.db")
    for what, arguments, bound in QUESTIONS:
        asked = {"folder": folder.name, "arguments": json.dumps({"limit": 50, **arguments})}
        ask = partial(lab.ask, f"mlops/verbs/runs?{urlencode(asked)}")
        ask()
        times = [_taken(ask) for _ in range(ROUNDS)]
        yield _bound(f"50 of {RUNS} runs of the panel's route: {what}", statistics.median(times), bound)
    opened, scrolled = [], []
    for number in range(ROUNDS + 1):
        with _page(lab, browser, folder, f"opened-{number}") as page:
            page.locator(".jp-DirListing-item", has_text="mlflow.db").first.wait_for()
            page.wait_for_timeout(3000)  # the panel's code comes once JupyterLab has rested
            page.evaluate(OPENED)
            page.locator(f".lm-TabBar-tab[data-id='{PANEL}']").click()
            page.wait_for_function("window.shown")
            opened.append(page.evaluate("window.shown - window.pressed"))
            table = open_section(page, "Runs").get_by_role("treegrid")
            scrolled.append(page.evaluate(SCROLLED, table.element_handle()))
    # The first page warms the disk and Chromium's caches.
    yield _bound(f"first rows of {RUNS} runs after the panel is opened", statistics.median(opened[1:]), FIRST_ROWS_MS)
    yield _bound(f"a late frame (90 of 100 come sooner) as {RUNS} runs are scrolled", statistics.median(scrolled[1:]), FRAME_MS)


def _live(lab: Lab) -> Iterator[Row]:
    folder = _project(lab, "live")
    kernel = Kernel(folder)
    kernel.cell("first = 1")
    told: list[float] = []
    ended = threading.Event()
    request = Request(f"{lab.url}/mlops/live?folder={folder.name}", headers={"Authorization": f"token {lab.token}"})
    with urlopen(request, timeout=60) as stream:

        def listen() -> None:
            with contextlib.suppress(OSError, ValueError):
                while not ended.is_set() and (line := stream.readline()):
                    if line.startswith(b"data: ") and "runs" in json.loads(line[6:])["changed"]:
                        told.append(time.perf_counter())

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        time.sleep(1)
        waited = []
        for number in range(ROUNDS):
            told.clear()
            begun = time.perf_counter()
            kernel.cell(f"x = {number}")
            _until(lambda: bool(told))
            waited.append(1000 * (told[0] - begun))
            time.sleep(0.3)
        ended.set()
        kernel.cell("last = 1")
        listener.join(10)
    kernel.journal.close()
    yield _bound("a cell that ran until pages that listen are told", statistics.median(waited), TOLD_MS)


def _roll_back(lab: Lab, browser: Browser) -> Iterator[Row]:
    folder = _project(lab, "models")
    registered(folder, count=2)
    for version in (1, 2):
        promote(config.load(folder), "flights", version=version, who="ann")
    with _page(lab, browser, folder, "models") as page:
        section = open_section(page, "Models")
        section.get_by_role("button", name="Roll back…").click()
        asked = page.locator(".jp-Dialog", has_text="Roll back flights")
        asked.get_by_label("Why").fill("it misses late flights")

        def roll_back() -> None:
            asked.get_by_role("button", name="Roll back", exact=True).click()
            expect(asked).to_have_count(0)
            expect(section.locator("[data-version='1'] [data-alias=champion]")).to_be_visible()

        yield _bound("a roll-back until the panel shows the champion", _taken(roll_back), ROLLED_BACK_MS)


def _project(lab: Lab, name: str) -> Path:
    folder = lab.root / name
    (folder / ".mlops").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.mlops]\n", encoding="utf-8")
    return with_database(folder)


@contextlib.contextmanager
def _page(lab: Lab, browser: Browser, folder: Path, workspace: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    try:
        page = context.new_page()
        page.goto(f"{lab.url}/lab/workspaces/{workspace}/tree/{folder.name}?token={lab.token}")
        loaded(page)
        yield page
    finally:
        context.close()


def _taken(action: Callable[[], Any]) -> float:
    """Milliseconds."""
    begun = time.perf_counter()
    action()
    return 1000 * (time.perf_counter() - begun)


def _until(holds: Callable[[], bool], most: float = 10.0) -> None:
    deadline = time.perf_counter() + most
    while not holds():
        if time.perf_counter() > deadline:
            raise TimeoutError("it did not come")
        time.sleep(0.002)
