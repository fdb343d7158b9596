"""Whoever looks, and however: dark, by the keyboard alone, at four times the size, by a screen reader, in Notebook 7."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from .acts import notebook, open_notebook, open_panel, open_section, run_cell, write_notebook
from .lab import Lab
from .test_cells import FIT, badge, start_tracking, track_button

SECTIONS = ("Runs", "Data", "Pipelines", "Models", "Monitor")

# What reaches beyond the window to the right, and is not in something that scrolls or is cut off by its owner's will.
BEYOND = """
root => [...root.querySelectorAll('*')].filter(element => {
  const box = element.getBoundingClientRect();
  const drawn = box.width > 0 && box.height > 0 && getComputedStyle(element).visibility !== 'hidden';
  const scrolls = node => node && node !== root.parentElement
    && (/auto|scroll|hidden|clip/.test(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
  return drawn && (box.right > innerWidth + 1 || box.left < -1) && !scrolls(element.parentElement);
}).map(element => `${element.tagName}.${element.getAttribute('class')} ${element.textContent.slice(0, 40)}`)
"""

# Buttons and fields of which less than half can be seen or scrolled to within the window's width.
LOST = """
root => [...root.querySelectorAll('button, input, select, [role=button]')].filter(element => {
  const box = element.getBoundingClientRect();
  const reachable = Math.min(box.right, innerWidth) - Math.max(box.left, 0);
  const sideways = node => node && node !== document.body
    && ((/auto|scroll/.test(getComputedStyle(node).overflowX) && node.scrollWidth > node.clientWidth) || sideways(node.parentElement));
  return box.width > 0 && box.height > 0 && reachable < box.width / 2 && !sideways(element.parentElement);
}).map(element => `${element.tagName}.${element.getAttribute('class')} ${element.getAttribute('aria-label') || element.textContent}`)
"""


def two_runs(page: Page, folder: Path) -> None:
    """A tracked notebook with two runs."""
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT, FIT.replace("strength", "strength / 100"))
    open_notebook(page, "work.ipynb")
    start_tracking(page)
    for number in range(3):
        run_cell(page, number)
    expect(badge(page, 2, "run")).to_be_visible()


def go_dark(page: Page) -> None:
    """Choose the dark theme, as the settings menu does."""
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    page.locator(".lm-Menu-item", has_text="Theme").first.hover()
    page.locator(".lm-Menu-item", has_text=re.compile("^JupyterLab Dark$")).click()
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0)


@pytest.fixture(autouse=True)
def theme_as_before(lab: Lab) -> Iterator[None]:
    """The server remembers the theme that was chosen: the next test begins with the light one."""
    yield
    (lab.home / "settings" / "@jupyterlab" / "apputils-extension" / "themes.jupyterlab-settings").unlink(missing_ok=True)


def faults(page: Page, within: str, axe: Path) -> list[str]:
    """What axe-core finds serious or critical in a part of the page."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(axe.read_text(encoding="utf-8"))
    found: dict[str, Any] = page.evaluate("within => axe.run(within, {resultTypes: ['violations']})", within)
    return [
        f"{fault['impact']} {fault['id']}: {node['target']} {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]


def luminance(colour: str) -> float:
    """How light a CSS colour is, from 0 to 1."""
    red, green, blue = (int(part) for part in re.findall(r"\d+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255


def test_the_dark_theme_is_dark_everywhere(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    two_runs(page, folder)
    section = open_section(page, "Runs")
    expect(section.locator("[data-key]")).to_have_count(2)
    look = "node => { const style = getComputedStyle(node); return [style.backgroundColor, style.color]; }"
    parts = {"panel": section.locator(".mlops-runs").first, "badge": badge(page, 1, "run"), "button": track_button(page)}
    light = {name: part.evaluate(look) for name, part in parts.items()}
    go_dark(page)
    shot(page)
    for name, part in parts.items():
        ground, text = part.evaluate(look)
        assert luminance(text) > 0.6, (name, text)
        assert luminance(light[name][1]) < 0.4, (name, light[name])
        if name == "badge":
            assert luminance(ground) < 0.3, (name, ground)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_screen_reader_finds_no_serious_fault(
    theme: str, folder: Path, page: Page, checkout_with_modules: Path, shot: Callable[..., Path]
) -> None:
    axe = checkout_with_modules / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
    two_runs(page, folder)
    if theme == "dark":
        go_dark(page)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", str(theme == "light").lower())
    found = {}
    for title in SECTIONS:
        section = open_section(page, title)
        expect(section.locator(".mlops-loading")).to_have_count(0)
        if title == "Runs":
            section.locator("[data-key] [data-column=name]").first.click()
        shot(page, title.lower())
        found[title] = faults(page, "#jupyter-mlops", axe)
        page.locator("#jupyter-mlops .lm-AccordionPanel-title", has_text=title).click()
    badge(page, 1, "run").focus()
    page.keyboard.press("Control+Alt+e")
    found["box"] = faults(page, ".mlops-popover", axe)
    found["badges"] = faults(page, ".mlops-cell-badges", axe)
    found["track"] = faults(page, ".mlops-track", axe)
    assert {name: told for name, told in found.items() if told} == {}


def test_runs_are_compared_by_the_keyboard_alone(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    """Open the panel, go through the runs, choose two, compare them, and close the comparison."""
    two_runs(page, folder)
    open_section(page, "Runs")
    expect(page.locator("#jupyter-mlops .mlops-runs [data-key]")).to_have_count(2)
    page.locator(".jp-Notebook .jp-Cell").first.locator(".jp-InputPrompt").click()
    page.keyboard.press("Control+Alt+m")

    def reach(what: str, keys: str = "Tab") -> None:
        """Press Tab until something is focused."""
        for _ in range(60):
            if page.evaluate("what => Boolean(document.activeElement?.matches(what))", what):
                return
            page.keyboard.press(keys)
        raise AssertionError(f"Tab does not lead to {what}")

    reach("#jupyter-mlops *")
    reach("#jupyter-mlops .mlops-runs [role=grid], #jupyter-mlops .mlops-runs [tabindex='0'][role=treegrid], .mlops-runs .mlops-table")
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    expect(page.locator("#jupyter-mlops .mlops-selection")).to_contain_text("2 selected")
    shot(page, "selected")
    reach("#jupyter-mlops .mlops-selection button", "Shift+Tab")
    for _ in range(6):
        if "Compare" in str(page.evaluate("document.activeElement.textContent")):
            break
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    comparison = page.locator(".mlops-comparison").last
    expect(comparison).to_be_visible()
    expect(comparison).to_contain_text("accuracy")
    shot(page, "compared")
    page.keyboard.press("Alt+w")
    expect(page.locator(".mlops-comparison")).to_have_count(0)


def test_nothing_is_lost_at_four_times_the_size(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    """400% on a window of 1280 pixels is 320 of CSS: every section can be used, and nothing reaches beyond."""
    two_runs(page, folder)
    open_panel(page)
    page.set_viewport_size({"width": 320, "height": 640})
    lost = {}
    for title in SECTIONS:
        section = open_section(page, title)
        expect(section.locator(".mlops-loading")).to_have_count(0)
        if title == "Runs":
            section.locator("[data-key] [data-column=name]").first.click()
        shot(page, title.lower())
        panel = page.locator("#jupyter-mlops")
        lost[title] = [*panel.evaluate(BEYOND), *panel.evaluate(LOST)]
        page.locator("#jupyter-mlops .lm-AccordionPanel-title", has_text=title).click()
    assert {title: told for title, told in lost.items() if told} == {}


def test_notebook_7_has_the_panel_and_the_badges_too(lab: Lab, folder: Path, browser: Browser, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", "strength = 1.0", FIT)
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.goto(f"{lab.url}/notebooks/{folder.name}/work.ipynb?token={lab.token}")
    notebook(page)
    start_tracking(page)
    run_cell(page, 0)
    run_cell(page, 1)
    name = badge(page, 1, "run").inner_text()
    badge(page, 1, "run").click()
    row = page.locator("#jupyter-mlops .mlops-runs [data-key]")
    expect(row).to_contain_text(name)
    expect(row).to_have_attribute("aria-expanded", "true")
    shot(page)
    context.close()
