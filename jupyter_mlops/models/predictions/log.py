"""The log of predictions, as a service writes it: without waiting for the disk, and without ever raising into the service.

A row is handed over in memory and is on the disk within a second. Whatever does not get there is counted, and says why.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import random
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...config import Settings
from ...errors import MlopsError, StoreError
from ..settings import of as settings_of
from . import redaction, sealing, segments, tables
from .streams import Stream, Writer

FLUSH_SECONDS = 0.5
FLUSH_ROWS = 8192
QUEUE_ROWS = 100_000
"""How many rows wait in memory at most; those beyond are counted and dropped."""
STREAM_ROWS = 1 << 17
STREAM_BYTES = 64 << 20
STREAM_SECONDS = 3600.0
_STREAMS = 4
_RETRY_SECONDS = 1.0
_NICE = 10


class Log:
    """The log of one model, for one process that predicts; any number of processes may have one each.

    `sample` is the share of rows that are kept, from 0 to 1; the values of the columns `redact` are kept as keyed hashes (see `redaction`).
    A thread of its own writes. `Log` never raises because of a disk: `trouble` says what is wrong with it, "" when nothing is.
    """

    def __init__(self, settings: Settings, name: str, *, sample: float = 1.0, redact: Sequence[str] = ()) -> None:
        self.name = name
        self.trouble = ""
        self._settings = settings
        self._folder = segments.folder_of(settings, name)
        self._sample = sample
        self._redact = tuple(redact)
        self._mutex = threading.Lock()
        self._queue: deque[tuple[Any, ...]] = deque()
        self._waiting = self._accepted = self._written = self._failed = self._no_room = self._disk = self._not_sampled = 0
        self._writer: Writer | None = None
        self._streams: dict[pa.Schema, Stream] = {}
        self._finished: list[Path] = []
        self._secret = b""
        self._schemas: dict[tuple[str, ...], pa.Schema] = {}
        self._some, self._now, self._idle = threading.Event(), threading.Event(), threading.Event()
        self._closing = False
        self._pid = os.getpid()
        self._tidying: threading.Thread | None = None
        pa.array([0])  # what pyarrow loads at its first array is loaded now, not in the midst of requests
        self._join()
        self._thread = threading.Thread(target=self._run, name="mlops-predictions", daemon=True)
        self._thread.start()
        self._tidy()
        atexit.register(self.close)

    def write(
        self, inputs: Mapping[str, Any] | Any, output: Any, *, ids: Sequence[str], version: int, role: str = "champion",
        seconds: float | Sequence[float] | None = None,
    ) -> int:  # fmt: skip
        """Log the rows of one or more requests; the number of rows that were taken (the others were not sampled, or there was no room).

        `inputs` maps columns to values (lists, NumPy or Arrow arrays; they are not copied, so do not change them after), is a 2-D array, or
        a tuple of the columns' names and the rows, each with a value for every name.
        `output` has one value for each row: a list, an array (2-D: a list of numbers each), or a mapping of names to such. `ids` come from
        `ids.ids`, called once for each request. `seconds` is how long the answer took, one number or one for each row.
        """
        rows = taken = len(ids)
        kept = None
        if self._sample < 1.0:
            kept = np.array([random.random() < self._sample for _ in range(rows)]) if rows < 64 else np.random.random(rows) < self._sample
            taken = int(kept.sum())
        with self._mutex:
            self._not_sampled += rows - taken
            if not taken:
                return 0
            if self._waiting + taken > QUEUE_ROWS or self._closing:
                if self.trouble:
                    self._disk += taken
                else:
                    self._no_room += taken
                return 0
            first = not self._queue
            self._queue.append((inputs, output, ids, version, role, seconds, None if taken == rows else kept))
            self._waiting += taken
            self._accepted += taken
            self._count()
        if first:
            self._some.set()
        if self._waiting >= FLUSH_ROWS:
            self._now.set()
        return taken

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until all that was written is on the disk; False when it is not in time."""
        until = self._accepted
        deadline = time.monotonic() + timeout
        while self._written + self._failed < until and self._thread.is_alive():
            self._idle.clear()
            self._now.set()
            self._some.set()
            self._idle.wait(max(0.0, min(0.05, deadline - time.monotonic())))
            if time.monotonic() >= deadline:
                return self._written + self._failed >= until
        return self._written + self._failed >= until

    def close(self) -> None:
        """Write what is left, and end."""
        if self._closing or os.getpid() != self._pid:  # in a forked child, it is still the parent's
            return
        self._closing = True
        atexit.unregister(self.close)
        self._now.set()
        self._some.set()
        self._thread.join()
        if self._tidying is not None:
            self._tidying.join()
        if self._writer is not None:
            done = False
            with contextlib.suppress(OSError, StoreError):
                sealing.close(self._folder, self._writer, self._tally())
                done = True
            self._writer.close(forget=done)

    @property
    def counts(self) -> dict[str, int]:
        """Rows of this process: `accepted` are `written`, `failed` or `waiting`; `no_room` came too fast, `disk` while it took nothing."""
        names = ("accepted", "written", "waiting", "failed", "no_room", "disk", "not_sampled")
        return {name: getattr(self, f"_{name}") for name in names}

    def _tally(self) -> tuple[int, int, int, int]:
        return self._accepted, self._failed, self._no_room, self._disk

    def _count(self) -> None:
        if self._writer is not None:
            with contextlib.suppress(OSError):
                self._writer.count(*self._tally())

    def _join(self) -> bool:
        """Be one of those who write the log; False while the disk does not allow it."""
        if self._writer is None:
            try:
                self._secret = redaction.key(self._settings.home) if self._redact else b""
                self._writer = Writer(self._folder)
            except OSError as error:
                self._troubled(error)
                return False
            with self._mutex:
                self._count()
        return True

    def _run(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            # Where a thread has a priority of its own (Linux), those that answer requests come first.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        pending: list[pa.RecordBatch] = []
        while True:
            if not pending and not self._queue:
                self._some.wait()
            if not self._closing:
                self._now.wait(_RETRY_SECONDS if self.trouble else FLUSH_SECONDS)
            self._some.clear()
            self._now.clear()
            closing = self._closing
            if self._join():
                with self._mutex:
                    requests = list(self._queue)
                    self._queue.clear()
                pending = self._append([*pending, *self._batches(requests)])
            self._idle.set()
            if closing:
                break
        for stream in self._streams.values():
            stream.finish()
        with self._mutex:
            # What the disk did not take by now will not be written.
            self._disk += self._waiting
            self._accepted -= self._waiting
            self._waiting = 0
            self._count()

    def _batches(self, requests: list[tuple[Any, ...]]) -> list[pa.RecordBatch]:
        """The requests as columns, each group of the same names together; those that cannot be are counted and left out."""
        groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
        for request in requests:
            try:
                inputs = tables.by_name(request[0])
                groups.setdefault(tuple(inputs), []).append((inputs, *request[1:]))
            except Exception as error:  # whatever the service handed over
                self._failing([request], error)
        found = []
        for names, group in groups.items():
            try:
                found.append(self._fitted(names, tables.batch_of(group)))
            except Exception:  # one of them is to blame, the others are not
                for request in group:
                    try:
                        found.append(self._fitted(names, tables.batch_of([request])))
                    except Exception as error:
                        self._failing([request], error)
        return found

    def _fitted(self, names: tuple[str, ...], batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with hidden values, and with the types of those before it, so that a column's type does not change back and forth."""
        for name in self._redact:
            place = batch.schema.get_field_index(tables.INPUTS + name)
            if place >= 0:
                batch = batch.set_column(place, tables.INPUTS + name, redaction.hidden(batch.column(place), self._secret))
        known = self._schemas.get(names)
        if known is None or not known.equals(batch.schema):
            known = self._schemas[names] = tables.unified([batch.schema] if known is None else [known, batch.schema])
        return tables.fitted(batch, known)

    def _failing(self, requests: list[tuple[Any, ...]], error: Exception) -> None:
        rows = sum(len(request[2]) if request[6] is None else int(request[6].sum()) for request in requests)
        self.trouble = f"Predictions of {self.name} could not be logged ({' '.join(str(error).split())[:200]})."
        with self._mutex:
            self._failed += rows
            self._waiting -= rows
            self._count()

    def _append(self, pending: list[pa.RecordBatch]) -> list[pa.RecordBatch]:
        """Append batches to their streams; those that the disk does not take now."""
        for place, batch in enumerate(pending):
            try:
                self._stream(batch.schema).append(batch)
            except OSError as error:
                self._troubled(error)
                self._drop_stream(batch.schema)
                return pending[place:]
            self.trouble = ""
            with self._mutex:
                self._written += batch.num_rows
                self._waiting -= batch.num_rows
        self._rotate()
        return []

    def _stream(self, schema: pa.Schema) -> Stream:
        assert self._writer is not None
        if schema not in self._streams:
            self._streams[schema] = self._writer.stream(schema)
        return self._streams[schema]

    def _drop_stream(self, schema: pa.Schema) -> None:
        stream = self._streams.pop(schema)
        stream.finish()
        if stream.size:
            self._finished.append(stream.path)
        else:
            with contextlib.suppress(OSError):
                stream.path.unlink()

    def _rotate(self) -> None:
        """Finish streams that are large, old or too many, and let them be sealed."""
        now = time.monotonic()
        over = [
            schema
            for place, (schema, stream) in enumerate(reversed(self._streams.items()))
            if stream.rows >= STREAM_ROWS or stream.size >= STREAM_BYTES or now - stream.started > STREAM_SECONDS or place >= _STREAMS
        ]
        for schema in over:
            self._drop_stream(schema)
        if over:
            self._tidy()

    def _tidy(self) -> None:
        """Seal finished streams and merge small segments in a thread of its own, one at a time: appending does not wait for it."""
        if self._tidying is None or not self._tidying.is_alive():
            self._tidying = threading.Thread(target=self._tidied, name="mlops-predictions-tidy", daemon=True)
            self._tidying.start()

    def _tidied(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        with contextlib.suppress(OSError, MlopsError):  # the files stay as they are, and are read so, until the next time
            while self._finished:
                sealing.seal(self._folder, self._finished[0])
                del self._finished[0]
            sealing.tidy(self._settings, self.name, keep_seconds=settings_of(self._settings, self.name).retention)

    def _troubled(self, error: OSError) -> None:
        why = error.strerror or str(error)
        self.trouble = f"Predictions of {self.name} cannot be written to {self._folder} ({why}): free the disk; they wait in memory."
