"""What `mlops gc` takes of what pipelines left behind, what it leaves, and what a result promises to a machine that may lose its power."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

import jupyter_mlops as mlops
from jupyter_mlops import config
from jupyter_mlops.pipelines.clearing import UNUSED_DAYS, clear
from jupyter_mlops.pipelines.running import outputs
from jupyter_mlops.pipelines.running.workplace import files_of
from jupyter_mlops.pipelines.scheduling.schedule import Schedules, firings
from jupyter_mlops.records import Pipeline
from jupyter_mlops.store import disks, results
from jupyter_mlops.store.objects import ObjectStore
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.surfaces.display import to_text

from .running import pipeline, run, shell, states


def aged(path: Path, days: float) -> Path:
    os.utime(path, (time.time() - days * 86_400,) * 2)
    return path


def flow(project: Path, suffix: str) -> Pipeline:
    make = shell("make", "mkdir all; echo one > all/one.txt; echo text > {out}", outputs={"all": "all", "out": "made.txt"})
    command = f"cat {{folder}}/one.txt {{path}} > {{out}}; echo {suffix} >> {{out}}"
    inputs = {"folder": "make.all", "path": "make.out"}
    return pipeline(project, make, shell("use", command, inputs=inputs, outputs={"out": "used.txt"}))


def test_files_that_no_step_used_lately_go_and_come_back(project: Path) -> None:
    assert states(run(flow(project, "a"))) == {"make": "done", "use": "done"}
    files = files_of(config.load())
    kept = {path.name for path in files.iterdir() if path.name != "tmp"}
    assert len(kept) == 2
    assert clear(config.load()) == (0, 0, 0)
    for name in kept:
        aged(files / name, UNUSED_DAYS + 1)
    stray = files / "tmp" / "stray"
    stray.mkdir(parents=True)
    aged(stray, 2)
    size = len("one\ntext\n")
    answer = mlops.gc(dry_run=True)
    assert (answer.files, answer.file_bytes, answer.firings) == (3, size, 0)
    assert "3 files of outputs (9 bytes) that no step used lately would be removed." in to_text(answer)
    assert clear(config.load()) == (3, size, 0)
    assert {path.name for path in files.iterdir()} == {"tmp"}
    assert list((files / "tmp").iterdir()) == []
    assert mlops.gc().removed == 0
    assert states(run(flow(project, "b"))) == {"make": "cached", "use": "done"}
    assert (project / "used.txt").read_text() == "one\ntext\nb\n"


def test_use_keeps_a_file(tmp_path: Path) -> None:
    objects = ObjectStore(tmp_path / "objects")
    told = outputs.keep("text", "kept", objects)
    path = aged(outputs.materialise(told, tmp_path / "files", objects), 30)
    outputs.materialise(told, tmp_path / "files", objects)
    assert outputs.sweep(tmp_path / "files", 86_400) == (0, 0)
    assert path.read_text() == "kept"


def test_the_oldest_due_times_of_each_job_go_but_none_that_is_to_be_run(state: SharedState) -> None:
    def row(job: str, due: int, how: str) -> dict[str, object]:
        return {"run": f"{job}{due}", "job": job, "due": due, "at": float(due), "state": how}

    rows = [row("long", due, "due" if due == 2 else "done") for due in range(10)] + [row("short", due, "missed") for due in range(3)]
    with state.begin() as connection:
        connection.execute(state.insert(firings), rows)
    schedules = Schedules(state)
    assert (schedules.prune(3, dry_run=True), schedules.prune(3), schedules.prune(3)) == (6, 6, 0)
    assert [firing.due for firing in schedules.history("long")] == [9, 8, 7, 2]
    assert [firing.due for firing in schedules.history("short")] == [2, 1, 0]


def test_what_a_result_promises_is_on_the_disk_before_it_is_made(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    settle, add = disks.settle, results.add
    monkeypatch.setattr(disks, "settle", lambda path: (order.append(Path(path).suffix or Path(path).name), settle(path)))
    monkeypatch.setattr(results, "add", lambda *given: (order.append("result"), add(*given))[1])
    run(pipeline(project, shell("make", "echo text > {out}", outputs={"out": "made.txt"})))
    before, after = order[: order.index("result")], order[order.index("result") + 1 :]
    assert {".pack", "packs", ".log"} <= set(before)
    assert after == []
    order.clear()
    assert states(run(pipeline(project, shell("make", "echo text > {out}", outputs={"out": "made.txt"})))) == {"make": "cached"}
    assert order == []  # the log is only shown
