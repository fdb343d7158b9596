"""The graph of a pipeline: what comes from where, in which order, and which part of it is chosen. Pure."""

from __future__ import annotations

import heapq
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...errors import PipelineError
from ...records import Pipeline, PipelineStep
from .wording import nearest, shown

_REFERENCE = re.compile(r"([A-Za-z_][\w-]*)\.([^\W\d][\w-]*)")


def reference(value: Any, steps: Collection[str]) -> tuple[str, str] | None:
    """The (step, output) that an input names as `step.output`; None when it is a path, a URL or a query."""
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    return (found[1], found[2]) if found is not None and found[1] in steps else None


def upstream(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """The steps that each step waits for, directly: those it takes inputs from, and those it is declared to come after."""
    names = {step.name for step in pipeline.steps}
    found: dict[str, tuple[str, ...]] = {}
    for step in pipeline.steps:
        sources = (reference(value, names) for value in step.inputs.values())
        found[step.name] = tuple(dict.fromkeys([*(source[0] for source in sources if source is not None), *step.after]))
    return found


def downstream(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """The steps that wait for each step, directly, in the order of the file."""
    found: dict[str, list[str]] = {step.name: [] for step in pipeline.steps}
    for name, sources in upstream(pipeline).items():
        for source in sources:
            found[source].append(name)
    return {name: tuple(below) for name, below in found.items()}


def ordered(pipeline: Pipeline) -> tuple[PipelineStep, ...]:
    """All steps, each after those that it waits for, else in the order of the file. Raises PipelineError, a cycle shown as a path."""
    sources, below = upstream(pipeline), downstream(pipeline)
    place = {step.name: number for number, step in enumerate(pipeline.steps)}
    waiting = {name: len(before) for name, before in sources.items()}
    ready = [place[name] for name, count in waiting.items() if count == 0]
    found: list[PipelineStep] = []
    while ready:
        step = pipeline.steps[heapq.heappop(ready)]
        found.append(step)
        for name in below[step.name]:
            waiting[name] -= 1
            if waiting[name] == 0:
                heapq.heappush(ready, place[name])
    if len(found) < len(pipeline.steps):
        path = cycle(sources)
        what = f"the steps wait for each other: {' -> '.join(path)}; take one of these inputs away."
        raise PipelineError(what, shown(pipeline.path), pipeline.steps[place[path[0]]].line)
    return tuple(found)


def cycle(sources: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A cycle of steps, in the direction in which data flows: its first name is its last one too. () when there is none."""
    done: set[str] = set()
    for start in sources:
        trail: dict[str, Iterator[str]] = {}
        step: str | None = start
        while step is not None:
            if step in trail:
                names = list(trail)
                round_trip = names[names.index(step) :]
                first = min(round_trip, key=list(sources).index)
                turn = round_trip.index(first)
                round_trip = [*round_trip[turn:], *round_trip[:turn]]
                return (first, *reversed(round_trip[1:]), first)
            if step not in done:
                trail[step] = iter(sources[step])
            while trail and (step := next(trail[next(reversed(trail))], None)) is None:
                done.add(trail.popitem()[0])
            if not trail:
                step = None
    return ()


def selected(pipeline: Pipeline, only: Sequence[str] = (), start: str | None = None) -> frozenset[str]:
    """The names of the chosen steps: those of `only`, `start` with all that depends on it, of both what is in both; all without a choice.

    Raises PipelineError for an unknown name, and where nothing is left.
    """
    names = [step.name for step in pipeline.steps]
    for name in (*only, *(() if start is None else (start,))):
        if name not in names:
            raise PipelineError(f"there is no step {name!r}{nearest(name, names)}", shown(pipeline.path))
    chosen = frozenset(only or names)
    if start is not None:
        chosen &= reachable(start, downstream(pipeline))
    if not chosen:
        raise PipelineError(f"none of {', '.join(only)} depends on {start}: leave out --only or --from.", shown(pipeline.path))
    return chosen


def reachable(start: str, edges: Mapping[str, Iterable[str]]) -> frozenset[str]:
    """A step and all that can be reached from it: of `downstream`, all that depends on it; of `upstream`, all that it depends on."""
    found, waiting = {start}, [start]
    while waiting:
        new = [name for name in edges[waiting.pop()] if name not in found]
        found.update(new)
        waiting.extend(new)
    return frozenset(found)
