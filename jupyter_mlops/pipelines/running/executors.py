"""Where steps run: in processes and kernels of this machine, or on the workers of a Dask cluster. Each is a `concurrent.futures.Executor`
that also brings the events of its tasks to whoever listens."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

from ...errors import UsageError
from .task import Report, Stopped

LOCAL = "local"
DASK = "dask://"


class StepExecutor(Executor, ABC):
    """What the runner needs of an executor. `slots` is how many steps may run at once (None: the executor knows better), `remote` whether
    steps may run on machines that do not have the project. """

    remote: bool
    slots: int | None

    @abstractmethod
    def reporting(self, listener: Report) -> Report:
        """What a task reports to: it passes events on, and may end the task by raising `Stopped`."""

    @abstractmethod
    def submit(self, function: Callable[..., Any], /, *arguments: Any, **resources: Any) -> Future[Any]:
        """Run a function; `resources` are cpus and memory."""

    def share(self, value: Any) -> Any:
        """What stands for a value that many tasks take: it is brought to where they run once."""
        return value

    @abstractmethod
    def ready(self) -> bool:
        """Whether it takes tasks now; raises ClusterLost when it never will again."""

    @abstractmethod
    def stop(self) -> None:
        """End what it has."""


def connect(name: str, jobs: int | None) -> StepExecutor:
    """The executor that `--on` names: local, or dask://HOST:PORT. Raises UsageError, and ClusterLost when the scheduler does not answer."""
    if name == LOCAL:
        return LocalExecutor(jobs)
    if name.startswith((DASK, "tcp://", "tls://")):
        from .cluster import DaskExecutor

        return DaskExecutor(name, jobs)
    raise UsageError(f"There is no executor {name!r}: write local, or the address of a Dask scheduler such as dask://127.0.0.1:8786.")


def cores() -> int:
    """How many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class LocalExecutor(StepExecutor):
    """Threads that supervise the kernels and processes of steps on this machine."""

    remote = False

    def __init__(self, jobs: int | None = None) -> None:
        self.slots = jobs or cores()
        self._threads = ThreadPoolExecutor(self.slots, thread_name_prefix="mlops-step")
        self._stopping = threading.Event()

    def reporting(self, listener: Report) -> Report:
        """What a task reports to: it passes events on, and ends the task once `stop` was called."""

        def report(event: Mapping[str, Any]) -> None:
            if self._stopping.is_set():
                raise Stopped
            listener(event)

        return report

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **resources: Any) -> Future[Any]:
        """Run a function in a thread; whether there is room for its resources is for the runner to see."""
        return self._threads.submit(function, *arguments)

    def ready(self) -> bool:
        """This machine is always there."""
        return True

    def stop(self) -> None:
        """Let running tasks end at their next report."""
        self._stopping.set()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait, cancel_futures=cancel_futures)
