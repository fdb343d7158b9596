"""The extension is there without anything enabled by hand: in this JupyterLab, in the oldest that it is for, and in Notebook."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from .acts import PANEL, loaded, notebook, open_notebook, open_panel, open_section, run_cell, write_notebook
from .lab import Lab
from .test_runs import filled, rows

OLDEST = "4.4.0"


class OldLab(Lab):
    """A server of the oldest JupyterLab that the extension is for, with everything else as it is here."""

    def __init__(self, home: Path, packages: Path) -> None:
        super().__init__(home)
        self._packages = packages

    @property
    def environment(self) -> dict[str, str]:
        """The older package comes first, and its pages are its own."""
        pages = self._packages / "share" / "jupyter" / "lab"
        return {**super().environment, "PYTHONPATH": str(self._packages), "JUPYTERLAB_DIR": str(pages)}


@pytest.fixture
def old_lab(tmp_path: Path) -> OldLab:
    """The oldest JupyterLab, installed in a folder of its own."""
    packages = tmp_path / "packages"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages), f"jupyterlab=={OLDEST}"]
    subprocess.run(command, check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    return OldLab(tmp_path / "lab", packages)


def test_a_person_opens_a_notebook_and_the_panel_stands_beside_it(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "first.ipynb", "6 * 7")
    open_notebook(page, "first.ipynb")
    expect(run_cell(page, 0).locator(".jp-OutputArea-output")).to_have_text("42")
    expect(open_section(page, "Runs")).to_contain_text("No runs")
    titles = open_panel(page).locator(".lm-AccordionPanel-titleLabel")
    expect(titles).to_have_text(["Runs", "Data", "Pipelines", "Models", "Monitor"])
    shot(page)


def test_the_panel_stands_in_the_oldest_jupyterlab_too(old_lab: OldLab, browser: Browser, shot: Callable[..., Path]) -> None:
    write_notebook(old_lab.root / "first.ipynb", "6 * 7")
    page = browser.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    try:
        old_lab.start()
        assert old_lab.ask("lab/api/settings/@jupyterlab/application-extension:shell")["version"] == OLDEST
        page.goto(f"{old_lab.url}/lab/tree/first.ipynb?token={old_lab.token}")
        loaded(page)
        notebook(page)
        expect(run_cell(page, 0).locator(".jp-OutputArea-output")).to_have_text("42")
        expect(open_section(page, "Runs")).to_contain_text("No runs")
        shot(page)
        assert not errors
    finally:
        page.close()
        old_lab.stop()


def test_the_panel_stands_in_notebook_too(lab: Lab, folder: Path, new_page: Callable[..., Page], shot: Callable[..., Path]) -> None:
    write_notebook(folder / "first.ipynb", "6 * 7")
    filled(folder, 2)
    page = new_page()
    page.goto(f"{lab.url}/notebooks/{folder.name}/first.ipynb")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    expect(run_cell(page, 0).locator(".jp-OutputArea-output")).to_have_text("42")
    page.locator(".lm-MenuBar-item", has_text="View").click()
    page.locator(".lm-Menu-item", has_text="Left Sidebar").hover()
    page.locator(".lm-Menu-item", has_text="Show MLOps").click()
    expect(page.locator(f"#{PANEL}")).to_be_visible()
    section = open_section(page, "Runs")
    expect(rows(section)).to_have_count(2)
    for row in rows(section).all():
        row.get_by_role("checkbox").click()
    section.get_by_role("button", name="Compare").click()
    # The main area holds the notebook alone: what the panel opens stands below it.
    compared = page.locator(".mlops-below")
    expect(compared).to_contain_text("metric_0")
    assert compared.evaluate("tab => tab.offsetHeight") >= 300
    shot(page)
