"""A real Dask cluster for tests: a scheduler and workers in processes of their own, some of which cannot see this machine's projects."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.delivery_desk import wait_until

# Root in a namespace of its own is not the root that may enter the folders of other users.
_NAMESPACE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]


def can_hide() -> bool:
    """Whether this machine lets a process have a view of the disk of its own."""
    return shutil.which("unshare") is not None and subprocess.run([*_NAMESPACE, "true"], capture_output=True).returncode == 0


@dataclass
class Cluster:
    """A scheduler on this machine; `folder` is where it and its workers are, which start with the variables `env`."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    scheduler: subprocess.Popen[bytes] | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    address: str = ""

    def start(self) -> None:
        """Start the scheduler, and learn where it listens."""
        card = self.folder / "scheduler.json"
        command = ["scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(card)]
        self.scheduler = self._spawn("scheduler", self._dask(command))
        wait_until(lambda: card.exists() and card.stat().st_size > 0, 60)
        self.address = json.loads(card.read_text())["address"].replace("tcp://", "dask://")

    def add(self, hidden: Path | None = None, nannies: int = 0) -> subprocess.Popen[bytes]:
        """Start a worker that takes one task at a time; the folder `hidden` looks empty to it. With `nannies`, as many that are started
        again when they end."""
        options = ["--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder / "space")]
        kind = ["--nworkers", str(nannies)] if nannies else ["--no-nanny"]
        command = self._dask(["worker", self.address.replace("dask://", "tcp://"), *options, *kind])
        if hidden is not None:
            command = [*_NAMESPACE, "/bin/sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden), *command]
        worker = self._spawn(f"worker-{len(self.workers)}", command)
        self.workers.append(worker)
        return worker

    def close(self) -> None:
        """End all of it."""
        for process in [*self.workers, *([self.scheduler] if self.scheduler else [])]:
            for child in _below(process.pid):
                child.kill()
            process.kill()
            process.wait()

    def processes(self) -> list[psutil.Process]:
        """The processes that do the tasks of workers with nannies."""
        found = [child for worker in self.workers for child in _below(worker.pid)]
        return [process for process in found if _is_worker(process)]

    def _dask(self, words: list[str]) -> list[str]:
        return [sys.executable, "-m", "dask", *words]

    def _spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        env = {name: value for name, value in os.environ.items() if not name.startswith(("MLOPS_", "MLFLOW_"))} | dict(self.env)
        env |= {"TMPDIR": str(self.folder / "tmp"), "OMP_NUM_THREADS": "1"}
        (self.folder / "tmp").mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, cwd=self.folder, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def _below(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "spawn_main" in " ".join(process.cmdline())
    except psutil.Error:
        return False


@contextmanager
def cluster(folder: Path, **env: str) -> Iterator[Cluster]:
    """A cluster in a new folder, gone afterwards."""
    folder.mkdir()
    found = Cluster(folder, env)
    try:
        found.start()
        yield found
    finally:
        found.close()
