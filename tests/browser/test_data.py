"""The section Data: what is kept, what it holds, how it differs, and where it was used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from .acts import open_section
from .lab import Lab
from .made_runs import make


@pytest.fixture
def folder(lab: Lab) -> Path:
    """A project with data that runs used, and two frames that were kept by hand."""
    return make(lab.root / "people")


@pytest.fixture
def data(new_page: Callable[..., Page], request: pytest.FixtureRequest) -> Locator:
    """The section Data, with its list on view."""
    section = open_section(new_page(workspace=request.node.name), "Data")
    expect(section.get_by_role("button", name="people frame")).to_be_visible()
    return section


def test_a_person_looks_into_a_snapshot(data: Locator, shot: Callable[..., Path]) -> None:
    page = data.page
    people = data.get_by_role("button", name="people frame")
    expect(people).to_contain_text("400 \N{MULTIPLICATION SIGN} 4")
    expect(people).to_contain_text("age, income, town, bought")
    people.click()
    expect(people).to_have_attribute("aria-expanded", "true")
    income = data.locator(".mlops-column").filter(has_text="income")
    expect(income).to_contain_text("40 missing (10%)")
    expect(income.get_by_role("img").locator("rect")).to_have_count(24)
    town = data.get_by_role("list", name="Commonest values of town")
    expect(town.get_by_role("listitem")).to_have_count(2)
    expect(town).to_contain_text("<b>Ribe</b>")
    expect(data.get_by_role("table", name="First rows").get_by_role("row")).to_have_count(51)
    shot(page)
    people.click()
    expect(data.locator(".mlops-column")).to_have_count(0)


def test_a_person_opens_a_snapshot_in_a_tab(data: Locator, shot: Callable[..., Path]) -> None:
    data.get_by_role("button", name="Open people.csv in a tab").first.click()
    tab = data.page.locator(".mlops-tab .mlops-snapshot")
    expect(tab.get_by_role("columnheader", name="income")).to_be_visible()
    expect(tab.locator(".mlops-column")).to_have_count(4)
    expect(data.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabLabel", has_text="people.csv")).to_be_visible()
    shot(data.page)


def test_a_person_chooses_two_snapshots_and_sees_how_they_differ(data: Locator, shot: Callable[..., Path]) -> None:
    compare = data.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    data.get_by_role("checkbox", name="Choose over 30").check()
    expect(compare).to_be_disabled()
    data.get_by_role("checkbox", name="Choose people, ").check()
    compare.click()
    difference = data.page.locator(".mlops-diff")
    expect(difference).to_contain_text("70 rows removed")
    expect(difference.get_by_role("row", name="town")).to_contain_text("removed")
    expect(difference.get_by_role("row", name="city")).to_contain_text("added")
    shot(data.page)


def test_a_person_finds_the_run_that_used_the_data(data: Locator) -> None:
    table = data.get_by_role("button", name="people.csv file").filter(has_text="used by 1 run")
    table.click()
    use = data.get_by_role("button", name="DecisionTreeClassifier")
    name = use.inner_text()
    use.click()
    expect(data.page.locator("#jupyter-mlops .mlops-open").filter(has_text=name.rsplit("-", 1)[1])).to_be_visible()


def test_a_person_searches_the_data_by_the_name_of_a_column(data: Locator) -> None:
    names = data.locator(".mlops-snapshot-title")
    data.get_by_role("searchbox", name="Search snapshots").fill("city")
    expect(names).to_have_text(["over 30"])
    data.get_by_role("searchbox", name="Search snapshots").fill("nothing is called so")
    expect(data).to_contain_text("No snapshot is called so")
