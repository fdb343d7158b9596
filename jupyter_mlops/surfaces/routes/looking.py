"""The first rows of a snapshot, and the distributions of its columns, from as much of it as that takes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any

from ...errors import DataError
from ...models.drift.distributions import LONGEST, of_column
from ...records import Diff, ListedSnapshot, Snapshot, SnapshotView
from ...store import folders, snapshots
from ...store.objects import ObjectStore
from ...store.portions import Portion, opened, spread

HEAD = 50
COLUMNS = 100
"""No more columns than this are shown of one snapshot."""
VALUES = 20_000_000
"""So many values are looked at, all columns together: of longer tables evenly spread rows."""
ROWS = 1_000_000
FILE_BYTES = 64 * 2**20
_TABLES = frozenset((".csv", ".tsv", ".parquet", ".pq", ".feather", ".arrow", ".ipc", ".json", ".jsonl", ".ndjson", ".npy", ".xlsx", ""))
_CUT = frozenset((".csv", ".tsv", ".jsonl", ".ndjson"))
"""Of a large file of one of these, its beginning can be read alone."""


def look(digest: str, objects: ObjectStore, suffix: str) -> SnapshotView:
    """A snapshot's first rows and distributions; `suffix` is that of a file's name, which tells what it holds."""
    found, portion = opened(digest, objects)
    snapshot = ListedSnapshot(digest=digest, kind=found.kind, rows=found.rows, size=found.size)
    if found.kind == "file":
        return _file(snapshot, portion, objects, suffix)
    if found.kind == "folder":
        return _folder(snapshot, portion)
    if portion.shape is not None:
        return _array(snapshot, found, portion)
    return _table(snapshot, found, portion)


def diff_of_files(a: str, b: str, objects: ObjectStore) -> Diff | None:
    """The difference of the tables in two files; None where these are no files, or hold no tables, or are too large to read whole."""
    from ...models.validation.data import read_bytes

    files = [snapshots.describe(digest, objects) for digest in (a, b)]
    if a == b or any(found.kind != "file" or found.size > FILE_BYTES for found in files):
        return None
    with TemporaryDirectory() as folder:
        held = ObjectStore(folder)
        try:
            # A text without a second column is no table, whatever a reader of CSV makes of it.
            frames = [read_bytes(snapshots.load(found.digest, objects), f"file {found.digest[:12]}") for found in files]
            if any(frame.shape[1] < 2 for frame in frames):
                return None
            before, after = (snapshots.freeze(frame, held).digest for frame in frames)
            told = snapshots.diff(before, after, held)
        except DataError:
            return None
    same = "the tables are the same; the files write them otherwise"
    return replace(told, a=a, b=b, kind="file", identical=False, detail=same if told.identical else told.detail)


def _table(snapshot: ListedSnapshot, found: Snapshot, portion: Portion) -> SnapshotView:
    keys = list(portion.columns)[:COLUMNS]
    rows = portion.rows or 0
    portion.ranges = [(0, min(rows, HEAD))]
    index = portion.index()
    columns = [texts(portion.values(key)) for key in keys]
    labels = [label for label, _ in keys]
    if index is not None:
        labels, columns = [str(index.name or "index"), *labels], [texts(index), *columns]
    portion.ranges = spread(rows, max(20_000, min(ROWS, VALUES // max(1, len(keys)))))
    distributions = tuple(of_column(key[0], portion.type(key), portion.values(key)) for key in keys)
    more = len(portion.columns) - len(keys)
    return SnapshotView(
        snapshot=snapshot,
        labels=tuple(labels),
        head=tuple(zip(*columns, strict=True)),
        distributions=distributions,
        looked=sum(stop - start for start, stop in portion.ranges),
        note=f"{more:,} more columns are not shown." if more else "",
    )


def _array(snapshot: ListedSnapshot, found: Snapshot, portion: Portion) -> SnapshotView:
    key = next(iter(portion.columns))
    held = str(found.schema[0][1])
    shape = portion.shape or ()
    size = " x ".join(f"{length:,}" for length in shape) or "one value"
    note = f"Shape: {size}."
    head: tuple[tuple[str | None, ...], ...] = ()
    labels: tuple[str, ...] = ()
    if portion.sparse:
        note += " The distribution is of the elements that are kept; the first rows are not shown."
    else:
        width = math.prod(shape[1:])
        rows = min(HEAD, shape[0] if shape else 1)
        portion.ranges = [(0, rows * width)]
        values = texts(portion.values(key))
        shown = min(width, COLUMNS)
        head = tuple(tuple(values[row * width : row * width + shown]) for row in range(rows))
        labels = tuple(str(number) for number in range(shown)) if len(shape) > 1 else ("value",)
        portion.ranges = spread(portion.elements, ROWS)
    values = portion.values(key)
    return SnapshotView(
        snapshot=snapshot, labels=labels, head=head, distributions=(of_column("value", held, values),), looked=len(values), note=note,
    )  # fmt: skip


def _folder(snapshot: ListedSnapshot, portion: Portion) -> SnapshotView:
    files = [(key[0], f"{portion.statistics(key)['size']:,}") for key in portion.columns]
    more = len(files) - HEAD
    note = f"{more:,} more files are not shown." if more > 0 else ""
    return SnapshotView(snapshot=snapshot, labels=("file", "bytes"), head=tuple(files[:HEAD]), note=note)


def _file(snapshot: ListedSnapshot, portion: Portion, objects: ObjectStore, suffix: str) -> SnapshotView:
    """A table where the file holds one; else its first lines."""
    from ...models.validation.data import read_bytes

    part = portion.manifest["parts"][0]
    whole = snapshot.size <= FILE_BYTES
    if not whole and suffix not in _CUT:
        first = next(islice(folders.content(part, objects), 1), b"")
        return _lines(snapshot, first, f"The file is larger than {FILE_BYTES // 2**20} MiB: load it to look at more.")
    content = b"".join(folders.content(part, objects)) if whole else _beginning(folders.content(part, objects))
    if suffix not in _TABLES or not content:
        return _lines(snapshot, content, "")
    try:
        frame = read_bytes(content, f"file {snapshot.digest[:12]}")
    except DataError as error:
        return _lines(snapshot, content, str(error) if suffix else "")
    columns = [(str(frame.columns[at]), frame.iloc[:, at]) for at in range(min(frame.shape[1], COLUMNS))]
    rows = len(frame)
    more = frame.shape[1] - len(columns)
    notes = [f"{more:,} more columns are not shown."] if more else []
    notes += [] if whole else [f"Of the file's beginning: {rows:,} rows."]
    return SnapshotView(
        snapshot=ListedSnapshot(digest=snapshot.digest, kind=snapshot.kind, size=snapshot.size, rows=rows if whole else None),
        labels=tuple(name for name, _ in columns),
        head=tuple(zip(*(texts(values.iloc[:HEAD]) for _, values in columns), strict=True)),
        distributions=tuple(of_column(name, str(values.dtype), values) for name, values in columns),
        looked=rows,
        note=" ".join(notes),
    )


def _beginning(chunks: Iterable[bytes]) -> bytes:
    """The first whole lines of a file."""
    found = bytearray()
    for chunk in chunks:
        found += chunk
        if len(found) >= FILE_BYTES:
            break
    return bytes(found[: found.rfind(b"\n") + 1])


def _lines(snapshot: ListedSnapshot, content: bytes, note: str) -> SnapshotView:
    if b"\0" in content[:1000]:
        return SnapshotView(snapshot=snapshot, note=note or "The file is neither a table nor a text.")
    lines = content[: HEAD * 2000].decode("utf-8", errors="replace").splitlines()[:HEAD]
    return SnapshotView(snapshot=snapshot, labels=("line",), head=tuple((line[:LONGEST],) for line in lines), note=note)


def texts(values: Any) -> list[str | None]:
    """Values as a table shows them, each cut to one short line; None for what is missing."""
    missing = values.isna()
    return [None if gone else _text(value) for value, gone in zip(values, missing, strict=True)]


def _text(value: Any) -> str:
    told = str(value)
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
