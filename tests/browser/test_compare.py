"""Runs side by side: what differs in metrics, parameters, code and data, and the plots of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .acts import open_section, scroll_to
from .lab import Lab
from .made_runs import make


@pytest.fixture
def folder(lab: Lab) -> Path:
    """A project with three runs: two on one file, the newest after it changed."""
    return make(lab.root / "people")


@pytest.fixture
def compared(new_page: Callable[..., Page], request: pytest.FixtureRequest) -> tuple[Page, Locator]:
    """JupyterLab with all three runs compared: the page, and the comparison in its tab."""
    page = new_page(workspace=request.node.name)
    section = open_section(page, "Runs")
    boxes = section.locator(".mlops-body input[type=checkbox]")
    expect(boxes).to_have_count(3)
    # From the oldest to the newest.
    for number in (2, 1, 0):
        boxes.nth(number).check()
    section.get_by_role("button", name="Compare").click()
    comparison = page.locator(".mlops-comparison")
    expect(comparison).to_be_visible()
    return page, comparison


def part(comparison: Locator, title: str) -> Locator:
    return comparison.locator(".mlops-part").filter(has=comparison.page.get_by_role("heading", name=title, exact=True))


def test_a_person_compares_runs_and_sees_what_differs(compared: tuple[Page, Locator], shot: Callable[..., Path]) -> None:
    page, comparison = compared
    expect(comparison.get_by_role("list", name="Compared runs").get_by_role("listitem")).to_have_count(3)
    parameters = part(comparison, "Parameters")
    expect(parameters.get_by_role("row", name="max_depth")).to_contain_text("9")
    expect(parameters.get_by_role("row", name="max_depth")).to_contain_text("+7")
    expect(parameters.get_by_role("row", name="criterion")).to_contain_text("entropy")
    expect(part(comparison, "Metrics").get_by_role("row", name="auc").locator("td")).to_have_count(3)
    alike = parameters.locator("dt", has_text="random_state")
    expect(alike).to_be_hidden()
    parameters.locator("summary", has_text="1 parameter is alike").click()
    expect(alike).to_be_visible()
    code = part(comparison, "Code")
    scroll_to(code)
    added = code.get_by_role("row").filter(has=page.get_by_role("rowheader", name="added", exact=True))
    removed = code.get_by_role("row").filter(has=page.get_by_role("rowheader", name="removed", exact=True))
    expect(added.filter(has_text="deep = DecisionTreeClassifier(max_depth=9").locator("ins")).to_have_count(1)
    expect(removed.filter(has_text="shallow = DecisionTreeClassifier(max_depth=2").locator("del").first).to_be_visible()
    shot(page)


def test_a_person_chooses_runs_on_an_axis_with_the_keyboard_alone(compared: tuple[Page, Locator], shot: Callable[..., Path]) -> None:
    page, comparison = compared
    cards = comparison.get_by_role("list", name="Compared runs").get_by_role("listitem")
    least = comparison.get_by_role("slider", name="max_depth: least")
    least.focus()
    for _ in range(3):
        page.keyboard.press("PageUp")
    expect(least).to_have_attribute("aria-valuetext", "6.2")
    chosen = part(comparison, "Parallel coordinates").locator("[aria-live]")
    expect(chosen).to_have_text("Within max_depth 6.2 to 9: B.")
    faded = [number for number in range(3) if "mlops-dim" in (cards.nth(number).get_attribute("class") or "")]
    assert faded == [0, 2]
    shot(page)
    page.keyboard.press("Escape")
    expect(chosen).to_contain_text("Drag along an axis")
    expect(comparison.locator(".mlops-dim")).to_have_count(0)


def test_a_person_chooses_runs_by_dragging_along_an_axis(compared: tuple[Page, Locator]) -> None:
    page, comparison = compared
    scroll_to(part(comparison, "Parallel coordinates"))
    area = comparison.locator("g", has=page.get_by_role("slider", name="max_depth: least")).locator(".mlops-axis-area").first
    box = area.bounding_box()
    assert box
    middle = box["x"] + box["width"] / 2
    page.mouse.move(middle, box["y"] + box["height"] - 2)
    page.mouse.down()
    page.mouse.move(middle, box["y"] + box["height"] * 0.8, steps=4)
    page.mouse.up()
    expect(part(comparison, "Parallel coordinates").locator("[aria-live]")).to_contain_text(": A.")
    comparison.get_by_role("button", name="Show all runs").click()
    expect(comparison.locator(".mlops-dim")).to_have_count(0)


def test_a_person_hides_a_run_in_the_learning_curves(compared: tuple[Page, Locator], shot: Callable[..., Path]) -> None:
    page, comparison = compared
    curves = part(comparison, "Learning curves")
    scroll_to(curves)
    lines = curves.get_by_role("img", name="loss by step").locator("polyline:not([points=''])")
    expect(lines).to_have_count(2)
    shot(page)
    last = curves.get_by_role("button", name="C Decision")
    last.click()
    expect(last).to_have_attribute("aria-pressed", "false")
    expect(lines).to_have_count(1)


def test_a_person_looks_at_what_differs_in_the_data_of_two_runs(compared: tuple[Page, Locator], shot: Callable[..., Path]) -> None:
    page, comparison = compared
    data = part(comparison, "Data")
    row = data.get_by_role("row", name="people.csv")
    expect(row).to_contain_text("same as A")
    row.get_by_role("button", name="What differs in people.csv between A and C").click()
    difference = page.locator(".mlops-diff")
    expect(difference).to_contain_text("70 rows removed")
    income = difference.get_by_role("row", name="income")
    expect(income).to_contain_text("other values")
    expect(income.locator(".mlops-move", has_text="mean")).to_be_visible()
    shot(page)


def test_a_person_goes_from_a_comparison_to_one_of_its_runs(compared: tuple[Page, Locator]) -> None:
    page, comparison = compared
    second = comparison.get_by_role("list", name="Compared runs").get_by_role("listitem").nth(1).get_by_role("button")
    name = second.inner_text()
    second.click()
    expect(page.locator("#jupyter-mlops .mlops-open").filter(has_text=name.rsplit("-", 1)[1])).to_be_visible()
