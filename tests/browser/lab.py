"""A real JupyterLab server for the tests, with settings, kernels' files and workspaces of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

from tests.conftest import OURS

TOKEN = "sesame"

PRIVATE = {
    "JUPYTER_CONFIG_DIR": "config",
    "JUPYTER_DATA_DIR": "data",
    "JUPYTER_RUNTIME_DIR": "runtime",
    "IPYTHONDIR": "ipython",
    "JUPYTERLAB_SETTINGS_DIR": "settings",
    "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
}

# Nobody wants to be asked about news, or to have a version looked for, in a test.
QUIET = {"@jupyterlab/apputils-extension/notification.jupyterlab-settings": {"fetchNews": "false", "checkForUpdates": False}}


class Lab:
    """A JupyterLab server on a port of its own, over the folder `root`."""

    def __init__(self, home: Path, *options: str) -> None:
        self.home = home
        self.root = home / "root"
        self.root.mkdir(parents=True)
        self.token = TOKEN
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / "server.log"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        for name, content in QUIET.items():
            file = home / "settings" / name
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(content), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the server: this one's, without what would change how it looks or where it keeps things."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, "JUPYTER", "IPYTHON"))}
        # The ten processes that a server of MLflow's has for jobs of other kinds keep a small machine busy.
        more = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        return kept | more | {name: str(self.home / folder) for name, folder in PRIVATE.items()}

    def command(self) -> list[str]:
        """The command line of the server."""
        return [
            sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
            f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
            f"--IdentityProvider.token={self.token}", f"--ServerApp.root_dir={self.root}", "--LabApp.extension_manager=readonly",
            *self._options,
        ]  # fmt: skip

    @property
    def pid(self) -> int:
        """The process id of the server, while it runs."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self, timeout: float = 90) -> None:
        """Start the server and wait until it answers."""
        with self.log.open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
            self._process = subprocess.Popen(self.command(), cwd=self.root, env=self.environment, start_new_session=True, **streams)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.ask("api/status")
                return
            except (URLError, ConnectionError):
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text()[-4000:]}") from None
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server as a person does in a terminal, and whatever it left behind."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            below = psutil.Process(process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            below = []
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _, alive = psutil.wait_procs(below, timeout=3)
        for child in alive:
            child.kill()

    def restart(self) -> None:
        """End the server and start it again, at the same address."""
        self.stop()
        self.start()

    def ask(self, path: str, method: str = "GET") -> Any:
        """What the server's own interface answers."""
        request = Request(f"{self.url}/{path}", method=method, headers={"Authorization": f"token {self.token}"})
        with urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def end_kernels(self) -> None:
        """Shut down every notebook's kernel."""
        for session in self.ask("api/sessions"):
            self.ask(f"api/sessions/{session['id']}", "DELETE")


@contextmanager
def running(home: Path, *options: str) -> Iterator[Lab]:
    """A server for as long as the block goes on."""
    lab = Lab(home, *options)
    try:
        lab.start()
        yield lab
    finally:
        lab.stop()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
