"""Kernels that are killed, stores that are down or full, and many kernels at once: no cell is disturbed, nothing is lost or doubled."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from jupyter_mlops import config
from jupyter_mlops.store import client, journal
from tests.conftest import Kernel
from tests.delivered import artifact, settled, steps, with_database
from tests.delivery_desk import wait_until
from tests.faults.counting import Recorder

FAULTS = int(os.environ.get("MLOPS_FAULTS", "25"))
KILLS = max(3, FAULTS // 10)
TOGETHER = 4

START = """
%load_ext jupyter_mlops
import os, numpy as np
import jupyter_mlops as mlops
from sklearn.linear_model import SGDClassifier
X = np.random.default_rng(0).random((60, 4)); y = (X[:, 0] > 0.5).astype(int)
"""
FINISHED = "first = SGDClassifier(random_state=0).fit(X, y)\ndone = first.score(X, y)"
# What was acknowledged in the file had been handed to the operating system.
ENDLESS = """
said = os.open("said-{number}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
model = SGDClassifier(random_state=0)
step = 0
while True:
    model.partial_fit(X, y, classes=[0, 1])
    mlops.log({{"loss": 1 / (step + 1)}}, step=step)
    os.write(said, b"%d\\n" % step)
    step += 1
"""


def _killed(project: Path, number: int, how: signal.Signals, moment: float) -> str:
    """Kill a kernel at a moment of its endless cell; the session that it wrote."""
    kernel = Kernel(project)
    try:
        kernel.run(START)
        kernel.run(FINISHED)
        session = kernel.run("print(mlops.track().details['session'])").stdout.strip()
        kernel.client.execute(ENDLESS.format(number=number))
        time.sleep(moment)
        os.kill(kernel.pid, how)
        psutil.wait_procs([process for process in [_process(kernel.pid)] if process], timeout=30)
    finally:
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)
    return session


def _process(pid: int) -> psutil.Process | None:
    return psutil.Process(pid) if psutil.pid_exists(pid) else None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_kernel_killed_in_a_cell_leaves_killed_runs_and_all_that_it_wrote(
    project: Path, how: signal.Signals, record_property: Recorder
) -> None:
    with_database(project)
    chance = random.Random(how)
    moments = [chance.random() * 1.5 for _ in range(KILLS)]
    with ThreadPoolExecutor(TOGETHER) as pool:
        sessions = list(pool.map(lambda item: _killed(project, item[0], how, item[1]), enumerate(moments)))
    runs = settled(project)
    for number, session in enumerate(sessions):
        acknowledged = _lines(project / f"said-{number}")
        records, _ = journal.read(config.load(project).home / "journal" / f"{session}.jsonl")
        begun = [record["source"] for record in records if record["kind"] == "begin"]
        mine = [run for run in runs if run.data.tags["mlops.session"] == session]
        assert len({record["id"] for record in records if record["kind"] == "run"}) == len(mine)
        finished, *open_runs = mine
        assert finished.info.status == "FINISHED"
        assert "done" in finished.data.metrics
        for run in open_runs:
            assert (run.info.status, run.info.end_time >= run.info.start_time) == ("KILLED", True)
            assert "ended without a word" in run.data.tags["mlops.reason"]
            told = steps(project, run, "loss")
            assert told == list(range(len(told)))
            assert len(told) >= acknowledged
            assert '"status": "killed"' in artifact(project, run, "mlops/history.ipynb")
        assert len(open_runs) == 1 or (open_runs == [] and acknowledged == 0)
        cells = client.ask(config.load(project), "cells", session=session)
        assert [cell["source"] for cell in cells[-len(begun) :]] == begun
        assert {cell["status"] for cell in cells if "partial_fit" in cell["source"]} <= {"killed"}
    record_property("faults", KILLS)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_cell_that_raises_makes_its_run_failed_with_the_traceback(project: Path, kernel: Kernel) -> None:
    with_database(project)
    kernel.run(START)
    shown = kernel.run("second = SGDClassifier().fit(X, y)\nraise LookupError('the shelf is empty')")
    assert shown.error == "LookupError: the shelf is empty"
    [run] = settled(project)
    assert (run.info.status, run.data.tags["mlops.error"]) == ("FAILED", "LookupError: the shelf is empty")
    traceback = artifact(project, run, "mlops/traceback.txt")
    assert "raise LookupError" in traceback
    assert "jupyter_mlops" not in traceback


@pytest.fixture
def port() -> int:
    """A port of this machine on which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture
def servers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Server processes to be ended with all their children."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        children = psutil.Process(process.pid).children(recursive=True)
        for child in [*children, process]:
            child.kill()
        process.wait()


def test_a_store_that_is_down_delays_delivery_and_nothing_else(
    project: Path, port: int, servers: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    kernel = Kernel(project)
    kernel.run(START)
    shown = [kernel.run(f"clf = SGDClassifier(alpha={alpha}, random_state=0).fit(X, y)\nclf.score(X, y)") for alpha in (0.1, 0.01, 0.001)]
    assert [(ran.error, ran.stderr, bool(re.fullmatch(r"[01]\.\d+", ran.result["text/plain"]))) for ran in shown] == [("", "", True)] * 3
    waiting = client.ask(config.load(project), "runs")
    assert [(run["status"], run["delivered"]) for run in waiting] == [("FINISHED", False)] * 3
    kernel.close()
    places = ["--backend-store-uri", f"sqlite:///{with_database(project)}/mlflow.db", "--artifacts-destination", str(project / "far")]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1", *places]
    servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    wait_until(lambda: _listens(port), 120)
    runs = settled(project, uri)
    assert [run.info.status for run in runs] == ["FINISHED"] * 3
    assert [run.data.params["alpha"] for run in runs] == ["0.1", "0.01", "0.001"]
    assert all(len(run.outputs.model_outputs) == 1 for run in runs)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_sixteen_kernels_open_one_new_store_at_once(project: Path, record_property: Recorder) -> None:
    def whole_life(number: int) -> str:
        kernel = Kernel(project)
        kernel.run("%load_ext jupyter_mlops")
        shown = kernel.run(f"%%mlops track life-{number}\ntotal = sum([{number}, 0.5])")
        kernel.close()
        return shown.error + shown.stderr

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(whole_life, range(16))) == [""] * 16
    outcome = {run.info.run_name: (run.info.status, run.data.metrics) for run in settled(project)}
    assert outcome == {f"life-{number}": ("FINISHED", {"total": number + 0.5}) for number in range(16)}
    record_property("faults", 16)


def test_a_full_disk_does_not_reach_the_cell_and_loses_no_record(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # IPython keeps a database of its own, which must not be what hits the limit.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    kernel = Kernel(with_database(project))
    kernel.run(START)
    kernel.run(FINISHED)
    kernel.run("from sklearn.neighbors import KNeighborsClassifier\nlarge = np.random.default_rng(0).random((60, 4000))")
    kernel.run("import resource\nwide = '" + "wide " * 100_000 + "'")
    [path] = journal.journals(config.load(project).home)
    full = path.stat().st_size + 200
    kernel.run(f"resource.setrlimit(resource.RLIMIT_FSIZE, ({full}, resource.RLIM_INFINITY))")
    fits = {"SGDClassifier(alpha=0.1, random_state=0)": "X", "KNeighborsClassifier(n_neighbors=3)": "large"}
    shown = [kernel.run(f"clf = {made}.fit({data}, y)\nscore = clf.score({data}, y)\nprint('fine')") for made, data in fits.items()]
    assert [(ran.stdout, ran.stderr, ran.error) for ran in shown] == [("fine\n", "", "")] * 2
    assert path.stat().st_size <= full
    assert "The journal cannot be written" in kernel.run("print(mlops.track().details['trouble'])").stdout
    kernel.run("resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))")
    wait_until(lambda: path.stat().st_size > full)
    kernel.close()
    first, small, large = settled(project)
    assert [run.info.status for run in (first, small, large)] == ["FINISHED"] * 3
    assert (small.data.params, large.data.params) == ({"alpha": "0.1", "random_state": "0"}, {"n_neighbors": "3"})
    assert all("score" in run.data.metrics for run in (small, large))
    assert "mlops.skipped" not in small.data.tags
    assert large.data.tags["mlops.skipped"].startswith("clf (KNeighborsClassifier): ")
