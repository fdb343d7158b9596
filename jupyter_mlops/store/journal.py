"""The journal: what a session hands to the operating system before anything else happens to it.

One file for each session (a kernel's life, or one command), `.mlops/journal/<session>.jsonl`, one record a line: the record as JSON,
a tab, and the CRC-32 of the JSON as 8 hex digits. A record is appended by one `write`, which survives the death of the process;
a line that a crash tore fails its CRC and is ignored. The session holds a lock on `<session>.lock` while it lives.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import uuid
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import StoreError
from . import formats, locks

RETRY_SECONDS = 1.0
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


class Journal:
    """The writing end of one session's journal. The file comes into being with the first record after the header.

    `append` never raises OSError: while the disk is full or fails, records stay in memory, `trouble` says why in one sentence,
    and they are written, in order, as soon as it works again. A forked child's copy does nothing.
    """

    def __init__(self, home: Path, header: Mapping[str, Any]) -> None:
        self.session = str(header.get("session") or uuid.uuid4().hex)
        self.path = home / "journal" / f"{self.session}.jsonl"
        self.trouble: str | None = None
        self._lock_path = self.path.with_suffix(".lock")
        given = {"cwd": os.getcwd(), **header, "session": self.session, "tracking_uri": _destination(header)}
        self._header = encode({"kind": "session", "version": formats.JOURNAL, **given})
        self._pending = bytearray()
        self._file: int | None = None
        self._lock: int | None = None
        self._closed = False
        self._retrying = False
        self._owner = os.getpid()
        self._mutex = threading.Lock()

    @classmethod
    def create(cls, home: Path, header: Mapping[str, Any]) -> Journal:
        """A new journal in the store at `home`; `header` fills the `session` record (its id is made up when absent)."""
        return cls(home, header)

    def append(self, record: Mapping[str, Any]) -> None:
        """Hand one record to the operating system."""
        line = encode(record)
        if self._owner != os.getpid():
            return
        with self._mutex:
            if not self._closed:
                self._pending += line
                self._write()

    def close(self) -> None:
        """End the session: write `end` and free its lock. A session that never wrote anything leaves nothing behind."""
        if self._owner != os.getpid():
            return
        with self._mutex:
            if self._closed:
                return
            if self._file is not None or self._pending:
                self._pending += encode({"kind": "end", "ended": time.time()})
                self._write()
            self._closed = True
            if self._file is not None:
                os.close(self._file)
            if self._lock is not None:
                locks.release(self._lock_path, self._lock)
            self._file = self._lock = None

    def _write(self) -> None:
        try:
            file = self._ready()
            while self._pending:
                # What a short write leaves stays at the front, so that a full disk never tears a line for good.
                del self._pending[: os.write(file, self._pending)]
        except OSError as error:
            reason = error.strerror or str(error)
            self.trouble = f"The journal cannot be written ({reason}): free the disk of {self.path.parent}; records wait in memory."
            self._retry_later()
        else:
            self.trouble = None

    def _ready(self) -> int:
        if self._file is not None and os.fstat(self._file).st_nlink:
            if self._lock is not None:
                locks.renew(self._lock)
            return self._file
        make_private(self.path.parent)
        if self._file is not None:
            # The user deleted the store under a living session: the session goes on in a new one.
            os.close(self._file)
            self._file = None
            if self._lock is not None:
                locks.release(self._lock_path, self._lock)
                self._lock = None
        if self._lock is None:
            # Before the journal, so that nobody can see a journal of a living session without its lock.
            # Where there are none, records are still written: whoever wants to deliver them says what is missing.
            with contextlib.suppress(StoreError):
                self._lock = locks.hold(self._lock_path)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0), 0o600)
        self._pending[:0] = self._header
        return self._file

    def _retry_later(self) -> None:
        if not self._retrying:
            self._retrying = True
            threading.Thread(target=self._retry, name="mlops-journal-retry", daemon=True).start()

    def _retry(self) -> None:
        while True:
            time.sleep(RETRY_SECONDS)
            with self._mutex:
                if not self._closed:
                    self._write()
                if self._closed or self.trouble is None:
                    self._retrying = False
                    return


def _destination(header: Mapping[str, Any]) -> str | None:
    # The worker may have been started by another process, with another environment.
    return header.get("tracking_uri") or os.environ.get("MLFLOW_TRACKING_URI") or None


def conclude(path: Path, records: Iterable[Mapping[str, Any]]) -> bool:
    """Add the last words to the journal of a session that died before it could say them; False when there is none, or it lives.

    The line that its death tore is taken away. Raises OSError.
    """
    lock_path = path.with_suffix(".lock")
    if not path.exists() or (lock := locks.hold(lock_path)) is None:
        return False
    try:
        os.truncate(path, read(path)[1])
        words = b"".join(map(encode, [*records, {"kind": "end", "ended": time.time()}]))
        with path.open("ab") as file:
            file.write(words)
    finally:
        locks.release(lock_path, lock)
    return True


def encode(record: Mapping[str, Any]) -> bytes:
    """The line of a record."""
    text = _encode(record).encode("ascii")
    return b"%s\t%08x\n" % (text, zlib.crc32(text))


def read(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """The records from byte `offset` on, and the offset after the last whole line; damaged lines are left out. Raises NewerFormat."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    lines = [line for line in data[:whole].split(b"\n") if line]
    if not offset and lines:
        formats.check(path, (_decode(lines[0]) or {}).get("version"), formats.JOURNAL)
    records = map(_decode, lines)
    return [record for record in records if record is not None], offset + whole


def header(path: Path) -> Mapping[str, Any]:
    """What a journal begins with; {} where its first line is not there yet, or damaged."""
    try:
        with path.open("rb") as file:
            return _decode(file.readline().rstrip(b"\n")) or {}
    except OSError:
        return {}


def find(path: Path, marks: Iterable[bytes], offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """As `read`, of the lines only in which one of these marks stands: the others are not taken apart."""
    found: list[dict[str, Any]] = []
    wanted = tuple(marks)
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                if not offset:
                    formats.check(path, (_decode(line.rstrip(b"\n")) or {}).get("version"), formats.JOURNAL)
                offset += len(line)
                if any(mark in line for mark in wanted) and (record := _decode(line.rstrip(b"\n"))) is not None:
                    found.append(record)
    except FileNotFoundError:
        pass
    return found, offset


def intact(line: bytes) -> bool:
    """Whether a line, without its end, is as it was written."""
    text, tab, checksum = line.rpartition(b"\t")
    return bool(tab) and b"%08x" % zlib.crc32(text) == checksum


def _decode(line: bytes) -> dict[str, Any] | None:
    record = json.loads(line.rpartition(b"\t")[0]) if intact(line) else None
    return record if isinstance(record, dict) else None


def alive(path: Path) -> bool:
    """Whether the session of the journal at `path` still lives."""
    return locks.is_held(path.with_suffix(".lock"))


def journals(home: Path) -> list[Path]:
    """The journals of the store at `home`."""
    try:
        return sorted((home / "journal").glob("*.jsonl"))
    except OSError:
        return []


def make_private(folder: Path) -> None:
    """Make `folder` and its parents; only the user may enter a new one."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.parent.name == ".mlops":
            with contextlib.suppress(OSError):
                folder.parent.chmod(0o700)
        folder.mkdir(mode=0o700, exist_ok=True)
