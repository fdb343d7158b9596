"""Long work by a real server: followed as it goes, from any place on, cancelled, and never left behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.surfaces.routes.table import JOBS
from jupyter_mlops.surfaces.routes.words import words
from tests.delivery_desk import wait_until
from tests.surfaces.jupyter import Jupyter, made, serving

PIPELINE = """
name: chain
params: {month: 3}
steps:
  first: {shell: 'echo {month} > {out}', params: {month: "{month}"}, outputs: {out: a.txt}}
  second: {shell: 'cat {given} > {out}', inputs: {given: first.out}, outputs: {out: b.txt}}
"""


def _with(folder: Path, mark: str) -> list[int]:
    """The processes of a shell step that sleeps with this mark on its command line, wherever they hang."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if command[:1] == ["sleep"] and mark in command:
            found.append(process.info["pid"])
    return found


def _sleeping(folder: Path, mark: str, steps: int = 1) -> None:
    lines = "".join(f"  s{number}: {{shell: ': {number}; sleep {mark} & sleep {mark}; true'}}\n" for number in range(steps))
    (folder / "pipeline.yaml").write_text(f"name: sleeper\nsteps:\n{lines}")


@pytest.fixture
def mark() -> Iterator[str]:
    """Seconds that nobody else sleeps; whoever still sleeps so long is ended."""
    own = f"9{os.getpid() % 1000}.{time.monotonic_ns() % 10**9}"
    yield own
    for pid in _with(Path(), own):
        os.kill(pid, signal.SIGKILL)


def test_a_pipeline_tells_how_it_goes_and_what_came_of_it(jupyter: Jupyter) -> None:
    folder = made(jupyter, "chain")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    job = jupyter.start("run", "chain", sources=["chain/pipeline.yaml"], params={"month": 7})
    events = list(jupyter.events(job))
    assert events[0] | {"at": 0} == {"event": "started", "verb": "run", "at": 0}
    states = [(event["step"], event["state"]) for event in events if event["event"] == "step"]
    assert states.index(("first", "done")) < states.index(("second", "running")) < states.index(("second", "done"))
    end = events[-1]
    assert (end["event"], end["status"], end["error"], end["cancelled"]) == ("end", 0, "", False)
    assert (end["answer"]["status"], [step["state"] for step in end["answer"]["steps"]]) == ("done", ["done", "done"])
    (told,) = [item for item in jupyter.request("GET", "mlops/jobs").json()["jobs"] if item["id"] == job]
    assert (told["state"], told["status"], told["folder"], told["events"]) == ("ended", 0, "chain", len(events))

    # It may be followed again from any place on, after it has ended too.
    for after in (0, 1, len(events) // 2, len(events) - 1, len(events), len(events) + 5):
        assert list(jupyter.events(job, after)) == events[after:]
    again = jupyter.ended(jupyter.start("run", "chain", sources=["chain/pipeline.yaml"], params={"month": 7}, only=["second"]))
    assert [(step["step"], step["state"]) for step in again["answer"]["steps"] if step["state"] != "skipped"][-1] == ("second", "cached")


def test_a_job_that_fails_says_why_and_what_to_do(jupyter: Jupyter) -> None:
    folder = made(jupyter, "failing")
    (folder / "pipeline.yaml").write_text("name: failing\nsteps:\n  bad: {shell: 'echo no luck >&2; exit 3'}\n")
    end = jupyter.ended(jupyter.start("run", "failing", sources=["failing/pipeline.yaml"]))
    assert (end["status"], end["answer"]["status"], end["answer"]["steps"][0]["state"]) == (1, "failed", "failed")
    (folder / "pipeline.yaml").write_text("steps: 3")
    end = jupyter.ended(jupyter.start("run", "failing", sources=["failing/pipeline.yaml"]))
    assert (end["status"], end["answer"]) == (2, None)
    assert "pipeline.yaml" in end["error"]
    end = jupyter.ended(jupyter.start("replay", "failing", run="none"))
    assert (end["status"], end["error"]) == (2, "There is no run 'none'. `mlops runs` lists them.")


def test_no_value_is_taken_for_an_option(jupyter: Jupyter) -> None:
    folder = made(jupyter, "options")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    assert words("run", JOBS["run"], {"sources": [Path("/x/--on=there")], "params": {"--jobs": "-1", "b": True}, "force": True}) == [
        "run", "--json", "--params=--jobs=-1", "--params=b=true", "--force", "--", "/x/--on=there",
    ]  # fmt: skip
    end = jupyter.ended(jupyter.start("check", "options", model="--help"))
    assert (end["status"], "'--help'" in end["error"]) == (2, True)
    end = jupyter.ended(jupyter.start("run", "options", sources=["options/pipeline.yaml"], params={"month": "--help"}))
    assert (end["status"], "--help" in end["error"], "month" in end["error"]) == (2, True, True), end


@pytest.mark.parametrize("waiting", [False, True])
def test_a_cancelled_job_leaves_nobody(jupyter: Jupyter, mark: str, waiting: bool) -> None:
    folder = made(jupyter, f"cancelled-{waiting}")
    _sleeping(folder, mark)
    job = jupyter.start("run", folder.name, sources=[f"{folder.name}/pipeline.yaml"])
    if waiting:
        wait_until(lambda: len(_with(folder, mark)) == 2, 30)
    told = jupyter.request("DELETE", f"mlops/jobs/{job}").json()
    assert (told["state"], told["status"], told["cancelled"]) == ("ended", 130, True)
    wait_until(lambda: not _with(folder, mark), 5)
    end = jupyter.ended(job)
    assert (end["event"], end["status"], end["error"], end["cancelled"]) == ("end", 130, "It was cancelled.", True)
    assert jupyter.request("DELETE", f"mlops/jobs/{job}").status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_with_the_server_end_its_jobs_and_hosts(tmp_path: Path, mark: str, how: signal.Signals) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with serving(tmp_path, root) as server:
        folder = made(server, "work")
        _sleeping(folder, mark, 2)
        assert server.ask("runs", "work").status_code == 200
        server.start("run", "work", sources=["work/pipeline.yaml"], jobs=2)
        wait_until(lambda: len(_with(folder, mark)) == 4, 30)
        begun = [process for process in server.below() if "jupyter_mlops.store.worker" not in process.cmdline()]
        assert len(begun) > 3
        server.process.send_signal(how)
        server.process.wait(30)
        # The worker, which is every kernel's and command's, ends by itself when it is idle.
        wait_until(lambda: not _with(folder, mark) and not [process for process in begun if process.is_running()], 15)


def test_many_jobs_at_once_all_end_and_none_mixes_with_another(jupyter: Jupyter) -> None:
    made(jupyter, "crowd")
    jobs = {jupyter.start("check", "crowd", model=f"model-{number}"): number for number in range(9)}
    with ThreadPoolExecutor(18) as pool:
        followed = list(pool.map(lambda job: list(jupyter.events(job)), [*jobs, *jobs]))
    for job, events in zip([*jobs, *jobs], followed, strict=True):
        assert f"'model-{jobs[job]}'" in events[-1]["error"], events
        assert [event["event"] for event in events][:: len(events) - 1] == ["started", "end"]
    assert followed[:9] == followed[9:]


def test_a_stream_that_is_left_and_taken_up_again_misses_nothing(jupyter: Jupyter) -> None:
    folder = made(jupyter, "left")
    lines = "".join(f"  s{number}: {{shell: 'sleep 0.3{number}'}}\n" for number in range(4))
    (folder / "pipeline.yaml").write_text(f"name: left\nsteps:\n{lines}")
    job = jupyter.start("run", "left", sources=["left/pipeline.yaml"], jobs=1)
    seen = []
    while not seen or seen[-1]["event"] != "end":
        for event in jupyter.events(job, len(seen)):  # the connection is given up after each few events
            seen.append(event)
            if len(seen) % 3 == 0:
                break
    assert seen == list(jupyter.events(job))
    assert len([event for event in seen if event.get("state") == "done"]) >= 4


def test_what_a_users_code_prints_does_not_spoil_the_answer(jupyter: Jupyter) -> None:
    folder = made(jupyter, "printing")
    (folder / "data.csv").write_text("a\n1\n2\n")
    prints = "print('{not json')\nprint('[1, 2]')\nprint('plain')\n"
    (folder / "rules.py").write_text(f"import pandera.pandas as pa\n{prints}schema = pa.DataFrameSchema({{'a': pa.Column(int)}})\n")
    end = jupyter.ended(jupyter.start("validate", "printing", data="printing/data.csv", schema="printing/rules.py"))
    assert (end["status"], end["answer"]["verdict"]) == (0, "passed"), json.dumps(end)


def test_the_servers_loop_answers_while_pipelines_run_and_a_host_is_busy(jupyter: Jupyter, mark: str) -> None:
    folder = made(jupyter, "busy")
    _sleeping(folder, mark, 8)
    job = jupyter.start("run", "busy", sources=["busy/pipeline.yaml"], jobs=8)
    wait_until(lambda: len(_with(folder, mark)) == 16, 30)
    over = threading.Event()
    asked: list[tuple[float, float]] = []
    answered: list[tuple[float, float]] = []

    def timed(action: Callable[[], Any], times: list[tuple[float, float]]) -> None:
        begun = time.monotonic()
        action()
        times.append((begun, time.monotonic()))

    def ask() -> None:
        while not over.is_set():
            timed(lambda: jupyter.ask("runs", "busy", limit=1000), asked)
            timed(lambda: jupyter.ask("pipelines", "busy"), asked)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        for _ in range(60):
            timed(lambda: jupyter.request("GET", "api/status").raise_for_status(), answered)
            time.sleep(0.02)
        over.set()
        asking.result()
    # All the while the steps slept, and others were answered between a question and its answer: a loop that waits for a verb answers
    # nobody meanwhile.
    assert len(_with(folder, mark)) == 16
    meanwhile = [early for early, late in answered if any(begun < early and late < ended for begun, ended in asked)]
    assert len(meanwhile) >= 10
    jupyter.request("DELETE", f"mlops/jobs/{job}")
    with contextlib.suppress(subprocess.TimeoutExpired):
        assert jupyter.process.poll() is None
