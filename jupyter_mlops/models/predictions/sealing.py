"""From streams to segments: what a process wrote is sealed as Parquet, small segments are merged, old ones go.

Each step is a new file, then a new manifest, then the removal of what it replaces: a crash between them costs room for a while, no row.
"""

from __future__ import annotations

import base64
import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from blake3 import blake3
from pyarrow import parquet

from ...config import Settings
from ...errors import StoreError
from ...store import locks
from ..settings import of as settings_of
from . import segments, streams
from .ids import first_at
from .segments import GRACE_SECONDS, Manifest, Segment

SEGMENT_ROWS = 1 << 18
"""How large segments grow."""
GROUP_ROWS = 1 << 16
_MANY = 8
_DIED = "the process that predicted ended before it had written them"
_REASONS = (
    "they could not be written as columns",
    "they came faster than the disk took them",
    "the disk had no room for them",
)


def seal(folder: Path, path: Path) -> int:
    """Make a segment of a stream that nobody writes any more; the rows it has. Raises OSError, and then the stream stays as it is."""
    batches = streams.whole(path.read_bytes())
    rows = int(sum(batch.num_rows for batch in batches))
    token = path.name.partition(".")[0]
    made = write(folder, pa.Table.from_batches(batches)) if rows else None
    with segments.changing(folder) as manifest:
        if path.name not in manifest.sealed:
            manifest.sealed[path.name] = time.time()
            manifest.written[token] = manifest.written.get(token, 0) + rows
            if made is not None:
                add(manifest, *made)
                made = None
    if made is not None:
        (folder / made[0].file).unlink(missing_ok=True)
    path.unlink(missing_ok=True)
    return rows


def write(folder: Path, table: pa.Table) -> tuple[Segment, pa.Schema]:
    """A new segment that no manifest names yet. Raises OSError."""
    identifiers = table.column("id")
    first, last = (pc.min_max(table.column("at")).as_py()[key] for key in ("min", "max"))
    start, end = (round(moment.timestamp() * 1000) for moment in (first, last))
    file = f"{start:012x}-{os.urandom(4).hex()}.parquet"
    write_parquet(folder / file, table, GROUP_ROWS)
    schema = table.schema.remove_metadata()
    name = blake3(schema.serialize()).hexdigest()[:16]
    versions = {str(item["values"]): int(item["counts"]) for item in pc.value_counts(table.column("version")).to_pylist()}
    return Segment(file, start, end, len(identifiers), name, versions), schema


def write_parquet(path: Path, table: pa.Table, group_rows: int) -> None:
    """Write a table as a whole Parquet file or not at all. Raises OSError."""
    own = path.with_name(path.name + ".tmp")
    texts = [field.name for field in table.schema if pa.types.is_string(field.type) and field.name != "id"]
    try:
        # Numbers seldom repeat: a dictionary would be tried for each column, and given up.
        parquet.write_table(table, own, row_group_size=group_rows, compression="lz4", use_dictionary=texts or False)
        with own.open("rb") as file:
            os.fsync(file.fileno())
        own.replace(path)
    except (OSError, pa.ArrowException) as error:
        own.unlink(missing_ok=True)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error


def add(manifest: Manifest, segment: Segment, schema: pa.Schema) -> None:
    """Let a segment count."""
    manifest.schemas[segment.schema] = base64.b64encode(schema.serialize()).decode()
    manifest.segments.append(segment)


def tidy(settings: Settings, name: str, *, keep_seconds: float | None = None, grace: float = GRACE_SECONDS) -> None:
    """Seal what dead processes left and count what they lost, merge small segments, let predictions older than `keep_seconds` go, and
    remove files that were replaced. Only one process does so at a time. Raises OSError."""
    folder = segments.folder_of(settings, name)
    if not folder.is_dir():
        return
    with segments.tidying(folder) as alone:
        if not alone:
            return
        for token in streams.writers(folder):
            _bury(folder, token)
        while _merge(folder):
            pass
        if keep_seconds is not None:
            _expire(folder, time.time() - keep_seconds)
        _sweep(folder, grace)


def tidy_all(settings: Settings) -> None:
    """`tidy` the log of every model, each with the `retention` that is set for it. Raises StoreError and SettingsError."""
    for name in segments.models(settings):
        try:
            tidy(settings, name, keep_seconds=settings_of(settings, name).retention)
        except OSError as error:
            folder = segments.folder_of(settings, name)
            raise StoreError(f"The log of predictions in {folder} cannot be tidied ({error.strerror or error}): free the disk.") from error


def close(folder: Path, writer: streams.Writer, counts: tuple[int, int, int, int]) -> None:
    """The orderly end of a writer: all its streams sealed, its losses noted. Raises OSError, and then the next `tidy` does it."""
    for path in streams.streams_of(folder, writer.token):
        seal(folder, path)
    _settle(folder, writer.token, counts)


def losses_of(manifest: Manifest, token: str, counts: Sequence[int], unsealed: int = 0) -> list[tuple[int, str]]:
    """What a writer that ended did not write, as (rows, why)."""
    accepted, failed, *_ = counts
    died = accepted - failed - manifest.written.get(token, 0) - unsealed
    return [(rows, why) for rows, why in zip((died, *counts[1:]), (_DIED, *_REASONS), strict=True) if rows > 0]


def _settle(folder: Path, token: str, counts: tuple[int, int, int, int]) -> None:
    with segments.changing(folder) as manifest:
        for rows, why in losses_of(manifest, token, counts):
            manifest.lose(rows, why)
        manifest.written.pop(token, None)


def _bury(folder: Path, token: str) -> None:
    """What is left of a writer, if it is dead."""
    lock_path = folder / f"{token}.lock"
    lock = locks.hold(lock_path)
    if lock is None:
        return
    try:
        for path in streams.streams_of(folder, token):
            seal(folder, path)
        if (folder / f"{token}.count").exists():
            _settle(folder, token, streams.counted(folder, token))
            (folder / f"{token}.count").unlink(missing_ok=True)
        lock_path.unlink(missing_ok=True)
    finally:
        locks.release(lock_path, lock)


def _merge(folder: Path) -> bool:
    """Make one segment of many small ones of one schema; whether there were such."""
    groups: dict[str, list[Segment]] = {}
    for segment in sorted(segments.load(folder).segments, key=lambda item: item.start):
        if segment.rows < SEGMENT_ROWS // 2:
            groups.setdefault(segment.schema, []).append(segment)
    for group in groups.values():
        chosen = _first(group)
        if len(chosen) < _MANY and sum(item.rows for item in chosen) < SEGMENT_ROWS // 2:
            continue
        if len(chosen) < 2:
            continue
        table = pa.concat_tables([parquet.read_table(folder / item.file) for item in chosen])
        made = write(folder, table.take(pc.sort_indices(table.column("id"))))
        with segments.changing(folder) as manifest:
            manifest.retire(*(item.file for item in chosen))
            add(manifest, *made)
        return True
    return False


def _first(group: Iterable[Segment]) -> list[Segment]:
    """As many of the first as make a full segment."""
    chosen: list[Segment] = []
    rows = 0
    for segment in group:
        if rows + segment.rows > SEGMENT_ROWS and chosen:
            break
        chosen.append(segment)
        rows += segment.rows
    return chosen


def _expire(folder: Path, before: float) -> None:
    with segments.changing(folder) as manifest:
        old = [item.file for item in manifest.segments if item.end < before * 1000]
        old += [item.file for item in manifest.labels if item.end < first_at(before)]
        if old:
            manifest.retire(*old)


def _sweep(folder: Path, grace: float) -> None:
    """Remove what does not count any more, and what a crash left half done."""
    now = time.time()
    with segments.changing(folder) as manifest:
        over = [file for file, since in manifest.retired.items() if now - since >= grace]
        for file in over:
            (folder / file).unlink(missing_ok=True)
            del manifest.retired[file]
        manifest.sealed = {file: since for file, since in manifest.sealed.items() if now - since < grace or (folder / file).exists()}
        for file in manifest.sealed:
            (folder / file).unlink(missing_ok=True)
        known = {item.file for item in manifest.segments} | {item.file for item in manifest.labels} | manifest.retired.keys()
        for path in [*folder.glob("*.parquet"), *folder.glob("*.tmp")]:
            with contextlib.suppress(OSError):
                if path.name not in known and now - path.stat().st_mtime >= grace:
                    path.unlink()
