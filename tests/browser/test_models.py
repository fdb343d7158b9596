"""Models in the panel: registered, promoted through gates, rolled back, served; told by the audit log, the card and the lineage."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from jupyter_mlops import config
from jupyter_mlops.models.registry.promoting import promote
from jupyter_mlops.store import client, registry
from jupyter_mlops.store.audit import Audit
from tests.delivered import store
from tests.models.registered import frame, registered
from tests.models.services import Client
from tests.models.test_serving_registry import ROW, serving

from .acts import cell, open_notebook, open_section, run_all, scroll_to, write_notebook

GATES = '[tool.mlops.models.flights]\ngates = [{metric = "auc", at_least = 0.8}, {metric = "accuracy", at_least = 0.999}]\n'
HARMLESS = 'late flights are missed <img src=x onerror="window.hacked = 1">'
NOTEBOOK = (
    "%load_ext jupyter_mlops",
    "import numpy as np, pandas as pd\nfrom sklearn.linear_model import LogisticRegression\nrandom = np.random.default_rng(0)\n"
    "X = pd.DataFrame({'a': random.random(200), 'b': random.random(200)})\ny = (X['a'] > 0.5).rename('late').astype(int)",
    "X_train, X_test, y_train, y_test = X[:150], X[150:], y[:150], y[150:]\n"
    "model = LogisticRegression(C=2.0).fit(X_train, y_train)\naccuracy = model.score(X_test, y_test)\naccuracy",
)


def version(section: Locator, number: int) -> Locator:
    """A version in the list of the model that is unfolded."""
    return section.locator(f"[data-version='{number}']")


def choose(section: Locator, number: int) -> Locator:
    """Open a version; what is shown of it."""
    found = version(section, number)
    head = found.get_by_role("button", name=re.compile(f"^Version {number}"))
    if head.get_attribute("aria-expanded") != "true":
        head.click()
    return found


def dialog(page: Page, title: str) -> Locator:
    """The dialog with this title."""
    return page.locator(".jp-Dialog", has_text=title)


def close(asked: Locator) -> None:
    asked.get_by_role("button", name="Close", exact=True).last.click()
    expect(asked).to_have_count(0)


def champion(folder: Path) -> int:
    """The champion as MLflow's own page shows it."""
    return int(store(folder, None).get_registered_model("flights").aliases["champion"])


def test_a_person_promotes_two_versions_rolls_back_and_reads_it_in_the_audit_log(
    folder: Path, page: Page, shot: Callable[..., Path]
) -> None:
    registered(folder, count=2)
    section = open_section(page, "Models")
    for number in (1, 2):
        choose(section, number).get_by_role("button", name="Promote…").click()
        asked = dialog(page, "Promote a version of flights")
        expect(asked.get_by_label("Version")).to_have_value(str(number))
        asked.get_by_label("Why").fill(f"the model of week {number}")
        asked.get_by_role("button", name="Promote", exact=True).click()
        expect(asked).to_contain_text(f"Version {number} of flights is champion now")
        close(asked)
        expect(version(section, number).locator("[data-alias=champion]")).to_be_visible()
    expect(version(section, 1).locator("[data-alias=previous]")).to_be_visible()
    shot(page, "promoted")
    section.get_by_role("button", name="Roll back…").click()
    asked = dialog(page, "Roll back flights")
    expect(asked).to_contain_text("Version 1 becomes champion again, at once, in place of version 2.")
    asked.get_by_role("button", name="Roll back", exact=True).click()
    expect(asked.get_by_role("alert")).to_have_text("Please fill in: Why")
    asked.get_by_label("Why").fill(HARMLESS)
    shot(page, "asked")
    asked.get_by_role("button", name="Roll back", exact=True).click()
    expect(asked).to_have_count(0)
    expect(version(section, 1).locator("[data-alias=champion]")).to_be_visible()
    section.get_by_text("Audit log", exact=True).click()
    entry = section.locator("[data-what='rolled back']")
    expect(entry).to_contain_text("version 1")
    expect(entry).to_contain_text(HARMLESS)
    expect(section.locator(".mlops-log-entry")).to_have_count(5)
    scroll_to(entry)
    shot(page, "log")
    section.get_by_role("button", name="Verify").click()
    expect(section.locator(".mlops-log-verified")).to_contain_text("5 entries, each as it was written")
    assert page.evaluate("window.hacked") is None
    last, *_ = Audit(registry.state_of(config.load(folder))).entries("flights")
    assert (last.what, last.version, last.why) == ("rolled back", 1, HARMLESS)
    assert champion(folder) == 1


def test_a_refused_promotion_says_which_gate_and_is_forced_only_with_a_reason(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    (folder / "pyproject.toml").write_text(GATES)
    registered(folder, reference=frame(300), test=frame(300, seed=1), target="late")
    section = open_section(page, "Models")
    choose(section, 1).get_by_role("button", name="Promote…").click()
    asked = dialog(page, "Promote a version of flights")
    asked.get_by_role("button", name="Promote", exact=True).click()
    expect(asked).to_contain_text("Version 1 of flights is not made champion.")
    failed = asked.locator("[data-gate='accuracy at least 0.999']")
    expect(failed).to_contain_text("failed")
    expect(failed).to_contain_text("bound 0.999")
    expect(asked.locator("[data-gate='auc at least 0.8']")).to_contain_text("passed")
    expect(asked).to_contain_text("accuracy at least 0.999 failed: on 300 rows of test data")
    shot(page, "refused")
    asked.get_by_label("Even if a gate fails").check()
    asked.get_by_role("button", name="Promote", exact=True).click()
    expect(asked).to_contain_text("What is forced needs a reason for the audit log")
    asked.get_by_label("Why").fill("nothing better is there")
    asked.get_by_role("button", name="Promote", exact=True).click()
    expect(asked).to_contain_text("is champion now, although its gates do not all pass")
    close(asked)
    chosen = version(section, 1)
    expect(chosen.locator("[data-alias=champion]")).to_be_visible()
    expect(chosen).to_contain_text("1 of 2 gates passed")
    shot(page, "forced")
    what = [entry.what for entry in Audit(registry.state_of(config.load(folder))).entries("flights")]
    assert what == ["forced", "refused", "registered"]


def test_a_version_is_checked_and_approved(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    (folder / "pyproject.toml").write_text(GATES.replace("0.999", "0.5").replace("gates", "approvals = 1\ngates"))
    registered(folder, reference=frame(300), test=frame(300, seed=1), target="late")
    section = open_section(page, "Models")
    chosen = choose(section, 1)
    expect(chosen).to_contain_text("nobody yet (1 needed)")
    chosen.get_by_role("button", name="Check", exact=True).click()
    asked = dialog(page, "Check version 1 of flights")
    asked.get_by_role("button", name="Check", exact=True).click()
    expect(asked).to_contain_text("2 of 2 gates passed")
    close(asked)
    expect(chosen).to_contain_text("2/2 gates")
    chosen.get_by_role("button", name="Approve…").click()
    asked = dialog(page, "Approve version 1 of flights")
    asked.get_by_label("What you looked at").fill("the slices by origin")
    asked.get_by_role("button", name="Approve", exact=True).click()
    expect(asked).to_have_count(0)
    expect(chosen).not_to_contain_text("nobody yet")
    shot(page)
    (found,) = registry.registered(config.load(folder), "flights")
    assert len(found.approved) == 1


def test_the_card_and_the_lineage_of_a_version_open_in_tabs(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    (made,) = registered(folder, reference=frame(300), test=frame(300, seed=1), target="late")
    section = open_section(page, "Models")
    choose(section, 1).get_by_role("button", name="Card").click()
    card = page.locator("iframe[title='Card of flights version 1']")
    expect(card).to_be_visible(timeout=60_000)
    assert card.get_attribute("sandbox") == ""
    expect(page.frame_locator("iframe[title='Card of flights version 1']").locator("body")).to_contain_text(made.digest[:8])
    shot(page, "card")
    version(section, 1).get_by_role("button", name="Lineage").click()
    lineage = page.locator(".mlops-lineage")
    expect(lineage).to_contain_text("flights version 1")
    expect(lineage).to_contain_text(made.reference[:8])
    expect(lineage).to_contain_text("It has predicted nothing that was logged.")
    shot(page, "lineage")


def test_a_service_is_seen_with_its_version_traffic_and_latency(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    registered(folder, count=2)
    promote(config.load(folder), "flights", version=1, who="ann")
    section = open_section(page, "Models")
    expect(section).to_contain_text("No service of it runs here")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with serving("flights") as (told, _):
            asking = Client(told["url"])
            for _ in range(60):
                assert asking.post(ROW).status == 200
            service = section.locator(".mlops-service")
            expect(service).to_contain_text("ready")
            expect(service).to_contain_text("serves v1")
            expect(service).to_contain_text(told["url"])
            expect(service.get_by_role("img", name=re.compile("^Latency in milliseconds"))).to_be_visible()
            expect(service.locator(".mlops-service-figures")).to_contain_text(re.compile(r"p99\d+ ms"))
            scroll_to(service)
            shot(page)
    expect(service).to_contain_text("ended")


def test_a_model_is_registered_from_a_run_of_the_notebook(folder: Path, page: Page, shot: Callable[..., Path]) -> None:
    write_notebook(folder / "flights.ipynb", *NOTEBOOK)
    open_notebook(page, "flights.ipynb")
    run_all(page)
    expect(cell(page, 2)).to_contain_text("accuracy")
    # A run is named anew once MLflow has it, and its row folds with its old name.
    client.ask(config.load(folder), "flush", timeout=60)
    runs = open_section(page, "Runs")
    runs.locator(".mlops-body [data-key]", has_text="LogisticRegression").locator("[data-column=name]").click()
    runs.locator("[data-do=register]").click()
    asked = dialog(page, "Register the model of")
    asked.get_by_label("Name of the model").fill("flights")
    asked.get_by_role("button", name="Register", exact=True).click()
    expect(asked).to_contain_text("It is version 1 of flights.", timeout=60_000)
    close(asked)
    section = open_section(page, "Models")
    chosen = choose(section, 1)
    expect(chosen).to_contain_text("accuracy")
    expect(chosen).to_contain_text("Checked on")
    shot(page)
    (found,) = registry.registered(config.load(folder), "flights")
    assert found.reference
    assert found.test
