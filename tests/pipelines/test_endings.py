"""A step whose kernel did not live to end its run: the run says that it failed, and why, whoever looks at it first."""

from __future__ import annotations

import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from jupyter_mlops import config
from jupyter_mlops.pipelines.running.recorded import Records
from jupyter_mlops.store import journal
from tests.delivered import flush, mlflow_runs, settled, with_database

from .notebook_files import write
from .running import notebook, pipeline, run, states

DIE = "import os, signal, time\ntime.sleep(0.3)\nos.kill(os.getpid(), signal.SIGKILL)"
SESSION = """
import os, sys, time
from pathlib import Path
from jupyter_mlops.store.journal import Journal
journal = Journal.create(Path(sys.argv[1]), {"session": sys.argv[2], "started": time.time()})
journal.append({"kind": "run", "id": sys.argv[3], "name": "step", "status": "RUNNING", "started": time.time(), "at": time.time()})
print("begun", flush=True)
if sys.stdin.readline():
    journal.close()
"""


def test_the_run_of_a_step_whose_kernel_died_or_was_late_failed_and_says_why(project: Path) -> None:
    with_database(project)
    write(project / "dies.ipynb", code=DIE)
    write(project / "late.ipynb", code="import time; time.sleep(600)")
    done = run(pipeline(project, notebook("dies", "dies.ipynb"), notebook("late", "late.ipynb", timeout=4.0)))
    assert states(done) == {"dies": "failed", "late": "failed"}
    runs = {item.info.run_name: item for item in settled(project)}
    assert {name: item.info.status for name, item in runs.items()} == {"flow": "FAILED", "dies": "FAILED", "late": "FAILED"}
    assert "The kernel died while this cell ran (killed by SIGKILL" in runs["dies"].data.tags["mlops.reason"]
    assert runs["late"].data.tags["mlops.reason"] == "CellTimeoutError: The time of the step was over while this cell ran."
    assert all(runs[name].data.tags["mlflow.parentRunId"] == runs["flow"].info.run_id for name in ("dies", "late"))


@pytest.mark.parametrize("last", ["", "\n"], ids=["killed", "ended by itself"])
def test_a_run_whose_session_is_over_and_delivered_is_mended(project: Path, last: str) -> None:
    with_database(project)
    session, name = uuid.uuid4().hex, uuid.uuid4().hex
    home = config.load().home
    dying = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(home), session, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert dying.stdout is not None
    assert dying.stdout.readline() == "begun\n"
    book = Records(config.load())
    assert not book.conclude(session, name, "FAILED", "it still lives")
    if not last:
        dying.kill()
    dying.communicate(last)
    book.deliver()
    assert [item.info.status for item in settled(project)] == ["KILLED"]
    assert book.conclude(session, name, "FAILED", "DeadKernelError: the kernel died\nand more")
    book.deliver()
    flush(project)
    (found,) = mlflow_runs(project)
    assert (found.info.status, found.data.tags["mlops.reason"]) == ("FAILED", "DeadKernelError: the kernel died")


@pytest.mark.parametrize("torn", [b"", b'{"kind": "run", "id": "half'], ids=["whole", "torn"])
def test_last_words_follow_the_last_whole_line(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "s.jsonl"
    path.write_bytes(journal.encode({"kind": "session", "session": "s"}) + torn)
    assert journal.conclude(path, [{"kind": "run", "id": "r"}])
    assert [record["kind"] for record in journal.read(path)[0]] == ["session", "run", "end"]
    assert all(journal.intact(line) for line in path.read_bytes().splitlines())
    assert not journal.conclude(tmp_path / "none.jsonl", [])
