"""One step at work: what it is given, where it works, and who may say what it gave."""

from __future__ import annotations

import shutil
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import SettingsError
from jupyter_mlops.pipelines.caching.plan import opened
from jupyter_mlops.pipelines.running.dispatch import Dispatch
from jupyter_mlops.pipelines.running.executing import command
from jupyter_mlops.pipelines.running.task import Stopped, Task
from jupyter_mlops.pipelines.running.work import run_step
from jupyter_mlops.pipelines.running.workplace import at_work, carried, is_here, mark, reachable
from jupyter_mlops.records import Pipeline
from jupyter_mlops.store.objects import ObjectStore
from tests.delivered import with_database
from tests.delivery_desk import wait_until
from tests.pipelines import notebook_files
from tests.pipelines.running import lines, notebook, pipeline, run, shell, states


@pytest.mark.parametrize(
    ("source", "arguments", "outputs", "expected"),
    [
        ("cat {path} > {out}", {"path": "a b.csv"}, {"out": "x.txt"}, "cat 'a b.csv' > x.txt"),
        ("run --month {month} {flag}", {"month": 3, "flag": True}, {}, "run --month 3 true"),
        ("echo {text}", {"text": "it's; rm -rf /"}, {}, "echo 'it'\"'\"'s; rm -rf /'"),
        ("awk '{print $1}' {path}", {"path": "x"}, {}, "awk '{print $1}' x"),
        ("echo {other} ${HOME}", {"path": "x"}, {}, "echo {other} ${HOME}"),
    ],
)
def test_a_command_gets_its_values_quoted(source: str, arguments: dict[str, Any], outputs: dict[str, str], expected: str) -> None:
    assert command(shell("step", source, outputs=outputs), arguments) == expected


def task_of(flow: Pipeline, settings: Settings | None = None, **changes: Any) -> Task:
    """The task of a pipeline's only step."""
    dispatch = Dispatch(flow, settings or config.load(), run="a" * 32, out=None, remote=False, force=False)
    return replace(dispatch.task(dispatch.look(flow.steps[0], {}), {}), **changes)


def silent(event: Any) -> None:
    """A report that nobody reads."""


def test_a_step_that_another_run_does_is_waited_for_and_taken(project: Path) -> None:
    flow = pipeline(project, shell("slow", "echo run >> log.txt; sleep 1; echo 1 > {out}", outputs={"out": "x"}))
    done: list[Any] = []
    told: list[Any] = []
    threads = [
        threading.Thread(target=lambda owner=owner: done.append(run_step(task_of(flow, owner=owner), told.append)))  # type: ignore[misc]
        for owner in ("one", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(item.step.state for item in done) == ["cached", "done"]
    assert done[0].step.outputs == done[1].step.outputs
    assert lines(project / "log.txt") == ["run"]
    assert {"event": "step", "step": "slow", "state": "waiting", "why": "another run does this step"} in told


def test_a_step_that_was_taken_over_ends_and_gives_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jupyter_mlops.pipelines.running.work.LEASE_SECONDS", 0.9)
    flow = pipeline(project, shell("slow", "touch begun; sleep 600", outputs={"out": "x"}))
    task = task_of(flow)
    commits = opened(config.load(), flow)
    done: list[Any] = []
    thread = threading.Thread(target=lambda: done.append(run_step(task, silent)))
    thread.start()
    wait_until((project / "begun").exists, 60)
    commits.free(task.key, task.owner)
    thread.join(60)
    assert (done[0].step.state, done[0].step.why) == (
        "cancelled",
        ("another run took the step over, as this one was not heard of for too long",),
    )
    assert commits.find(task.key) is None


def test_a_stopped_step_ends_and_leaves_its_claim_to_others(project: Path) -> None:
    flow = pipeline(project, shell("slow", "echo so far; touch begun; sleep 600"))

    def report(event: Any) -> None:
        if (project / "begun").exists():
            raise Stopped

    task = task_of(flow)
    told = run_step(task, report).step
    assert (told.state, Path(told.notebook).read_text()) == ("cancelled", "so far\n")
    assert opened(config.load(), flow).leases.holder(f"step {task.key}") is None


def test_a_project_knows_itself_by_its_mark(project: Path, tmp_path: Path) -> None:
    here, elsewhere = Settings(project=project), Settings(project=tmp_path / "copy")
    assert is_here(here, mark(here))
    assert mark(here) == mark(here)
    assert not is_here(elsewhere, mark(here))
    mark(elsewhere)
    assert not is_here(elsewhere, mark(here))


def test_a_visiting_step_finds_its_files_and_leaves_nothing(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (project / "data").mkdir()
    (project / "data" / "a.csv").write_text("1")
    (project / "helper.py").write_text("x = 1")
    objects = ObjectStore("memory://visiting")
    needed = carried(project, ["data", "helper.py", "missing.py"], objects)
    settings = Settings(project=tmp_path / "gone", objects="memory://visiting", database="postgresql://nobody@nowhere/x")
    with at_work(str(project), settings, "mark", needed) as place:
        assert place.visiting
        assert {path.relative_to(place.folder).as_posix() for path in place.folder.rglob("*.*")} == {"data/a.csv", "helper.py"}
        (place.folder / "helper.py").write_text("changed")
    assert not place.folder.exists()
    assert (project / "helper.py").read_text() == "x = 1"
    # On a machine of many, somebody else may have prepared the place.
    common, theirs = place.folder.parent.parent, tmp_path / "theirs"
    shutil.rmtree(common)
    theirs.mkdir()
    common.symlink_to(theirs)
    with at_work(str(project), settings, "mark", needed) as place:
        assert {path.name for path in place.folder.iterdir()} == {"data", "helper.py"}
    assert not list(theirs.iterdir())


@pytest.mark.parametrize(
    ("objects", "database", "sentence"),
    [
        (None, "postgresql://x/y", "The setting objects = None cannot be used: steps on other machines need a URL that all reach"),
        ("/data/objects", "postgresql://x/y", "The setting objects = '/data/objects' cannot be used: "),
        ("s3://lab/objects", None, "The setting database = None cannot be used: steps on other machines need a PostgreSQL URL"),
        ("s3://lab/objects", "sqlite:///x.db", "The setting database = 'sqlite:///x.db' cannot be used: "),
    ],
)
def test_settings_of_one_machine_do_not_do_for_others(objects: str | None, database: str | None, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refusal:
        reachable(Settings(project=tmp_path, objects=objects, database=database))
    assert str(refusal.value).startswith(sentence)


def test_a_file_that_a_notebook_reads_without_saying_so_counts(project: Path) -> None:
    with_database(project)
    (project / "rates.csv").write_text("a\n1\n")
    code = "import pandas as pd\ntotal = int(pd.read_csv('rates.csv').a.sum())"
    notebook_files.write(project / "read.ipynb", "x: int = 1", "{'sum': total}", code)
    flow = pipeline(project, notebook("read", "read.ipynb"))
    assert run(flow).steps[0].metrics == {"sum": 1}
    assert states(run(flow)) == {"read": "cached"}
    (project / "rates.csv").write_text("a\n5\n")
    again = run(flow).steps[0]
    assert (again.state, again.why, again.metrics) == ("done", ("observed: rates.csv changed",), {"sum": 5})
