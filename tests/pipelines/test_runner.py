"""Runs of pipelines: order, caching, failures, retries, choice of steps, and what is recorded of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition import loading
from jupyter_mlops.pipelines.running import runner
from jupyter_mlops.records import PipelineStep
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import open_objects
from tests.delivered import artifact, settled, with_database
from tests.delivery_desk import wait_until
from tests.pipelines import notebook_files
from tests.pipelines.running import Told, lines, notebook, pipeline, python, run, shell, states

WROTE = "echo {name} >> log.txt; echo {name} > {out}"


def writes(name: str, **fields: Any) -> PipelineStep:
    """A step that writes its name to a file, and to the log of all that ran."""
    fields = {"params": {"name": name}, "outputs": {"out": f"{name}.txt"}} | fields
    return shell(name, WROTE, **fields)


def test_steps_run_in_order_and_then_are_there(project: Path) -> None:
    flow = pipeline(
        project,
        shell("joined", "cat {a} {b} > {out}", inputs={"a": "one.out", "b": "two.out"}, outputs={"out": "joined.txt"}),
        writes("one"),
        writes("two", after=("one",)),
    )
    told = Told()
    done = run(flow, told)
    assert (done.status, states(done)) == ("done", {"one": "done", "two": "done", "joined": "done"})
    assert (project / "joined.txt").read_text() == "one\ntwo\n"
    assert lines(project / "log.txt") == ["one", "two"]
    assert told.states("two") == ["waiting", "running", "done"]
    assert told.events[0]["event"] == "run"
    assert told.events[-1] == {"event": "done", "state": "done", "at": told.events[-1]["at"], "run": done.id, "seconds": done.seconds}
    assert json.loads(json.dumps(told.events)) == json.loads(json.dumps([dict(event) for event in told.events]))
    again = run(flow)
    assert states(again) == {"one": "cached", "two": "cached", "joined": "cached"}
    assert lines(project / "log.txt") == ["one", "two"]
    assert [step.run for step in again.steps] == [step.run for step in done.steps]
    assert again.edges == {"one": (), "two": ("one",), "joined": ("one", "two")}


def test_only_what_depends_on_a_changed_file_runs_again(project: Path) -> None:
    (project / "in.txt").write_text("1")
    flow = pipeline(
        project,
        shell("read", "echo read >> log.txt; cat {path} > {out}", inputs={"path": "in.txt"}, outputs={"out": "read.txt"}),
        shell("use", "echo use >> log.txt; cat {path} > {out}", inputs={"path": "read.out"}, outputs={"out": "use.txt"}),
        writes("other"),
    )
    run(flow)
    (project / "in.txt").write_text("2")
    again = run(flow)
    assert states(again) == {"read": "done", "use": "done", "other": "cached"}
    assert next(step.why for step in again.steps if step.step == "read") == ("inputs.path: content changed",)
    assert (project / "use.txt").read_text() == "2"


def test_a_step_that_gives_the_same_as_before_leaves_the_rest_alone(project: Path) -> None:
    (project / "in.txt").write_text("1 ")
    flow = pipeline(
        project,
        shell("read", "tr -d ' ' < {path} > {out}", inputs={"path": "in.txt"}, outputs={"out": "read.txt"}),
        shell("use", "cat {path} > {out}", inputs={"path": "read.out"}, outputs={"out": "use.txt"}),
    )
    run(flow)
    (project / "in.txt").write_text("1")
    assert states(run(flow)) == {"read": "done", "use": "cached"}


def test_declared_files_of_a_cached_step_come_back(project: Path) -> None:
    flow = pipeline(project, writes("one"))
    run(flow)
    (project / "one.txt").unlink()
    assert states(run(flow)) == {"one": "cached"}
    assert (project / "one.txt").read_text() == "one\n"
    (project / "one.txt").write_text("edited")
    run(flow)
    assert (project / "one.txt").read_text() == "one\n"


def test_a_failed_step_skips_what_follows_and_nothing_else(project: Path) -> None:
    flow = pipeline(
        project,
        shell("bad", "echo so far; echo no rows >&2; exit 3", outputs={"out": "bad.txt"}),
        shell("next", "cat {path}", inputs={"path": "bad.out"}),
        shell("last", "true", after=("next",)),
        writes("other"),
    )
    done = run(flow)
    assert (done.status, states(done)) == ("failed", {"bad": "failed", "next": "skipped", "last": "skipped", "other": "done"})
    told = {step.step: step for step in done.steps}
    assert told["bad"].error == "so far\nno rows\nThe shell step ended with status 3."
    assert Path(told["bad"].notebook).read_text() == "so far\nno rows\n"
    assert (told["next"].why, told["last"].why) == (("bad failed",), ("next skipped",))
    assert states(run(flow))["other"] == "cached"


@pytest.mark.parametrize(
    ("command", "fields", "error"),
    [
        (
            "true",
            {"outputs": {"out": "none.txt"}},
            "The output 'out' cannot be kept: there is no file '{project}/none.txt' when the step ends.",
        ),
        ("sleep 60", {"timeout": 0.5}, "The step was ended after its timeout of 0.5 s."),
        ("kill -9 $$", {}, "The shell step was ended by signal 9."),
    ],
)
def test_a_step_says_why_it_failed(project: Path, command: str, fields: dict[str, Any], error: str) -> None:
    done = run(pipeline(project, shell("step", command, **fields)))
    assert (states(done), done.steps[0].error) == ({"step": "failed"}, error.replace("{project}", str(project)))


def test_a_step_is_tried_again_after_a_pause(project: Path) -> None:
    flaky = "echo try >> log.txt; test $(wc -l < log.txt) -ge 3"
    told = Told()
    done = run(pipeline(project, shell("flaky", flaky, retries=2, backoff=0.05, factor=2.0)), told)
    assert (done.status, done.steps[0].attempts, len(lines(project / "log.txt"))) == ("done", 3, 3)
    assert told.states("flaky") == ["waiting", "running", "retrying", "running", "retrying", "running", "done"]
    assert [event["why"] for event in told.events if event.get("state") == "retrying"] == [
        "attempt 1 failed, the next is in 0.05 s",
        "attempt 2 failed, the next is in 0.1 s",
    ]


def test_what_cannot_get_better_is_not_tried_again(project: Path) -> None:
    done = run(pipeline(project, shell("wrong", "echo try >> log.txt", outputs={"out": "none.txt"}, retries=5, backoff=0.05)))
    assert (done.steps[0].attempts, lines(project / "log.txt")) == (1, ["try"])


def test_steps_run_at_once_as_far_as_there_is_room(project: Path) -> None:
    meet = "touch {me}; for i in $(seq 100); do test -e {other} && exit 0; sleep 0.1; done; exit 1"
    both = [shell(me, meet, params={"me": f"{me}.flag", "other": f"{other}.flag"}) for me, other in (("a", "b"), ("b", "a"))]
    assert run(pipeline(project, *both), jobs=2).status == "done"
    alone = "test ! -e busy && touch busy && sleep 0.3 && rm busy"
    three = [shell(name, alone, params={"n": name}, resources={"cpus": 64}) for name in "cde"]
    assert run(pipeline(project, *three), jobs=3).status == "done"


def test_chosen_steps_take_what_the_others_gave_before(project: Path) -> None:
    flow = pipeline(
        project,
        writes("one"),
        shell("two", "echo two >> log.txt; cat {path} > {out}", inputs={"path": "one.out"}, outputs={"out": "two.txt"}),
        shell("three", "echo three >> log.txt; cat {path} > {out}", inputs={"path": "two.out"}, outputs={"out": "three.txt"}),
    )
    with pytest.raises(PipelineError, match="step 'one' was not chosen, and has no result"):
        run(flow, only=["two"])
    run(flow)
    (project / "log.txt").unlink()
    done = run(flow, only=["two"], force=True)
    assert states(done) == {"one": "skipped", "two": "done", "three": "skipped"}
    assert states(run(flow, start="two", force=True)) == {"one": "skipped", "two": "done", "three": "done"}
    assert lines(project / "log.txt") == ["two", "two", "three"]
    assert states(run(flow, only=["two"])) == {"one": "skipped", "two": "cached", "three": "skipped"}


def test_a_step_that_is_not_kept_runs_each_time(project: Path) -> None:
    flow = pipeline(project, writes("one", cache=False), shell("two", "cat {path}", inputs={"path": "one.out"}))
    assert states(run(flow)) == {"one": "done", "two": "done"}
    assert states(run(flow)) == {"one": "done", "two": "cached"}


def test_results_whose_bytes_are_gone_are_made_anew(project: Path) -> None:
    flow = pipeline(
        project, python("one", "steps.py:one"), shell("two", "cat {path} {other}", inputs={"path": "one.table", "other": "in.txt"})
    )
    (project / "in.txt").write_text("1")
    (project / "steps.py").write_text("import pandas as pd\ndef one():\n    return {'table': pd.DataFrame({'a': [1]})}\n")
    run(flow)
    for pack in (project / ".mlops" / "objects" / "packs").iterdir():
        pack.unlink()
    for file in (project / ".mlops" / "pipelines" / "files").glob("*.parquet"):
        file.unlink()
    (project / "in.txt").write_text("2")
    lost = run(flow)
    assert states(lost) == {"one": "cached", "two": "failed"}
    assert lost.steps[1].error == "Inputs of two are no longer in the store: path (one.table); run the same again, and they are made anew."
    assert states(run(flow)) == {"one": "done", "two": "done"}


def test_functions_get_values_and_paths_and_give_outputs(project: Path) -> None:
    (project / "in.csv").write_text("a\n1\n2\n")
    (project / "steps.py").write_text(
        "import pandas as pd\n"
        "def load(path, rows):\n"
        "    table = pd.read_csv(path).head(rows)\n"
        "    return {'table': table, 'mean': table.a.mean()}\n"
        "def total(table, mean, factor):\n"
        "    print('adding')\n"
        "    return pd.read_parquet(table).a.sum() * factor + mean\n"
    )
    flow = pipeline(
        project,
        python("load", "steps.py:load", params={"rows": 2}, inputs={"path": "in.csv"}),
        python("total", "steps:total", params={"factor": 10}, inputs={"table": "load.table", "mean": "load.mean"}),
        python("wrong", "steps:total", params={"x": 1}),
    )
    done = run(flow)
    told = {step.step: step for step in done.steps}
    assert states(done) == {"load": "done", "total": "done", "wrong": "failed"}
    assert told["load"].metrics == {"mean": 1.5}
    assert told["total"].outputs["result"]["value"] == 31.5
    assert Path(told["total"].notebook).read_text() == "adding\n"
    assert "total(table, mean, factor) cannot be called: missing a required argument: 'table'." in told["wrong"].error
    (project / "steps.py").write_text((project / "steps.py").read_text() + "# a comment\n")
    assert states(run(flow, only=["load", "total"])) == {"load": "cached", "total": "cached", "wrong": "skipped"}


def test_what_a_function_reads_without_saying_so_counts(project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere.txt"
    for file in (project / "config.txt", project / "other.txt", outside):
        file.write_text("1")
    code = (
        f"from pathlib import Path\nFAR = Path({str(outside)!r})\n"
        "def made():\n    Path('kept.txt').write_text('x')\n    Path('kept.txt').read_text()\n"
        "    return Path('config.txt').read_text() + FAR.read_text()\n"
    )
    (project / "steps.py").write_text(code)
    flow = pipeline(project, python("one", "steps:made"))
    assert states(run(flow)) == {"one": "done"}
    (project / "steps.py").write_text(f"# how it is made\n{code}")
    (project / "other.txt").write_text("2")
    (project / "kept.txt").write_text("y")
    assert states(run(flow)) == {"one": "cached"}
    for file in (project / "config.txt", outside):
        file.write_text("2")
        assert states(run(flow)) == {"one": "done"}


@pytest.mark.parametrize("source", ["steps.py:fails", "steps:fails"])
def test_what_a_function_raises_is_shown_as_its_author_knows_it(project: Path, source: str) -> None:
    (project / "steps.py").write_text("def deep():\n    return {}['x']\ndef fails():\n    return deep()\n")
    error = run(pipeline(project, python("fails", source))).steps[0].error
    frames = [line.strip() for line in error.splitlines() if line.startswith("  File")]
    assert frames == [f'File "{project}/steps.py", line 4, in fails', f'File "{project}/steps.py", line 2, in deep']
    assert error.splitlines()[-2:] == ["KeyError: 'x'", "The python step ended with status 1."]


def test_a_query_is_passed_as_a_file(project: Path) -> None:
    import sqlite3

    with sqlite3.connect(project / "x.db") as database:
        database.execute("create table t (a integer)")
        database.executemany("insert into t values (?)", [(1,), (2,)])
    (project / "steps.py").write_text("import pandas as pd\ndef total(rows):\n    return int(pd.read_parquet(rows).a.sum())\n")
    query = {"query": "select * from t", "connection": "sqlite:///x.db", "fingerprint": "select max(a) from t"}
    flow = pipeline(project, python("total", "steps:total", inputs={"rows": query}))
    assert run(flow).steps[0].metrics == {"result": 3}
    assert states(run(flow)) == {"total": "cached"}
    with sqlite3.connect(project / "x.db") as database:
        database.execute("insert into t values (5)")
    assert run(flow).steps[0].metrics == {"result": 8}


@pytest.fixture
def notebooks(project: Path) -> Path:
    """A project with two notebooks that a pipeline connects."""
    notebook_files.write(
        project / "make.ipynb", "rows: int = 2", "{'table': table, 'rows': rows}",
        "import pandas as pd\ntable = pd.DataFrame({'a': range(rows)})",
    )  # fmt: skip
    notebook_files.write(
        project / "sum.ipynb", "table: str = ''\nrows: int = 0", "{'total': total}",
        "import pandas as pd\ntotal = int(pd.read_parquet(table).a.sum()) + 100 * rows",
    )  # fmt: skip
    (project / "pipeline.yaml").write_text(
        "name: flow\n"
        "params: {rows: 3}\n"
        "steps:\n"
        '  make: {notebook: make.ipynb, params: {rows: "{rows}"}}\n'
        "  sum: {notebook: sum.ipynb, inputs: {table: make.table, rows: make.rows}}\n"
        "  list: {shell: 'wc -c {table}', inputs: {table: make.table}}\n"
    )
    return with_database(project)


def flow_of(project: Path, **given: Any) -> Any:
    return loading.parameters(loading.load(project / "pipeline.yaml"), given)


def test_notebooks_pass_frames_and_numbers_and_are_recorded_under_the_pipeline(notebooks: Path) -> None:
    done = run(flow_of(notebooks))
    told = {step.step: step for step in done.steps}
    assert (done.status, told["sum"].outputs["total"]["value"]) == ("done", 303)
    assert (told["make"].cells, told["make"].metrics) == (4, {"rows": 3})
    assert "".join(json.loads(Path(told["make"].notebook).read_text())["cells"][1]["source"]) == "# Parameters\nrows = 3\n"
    objects = open_objects(config.load())
    assert snapshots.load(told["make"].outputs["table"]["object"], objects)[:4] == b"PAR1"
    again = run(flow_of(notebooks))
    assert set(states(again).values()) == {"cached"}
    assert all(Path(step.notebook).exists() for step in again.steps)
    assert states(run(flow_of(notebooks, rows="4"))) == {"make": "done", "sum": "done", "list": "done"}
    runs = {item.data.tags["mlops.run_id"]: item for item in settled(notebooks)}
    parent = runs[done.id]
    assert parent.data.metrics == {"make.rows": 3.0, "sum.total": 303.0}
    assert parent.data.params == {"rows": "3"}
    assert artifact(notebooks, parent, "pipeline.yaml") == (notebooks / "pipeline.yaml").read_text()
    for name, metrics in (("make", {"rows": 3.0}), ("sum", {"total": 303.0}), ("list", {})):
        child = runs[told[name].run]
        assert (child.info.run_name, child.info.status, child.data.metrics) == (name, "FINISHED", metrics)
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert child.data.tags["mlops.step"] == name
    assert runs[again.id].data.tags["mlops.cached"] == "make, sum, list"
    assert len(runs) == 9
    assert {item.info.status for item in runs.values()} == {"FINISHED"}


def test_a_notebook_that_fails_tells_its_cell(notebooks: Path) -> None:
    notebook_files.write(notebooks / "sum.ipynb", "table: str = ''\nrows: int = 0", "{'total': 1}", "raise ValueError(table[-8:])")
    done = run(flow_of(notebooks))
    told = {step.step: step for step in done.steps}
    assert states(done) == {"make": "done", "sum": "failed", "list": "done"}
    assert (told["sum"].cell, told["sum"].source) == (3, "raise ValueError(table[-8:])")
    assert "ValueError: .parquet" in told["sum"].error
    saved = json.loads(Path(told["sum"].notebook).read_text())
    assert [cell["outputs"][0]["ename"] for cell in saved["cells"] if cell.get("outputs")][-1] == "ValueError"
    runs = {item.data.tags["mlops.run_id"]: item.info.status for item in settled(notebooks)}
    assert runs[done.id] == "FAILED"


def test_a_notebook_of_another_kernel_gives_files(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = {"argv": [sys.executable, "-m", "bash_kernel", "-f", "{connection_file}"], "display_name": "Bash", "language": "bash"}
    (project / "share" / "kernels" / "bash").mkdir(parents=True)
    (project / "share" / "kernels" / "bash" / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(project / "share"))
    notebook_files.write(project / "shell.ipynb", "name=world", code="mkdir -p out\necho hello $name > out/report.txt", language="bash")
    with_database(project)
    flow = pipeline(project, notebook("greet", "shell.ipynb", params={"name": "you"}, outputs={"report": "out/report.txt"}))
    done = run(flow)
    assert (done.status, (project / "out" / "report.txt").read_text()) == ("done", "hello you\n")
    assert states(run(flow)) == {"greet": "cached"}
    runs = {item.data.tags["mlops.run_id"]: item for item in settled(project)}
    greeted = runs[done.steps[0].run]
    assert greeted.data.tags["mlflow.parentRunId"] == runs[done.id].info.run_id
    assert greeted.data.params == {"name": "you"}


def test_where_a_single_notebook_is_saved_can_be_said(notebooks: Path) -> None:
    flow = loading.from_notebooks([notebooks / "make.ipynb"])
    done = run(loading.parameters(flow, {}), out=notebooks / "out" / "made.ipynb")
    assert done.steps[0].notebook == str(notebooks / "out" / "made.ipynb")
    assert (notebooks / "out" / "made.ipynb").exists()


PROGRAM = """
import sys
from pathlib import Path
from jupyter_mlops import config
from jupyter_mlops.pipelines.running import runner
from tests.pipelines.running import pipeline, shell
flow = pipeline(Path.cwd(), shell("one", "echo one >> log.txt"), shell("long", "echo $$ > pid; echo begun; sleep 600", after=("one",)),
                shell("two", "true", after=("long",)))
done = runner.run(flow, settings=config.load())
print(done.status, *(step.state for step in done.steps), done.steps[1].notebook)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_told_to_end_keeps_what_there_is_and_goes_on_later(project: Path, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, env=with_tests())
    wait_until(lambda: bool(lines(project / "pid")), 60)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    status, *found, log = said.split()
    assert (process.returncode, status, found) == (0, "cancelled", ["done", "cancelled", "cancelled"])
    assert Path(log).read_text() == "begun\n"
    assert not psutil.pid_exists(int(lines(project / "pid")[0]))
    flow = pipeline(project, shell("one", "echo one >> log.txt"))
    assert states(run(flow)) == {"one": "cached"}


def with_tests() -> dict[str, str]:
    """An environment in which another program finds these tests."""
    root = str(Path(__file__).parent.parent.parent)
    return {**os.environ, "PYTHONPATH": root}


def test_two_runs_at_once_do_no_step_twice(project: Path) -> None:
    slow = "echo {name} >> log.txt; sleep 0.5; echo {name} > {out}"
    steps = [shell(name, slow, params={"name": name}, outputs={"out": f"{name}.txt"}) for name in "abcd"]
    flow = pipeline(project, *steps)
    done: list[Any] = []
    threads = [threading.Thread(target=lambda: done.append(run(flow, jobs=2))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.status for item in done] == ["done"] * 3
    assert sorted(lines(project / "log.txt")) == ["a", "b", "c", "d"]
    assert len({step.run for item in done for step in item.steps}) == 4


def test_what_a_notification_needs_is_sent_without_secrets(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from jupyter_mlops.pipelines.running import notify as module

    told: list[Any] = []
    monkeypatch.setenv("API_TOKEN", "s3cr3t-t0ken-value")
    monkeypatch.setattr(module, "notify", lambda entries, run: told.append((entries, run)) or ("not sent",))
    done = run(pipeline(project, shell("leak", "echo $API_TOKEN; exit 1"), notify=({"webhook": "http://x"},)))
    ((entries, sent),) = told
    assert (entries, done.notes, sent["status"]) == (({"webhook": "http://x"},), ("not sent",), "failed")
    assert "s3cr3t" not in json.dumps(sent)


def test_a_listener_that_fails_ends_the_run_and_its_record(project: Path) -> None:
    def listener(event: Any) -> None:
        if event["event"] == "step" and event["state"] == "running":
            raise RuntimeError("the screen is gone")

    with pytest.raises(RuntimeError, match="the screen is gone"):
        runner.run(pipeline(project, shell("one", "sleep 0.2")), settings=config.load(), on_event=listener)
    began = time.monotonic()
    assert states(run(pipeline(project, shell("two", "true")))) == {"two": "done"}
    assert time.monotonic() - began < 60


def test_a_step_whose_input_changed_while_it_ran_is_done_again(project: Path) -> None:
    (project / "in.txt").write_text("a")
    flow = pipeline(project, shell("one", "cat {data} > {out}; echo b > in.txt", inputs={"data": "in.txt"}, outputs={"out": "out.txt"}))
    assert states(run(flow)) == {"one": "done"}
    (project / "in.txt").write_text("a")
    assert states(run(flow)) == {"one": "done"}
