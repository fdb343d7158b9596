"""What a person does in JupyterLab: open a notebook, run a cell, look into a section of the panel."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

PANEL = "jupyter-mlops"

NUMBERED = re.compile(r"\[\d+\]:")


def write_notebook(file: Path, *cells: str) -> Path:
    """A saved notebook of code cells, which was never run; its cells have the ids cell-0, cell-1, ..."""
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}})
    notebook.cells = [nbformat.v4.new_code_cell(source, id=f"cell-{number}") for number, source in enumerate(cells)]
    nbformat.write(notebook, file)
    return file


def loaded(page: Page) -> None:
    """Wait until JupyterLab stands there."""
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.wait_for_selector(".jp-LabShell, .jp-NotebookShell")


def open_notebook(page: Page, name: str) -> Locator:
    """Open a notebook of the folder in the file browser, and wait until its kernel is ready; the notebook as it is shown."""
    page.get_by_role("listitem", name=re.compile(rf"^Name: {re.escape(Path(name).name)}\b")).dblclick()
    return notebook(page)


def notebook(page: Page) -> Locator:
    """The notebook in front, once its kernel is ready."""
    page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook-ExecutionIndicator[data-status=idle]")
    # The indicator says idle before there is a kernel, too, and a cell that is run then is not run: our own button has heard its answer.
    answered = ".mlops-track-button:not([data-state=none]):not([data-state=asking])"
    page.wait_for_selector(f".jp-NotebookPanel:not(.lm-mod-hidden) {answered}")
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")


def cell(page: Page, number: int) -> Locator:
    """A cell of the notebook in front, counted from 0."""
    return page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-Cell").nth(number)


def run_cell(page: Page, number: int, *, wait: bool = True) -> Locator:
    """Run a cell with Shift+Enter and wait until it has ended; the cell."""
    notebook(page)
    chosen = cell(page, number)
    prompt = chosen.locator(".jp-InputPrompt")
    before = (prompt.text_content() or "").strip()
    chosen.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    if wait:
        page.wait_for_function(
            "([cell, before]) => { const now = cell.querySelector('.jp-InputPrompt').textContent.trim();"
            " return now !== before && /^\\[\\d+\\]:$/.test(now); }",
            arg=[chosen.element_handle(), before],
            timeout=60_000,
        )
    return chosen


def run_all(page: Page) -> None:
    """Run every cell, one after the other."""
    for number in range(page.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook .jp-CodeCell").count()):
        run_cell(page, number)


def edit_cell(page: Page, number: int, source: str) -> None:
    """Write other code into a cell."""
    cell(page, number).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(source)


def open_panel(page: Page) -> Locator:
    """Open the panel in the sidebar."""
    panel = page.locator(f"#{PANEL}")
    if not panel.is_visible():
        page.locator(f".lm-TabBar-tab[data-id='{PANEL}']").click()
    expect(panel).to_be_visible()
    return panel


def open_section(page: Page, title: str) -> Locator:
    """Unfold a section of the panel (Runs, Data, Pipelines, Models, Monitor); its content."""
    heading = open_panel(page).locator(".lm-AccordionPanel-title", has_text=title)
    if heading.get_attribute("aria-expanded") != "true":
        heading.click()
    content = page.locator(f"#{heading.get_attribute('aria-controls')}")
    expect(content).to_be_visible()
    return content


def scroll_to(shown: Locator) -> None:
    """Scroll until it is seen. What is drawn anew meanwhile, as news come, is no error."""
    shown.evaluate("element => element.scrollIntoView({block: 'nearest'})")
