"""Runs in the panel: they appear as the notebook makes them, are found, sorted, compared, revealed, replayed, and made into steps."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from jupyter_mlops import config
from jupyter_mlops.store import client
from tests.benchmarks.listing import RUNS, fill
from tests.conftest import end_workers
from tests.delivered import flush, with_database

from .acts import cell, loaded, open_notebook, open_section, run_cell, write_notebook
from .lab import Lab

DATA = (
    "import numpy as np\nfrom sklearn.linear_model import LogisticRegression\nfrom sklearn.metrics import roc_auc_score\n"
    "rng = np.random.default_rng(0)\nX = rng.normal(size=(300, 3))\ny = (X[:, 0] + rng.normal(size=300) > 0).astype(int)"
)
FIT = (
    "model = LogisticRegression(C={c}).fit(X[:200, :{columns}], y[:200])\n"
    "auc = roc_auc_score(y[200:], model.decision_function(X[200:, :{columns}]))"
)
LOAD = "%load_ext jupyter_mlops"
HARMFUL = '<img src=x onerror="window.hacked = 1">'

APPEARED = """
async ([cell, before]) => {
  const prompt = () => cell.querySelector('.jp-InputPrompt').textContent.trim();
  const rows = () => document.querySelectorAll('.mlops-runs [data-key]').length;
  const until = async (holds, most) => {
    const end = performance.now() + most;
    while (!holds()) {
      if (performance.now() > end) throw new Error('it did not come');
      await new Promise(done => setTimeout(done, 5));
    }
    return performance.now();
  };
  const ended = await until(() => /^\\[\\d+\\]:$/.test(prompt()) && prompt() !== before, 60000);
  return (await until(() => rows() > 0, 30000)) - ended;
}
"""

@pytest.fixture(scope="module")
def project(lab: Lab, browser: Browser) -> Iterator[Path]:
    """A project whose notebook `study.ipynb` was tracked and run by a person: three fits, the best with all columns."""
    made = with_database(_made(lab.root / "study-of-runs"))
    write_notebook(made / "study.ipynb", LOAD, DATA, *(FIT.format(c=c, columns=columns) for c, columns in ((0.1, 3), (2.0, 1), (5.0, 3))))
    context = browser.new_context()
    context.set_default_timeout(60_000)
    page = _opened(context.new_page(), lab, made)
    open_notebook(page, "study.ipynb")
    for number in range(5):
        run_cell(page, number)
    page.keyboard.press("Control+s")
    flush(made)
    yield made
    context.close()
    lab.end_kernels()
    end_workers(made)


@pytest.fixture
def studied(project: Path, lab: Lab, browser: Browser) -> Iterator[Page]:
    """JupyterLab, opened in that project."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(30_000)
    yield _opened(context.new_page(), lab, project)
    context.close()


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _opened(page: Page, lab: Lab, folder: Path) -> Page:
    page.goto(f"{lab.url}/lab/workspaces/{folder.name}-{time.monotonic_ns()}/tree/{folder.name}?token={lab.token}")
    loaded(page)
    return page


def filled(folder: Path, runs: int) -> None:
    """Runs of another tool, put into the project's store."""
    (folder / ".mlops").mkdir()
    fill(folder, f"sqlite:///{folder}/mlflow.db", runs)


def rows(section: Locator) -> Locator:
    """The rows of the runs on view."""
    return section.locator(".mlops-body [data-key]")


def unfold(section: Locator, number: int) -> Locator:
    """Unfold a run; its details."""
    row = rows(section).nth(number)
    if row.get_attribute("aria-expanded") != "true":
        row.locator("[data-column=name]").click()
    return section.locator(f"[data-detail='{row.get_attribute('data-key')}']")


def press(details: Locator, name: str) -> None:
    details.locator(f"[data-do={name}]").click()


def dialog(page: Page) -> Locator:
    return page.locator(".jp-Dialog")


def test_a_run_appears_within_a_second_of_its_cells_end(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "live.ipynb", LOAD, DATA, FIT.format(c=0.5, columns=3))
    open_notebook(page, "live.ipynb")
    section = open_section(page, "Runs")
    run_cell(page, 0)
    run_cell(page, 1)
    expect(section).to_contain_text("No runs here yet")
    fitting = run_cell(page, 2, wait=False)
    waited = page.evaluate(APPEARED, [fitting.element_handle(), "[ ]:"])
    shot(page)
    expect(rows(section)).to_have_count(1)
    expect(rows(section)).to_contain_text("LogisticRegression")
    details = unfold(section, 0)
    expect(details).to_contain_text("auc")
    expect(details).to_contain_text("0.5")
    assert waited <= 1000, f"the run came {waited:.0f} ms after its cell's end"


def test_an_empty_project_says_what_to_do_and_does_it(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "new.ipynb", "1 + 1")
    open_notebook(page, "new.ipynb")
    section = open_section(page, "Runs")
    expect(section).to_contain_text("%load_ext jupyter_mlops")
    shot(page)
    section.get_by_role("button", name="Insert and run it").click()
    expect(cell(page, 0).locator(".cm-content")).to_have_text(LOAD)
    expect(cell(page, 0).locator(".jp-InputPrompt")).to_have_text("[1]:")
    expect(cell(page, 1).locator(".cm-content")).to_have_text("1 + 1")


def test_a_person_searches_by_filter_and_by_name(studied: Page) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    search = section.get_by_label("Search runs")
    search.fill("auc > 2")
    expect(section.locator(".mlops-empty, .mlops-error, .mlops-trouble").first).to_be_visible()
    search.fill("auc > 0.5 and C = 5.0")
    expect(rows(section)).to_have_count(1)
    search.fill("logistic")
    expect(rows(section)).to_have_count(3)
    search.fill("no such name")
    expect(section).to_contain_text("No run matches")
    section.get_by_role("button", name="Clear the search").click()
    expect(rows(section)).to_have_count(3)


def test_a_person_sorts_by_a_metric_and_a_parameter(studied: Page, shot: Callable[..., Path]) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    section.get_by_label("Metric").select_option("auc")
    section.get_by_label("Parameter").select_option("C")
    metric = section.locator(".mlops-header [data-column='metric:auc']")
    values = rows(section).locator("[data-column='metric:auc']")
    best_first = sorted(values.all_inner_texts(), key=float, reverse=True)
    assert values.all_inner_texts() != best_first
    metric.get_by_role("button").click()
    expect(metric).to_have_attribute("aria-sort", "descending")
    expect(values).to_have_text(best_first, use_inner_text=True)
    expect(values.locator("svg")).to_have_count(3)
    param = section.locator(".mlops-header [data-column='param:C']")
    param.get_by_role("button").click()
    expect(rows(section).locator("[data-column='param:C']")).to_have_text(["0.1", "2", "5"])
    shot(studied)


def test_a_person_chooses_two_runs_and_compares_them(studied: Page, shot: Callable[..., Path]) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    rows(section).nth(0).get_by_role("checkbox").click()
    compare = section.get_by_role("button", name="Compare")
    expect(compare).to_be_disabled()
    rows(section).nth(1).get_by_role("checkbox").click()
    shot(studied, "chosen")
    compare.click()
    tab = studied.locator("#jp-main-dock-panel .mlops-view:visible").first
    expect(tab).to_contain_text("auc")
    expect(tab).to_contain_text("C")


def test_a_person_reveals_the_cell_that_made_a_run(studied: Page) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    press(unfold(section, 2), "reveal")
    made = studied.locator(".jp-Notebook .jp-Cell.mlops-flash")
    expect(made.locator(".cm-content")).to_contain_text("C=0.1")
    expect(made).to_be_in_viewport()


def test_a_person_replays_a_run_and_sees_its_verdict(studied: Page, shot: Callable[..., Path]) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    details = unfold(section, 1)
    press(details, "replay")
    expect(details.locator(".mlops-progress")).to_be_visible()
    expect(details.locator(".mlops-outcome")).to_contain_text("identical", timeout=90_000)
    expect(rows(section).nth(1).get_by_label("Replayed: identical")).to_be_visible()
    shot(studied)


def test_a_person_cuts_the_slice_of_a_run_and_reads_it_in_a_tab(studied: Page, shot: Callable[..., Path]) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    details = unfold(section, 2)
    press(details, "slice")
    expect(details.locator(".mlops-outcome")).to_contain_text("statements give", timeout=90_000)
    expect(details.locator(".mlops-outcome")).to_contain_text("proved, and minimal")
    code = studied.locator(".mlops-code-page:visible")
    expect(code.locator("pre")).to_contain_text("LogisticRegression(C=0.1)")
    expect(code.locator("pre")).not_to_contain_text("C=2.0")
    expect(code).to_contain_text("Proof by replay: minimal.")
    shot(studied)


def test_a_person_makes_a_step_of_a_run_and_it_opens(project: Path, studied: Page) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    details = unfold(section, 0)
    press(details, "step")
    dialog(studied).get_by_label("auc").check()
    dialog(studied).get_by_label("Notebook to write").fill("train")
    dialog(studied).get_by_role("button", name="Make the step").click()
    expect(details.locator(".mlops-outcome")).to_contain_text("train.ipynb was written", timeout=90_000)
    expect(studied.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Notebook")).to_contain_text("LogisticRegression")
    written = json.loads((project / "train.ipynb").read_text())
    assert any("parameters" in item["metadata"].get("tags", ()) for item in written["cells"])


def test_a_person_notes_tags_and_copies_a_run(project: Path, studied: Page) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    details = unfold(section, 2)
    press(details, "note")
    dialog(studied).get_by_label("What you saw").fill(f"a good one {HARMFUL}")
    dialog(studied).get_by_role("button", name="Keep").click()
    expect(details.locator(".mlops-run-note")).to_have_text(f"a good one {HARMFUL}")
    press(details, "tag")
    dialog(studied).get_by_label("Name").fill("stage")
    dialog(studied).get_by_label("Text").fill("draft")
    dialog(studied).get_by_role("button", name="Tag", exact=True).click()
    expect(details).to_contain_text("stage")
    press(details, "copy")
    identifier = rows(section).nth(2).get_attribute("data-key")
    studied.wait_for_function("async id => (await navigator.clipboard.readText()) === id", arg=identifier)
    run = client.ask(config.load(project), "run", ref=identifier)
    assert run["note"] == f"a good one {HARMFUL}"
    assert run["tags"] == {"stage": "draft"}
    assert studied.evaluate("window.hacked") is None


def test_a_person_opens_a_run_in_mlflow(studied: Page) -> None:
    section = open_section(studied, "Runs")
    expect(rows(section)).to_have_count(3)
    details = unfold(section, 0)
    # A browser has few connections to a server: that of a page which is served, and so never ends, is given back.
    with (
        studied.expect_event("requestfailed", lambda request: "/events?after=" in request.url, timeout=90_000),
        studied.context.expect_page(timeout=90_000) as waiting,
    ):
        press(details, "mlflow")
    opened = waiting.value
    opened.wait_for_url(re.compile(rf"^http://127\.0\.0\.1:\d+/#/experiments/\d+/runs/{rows(section).nth(0).get_attribute('data-key')}"))
    assert opened.request.get(f"{opened.url.partition('/#')[0]}/health").ok


def test_a_person_deletes_a_run_after_a_question(folder: Path, page: Page) -> None:
    filled(folder, 3)
    section = open_section(page, "Runs")
    expect(rows(section)).to_have_count(3)
    gone = rows(section).nth(0).get_attribute("data-key")
    details = unfold(section, 0)
    press(details, "delete")
    dialog(page).get_by_role("button", name="Cancel").click()
    expect(rows(section)).to_have_count(3)
    press(details, "delete")
    dialog(page).get_by_role("button", name="Delete").click()
    expect(rows(section)).to_have_count(2)
    assert gone not in {run["id"] for run in client.ask(config.load(folder), "runs")}


def test_a_person_deletes_several_runs_at_once(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    filled(folder, 4)
    section = open_section(page, "Runs")
    expect(rows(section)).to_have_count(4)
    gone = [rows(section).nth(number).get_attribute("data-key") for number in (0, 2)]
    for number in (0, 2):
        rows(section).nth(number).get_by_role("checkbox").click()
    section.get_by_role("button", name="Delete the selected runs").click()
    expect(dialog(page)).to_contain_text("Delete 2 runs?")
    shot(page)
    dialog(page).get_by_role("button", name="Delete").click()
    expect(rows(section)).to_have_count(2)
    expect(section.locator(".mlops-selection")).to_be_hidden()
    assert not {run["id"] for run in client.ask(config.load(folder), "runs")} & set(gone)


def test_a_wide_panel_shows_more_columns_and_whole_names(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    filled(folder, 3)
    section = open_section(page, "Runs")
    expect(rows(section)).to_have_count(3)
    columns = section.locator(".mlops-header [role=columnheader]:not(.mlops-check)")
    expect(columns).to_have_text(["Run", "metric_0", "Age"])
    handle = page.locator(".lm-SplitPanel-handle:visible").first.bounding_box()
    assert handle is not None
    page.mouse.move(handle["x"] + handle["width"] / 2, 400)
    page.mouse.down()
    page.mouse.move(800, 400, steps=3)
    page.mouse.up()
    expect(columns).to_have_text(["Run", "metric_0", "Trend", "metric_1", "metric_2", "param_0", "param_1", "Time", "Age"])
    words = section.locator(".mlops-run-words").first
    assert words.evaluate("element => element.scrollWidth <= element.clientWidth")
    table = section.get_by_role("treegrid")
    assert table.evaluate("element => element.scrollWidth <= element.clientWidth")
    shot(page)


def test_of_ten_thousand_runs_only_those_on_view_are_asked_for_and_drawn(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    filled(folder, RUNS)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(unquote(request.url)) if "/mlops/verbs/runs?" in request.url else None)
    section = open_section(page, "Runs")
    expect(section).to_contain_text(re.compile(r"10\s000 runs"))
    expect(rows(section).first).to_be_visible()
    # Once as the panel is opened, and maybe again as the worker, which starts then, touches the store.
    assert len(asked) <= 2
    assert all('"limit":50,"offset":0' in url for url in asked)
    table = section.get_by_role("treegrid")
    for _ in range(5):
        table.evaluate("table => { table.scrollTop += 137; }")
        assert table.locator(".mlops-row").count() < 100
    table.focus()
    page.keyboard.press("End")
    expect(section.locator("[aria-rowindex='10001'] [data-column=name]")).to_have_text(re.compile("run-"))
    assert table.locator(".mlops-row").count() < 100
    assert all('"limit":50,' in url for url in asked)
    shot(page)


def test_without_its_server_part_the_panel_says_what_to_do(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=404, body="Not Found")

    page.route("**/mlops/**", refuse)
    panel = page.locator("#jupyter-mlops")
    page.locator(".lm-TabBar-tab[data-id='jupyter-mlops']").click()
    expect(panel).to_contain_text("install it where JupyterLab itself runs")
    shot(page)
    page.unroute("**/mlops/**")
    panel.get_by_role("button", name="Try again").first.click()
    expect(open_section(page, "Runs")).to_contain_text("No runs here yet")
