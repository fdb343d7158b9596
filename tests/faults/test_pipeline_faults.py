"""Pipelines whose runners, workers and stores die: nothing counts twice, nothing that was done is lost, nobody is left behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from jupyter_mlops import config
from jupyter_mlops.store.shared import SharedState
from tests.databases import Postgres
from tests.delivery_desk import wait_until
from tests.faults.counting import Recorder
from tests.pipelines.clusters import cluster
from tests.pipelines.running import Told, lines, pipeline, python, run, shell, states
from tests.s3_server import s3

FAULTS = int(os.environ.get("MLOPS_FAULTS", "8"))
"""How many runners are ended in each way; twice as many workers are killed. `MLOPS_FAULTS=50` is the full count."""


def commits() -> dict[str, int]:
    """How many results each step has."""
    with SharedState(config.load()).read() as connection:
        return {row[0]: row[1] for row in connection.execute(text("select step, count(*) from commits group by step"))}


PROGRAM = """
import sys
from pathlib import Path
from jupyter_mlops import config
from jupyter_mlops.pipelines.running import runner
from tests.faults.test_pipeline_faults import twenty
done = runner.run(twenty(Path.cwd(), int(sys.argv[1])), settings=config.load(), jobs=2)
print(*(f"{step.step}: {step.error}" for step in done.steps if step.error), file=sys.stderr)
sys.exit({"done": 0, "failed": 1, "cancelled": 3}[done.status])
"""


def twenty(project: Path, turn: int = 0) -> Any:
    """Twenty steps in two chains; each tells when it begins, and when it has done its work. Another `turn`, and all are new."""
    command = "echo {name} $$ >> begun.txt; sleep 0.05; echo {name} > {out}; echo {name} >> ended.txt"
    return pipeline(
        project,
        *(
            shell(
                f"s{number}",
                command,
                params={"name": f"s{number}", "turn": turn},
                outputs={"out": f"out/{number}.txt"},
                after=(f"s{number - 2}",) if number >= 2 else (),
            )
            for number in range(20)
        ),
    )


def started(turn: int = 0) -> subprocess.Popen[bytes]:
    """A runner of the twenty steps, in a process of its own."""
    root = str(Path(__file__).parent.parent.parent)
    with open("said.txt", "ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(turn)], env={**os.environ, "PYTHONPATH": root}, stderr=said, start_new_session=True
        )


def left_behind(project: Path) -> list[int]:
    """Processes of steps that still live."""
    return [pid for pid in map(int, lines(project / "begun.txt")[1::2]) if psutil.pid_exists(pid) and _works_in(pid, project)]


def _works_in(pid: int, project: Path) -> bool:
    try:
        return psutil.Process(pid).cwd() == str(project)
    except psutil.Error:
        return False


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_runners_ended_at_any_moment_lose_no_step_that_was_done(project: Path, number: signal.Signals, record_property: Recorder) -> None:
    """Each run goes on where the one before was ended; in the end there is one result of each step of each turn."""
    moments, turn = random.Random(7), 0
    for _ in range(FAULTS):
        runner = started(turn)
        wait_until(partial(_at_work, runner, project, len(lines(project / "begun.txt"))), 120)
        time.sleep(moments.random() * 0.4)
        runner.send_signal(number)
        status = runner.wait(60)
        # One that was about to exit anyway dies of SIGTERM as any program does.
        assert status in (0, 3) or status == -number, (project / "said.txt").read_text()
        wait_until(lambda: not left_behind(project), 30)
        turn += len(commits()) == 20 and set(commits().values()) == {turn + 1}
    last = run(twenty(project, turn))
    assert set(states(last).values()) <= {"done", "cached"}
    assert commits() == {f"s{number}": turn + 1 for number in range(20)}
    assert all((project / "out" / f"{number}.txt").read_text() == f"s{number}\n" for number in range(20))
    assert not list((project / ".mlops" / "pipelines" / "files" / "tmp").glob("*"))
    record_property("faults", FAULTS)


def _at_work(runner: subprocess.Popen[bytes], project: Path, before: int) -> bool:
    """Whether a runner has begun a step, or is done."""
    return runner.poll() is not None or len(lines(project / "begun.txt")) > before


@pytest.mark.timeout(600)
def test_two_runners_on_one_pipeline_share_the_work_when_one_of_them_is_killed(project: Path) -> None:
    first, second = started(), started()
    wait_until(lambda: len(lines(project / "ended.txt")) >= 4, 120)
    first.kill()
    first.wait()
    assert second.wait(120) == 0
    assert commits() == {f"s{number}": 1 for number in range(20)}
    counts = {name: lines(project / "ended.txt").count(name) for name in set(lines(project / "ended.txt"))}
    # Only what the first was doing when it died may have been done again.
    assert sum(counts.values()) <= 22
    assert set(counts) == {f"s{number}" for number in range(20)}


@pytest.mark.timeout(1200)
def test_workers_of_a_cluster_killed_again_and_again(project: Path, tmp_path: Path, record_property: Recorder) -> None:
    """Workers die while they work, one after another; the pipeline still ends, with each step's result there once."""
    steps = []
    for number in range(40):
        after = (f"s{number - 4}",) if number >= 4 else ()
        command = "echo {name} >> begun.txt; sleep 0.3; echo {name} > {out}"
        steps.append(shell(f"s{number}", command, params={"name": f"s{number}"}, outputs={"out": f"out/{number}.txt"}, after=after))
    flow = pipeline(project, *steps)
    killed = 0
    with cluster(tmp_path / "cluster") as found:
        found.add(nannies=4)
        ended: list[Any] = []
        moments = random.Random(3)

        def endlessly() -> None:
            # One run may be done before so many workers died: then the next does all of it again.
            while not ended or killed < 2 * FAULTS:
                ended.append(run(flow, executor=found.address, force=bool(ended)))

        thread = threading.Thread(target=endlessly)
        thread.start()
        while killed < 2 * FAULTS and thread.is_alive():
            working = [process for process in found.processes() if is_working(process)]
            if working:
                time.sleep(moments.random() * 0.3)
                with suppress(psutil.NoSuchProcess):
                    moments.choice(working).kill()
                    killed += 1
            time.sleep(0.05)
        thread.join(600)
        assert not thread.is_alive()
    assert killed == 2 * FAULTS
    assert {item.status for item in ended} == {"done"}
    assert {name: count for name, count in commits().items() if count > len(ended)} == {}
    assert len(commits()) == 40
    record_property("faults", killed)


def is_working(worker: psutil.Process) -> bool:
    """Whether a worker has a step's process below it."""
    try:
        return any(child.name() == "sh" for child in worker.children())
    except psutil.NoSuchProcess:
        return False


def in_thread(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    """Work that goes on in a thread, and what it gives."""
    given: list[Any] = []
    thread = threading.Thread(target=lambda: given.append(work()))
    thread.start()
    return thread, given


def test_a_step_waits_for_an_object_store_that_is_away_for_a_while(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "steps.py").write_text(
        "import pathlib, time\n"
        "import pandas as pd\n"
        "def make():\n"
        "    pathlib.Path('working').touch()\n"
        "    while not pathlib.Path('go').exists():\n"
        "        time.sleep(0.05)\n"
        "    return pd.DataFrame({'a': [1, 2]})\n"
        "def use(table):\n"
        "    return int(pd.read_parquet(table).a.sum())\n"
    )
    flow = pipeline(project, python("make", "steps:make"), python("use", "steps:use", inputs={"table": "make.result"}))
    with s3(monkeypatch) as store:
        monkeypatch.setenv("MLOPS_OBJECTS", store.url)
        thread, given = in_thread(lambda: run(flow))
        wait_until((project / "working").exists, 60)
        store.away()
        (project / "go").touch()
        time.sleep(3)
        assert thread.is_alive()
        store.back()
        thread.join(150)
    assert [step.error for step in given[0].steps] == ["", ""]
    assert given[0].steps[1].metrics == {"result": 3}
    assert commits() == {"make": 1, "use": 1}


def test_a_step_is_committed_once_though_its_database_was_away(
    project: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_DATABASE", postgres_server.database())
    flow = pipeline(project, shell("slow", "touch working; while ! test -e go; do sleep 0.05; done; echo 1 > {out}", outputs={"out": "x"}))
    told = Told()
    thread, given = in_thread(lambda: run(flow, told))
    wait_until((project / "working").exists, 60)
    postgres_server.stop()
    try:
        (project / "go").touch()
        time.sleep(3)
        assert thread.is_alive()
    finally:
        postgres_server.start()
    thread.join(120)
    assert (given[0].status, states(given[0])) == ("done", {"slow": "done"})
    assert commits() == {"slow": 1}
