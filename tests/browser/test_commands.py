"""The same without the mouse on a button: the palette, the menu, the launcher, shortcuts and settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, TimeoutError, expect

from .acts import PANEL, open_notebook, open_panel, open_section, run_cell, write_notebook
from .lab import Lab
from .test_cells import FIT, badge, start_tracking, track_button
from .test_runs import filled

PRESSES = 10


@contextmanager
def chosen(lab: Lab, settings: dict[str, Any]) -> Iterator[None]:
    """What somebody chose in the settings editor, for as long as the block goes on."""
    file = lab.home / "settings" / "@jupyter-mlops" / "labextension" / "plugin.jupyterlab-settings"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings))
    try:
        yield
    finally:
        file.unlink()


def from_palette(page: Page, command: str) -> None:
    """Choose a command in the palette."""
    search = page.locator(".lm-CommandPalette-input")
    # JupyterLab listens to shortcuts a moment after it is drawn: the first press may be too early on a busy machine.
    for _ in range(PRESSES):
        page.keyboard.press("Control+Shift+c")
        with suppress(TimeoutError):
            search.wait_for(state="visible", timeout=2_000)
            break
    search.fill(command)
    page.locator(".lm-CommandPalette-item", has_text=command).first.click()


def test_every_section_is_shown_from_the_palette(page: Page) -> None:
    for section in ("Runs", "Data", "Pipelines", "Models", "Monitor"):
        from_palette(page, f"Show {section}")
        heading = page.locator("#jupyter-mlops .lm-AccordionPanel-title", has_text=section)
        expect(heading).to_have_attribute("aria-expanded", "true")


def test_tracking_is_switched_in_the_menu_and_by_the_palette(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    page.get_by_role("menuitem", name="MLOps", exact=True).click()
    item = page.locator(".lm-Menu-item[data-command='jupyter-mlops:track']")
    expect(item).to_have_text(re.compile("Track This Notebook"))
    shot(page, "menu")
    item.click()
    expect(track_button(page)).to_have_attribute("data-state", "on")
    from_palette(page, "Pause Tracking")
    expect(track_button(page)).to_have_attribute("data-state", "paused")
    from_palette(page, "Resume Tracking")
    expect(track_button(page)).to_have_attribute("data-state", "on")


def test_the_keyboard_tracks_and_explains_a_cell(folder: Path, page: Page) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    expect(track_button(page)).to_have_attribute("data-state", "off")
    page.keyboard.press("Control+Alt+k")
    expect(track_button(page)).to_have_attribute("data-state", "on")
    run_cell(page, 0)
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_be_visible()
    page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-InputPrompt").click()
    page.keyboard.press("Control+Alt+e")
    box = page.get_by_role("dialog", name="This cell")
    expect(box).to_contain_text("Runs made by this cell")
    expect(box).to_contain_text("accuracy 1")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    page.keyboard.press("Control+Alt+m")
    expect(page.locator("#jupyter-mlops")).to_be_visible()


def test_the_launcher_opens_the_panel_and_a_tutorial(page: Page, shot: Callable[..., Path]) -> None:
    launcher = page.locator(".jp-Launcher")
    expect(launcher.get_by_text("MLOps Panel")).to_be_visible()
    shot(page, "launcher")
    launcher.get_by_text("MLOps Panel").click()
    expect(page.locator("#jupyter-mlops")).to_be_visible()
    launcher.get_by_text("MLOps Tutorial").click()
    page.wait_for_selector(".jp-NotebookPanel")
    run_cell(page, 1)
    expect(track_button(page)).to_have_attribute("data-state", "on")
    run_cell(page, 2)
    run_cell(page, 3)
    expect(badge(page, 3, "run")).to_have_text(re.compile("RandomForest"))


def test_a_notebook_is_tracked_by_itself_where_the_settings_say_so(lab: Lab, folder: Path, page: Page) -> None:
    with chosen(lab, {"trackAlways": True}):
        page.reload()
        write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
        open_notebook(page, "work.ipynb")
        expect(track_button(page)).to_have_attribute("data-state", "on")
        run_cell(page, 0)
        run_cell(page, 1)
        expect(badge(page, 1, "run")).to_be_visible()


def test_the_panel_has_the_sections_that_were_chosen(lab: Lab, page: Page) -> None:
    with chosen(lab, {"sections": {"pipelines": False, "monitor": False}}):
        page.reload()
        headings = open_panel(page).locator(".lm-AccordionPanel-title")
        expect(headings).to_have_text(["Runs", "Data", "Models"])


def test_the_list_of_runs_has_the_metric_that_was_chosen_and_listens_only_if_it_may(
    lab: Lab, folder: Path, new_page: Callable[..., Page]
) -> None:
    filled(folder, 2)

    def listening(page: Page) -> list[str]:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url) if "/mlops/live?" in request.url else None)
        expect(open_section(page, "Runs").locator(".mlops-body [data-key]")).to_have_count(2)
        return asked

    with chosen(lab, {"metric": "metric_2", "live": False}):
        page = new_page(workspace="chosen")
        assert not listening(page)
        section = open_section(page, "Runs")
        expect(section.locator(".mlops-header")).to_contain_text("metric_2")
        expect(section.get_by_label("Metric", exact=True)).to_have_value("metric_2")
        tab = page.locator(f".lm-TabBar-tab[data-id='{PANEL}']")
        tab.click()
        expect(page.locator(f"#{PANEL}")).to_be_hidden()
        with page.expect_request(re.compile("/mlops/verbs/runs")):
            tab.click()
    assert listening(new_page(workspace="as-it-comes"))


def test_a_kernel_without_the_package_is_told_what_to_do(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    hide = """import sys
class Hides:
    def find_spec(self, name, path=None, target=None):
        if name == 'jupyter_mlops':
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Hides())"""
    write_notebook(folder / "work.ipynb", hide, "del sys.meta_path[0]")
    open_notebook(page, "work.ipynb")
    run_cell(page, 0)
    track_button(page).click()
    expect(page.locator(".Toastify__toast")).to_contain_text("run %pip install jupyter_mlops in it, then press Track again")
    expect(track_button(page)).to_have_attribute("data-state", "off")
    shot(page)
    run_cell(page, 1)
    start_tracking(page)
