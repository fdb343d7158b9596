"""Widgets in a real notebook: rows that are ticked in the table are known to the next cell, and the panel draws the same table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from .acts import cell, open_notebook, open_section, run_cell, write_notebook

NOTEBOOK = (
    "%load_ext jupyter_mlops",
    "from sklearn.linear_model import Ridge\nx, y = [[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0]\n"
    "for alpha in (0.1, 1.0, 9.0):\n    r2 = Ridge(alpha=alpha).fit(x, y).score(x, y)",
    "import jupyter_mlops as mlops\nw = mlops.widget(mlops.runs())\nw",
    "print(len(w.selected), [run.params['alpha'] for run in w.chosen])",
    "mlops.widget(mlops.compare(*w.selected))",
)


def test_rows_ticked_in_a_widget_are_known_to_the_next_cell(folder: Path, new_page: Callable[..., Page], shot: Callable[..., Path]) -> None:
    write_notebook(folder / "work.ipynb", *NOTEBOOK)
    page = new_page()
    open_notebook(page, "work.ipynb")
    for number in range(3):
        run_cell(page, number)
    table = cell(page, 2).get_by_role("treegrid", name="Runs")
    expect(table.get_by_role("checkbox")).not_to_have_count(0)
    rows = table.locator(".mlops-body").get_by_role("row")
    names = [row.text_content() or "" for row in rows.all()]
    rows.nth(0).get_by_role("checkbox").check()
    rows.nth(1).get_by_role("checkbox").check()
    told = run_cell(page, 3).locator(".jp-OutputArea-output")
    expect(told).to_contain_text("2 [")
    shot(page, "ticked")
    compared = run_cell(page, 4).locator(".jp-OutputArea-output")
    expect(compared).to_contain_text("alpha")
    expect(compared.get_by_role("list", name="Compared runs").get_by_role("listitem")).to_have_count(2)
    # The panel draws the same runs with the same view.
    section = open_section(page, "Runs")
    same = section.get_by_role("treegrid", name="Runs").locator(".mlops-body").get_by_role("row")
    expect(same).to_have_count(len(names))
    shot(page, "compared")
