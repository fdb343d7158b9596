"""What a person finds again: after the page was loaded anew, the kernel or the server started again, and in a second tab."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.conftest import end_workers
from tests.delivered import with_database

from .acts import cell, edit_cell, loaded, notebook, open_notebook, open_section, run_cell, write_notebook
from .lab import Lab, running
from .test_cells import FIT, badge, start_tracking, track_button


def tracked(page: Page, folder: Path) -> None:
    """A notebook that was tracked and run: its second cell made a run, and is stale."""
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    edit_cell(page, 0, "strength = 0.01")
    run_cell(page, 0)
    expect(badge(page, 1, "run")).to_be_visible()
    expect(badge(page, 1, "stale")).to_be_visible()


def run_again(page: Page) -> None:
    """Run both cells in a new kernel, whose numbers may be those that stand there already."""
    run_cell(page, 0, wait=False)
    run_cell(page, 1, wait=False)


def wait_until_kept(lab: Lab, folder: Path) -> None:
    """JupyterLab keeps the layout and the panel's choices in the workspace, a moment after they change."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        data = lab.ask(f"lab/api/workspaces/{folder.name}").get("data", {})
        panel, layout = data.get("jupyter-mlops:panel", {}), json.dumps(data.get("layout-restorer:data", {}))
        if panel.get("open") == ["runs", "data", "models"] and "work.ipynb" in layout and '"current": "jupyter-mlops"' in layout:
            return
        time.sleep(0.1)
    raise AssertionError("the workspace was not kept")


def rows(section: Locator) -> Locator:
    """The rows of the runs on view."""
    return section.locator(".mlops-runs [data-key]")


def test_a_page_that_is_loaded_again_shows_all_as_it_was(lab: Lab, folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    """The sections that were unfolded, the run that the list shows, the badges and the button."""
    tracked(page, folder)
    name = badge(page, 1, "run").inner_text()
    expect(rows(open_section(page, "Runs"))).to_have_count(1)
    open_section(page, "Data")
    open_section(page, "Models")
    page.keyboard.press("Control+s")
    expect(page.locator(".jp-mod-dirty.lm-TabBar-tab")).to_have_count(0)
    wait_until_kept(lab, folder)
    page.reload()
    loaded(page)
    notebook(page)
    expect(track_button(page)).to_have_attribute("data-state", "on")
    expect(badge(page, 1, "run")).to_have_text(name)
    expect(badge(page, 1, "stale")).to_have_attribute("title", re.compile("strength was made anew"))
    panel = page.locator("#jupyter-mlops")
    expect(panel).to_be_visible()
    unfolded = panel.locator(".lm-AccordionPanel-title[aria-expanded=true]")
    expect(unfolded).to_have_text(["Runs", "Data", "Models"])
    expect(rows(panel)).to_have_count(1)
    expect(rows(panel)).to_contain_text(name)
    shot(page)


def test_a_kernel_that_is_restarted_is_not_tracked_until_asked_for(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    tracked(page, folder)
    name = badge(page, 1, "run").inner_text()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Restart the kernel", exact=True).click()
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(track_button(page)).to_have_attribute("data-state", "off")
    expect(badge(page, 1, "run")).to_have_text(name)
    expect(badge(page, 1, "stale")).to_have_count(0)
    shot(page)
    start_tracking(page)
    run_again(page)
    expect(badge(page, 1, "run")).not_to_have_text(name)
    expect(badge(page, 1, "run")).to_be_visible()
    expect(rows(open_section(page, "Runs"))).to_have_count(2)


def test_two_tabs_of_one_notebook_show_the_same(folder: Path, new_page: Callable[..., Page]) -> None:
    first = new_page(workspace="first")
    tracked(first, folder)
    second = new_page("work.ipynb", workspace="second")
    notebook(second)
    expect(track_button(second)).to_have_attribute("data-state", "on")
    expect(badge(second, 1, "run")).to_have_text(badge(first, 1, "run").inner_text())
    expect(badge(second, 1, "stale")).to_be_visible()
    track_button(second).click()
    expect(track_button(first)).to_have_attribute("data-state", "paused")
    track_button(first).click()
    expect(track_button(second)).to_have_attribute("data-state", "on")
    run_cell(first, 1)
    expect(badge(second, 1, "stale")).to_have_count(0)
    expect(badge(second, 1, "run")).to_have_text(badge(first, 1, "run").inner_text())


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A server of the test's own, which it may end."""
    with running(tmp_path / "own") as server:
        yield server
    end_workers(tmp_path)


def test_a_server_that_comes_back_is_found_again(own_lab: Lab, browser: Browser, shot: Callable[..., Path]) -> None:
    """Its end is told in a sentence; when it runs again at the same address, the panel goes on by itself, and the notebook can be run."""
    folder = with_database(own_lab.root)
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(f"{own_lab.url}/lab?token={own_lab.token}")
    loaded(page)
    open_notebook(page, "work.ipynb")
    section = open_section(page, "Runs")
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    expect(rows(section)).to_have_count(1)
    page.keyboard.press("Control+s")
    own_lab.stop()
    expect(page.locator("#jupyter-mlops")).to_contain_text("The server cannot be reached: see whether JupyterLab still runs.")
    shot(page, "gone")
    own_lab.start()
    expect(page.locator("#jupyter-mlops")).not_to_contain_text("The server cannot be reached")
    expect(rows(section)).to_have_count(1)
    # The kernel went with the server: the page is loaded again, and the notebook gets another.
    page.reload()
    loaded(page)
    notebook(page)
    section = open_section(page, "Runs")
    expect(badge(page, 1, "run")).to_be_visible()
    start_tracking(page)
    run_again(page)
    expect(rows(section)).to_have_count(2)
    expect(cell(page, 1).locator(".mlops-cell-badge[data-badge=run]")).to_be_visible()
    shot(page, "back")
    context.close()
