"""Kernels and runners killed at any moment, and full disks: a step that did not end says so, files are whole, and nobody is left behind."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops.pipelines.kernels.engine import Executed, execute
from tests.delivery_desk import wait_until

FAULTS = int(os.environ.get("MLOPS_FAULTS", "25"))
TIMES = max(3, FAULTS // 5)

BEGIN = "import os, subprocess, time\nchild = subprocess.Popen(['sleep', '600'])\nopen('pids', 'w').write(f'{os.getpid()} {child.pid}')"
STEADY = "for number in range(5):\n    print(number, 'x' * 1000, flush=True)\n    time.sleep(0.05)"
# A runner that tells when its notebook is being run.
RUNNER = """
import sys
from pathlib import Path
from jupyter_mlops.pipelines.kernels.engine import MlopsEngine
import papermill
papermill.execute_notebook(sys.argv[1], sys.argv[2], engine_name="mlops", progress_bar=False)
"""


def steady(folder: Path, cells: int = 12) -> Path:
    """A notebook that shows something all the time, and starts a process that outlives a cell."""
    path = folder / "steady.ipynb"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    shown = [new_code_cell(STEADY) for _ in range(cells)]
    nbformat.write(new_notebook(cells=[new_code_cell(BEGIN), *shown], metadata={"kernelspec": kernel}), path)
    return path


def left(folder: Path) -> list[int]:
    """Those of the notebook's processes that still live."""
    pids = (folder / "pids").read_text().split() if (folder / "pids").exists() else []
    return [int(pid) for pid in pids if psutil.pid_exists(int(pid)) and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE]


def states(out: Path) -> list[str]:
    """How the cells of a saved notebook stand, those that papermill adds left out."""
    notebook = nbformat.read(out, as_version=4)
    return [cell.metadata.papermill.status for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("number", range(TIMES))
def test_a_kernel_killed_at_any_moment_fails_its_step(tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    path, out, moment = steady(tmp_path), tmp_path / "out.ipynb", chance.random() * 2
    killed = threading.Event()

    def kill() -> None:
        wait_until(lambda: (tmp_path / "pids").exists() and len((tmp_path / "pids").read_text().split()) == 2, 120)
        time.sleep(moment)
        os.kill(int((tmp_path / "pids").read_text().split()[0]), signal.SIGKILL)
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    done: Executed = execute(path, out, {}, cwd=tmp_path)
    killer.join()
    assert killed.is_set()
    assert (done.ename, "SIGKILL" in done.error) == ("DeadKernelError", True)
    found = states(out)
    assert found == ["completed"] * (done.cell - 1) + ["failed"] + ["pending"] * (len(found) - done.cell)
    wait_until(lambda: left(tmp_path) == [], 30)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda how: how.name)
@pytest.mark.parametrize("number", range(TIMES))
def test_a_runner_ended_at_any_moment_keeps_what_there_is(tmp_path: Path, number: int, how: signal.Signals) -> None:
    chance = random.Random(f"{how} {number}")
    path, out = steady(tmp_path), tmp_path / "out.ipynb"
    runner = subprocess.Popen([sys.executable, "-c", RUNNER, str(path), str(out)], cwd=tmp_path, stderr=subprocess.DEVNULL)
    wait_until(lambda: (tmp_path / "pids").exists() or runner.poll() is not None, 120)
    time.sleep(chance.random() * 2)
    server = psutil.Process(runner.pid).children()
    runner.send_signal(how)
    assert runner.wait(60) == (128 + how if how is signal.SIGTERM else -how)
    assert psutil.wait_procs(server, timeout=30)[1] == []
    wait_until(lambda: left(tmp_path) == [], 30)
    notebook = json.loads(out.read_text())
    assert len(notebook["cells"]) == 13
    if how is signal.SIGTERM:
        found = states(out)
        failed = found.index("failed")
        assert found == ["completed"] * failed + ["failed"] + ["pending"] * (len(found) - failed - 1)
        shown = [item for cell in notebook["cells"][1:failed] for item in cell["outputs"] if item["output_type"] == "stream"]
        assert "".join("".join(item["text"]) for item in shown).count("\n") == 5 * max(0, failed - 1)


FULL = (
    """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
"""
    + RUNNER
)


@pytest.mark.parametrize("room", [20_000, 25_000, 40_000], ids=str)
def test_a_disk_that_fills_as_a_step_is_saved_leaves_the_last_whole_notebook(tmp_path: Path, room: int) -> None:
    path, out = steady(tmp_path), tmp_path / "out.ipynb"
    done = subprocess.run([sys.executable, "-c", FULL, str(path), str(out), str(room)], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    saved: dict[str, Any] = json.loads(out.read_text())
    assert (len(saved["cells"]), out.stat().st_size <= room) == (13, True)
    assert saved["cells"][0]["metadata"]["papermill"]["status"] == "completed"
    assert sorted(item.name for item in tmp_path.iterdir()) == ["out.ipynb", "pids", "steady.ipynb"]
    wait_until(lambda: left(tmp_path) == [], 30)


def test_a_server_of_kernels_that_is_killed_fails_the_step_and_the_next_has_a_new_one(tmp_path: Path) -> None:
    from jupyter_mlops.pipelines.kernels import warm

    path = steady(tmp_path)
    server = psutil.Process(warm.shared()._process.pid)

    def kill() -> None:
        wait_until(lambda: (tmp_path / "pids").exists(), 120)
        server.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    done = execute(path, tmp_path / "out.ipynb", {}, cwd=tmp_path)
    killer.join()
    assert done.ename == "DeadKernelError"
    again = execute(path, tmp_path / "out.ipynb", {}, cwd=tmp_path)
    assert (again.error, again.cells) == ("", 13)
