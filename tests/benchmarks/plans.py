"""Pipelines in which nothing changed: what it takes to know that, from the command line and in a plan; the peer is DVC."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.caching.commits import Commit, Commits
from jupyter_mlops.pipelines.caching.plan import Planner, opened, planned
from jupyter_mlops.records import Pipeline, PipelineStep
from jupyter_mlops.store.leases import Lease

from .kernels import empty_folder
from .peers import DVC, programs
from .startup import command
from .table import Row, row, seconds

STEPS, MANY = 100, 1_000
GROWTH = (10, 100, 1_000)
ROUNDS = 5
CODE = """\
import json
import features

def scaled(value):
    return value * features.FACTOR

table = [scaled(number) for number in range(10)]"""


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_unchanged(), *_plans()]


def _unchanged() -> Iterator[Row]:
    with empty_folder() as ours, tempfile.TemporaryDirectory(prefix="dvc-", ignore_cleanup_errors=True) as place:
        _notebooks(ours, STEPS)
        (ours / "pipeline.yaml").write_text(_pipeline_file(STEPS))
        run = [command("mlops"), "run", "pipeline.yaml"]
        start = time.perf_counter()
        _quietly(run, ours)
        first = time.perf_counter() - start
        turns, found = [lambda: _quietly(run, ours)], programs(DVC)
        if found is not None:
            theirs, dvc = Path(place, "project"), str(found / "dvc")
            _stages(theirs, dvc, STEPS)
            turns.append(lambda: _quietly([dvc, "repro"], theirs))
        mine, *peers = seconds(*turns, rounds=ROUNDS)
    yield row(f"{STEPS} unchanged steps, s", mine, 1, "<= 1", f"1 s; the first run took {first:.1f} s")
    for peer in peers:
        yield row(f"{STEPS} unchanged steps, s", mine, peer, "<= 1", f"dvc repro of {STEPS} unchanged stages")


def _plans() -> Iterator[Row]:
    for steps in GROWTH:
        with empty_folder() as folder:
            _notebooks(folder, steps)
            pipeline = _pipeline(folder, steps)
            _commit_all(pipeline, folder)
            # A file that was changed a moment ago is read again each time.
            time.sleep(2.1)
            _plan(pipeline, folder)
            taken = median(_plan(pipeline, folder) for _ in range(ROUNDS))
            (folder / "features.py").write_text("FACTOR = 3\n")
            changed = _plan(pipeline, folder)
        if steps == MANY:
            yield row(f"{steps} unchanged steps planned, s", taken, 1, "<= 1", "1 s")
            yield row(f"{steps} steps planned after a change, s", changed, 1, "<= 1", "1 s")
        yield row(f"{steps} unchanged steps planned, ms per step", 1000 * taken / steps, 1, "printed", "1 ms")


def _plan(pipeline: Pipeline, folder: Path) -> float:
    """Seconds of a plan by a process that knows nothing yet."""
    commits = opened(Settings(project=folder), pipeline)
    start = time.perf_counter()
    found = planned(pipeline, commits)
    taken = time.perf_counter() - start
    assert len(found) == len(pipeline.steps)
    commits.contents.memory.close()
    commits.state.close()
    return taken


def _commit_all(pipeline: Pipeline, folder: Path) -> None:
    """As if every step had run."""
    commits: Commits = opened(Settings(project=folder), pipeline)
    planner, outputs = Planner(pipeline, commits), {}
    for step in pipeline.steps:
        look = planner.look(step, outputs)
        lease = commits.claim(look.key, "benchmark")
        assert isinstance(lease, Lease)
        gives = {"table": {"kind": "json", "digest": look.key, "object": look.key, "format": "json", "size": 100}}
        made = Commit(key=look.key, parts=look.parts, pipeline=pipeline.name, step=step.name, outputs=gives)
        outputs[step.name] = commits.add(made, lease).outputs
        commits.leases.release(lease)
    commits.contents.memory.close()
    commits.state.close()


def _notebooks(folder: Path, steps: int) -> None:
    (folder / "features.py").write_text("FACTOR = 2\n")
    (folder / "data.csv").write_text("1,2,3\n" * 1000)
    for number in range(steps):
        cells = [("month = 3\ntable = ''", ["parameters"]), (f"{CODE}\nnumber = {number}", []), ("{'table': table}", ["outputs"])]
        made = [
            {"cell_type": "code", "id": f"c{place}", "metadata": {"tags": tags}, "source": text, "execution_count": None, "outputs": []}
            for place, (text, tags) in enumerate(cells)
        ]
        head = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}, "language_info": {"name": "python"}}
        content = {"nbformat": 4, "nbformat_minor": 5, "metadata": head, "cells": made}
        (folder / f"step{number}.ipynb").write_text(json.dumps(content))


def _source(number: int) -> str:
    """Ten chains side by side, each of which starts from the file."""
    return f"step{number - 10}.table" if number >= 10 else "data.csv"


def _pipeline(folder: Path, steps: int) -> Pipeline:
    made = (
        PipelineStep(name=f"step{number}", kind="notebook", source=f"step{number}.ipynb", inputs={"table": _source(number)})
        for number in range(steps)
    )
    return Pipeline(name="many", folder=str(folder), steps=tuple(made))


def _pipeline_file(steps: int) -> str:
    lines = ["name: many", "steps:"]
    lines += [f"  step{number}: {{notebook: step{number}.ipynb, inputs: {{table: {_source(number)}}}}}" for number in range(steps)]
    return "\n".join(lines) + "\n"


def _stages(folder: Path, dvc: str, steps: int) -> None:
    """The same pipeline for DVC, each stage a short program, run once."""
    folder.mkdir()
    (folder / "data.csv").write_text("1,2,3\n" * 1000)
    (folder / "step.py").write_text("import sys\nopen(sys.argv[2], 'w').write(open(sys.argv[1]).read())\n")
    lines = ["stages:"]
    for number in range(steps):
        given = f"table{number - 10}.txt" if number >= 10 else "data.csv"
        lines += [
            f"  step{number}:",
            f"    cmd: {sys.executable} -S step.py {given} table{number}.txt",
            f"    deps: [step.py, {given}]",
            f"    outs: [table{number}.txt]",
        ]
    (folder / "dvc.yaml").write_text("\n".join(lines) + "\n")
    _quietly([dvc, "init", "--no-scm", "-q"], folder)
    _quietly([dvc, "config", "core.analytics", "false"], folder)
    _quietly([dvc, "repro"], folder)


def _quietly(words: list[str], folder: Path) -> None:
    subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
