"""How long JupyterLab takes to start, with the extension and without it: the server, and the page until one can work in it."""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.acts import loaded
from tests.browser.conftest import SWITCHES, chromium_path
from tests.browser.lab import Lab

from .table import Row, row

PAIRS = 10

EXTENSION = "@jupyter-mlops/labextension"


class WithoutExtension(Lab):
    """The same server, as if the extension were not installed."""

    def __init__(self, home: Path) -> None:
        super().__init__(home, "--ServerApp.jpserver_extensions={'jupyter_mlops': False}")
        switched_off = home / "config" / "labconfig" / "page_config.json"
        switched_off.parent.mkdir(parents=True)
        switched_off.write_text(json.dumps({"disabledExtensions": {EXTENSION: True}}), encoding="utf-8")


def measure() -> list[Row]:
    """All figures of this module."""
    return list(_starts())


def _starts() -> Iterator[Row]:
    servers: tuple[list[float], list[float]] = ([], [])
    pages: tuple[list[float], list[float]] = ([], [])
    with chromium() as browser:
        for pair in range(PAIRS + 1):
            # Whichever goes first finds a machine that has just been busy with the other: they take turns at that, too.
            for kind in (0, 1) if pair % 2 else (1, 0):
                server, page = _start(browser, (Lab, WithoutExtension)[kind])
                if pair:  # the first pair warms the disk and Chromium's caches
                    servers[kind].append(server)
                    pages[kind].append(page)
    for name, (ours, theirs) in (("its server, s", servers), ("its page, s", pages)):
        yield row(f"start of JupyterLab: {name}", statistics.median(ours), statistics.median(theirs), "<= 1.03", "without the extension")
    whole = [statistics.median(map(sum, zip(servers[kind], pages[kind], strict=True))) for kind in (0, 1)]
    yield row("start of JupyterLab: both, s", *whole, "<= 1.03", "without the extension")


def _start(browser: Browser, kind: type[Lab]) -> tuple[float, float]:
    """Seconds until the server answers, and from then until the page stands."""
    with tempfile.TemporaryDirectory() as home:
        lab = kind(Path(home) / "lab")
        begin = time.perf_counter()
        lab.start()
        server = time.perf_counter() - begin
        context = browser.new_context()
        try:
            page = context.new_page()
            begin = time.perf_counter()
            page.goto(f"{lab.url}/lab?token={lab.token}")
            loaded(page)
            taken = time.perf_counter() - begin
            there = page.locator(".lm-TabBar-tab[data-id='jupyter-mlops']").count() == 1
            if there is not (kind is Lab):
                sys.exit(f"{kind.__name__}: the panel is {'there' if there else 'not there'}, so the two cannot be compared.")
            return server, taken
        finally:
            context.close()
            lab.stop()


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser that pages are measured in."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=list(SWITCHES))
        yield browser
        browser.close()
