"""`mlops demo`: the whole loop on a year of real flights, act by act, in a folder that is worth looking at afterwards.

A first notebook is tracked; its best run is replayed, cut into a step, and the step made a pipeline. Meanwhile a second notebook serves a
model, feeds it month after month, and lets it be watched, trained again, refused and taken back.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from .. import config
from ..errors import DemoFailed, NotFound, UsageError
from ..records import Node, PipelineRun, Run, Trace
from ..store import client
from . import commands, editing
from .answers import Act, Demo, Entries, Report, inputs_of
from .arguments import FORM
from .demo_notebooks import Playing, end_all, installed
from .demo_story import acts_of
from .demo_telling import Telling
from .pipeline_view import headline

EXPLORE, YEAR, STREAM = "1_track_and_compare.ipynb", "4_serve_and_monitor.ipynb", "stream"
FOLDER = "mlops-demo"
MODEL = "late-flights"
STEP = "late_flights.ipynb"
PIPELINE = """\
# The step that was cut out of the notebook, asked two questions, and which of them is the easier one.
name: how-late
params: {late: 60} # minutes; mlops run pipeline.yaml -p late=120
steps:
  quarter-hour: {notebook: late_flights.ipynb, params: {late_after: 15}}
  later: {notebook: late_flights.ipynb, params: {late_after: "{late}"}}
  easier: {python: "questions.py:easier", inputs: {quarter_hour: quarter-hour.auc, later: later.auc}}
"""
QUESTIONS = '''\
"""The last step of pipeline.yaml: a plain function."""


def easier(quarter_hour: float, later: float) -> dict[str, object]:
    """Which question has the better answers, and by how much."""
    return {"question": "quarter_hour" if quarter_hour > later else "later", "by": abs(quarter_hour - later)}
'''
RESTING = "OMP_WAIT_POLICY"
DELIVERY_SECONDS = 120
MOST = 1_000


def play(here: Path) -> Demo:
    """Play the loop in `here` if that is an empty folder, else in a new folder below it; tell what came of it.

    Raises DemoFailed, or what the verb raised that failed; nothing that was started runs on then, nor after Ctrl-C.
    """
    if editing.current() is not None:
        raise UsageError("The demo makes a project of its own, and this notebook is tracked in another: run `mlops demo` in a terminal.")
    folder = empty_folder(here)
    # The store is made now, so that a project further up does not take these runs for its own.
    (folder / ".mlops").mkdir(mode=0o700)
    with chdir(folder), _resting_threads(), _ended_if_stopped(folder), Telling(sys.stderr) as told:
        told("demo", f"the whole loop on real flights, in {folder}: about two minutes")
        return _Loop(folder, told).play()


def empty_folder(here: Path) -> Path:
    """`here` if nothing is in it, else the first free one of mlops-demo, mlops-demo-2, ... below it, made."""
    if not any(here.iterdir()):
        return here
    number = 1
    while True:
        folder = here / (FOLDER if number == 1 else f"{FOLDER}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
            continue
        return folder


@contextmanager
def _resting_threads() -> Iterator[None]:
    """Threads of OpenMP that wait for work leave the processor to others meanwhile: two notebooks play side by side."""
    if RESTING in os.environ:
        yield
        return
    os.environ[RESTING] = "passive"
    try:
        yield
    finally:
        del os.environ[RESTING]


@contextmanager
def _ended_if_stopped(folder: Path) -> Iterator[None]:
    # The demo's one answer is JSON then, not what its verbs tell as they go.
    form = FORM.set("")
    try:
        yield
    except BaseException:
        end_all(folder)
        raise
    finally:
        FORM.reset(form)


class _Loop:
    def __init__(self, folder: Path, told: Telling) -> None:
        self._folder, self._told = folder, told
        self._acts: list[Act] = []
        self._began = time.monotonic()

    def play(self) -> Demo:
        best = self._track()
        shutil.copytree(installed(STREAM), self._folder / STREAM, ignore=shutil.ignore_patterns("seen.parquet"))
        self._told("year", f"{YEAR} begins, beside what follows")
        year = Playing(YEAR, self._folder, lambda heading: self._told("year", heading))
        self._replay(best)
        self._step(best)
        self._pipeline()
        self._told("year", "on with it")
        year.end()
        trace = self._models()
        tried = _tried()
        best = next(run for run in tried if run.id == best.id)
        lineage = commands.lineage(best.id, of="auc")
        assert isinstance(lineage, Node)
        return Demo(
            notebook=str(self._folder / EXPLORE),
            acts=tuple(self._acts),
            runs=tuple(tried),
            comparison=commands.compare(tried[1].id, best.id),
            lineage=lineage,
            prediction=trace,
            next=_next(best, trace),
            seconds=time.monotonic() - self._began,
        )

    def _track(self) -> Run:
        self._told("track", f"{EXPLORE}: four models, nothing but %load_ext jupyter_mlops at its top")
        Playing(EXPLORE, self._folder, lambda heading: self._told("track", heading)).end()
        client.ask(config.load(), "flush", timeout=DELIVERY_SECONDS)
        tried = _tried()
        if len(tried) < 2:
            raise NotFound("run with an auc in", str(self._folder), "`mlops doctor` says what is wrong with this installation.")
        best = tried[0]
        rows = max((item.rows or 0 for item in inputs_of(best)), default=0)
        self._done("track", f"{len(tried)} models on {rows:,} flights, each a run: auc {_auc(tried[-1]):.3f}, at best {_auc(best):.3f}")
        return best

    def _replay(self, best: Run) -> None:
        self._told("replay", f"the best run again, {best.id[:8]}, in a fresh kernel; every result is compared with the record")
        found = commands.replay(best.id)
        if found.verdict == "different":
            raise DemoFailed(EXPLORE, f"the replay of run {best.id[:8]} is {found.verdict}: `mlops replay {best.id[:8]}` tells in what")
        same = sum(item.verdict == "identical" for item in found.results)
        told = f"{found.verdict}: {same} of {len(found.results)} results of {best.id[:8]} are the same again"
        self._done("replay", f"{told}, score {found.score:.2f}, in {found.seconds:.0f} s")

    def _step(self, best: Run) -> None:
        self._told("step", f"the statements that auc needs, as a papermill notebook, {STEP}")
        made = commands.step(best.id, result=("auc",), out=Path(STEP))
        self._done("step", f"{STEP}: {made.kept} of {made.executed} statements give the same auc; {len(made.parameters)} parameters")

    def _pipeline(self) -> None:
        Path("pipeline.yaml").write_text(PIPELINE, encoding="utf-8")
        Path("questions.py").write_text(QUESTIONS, encoding="utf-8")
        self._told("pipeline", "pipeline.yaml: the step with two parameters, and a function of what both give")
        first = self._run()
        self._told("pipeline", "once more")
        again = self._run()
        cached = sum(step.state == "cached" for step in again.steps)
        told = f"{len(first.steps)} steps in {first.seconds:.1f} s; again: {cached} cached, in {again.seconds:.1f} s"
        self._done("pipeline", told)

    def _run(self) -> PipelineRun:
        found = commands.run(Path("pipeline.yaml"))
        assert isinstance(found, PipelineRun)
        for step in found.steps:
            if step.error:
                raise DemoFailed(step.notebook or "pipeline.yaml", headline(step))
        return found

    def _models(self) -> Trace:
        """The acts that the second notebook played, as the audit log and the log of predictions have them; the trace of a prediction."""
        from ..models.predictions import reading

        entries = commands.audit(MODEL, limit=MOST)
        assert isinstance(entries, Entries)
        counts = reading.counts(config.load(), MODEL)
        for act in acts_of(entries[::-1], counts):
            self._done(act.name, act.outcome)
        newest = next(reading.batches(config.load(), MODEL, version=max(counts), columns=["id"]))
        trace = commands.lineage(newest.column("id")[0].as_py())
        assert isinstance(trace, Trace)
        if trace.missing:
            raise NotFound("whole lineage of the prediction", trace.ref, trace.missing[0])
        data = ", ".join(f"{item['name']} ({item['digest'][:8]})" for item in trace.data if item["kind"] == "file")
        code = "{} of {} statements".format(*trace.statements)
        told = f"prediction {trace.ref[:12]}…: version {trace.version.version}, run {trace.run.id[:8]}, {code}, {data}"
        self._done("lineage", told)
        report = commands.audit(verify=True)
        assert isinstance(report, Report)
        self._done("audit", f"{len(entries)} entries, chained by their hashes: {'all as they were written' if report.ok else 'altered'}")
        return trace

    def _done(self, name: str, outcome: str) -> None:
        self._acts.append(Act(name=name, outcome=outcome))
        self._told(name, f"✓ {outcome}")


def _tried() -> list[Run]:
    """The runs of the first notebook, the best one first; a server may have those of an earlier demo, too."""
    found = [run for run in commands.runs(sort="-auc", limit=MOST) if run.notebook == EXPLORE and "auc" in run.metrics]
    last = max(found, key=lambda run: run.started, default=None)
    return [run for run in found if last is not None and run.session == last.session]


def _auc(run: Run) -> float:
    return run.metrics["auc"]


def _next(best: Run, trace: Trace) -> dict[str, str]:
    """Commands that work in the demo's folder, and what they show."""
    return {
        f"jupyter lab {EXPLORE}": "change a value, run its cell; three bars at the left: runs, data, pipelines, models",
        "mlops ui": "the same runs in MLflow",
        "mlops runs --where 'auc > 0.7' --sort -auc": "the runs that do well, those of the pipelines among them",
        f"mlops show {best.id[:8]}": "the whole story of the best run",
        "mlops run pipeline.yaml -p late=120": "another question: only what depends on it runs",
        f"mlops lineage {trace.ref}": "from one prediction back to code and data",
        f"mlops audit {MODEL}": f"who did what to the model; its card is cards/{MODEL}-1/card.html",
        f"mlops serve {MODEL}": "the champion answers at http://127.0.0.1:8000, until Ctrl-C",
    }
