"""A model card: from what is known to Markdown and one page of HTML, whatever is lacking and whatever names there are."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.models.cards import writing
from jupyter_mlops.models.cards.facts import Facts
from jupyter_mlops.models.cards.parts import Plot, Section, Sheet, Table, Words
from jupyter_mlops.models.cards.sections import sheet
from jupyter_mlops.models.gates.evidence import Evidence
from jupyter_mlops.models.settings import ModelSettings
from jupyter_mlops.records import AuditEntry, Check, Gate, Input, ModelVersion, Release, Run, Slice, to_json

from . import made

EVIL = "<script>alert('&')</script>|`*[x](javascript:1)$a_b$"
VERSION = ModelVersion(
    name="delays", version=3, uri="models:/delays/3", run="ab" * 16, aliases=("champion",), created=1.7e9, by="ann", digest="cd" * 32,
    flavor="sklearn", format="skops", size=12_000, trusted=("sklearn.pipeline.Pipeline",), reference="ef" * 32, test="01" * 32,
    target=made.TARGET, task="classification", approved=("bob",), metrics={"auc": 0.71}, params={"C": 1.0},
    signature={"inputs": [{"name": "hour", "type": "double", "required": True}]},
)  # fmt: skip
RUN = Run(
    id="ab" * 16, name="LogisticRegression-1", status="FINISHED", experiment="flights", started=1.7e9, seconds=2.0, replay="identical",
    metrics={"auc": 0.71, "loss": 0.5}, inputs=(to_json(Input(name="X_train", kind="frame", digest="23" * 32, rows=400, columns=3)),),
    model={"class": "Pipeline"}, params={"max_iter": 100}, series={"loss": [[0, 0.9], [1, 0.5]]}, note="For planning, not for pilots.",
)  # fmt: skip
CHECK = Check(
    model="delays/3", verdict="failed", against=2, started=1.7e9,
    gates=(Gate(name="auc at least 0.7", state="passed", value=0.71), Gate(name="mae at most 1", state="failed", why="NaN")),
)  # fmt: skip
ENTRIES = (
    AuditEntry(seq=2, at=1.7e9, who="ann", what="promoted", model="delays", version=3, why="better", digest="45" * 32,
               details={"check": to_json(CHECK)}),
    AuditEntry(seq=1, at=1.7e9, who="ann", what="registered", model="delays", version=3, digest="67" * 32),
)  # fmt: skip
MODEL = made.fitted(made.flights())
TITLES = [
    "What it is", "How good it is", "Gates", "Where it does worse", "How it treats groups", "Data", "Code", "Parameters", "Limits",
    "Where it comes from", "Who decided what",
]  # fmt: skip


def facts(**parts: Any) -> Facts:
    """All that can be known of a model of flights."""
    version = parts.pop("version", VERSION)
    evidence = Evidence.of(MODEL, made.flights(seed=2), made.TARGET, reference=made.flights(), version=version)
    given: dict[str, Any] = {
        "version": version, "settings": ModelSettings(name="delays", sensitive=(made.ORIGIN,), approvals=1), "run": RUN,
        "versions": (VERSION, ModelVersion(name="delays", version=2, metrics={"auc": 0.7})),
        "slice": Slice(run=RUN.id, name="auc", pieces=(), kept=4, executed=9, source="depth = 3\nmodel = fit(depth)", proof="proved"),
        "environment": {"git": {"commit": "ab12" * 10, "dirty": True}, "python": "3.11"}, "evidence": evidence, "entries": ENTRIES,
        "releases": (Release(tag="delays-v3", model="delays", version=3),),
    }  # fmt: skip
    return Facts(**(given | parts))


@pytest.fixture(scope="module")
def whole() -> Sheet:
    """The card of all that."""
    return sheet(facts())


def texts(found: Sheet, anchor: str) -> str:
    """All words of a section."""
    (section,) = [item for item in found.sections if item.anchor == anchor]
    words = []
    for part in section.parts:
        match part:
            case Table():
                words += [cell for row in (part.columns, *part.rows) for cell in row]
            case Plot():
                words += [part.text, part.caption]
            case _:
                words.append(part.text)
    return " | ".join(words)


def test_a_card_tells_all_that_was_captured(whole: Sheet) -> None:
    assert [section.title for section in whole.sections] == TITLES
    assert whole.missing == ()
    assert [text for text, _ in whole.badges] == ["champion", "gates failed", "approved by bob", "delays-v3", "replay identical"]
    for anchor, words in {
        "model": ("For planning, not for pilots.", VERSION.digest, "sklearn.pipeline.Pipeline"),
        "performance": ("auc", "0.71", "Learning curves", "versions"),
        "gates": ("Failed, against version 2", "auc at least 0.7", "NaN"),
        "slices": ("accuracy of the worst slices", "slices of one or two columns were searched"),
        "bias": ("demographic_parity_difference by origin", "EWR", "JFK", "LGA"),
        "data": (VERSION.reference, VERSION.test, "X_train", "400 x 3", "23" * 32),
        "code": ("4 of 9 executed statements", "model = fit(depth)", "proved by replay"),
        "parameters": ("C", "max_iter"),
        "limits": ("hour | 5", "LGA", "Gate failed: mae at most 1 (NaN)."),
        "lineage": (RUN.id, "ab12" * 10, "with changes", "identical", "delays-v3"),
        "audit": ("ann", "promoted", "better", "approved by bob", "45" * 32),
    }.items():
        told = texts(whole, anchor)
        assert [word for word in words if word not in told] == [], anchor
    assert {plot.name for plot in whole.plots} == {
        "curves", "history", "ranking", "calibration", "confusion", "importance", "slices", "groups-origin", "features"
    }  # fmt: skip


def test_the_same_facts_give_the_same_card(whole: Sheet) -> None:
    assert writing.html(whole) == writing.html(sheet(facts()))


class Page(HTMLParser):
    """What a page holds: its tags, which all close, and its addresses."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_no_network_and_runs_nothing(whole: Sheet) -> None:
    page = Page()
    page.feed(writing.html(whole))
    assert page.open == []
    assert "script" not in page.tags
    assert all(link.startswith(("data:image/svg+xml;base64,", "#")) for link in page.links)
    assert sum(link.startswith("data:") for link in page.links) == len(whole.plots)


def test_names_from_data_are_texts_wherever_they_stand() -> None:
    part = (Words(text=EVIL), Table(columns=(EVIL,), rows=((EVIL,),)), Plot(name=EVIL, svg="<svg/>", text=EVIL, caption=EVIL))
    hostile = Sheet(title=EVIL, subtitle=EVIL, badges=((EVIL, "good"),), tiles=((EVIL, EVIL, EVIL),),
                    sections=(Section(title=EVIL, anchor="x", parts=part),))  # fmt: skip
    page = Page()
    page.feed(writing.html(hostile))
    assert "script" not in page.tags
    text = writing.markdown(hostile, "plots")
    assert re.search(r"(?<!\\)[<|]script", text) is None
    assert re.search(r"(?<!\\)\]\((?!plots/)", text) is None
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows[:4]} <= {2, 4}


def test_columns_and_groups_with_hostile_names_are_drawn_and_written(tmp_path: Path) -> None:
    train = pd.DataFrame({EVIL: np.arange(80.0), "$b": np.tile([1.0, 2.0], 40), "y": np.arange(80.0) * 2})
    evidence = Evidence.of(LinearRegression().fit(train[[EVIL, "$b"]], train["y"]), train, "y", reference=train)
    found = sheet(facts(version=ModelVersion(name=EVIL, version=1), evidence=evidence, entries=(), releases=()))
    page = Page()
    page.feed(writing.html(found))
    assert "script" not in page.tags
    assert {"residuals", "importance", "features"} <= {plot.name for plot in found.plots}


@pytest.mark.parametrize(
    ("parts", "lacks"),
    [
        ({"evidence": None, "missing": ("What the model does with its test data: gone.",)}, {"slices", "bias"}),
        ({"run": None, "slice": None, "environment": {}, "evidence": None}, {"code"}),
        ({"entries": (), "releases": (), "versions": (), "evidence": None}, set()),
        ({"settings": ModelSettings(name="delays")}, {"bias"}),
    ],
)
def test_what_cannot_be_had_is_left_out(parts: dict[str, Any], lacks: set[str]) -> None:
    found = sheet(facts(**parts))
    anchors = {section.anchor for section in found.sections}
    assert anchors.isdisjoint(lacks)
    assert {"model", "lineage"} <= anchors
    assert ("missing" in anchors) == bool(found.missing)


class Broken:
    """A model that raises."""

    def predict(self, rows: Any) -> Any:
        raise RuntimeError("no such device")


def test_a_model_that_raises_keeps_nothing_else_from_being_told() -> None:
    evidence = Evidence.of(Broken(), made.flights(), made.TARGET, reference=made.flights(), version=VERSION)
    found = sheet(facts(evidence=evidence))
    assert found.missing == ("Metrics on the test data: its predict raises RuntimeError: no such device.",)
    assert {"data", "code", "limits", "audit"} <= {section.anchor for section in found.sections}


def test_a_card_is_written_where_it_is_asked_for(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "gathered", lambda settings, ref: facts(evidence=None))
    settings = config.load()
    told = writing.card(settings, "delays")
    assert made.files(project / "cards" / "delays-3") == {"card.md", "card.html", *(f"card-plots/{Path(plot).name}" for plot in told.plots)}
    text = Path(told.markdown).read_text()
    assert all((project / "cards" / "delays-3" / path).is_file() for path in re.findall(r"\]\((card-plots/[^)]+)\)", text))
    only = writing.card(settings, "delays", project / "model.html")
    assert (only.markdown, only.html, only.plots) == ("", str(project / "model.html"), ())
    (project / "notes").write_text("mine")
    with pytest.raises(UsageError, match="is a file: give --out a folder"):
        writing.card(settings, "delays", project / "notes")


def test_a_model_that_there_is_not_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_mlops.store import client

    monkeypatch.setattr(client, "ask", lambda settings, verb, **words: [])
    with pytest.raises(NotFound, match="no registered model 'nosuch'"):
        writing.card(config.load(), "nosuch")
