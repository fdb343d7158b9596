"""How a pipeline reads: its table, its graph, what failed, and what would run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from jupyter_mlops.records import PipelineRun, StepPlan
from jupyter_mlops.surfaces.answers import Plan
from jupyter_mlops.surfaces.display import to_html, to_terminal, to_text
from jupyter_mlops.surfaces.drawing import Look, layers, svg
from jupyter_mlops.surfaces.pipeline_view import graph_file, steps_table

from .hand_made import DONE, EDGES, FAILED, FOLDER, PLAN, lines, step

SVG = "{http://www.w3.org/2000/svg}"


def test_a_failed_run_shows_its_steps_the_cell_the_error_and_the_way_on() -> None:
    assert lines(to_text(FAILED, 100)) == [
        "flight-delays",
        "failed in 14 s: 1 cached, 1 done, 1 failed, 2 skipped",
        "run ab12cd34 · month = 3",
        "step state cell time memory",
        "≡ months cached",
        "✓ prepare done 8 of 8 3.2 s 412.0 MB",
        "✗ train failed, attempt 3 4 of 7 2 s",
        "· evaluate skipped",
        "· release skipped",
        "notebooks in .mlops/pipelines/flight-delays/ab12cd34",
        "gate value",
        "✗ auc at least 0.6 no step gave auc",
        "✓ rows at most 200 120.0 passed",
        "○ no worse than champion only the registry of models can tell",
        "train failed in cell 4 of 7, at attempt 3",
        "depth = 3",
        "model = Tree(depth).fit(X, y)",
        "Traceback (most recent call last)",
        "ValueError: no rows",
        "Mend train.ipynb, then: mlops run pipeline.yaml (months and prepare are cached)",
    ]


def test_a_plan_shows_what_would_run_and_why() -> None:
    assert lines(to_text(PLAN, 100)) == [
        "flight-delays",
        "1 of 5 steps would run; 2 more if what they take from those has changed. Nothing was run.",
        "step why",
        "≡ months is cached",
        "▶ prepare runs params.month: 3 -> 4; code: cell 2",
        "? train depends waits for prepare",
        "? evaluate depends waits for train",
        "· release not chosen",
    ]


def test_a_terminal_can_follow_a_link_to_each_notebook_and_a_page_too() -> None:
    out = StringIO()
    to_terminal(FAILED, Console(file=out, force_terminal=True, width=120))
    links = re.findall(r"\x1b]8;id=\d+;(file://[^\x1b]+)\x1b", out.getvalue())
    assert [link.endswith(f"{FOLDER}/{name}.ipynb") for link, name in zip(links, ("prepare", "train"), strict=True)] == [True, True]
    shown = replace(DONE, edges={}, steps=(step("a", "done", notebook="runs/of a/a.ipynb"),))
    assert "<a href='runs/of%20a/a.ipynb' target='_blank'>✓ a</a>" in to_html(shown)
    assert f"<span title='{FOLDER}/train.ipynb'>✗ train</span>" in to_html(FAILED)


def test_a_long_list_of_unchanged_steps_is_told_by_its_number() -> None:
    names = [f"s{number}" for number in range(100)]
    steps = (*(step(name, "cached") for name in names[:99]), step("s99", "done"))
    run = PipelineRun(id="0" * 32, name="wide", status="done", started=0, seconds=1, steps=steps, edges=dict.fromkeys(names, ()))
    assert lines(to_text(run, 100))[-3:] == ["step state", "✓ s99 done", "and 99 cached"]


def test_a_table_for_a_small_window_keeps_what_runs_and_what_failed() -> None:
    steps = [step(f"s{number}", "done", started=float(number)) for number in range(30)]
    steps += [step("now", "running", started=99.0), step("wrong", "failed", started=1.0)]
    shown = [row[0].text for row in steps_table(steps, 4).rows]
    assert shown == ["✓ s28", "✓ s29", "▶ now", "✗ wrong", "and 28 done"]


@pytest.mark.parametrize("answer", [FAILED, DONE, PLAN], ids=["failed", "done", "plan"])
def test_the_graph_is_a_file_of_its_own_with_each_step_and_its_state(answer: PipelineRun | Plan) -> None:
    root = ElementTree.fromstring(graph_file(answer))
    titles = [item.text for item in root.iter(f"{SVG}title")]
    states = {item.step: "not chosen" if getattr(item, "action", "") == "skip" else getattr(item, "state", "") for item in answer.steps}
    assert [title.split(" · ")[0] for title in titles if title] == list(states)
    assert all(state in title for state, title in zip(states.values(), titles, strict=True) if title)
    assert "prefers-color-scheme: dark" in graph_file(answer)
    assert "<svg" in to_html(answer)
    assert "prefers-color-scheme" not in to_html(answer)


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ({}, {}),
        ({"a": ()}, {"a": 0}),
        ({"b": ("a",), "a": ()}, {"a": 0, "b": 1}),
        (EDGES, {"months": 0, "prepare": 1, "train": 2, "evaluate": 3, "release": 4}),
        ({"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c", "a")}, {"a": 0, "b": 1, "c": 1, "d": 2}),
    ],
)
def test_each_step_stands_to_the_right_of_what_it_comes_from(edges: Mapping[str, Sequence[str]], expected: Mapping[str, int]) -> None:
    assert layers(edges) == expected


PAIRS = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=24)
"""Numbers of steps: the lower one gives the higher one something."""


@settings(deadline=None)
@given(st.integers(0, 12), PAIRS)
def test_boxes_never_overlap_and_lie_in_the_picture(count: int, pairs: list[tuple[int, int]]) -> None:
    edges = {f"step{high}": tuple({f"step{min(pair)}" for pair in pairs if max(pair) == high != min(pair)}) for high in range(count)}
    root = ElementTree.fromstring(svg(edges, {name: Look("✓", "#2e9e4f", "done") for name in edges}))
    boxes = [tuple(float(rect.attrib[side]) for side in ("x", "y", "width", "height")) for rect in root.iter(f"{SVG}rect")]
    assert len(boxes) == len(edges)
    for place, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert y >= 0
        assert x + width <= float(root.attrib["width"]) + 1
        assert y + height <= float(root.attrib["height"]) + 1
        for left, top, across, down in boxes[:place]:
            assert x >= left + across or left >= x + width or y >= top + down or top >= y + height
    heads = [path for path in root.iter(f"{SVG}path") if "opacity" in path.attrib]
    assert len(heads) == sum(len(sources) for sources in edges.values())


def test_a_graph_of_a_thousand_steps_is_drawn() -> None:
    edges = {f"s{number}": tuple({f"s{number // 2}", f"s{number // 3}"} - {f"s{number}"}) for number in range(1000)}
    plan = Plan(name="wide", edges=edges, steps=tuple(StepPlan(step=name, action="run") for name in edges))
    assert graph_file(plan).count("<rect") == 1000
    assert "<svg" not in to_html(plan)
