"""What a service counts, in the form that Prometheus reads; with several processes, all of them together."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any

from .minutes import BOUNDS

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""No setting: where the processes of one service share what they count; their parent sets it before they start."""


class Metrics:
    """The counters of this process, all labelled with the model's name."""

    def __init__(self, name: str) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        own = self._registry = CollectorRegistry()
        self._requests = Counter("mlops_requests", "Answers, by status and version.", ["model", "version", "role", "status"], registry=own)
        self._rows = Counter("mlops_rows", "Rows predicted.", ["model", "version", "role"], registry=own)
        seconds = "Seconds from a request's headers to its answer."
        self._seconds = Histogram("mlops_request_seconds", seconds, ["model", "version", "role"], buckets=BOUNDS, registry=own)
        sizes = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
        self._batch = Histogram("mlops_batch_requests", "Requests predicted together.", ["model"], buckets=sizes, registry=own)
        self._predict = Histogram("mlops_predict_seconds", "Seconds in the model, for each batch.", ["model"], buckets=BOUNDS, registry=own)
        self._swaps = Counter("mlops_swaps", "Versions swapped in.", ["model"], registry=own)
        self._failures = Counter("mlops_load_failures", "Versions that failed to load or to warm.", ["model"], registry=own)
        self._shadow = Counter("mlops_shadow_dropped", "Requests that the shadow had no time for.", ["model"], registry=own)
        self._waiting = Gauge("mlops_requests_waiting", "Requests under way.", ["model"], multiprocess_mode="livesum", registry=own)
        self._version = Gauge("mlops_version", "The version that answers.", ["model", "role"], multiprocess_mode="mostrecent", registry=own)
        self._name = name
        self.waiting: Any = self._waiting.labels(name)
        self.swaps: Any = self._swaps.labels(name)
        self.failures: Any = self._failures.labels(name)
        self.shadow_dropped: Any = self._shadow.labels(name)
        self._batches, self._predicts = self._batch.labels(name), self._predict.labels(name)
        # Looking up labels takes longer than counting.
        self._of = cache(self._children)

    def answered(self, version: int, role: str, status: int, rows: int, seconds: float) -> None:
        """Count an answer; `version` 0 where none was asked."""
        requests, counted, took = self._of(version, role, status)
        requests.inc()
        if status == 200:
            counted.inc(rows)
            took.observe(seconds)

    def batch(self, requests: int, rows: int, seconds: float) -> None:
        """Count a batch."""
        self._batches.observe(requests)
        self._predicts.observe(seconds)

    def serves(self, role: str, version: int) -> None:
        """Note the version that answers in a role."""
        self._version.labels(self._name, role).set(version)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        from prometheus_client import CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call]  # prometheus_client is typed in part
        return generate_latest(together)

    def _children(self, version: int, role: str, status: int) -> tuple[Any, Any, Any]:
        model, number = self._name, str(version)
        return (
            self._requests.labels(model, number, role, str(status)),
            self._rows.labels(model, number, role),
            self._seconds.labels(model, number, role),
        )


def forget(process: int) -> None:
    """Leave out of the gauges a process that ended."""
    folder = os.environ.get(FOLDER)
    if folder and Path(folder).is_dir():
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process, folder)  # type: ignore[no-untyped-call]  # prometheus_client is typed in part
