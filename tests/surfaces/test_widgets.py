"""Widgets: each answer's view in the page, what Python sees of it, and a table wherever no widget can be shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

import jupyter_mlops as mlops
from jupyter_mlops.errors import UsageError
from jupyter_mlops.records import Check, Drift, Gate, Monitoring, Run, Validation
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.answers import Comparison, Runs
from jupyter_mlops.surfaces.widgets import RunsWidget, ViewWidget
from jupyter_mlops.surfaces.widgets import view as views

from ..conftest import Kernel
from .hand_made import DONE, EVIL, EVIL_RUN, FAILED, PLAN

WIDGET = "application/vnd.jupyter.widget-view+json"
STATIC = ["text/html", "text/plain"]


def run(number: int, **parts: Any) -> Run:
    plain = {"name": f"run-{number}", "metrics": {"auc": 0.5}, "status": "FINISHED", "experiment": "e", "started": 1.7e9 + number}
    return Run(id=f"{number}" * 32, **{**plain, **parts})


RUNS = Runs((run(1), run(2), run(3, metrics={"auc": float("nan"), "loss": float("inf")}, params={"path": Path("a")})))
DRIFT = Drift(column="x", kind="number", verdict="drift", psi=0.4)
CHECK = Check(model="flights", verdict="failed", gates=(Gate(name="auc at least 0.9", state="failed", value=0.8),))
ANSWERS = [
    (RUNS, "runs", {"runs": 3, "selected": 0, "actions": 0}),
    (run(1), "runs", {"runs": 1}),
    ([run(1), run(2)], "runs", {"runs": 2}),
    (Comparison(runs=(run(1), run(2)), metrics={"auc": (0.5, 0.6)}), "comparison", {"answer": 6}),
    (FAILED, "pipeline", {"steps": 5, "plan": 0, "graph": 2, "name": 13}),
    (PLAN, "pipeline", {"steps": 0, "plan": 5, "graph": 2, "name": 13}),
    (Monitoring(model="flights", verdict="alert", drift=(DRIFT,)), "monitoring", {"monitoring": 16}),
    (Validation(data="a.csv", verdict="passed", rows=3, columns=1, drift=(DRIFT,)), "drift", {"drift": 1}),
    (CHECK, "gates", {"check": 11}),
]


@pytest.mark.parametrize(("answer", "view", "sizes"), ANSWERS, ids=lambda value: value if isinstance(value, str) else "")
def test_an_answer_is_given_to_its_view_and_has_its_table_beside(answer: Any, view: str, sizes: dict[str, int]) -> None:
    shown = mlops.widget(answer)
    state = shown.get_state()
    assert shown.view == view
    assert "export" in state["_esm"]
    assert ".mlops-view" in state["_css"]
    assert {name: len(state[name]) for name in sizes} == sizes
    json.dumps({name: state[name] for name in sizes}, allow_nan=False)
    data, _ = shown._repr_mimebundle_()
    # Nobody looks at what a plain process shows.
    assert sorted(data) == STATIC
    assert "<table" in data["text/html"]
    assert data["text/plain"].strip()


@pytest.mark.parametrize("answer", [FAILED, PLAN, DONE, EVIL_RUN, run(1, name=EVIL, params={EVIL: EVIL}), CHECK])
def test_what_runs_hold_is_text_in_the_table(answer: Any) -> None:
    assert EVIL not in mlops.widget(answer)._repr_mimebundle_()[0]["text/html"]


def test_numbers_that_json_does_not_know_reach_the_page() -> None:
    assert mlops.widget(RUNS).runs[2]["metrics"] == {"auc": "NaN", "loss": "Infinity"}
    assert mlops.widget(RUNS).runs[2]["params"] == {"path": "a"}
    assert views.wire((float("-inf"), {1: None}, True)) == ["-Infinity", {"1": None}, True]


def test_ticked_runs_can_be_read_and_set() -> None:
    shown = mlops.widget(RUNS)
    assert isinstance(shown, RunsWidget)
    told: list[tuple[str, ...]] = []
    shown.observe(lambda change: told.append(change["new"]), "selected")
    assert shown.selected == ()
    shown.selected = ["run-2", RUNS[0], "33", "run-2"]
    assert shown.selected == ("2" * 32, "1" * 32, "3" * 32)
    assert told == [shown.selected]
    assert [run.name for run in shown.chosen] == ["run-2", "run-1", "run-3"]
    assert isinstance(shown.chosen, Runs)
    # As the page says it.
    shown.set_state({"selected": ["1" * 32]})
    assert shown.selected == ("1" * 32,)


@pytest.mark.parametrize("wrong", [["nosuch"], [""], [None], [run(9)]])
def test_a_run_that_is_not_there_cannot_be_ticked(wrong: list[Any]) -> None:
    shown = mlops.widget(RUNS)
    with pytest.raises(UsageError, match="No run of this table is called"):
        shown.selected = wrong
    assert shown.selected == ()


def test_a_beginning_that_several_ids_have_ticks_none_of_them() -> None:
    shown = mlops.widget(Runs((run(1), run(1, name="other"))))
    with pytest.raises(UsageError, match="Several runs"):
        shown.selected = ["1"]


@pytest.mark.parametrize("wrong", [3, "run", [], (), None, {"a": 1}, [1], [run(1), 2], object()])
def test_for_anything_else_a_sentence_says_what_there_are_widgets_for(wrong: Any) -> None:
    with pytest.raises(UsageError, match=r"There is no widget for an? [\w ]+: give what mlops\.runs"):
        mlops.widget(wrong)


def test_where_the_views_were_not_built_a_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "STATIC", tmp_path / "nowhere")
    views.module.cache_clear()
    try:
        with pytest.raises(UsageError, match=r"\(runs\.js is missing\): run `pip install \.`.* shows as a table\."):
            mlops.widget(RUNS)
    finally:
        views.module.cache_clear()


def test_every_view_was_built() -> None:
    kinds = {kind.view for kind in ViewWidget.__subclasses__()}
    assert kinds == {"runs", "comparison", "pipeline", "monitoring", "drift", "gates"}
    assert all(views.module(name) for name in kinds)


FIT = """\
from sklearn.linear_model import LinearRegression
x, y = [[1.0], [2.0], [4.0]], [1.0, 3.0, 4.0]
model = LinearRegression().fit(x, y)
r2 = model.score(x, y)"""
CELLS = [
    "%load_ext jupyter_mlops",
    FIT,
    "import jupyter_mlops as mlops\nw = mlops.widget(mlops.runs())\nw",
    "print(w.selected)",
    "w",
    "again = model.score(x, y)\nprint(again)",
]


@pytest.fixture
def worked(project: Path, kernel: Kernel) -> Kernel:
    """A notebook in which a run was made, and ticked in a widget."""
    for source in CELLS[:3]:
        assert kernel.run(source).error == ""
    return kernel


def test_a_widget_in_a_kernel_hears_the_page_and_is_replayed_identically(worked: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
    shown = worked.run("w")
    assert sorted(shown.result) == sorted([WIDGET, *STATIC])
    assert "<table" in shown.result["text/html"]
    model = shown.result[WIDGET]["model_id"]
    assert model not in shown.result["text/html"] + shown.result["text/plain"]
    told = worked.run("print(w.runs[0]['id'])").stdout.strip()
    # What the page sends when a row is ticked.
    content = {"comm_id": model, "data": {"method": "update", "state": {"selected": [told]}, "buffer_paths": []}}
    worked.client.shell_channel.send(worked.client.session.msg("comm_msg", content))
    for source in CELLS[3:]:
        assert (ran := worked.run(source)).error == ""
        assert told in ran.stdout or source != CELLS[3]
    assert [run.id for run in mlops.runs()] == [told]
    capsys.readouterr()
    assert cli.run(["replay", "--json"]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert (replayed["verdict"], replayed["score"]) == ("identical", 1.0)
    assert {item["name"] for item in replayed["results"] if item["verdict"] == "identical"} >= {"r2", "again", "model", "stdout"}
    assert cli.run(["slice", "--json"]) == 0
    assert "widget" not in json.dumps(json.loads(capsys.readouterr().out)["pieces"])


def test_run_in_one_go_a_notebook_holds_the_table_and_no_widget(project: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in [*CELLS[:3], "w.selected = ['nosuch']"]])
    NotebookClient(notebook, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(project)}}).execute()
    [shown] = notebook.cells[2].outputs
    assert sorted(shown.data) == STATIC
    assert json.dumps(notebook.metadata.get("widgets", {})).count("mlops-view") == 0
    assert notebook.cells[3].outputs[0].ename == "UsageError"
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert ">r2</th>" in page


def test_a_notebook_that_a_person_saved_is_converted_with_the_table(worked: Kernel) -> None:
    shown = worked.run("w").result
    output = nbformat.v4.new_output("execute_result", data=shown, execution_count=4)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("w", outputs=[output], execution_count=4)])
    nbformat.validate(notebook)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert ">r2</th>" in page
    assert shown[WIDGET]["model_id"] not in page
