"""Steps on the workers of a Dask cluster that is there already."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from ...errors import ClusterLost, UsageError
from .executors import StepExecutor
from .task import Report

CONNECT_SECONDS = 10.0
WORKER_SECONDS = 30.0
_RESOURCES = ("cpus", "memory")


class TopicReport:
    """What a task on a worker reports to: the scheduler passes it on to those who listen to the topic."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __call__(self, event: Mapping[str, Any]) -> None:
        from distributed import get_worker

        if event:
            get_worker().log_event(self._topic, dict(event))


class DaskExecutor(StepExecutor):
    """The cluster whose scheduler is at `address` (dask://HOST:PORT, tcp://HOST:PORT). `jobs` is the most steps at once, None for no limit.

    Raises UsageError where distributed is not installed, ClusterLost when the scheduler does not answer or has no workers.
    """

    remote = True

    def __init__(self, address: str, jobs: int | None = None) -> None:
        try:
            from distributed import Client
        except ImportError:
            raise UsageError("Steps on a Dask cluster need its client: pip install 'jupyter_mlops[dask]'.") from None
        self.slots = jobs
        self._address = address
        self._listening: list[str] = []
        self._lost: float | None = None
        try:
            self._client = Client(address.replace("dask://", "tcp://", 1), timeout=CONNECT_SECONDS, set_as_default=False, name="mlops")
        except (OSError, ValueError) as error:
            raise ClusterLost(address, str(error) or "no answer") from error
        try:
            self._client.wait_for_workers(1, timeout=WORKER_SECONDS)
        except TimeoutError:
            self._client.close()
            raise ClusterLost(address, "it has no workers") from None
        self._tasks = self._client.get_executor(pure=False)
        # Resources in Dask are names that workers were started with; asking for others would wait for ever.
        workers = self._client.scheduler_info(n_workers=-1)["workers"].values()
        self._counted = {name for worker in workers for name in worker.get("resources", {}) if name in _RESOURCES}

    def reporting(self, listener: Report) -> Report:
        """What tasks report to, on whatever worker they are."""
        topic = f"mlops-{uuid.uuid4().hex}"
        self._client.subscribe_topic(topic, lambda event: listener(event[1]))
        self._listening.append(topic)
        return TopicReport(topic)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **resources: Any) -> Future[Any]:
        """Run a function on a worker. `resources` count where the workers were started with such (`--resources "cpus=4"`)."""
        counted = {name: amount for name, amount in resources.items() if name in self._counted}
        future: Future[Any] = self._tasks.submit(function, *arguments, **({"resources": counted} if counted else {}))
        return future

    def share(self, value: Any) -> Any:
        """A value on every worker, as what its tasks are given in its place."""
        return self._client.scatter(value, broadcast=True)

    def ready(self) -> bool:
        """Whether the scheduler is there; raises ClusterLost when it stays away."""
        if self._client.status == "running":
            self._lost = None
            return True
        self._lost = self._lost or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - self._lost > CONNECT_SECONDS:
            raise ClusterLost(self._address, "its scheduler does not answer any more")
        return False

    def stop(self) -> None:
        """Take back what no worker has begun; a running step ends as it loses its claim."""
        if self._client.status == "running":
            self._tasks.shutdown(wait=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if self._client.status == "running":
            for topic in self._listening:
                self._client.unsubscribe_topic(topic)
        self._client.close(timeout=CONNECT_SECONDS)
