"""The local executor, the room that steps take, and the processes of steps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.pipelines.running.children import supervise
from jupyter_mlops.pipelines.running.executors import LocalExecutor, connect
from jupyter_mlops.pipelines.running.room import Room
from jupyter_mlops.pipelines.running.task import Stopped
from jupyter_mlops.records import PipelineStep
from tests.delivery_desk import wait_until


def step(name: str, **resources: float) -> PipelineStep:
    return PipelineStep(name=name, kind="shell", source="true", resources=resources)


@pytest.mark.parametrize(
    ("room", "inside", "wanted", "fits"),
    [
        (Room(2), [{}], {}, True),
        (Room(2), [{}, {}], {}, False),
        (Room(4, cpus=4), [{"cpus": 3}], {}, True),
        (Room(4, cpus=4), [{"cpus": 3}], {"cpus": 2}, False),
        (Room(4, cpus=2), [], {"cpus": 8}, True),
        (Room(4, cpus=4, memory=100), [{"memory": 60}], {"memory": 60}, False),
        (Room(4, cpus=4, memory=100), [{"memory": 60}], {"memory": 40}, True),
        (Room(4, cpus=4, memory=100), [{"memory": 60}], {}, True),
        (Room(None), [{"cpus": 8}] * 9, {"cpus": 8}, True),
    ],
)
def test_a_step_begins_where_there_is_room(room: Room, inside: list[dict[str, float]], wanted: dict[str, float], fits: bool) -> None:
    for number, resources in enumerate(inside):
        room.enter(step(str(number), **resources))
    assert room.fits(step("new", **wanted)) is fits
    for name in room.inside:
        room.leave(name)
    assert room.fits(step("new", **wanted))


def test_a_task_of_a_stopped_executor_ends_at_its_next_report() -> None:
    told: list[Any] = []
    with LocalExecutor(1) as executor:
        report = executor.reporting(told.append)

        def task() -> None:
            while True:
                report({"event": "cell"})
                time.sleep(0.01)

        future = executor.submit(task)
        wait_until(lambda: bool(told), 10)
        executor.stop()
        assert isinstance(future.exception(10), Stopped)
    assert told[0] == {"event": "cell"}


def test_an_unknown_executor_is_refused() -> None:
    with pytest.raises(UsageError, match="There is no executor 'spark': write local, or the address of a Dask scheduler"):
        connect("spark", None)


def supervised(tmp_path: Path, command: list[str], **options: Any) -> tuple[Any, str]:
    ended = supervise(command, cwd=tmp_path, env=dict(os.environ), log=tmp_path / "log", **options)
    return ended, (tmp_path / "log").read_text()


def test_a_process_is_told_with_its_status_log_and_memory(tmp_path: Path) -> None:
    code = "import sys, time; x = b'1' * 50_000_000; print('out'); time.sleep(0.5); sys.exit('err')"
    ended, log = supervised(tmp_path, [sys.executable, "-c", code])
    assert (ended.status, ended.late, log) == (1, False, "out\nerr\n")
    assert 50_000_000 < ended.memory < 500_000_000


def test_a_process_reads_nothing_and_leaves_nothing_behind(tmp_path: Path) -> None:
    ended, log = supervised(tmp_path, ["/bin/sh", "-c", "cat; sleep 1000 & echo $!"])
    assert ended.status == 0
    wait_until(lambda: not psutil.pid_exists(int(log)), 10)


def test_a_process_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    ended, log = supervised(tmp_path, ["/bin/sh", "-c", "trap '' TERM; sleep 1000 & echo $!; while true; do sleep 0.1; done"], timeout=0.5)
    assert ended.late
    wait_until(lambda: not psutil.pid_exists(int(log)), 10)


def test_what_is_raised_while_a_process_works_ends_it(tmp_path: Path) -> None:
    def alive() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        supervised(tmp_path, ["/bin/sh", "-c", "echo $$; exec sleep 1000"], alive=alive)
    assert not psutil.pid_exists(int((tmp_path / "log").read_text()))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_does_not_outlive_its_supervisor(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import os, pathlib; from jupyter_mlops.pipelines.running.children import supervise; "
        "supervise(['/bin/sh', '-c', 'echo $$; sleep 1000; true'], cwd=pathlib.Path('.'), env=dict(os.environ), log=pathlib.Path('log'))"
    )
    supervisor = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    log = tmp_path / "log"
    wait_until(lambda: log.exists() and log.read_text().endswith("\n"), 60)
    supervisor.send_signal(number)
    supervisor.wait(30)
    group = int(log.read_text())
    wait_until(lambda: not any(_group(process) == group for process in psutil.process_iter()), 10)


def _group(process: psutil.Process) -> int:
    try:
        return os.getpgid(process.pid)
    except ProcessLookupError:
        return 0
