"""A real Jupyter server for tests, and what a page would send to it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests

from tests.conftest import OURS, end_workers

ROOT = Path(__file__).resolve().parents[2]


@dataclass(slots=True)
class Jupyter:
    """A server whose root is `root`; `table` is its table of handlers."""

    root: Path
    port: int
    token: str
    table: list[tuple[str, str, list[str]]]
    process: subprocess.Popen[bytes]

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/lab/"

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """A request with the token, unless `headers` are given."""
        options.setdefault("headers", {"Authorization": f"token {self.token}"})
        return requests.request(method, self.base + path, timeout=60, **options)

    def ask(self, verb: str, folder: str = "", **arguments: Any) -> requests.Response:
        """What a verb that reads answers."""
        return self.request("GET", f"mlops/verbs/{verb}", params={"folder": folder, "arguments": json.dumps(arguments)})

    def change(self, verb: str, folder: str = "", **arguments: Any) -> requests.Response:
        """What a short change answers."""
        return self.request("POST", f"mlops/verbs/{verb}", json={"folder": folder, "arguments": arguments})

    def start(self, verb: str, folder: str = "", **arguments: Any) -> str:
        """Start a job; its id."""
        answer = self.request("POST", "mlops/jobs", json={"verb": verb, "folder": folder, "arguments": arguments})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def events(self, job: str, after: int | None = None) -> Iterator[dict[str, Any]]:
        """The events of a job as they come."""
        yield from self.stream(f"mlops/jobs/{job}/events" + ("" if after is None else f"?after={after}"))

    def stream(self, path: str) -> Iterator[dict[str, Any]]:
        """The data of a stream of events as they come."""
        headers = {"Authorization": f"token {self.token}"}
        with requests.get(self.base + path, headers=headers, stream=True, timeout=60) as answer:
            assert answer.status_code == 200, answer.text
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

    def ended(self, job: str) -> dict[str, Any]:
        """The last event of a job."""
        return list(self.events(job))[-1]

    def below(self) -> list[psutil.Process]:
        """The processes that it started, and those that they started."""
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.process.pid).children(recursive=True)
        return []


def made(jupyter: Jupyter, name: str) -> Path:
    """An empty project below the server's root."""
    folder = jupyter.root / name
    (folder / ".mlops").mkdir(parents=True)
    return folder


@contextlib.contextmanager
def serving(folder: Path, root: Path, environment: Mapping[str, str] | None = None) -> Iterator[Jupyter]:
    """A server for the length of the block, with settings of its own in `folder`; nothing of it is left after it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, table = secrets.token_hex(8), folder / "table.json"
    own = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "JUPYTER", "JPY"))}
    kept |= {**own, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "JUPYTER_NO_CONFIG": "", **(environment or {})}
    command = [sys.executable, "-m", "tests.surfaces.jupyter_process", str(root), str(port), token, str(table)]
    with (folder / "server.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=kept, stdout=log, stderr=log, start_new_session=True)
    try:
        server = Jupyter(root=root, port=port, token=token, table=[], process=process)
        _wait_for(server)
        server.table = [tuple(row) for row in json.loads(table.read_text(encoding="utf-8"))]
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        end_workers(folder)
        end_workers(root)


def _wait_for(server: Jupyter) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.process.poll() is None:
        with contextlib.suppress(requests.ConnectionError):
            if server.request("GET", "api/status").status_code == 200:
                return
        time.sleep(0.05)
    raise AssertionError("The server did not start.")
