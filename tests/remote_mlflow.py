"""A remote MLflow: a tracking server as a process of its own, on loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from tests.delivery_desk import wait_until


class RemoteMlflow:
    """A tracking server with a database and artifacts of its own in `folder`; `begin` and `end` it as often as you like."""

    def __init__(self, folder: Path, database: Path) -> None:
        folder.mkdir()
        shutil.copy(database, folder / "server.db")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def begin(self) -> None:
        where = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db", "--artifacts-destination", str(self._folder / "files")]
        command = [sys.executable, "-m", "mlflow", "server", *where, "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_until(self._answers, 120)

    def end(self) -> None:
        if self._process is None:
            return
        # A server that is asked to end waits for its clients first, of which the worker is one.
        processes = [*psutil.Process(self._process.pid).children(recursive=True), psutil.Process(self._process.pid)]
        for item in processes:
            item.kill()
        self._process.wait(30)
        psutil.wait_procs(processes, timeout=30)
        self._process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
