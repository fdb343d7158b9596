"""What the line under a result cell says."""

from __future__ import annotations

import math
from typing import Any

import pytest

from jupyter_mlops.records import Run
from jupyter_mlops.surfaces.line import direction, line, number


def run(name: str = "fox", id: str = "r9", **parts: Any) -> Run:
    return Run(**{"id": id, "name": name, "status": "FINISHED", "experiment": "flights", "started": 0.0} | parts)


def before(*metrics: dict[str, float], params: dict[str, Any] | None = None) -> list[Run]:
    """Earlier runs with these metrics, newest first."""
    return [run(f"old{place}", f"r{place}", metrics=values, params=params or {}) for place, values in enumerate(metrics)]


@pytest.mark.parametrize(
    ("new", "earlier", "text"),
    [
        (run(metrics={"auc": 0.7421}), [], "◆ fox  auc 0.7421 · first run of flights"),
        (run(metrics={"auc": 0.75}), before({"auc": 0.7}), "◆ fox  auc 0.75 ▲ +0.05 better, best yet"),
        (run(metrics={"auc": 0.7}), before({"auc": 0.75}), "◆ fox  auc 0.7 ▼ -0.05 worse, best 0.75"),
        (run(metrics={"auc": 0.72}), before({"auc": 0.7}, {"auc": 0.9}), "◆ fox  auc 0.72 ▲ +0.02 better, best 0.9"),
        (run(metrics={"auc": 0.7}), before({"auc": 0.7}), "◆ fox  auc 0.7 = as before, equals the best"),
        (run(metrics={"log_loss": 0.5}), before({"log_loss": 0.6}), "◆ fox  log_loss 0.5 ▼ -0.1 better, best yet"),
        (run(metrics={"rmse": 3.0}), before({"rmse": 2.5}), "◆ fox  rmse 3.0 ▲ +0.5 worse, best 2.5"),
        (run(metrics={"clusters": 8}), before({"clusters": 7}), "◆ fox  clusters 8 ▲ +1"),
        (run(metrics={"auc": math.nan}), before({"auc": 0.7}), "◆ fox  auc nan"),
        (run(metrics={"auc": 0.7}), before({"auc": math.nan}), "◆ fox  auc 0.7"),
        (run(metrics={"auc": 0.7}), before({"f1": 0.2}, {"auc": 0.6}), "◆ fox  auc 0.7 ▲ +0.1 better, best yet"),
        (run(params={"C": 1.0}), before({}, params={"C": 0.1}), "◆ fox  C: 0.1 → 1.0"),
        (run(params={"C": 1.0, "k": "a"}), before({}, params={"C": 1.0}), "◆ fox  k: none → a"),
        (run(params={}), before({}, params={"k": "a"}), "◆ fox  k: a → none"),
        (run(params={"text": "x" * 40}), before({}, params={"text": "y"}), f"◆ fox  text: y → {'x' * 23}…"),
        (run(params=dict.fromkeys("abcdef", 1)), before({}, params=dict.fromkeys("abcdef", 0)),
         "◆ fox  a: 0 → 1 · b: 0 → 1 · c: 0 → 1 · d: 0 → 1 · 2 more changed"),
        (run(metrics=dict.fromkeys("abcde", 1)), [], "◆ fox  a 1 · b 1 · c 1 · d 1 · 1 more metric · first run of flights"),
        (run(params={"C": 2, "depth": 3}, model={"class": "Tree"}), [run("old", "r0", params={"C": 1, "k": 5}, model={"class": "Line"})],
         "◆ fox  Line → Tree · C: 1 → 2"),
        (run(status="FAILED"), before({}), "◆ fox  failed"),
        (run(skipped=("clf (Foo): has an open file",)), before({}), "◆ fox  skipped: clf (Foo): has an open file"),
        (run(experiment=""), [], "◆ fox  first run"),
        (run(metrics={"k": 0.5}), [run("old", "r", params={"C": 1}, model={"class": "Ridge"})], "◆ fox  k 0.5"),
    ],
)  # fmt: skip
def test_the_line_compares_with_the_last_run_and_the_best(new: Run, earlier: list[Run], text: str) -> None:
    assert line(new, earlier)[0] == text


def test_the_run_itself_among_the_earlier_ones_does_not_count() -> None:
    new = run(metrics={"auc": 0.7}, own_id="mine")
    assert line(new, [run(id="delivered", own_id="mine", metrics={"auc": 0.6})])[0] == "◆ fox  auc 0.7 · first run of flights"


def test_the_html_holds_the_same_words_escaped() -> None:
    html = line(run("<b>", metrics={"<auc>": 0.5}, params={"k": "<script>"}), before({"<auc>": 0.4}, params={"k": "&"}))[1]
    assert "<script>" not in html
    assert "&lt;b&gt;" in html
    assert "&lt;auc&gt; 0.5 ▲ +0.1" in html
    assert "k: &amp; → &lt;script&gt;" in html


@pytest.mark.parametrize(
    ("way", "metrics"),
    [
        (
            1,
            "accuracy auc roc_auc_score f1 f1_macro macro_avg.precision r2 testScore silhouette best.score neg_mean_squared_error",
        ),
        (-1, "loss log_loss val_loss rmse mean_absolute_error mae MAPE logloss brier_score_loss aic inertia fit_seconds accuracy_loss"),
        (0, "clusters support n x temperature"),
    ],
)
def test_a_metric_s_name_tells_whether_more_is_better(way: int, metrics: str) -> None:
    assert {metric: direction(metric) for metric in metrics.split()} == dict.fromkeys(metrics.split(), way)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (3.0, "3.0"),
        (0.123456, "0.1235"),
        (1e-9, "1e-09"),
        (123456.7, "1.235e+05"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (-0.5, "-0.5"),
    ],
)
def test_numbers_are_brief(value: float, text: str) -> None:
    assert number(value) == text
