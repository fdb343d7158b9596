"""`mlops demo` plays the whole loop, the year of the fourth tutorial in it; what fails is told in a sentence, and Ctrl-C ends it all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

import jupyter_mlops as mlops
from jupyter_mlops import config
from jupyter_mlops.errors import DemoFailed
from jupyter_mlops.records import Node, Run, Trace
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.surfaces import demo, demo_notebooks
from jupyter_mlops.surfaces.answers import Comparison, Demo
from jupyter_mlops.surfaces.display import to_text

DEMO = [sys.executable, "-m", "jupyter_mlops", "demo", "--json"]
NAME = "late-flights"
ACTS = ["track", "replay", "step", "pipeline", "gates", "serve", "monitor", "retrain", "rollback", "lineage", "audit"]


@pytest.mark.timeout(900)
def test_the_loop_goes_as_it_tells(project: Path) -> None:
    ran = subprocess.run(DEMO, cwd=project, capture_output=True, text=True, timeout=850)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    acts = {act["name"]: act["outcome"] for act in told["acts"]}
    assert list(acts) == ACTS
    assert all(name in ran.stderr for name in ACTS)
    words = {word for process in _of(project) for word in process.cmdline()}
    assert not words & {"serve", "retrain", "papermill", "ipykernel_launcher"}

    aucs = [run["metrics"]["auc"] for run in told["runs"]]
    assert len(aucs) == 4
    assert aucs == sorted(aucs, reverse=True)
    best = mlops.show(told["runs"][0]["id"]).run
    assert (best.replay, best.metrics["auc"]) == ("identical", aucs[0])
    assert acts["replay"].startswith("identical")
    assert [run["id"] for run in told["comparison"]["runs"]] == [told["runs"][1]["id"], best.id]
    again = mlops.run("pipeline.yaml")
    assert [step.state for step in again.steps] == ["cached"] * 3
    other = mlops.run("pipeline.yaml", params={"late": 120}, dry_run=True)
    assert [step.action for step in other.steps] == ["cached", "run", "after"]

    settings = config.load()
    audit = Audit(registry.state_of(settings))
    said = [(entry.what, entry.version) for entry in reversed(audit.entries(NAME)) if entry.what != "alert"]
    assert [what for what, _ in said if what in ("retrain started", "retrained", "rolled back", "released", "refused")] == [
        "retrain started", "retrained", "refused", "rolled back", "released"
    ]  # fmt: skip
    assert [version for what, version in said if what == "promoted"] == [1, 2]
    assert any(entry.what == "alert" for entry in audit.entries(NAME))
    champion = registry.champion(settings, NAME)
    assert champion is not None
    assert (champion.version, champion.release) == (1, "late-flights-v1")
    assert audit.verify() == ()
    assert (project / "cards" / "late-flights-1" / "card.html").is_file()
    assert told["prediction"]["version"]["version"] == 2
    assert told["prediction"]["missing"] == []


def test_ctrl_c_leaves_nothing_running(project: Path) -> None:
    playing = subprocess.Popen(DEMO, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert playing.stderr is not None
    for line in playing.stderr:
        if "known before departure" in line:
            break
    assert any("ipykernel_launcher" in process.cmdline() for process in _of(project))
    os.kill(playing.pid, signal.SIGINT)
    answer, _ = playing.communicate(timeout=60)
    assert (playing.returncode, answer) == (130, "")
    deadline = time.monotonic() + 30
    while (left := _of(project)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_a_cell_that_fails_is_told_in_a_sentence(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [nbformat.v4.new_markdown_cell("# A bad start"), nbformat.v4.new_code_cell("raise ValueError('no flights today')")]
    source = project.parent / "source.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source)
    monkeypatch.setattr(demo_notebooks, "installed", lambda name: source)
    told: list[str] = []
    with pytest.raises(DemoFailed, match=r"The demo failed \(ValueError: no flights today\): .*out\.ipynb shows where"):
        demo_notebooks.Playing("out.ipynb", project, told.append).end()
    assert told == ["A bad start"]


def test_the_demo_never_writes_beside_the_files_of_the_user(project: Path) -> None:
    assert demo.empty_folder(project) == project
    (project / "mine.txt").touch()
    assert [demo.empty_folder(project).name for _ in range(2)] == ["mlops-demo", "mlops-demo-2"]


def test_the_summary_ends_with_the_loop_and_the_way_on() -> None:
    runs = tuple(
        Run(id=letter * 32, name=f"run-{letter}", status="FINISHED", experiment="x", started=0.0, metrics={"auc": 0.7}) for letter in "ab"
    )
    played = Demo(
        notebook="/elsewhere/mlops-demo/1.ipynb", acts=(demo.Act(name="track", outcome="4 models"),), runs=runs,
        comparison=Comparison(runs=runs), lineage=Node(kind="metric", name="auc"), prediction=Trace(ref="p"), next={"mlops ui": "MLflow"},
        seconds=99.6,
    )  # fmt: skip
    text = to_text(played)
    places = [text.index(part) for part in ("run-a", "mlops compare aaaaaaaa bbbbbbbb", "The whole loop, in 100 s", "4 models",
                                            "cd /elsewhere/mlops-demo", "mlops ui")]  # fmt: skip
    assert places == sorted(places)


def _of(folder: Path) -> list[psutil.Process]:
    """The processes that work in a folder, but for this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found
