"""Ctrl-C in a command: one sentence or the way on, status 130, nobody left behind, and the same command begins again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from jupyter_mlops.surfaces import cli
from tests.delivery_desk import wait_until

PIPELINE = """
steps:
  first: {shell: "echo one > first.txt"}
  second: {shell: "echo $$ > pid && sleep ${SECONDS_TO_SLEEP:-0}", after: first}
"""


def begun(project: Path, *words: str, **environment: str) -> subprocess.Popen[str]:
    """A command in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "jupyter_mlops", *words], cwd=project, env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """What came of a command whose group gets what Ctrl-C sends."""
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_pipeline(project: Path) -> None:
    (project / "pipeline.yaml").write_text(PIPELINE)
    process = begun(project, "run", "pipeline.yaml", SECONDS_TO_SLEEP="600")
    wait_until(lambda: (project / "pid").exists() and bool((project / "pid").read_text()), 60)
    status, out, err = interrupted(process)
    assert (status, "To go on: mlops run pipeline.yaml" in out, "Traceback" in err) == (130, True, False)
    assert not psutil.pid_exists(int((project / "pid").read_text()))
    assert cli.run(["run", "pipeline.yaml"]) == 0


def test_a_command_that_waits_for_the_worker(project: Path) -> None:
    (project / ".mlops").mkdir()
    process = begun(project, "verify")
    wait_until(lambda: (project / ".mlops" / "worker.json").exists(), 60)
    assert interrupted(process) == (130, "", f"mlops: {cli.INTERRUPTED}\n")
    assert cli.run(["verify"]) == 0
