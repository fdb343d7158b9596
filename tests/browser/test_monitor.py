"""A model in service, watched in the panel: what drifts comes first, alerts tell their cause and time, and the truth tells of decay."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from jupyter_mlops import config
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit

from .acts import open_panel, open_section, scroll_to
from .watched import Watched, watched


@pytest.fixture
def model(folder: Path) -> Watched:
    """A model in service whose input `a` drifts, of whose predictions nobody knows the truth yet."""
    # A project of its own, whatever lies in the folders above.
    (folder / "pyproject.toml").write_text("[tool.mlops]\n", encoding="utf-8")
    return watched(folder)


def test_the_column_that_drifts_comes_first_and_shows_how(model: Watched, page: Page, shot: Callable[..., Path]) -> None:
    model.warn()
    monitor = open_section(page, "Monitor")
    columns = monitor.locator(".mlops-tile[data-column]")
    expect(columns).to_have_count(3)
    assert [column.get_attribute("data-column") for column in columns.all()][:1] == ["a"]
    assert {column.get_attribute("data-column") for column in columns.all()[:2]} == {"a", "prediction"}
    expect(columns.first).to_contain_text("drift")
    expect(columns.last).to_contain_text("no drift")
    # Its course: a point for each stretch of time in which something was predicted, and the two levels that it is held against.
    assert columns.first.locator("circle").count() >= 10
    expect(columns.first.locator(".mlops-level")).to_have_count(2)
    alerts = monitor.get_by_role("list", name="alerts").get_by_role("listitem")
    expect(alerts.first).to_contain_text("a: ")
    expect(alerts.first).to_contain_text("told")
    assert (alerts.first.locator("time").get_attribute("datetime") or "").startswith("20")
    expect(monitor).to_contain_text("People were told 2 times")
    columns.first.get_by_role("button").click()
    expect(columns.first.get_by_role("img", name="Values of a, in the reference and now")).to_be_visible()
    expect(columns.first).to_contain_text("600 →")
    open_panel(page).locator(".lm-AccordionPanel-title", has_text="Runs").click()
    shot(page)


def test_once_the_truth_is_told_performance_shows_the_decay(model: Watched, page: Page, shot: Callable[..., Path]) -> None:
    monitor = open_section(page, "Monitor")
    expect(monitor).to_contain_text("Performance is not known")
    expect(monitor.locator("[data-metric]")).to_have_count(0)
    model.tell_truth()
    monitor.get_by_role("button", name="Look again").click()
    accuracy = monitor.locator("[data-metric=accuracy]")
    expect(accuracy).to_contain_text("on the test data")
    assert accuracy.locator("circle").count() >= 10
    expect(accuracy.locator(".mlops-interval")).to_have_count(1)
    expect(monitor.locator("[data-kind=decay]").first).to_contain_text("accuracy is 0.")
    expect(monitor).to_contain_text("the truth of 1\u202f200 is known")
    # Another window of time shows what was predicted in it.
    monitor.get_by_label("Window of time").select_option("1h")
    expect(monitor).not_to_contain_text("1\u202f200 predictions")
    monitor.get_by_label("Window of time").select_option("all")
    expect(monitor).to_contain_text("1\u202f200 predictions")
    open_panel(page).locator(".lm-AccordionPanel-title", has_text="Runs").click()
    scroll_to(accuracy)
    shot(page)


def test_a_person_has_a_model_trained_again_and_reads_how_it_ended(model: Watched, page: Page, shot: Callable[..., Path]) -> None:
    """The pipeline that releases the model fails, and is told to; the audit log has who asked and why."""
    steps = "steps:\n  train: {shell: 'exit 3', outputs: {model: model.pkl}}\n"
    release = "release: {model: train.model, name: flights, to: champion}\n"
    (model.project / "pipeline.yaml").write_text(f"name: again\n{steps}{release}", encoding="utf-8")
    monitor = open_section(page, "Monitor")
    monitor.get_by_role("button", name="Train again…").click()
    asked = page.locator(".jp-Dialog", has_text="Train flights again")
    asked.get_by_label("Why").fill("the flights moved")
    asked.get_by_role("button", name="Train", exact=True).click()
    told = monitor.locator(".mlops-monitor-job")
    expect(told).to_contain_text("Training flights again")
    expect(told).to_contain_text("its step train failed: The shell step ended with status 3.", timeout=60_000)
    expect(told.locator(".mlops-badge.mlops-bad")).to_have_text("failed")
    shot(page)
    entries = Audit(registry.state_of(config.load(model.project))).entries("flights")
    assert "the flights moved" in [entry.why for entry in entries]


def test_a_project_without_a_model_says_what_to_do(page: Page) -> None:
    expect(open_section(page, "Monitor")).to_contain_text("No model is registered yet")
