"""What a person sees in the cells of a notebook: the button Track, and the badges."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from .acts import cell, edit_cell, notebook, open_notebook, run_cell, write_notebook

FIT = """from sklearn.linear_model import LogisticRegression
X = [[float(i)] for i in range(40)]
y = [int(i > 19) for i in range(40)]
model = LogisticRegression(C=strength).fit(X, y)
accuracy = model.score(X, y)"""


def track_button(page: Page) -> Locator:
    """The button Track of the notebook in front."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .mlops-track-button")


def start_tracking(page: Page) -> None:
    """Press Track, and wait until the kernel says that it tracks."""
    expect(track_button(page)).to_have_attribute("data-state", "off")
    track_button(page).click()
    expect(track_button(page)).to_have_attribute("data-state", "on")


def badge(page: Page, number: int, kind: str) -> Locator:
    """The badge of a kind (run, stale, hidden, replay) on a cell, counted from 0."""
    return cell(page, number).locator(f".mlops-cell-badge[data-badge={kind}]")


def test_tracking_is_switched_by_the_button_which_says_how_it_stands(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    button = track_button(page)
    expect(button).to_have_text("Track")
    expect(button).to_have_attribute("aria-pressed", "false")
    start_tracking(page)
    expect(button).to_have_text("Tracking")
    expect(button).to_have_attribute("aria-pressed", "true")
    run_cell(page, 0)
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_be_visible()
    assert re.fullmatch(r"LogisticRegression-\w+", badge(page, 1, "run").inner_text()), "the run's name"
    shot(page, "tracking")
    button.click()
    expect(button).to_have_attribute("data-state", "paused")
    expect(button).to_have_text("Paused")
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_have_count(0)
    button.click()
    expect(button).to_have_attribute("data-state", "on")
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_be_visible()


def test_tracking_that_a_cell_loaded_is_shown_by_the_button(folder: Path, page: Page) -> None:
    write_notebook(folder / "work.ipynb", "%load_ext jupyter_mlops", "%mlops track off", "%unload_ext jupyter_mlops")
    open_notebook(page, "work.ipynb")
    for number, state in enumerate(("on", "paused", "off")):
        run_cell(page, number)
        expect(track_button(page)).to_have_attribute("data-state", state)


def test_a_stale_badge_appears_and_vanishes(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    """A cell above is run again with other code: what is below is stale until it is run again, too."""
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT, "print(accuracy)")
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    for number in range(3):
        run_cell(page, number)
    expect(badge(page, 1, "run")).to_be_visible()
    assert page.locator(".mlops-cell-badge[data-badge=stale]").count() == 0
    edit_cell(page, 0, "strength = 0.001")
    expect(badge(page, 0, "stale")).to_have_attribute("title", "Its code was edited since it ran.")
    run_cell(page, 0)
    expect(badge(page, 0, "stale")).to_have_count(0)
    expect(badge(page, 1, "stale")).to_be_visible()
    expect(badge(page, 1, "stale")).to_have_attribute("title", re.compile(r"strength was made anew by cell \[4\]"))
    expect(badge(page, 2, "stale")).to_have_attribute("title", re.compile("accuracy comes from cell"))
    badge(page, 1, "stale").click()
    box = page.get_by_role("dialog", name="This cell")
    expect(box).to_contain_text("strength was made anew by cell [4]")
    shot(page, "stale")
    box.get_by_role("button", name="Run this cell").click()
    expect(badge(page, 1, "stale")).to_have_count(0)
    expect(box).to_have_count(0)
    run_cell(page, 2)
    expect(page.locator(".mlops-cell-badge[data-badge=stale]")).to_have_count(0)


def test_a_cell_that_a_restart_would_change_says_so(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    """The cell that made a name was deleted: the one that reads it shows a value that no code makes any more."""
    write_notebook(folder / "work.ipynb", "start = 3", "start + 1")
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    cell(page, 0).locator(".jp-InputPrompt").click()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    expect(cell(page, 0).locator(".cm-content")).to_have_text("start + 1")
    page.keyboard.press("Control+s")
    expect(badge(page, 0, "hidden")).to_have_attribute("title", "NameError: start is not bound there; no cell binds it.")
    badge(page, 0, "hidden").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="This cell")).to_contain_text("A restart and a run of all cells would change it")
    shot(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="This cell")).to_have_count(0)
    expect(badge(page, 0, "hidden")).to_be_focused()


def test_badges_move_no_text(folder: Path, page: Page) -> None:
    """Every line of the notebook stands where it stood before the badges came, and none is covered."""
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    run_cell(page, 0)
    lines = "cells => cells.map(cell => cell.querySelector('.cm-line').getBoundingClientRect()).map(box => [box.x, box.y])"
    before = page.locator(".jp-Notebook .jp-CodeCell").evaluate_all(lines)
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_be_visible()
    assert page.locator(".jp-Notebook .jp-CodeCell").evaluate_all(lines)[:2] == before
    label, line = badge(page, 1, "run").bounding_box(), cell(page, 1).locator(".cm-line").first.bounding_box()
    assert label is not None
    assert line is not None
    assert label["y"] + label["height"] <= line["y"] + 2, "the badge ends where the text begins"


def test_a_run_badge_shows_the_run_in_the_panel(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    name = badge(page, 1, "run").inner_text()
    badge(page, 1, "run").click()
    panel = page.locator("#jupyter-mlops")
    expect(panel).to_be_visible()
    row = panel.locator(".mlops-runs [data-key]").filter(has_text=name)
    expect(row).to_have_attribute("aria-expanded", "true")
    expect(panel.locator(f"[data-detail='{row.get_attribute('data-key')}']")).to_contain_text("accuracy")
    shot(page)


def test_a_replay_puts_its_verdict_on_the_cell(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT, "import jupyter_mlops as mlops\nprint(mlops.replay().verdict)")
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    for number in range(3):
        run_cell(page, number)
    expect(cell(page, 2)).to_contain_text("identical")
    badge(page, 1, "run").click()
    expect(badge(page, 1, "replay")).to_have_text("replayed: identical")
    shot(page)


def test_what_stands_in_names_is_shown_as_text(folder: Path, page: Page) -> None:
    """Names of a notebook's own making reach the page as text, never as HTML."""
    write_notebook(folder / "work.ipynb", "a = '<img src=x onerror=alert(1)>'", "b = a", "a = '<b>other</b>'")
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    for number in range(2):
        run_cell(page, number)
    edit_cell(page, 0, "a = '<img src=y onerror=alert(2)>'")
    run_cell(page, 0)
    badge(page, 1, "stale").click()
    box = page.get_by_role("dialog", name="This cell")
    expect(box).to_contain_text("<img src=y onerror=alert(2)>")
    assert box.locator("img").count() == 0


def test_badges_are_switched_off_in_the_settings(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    expect(badge(page, 1, "run")).to_be_visible()
    page.keyboard.press("Control+,")
    page.get_by_role("button", name=re.compile("^MLOps")).or_(page.locator(".jp-PluginList-entry", has_text="MLOps")).first.click()
    box = page.get_by_label("Run made here")
    expect(box).to_be_checked()
    shot(page, "settings")
    box.uncheck()
    page.get_by_role("tab", name="work.ipynb").click()
    notebook(page)
    expect(cell(page, 1).locator(".jp-InputPrompt")).to_be_visible()
    expect(badge(page, 1, "run")).to_have_count(0)
    page.get_by_role("tab", name=re.compile("^Settings")).click()
    box.check()
    page.get_by_role("tab", name="work.ipynb").click()
    expect(badge(page, 1, "run")).to_be_visible()
