"""How a service did, kept beside the store, so that monitoring can ask after the service has ended: a line for each stretch of time.

Lines are JSON, in a file for each day and model; every process of a service appends its own.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import psutil

from ...config import Settings
from ...store.journal import make_private

SECONDS = 10.0
"""How long a stretch of time is, of which a line tells."""
_KEPT_DAYS = 400
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds, in seconds, of the classes that latencies are counted in; what is slower is in one more."""


class Minutes:
    """The lines of one process. `close` writes the last one. A disk that takes nothing is no reason not to serve."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._folder = _folder(settings, name)
        self._lock = threading.Lock()
        self._process = psutil.Process()
        self._from = time.time()
        self._busy = self._cpu()
        self._answers: Counter[tuple[int, int, str]] = Counter()
        self._latency = [0] * (len(BOUNDS) + 1)
        self._rows = 0
        self._seconds = 0.0
        self._slowest = 0.0
        _forget_old(self._folder)

    def count(self, version: int, status: int, role: str, rows: int, seconds: float) -> None:
        """Take in one answer: by which version (0: none), with which status and role, of how many rows, after how many seconds."""
        with self._lock:
            self._answers[version, status, role] += 1
            self._rows += rows
            if status == 200:
                place = 0
                for bound in BOUNDS:
                    if seconds <= bound:
                        break
                    place += 1
                self._latency[place] += 1
                self._seconds += seconds
                self._slowest = max(self._slowest, seconds)

    def write(self) -> None:
        """Append a line for the time since the last one, if anything was answered in it."""
        with self._lock:
            now, busy = time.time(), self._cpu()
            if self._answers:
                answers = [
                    {"version": version, "status": status, "role": role, "requests": count}
                    for (version, status, role), count in sorted(self._answers.items())
                ]
                line = {
                    "from": self._from, "seconds": now - self._from, "process": os.getpid(), "requests": sum(self._answers.values()),
                    "rows": self._rows, "answers": answers, "latency": self._latency, "latency_sum": self._seconds,
                    "slowest": self._slowest, "memory": self._process.memory_info().rss, "cpu": (busy - self._busy) / (now - self._from),
                }  # fmt: skip
                with contextlib.suppress(OSError):
                    make_private(self._folder)
                    path = self._folder / f"{dt.datetime.fromtimestamp(self._from, dt.UTC):%Y-%m-%d}.jsonl"
                    with path.open("ab") as file:
                        file.write(json.dumps(line).encode() + b"\n")
            self._answers.clear()
            self._latency = [0] * (len(BOUNDS) + 1)
            self._rows, self._seconds, self._slowest = 0, 0.0, 0.0
            self._from, self._busy = now, busy

    def close(self) -> None:
        """Write the last line."""
        self.write()

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def read(settings: Settings, name: str, start: float, end: float) -> Iterator[dict[str, Any]]:
    """The lines of a model's services that begin from `start` to before `end` (seconds since the epoch), oldest day first.

    Each is {"from", "seconds", "process", "requests", "rows", "answers": [{"version", "status", "role", "requests"}], "latency",
    "latency_sum", "slowest", "memory" (bytes), "cpu" (cores)}; `latency` counts answers by the classes of `BOUNDS`. A line that a crash
    cut off is left out.
    """
    first, last = (f"{dt.datetime.fromtimestamp(moment, dt.UTC):%Y-%m-%d}" for moment in (start, end))
    for path in sorted(_folder(settings, name).glob("*.jsonl")):
        if not first <= path.stem <= last:
            continue
        for line in path.read_bytes().splitlines():
            with contextlib.suppress(ValueError):
                told = json.loads(line)
                if start <= told["from"] < end:
                    yield told


def names(settings: Settings) -> tuple[str, ...]:
    """The models whose services left lines."""
    return tuple(sorted(unquote(path.name) for path in (settings.home / "services").glob("*/")))


def quantile(latency: list[int], share: float) -> float | None:
    """The latency in seconds below which a `share` of answers stays, from counts by class: interpolated in its class. None without any."""
    wanted = share * sum(latency)
    if not wanted:
        return None
    before = 0
    edges = (0.0, *BOUNDS, BOUNDS[-1] * 2)
    for place, count in enumerate(latency):
        if before + count >= wanted:
            return edges[place] + (edges[place + 1] - edges[place]) * (wanted - before) / count
        before += count
    return edges[-1]


def _folder(settings: Settings, name: str) -> Path:
    return settings.home / "services" / quote(name, safe=" ")


def _forget_old(folder: Path) -> None:
    oldest = f"{dt.datetime.now(dt.UTC) - dt.timedelta(days=_KEPT_DAYS):%Y-%m-%d}"
    for path in folder.glob("*.jsonl"):
        if path.stem < oldest:
            path.unlink(missing_ok=True)
