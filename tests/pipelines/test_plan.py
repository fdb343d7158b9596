"""What would run, and why: dry runs of a small pipeline whose steps are committed by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import errors
from jupyter_mlops.config import Settings
from jupyter_mlops.pipelines.caching import plan
from jupyter_mlops.pipelines.caching.commits import Commit, Commits
from jupyter_mlops.pipelines.caching.plan import Planner, holds, planned
from jupyter_mlops.records import Pipeline, PipelineStep
from jupyter_mlops.store.leases import Lease
from tests.pipelines.notebook_files import write

STEPS = (
    PipelineStep(name="prepare", kind="notebook", source="prepare.ipynb", params={"month": 3}, inputs={"flights": "flights.csv"}),
    PipelineStep(name="train", kind="notebook", source="train.ipynb", inputs={"table": "prepare.table"}),
    PipelineStep(name="evaluate", kind="notebook", source="evaluate.ipynb", inputs={"model": "train.model", "table": "prepare.table"}),
    PipelineStep(name="tell", kind="shell", source="echo done", after=("evaluate",)),
)


@pytest.fixture
def pipeline(project: Path) -> Pipeline:
    """Four steps: prepare -> train -> evaluate, tell after all."""
    write(project / "prepare.ipynb", "month = 1\nflights = ''", "{'table': 1}", "import helpers")
    write(project / "train.ipynb", "table = ''", "{'model': 2}")
    write(project / "evaluate.ipynb", "table = model = ''", "{'score': 3}")
    (project / "helpers.py").write_text("X = 1\n")
    (project / "flights.csv").write_text("1,2\n")
    return Pipeline(name="flights", folder=str(project), steps=STEPS)


@pytest.fixture
def commits(project: Path, pipeline: Pipeline) -> Commits:
    """The commits of the project, none yet."""
    return plan.opened(Settings(project=project), pipeline)


def work(pipeline: Pipeline, commits: Commits, result: str = "", force: bool = False, **observed: Mapping[str, str]) -> list[str]:
    """Runs the pipeline as a runner does, without the work: the names of the steps that were not there yet.

    What a step gives is as its name says, and `result`.
    """
    planner, outputs, ran = Planner(pipeline, commits, force=force), {}, []
    for step in pipeline.steps:
        look = planner.look(step, outputs)
        made = commits.claim(look.key, "me", made_after=look.made_after)
        if isinstance(made, Lease):
            ran.append(step.name)
            gives = {name: {"digest": f"{step.name} {result}"} for name in ("table", "model", "score")}
            seen = observed.get(step.name, {})
            commit = Commit(key=look.key, parts=look.parts, pipeline=pipeline.name, step=step.name, outputs=gives, observed=seen)
            lease, made = made, commits.add(commit, made)
            commits.leases.release(lease)
        assert made is not None
        outputs[step.name] = made.outputs
    return ran


def actions(pipeline: Pipeline, commits: Commits, selected: set[str] | None = None, **given: Any) -> dict[str, tuple[str, ...]]:
    """{step: (action, sentences)}"""
    return {item.step: (item.action, *item.why) for item in planned(pipeline, commits, selected, **given)}


CACHED = {"prepare": ("cached",), "train": ("cached",), "evaluate": ("cached",), "tell": ("cached",)}
WAITING = {
    "train": ("after", "waits for prepare"),
    "evaluate": ("after", "waits for train, prepare"),
    "tell": ("after", "waits for evaluate"),
}


def test_before_the_first_run_all_would_run(pipeline: Pipeline, commits: Commits) -> None:
    assert actions(pipeline, commits) == {"prepare": ("run", "it has not run yet"), **WAITING}


def test_after_a_run_nothing_would(pipeline: Pipeline, commits: Commits) -> None:
    assert work(pipeline, commits) == ["prepare", "train", "evaluate", "tell"]
    assert actions(pipeline, commits) == CACHED
    assert work(pipeline, commits) == []
    assert all(len(item.key or "") == 64 for item in planned(pipeline, commits))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda folder: (folder / "flights.csv").write_text("3,4\n"), {"prepare": ("run", "inputs.flights: content changed"), **WAITING}),
        (lambda folder: (folder / "helpers.py").write_text("X = 2\n"), {"prepare": ("run", "modules: helpers.py"), **WAITING}),
        (
            lambda folder: write(folder / "train.ipynb", "table = ''", "{'model': 2}", "print(1)"),
            {**CACHED, "train": ("run", "code: cell 2"), "evaluate": ("after", "waits for train"), "tell": ("after", "waits for evaluate")},
        ),
        (
            lambda folder: write(folder / "evaluate.ipynb", "table = model = ''\nlimit = 3", "{'score': 3}"),
            {**CACHED, "evaluate": ("run", "params.limit: none -> 3"), "tell": ("after", "waits for evaluate")},
        ),
        (lambda folder: (folder / "helpers.py").write_text("# a comment\nX = 1\n"), CACHED),
    ],
)
def test_what_depends_on_a_change_would_run_and_only_that(
    edit: Callable[[Path], object], told: dict[str, tuple[str, ...]], pipeline: Pipeline, commits: Commits, project: Path
) -> None:
    work(pipeline, commits)
    edit(project)
    assert actions(pipeline, commits) == told


def test_a_step_that_waits_tells_what_changed_in_itself(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    work(pipeline, commits)
    (project / "flights.csv").write_text("3,4\n")
    write(project / "train.ipynb", "table = ''", "{'model': 2}", "print(1)")
    assert actions(pipeline, commits)["train"] == ("after", "waits for prepare", "code: cell 2")


@pytest.mark.parametrize(
    ("edit", "held"),
    [
        (lambda folder: None, True),
        (lambda folder: (folder / "other.csv").write_text("x"), True),
        (lambda folder: (folder / "flights.csv").write_text("3,4\n"), False),
        (lambda folder: (folder / "helpers.py").write_text("X = 2\n"), False),
        (lambda folder: write(folder / "prepare.ipynb", "month = 1\nflights = ''", "{'table': 1}", "print(1)"), False),
    ],
)
def test_what_changed_while_a_step_ran_is_noticed(
    edit: Callable[[Path], object], held: bool, pipeline: Pipeline, commits: Commits, project: Path
) -> None:
    look = Planner(pipeline, commits).look(STEPS[0], {})
    edit(project)
    assert holds(look, pipeline, (), commits.contents) is held


def test_a_step_that_gives_the_same_again_leaves_what_depends_on_it(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    work(pipeline, commits)
    (project / "flights.csv").write_text("1,2\n\n")
    assert work(pipeline, commits) == ["prepare"]
    (project / "flights.csv").write_text("5,6\n")
    assert work(pipeline, commits, "other") == ["prepare", "train", "evaluate"]


def test_what_was_there_before_is_there_again(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    work(pipeline, commits)
    (project / "flights.csv").write_text("3,4\n")
    work(pipeline, commits, "other")
    (project / "flights.csv").write_text("1,2\n")
    assert actions(pipeline, commits) == CACHED
    april = replace(pipeline, steps=(replace(STEPS[0], params={"month": 4}), *STEPS[1:]))
    # The nearest of the earlier results tells what changed, not the last one.
    assert actions(april, commits)["prepare"] == ("run", "params.month: 3 -> 4")


def test_a_file_that_a_step_read_without_saying_so_counts(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    (project / "codes.csv").write_text("a")
    work(pipeline, commits, train=commits.contents.observe(["codes.csv"]))
    assert actions(pipeline, commits) == CACHED
    (project / "codes.csv").write_text("b")
    assert actions(pipeline, commits)["train"] == ("run", "observed: codes.csv changed")
    (project / "codes.csv").write_text("a")
    assert actions(pipeline, commits) == CACHED


def test_forced_steps_run_though_nothing_changed(pipeline: Pipeline, commits: Commits) -> None:
    work(pipeline, commits)
    assert actions(pipeline, commits, force=True) == {"prepare": ("run", "forced"), **WAITING}
    assert actions(pipeline, commits, {"train"}, force=True) == {
        "prepare": ("skip", "not chosen"),
        "train": ("run", "forced"),
        "evaluate": ("skip", "not chosen"),
        "tell": ("skip", "not chosen"),
    }
    assert work(pipeline, commits, force=True) == ["prepare", "train", "evaluate", "tell"]


def test_a_step_that_is_not_to_be_cached_always_runs(pipeline: Pipeline, commits: Commits) -> None:
    uncached = replace(pipeline, steps=(*STEPS[:3], replace(STEPS[3], cache=False)))
    work(uncached, commits)
    assert actions(uncached, commits) == {**CACHED, "tell": ("run", "its results are not kept (cache: false)")}
    assert work(uncached, commits) == ["tell"]


@pytest.mark.parametrize("uncached", [{"cache": False}, {"inputs": {"flights": {"query": "SELECT 1", "connection": "sqlite:///x.db"}}}])
def test_a_step_that_always_runs_lends_its_last_result_when_it_was_not_chosen(
    uncached: dict[str, Any], pipeline: Pipeline, commits: Commits, project: Path
) -> None:
    always = replace(pipeline, steps=(replace(STEPS[0], **uncached), *STEPS[1:]))
    with pytest.raises(errors.PipelineError, match=r"no result for what it would be given now \(it has not run yet\): run it first"):
        planned(always, commits, {"train"})
    work(always, commits)
    assert actions(always, commits, {"train"})["train"] == ("cached",)
    assert actions(always, commits)["prepare"][0] == "run"
    write(project / "prepare.ipynb", "month = 1\nflights = ''", "{'table': 1}", "import json")
    with pytest.raises(errors.PipelineError, match=r"no result for what it would be given now \(code: cell 2; "):
        planned(always, commits, {"train"})


def test_a_query_without_a_fingerprint_always_runs(pipeline: Pipeline, commits: Commits) -> None:
    query = {"query": "SELECT 1", "connection": "sqlite:///x.db"}
    asking = replace(pipeline, steps=(replace(STEPS[0], inputs={"flights": query}), *STEPS[1:]))
    work(asking, commits)
    told = ("run", "inputs.flights: its query has no fingerprint, so that nobody can tell whether it changed")
    assert actions(asking, commits) == {"prepare": told, **WAITING}
    assert work(asking, commits) == ["prepare"]


def test_chosen_steps_take_what_the_others_gave_before(pipeline: Pipeline, commits: Commits) -> None:
    work(pipeline, commits)
    skipped = ("skip", "not chosen")
    assert actions(pipeline, commits, {"evaluate"}) == {"prepare": skipped, "train": skipped, "evaluate": ("cached",), "tell": skipped}


def test_a_step_that_was_not_chosen_and_has_no_result_is_named(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    work(pipeline, commits)
    write(project / "train.ipynb", "table = ''", "{'model': 2}", "print(1)")
    with pytest.raises(errors.PipelineError) as caught:
        planned(pipeline, commits, {"evaluate"})
    assert str(caught.value) == (
        "step 'train' was not chosen, and has no result for what it would be given now (code: cell 2): run it first, with --only train."
    )
    assert actions(pipeline, commits, {"tell"})["tell"] == ("cached",)


def test_what_was_not_chosen_is_not_looked_at_where_nothing_needs_it(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    (project / "evaluate.ipynb").unlink()
    assert actions(pipeline, commits, {"prepare"})["prepare"] == ("run", "it has not run yet")


def test_a_step_between_two_chosen_ones_waits_with_them(pipeline: Pipeline, commits: Commits) -> None:
    assert actions(pipeline, commits, {"prepare", "evaluate"}) == {
        "prepare": ("run", "it has not run yet"),
        "train": ("skip", "not chosen"),
        "evaluate": ("after", "waits for train, prepare"),
        "tell": ("skip", "not chosen"),
    }


def test_an_output_that_a_step_does_not_give_is_named(pipeline: Pipeline, commits: Commits) -> None:
    work(pipeline, commits)
    wrong = replace(pipeline, steps=(STEPS[0], replace(STEPS[1], inputs={"table": "prepare.tabel"}), *STEPS[2:]))
    with pytest.raises(errors.PipelineError) as caught:
        planned(wrong, commits)
    assert str(caught.value) == (
        "step 'train' takes prepare.tabel, but step 'prepare' gave no output 'tabel' (it gives table, model, score): correct the name."
    )


def test_a_second_pipeline_finds_what_the_first_one_did(pipeline: Pipeline, commits: Commits) -> None:
    work(pipeline, commits)
    assert actions(replace(pipeline, name="nightly"), commits) == CACHED


def test_two_steps_that_do_the_same_do_it_once(pipeline: Pipeline, commits: Commits) -> None:
    doubled = replace(pipeline, steps=(STEPS[0], replace(STEPS[0], name="again")))
    assert work(doubled, commits) == ["prepare"]
    assert work(doubled, commits, force=True) == ["prepare"]


PIPELINE = """\
name: flights
steps:
  prepare: {notebook: prepare.ipynb, params: {month: 3}, inputs: {flights: flights.csv}}
  train: {notebook: train.ipynb, inputs: {table: prepare.table}}
  evaluate: {notebook: evaluate.ipynb, inputs: {model: train.model, table: prepare.table}}
"""
HEAVY = ("sqlalchemy", "numpy", "pandas", "pyarrow", "mlflow", "papermill", "nbclient", "nbformat", "IPython", "asyncio")


def test_a_command_that_finds_nothing_changed_imports_nothing_heavy(pipeline: Pipeline, commits: Commits, project: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    work(replace(pipeline, steps=STEPS[:3]), commits)
    commits.contents.memory.close()
    words = [sys.executable, "-X", "importtime", "-m", "jupyter_mlops", "run", "pipeline.yaml", "--dry-run", "--json"]
    done = subprocess.run(words, cwd=project, capture_output=True, text=True, check=True, timeout=120)
    assert [step["action"] for step in json.loads(done.stdout)["steps"]] == ["cached"] * 3
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert sorted(imported.intersection(HEAVY)) == []


def test_the_latest_results_are_the_same_however_they_are_read(pipeline: Pipeline, commits: Commits) -> None:
    work(pipeline, commits)
    read = commits.latest_of("flights")
    assert sorted(read) == ["evaluate", "prepare", "tell", "train"]
    assert Commits(commits.state, commits.contents).latest_of("flights") == read
