"""`mlops serve` as people run it: a registered model in a process of its own, promoted and rolled back while it serves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from jupyter_mlops import config
from jupyter_mlops.models.predictions import reading
from jupyter_mlops.models.registry.promoting import promote, rollback
from jupyter_mlops.models.serving import minutes
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from tests.models.registered import registered
from tests.models.services import Client, wait_for

ROW = {"dataframe_records": [{"a": 0.9, "b": 0.1}]}


@contextmanager
def serving(*words: str, **environment: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """`mlops serve` with these words; what it says once it answers."""
    command = [sys.executable, "-m", "jupyter_mlops", "serve", *words, "--port", "0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield json.loads(line), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def version(client: Client) -> str:
    answer = client.post(ROW)
    assert answer.status == 200, answer
    return str(answer.json["model_version"])


def test_a_champion_is_served_replaced_and_brought_back(project: Path) -> None:
    registered(project, count=2)
    settings = config.load(project)
    promote(settings, "flights", version=1, who="ann")
    with serving("flights@champion") as (told, process):
        assert (told["name"], told["version"]) == ("flights", 1)
        client = Client(told["url"])
        answer = client.post(ROW)
        assert answer.json["predictions"] == [1]
        promote(settings, "flights", version=2, who="ann")
        wait_for(lambda: version(client) == "2")
        start = time.monotonic()
        rollback(settings, "flights", why="as it was", who="ann")
        wait_for(lambda: version(client) == "1")
        print(f"rollback to the first answer: {time.monotonic() - start:.2f} s")
        assert time.monotonic() - start < 5
        client.close()
    assert process.returncode == 0
    (identifier,) = answer.json["prediction_ids"]
    found = reading.find(settings, identifier)
    assert (found.version, dict(found.inputs), found.output) == (1, {"a": 0.9, "b": 0.1}, 1)
    told_of = [entry.what for entry in Audit(registry.state_of(settings)).entries("flights") if entry.what in ("served", "swapped")]
    assert told_of == ["swapped", "swapped", "served"]
    assert sum(line["requests"] for line in minutes.read(settings, "flights", 0, time.time() + 1)) > 3


def test_several_processes_answer_at_one_address_and_one_that_dies_is_replaced(project: Path) -> None:
    registered(project)
    promote(config.load(project), "flights", version=1, who="ann")
    with serving("flights/1", "--workers", "2", MLOPS_SERVE_TOKEN="a-long-enough-token") as (told, process):
        client = Client(told["url"], {"Authorization": "Bearer a-long-enough-token"})
        assert version(client) == "1"
        client.close()
        children = psutil.Process(process.pid).children()
        assert len(children) == 2
        assert not any("a-long-enough-token" in word for child in children for word in child.cmdline())
        children[0].kill()
        wait_for(lambda: len([child for child in psutil.Process(process.pid).children() if child.pid != children[0].pid]) == 2, 20)
        client = Client(told["url"], {"Authorization": "Bearer a-long-enough-token"})
        assert version(client) == "1"
        assert b"mlops_requests_total" in client.get("/metrics").body
        client.close()
    assert process.returncode == 0
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


@pytest.mark.parametrize(("words", "said"), [
    (["nothing"], "no version of it has the alias 'champion'"),
    (["flights", "--host", "0.0.0.0"], "give a token"), (["flights", "--canary", "5"], "is no share"),
])  # fmt: skip
def test_what_cannot_be_served_is_told_in_a_sentence(project: Path, words: list[str], said: str) -> None:
    command = [sys.executable, "-m", "jupyter_mlops", "serve", *words, "--port", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr.splitlines()[-1]
