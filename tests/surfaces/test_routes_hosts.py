"""The processes that answer for projects: replaced when they die, ended when nobody asks, and never in the way of the server's loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops.surfaces.routes import hosts as module
from jupyter_mlops.surfaces.routes.hosts import HostLost, Hosts
from tests.delivery_desk import wait_until
from tests.surfaces.jupyter import Jupyter, made

LOG = logging.getLogger(__name__)


def hosts_of(jupyter: Jupyter, folder: Path) -> list[psutil.Process]:
    """The host processes of a project."""
    found = []
    for process in jupyter.below():
        try:
            if "jupyter_mlops.surfaces.routes.host" in process.cmdline() and process.cwd() == str(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_host_that_is_killed_is_told_of_and_replaced(jupyter: Jupyter) -> None:
    folder = made(jupyter, "crashed")
    assert jupyter.ask("runs", "crashed").status_code == 200
    (host,) = hosts_of(jupyter, folder)
    host.kill()
    wait_until(lambda: not host.is_running())
    assert jupyter.ask("runs", "crashed").status_code == 200
    (other,) = hosts_of(jupyter, folder)
    assert other.pid != host.pid


def test_one_that_dies_while_it_is_asked_gives_a_sentence_and_the_next_request_works(jupyter: Jupyter) -> None:
    folder = made(jupyter, "asked")
    assert jupyter.ask("runs", "asked").status_code == 200
    (host,) = hosts_of(jupyter, folder)
    host.suspend()
    with ThreadPoolExecutor(5) as pool:
        asked = [pool.submit(jupyter.ask, "runs", "asked") for _ in range(5)]
        time.sleep(0.5)
        assert jupyter.request("GET", "api/status").status_code == 200  # the loop is not stopped with it
        host.send_signal(signal.SIGKILL)
        for item in asked:
            answer = item.result(30)
            assert answer.status_code == 500
            assert answer.json() == {
                "message": "The process that answers for this project ended unexpectedly (signal SIGKILL); ask again, a new one is started."
            }
    assert jupyter.ask("runs", "asked").json() == {"runs": [], "total": 0}


def test_a_project_has_one_host_however_many_ask_at_once_and_from_which_folder(jupyter: Jupyter) -> None:
    folder = made(jupyter, "one-host")
    (folder / "a").mkdir()
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda number: jupyter.ask("runs", "one-host/a" if number % 2 else "one-host").status_code, range(24)))
    assert found == [200] * 24
    assert len(hosts_of(jupyter, folder)) == 1
    assert hosts_of(jupyter, folder / "a") == []


def run(tmp_path: Path, act: Callable[[Hosts], Awaitable[Any]]) -> Any:
    """Something done with hosts in a loop of its own; none is left."""

    async def all_of_it() -> Any:
        hosts = Hosts(tmp_path, LOG)
        try:
            return await act(hosts)
        finally:
            pids = list(hosts.pids.values())
            await hosts.close()
            assert not [pid for pid in pids if psutil.pid_exists(pid)]

    return asyncio.run(all_of_it())


def test_a_host_that_nobody_asks_any_more_ends(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDLE_SECONDS", 1.0)

    async def act(hosts: Hosts) -> None:
        answer = await hosts.ask(project, "runs", {"where": ""})
        assert (answer.status, answer.body) == (200, b'{"runs":[],"total":0}')
        (pid,) = hosts.pids.values()
        for _ in range(100):
            await asyncio.sleep(0.1)
            if not psutil.pid_exists(pid):
                break
        assert (psutil.pid_exists(pid), hosts.pids) == (False, {})
        assert (await hosts.ask(project, "runs", {})).status == 200

    run(project, act)


def test_of_too_many_hosts_the_one_that_was_asked_longest_ago_ends(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    folders = [project / name for name in "abc"]

    async def act(hosts: Hosts) -> None:
        for folder in folders:
            folder.mkdir()
            assert (await hosts.ask(folder, "nothing", {})).status == 500
        assert set(hosts.pids) == {str(folder) for folder in folders[1:]}

    run(project, act)


def test_a_long_answer_and_one_that_prints_come_whole(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number:04}-" + 400 * "é<&\n" for number in range(1000)]

    async def act(hosts: Hosts) -> None:
        answer = await hosts.ask(project, "compare", {"runs": names})
        assert (answer.status, names[0][:4].encode() in answer.body) == (404, True)
        both = await asyncio.gather(*(hosts.ask(project, "runs", {"limit": 5}) for _ in range(20)))
        assert {item.body for item in both} == {b'{"runs":[],"total":0}'}

    run(project, act)


def test_one_that_cannot_be_started_or_says_nonsense_is_lost_for_its_askers_alone(project: Path) -> None:
    (project / "sitecustomize.py").write_text("raise SystemExit('not this one')")

    async def act(hosts: Hosts) -> None:
        with pytest.raises(OSError, match="No such file"):
            await hosts.ask(project / "not there", "runs", {})
        assert (await hosts.ask(project, "runs", {})).status == 200
        (pid,) = hosts.pids.values()
        os.kill(pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(hosts.ask(project, "runs", {}))
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(HostLost, match="signal SIGKILL"):
            await asked
        assert (await hosts.ask(project, "runs", {})).status == 200

    run(project, act)
