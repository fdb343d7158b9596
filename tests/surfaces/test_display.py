"""How answers look in a terminal and in a notebook."""

from __future__ import annotations

import html.parser
import re
from typing import Any

import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.records import (
    CellEvent,
    CellState,
    ColumnChange,
    Diff,
    Foreseen,
    Input,
    LostName,
    Node,
    Parameter,
    Problem,
    Restored,
    Run,
    Snapshot,
    Status,
    Step,
)
from jupyter_mlops.surfaces.answers import Change, Collected, Comparison, Prepared, Report, Runs, Story, Tracking
from jupyter_mlops.surfaces.comparison import compare
from jupyter_mlops.surfaces.display import to_html, to_text

from .hand_made import EVIL, EVIL_PLAN
from .hand_made import EVIL_RUN as EVIL_PIPELINE

DIGEST = "ab" * 32
DRAWN = ("a", "svg", "g", "title", "rect", "text", "path")
"""Elements of links and drawings."""


def run(id: str = "0123456789abcdef", **parts: Any) -> Run:
    return Run(**{"id": id, "name": "fox", "status": "FINISHED", "experiment": "flights", "started": 0.0, "seconds": 1.5} | parts)


def event(source: str, **parts: Any) -> CellEvent:
    return CellEvent(**{"session": "s", "seq": 7, "source": source, "started": 0.0, "seconds": 0.1, "status": "ok"} | parts)


EVIL_RUN = run(
    name=EVIL,
    experiment=EVIL,
    params={EVIL: EVIL},
    metrics={EVIL: 1.0},
    model={"class": EVIL, "flavor": EVIL, "uri": EVIL},
    notebook=EVIL,
    error=EVIL,
    tags={EVIL: EVIL},
    series={EVIL: [[0, 1.0]]},
    skipped=(EVIL,),
    note=EVIL,
    inputs=(Input(name=EVIL, kind=EVIL, digest=DIGEST, source=EVIL, why=EVIL),),
)
ANSWERS = {
    "run": EVIL_RUN,
    "runs": Runs([EVIL_RUN]),
    "story": Story(run=EVIL_RUN, cells=(event(EVIL, reads=(EVIL,), writes=(EVIL,), status=EVIL),)),
    "comparison": Comparison(
        runs=(EVIL_RUN, EVIL_RUN), params={EVIL: (EVIL, 1)}, metrics={EVIL: (1, 2)}, inputs={EVIL: (EVIL, None)}, code=(f"+{EVIL}",)
    ),
    "node": Node(kind="run", name=EVIL, ref=EVIL, detail=EVIL, below=(Node(kind="parameter", name=EVIL, detail=EVIL),)),
    "snapshot": Snapshot(digest=DIGEST, kind=EVIL, name=EVIL, schema=((EVIL, EVIL),)),
    "diff": Diff(
        a=EVIL, b=EVIL, identical=False, kind=EVIL, detail=EVIL, columns=(ColumnChange(column=EVIL, change=EVIL, before={EVIL: EVIL}),)
    ),
    "change": Change(did=EVIL, run=EVIL, name=EVIL, values={EVIL: EVIL}),
    "tracking": Tracking(state="on", details={EVIL: EVIL}),
    "report": Report(title=EVIL, problems=(Problem(what=EVIL, where=EVIL, remedy=EVIL),)),
    "prepared": Prepared(project=EVIL, experiment=EVIL, changed=(EVIL,)),
    "step": Step(
        path=EVIL,
        run=EVIL,
        parameters=(Parameter(name=EVIL, type=EVIL, default=EVIL, help=EVIL, source=EVIL),),
        outputs=({"name": EVIL, "kind": EVIL, "value": 1.0},),
        proof="proved",
        files=(EVIL,),
        notes=(EVIL,),
    ),
    "restored": Restored(folder=EVIL, run=EVIL, files=(EVIL,), notes=(EVIL,)),
    "status": Status(
        session=EVIL,
        notebook=EVIL,
        cells=(CellState(cell=EVIL, seq=1, line=EVIL, state="stale", why=(EVIL,)),),
        names=(LostName(name=EVIL, seq=1, why=EVIL),),
        restart=(Foreseen(kind="error", cell=EVIL, seq=1, line=EVIL, why=EVIL),),
        notes=(EVIL,),
    ),
    "pipeline run": EVIL_PIPELINE,
    "plan": EVIL_PLAN,
    "list": [Change(did=EVIL, run=EVIL, name=EVIL)],
}


class Balance(html.parser.HTMLParser):
    """Reads HTML and keeps the open elements and all names of elements."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("name", ANSWERS)
def test_what_comes_from_a_run_is_escaped(name: str) -> None:
    page = Balance()
    page.feed(to_html(ANSWERS[name]))
    assert page.open == []
    assert page.seen <= {"div", "table", "thead", "tbody", "tr", "th", "td", "pre", "span", "ul", "li", *DRAWN}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_text_holds_it_as_it_is(name: str) -> None:
    assert "<script>" in re.sub(r"\s", "", to_text(ANSWERS[name], 400))


@pytest.mark.parametrize("name", ANSWERS)
def test_no_colour_is_set_for_a_ground_that_is_only_light_or_only_dark(name: str) -> None:
    colours = set(re.findall(r"(?<![a-z])(?:color|background):([^;']+)", to_html(ANSWERS[name])))
    assert colours <= {"#2e9e4f", "#d1603d", "inherit", "rgba(128,128,128,.1)"}


def test_runs_are_a_table_with_their_metrics_and_the_parameters_that_vary() -> None:
    one = run(
        "aaaaaaaaaa", name="hare", params={"C": 0.1, "seed": 1}, metrics={"auc": 0.7}, model={"class": "LogisticRegression"}, started=1.0
    )
    two = run("bbbbbbbbbb", name="fox", params={"C": 1.0, "seed": 1}, metrics={"auc": 0.75}, status="FAILED", started=1.0)
    lines = [line.split() for line in to_text(Runs([two, one])).splitlines()]
    assert lines[1] == ["run", "name", "status", "started", "auc", "C", "time", "model"]
    assert [*lines[3][:3], *lines[3][4:]] == ["bbbbbbbb", "fox", "failed", "0.75", "1.0", "1.5", "s"]
    assert [*lines[4][:3], *lines[4][4:]] == ["aaaaaaaa", "hare", "finished", "0.7", "0.1", "1.5", "s", "LogisticRegression"]


def test_a_narrow_terminal_leaves_out_columns_and_says_so() -> None:
    text = to_text(Runs([run(metrics={"auc": 0.7}, params={"C": 0.1, "penalty": "elasticnet"}, model={"class": "LogisticRegression"})]), 60)
    assert text.splitlines()[1].split() == ["run", "name", "status", "started", "auc", "C"]
    assert text.splitlines()[-1] == "no room here for penalty, time, model: a wider window, --csv or --json shows all"


def test_csv_is_offered_only_where_it_can_be_had() -> None:
    parameters = (Parameter(name="month", type="int", default=3, help="of the year, from January on"),)
    text = to_text(Step(path="step.ipynb", run="r" * 32, parameters=parameters), 40)
    assert "no room here for help: a wider window or --json shows all" in text.splitlines()


def test_a_narrow_terminal_shortens_names_before_it_leaves_out_columns() -> None:
    text = to_text(Runs([run(name="HistGradientBoostingClassifier-151c", metrics={"auc": 0.7}, params={"C": 0.1})]), 74)
    assert text.splitlines()[1].split() == ["run", "name", "status", "started", "auc", "C"]
    assert "HistGradi…ifier-151c" in text


def test_a_filter_that_no_run_matches_is_told() -> None:
    runs = Runs()
    runs.sought = "auc > 2"
    assert to_text(runs) == "No run matches auc > 2: `mlops runs` lists all."


def test_no_runs_say_how_to_make_one() -> None:
    assert to_text(Runs()) == "No runs here. Fit a model in a notebook after `%load_ext jupyter_mlops`, or try `mlops demo`."


def test_runs_as_a_frame_have_a_row_each() -> None:
    frame = Runs([run("a", params={"C": 1}, metrics={"auc": 0.7}), run("b", metrics={"f1": 0.5})]).to_frame()
    assert list(frame["id"]) == ["a", "b"]
    assert {"params.C", "metrics.auc", "metrics.f1"} <= set(frame.columns)


def test_a_comparison_holds_what_differs() -> None:
    one = run("a" * 32, params={"C": 0.1, "k": 2}, metrics={"auc": 0.7}, inputs=(Input(name="X", kind="frame", digest="1" * 64),))
    two = run(
        "b" * 32, params={"C": 1.0, "k": 2}, metrics={"auc": 0.8, "f1": 0.5}, inputs=({"name": "X", "kind": "frame", "digest": "2" * 64},)
    )
    found = compare([one, two], [[event("C = 0.1\nfit()")], [event("C = 1.0\nfit()")]])
    assert (found.params, found.metrics) == ({"C": (0.1, 1.0)}, {"auc": (0.7, 0.8), "f1": (None, 0.5)})
    assert found.inputs == {"X": ("1" * 64, "2" * 64)}
    assert found.same == {"params": 1, "metrics": 0, "inputs": 0}
    assert found.code[0].splitlines()[2:] == ["@@ -1,3 +1,3 @@", "-C = 0.1", "+C = 1.0", " fit()", " "]


def test_equal_runs_compare_as_the_same() -> None:
    one = run(metrics={"auc": float("nan")})
    found = compare([one, one], [[], []])
    assert (found.params, found.metrics, found.inputs, found.code) == ({}, {}, {}, ("",))
    assert to_text(found).splitlines()[0] == "Parameters, metrics and data are the same."


def test_a_lineage_is_a_tree() -> None:
    file = Node(kind="file", name="flights.csv", ref="f" * 64)
    node = Node(kind="run", name="fox", ref="0123456789abcdef", detail="auc 0.7", below=(
        Node(kind="parameter", name="C", detail="0.1"), Node(kind="data", name="X", ref=DIGEST, detail="frame", below=(file,)),
        Node(kind="cell", name="[7] fit()"),
    ))  # fmt: skip
    assert to_text(node).splitlines() == [
        "fox  auc 0.7 · 0123456789ab",
        "├── parameters",
        "│   └── C = 0.1",
        "├── data X  frame · abababababab",
        "│   └── file flights.csv  ffffffffffff",
        "└── cell [7] fit()",
    ]


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Change(did="tagged", run="0123456789", name="fox", values={"stage": "draft"}), "Tagged run fox (01234567): stage = draft"),
        (Change(did="tagged", run="0123456789", name="fox", values={"stage": None}), "Tagged run fox (01234567): stage removed"),
        (Change(did="logged", run="0123456789", name="fox", values={"auc": 0.5}), "Logged to run fox (01234567): auc = 0.5"),
        (Change(did="deleted", run="0123456789", name="fox"), "Deleted run fox (01234567)."),
        (Collected(removed=1, freed=1200), "1 object (1.2 kB) removed; everything a run or snapshot needs stays."),
        (Collected(removed=0, freed=0, dry_run=True), "0 objects (0 bytes) would be removed; everything a run or snapshot needs stays."),
        (Diff(a="a", b="a", identical=True, kind="frame"), "The two are identical."),
        (42, "42"),
    ],
)
def test_short_answers_are_a_sentence(answer: Any, text: str) -> None:
    assert to_text(answer) == text


def test_a_report_says_what_to_do() -> None:
    text = to_text(
        Report(title="Health", problems=(Problem(what="all well", ok=True), Problem(what="disk full", remedy="Free some space.")))
    )
    assert re.search(r"✓ +all well", text)
    assert re.search(r"✗ +disk full +Free some space\.", text)
    assert text.splitlines()[-1] == "1 problem: do what the last column says."


def test_a_run_to_be_made_of_code_that_is_not_there_says_how() -> None:
    from contextlib import nullcontext

    with pytest.raises(UsageError, match="%%mlops track NAME"):
        to_text(nullcontext())
