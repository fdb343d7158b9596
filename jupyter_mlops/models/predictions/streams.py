"""What a living process has logged: Arrow streams that it appends to, and a count that outlives it.

A batch is appended whole and synced before it counts as written. A stream that was torn by a crash ends where its last whole batch does.
The count is one small file, written at every request and held by the operating system however the process ends: what it says was taken and
is in no stream was lost.
"""

from __future__ import annotations

import contextlib
import os
import struct
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pyarrow as pa

from ...errors import StoreError
from ...store import locks
from ...store.journal import make_private

_END = b"\xff\xff\xff\xff\0\0\0\0"
_COUNTS = struct.Struct("<4Q")
_TRIES = 20
STREAM = ".arrows"


@dataclass(slots=True)
class Stream:
    """A file that batches of one schema are appended to."""

    path: Path
    schema: pa.Schema
    started: float = field(default_factory=time.monotonic)
    rows: int = 0
    size: int = 0
    _file: int = -1

    def append(self, batch: pa.RecordBatch) -> None:
        """Append a batch and wait until the disk has it. Raises OSError; the file then is as it was before."""
        if self._file < 0:
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        content = batch.serialize()
        try:
            if not self.size:
                _write(self._file, self.schema.serialize())
            _write(self._file, content)
            os.fsync(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self.size)
            raise
        self.rows += batch.num_rows
        self.size = os.fstat(self._file).st_size

    def finish(self) -> None:
        """Close the file, with the mark of a whole stream where there is room for it."""
        if self._file >= 0:
            with contextlib.suppress(OSError):
                _write(self._file, _END)
            os.close(self._file)
            self._file = -1


def _write(file: int, content: pa.Buffer | bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(file, left) :]


def whole(content: pa.Buffer | bytes) -> list[pa.RecordBatch]:
    """The whole batches of a stream's bytes; a torn end is left out."""
    found: list[pa.RecordBatch] = []
    try:
        reader = pa.ipc.open_stream(pa.py_buffer(content))
        while True:
            batch = reader.read_next_batch()
            batch.validate(full=False)
            found.append(batch)
    except (StopIteration, pa.ArrowException, OSError):
        return found


def schema_of(file: IO[bytes]) -> pa.Schema | None:
    """The schema of an open stream; None while it has none."""
    file.seek(0)
    try:
        return pa.ipc.open_stream(file).schema
    except (pa.ArrowException, OSError):
        return None


class Writer:
    """This process among those that write a log: it is known by `token`, and alive as long as its lock is held. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        make_private(folder.parent)
        make_private(folder)
        self.folder = folder
        for _ in range(_TRIES):
            self.token = uuid.uuid4().hex[:12]
            self._lock_path = folder / f"{self.token}.lock"
            try:
                lock = locks.hold(self._lock_path)
            except StoreError as error:
                raise OSError(str(error)) from error
            if lock is not None and locks.stands(lock):
                break
        else:
            raise OSError(f"no lock can be had in {folder}")
        self._lock = lock
        try:
            self._counts = os.open(folder / f"{self.token}.count", os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
            os.write(self._counts, _COUNTS.pack(0, 0, 0, 0))
        except OSError:
            locks.release(self._lock_path, lock)
            raise
        self._streams = 0

    def stream(self, schema: pa.Schema) -> Stream:
        """A new stream."""
        self._streams += 1
        return Stream(self.folder / f"{self.token}.{self._streams}{STREAM}", schema)

    def count(self, accepted: int, failed: int, no_room: int, disk: int) -> None:
        """Let the operating system have the counts: rows taken, those that could not be converted, those refused for want of memory, of
        disk."""
        os.lseek(self._counts, 0, os.SEEK_SET)
        os.write(self._counts, _COUNTS.pack(accepted, failed, no_room, disk))

    def close(self, *, forget: bool) -> None:
        """Give up the lock; `forget` that there was such a writer where all that it wrote is sealed."""
        os.close(self._counts)
        if forget:
            (self.folder / f"{self.token}.count").unlink(missing_ok=True)
            self._lock_path.unlink(missing_ok=True)
        locks.release(self._lock_path, self._lock)


def counted(folder: Path, token: str) -> tuple[int, int, int, int]:
    """What a writer counted, as `Writer.count` takes it; zeros where it came to nothing."""
    try:
        content = (folder / f"{token}.count").read_bytes()
    except OSError:
        content = b""
    found: tuple[int, int, int, int] = _COUNTS.unpack(content.ljust(_COUNTS.size, b"\0")[: _COUNTS.size])
    return found


def streams_of(folder: Path, token: str = "*") -> list[Path]:
    """The streams of a writer, or of all."""
    return sorted(folder.glob(f"{token}.*{STREAM}"))


def writers(folder: Path) -> list[str]:
    """The writers that left something, alive or not."""
    return sorted({path.name.partition(".")[0] for path in [*folder.glob("*.count"), *folder.glob(f"*{STREAM}")]})


def alive(folder: Path, token: str) -> bool:
    """Whether a writer still writes."""
    return locks.is_held(folder / f"{token}.lock")
