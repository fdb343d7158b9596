"""The files of a model's log, and the manifest that says which of them count.

`.mlops/predictions/NAME/` holds Arrow streams that living processes append to (see `streams`), Parquet files that these are sealed into
(segments), and Parquet files of labels. `manifest.json` names the last two; it is replaced as a whole, so that a reader sees each row once
at every moment, whoever is killed when. A file that was replaced stays for a while, for those who began to read before.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from ...config import Settings
from ...errors import StoreError
from ...store import formats, locks
from ...store.journal import make_private

GRACE_SECONDS = 600.0
"""How long a file that was replaced stays for its readers."""
_PATIENCE = 60.0
_MOST_LOSSES = 1000
_mutex = threading.Lock()


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of predictions: `start` and `end` are the first and last of its times (milliseconds), `versions` counts rows by version,
    `schema` names its schema in the manifest."""

    file: str
    start: int
    end: int
    rows: int
    schema: str
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file of labels; `start` and `end` are the first and last of its ids. Of two files, the later in the manifest wins."""

    file: str
    start: str
    end: str
    rows: int


@dataclass(slots=True)
class Manifest:
    """Which files count. `sealed` and `retired` are files that do not any more, and since when; `written` counts the sealed rows of
    processes that still write; `losses` are {"at", "rows", "why"}."""

    segments: list[Segment] = field(default_factory=list)
    labels: list[LabelFile] = field(default_factory=list)
    schemas: dict[str, str] = field(default_factory=dict)
    sealed: dict[str, float] = field(default_factory=dict)
    retired: dict[str, float] = field(default_factory=dict)
    written: dict[str, int] = field(default_factory=dict)
    losses: list[dict[str, Any]] = field(default_factory=list)
    format: int = formats.PREDICTIONS

    def schema(self, segment: Segment) -> pa.Schema:
        """The schema of a segment."""
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(self.schemas[segment.schema])))

    def lose(self, rows: int, why: str) -> None:
        """Note that rows were lost."""
        if rows > 0:
            self.losses = [*self.losses, {"at": time.time(), "rows": rows, "why": why}][-_MOST_LOSSES:]

    def retire(self, *files: str) -> None:
        """Let files not count any more."""
        gone = set(files)
        self.segments = [item for item in self.segments if item.file not in gone]
        self.labels = [item for item in self.labels if item.file not in gone]
        self.retired |= dict.fromkeys(files, time.time())
        used = {item.schema for item in self.segments}
        self.schemas = {name: kept for name, kept in self.schemas.items() if name in used}


def folder_of(settings: Settings, name: str) -> Path:
    """The folder of a model's log."""
    return settings.home / "predictions" / quote(name, safe=" ").replace(".", "%2E")


def models(settings: Settings) -> list[str]:
    """The models that the store has a log of."""
    try:
        return sorted(unquote(path.name) for path in (settings.home / "predictions").iterdir() if path.is_dir())
    except OSError:
        return []


def load(folder: Path) -> Manifest:
    """The manifest as it is now. Raises StoreError where it cannot be read."""
    try:
        plain = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Manifest()
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder / 'manifest.json'} cannot be read ({error}): restore it from a backup.") from error
    formats.check(folder, plain.get("format"), formats.PREDICTIONS)
    plain["segments"] = [Segment(**item) for item in plain["segments"]]
    plain["labels"] = [LabelFile(**item) for item in plain["labels"]]
    return Manifest(**plain)


@contextlib.contextmanager
def changing(folder: Path) -> Iterator[Manifest]:
    """The manifest, to be changed in the block: nobody else changes it meanwhile, and the change counts at its end. Raises OSError."""
    with _alone(folder, "manifest.lock", _PATIENCE) as got:
        if not got:
            raise StoreError(f"The log of predictions in {folder} is being changed for too long by another process: try again.")
        manifest = load(folder)
        before = asdict(manifest)
        yield manifest
        if asdict(manifest) != before:
            replace(folder / "manifest.json", json.dumps(asdict(manifest), separators=(",", ":")).encode())


@contextlib.contextmanager
def tidying(folder: Path) -> Iterator[bool]:
    """Whether this process alone may merge and remove files now."""
    with _alone(folder, "tidy.lock", 0.0) as got:
        yield got


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, at once and for good. Raises OSError."""
    own = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        with own.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own.replace(path)
    except OSError:
        own.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _alone(folder: Path, name: str, patience: float) -> Iterator[bool]:
    make_private(folder.parent)
    make_private(folder)
    path = folder / name
    deadline = time.monotonic() + patience
    descriptor: int | None = None
    while descriptor is None:
        # File locks are a process's: its threads need another to be told apart.
        with _mutex:
            descriptor = locks.hold(path)
        if descriptor is None:
            if time.monotonic() >= deadline:
                yield False
                return
            time.sleep(0.01)
    try:
        yield True
    finally:
        with _mutex:
            locks.release(path, descriptor)
