"""Pipelines and schedules in the panel: run, watch, mend, schedule."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_mlops import config
from jupyter_mlops.pipelines.scheduling.schedule import Schedules
from jupyter_mlops.store.shared import SharedState
from tests.pipelines import notebook_files

from .acts import loaded, open_section

PIPELINE = """\
name: letters
params: {word: hello, fails: false}
steps:
  write: {shell: "sleep 0.3; echo {word} > {text}; echo wrote {word}", outputs: {text: word.txt}}
  count: {notebook: count.ipynb, inputs: {text: write.text}, params: {fails: "{fails}"}}
  tell: {shell: "cat {text}; echo {letters}", inputs: {text: write.text, letters: count.letters}}
"""
COUNT = """\
from pathlib import Path
letters = len(Path(text).read_text().strip())
print('letters:', letters, '<img src=x onerror=alert(1)>')
if fails: raise ValueError('<b>no</b> such word')
"""

# Notes every state that a node of the graph goes through.
WATCH = """
() => {
  window.seen = {};
  const look = () => document.querySelectorAll('.mlops-node').forEach(node => {
    const states = window.seen[node.dataset.step] ??= [];
    if (states[states.length - 1] !== node.dataset.state) states.push(node.dataset.state);
  });
  new MutationObserver(look).observe(document.body, {subtree: true, attributes: true, childList: true, attributeFilter: ['data-state']});
  look();
}
"""


@pytest.fixture
def letters(folder: Path) -> Path:
    """A project with a pipeline of three light steps."""
    (folder / ".mlops").mkdir()  # the folder is a project of its own, whatever the one above it is
    (folder / "pipeline.yaml").write_text(PIPELINE)
    notebook_files.write(folder / "count.ipynb", "text = ''\nfails = False", "{'letters': letters}", COUNT)
    return folder


@pytest.fixture
def section(letters: Path, page: Page) -> Locator:
    """The section Pipelines with the graph of the project's one pipeline."""
    found = open_section(page, "Pipelines")
    expect(found.locator(".mlops-pipeline")).to_have_count(1)
    expect(found.locator(".mlops-node:visible")).to_have_count(3)
    return found


def node(section: Locator, step: str) -> Locator:
    return section.locator(f".mlops-node[data-step={step}]")


def states(section: Locator) -> dict[str, Any]:
    nodes = section.locator(".mlops-node").all()
    return {str(one.get_attribute("data-step")): one.get_attribute("data-state") for one in nodes}


def done(section: Locator, badge: str = "done") -> None:
    """Wait until the run has ended so."""
    expect(section.locator(".mlops-pipeline-state")).to_have_text(badge, timeout=60_000)
    expect(section.get_by_role("button", name="Run", exact=True)).to_be_enabled()


def test_run_a_pipeline_and_watch_its_states_until_it_is_done(
    section: Locator, page: Page, letters: Path, shot: Callable[..., Path]
) -> None:
    assert states(section) == {"write": "none", "count": "none", "tell": "none"}
    expect(section.locator(".mlops-pipeline-state")).to_have_text("not run yet")
    page.evaluate(WATCH)
    section.get_by_role("button", name="Run", exact=True).click()
    done(section)
    shot(page, "done")
    assert states(section) == {"write": "done", "count": "done", "tell": "done"}
    seen = page.evaluate("window.seen")
    for step in ("write", "count", "tell"):
        assert seen[step] == ["none", "waiting", "running", "done"], seen

    node(section, "count").click()
    expect(section.locator(".mlops-step")).to_contain_text("4 of 4")
    section.get_by_role("button", name="Log", exact=True).click()
    expect(page.locator(".mlops-log")).to_contain_text("letters: 5 <img src=x onerror=alert(1)>")
    section.get_by_role("button", name="Output notebook").click()
    reader = page.locator(".mlops-reader")
    expect(reader.locator(".jp-OutputArea-output").first).to_contain_text("letters: 5 <img")
    assert page.locator("img[src=x]").count() == 0
    shot(page, "notebook")
    reader.get_by_role("button", name="Copy into the project").click()
    page.get_by_role("dialog").get_by_role("button", name="Copy").click()
    expect(page.locator(".jp-NotebookPanel")).to_contain_text("letters: 5")
    assert "letters: 5" in (letters / "count-output.ipynb").read_text()

    page.evaluate(WATCH)
    section.get_by_text("Parameters:").click()
    section.get_by_label("word").fill("goodbye")
    section.get_by_role("button", name="Dry run").click()
    expect(section.locator(".mlops-plan")).to_contain_text("1 of 3 steps would run, 2 more if what they take has changed")
    expect(section.locator(".mlops-plan")).to_contain_text("word")
    assert states(section) == {"write": "run", "count": "after", "tell": "after"}
    section.get_by_role("button", name="Run", exact=True).click()
    expect(node(section, "tell")).to_have_attribute("data-state", "done", timeout=60_000)
    done(section)
    assert (letters / "word.txt").read_text() == "goodbye\n"

    section.get_by_text("History of runs").click()
    runs = section.locator(".mlops-history-row")
    expect(runs).to_have_count(2)
    expect(runs.first).to_contain_text("word = goodbye")
    runs.last.click()
    expect(section.locator(".mlops-pipeline-status")).to_contain_text("3 done")
    expect(section.get_by_role("button", name="Show the latest run")).to_be_visible()
    shot(page, "history")


def test_a_failing_step_shows_its_error_and_is_run_again_from_there(section: Locator, page: Page, shot: Callable[..., Path]) -> None:
    section.get_by_text("Parameters:").click()
    section.get_by_label("fails").check()
    section.get_by_role("button", name="Run", exact=True).click()
    done(section, "failed")
    assert states(section) == {"write": "done", "count": "failed", "tell": "skipped"}
    error = section.locator(".mlops-step .mlops-step-error").first
    expect(error).to_have_text("ValueError: <b>no</b> such word")
    expect(section.locator(".mlops-pipeline-told")).to_contain_text("Mend count.ipynb")
    shot(page, "failed")
    section.get_by_label("fails").uncheck()
    page.evaluate(WATCH)
    node(section, "count").click(button="right")
    menu = section.get_by_role("menu")
    expect(menu.get_by_role("menuitem", name="Run from here")).to_be_visible()
    menu.get_by_role("menuitem", name="Run from here").click()
    done(section)
    assert states(section) == {"write": "skipped", "count": "done", "tell": "done"}
    assert "running" not in page.evaluate("window.seen")["write"]


def test_a_run_goes_on_while_the_page_is_loaded_anew_and_can_be_cancelled(letters: Path, new_page: Callable[..., Page]) -> None:
    (letters / "pipeline.yaml").write_text("name: long\nsteps:\n  quick: {shell: 'true'}\n  long: {shell: 'sleep 300', after: quick}\n")
    page = new_page()
    section = open_section(page, "Pipelines")
    section.get_by_role("button", name="Run", exact=True).click()
    expect(node(section, "long")).to_have_attribute("data-state", "running")
    page.reload()
    loaded(page)
    section = open_section(page, "Pipelines")
    expect(node(section, "long")).to_have_attribute("data-state", "running")
    expect(node(section, "quick")).to_have_attribute("data-state", "done")
    section.get_by_role("button", name="Cancel", exact=True).click()
    expect(node(section, "long")).to_have_attribute("data-state", "cancelled")
    done(section, "cancelled")


def test_what_is_wrong_with_a_pipeline_leads_to_its_line(letters: Path, page: Page, shot: Callable[..., Path]) -> None:
    (letters / "pipeline.yaml").write_text(PIPELINE.replace("inputs: {text: write.text}", "inputs: {text: write.txet}"))
    section = open_section(page, "Pipelines")
    fault = section.locator(".mlops-fault")
    expect(fault).to_contain_text("pipeline.yaml, line 5")
    expect(fault).to_contain_text("it gives text")
    fault.get_by_role("button", name="Open line 5").click()
    editor = page.locator(".jp-FileEditor")
    expect(page.get_by_role("button", name="Ln 5, Col 1")).to_be_visible()
    shot(page, "line")
    editor.locator(".cm-line", has_text="count: {notebook").click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(next(line.strip() for line in PIPELINE.splitlines() if "count:" in line))
    page.keyboard.press("Control+s")
    expect(section.locator(".mlops-node")).to_have_count(3)
    expect(fault).to_have_count(0)


def test_add_pause_resume_and_remove_a_schedule(section: Locator, page: Page, letters: Path, shot: Callable[..., Path]) -> None:
    kept = Schedules(SharedState(config.load(letters)))
    section.get_by_role("button", name="Add a schedule").click()
    form = section.get_by_role("form", name="Add a schedule")
    form.get_by_label("Time zone").fill("Asia/Tokyo")
    form.get_by_label("Times (cron)").fill("30 7 * * 1-5")
    expect(form.get_by_role("status")).to_contain_text("At 07:30 on Monday through Friday")
    expect(form.get_by_role("status")).to_contain_text("22:30")
    form.get_by_label("Times (cron)").fill("every day")
    expect(form.get_by_role("status")).to_contain_text("cannot be read")
    form.get_by_label("How often").select_option("Every Monday at 6")
    expect(form.get_by_role("status")).to_contain_text("At 06:00 on Monday")
    shot(page, "form")
    form.get_by_role("button", name="Add the schedule").click()
    item = section.locator("[data-schedule=letters]")
    expect(item).to_contain_text("Sun")
    expect(item).to_contain_text("06:00 GMT+9 in Asia/Tokyo")
    expect(section.locator(".mlops-scheduler-none")).to_contain_text("No scheduler is running")
    (added,) = kept.all()
    assert (added.cron, added.timezone, added.pipeline, added.paused) == ("0 6 * * 1", "Asia/Tokyo", "pipeline.yaml", False)
    shot(page, "added")

    item.get_by_role("button", name="Pause").click()
    expect(item).to_contain_text("Paused: nothing is started.")
    assert kept.all()[0].paused
    item.get_by_role("button", name="Resume").click()
    expect(item).to_contain_text("Next:")
    item.get_by_role("button", name="History").click()
    expect(item).to_contain_text("It was not due yet.")
    item.get_by_role("button", name="Run now").click()
    done(section)
    assert states(section)["tell"] == "done"
    item.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(item).to_have_count(0)
    assert kept.all() == ()


def test_the_graph_is_used_by_the_keyboard_alone(section: Locator, page: Page) -> None:
    node(section, "write").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.step") == "count"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(section.locator(".mlops-step")).to_have_attribute("aria-label", "Step tell")
    page.keyboard.press("Shift+F10")
    expect(section.get_by_role("menu")).to_be_visible()
    page.keyboard.press("ArrowDown")
    assert json.loads(page.evaluate("JSON.stringify(document.activeElement.textContent)")) == "Run from here"
    page.keyboard.press("Escape")
    expect(section.get_by_role("menu")).to_have_count(0)
    assert page.evaluate("document.activeElement.dataset.step") == "tell"
