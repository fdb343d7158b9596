"""Kernels and commands find the worker, start one when there is none, and get its answers and its errors."""

from __future__ import annotations

import errno
import json
import os
import socket
import sqlite3
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
    for times in (1, 2):
        (home / "state.db").write_bytes(b"not a database" * 1000 * times)
        assert state.recent(home) == []
        ledger = state.Ledger(home)
        assert ledger.sessions() == {}
        ledger.close()
    assert [(home / f"state.db.damaged{number}").stat().st_size for number in ("", ".2")] == [14_000, 28_000]


def test_a_good_ledger_stays_where_the_disk_is_full(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = project / ".mlops"
    ledger = state.Ledger(home)
    ledger.set_session("kept", 1.0, 99, "ended")
    for statement in ("DROP TABLE kept", "VACUUM"):  # as an older package left it: the next one has a table to add
        ledger._run(statement)
    ledger.close()
    connect = sqlite3.connect

    def full(*given: Any, **named: Any) -> sqlite3.Connection:
        connection = connect(*given, **named)
        connection.execute("PRAGMA max_page_count=1")  # no smaller than it is
        return connection

    monkeypatch.setattr(sqlite3, "connect", full)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        state.Ledger(home)
    assert not list(home.glob("*damaged*"))
    monkeypatch.undo()
    ledger = state.Ledger(home)
    assert ledger.sessions() == {"kept": (99, "ended")}
    ledger.close()


def test_a_ledger_on_a_network_disk_has_no_write_ahead_log(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for local, mode in ((True, "wal"), (False, "delete"), (True, "wal")):
        monkeypatch.setattr(state, "is_local", lambda _, local=local: local)
        ledger = state.Ledger(project / ".mlops")
        assert ledger._run("PRAGMA journal_mode") == [(mode,)]
        ledger.set_session("s", 1.0, 1, "open")
        ledger.close()


def test_what_no_other_try_can_mend_is_told_at_once(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def refused(error: OSError) -> Any:
        def ensure(settings: config.Settings) -> None:
            tried.append(error.errno or 0)
            raise error

        return ensure

    for number in (errno.EACCES, errno.EROFS):
        monkeypatch.setattr(client, "ensure_worker", refused(OSError(number, os.strerror(number), ".mlops/worker.lock")))
        with pytest.raises(StoreError, match=os.strerror(number)):
            client.ask(config.load(project), "status", patience=7.0)
    assert tried == [errno.EACCES, errno.EROFS]


def test_two_installations_of_the_same_code_have_one_stamp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stamp_of(name: str, text: str, when: int) -> str:
        folder = tmp_path / name
        (folder / "store").mkdir(parents=True, exist_ok=True)
        (folder / "store" / "a.py").write_text(text)
        os.utime(folder / "store" / "a.py", (when, when))
        monkeypatch.setattr(client, "PACKAGE", folder)
        return client.stamp()

    one = stamp_of("one", "x = 1", 1)
    assert stamp_of("two", "x = 1", 2) == one
    assert stamp_of("two", "x = 2", 3) != one
    assert stamp_of("two", "x = 1", 4) == one


def test_a_card_of_half_a_worker_is_no_card(tmp_path: Path) -> None:
    for content in ("", "{", "[]", json.dumps("x")):
        (tmp_path / "worker.json").write_text(content)
        assert client.card(tmp_path) == {}
