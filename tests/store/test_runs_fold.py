"""What the records of a journal add up to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_mlops.records import Run
from jupyter_mlops.store.runs import DIED, RunState, SessionState, fold, fold_session, to_run

BEGUN = {"kind": "run", "id": "a", "at": 1.0, "name": "gentle-fox", "status": "RUNNING", "started": 1.0}


def patch(**fields: Any) -> dict[str, Any]:
    return {"kind": "run", "id": "a", **fields}


@pytest.mark.parametrize(
    ("patches", "expected"),
    [
        pytest.param([patch(name="b"), patch(name="c")], {"name": "c"}, id="the last scalar wins"),
        pytest.param([patch(params={"C": 1, "k": 2}), patch(params={"C": 3})], {"params": {"C": 3, "k": 2}}, id="parameters merge"),
        pytest.param([patch(tags={"x": "1"}), patch(tags={"x": None})], {"tags": {"x": None}}, id="null deletes a tag"),
        pytest.param(
            [patch(metrics=[["a", 1, None, 1.0]]), patch(metrics=[["a", 2, None, 2.0]])],
            {"metrics": [["a", 1, None, 1.0], ["a", 2, None, 2.0]]},
            id="metrics append",
        ),
        pytest.param([patch(cells=[1, 2]), patch(cells=[2, 3])], {"cells": [1, 2, 3]}, id="cells are unique"),
        pytest.param([patch(skipped=["x"]), patch(skipped=["x", "y"])], {"skipped": ["x", "y"]}, id="skipped are unique"),
        pytest.param(
            [patch(inputs=[{"name": "d", "digest": "1"}]), patch(inputs=[{"name": "d", "digest": "1"}, {"name": "d", "digest": "2"}])],
            {"inputs": [{"name": "d", "digest": "1"}, {"name": "d", "digest": "2"}]},
            id="inputs are unique by name and digest",
        ),
        pytest.param(
            [patch(status="FINISHED", ended=2.0), patch(at=3.0, metrics=[["f1", 1.0, None, 3.0]])],
            {"status": "FINISHED", "ended": 2.0},
            id="a later cell adds to a finished run",
        ),
        pytest.param([patch(deleted=True), patch(note="x")], {"deleted": True, "note": "x"}, id="deleted stays deleted"),
    ],
)
def test_patches_add_up(patches: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    state = fold([BEGUN, *patches])["a"]
    assert {name: getattr(state, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("points", "latest"),
    [
        ([["a", 1, None, 1.0], ["a", 2, None, 2.0]], {"a": 2}),
        ([["a", 1, 5, 1.0], ["a", 2, 3, 2.0]], {"a": 1}),
        ([["a", 1, None, 1.0], ["b", 2, 0, 1.0]], {"a": 1, "b": 2}),
        ([["a", 1, None, 1.0], ["a", 2, None, 1.0]], {"a": 2}),
    ],
)
def test_the_last_value_is_that_of_the_highest_step_then_the_latest(points: list[list[Any]], latest: dict[str, float]) -> None:
    assert RunState("a", metrics=points).latest() == latest


def test_series_are_the_metrics_with_steps_in_their_order() -> None:
    state = RunState("a", metrics=[["loss", 0.4, 1, 2.0], ["loss", 0.5, 0, 1.0], ["auc", 0.9, None, 3.0]])
    assert state.series() == {"loss": [[0, 0.5], [1, 0.4]]}


def test_a_dead_session_leaves_no_run_open_and_no_run_finished_by_mistake() -> None:
    other = {**BEGUN, "id": "b", "status": "FINISHED", "ended": 4.0}
    adopted = {"kind": "run", "id": "c", "at": 2.0, "adopted": "mlflow-id"}
    states = fold([BEGUN, other, adopted, patch(at=9.0, params={"C": 1})], died=DIED)
    assert {name: (state.status, state.ended, state.reason) for name, state in states.items()} == {
        "a": ("KILLED", 9.0, DIED),
        "b": ("FINISHED", 4.0, ""),
        "c": ("KILLED", 9.0, DIED),
    }


def test_a_session_that_ended_well_is_not_recovered() -> None:
    done = {**BEGUN, "status": "FINISHED", "ended": 2.0}
    assert fold([done, {"kind": "end", "ended": 3.0}], died=DIED)["a"].status == "FINISHED"


def test_history_is_in_true_order_and_tells_what_never_ended() -> None:
    cell = {"kind": "cell", "session": "s", "source": "y", "started": 2.0, "seconds": 1.0, "status": "ok"}
    records = [
        {"kind": "session", "session": "s", "started": 1.0},
        {"kind": "begin", "seq": 1, "source": "x", "started": 1.5, "cell": "c1"},
        {**cell, "seq": 2},
        {"kind": "outputs", "seq": 2, "outputs": [{"kind": "stream", "data": {"text/plain": "late"}}]},
        {"kind": "values", "seq": 2, "values": {"df": "d" * 64}},
        {**cell, "seq": 3},
    ]
    alive, dead = fold_session(records), fold_session(records, died=DIED)
    assert [(event["seq"], event["status"]) for event in alive.history()] == [(1, "running"), (2, "ok"), (3, "ok")]
    assert [(event["seq"], event["status"]) for event in dead.history(2)] == [(1, "killed"), (2, "ok")]
    assert alive.history()[1]["outputs"] == [{"kind": "stream", "data": {"text/plain": "late"}}]
    assert alive.history()[1]["values"] == {"df": "d" * 64}


def test_a_run_ran_in_the_environment_of_its_time() -> None:
    session = SessionState()
    session.add([BEGUN, {"kind": "session", "environment": "first"}])
    session.add([{"kind": "cell", "seq": 1, "started": 1.0, "seconds": 0.1, "status": "ok"}, {**BEGUN, "id": "b", "cells": [1]}])
    touched = session.add([{"kind": "session", "environment": "second"}])
    assert (session.runs["a"].environment, session.runs["b"].environment, touched) == ("first", "second", {"b"})


def test_records_of_a_later_version_are_passed_over() -> None:
    assert fold([{"kind": "telepathy", "x": 1}, {**BEGUN, "colour": "blue"}]).keys() == {"a"}


def test_a_run_as_readers_see_it() -> None:
    session = fold_session([
        {"kind": "session", "session": "s", "notebook": "n.ipynb"},
        {**BEGUN, "params": {"C": 0.1}, "metrics": [["auc", 0.9, None, 2.0], ["big", 10**400, None, 2.0]], "cells": [2, 1]},
        patch(tags={"t": "1", "mlops.replay": "identical"}),
        patch(models=[{"name": "clf", "class": "sklearn.Foo", "flavor": "sklearn", "transport": "d"}], status="FINISHED", ended=3.5),
    ])  # fmt: skip
    assert to_run(session.runs["a"], session, experiment="mine") == Run(
        id="a", own_id="a", name="gentle-fox", status="FINISHED", experiment="mine", started=1.0, seconds=2.5, params={"C": 0.1},
        metrics={"auc": 0.9, "big": math.inf}, cells=(1, 2), tags={"t": "1"}, replay="identical", session="s", notebook="n.ipynb",
        model={"name": "clf", "class": "sklearn.Foo", "flavor": "sklearn", "uri": ""}, delivered=False,
    )  # fmt: skip
