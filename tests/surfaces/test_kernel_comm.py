"""What a front end is told of the cells of its notebook, by a real kernel."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.conftest import Kernel

TARGET = "jupyter_mlops"
FIT = """
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.arange(40.0).reshape(-1, 1)
y = (X[:, 0] > 19).astype(int)
model = LogisticRegression(C=2.0).fit(X, y)
accuracy = model.score(X, y)
"""


class FrontEnd:
    """A second client of the kernel, as a notebook's window is: it runs cells with their ids, opens the comm, and hears what comes."""

    def __init__(self, kernel: Kernel) -> None:
        self.client = kernel.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)
        self.comm = ""
        self.heard: list[dict[str, Any]] = []
        self.other: list[dict[str, Any]] = []

    def listen(self) -> dict[str, Any]:
        """Open the comm; the first message, which tells all."""
        self.comm = uuid.uuid4().hex
        self._send("comm_open", target_name=TARGET, data={})
        return self.told("state")

    def say(self, data: Any) -> None:
        self._send("comm_msg", data=data)

    def leave(self) -> None:
        self._send("comm_close", data={})

    def run(self, source: str, cell: str = "a", **content: Any) -> dict[str, Any]:
        """Run a cell; the kernel's reply."""
        request = {"code": source, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False, **content}
        message = self.client.session.msg("execute_request", request, metadata={"cellId": cell})
        self.client.shell_channel.send(message)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            reply = self.client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply["content"])
        raise AssertionError("the kernel did not answer")

    def told(self, kind: str, fits: Callable[[dict[str, Any]], bool] = lambda message: True, seconds: float = 30) -> dict[str, Any]:
        """The next message of a kind that fits; those before it are behind us."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.hear(0.1)
            while self.heard:
                message = self.heard.pop(0)
                if message["kind"] == kind and fits(message):
                    return message
        raise AssertionError(f"no message {kind!r} came")

    def hear(self, seconds: float) -> None:
        """Take in what the kernel sends until nothing came for so long."""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=seconds)
            except Empty:
                return
            if message["msg_type"].startswith("comm_"):
                self.other.append(message)
                if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.comm:
                    self.heard.append(message["content"]["data"])

    def close(self) -> None:
        self.client.stop_channels()

    def _send(self, kind: str, **content: Any) -> None:
        self.client.shell_channel.send(self.client.session.msg(kind, {"comm_id": self.comm, **content}))


@pytest.fixture
def front_end(kernel: Kernel) -> Iterator[FrontEnd]:
    made = FrontEnd(kernel)
    yield made
    made.close()


def test_after_each_cell_a_front_end_is_told_of_its_runs(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops", "loads")
    state = front_end.listen()
    assert (state["tracking"], state["cells"], state["runs"]) == ("on", {"loads": 1}, [])
    front_end.run("before = 1", "first")
    assert front_end.told("cell")["runs"] == []
    front_end.run(FIT, "fits")
    told = front_end.told("cell")
    assert (told["cell"], told["seq"], told["status"], told["tracking"]) == ("fits", 3, "ok", "on")
    (run,) = told["runs"]
    assert run["cell"] == "fits"
    assert run["metrics"] == {"accuracy": 1.0}
    assert run["status"] == "FINISHED"
    front_end.run("1 / 0", "fails")
    assert front_end.told("cell")["status"] == "error"


def test_whoever_comes_later_is_told_all(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops", "loads")
    front_end.run(FIT, "fits")
    front_end.run(FIT.replace("2.0", "0.5"), "fits")
    state = front_end.listen()
    assert state["cells"] == {"loads": 1, "fits": 3}
    (run,) = state["runs"]
    assert run["cell"] == "fits", "the cell's last execution, not what it did before"
    front_end.run("done = True", "after")
    assert front_end.told("cell")["cell"] == "after"


def test_a_cell_becomes_stale_and_fresh_again(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops", "loads")
    front_end.listen()
    front_end.run("a = 1", "above")
    front_end.run("b = a + 1", "below")
    front_end.run("a = 2", "above")
    status = front_end.told("status", lambda message: bool(message["stale"]))
    assert list(status["stale"]) == ["below"]
    assert "a was made anew by cell [4]" in status["stale"]["below"][0]
    front_end.run("b = a + 1", "below")
    assert front_end.told("status", lambda message: not message["stale"])["stale"] == {}


def test_hidden_state_is_told(front_end: FrontEnd, project: Path) -> None:
    """A name whose cell was deleted from the notebook: a restart would not find it."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("b = a + 1", id="below")])
    path = project / "work.ipynb"
    nbformat.write(notebook, path)
    front_end.run(f"import os\nos.environ['JPY_SESSION_NAME'] = {str(path)!r}", "names")
    front_end.run("%load_ext jupyter_mlops", "loads")
    front_end.listen()
    front_end.run("a = 1", "above")
    front_end.run("b = a + 1", "below")
    nbformat.write(notebook, path)
    front_end.say({"do": "look"})
    status = front_end.told("status", lambda message: "below" in message["hidden"])
    assert status["hidden"]["below"] == ["NameError: a is not bound there; no cell binds it."]


def test_tracking_is_paused_and_resumed_by_the_front_end(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops", "loads")
    front_end.listen()
    front_end.say({"do": "track", "state": "off"})
    assert front_end.told("tracking")["tracking"] == "off"
    front_end.run(FIT, "fits")
    front_end.say({"do": "track", "state": "on"})
    assert front_end.told("tracking")["tracking"] == "on"
    front_end.run("%mlops track off", "pauses")
    assert front_end.told("cell", lambda message: message["cell"] == "pauses")["tracking"] == "off"
    front_end.run("%mlops track on", "resumes")
    assert front_end.told("cell", lambda message: message["cell"] == "resumes")["tracking"] == "on"


def test_unloading_closes_the_comm(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops")
    front_end.listen()
    front_end.run("%unload_ext jupyter_mlops")
    front_end.hear(0.5)
    assert [message["msg_type"] for message in front_end.other][-1] == "comm_close"
    front_end.run("%load_ext jupyter_mlops")
    assert front_end.listen()["tracking"] == "on"


def test_nothing_is_sent_where_nobody_listens(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops")
    front_end.run(FIT)
    front_end.hear(0.5)
    assert front_end.other == []
    front_end.listen()
    front_end.leave()
    front_end.run("after = 1")
    front_end.run("from jupyter_mlops.tracking import session; told = session.current().on_cell")
    front_end.hear(0.5)
    assert [message for message in front_end.heard if message["kind"] == "cell" and message["seq"] > 3] == []
    reply = front_end.run("", user_expressions={"told": "told"})
    assert reply["user_expressions"]["told"]["data"]["text/plain"] == "None"


@pytest.mark.parametrize("data", [None, [], {"do": 5}, {"do": "track", "state": "sideways"}, {"do": ["track"]}], ids=str)
def test_whatever_a_front_end_says_the_kernel_goes_on(data: Any, front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops")
    front_end.listen()
    front_end.say(data)
    assert front_end.run("x = 1", "next")["status"] == "ok"
    assert front_end.told("cell", lambda message: message["cell"] == "next")["tracking"] == "on"


def test_a_broken_front_end_breaks_no_cell(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops")
    front_end.listen()
    front_end.run("for comm in get_ipython().kernel.comm_manager.comms.values(): comm.send = None")
    assert front_end.run("x = 1")["status"] == "ok"
    reply = front_end.run(FIT, user_expressions={"made": "session.current().status()['runs']", "accuracy": "accuracy"})
    assert reply["status"] == "ok"
    assert reply["user_expressions"]["accuracy"]["data"]["text/plain"] == "1.0"
    assert front_end.listen()["tracking"] == "on"


def test_a_front_end_that_does_not_answer_is_forgotten(front_end: FrontEnd) -> None:
    front_end.run("%load_ext jupyter_mlops")
    front_end.listen()
    for _ in range(70):
        front_end.run("pass")
        front_end.hear(0.001)
    front_end.hear(0.5)
    assert any(message["ask"] for message in front_end.heard)
    assert [message["msg_type"] for message in front_end.other][-1] == "comm_close"
    front_end.listen()
    for _ in range(70):
        front_end.run("pass")
        front_end.say({"do": "here"})
    front_end.hear(0.5)
    assert [message["msg_type"] for message in front_end.other][-1] == "comm_msg", "one that answers is kept"


def test_loading_without_a_cell_keeps_what_ran_before(front_end: FrontEnd) -> None:
    """A front end's button runs the loading silently: it is no cell, and the cells before it are all known."""
    front_end.run("a = 1", "one")
    front_end.run("b = a + 1", "two")
    reply = front_end.run("%load_ext jupyter_mlops", "", silent=True, store_history=False)
    assert reply["status"] == "ok"
    front_end.listen()
    front_end.run("c = b + 1", "three")
    assert front_end.told("cell")["seq"] == 3


def test_a_run_of_a_notebook_tracked_by_the_button_replays(front_end: FrontEnd) -> None:
    front_end.run("start = 0.25", "one")
    front_end.run("%load_ext jupyter_mlops", "", silent=True, store_history=False)
    front_end.listen()
    front_end.run(FIT.replace("C=2.0", "C=start"), "fits")
    run = front_end.told("cell")["runs"][0]["id"]
    replay = f"import jupyter_mlops as mlops; replayed = mlops.replay({run!r})"
    reply = front_end.run(replay, "replays", user_expressions={"verdict": "replayed.verdict, replayed.cells"})
    assert reply["user_expressions"]["verdict"]["data"]["text/plain"] == "('identical', 2)", reply


def test_a_notebook_run_as_a_whole_hears_nothing(project: Path) -> None:
    cells = [nbformat.v4.new_code_cell(source) for source in ("%load_ext jupyter_mlops", FIT, "print(accuracy)")]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), resources={"metadata": {"path": str(project)}})
    done = client.execute()
    assert client.comm_objects == {}
    assert done.cells[2].outputs[0]["text"] == "1.0\n"


def test_what_it_costs_a_cell(front_end: FrontEnd) -> None:
    """Without a listener nothing but a look at one name; with one, the message of an empty cell is a fraction of a millisecond."""
    front_end.run("%load_ext jupyter_mlops")
    measure = """
import time
from statistics import median
from jupyter_mlops.records import CellEvent
from jupyter_mlops.tracking import session
live = session.current()
event = CellEvent(session="s", seq=1, source="", started=0.0, seconds=0.0, status="ok", cell="a")
def cost():
    took = []
    for _ in range(15):
        began = time.perf_counter()
        live.cell_ended(event)
        took.append(time.perf_counter() - began)
    return median(took) * 1e6
"""
    front_end.run(measure)
    front_end.run("alone = cost()", "b")
    front_end.listen()
    front_end.run("heard = cost()", "b")
    reply = front_end.run("", user_expressions={"costs": "alone, heard"})
    alone, heard = eval(reply["user_expressions"]["costs"]["data"]["text/plain"])
    print(f"per cell: {alone:.2f} us without a listener, {heard:.0f} us with one")
    assert alone < 20
    assert 0 < heard < 5000
