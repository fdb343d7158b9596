"""Processes that are killed, and many at once: nothing that was handed to the operating system is lost or doubled."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from jupyter_mlops import config
from jupyter_mlops.store import client, journal
from tests.delivery_desk import Kernel, wait_until
from tests.faults.counting import Recorder

COUNT = int(os.environ.get("MLOPS_FAULTS", "25"))
ROOT = client.PACKAGE.parent

_WRITER = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from jupyter_mlops.store.journal import Journal
j = Journal.create(Path(sys.argv[1]) / ".mlops", {"started": 1.0})
print(j.path, flush=True)
n = 0
while True:
    j.append({"kind": "begin", "seq": n, "source": "x" * (n % 3000)})
    os.write(1, b"%d\\n" % n)
    n += 1
"""

_RUNS = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from jupyter_mlops import config
from jupyter_mlops.store import client
from tests.delivery_desk import Kernel
project, count = Path(sys.argv[1]), int(sys.argv[3])
k = Kernel(project, tracking_uri=None)
client.ensure_worker(config.load(project))
for n in range(count):
    run = k.run(name=f"{k.session[:8]}-{n}", params={"n": n}, metrics=k.points(("loss", 1.0, 0), ("loss", 0.5, 1)))
    k.finish(run)
k.journal.close()
client.ask(config.load(project), "flush", timeout=200)
"""


def _start(code: str, project: Path, *arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code, str(project), str(ROOT), *arguments], text=True, **options)  # type: ignore[call-overload]  # options of Popen


def test_a_writer_killed_at_any_moment_loses_nothing_it_had_written(project: Path, record_property: Recorder) -> None:
    chance = random.Random(1)
    for _ in range(COUNT):
        process = _start(_WRITER, project, stdout=subprocess.PIPE)
        path = Path(process.stdout.readline().strip())
        time.sleep(chance.random() * 0.02)
        process.send_signal(signal.SIGKILL)
        acknowledged = [int(line) for line in process.stdout.read().splitlines()]
        process.wait()
        seen = [record["seq"] for record in journal.read(path)[0] if record["kind"] == "begin"]
        assert seen == list(range(len(seen)))
        assert len(seen) >= len(acknowledged)
        assert not journal.alive(path)
    record_property("faults", COUNT)


def test_a_journal_cut_at_any_byte_gives_the_records_before_it(tmp_path: Path, record_property: Recorder) -> None:
    written = journal.Journal.create(tmp_path / ".mlops", {"started": 1.0})
    for seq in range(4):
        written.append({"kind": "begin", "seq": seq, "source": "é🦊"})
    data = written.path.read_bytes()
    written.close()
    cut = tmp_path / "cut.jsonl"
    for length in range(len(data) + 1):
        cut.write_bytes(data[:length])
        records, offset = journal.read(cut)
        assert len(records) == data[:length].count(b"\n")
        assert data[:offset].endswith(b"\n") or offset == 0
    record_property("faults", len(data) + 1)


def _outcome(project: Path) -> dict[str, tuple[str, dict[str, str], int]]:
    store = mlflow.MlflowClient(f"sqlite:///{project}/mlflow.db")
    experiments = [item.experiment_id for item in store.search_experiments()]
    runs = store.search_runs(experiments, max_results=10_000)
    assert len({run.data.tags["mlops.run_id"] for run in runs}) == len(runs)
    return {run.info.run_name: (run.info.status, run.data.params, len(store.get_metric_history(run.info.run_id, "loss"))) for run in runs}


def test_a_worker_killed_again_and_again_delivers_everything_once(project: Path, record_property: Recorder) -> None:
    chance = random.Random(2)
    settings = config.load(project)
    kernel = Kernel(project)
    client.ask(settings, "flush", timeout=120)  # the database is made once: killing MLflow's own migration is not the point
    for number in range(60):
        run = kernel.run(name=f"r{number}", params={"n": number}, metrics=kernel.points(("loss", 1.0, 0), ("loss", 0.5, 1)))
        kernel.cell("fit", run)
        kernel.finish(run)
    for _ in range(max(3, COUNT // 5)):
        pid = client.ask(settings, "status")["pid"]
        time.sleep(chance.random() * 0.4)
        os.kill(pid, signal.SIGKILL)
    kernel.journal.close()
    wait_until(lambda: client.ask(settings, "flush", timeout=120)["done"], 120)
    assert _outcome(project) == {f"r{number}": ("FINISHED", {"n": str(number)}, 2) for number in range(60)}
    record_property("faults", max(3, COUNT // 5))


@pytest.mark.parametrize(
    ("processes", "runs"), [pytest.param(16, 2, id="16 kernels open a new store"), pytest.param(32, 5, id="32 kernels write")]
)
def test_many_kernels_share_a_store(project: Path, processes: int, runs: int) -> None:
    started = [_start(_RUNS, project, str(runs)) for _ in range(processes)]
    assert [process.wait(250) for process in started] == [0] * processes
    assert client.ask(config.load(project), "flush", timeout=200)["done"]
    outcome = _outcome(project)
    assert len(outcome) == processes * runs
    assert {(status, points) for status, _, points in outcome.values()} == {("FINISHED", 2)}
