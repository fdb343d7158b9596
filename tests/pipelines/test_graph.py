"""The order of steps, the choice among them, and cycles."""

from __future__ import annotations

import random
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

import pytest

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition import graph
from jupyter_mlops.records import Pipeline, PipelineStep


def pipeline(text: str) -> Pipeline:
    """Steps as `name`, `name<source,source` (inputs) or `name>earlier` (after), in the order of their file."""
    steps = []
    for number, part in enumerate(text.split()):
        name, _, waits = part.partition(">")
        name, _, sources = name.partition("<")
        inputs = {f"in{place}": f"{source}.out" for place, source in enumerate(filter(None, sources.split(",")))}
        after = tuple(filter(None, waits.split(",")))
        steps.append(PipelineStep(name=name, kind="shell", source="", inputs=inputs, after=after, line=number + 1))
    return Pipeline(name="p", folder="", path="pipeline.yaml", steps=tuple(steps))


@pytest.mark.parametrize(
    ("steps", "order"),
    [
        ("a b c", "a b c"),
        ("c<b b<a a", "a b c"),
        ("d<b,c c<a b<a a e", "a c b d e"),
        ("evaluate<train,prepare train<prepare prepare report>evaluate", "prepare train evaluate report"),
        ("b>a a c<a", "a b c"),
    ],
)
def test_a_step_comes_after_what_it_waits_for_else_as_in_the_file(steps: str, order: str) -> None:
    assert " ".join(step.name for step in graph.ordered(pipeline(steps))) == order


@pytest.mark.parametrize(
    ("steps", "path", "line"),
    [
        ("a<a", "a -> a", 1),
        ("a<b b<a", "a -> b -> a", 1),
        ("x a<c b<a c<b", "a -> b -> c -> a", 2),
        ("x a b<c,a c<d>a d<b e<d", "b -> d -> c -> b", 3),
    ],
)
def test_a_cycle_is_shown_as_a_path(steps: str, path: str, line: int) -> None:
    with pytest.raises(PipelineError) as raised:
        graph.ordered(pipeline(steps))
    assert str(raised.value) == f"pipeline.yaml, line {line}: the steps wait for each other: {path}; take one of these inputs away."


def test_any_graph_is_ordered_or_has_a_cycle_that_is_one() -> None:
    chance = random.Random(7)
    cyclic = 0
    for _ in range(300):
        names = [f"s{number}" for number in range(chance.randint(1, 9))]
        text = " ".join(f"{name}<{','.join(chance.sample(names, chance.randint(0, min(2, len(names)))))}" for name in names)
        made = pipeline(text)
        sources = graph.upstream(made)
        try:
            tuple(TopologicalSorter(sources).static_order())
        except CycleError:
            cyclic += 1
            path = graph.cycle(sources)
            assert path[0] == path[-1]
            assert len(set(path)) == len(path) - 1 > 0
            assert all(before in sources[after] for before, after in pairwise(path)), text
        else:
            assert graph.cycle(sources) == ()
            place = {step.name: number for number, step in enumerate(graph.ordered(made))}
            assert all(place[source] < place[name] for name in names for source in sources[name]), text
    assert 50 < cyclic < 250


DIAMOND = "a b<a c<a d<b,c e"


@pytest.mark.parametrize(
    ("only", "start", "chosen"),
    [
        ((), None, "a b c d e"),
        (("b",), None, "b"),
        (("b", "e"), None, "b e"),
        ((), "b", "b d"),
        ((), "a", "a b c d"),
        (("d", "e"), "b", "d"),
    ],
)
def test_steps_are_chosen_alone_or_with_all_that_depends_on_them(only: tuple[str, ...], start: str | None, chosen: str) -> None:
    assert graph.selected(pipeline(DIAMOND), only, start) == set(chosen.split())


@pytest.mark.parametrize(
    ("only", "start", "message"),
    [
        (("bb",), None, "pipeline.yaml: there is no step 'bb': did you mean 'b'?"),
        ((), "nothing", "pipeline.yaml: there is no step 'nothing': there are a, b, c, d, e."),
        (("e",), "b", "pipeline.yaml: none of e depends on b: leave out --only or --from."),
    ],
)
def test_a_choice_of_nothing_is_refused(only: tuple[str, ...], start: str | None, message: str) -> None:
    with pytest.raises(PipelineError) as raised:
        graph.selected(pipeline(DIAMOND), only, start)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a.table", ("a", "table")),
        ("my-step.table", ("my-step", "table")),
        ("b.table", None),
        ("./a.table", None),
        ("a.table.csv", None),
        ("a/b.table", None),
        ({"query": "select 1"}, None),
    ],
)
def test_a_reference_names_a_step(value: object, expected: tuple[str, str] | None) -> None:
    assert graph.reference(value, {"a", "my-step"}) == expected
