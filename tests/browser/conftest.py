"""Tests in a real browser, on a real JupyterLab server with real kernels, named after what a person does.

One server and one browser serve all tests of this folder; each test has a folder, a page and a workspace of its own. Screenshots go to the
folder that the environment's SCREENSHOTS names (build/screenshots by default), as TEST-NAME.png: they are kept and looked at.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.conftest import end_workers
from tests.delivered import with_database

from .acts import loaded
from .lab import Lab, running

SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parents[2] / "build" / "screenshots")

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

SWITCHES = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-dev-shm-usage",
)  # fmt: skip

# Longer than anything takes on a busy machine; what has to be quick is timed by the test that says so.
PATIENCE = 30_000

expect.set_options(timeout=PATIENCE)


def chromium_path() -> str:
    """Where Chromium is; without it, a sentence that says how to get it."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise FileNotFoundError("The browser tests need Chromium: install it (Debian, Ubuntu: `apt-get install chromium`), then try again.")
    return found


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. It ends with the tests of this folder: while it is there, no other event loop can run in this thread."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path(), args=list(SWITCHES))
        expect.set_options(timeout=PATIENCE)
        yield started
        started.close()


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """The JupyterLab server."""
    home = tmp_path_factory.mktemp("lab")
    with running(home) as server:
        yield server
    end_workers(home)


@pytest.fixture
def folder(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Path]:
    """An empty project folder below the server's; the kernels and workers that it got are ended afterwards.

    What belongs to it never goes to the project of the folder above, where the file browser is for a moment as a page is loaded.
    """
    made = lab.root / re.sub(r"\W+", "-", request.node.name).strip("-")
    made.mkdir()
    yield with_database(made)
    lab.end_kernels()
    end_workers(made)
    if (lab.root / ".mlops").exists():
        end_workers(lab.root)
        shutil.rmtree(lab.root / ".mlops")
        raise AssertionError("the server's root became a project")


@pytest.fixture
def new_page(lab: Lab, browser: Browser, folder: Path) -> Iterator[Callable[..., Page]]:
    """Opens pages in the test's folder and workspace, each another tab of the same browser.

    A test fails where code of ours raised an error that nobody caught.
    """
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE)
    errors: list[str] = []

    def opened(path: str = "", workspace: str = "") -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{error.message}\n{error.stack or ''}"))
        page.goto(f"{lab.url}/lab/workspaces/{workspace or folder.name}/tree/{folder.name}/{path}?token={lab.token}")
        loaded(page)
        return page

    yield opened
    context.close()
    assert not [error for error in errors if "mlops" in error], "an error in the page that nobody caught"


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """JupyterLab, opened in the test's folder."""
    return new_page()


@pytest.fixture
def shot(request: pytest.FixtureRequest) -> Callable[..., Path]:
    """Takes a screenshot: `shot(page, "compared")` writes TEST-compared.png."""

    def take(page: Page, name: str = "") -> Path:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        file = SCREENSHOTS / f"{'-'.join(filter(None, [request.node.name, name]))}.png"
        page.screenshot(path=file)
        return file

    return take
