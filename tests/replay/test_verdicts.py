"""The verdict on recordings made by hand: what is identical, what differs, what cannot be compared, and what must never pass as proved."""

from __future__ import annotations

import collections
import math
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from jupyter_mlops.records import CellEvent, Input, Output, Replay, Run
from jupyter_mlops.replay.findings import Ask, findings
from jupyter_mlops.replay.model_results import compare_models
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.replay.stage import UNREAD
from jupyter_mlops.replay.verdicts import confirmed, summary
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore

from .hand_made import event, played, recording, run

FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0]})


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def told(replay: Replay) -> dict[str, str]:
    return {f"{item.kind} {item.name}": item.verdict for item in replay.results}


def verdict(recorded: Recording, again: Recording, store: ObjectStore, ask: Ask | None = None, **how: Any) -> Replay:
    replayed = played(again, store, **how)
    return summary(recorded, findings(recorded, replayed, store, ask), replayed)


def of_run(recorded: Run, again: Run, store: ObjectStore, source: str = "m = 1") -> Replay:
    return verdict(recording([event(1, source)], [recorded]), recording([event(1, source)], [again]), store)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (0.5, 0.5, "identical"),
        (math.nan, math.nan, "identical"),
        (1, 1.0, "identical"),
        (0.5, 0.5 + 1e-14, "tolerance"),
        (0.5, 0.5001, "different"),
        (0.5, math.nan, "different"),
        (math.inf, math.inf, "identical"),
        (math.inf, 1e308, "different"),
    ],
)
def test_a_metric_is_compared_to_the_last_bit(first: float, second: float, expected: str, store: ObjectStore) -> None:
    replay = of_run(run(metrics={"m": first}), run(metrics={"m": second}), store)
    assert (replay.verdict, told(replay)) == (expected, {"metric m": expected})
    assert replay.score == (1.0 if expected == "identical" else 0.0)
    if expected == "different":
        assert (replay.first.recorded, replay.first.replayed, replay.first.seq) == (repr(first), repr(second), 1)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([[0, 0.5], [1, math.nan]], [[0, 0.5], [1, math.nan]], "identical"),
        ([[0, 0.5], [1, 0.4]], [[0, 0.5], [1, 0.3]], "different"),
        ([[0, 0.5], [1, 0.4]], [[0, 0.5]], "different"),
        ([[0, 0.5]], [[1, 0.5]], "different"),
    ],
)
def test_a_stepped_metric_is_compared_step_by_step(first: Any, second: Any, expected: str, store: ObjectStore) -> None:
    assert of_run(run(series={"loss": first}), run(series={"loss": second}), store).verdict == expected


@pytest.mark.parametrize(
    ("again", "missing"),
    [
        (run(), "metric m"),
        (run(metrics={"m": 0.5, "n": 0.1}), "metric n"),
        (run(metrics={"m": 0.5}, params={"C": 2}), "parameter C"),
        (run(metrics={"m": 0.5}, status="FAILED"), "error status of fit"),
    ],
)
def test_what_only_one_of_the_runs_has_differs(again: Run, missing: str, store: ObjectStore) -> None:
    replay = of_run(run(metrics={"m": 0.5}), again, store)
    assert (replay.verdict, told(replay)[missing]) == ("different", "different")


def test_a_run_that_was_not_made_again_or_that_is_new_differs(store: ObjectStore) -> None:
    events = [event(1)]
    one, two = run(metrics={"m": 0.5}), run(own_id="other", metrics={"m": 0.5})
    assert verdict(recording(events, [one]), recording(events), store).verdict == "different"
    assert verdict(recording(events, [one]), recording(events, [one, two]), store).verdict == "different"
    deleted = [event(1, runs=("r", "gone"))]
    assert verdict(recording(deleted, [one]), recording(events, [one, two]), store).verdict == "identical"


def test_a_cell_that_was_not_run_again_differs(store: ObjectStore) -> None:
    runs = [run(metrics={"m": 1.0})]
    replay = verdict(recording([event(1), event(2)], runs), recording([event(1)], runs), store)
    assert (replay.verdict, replay.first.seq, replay.first.why) == ("different", 2, "the cell was not run")


@pytest.mark.parametrize(
    ("status", "error", "again", "expected"),
    [
        ("ok", "", ("error", "ValueError: no"), "different"),
        ("error", "Traceback\nValueError: no", ("error", "Other lines\nValueError: no"), "identical"),
        ("error", "ValueError: no", ("error", "ValueError: yes"), "different"),
        ("error", "ValueError: no", ("ok", ""), "different"),
    ],
)
def test_errors_are_compared_by_type_and_message(
    status: str, error: str, again: tuple[str, str], expected: str, store: ObjectStore
) -> None:
    first, second = event(1, status=status, error=error), event(1, status=again[0], error=again[1])
    one = run(metrics={"m": 1.0})
    assert verdict(recording([first], [one]), recording([second], [one]), store).verdict == expected


def test_data_is_compared_by_digest_and_by_content_where_it_is_kept(store: ObjectStore) -> None:
    near, other = FRAME + 1e-14, FRAME.assign(a=[1.0, 9.0, 3.0])
    kept = {name: snapshots.freeze(value, store).digest for name, value in {"same": FRAME, "near": near, "other": other}.items()}
    first = event(1, "x = 1", values={"x": kept["same"]}, writes=("x",))
    for name, expected in {"same": "identical", "near": "tolerance", "other": "different"}.items():
        replay = verdict(recording([first]), recording([replace(first, values={"x": kept[name]})]), store)
        assert told(replay) == {"frame x": expected}
    assert (replay.first.why, replay.first.recorded, replay.first.replayed) == ("column a, row 1", "2.0", "9.0")
    gone = verdict(recording([replace(first, values={"x": "0" * 64})]), recording([first]), store)
    assert (told(gone), gone.first.recorded) == ({"frame x": "different"}, "digest 000000000000")
    unbound = verdict(recording([first]), recording([replace(first, values={})]), store)
    assert unbound.first.replayed == "(nothing)"


def test_what_was_not_recorded_counts_as_a_miss_and_what_is_excused_does_not(store: ObjectStore) -> None:
    first = event(1, "print(object())", outputs=(_printed("<object object at 0x7f12ab34cd50>"),), writes=("x",))
    second = replace(first, outputs=(_printed("<object object at 0x7f12ab34cd60>"),), values={"x": UNREAD})
    one = run(metrics={"m": 1.0})
    replay = verdict(recording([first], [one]), recording([second], [one]), store)
    assert told(replay) == {"output stdout": "uncompared", "frame x": "uncompared", "metric m": "identical"}
    assert [item.excused for item in replay.results] == [True, False, False]
    assert (replay.verdict, replay.score) == ("identical", 0.5)


@pytest.mark.parametrize("excused", [frozenset({1}), frozenset[int]()])
def test_a_cell_that_could_not_run_as_recorded_is_not_compared(excused: frozenset[int], store: ObjectStore) -> None:
    first, second = event(1, outputs=(_printed("installed"),)), event(1, outputs=(_printed("skipped"),))
    replay = verdict(recording([first]), recording([second]), store, uncompared={1: "%pip was skipped"}, excused=excused)
    [found] = replay.results
    assert (found.verdict, found.why, found.excused) == ("uncompared", "%pip was skipped", bool(excused))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([event(1)], [event(1)]),
        ([event(1, status="untracked")], []),
        ([event(1, status="interrupted")], [event(1)]),
        ([event(1, outputs=(Output(kind="result", data={"text/plain": "<A at 0x7f12ab34cd50>"}),))],
         [event(1, outputs=(Output(kind="result", data={"text/plain": "<A at 0x7f12ab34cd60>"}),))]),
    ],
)  # fmt: skip
def test_a_replay_in_which_nothing_was_compared_proves_nothing(first: list[CellEvent], second: list[CellEvent], store: ObjectStore) -> None:
    replay = verdict(recording(first), recording(second), store)
    assert (replay.verdict, replay.score) == ("different", 0.0)
    assert replay.notes == ("Nothing could be compared, so nothing is proved.",)


DRAW = "import numpy as np\nm = np.random.default_rng().normal()"


def test_a_draw_that_nobody_recorded_is_excused_if_it_varies_and_not_if_it_does_not(store: ObjectStore) -> None:
    recorded = recording([event(1, DRAW), event(2, "n = 5")], [run(metrics={"m": 0.1}), run(own_id="s", cells=(2,), metrics={"n": 5.0})])

    def again(m: float) -> Recording:
        return replace(recorded, runs=(run(metrics={"m": m}), recorded.runs[1]))

    first, other = played(again(0.2), store), played(again(0.3), store)
    doubted = findings(recorded, first, store)
    assert [(item.verdict.verdict, item.doubtful) for item in doubted] == [("uncompared", True), ("identical", False)]
    varying = confirmed(doubted, findings(recorded, other, store), findings(first.recording, other, store))
    assert [(item.verdict.verdict, item.verdict.excused) for item in varying] == [("uncompared", True), ("identical", False)]
    steady = confirmed(doubted, doubted, findings(first.recording, first, store))
    assert [(item.verdict.verdict, item.verdict.excused) for item in steady] == [("different", False), ("identical", False)]
    assert [item.verdict.verdict for item in findings(recorded, played(recorded, store), store)] == ["identical", "identical"]


def test_a_run_whose_own_results_all_vary_is_not_proved(store: ObjectStore) -> None:
    recorded = recording([event(1, DRAW), event(2, outputs=(_printed("5"),))], [run(metrics={"m": 0.1})])
    replay = verdict(recorded, replace(recorded, runs=(run(metrics={"m": 0.2}),)), store)
    assert (replay.verdict, replay.first.name, replay.notes[-1][:40]) == ("different", "m", "None of the run's metrics and models cou")


def test_a_measured_duration_is_excused_and_a_metric_beside_it_is_not(store: ObjectStore) -> None:
    source = "import time\nt0 = time.time()\nacc = 0.9\nfit_seconds = time.time() - t0"
    replay = of_run(run(metrics={"acc": 0.9, "fit_seconds": 1.5}), run(metrics={"acc": 0.9, "fit_seconds": 1.7}), store, source)
    assert (replay.verdict, told(replay)) == ("identical", {"metric acc": "identical", "metric fit_seconds": "uncompared"})
    assert of_run(run(metrics={"acc": 0.9}), run(metrics={"acc": 0.8}), store, source).verdict == "different"


def test_inputs_and_files_are_compared(store: ObjectStore) -> None:
    def side(digest: str | None, wrote: str) -> tuple[CellEvent, Run]:
        given = Input(name="data.csv", kind="file", digest=digest)
        made = Input(name="out.csv", kind="file", digest=wrote, source="out.csv")
        return event(1, files_written=(made,)), run(inputs=(given,), metrics={"m": 1.0})

    recorded = recording(*([item] for item in side("a" * 64, "b" * 64)))
    expected = {"file input data.csv": "identical", "metric m": "identical", "file out.csv": "identical"}
    assert told(verdict(recorded, recorded, store)) == expected
    other = recording(*([item] for item in side("c" * 64, "d" * 64)))
    assert told(verdict(recorded, other, store)) == expected | {"file input data.csv": "different", "file out.csv": "different"}
    unread = recording(*([item] for item in side(None, "b" * 64)))
    replay = verdict(unread, recorded, store)
    assert (told(replay)["file input data.csv"], replay.score) == ("uncompared", 2 / 3)


def test_models_are_compared_by_class_parameters_and_bytes(store: ObjectStore) -> None:
    def side(**facts: Any) -> Recording:
        model = {"name": "model", "class": "A", "flavor": "sklearn", "transport": "a" * 64, "example": None, "all_params": {"C": 1}} | facts
        return recording([event(1)], [run()], models={"r": (model,)})

    recorded = side()
    assert told(verdict(recorded, side(), store)) == {"model model": "identical"}
    for change in ({"class": "B"}, {"all_params": {"C": 2}}, {"transport": "b" * 64}):
        assert verdict(recorded, side(**change), store).verdict == "different"
    assert verdict(recorded, replace(recorded, models={}), store).verdict == "different"
    store_with = store.put(pickle.dumps(LogisticRegression()))
    for answer, expected in (("identical", "identical"), ("tolerance", "tolerance"), ("different", "different"), ("", "uncompared")):
        told_back = {"verdict": answer, "why": "", "recorded": "", "replayed": ""}
        replay = verdict(side(transport=store_with), side(transport="b" * 64), store, lambda name, argument, a=told_back: a)
        assert told(replay) == {"model model": expected}


def test_a_model_that_is_in_mlflow_alone_is_looked_for_there(store: ObjectStore) -> None:
    def side(transport: str) -> Recording:
        model = {"name": "m", "class": "A", "flavor": "sklearn", "transport": transport, "example": None, "all_params": {}}
        return recording([event(1)], [run()], models={"r": (model,)})

    asked: list[dict[str, Any]] = []

    def ask(function: str, argument: Any) -> dict[str, str]:
        asked.append(argument)
        return {"verdict": "identical", "why": "", "recorded": "", "replayed": ""}

    assert verdict(side("a" * 64), side("b" * 64), store, ask).verdict == "identical"
    assert asked == [{"store": store.where, "replayed": "b" * 64, "example": None, "run": "r", "name": "m", "flavor": "sklearn"}]


X, Y = np.arange(80.0).reshape(40, 2) % 7, np.arange(40) % 3
MOVED = X.copy()
MOVED[0, 0] += 1


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (LogisticRegression().fit(X, Y), LogisticRegression().fit(X, Y), "identical"),
        (LogisticRegression().fit(X, Y), LogisticRegression().fit(MOVED, Y), "different"),
        (LogisticRegression().fit(X, Y), LogisticRegression(C=2).fit(X, Y), "different"),
        (RandomForestClassifier(3, random_state=1).fit(X, Y), RandomForestClassifier(3, random_state=1).fit(X, Y), "identical"),
        (RandomForestClassifier(3, random_state=1).fit(X, Y), RandomForestClassifier(3, random_state=2).fit(X, Y), "different"),
        (KMeans(3, n_init=1, random_state=1).fit(X), KMeans(3, n_init=1, random_state=1).fit(X), "identical"),
        (KMeans(3, n_init=1, random_state=1).fit(X), KMeans(3, n_init=1, random_state=1).fit(MOVED), "different"),
        (LogisticRegression().fit(X, Y), RandomForestClassifier(3).fit(X, Y), "different"),
    ],
)
def test_models_are_told_apart_by_what_they_learned(first: Any, second: Any, expected: str) -> None:
    # Five rows that both predict alike do not hide what differs.
    assert compare_models(first, pickle.loads(pickle.dumps(second)), X[:5])["verdict"] == expected


FOREST = RandomForestClassifier(10, random_state=1).fit(X, Y)
OTHER_TREE = pickle.loads(pickle.dumps(FOREST))
OTHER_TREE.estimators_[7].tree_.value[0, 0, 0] += 0.125


class Kept:
    """A model of the user's own."""

    def __init__(self, value: Any) -> None:
        self.value_ = value

    def predict(self, rows: Any) -> Any:
        return rows


def _times(factor: float, default: float = 1) -> Any:
    return lambda rows, other=default: rows * factor


def _nested(value: Any, depth: int = 300) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("first", "second", "expected", "why"),
    [
        (FOREST, OTHER_TREE, "different", "estimators_[7].tree_[1].values[0, 0, 0]"),
        (CountVectorizer().fit(["aa bb"]), CountVectorizer().fit(["cc dd"]), "different", "vocabulary_ has other keys"),
        (Kept("a"), Kept("b"), "different", "value_"),
        (Kept(b"a"), Kept(b"b"), "different", "value_"),
        (Kept({"a"}), Kept({"b"}), "different", "value_"),
        (Kept({"a": 1}), Kept({"b": 1}), "different", "value_ has other keys"),
        (Kept({"_cache": 1}), Kept({}), "identical", ""),
        (Kept(np.array(["a"])), Kept(np.array(["b"])), "different", "value_[0]"),
        (Kept("<A at 0x7f12ab34cd50>"), Kept("<A at 0x7f12ab34cd60>"), "identical", ""),
        (Kept("/home/ada/p/x"), Kept("/tmp/s/home/ada/p/x"), "identical", ""),
        (Kept(collections.deque([1])), Kept(collections.deque([2])), "different", "value_[2][0]"),
        (Kept(_times(1)), Kept(_times(1)), "identical", ""),
        (Kept(_times(1)), Kept(_times(2)), "different", "value_.__closure__[0]"),
        (Kept(_times(1)), Kept(_times(1, 2)), "different", "value_.__defaults__[0]"),
        (Kept(lambda x: np.log(x)), Kept(lambda x: np.exp(x)), "different", "value_ is other code"),
        (Kept(lambda x: [y + 1 for y in x]), Kept(lambda x: [y + 2 for y in x]), "different", "value_ is other code"),
        (Kept(lambda x: lambda y: x), Kept(lambda x: lambda y: x), "identical", ""),
    ],
)
def test_all_that_a_model_learned_counts_though_it_predicts_the_same(first: Any, second: Any, expected: str, why: str) -> None:
    found = compare_models(first, second, np.zeros((0, 2)) if isinstance(first, RandomForestClassifier) else ["zz"])
    assert (found["verdict"], found["why"]) == (expected, why)


def test_what_is_nested_too_deep_is_not_called_equal() -> None:
    found = compare_models(Kept(_nested(1)), Kept(_nested(2)), None)
    assert (found["verdict"], found["why"][-42:]) == ("", "cannot be looked into: it is nested too deep"[-42:])


@pytest.mark.parametrize(
    ("facts", "lack"),
    [
        ({}, ""),
        ({"uncompared": {1: "%pip was skipped"}}, "m of the run could not be compared, so that is not proved."),
    ],
)
def test_a_metric_that_could_not_be_compared_is_not_proved(facts: dict[str, Any], lack: str, store: ObjectStore) -> None:
    recorded = recording([event(1), event(2)], [run(metrics={"m": 0.1, "n": 0.2})])
    other = replace(recorded, runs=(run(metrics={"m": 0.3 if facts else 0.1, "n": 0.2}),))
    replay = verdict(recorded, other, store, **facts)
    assert (replay.verdict, "".join(replay.notes)) == ("different" if lack else "identical", lack)


def test_an_installation_left_out_excuses_what_its_cell_prints_and_nothing_else(store: ObjectStore) -> None:
    def side(text: str, metric: float) -> Recording:
        shown = (_printed(text), Output(kind="result", data={"text/plain": text}))
        return recording([event(1, outputs=shown)], [run(metrics={"m": metric})])

    replay = verdict(side("installed", 0.1), side("skipped", 0.2), store, served={1: "%pip was skipped"})
    assert told(replay) == {"output stdout": "uncompared", "output result": "different", "metric m": "different"}
    assert [item.excused for item in replay.results if item.verdict == "uncompared"] == [True]


def test_what_this_package_shows_itself_is_excused_and_what_it_measures_is_not(store: ObjectStore) -> None:
    def side(text: str) -> Recording:
        return recording([event(1, outputs=(_printed(text),))], [run(metrics={"m": float(len(text))})])

    replay = verdict(side("3 runs"), side("no runs"), store, own=frozenset({1}))
    assert told(replay) == {"output stdout": "uncompared", "metric m": "different"}


def _printed(text: str) -> Output:
    return Output(kind="stream", name="stdout", data={"text/plain": text + "\n"})
