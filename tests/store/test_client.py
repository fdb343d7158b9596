"""Kernels and commands find the worker, start one when there is none, and get its answers and its errors."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound, StoreError, UsageError, WorkerUnavailable
from jupyter_mlops.store import client, state
from jupyter_mlops.store.channel import Channel


class Listening:
    """A worker's ear that answers with what it was asked."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True)
        self.channel = Channel(home, self.answer)
        self.card = {"address": self.channel.address, "token": self.channel.token, "stamp": client.stamp()}

    def answer(self, verb: str, arguments: Any) -> Any:
        if verb == "fail":
            raise {"usage": UsageError("Write it otherwise."), "missing": NotFound("run", "x"), "bug": KeyError("x")}[arguments["how"]]
        return {"verb": verb, "arguments": arguments}


@pytest.fixture(params=["short", "a folder too deep for the name of a socket", "no sockets in this file system"])
def listening(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    home = tmp_path / ("d" * 150 if "deep" in request.param else "") / ".mlops"
    if "no sockets" in request.param:
        monkeypatch.delattr(socket, "AF_UNIX")
    made = Listening(home)
    yield made
    made.channel.close()


def test_requests_are_answered_from_many_threads(listening: Listening) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(client._request(listening.card, "echo", {"n": n, "text": "🦊\n"}, 10)))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer["arguments"]["n"] for answer in answers) == list(range(20))
    assert answers[0]["arguments"]["text"] == "🦊\n"


@pytest.mark.parametrize(
    ("how", "kind", "message"),
    [
        ("usage", UsageError, "Write it otherwise."),
        ("missing", NotFound, "There is no run 'x'."),
        ("bug", StoreError, "The worker failed at 'fail' (KeyError: 'x'); see .mlops/worker.log."),
    ],
)
def test_errors_arrive_as_they_were_raised(tmp_path: Path, how: str, kind: type[Exception], message: str) -> None:
    made = Listening(tmp_path / ".mlops")
    with pytest.raises(kind) as caught:
        client._request(made.card, "fail", {"how": how}, 10)
    assert (type(caught.value), str(caught.value)) == (kind, message)
    made.channel.close()


def test_nobody_without_the_token_is_answered(listening: Listening) -> None:
    with pytest.raises(ConnectionRefusedError):
        client._request({**listening.card, "token": "guessed"}, "echo", {}, 10)


def test_a_worker_that_cannot_start_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_spawn", lambda settings, *options: None)
    with pytest.raises(WorkerUnavailable, match="mlops doctor"):
        client.ask(config.load(project), "status", patience=0.2)


def test_the_kernels_side_imports_nothing_heavy() -> None:
    code = (
        "import sys, jupyter_mlops.store.client, jupyter_mlops.store.journal, jupyter_mlops.store.state, jupyter_mlops.store.runs\n"
        "print([name for name in ('mlflow', 'pandas', 'numpy', 'pyarrow', 'sqlalchemy', 'sklearn', 'fsspec') if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


def test_recent_runs_need_no_worker(project: Path) -> None:
    from jupyter_mlops.records import Run

    home = project / ".mlops"
    assert state.recent(home) == []
    ledger = state.Ledger(home)
    for number in range(3):
        run = Run(
            id=f"m{number}",
            own_id=f"o{number}",
            name=f"r{number}",
            status="FINISHED",
            experiment="a" if number else "b",
            started=float(number),
            metrics={"auc": 0.9},
        )
        ledger.set_run(run, mlflow_id=run.id, tracking_uri="sqlite:///x", deleted=False)
    ledger.mark_deleted("m2")
    assert [(run["name"], run["metrics"]) for run in state.recent(home)] == [("r1", {"auc": 0.9}), ("r0", {"auc": 0.9})]
    assert [run["name"] for run in state.recent(home, "a")] == ["r1"]
    ledger.close()


def test_a_damaged_ledger_is_put_aside(project: Path) -> None:
    home = project / ".mlops"
    state.Ledger(home).close()
    (home / "state.db").write_bytes(b"not a database" * 1000)
    assert state.recent(home) == []
    ledger = state.Ledger(home)
    assert ledger.sessions() == {}
    assert (home / "state.db.damaged").exists()
    ledger.close()


def test_a_card_of_half_a_worker_is_no_card(tmp_path: Path) -> None:
    for content in ("", "{", "[]", json.dumps("x")):
        (tmp_path / "worker.json").write_text(content)
        assert client.card(tmp_path) == {}
