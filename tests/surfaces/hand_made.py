"""Runs of a pipeline, and the events that lead to them, made by hand."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.records import Gate, PipelineRun, StepPlan, StepRun
from jupyter_mlops.surfaces.answers import Plan

EVIL = "<script>alert('&')|`</script>"
EDGES = {"months": (), "prepare": ("months",), "train": ("prepare",), "evaluate": ("train", "prepare"), "release": ("train", "evaluate")}
FOLDER = ".mlops/pipelines/flight-delays/ab12cd34"


def lines(text: str) -> list[str]:
    """The lines that hold more than a rule, their spaces as one."""
    return [" ".join(line.split()) for line in text.splitlines() if line.strip(" ─")]


def step(name: str, state: str, **parts: Any) -> StepRun:
    """What became of a step."""
    return StepRun(step=name, state=state, **parts)


FAILED = PipelineRun(
    id="ab12cd34" * 4,
    name="flight-delays",
    status="failed",
    started=0.0,
    seconds=14.2,
    params={"month": 3},
    edges=EDGES,
    steps=(
        step("months", "cached"),
        step(
            "prepare", "done", cell=8, cells=8, seconds=3.2, memory=412_000_000, notebook=f"{FOLDER}/prepare.ipynb", metrics={"rows": 120},
        ),
        step(
            "train", "failed", cell=4, cells=7, seconds=2.0, attempts=3, notebook=f"{FOLDER}/train.ipynb",
            source="depth = 3\nmodel = Tree(depth).fit(X, y)",
            error="Traceback (most recent call last)\n\x1b[31mValueError\x1b[0m: no rows",
        ),
        step("evaluate", "skipped", why=("train failed",)),
        step("release", "skipped", why=("train failed",)),
    ),
    gates=(
        Gate(name="auc at least 0.6", state="failed", why="no step gave auc"),
        Gate(name="rows at most 200", state="passed", value=120.0),
        Gate(name="no worse than champion", state="unchecked", why="only the registry of models can tell"),
    ),
    notes=("Mend train.ipynb, then: mlops run pipeline.yaml (months and prepare are cached)",),
)  # fmt: skip
DONE = PipelineRun(
    id="0" * 32,
    name="pair",
    status="done",
    started=0.0,
    seconds=1.0,
    edges={"a": (), "b": ("a",)},
    steps=(step("a", "cached"), step("b", "done", seconds=0.5)),
)
PLAN = Plan(
    name="flight-delays",
    edges=EDGES,
    steps=(
        StepPlan(step="months", action="cached"),
        StepPlan(step="prepare", action="run", why=("params.month: 3 -> 4", "code: cell 2")),
        StepPlan(step="train", action="after", why=("waits for prepare",)),
        StepPlan(step="evaluate", action="after", why=("waits for train",)),
        StepPlan(step="release", action="skip"),
    ),
)
EVIL_RUN = PipelineRun(
    id="f" * 32,
    name=EVIL,
    status="failed",
    started=0.0,
    seconds=1.0,
    params={EVIL: EVIL},
    edges={EVIL: (), "b": (EVIL,)},
    steps=(
        step(EVIL, "failed", source=EVIL, error=EVIL, notebook=EVIL, why=(EVIL,), metrics={EVIL: 1.0}),
        step("b", "skipped", why=(EVIL,)),
    ),
    gates=(Gate(name=EVIL, state="failed", why=EVIL),),
    notes=(EVIL,),
)
EVIL_PLAN = Plan(
    name=EVIL, edges={EVIL: (), "b": (EVIL,)}, steps=(StepPlan(step=EVIL, action="run", why=(EVIL,)), StepPlan(step="b", action="skip"))
)

EVENTS: tuple[dict[str, Any], ...] = (
    {"event": "run", "at": 0.0, "run": "ab12cd34", "state": "running"},
    {"event": "step", "at": 0.0, "step": "months", "state": "cached", "why": "unchanged"},
    {"event": "step", "at": 0.1, "step": "prepare", "state": "running", "why": "params.month: 3 -> 4"},
    {"event": "cell", "at": 1.0, "step": "prepare", "state": "running", "cell": 2, "cells": 8, "memory": 300_000_000},
    {"event": "cell", "at": 3.0, "step": "prepare", "state": "running", "cell": 8, "cells": 8, "memory": 412_000_000},
    {"event": "step", "at": 3.3, "step": "prepare", "state": "done", "seconds": 3.2, "notebook": f"{FOLDER}/prepare.ipynb"},
    {"event": "step", "at": 3.3, "step": "train", "state": "running"},
    {"event": "step", "at": 4.0, "step": "train", "state": "retrying", "error": "ValueError: no rows", "why": "again in 1 s"},
    {"event": "step", "at": 5.0, "step": "train", "state": "running"},
    {"event": "cell", "at": 5.5, "step": "train", "state": "running", "cell": 4, "cells": 7},
    {"event": "step", "at": 6.0, "step": "train", "state": "failed", "seconds": 1.0, "error": "Traceback\nValueError: no rows"},
    {"event": "step", "at": 6.0, "step": "evaluate", "state": "skipped", "why": "train failed"},
    {"event": "step", "at": 6.0, "step": "release", "state": "skipped", "why": "train failed"},
    {"event": "done", "at": 6.1, "run": "ab12cd34", "state": "failed"},
)  # fmt: skip
