"""What every test may use: an empty project folder, and a real IPython kernel in it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import settings
from jupyter_client.manager import KernelManager

from jupyter_mlops.config import Settings
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.surfaces import answers
from tests import databases
from tests.npm import bundle, checkout_with_modules, node  # noqa: F401  (fixtures)

# The same examples each time, so that a change is judged by what it changes; `pytest --hypothesis-profile=explore` looks for new ones.
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("explore", derandomize=False)
settings.load_profile("repeatable")

OURS = ("MLOPS_", "MLFLOW_")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder as working folder, without settings from outside; its delivery worker is ended afterwards."""
    forget_tracking_uri()
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    # The ten processes that a server of MLflow's has for jobs of other kinds keep a small machine busy.
    monkeypatch.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    # Colours and widths of the developer's terminal must not decide what a test sees.
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    end_workers(tmp_path)


@pytest.fixture(autouse=True)
def fitting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test lets a command print with --json is held against the published schema."""
    own = answers.plain

    def checked(answer: Any) -> Any:
        from tests.surfaces import answers_schema  # it imports every verb

        found = own(answer)
        answers_schema.check(answer, json.loads(json.dumps(found, default=repr)))
        return found

    monkeypatch.setattr(answers, "plain", checked)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[databases.Postgres]:
    """A PostgreSQL server; each test makes a database of its own on it."""
    with databases.postgres() as server:
        yield server


@pytest.fixture(params=databases.KINDS)
def shared_settings(request: pytest.FixtureRequest, project: Path) -> Settings:
    """Settings whose shared state is empty: on SQLite, and on PostgreSQL where that is installed."""
    url = None if request.param == "sqlite" else request.getfixturevalue("postgres_server").database()
    return Settings(project=project, database=url)


@pytest.fixture
def state(shared_settings: Settings) -> Iterator[SharedState]:
    """An empty shared state."""
    made = SharedState(shared_settings)
    yield made
    made.close()


def forget_tracking_uri() -> None:
    """Let MLflow in this process find its place anew: what it was once told outlives the test that told it."""
    if "mlflow" in sys.modules:
        sys.modules["mlflow"].set_tracking_uri(None)


def end_workers(folder: Path) -> None:
    """End the delivery workers of stores under `folder`, each by its own pid."""
    for process in psutil.process_iter(["pid", "cmdline"]):
        command = process.info["cmdline"] or []
        if "jupyter_mlops.store.worker" in command and any(part.startswith(str(folder)) for part in command):
            process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 10
            while not _has_ended(process) and time.monotonic() < deadline:
                time.sleep(0.02)
            if not _has_ended(process):
                process.kill()


def _has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone, or only waits for its parent, which may be another's server, to hear of it."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@dataclass(frozen=True, slots=True)
class Ran:
    """What a cell showed: printed text, error output, displayed and returned mime bundles, and the error if it raised one."""

    stdout: str = ""
    stderr: str = ""
    displays: tuple[dict[str, Any], ...] = ()
    result: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    @property
    def text(self) -> str:
        """Everything shown, as text."""
        return "\n".join([self.stdout, *(str(item.get("text/plain", "")) for item in (*self.displays, self.result)), self.error])


class Kernel:
    """A real IPython kernel in its own process, driven through the protocol that front ends speak."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(cwd=str(folder))
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    @property
    def pid(self) -> int:
        """The process id of the kernel."""
        return int(self.manager.provisioner.pid)

    def run(self, cell: str, timeout: float = 120) -> Ran:
        """Execute one cell and wait for all that it shows; a cell that raises gives `error`, it does not raise here."""
        request = self.client.execute(cell, store_history=True)
        stdout, stderr, displays, result, error = "", "", [], {}, ""
        deadline = time.monotonic() + timeout
        while True:
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream" if content["name"] == "stdout":
                    stdout += content["text"]
                case "stream":
                    stderr += content["text"]
                case "display_data" | "update_display_data":
                    displays.append(content["data"])
                case "execute_result":
                    result = content["data"]
                case "error":
                    error = f"{content['ename']}: {content['evalue']}"
                case "status" if content["execution_state"] == "idle":
                    break
        self.client.get_shell_msg(timeout=max(0.01, deadline - time.monotonic()))
        return Ran(stdout, stderr, tuple(displays), result, error)

    def kill(self) -> None:
        """End the kernel as a crash or the operating system would (SIGKILL)."""
        os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Shut the kernel down as a front end does."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=False)


@pytest.fixture
def kernel(project: Path) -> Iterator[Kernel]:
    """A kernel in the empty project, without the extension loaded."""
    started = Kernel(project)
    yield started
    started.close()
