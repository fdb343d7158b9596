"""Columns in the object store: cut into chunks, each stream of a chunk an object, and put together again.

A chunk with few distinct values is kept as positions in a sorted dictionary of them, by a rule that depends on its values alone, so
that equal chunks are always the same objects.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

from ..errors import Corrupt, DataError
from . import arrow, packs, scalars
from .chunking import cut_rows
from .columns import Column, Digester, is_text
from .objects import Batch, ObjectStore

_TASK_BYTES = 2**20
_REBUILD_BYTES = 2**29
_SAMPLE = 256


class _Chunk(NamedTuple):
    """A chunk ready to be written: its objects, those not in the store yet, and whether its values are coded by a dictionary."""

    rows: int
    keys: list[str]
    new: list[packs.Prepared]
    coded: bool
    streams: list[Any]


def store(columns: Iterable[tuple[Column, str]], batch: Batch) -> list[dict[str, Any]]:
    """Puts columns, given with their digests; what the manifest says of each. Raises `DataError` when a column changed meanwhile."""
    described = []
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for column, digest in columns:
            chunks: list[list[Any]] = []
            digester = Digester(column.type, column.rows, threads=1)
            for chunk in _in_order(pool, column, batch, 2 * workers):
                digester.update(chunk.streams)
                for prepared in chunk.new:
                    batch.append(prepared)
                chunks.append([chunk.rows, " ".join(chunk.keys), int(chunk.coded)])
            if digester.hexdigest() != digest:
                raise DataError("The data changed while its snapshot was taken: take the snapshot of a copy, or when nothing changes it.")
            described.append({"type": column.type, "rows": column.rows, "digest": digest, "chunks": chunks})
    return described


def keys(part: Mapping[str, Any]) -> Iterator[str]:
    """The objects that a stored column consists of."""
    for _, joined, _ in part["chunks"]:
        yield from joined.split()


def _in_order(pool: ThreadPoolExecutor, column: Column, batch: Batch, ahead: int) -> Iterator[_Chunk]:
    waiting: deque[Future[list[_Chunk]]] = deque()
    for group in _groups(column):
        try:
            waiting.append(pool.submit(_prepare, column, group, batch))
        except RuntimeError:
            # The interpreter is ending and its threads take no more work: what is being frozen is frozen all the same.
            done: Future[list[_Chunk]] = Future()
            done.set_result(_prepare(column, group, batch))
            waiting.append(done)
        if len(waiting) > ahead:
            yield from waiting.popleft().result()
    while waiting:
        yield from waiting.popleft().result()


def _groups(column: Column) -> Iterator[list[tuple[int, int]]]:
    """Neighbouring chunks of together about a megabyte, as (start, stop): work for one thread."""
    group: list[tuple[int, int]] = []
    start = 0
    for stop in cut_rows(column):
        group.append((start, stop))
        start = stop
        if (stop - group[0][0]) * column.row_bytes >= _TASK_BYTES:
            yield group
            group = []
    if group:
        yield group


def _prepare(column: Column, group: list[tuple[int, int]], batch: Batch) -> list[_Chunk]:
    return [_prepare_chunk(column, start, stop, batch) for start, stop in group]


def _prepare_chunk(column: Column, start: int, stop: int, batch: Batch) -> _Chunk:
    streams = column.streams(start, stop)
    widths = column.widths()
    coded = _coded(column, streams, widths, stop - start)
    keys, new = [], []
    for stream, width in coded or zip(streams, widths, strict=True):
        key = packs.key(stream)
        keys.append(key.hex())
        if not batch.present(packs.OBJECT, key):
            new.append(packs.prepare(stream, width, key))
    return _Chunk(stop - start, keys, new, coded is not None, streams)


def _coded(column: Column, streams: list[Any], widths: list[int], rows: int) -> list[tuple[Any, int]] | None:
    """The streams with their values coded by a dictionary, where that pays."""
    import numpy as np

    if rows < _SAMPLE:
        return None
    if is_text(column.type):
        return _coded_text(streams, widths, rows)
    if len(widths) - int(widths[0] == 1 and len(widths) > 1) != 1 or widths[-1] not in (4, 8):
        return None
    words = np.ascontiguousarray(streams[-1]).reshape(-1).view(np.uint32 if widths[-1] == 4 else np.uint64)
    if len(set(words[:: rows // _SAMPLE].tolist())) > _SAMPLE // 2:
        return None
    distinct, positions = np.unique(words, return_inverse=True)
    if len(distinct) > min(rows // 4, 2**16):
        return None
    return [*zip(streams[:-1], widths, strict=False), _positions(positions, len(distinct)), (distinct, widths[-1])]


def _coded_text(streams: list[Any], widths: list[int], rows: int) -> list[tuple[Any, int]] | None:
    import pyarrow as pa
    import pyarrow.compute as pc

    lengths, data = streams[-2:]
    texts = pa.Array.from_buffers(pa.large_binary(), rows, [None, pa.py_buffer(_ends(lengths)), pa.py_buffer(data)])
    if len(texts[:_SAMPLE].unique()) > _SAMPLE * 3 // 4:
        return None
    encoded = texts.dictionary_encode()
    count = len(encoded.dictionary)
    if count > min(rows // 4, 2**16):
        return None
    import numpy as np

    order = pc.array_sort_indices(encoded.dictionary).to_numpy()
    ranks = np.empty(count, np.int64)
    ranks[order] = np.arange(count)
    distinct = arrow.streams(encoded.dictionary.take(pa.array(order)), nullable=False)
    positions = ranks[encoded.indices.to_numpy()]
    return [*zip(streams[:-2], widths, strict=False), _positions(positions, count), (distinct[0], 4), (distinct[1], 1)]


def _positions(positions: Any, count: int) -> tuple[Any, int]:
    import numpy as np

    width = 1 if count <= 2**8 else 2
    return positions.astype(np.uint8 if width == 1 else np.uint16), width


def _decoded(kind: Any, streams: list[bytes]) -> list[bytes]:
    """The plain streams of a chunk that is coded by a dictionary."""
    import numpy as np

    if not is_text(kind):
        *head, packed, distinct = streams
        width = np.dtype(kind.get("raw") or kind.get("masked") or f"V{arrow.widths(kind['arrow'], False)[0]}").itemsize
        values = np.frombuffer(distinct, np.uint32 if width == 4 else np.uint64)
        return [*head, values[_unpacked(packed, len(values))].tobytes()]
    *head, packed, lengths, data = streams
    import pyarrow as pa

    ends = _ends(np.frombuffer(lengths, np.uint32))
    distinct_texts = pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, [None, pa.py_buffer(ends), pa.py_buffer(data)])
    plain = arrow.streams(distinct_texts.take(pa.array(_unpacked(packed, len(ends) - 1))), nullable=False)
    return [*head, *(stream.tobytes() for stream in plain)]


def _unpacked(packed: bytes, count: int) -> Any:
    import numpy as np

    return np.frombuffer(packed, np.uint8 if count <= 2**8 else np.uint16)


def _ends(lengths: Any) -> Any:
    import numpy as np

    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def read(part: Mapping[str, Any], objects: ObjectStore) -> Iterator[tuple[int, list[bytes]]]:
    """The rows and plain streams of each chunk of a stored column, checked against the column's digest (where it has one) at the end."""
    digester = Digester(part["type"], part["rows"])
    contents = objects.get_many(list(keys(part)))
    for rows, joined, coded in part["chunks"]:
        streams = [next(contents) for _ in joined.split()]
        if coded:
            streams = _decoded(part["type"], streams)
        digester.update(streams)
        yield rows, streams
    if part["digest"] and digester.hexdigest() != part["digest"]:
        raise Corrupt(f"Column {part['digest']}", objects.where)


def load(part: Mapping[str, Any], objects: ObjectStore) -> Any:
    """A column's content: a NumPy array (raw), values and validity (masked), a chunked Arrow array, or a list of Python values."""
    kind = part["type"]
    if "values" in kind:
        return [value for _, (lengths, data) in read(part, objects) for value in _values(lengths, data)]
    if "arrow" in kind:
        return _load_arrow(part, objects)
    return _load_words(part, objects)


def load_rows(part: Mapping[str, Any], objects: ObjectStore, ranges: Sequence[tuple[int, int]]) -> Any:
    """What `load` gives, of some rows only: of ascending ranges (start, stop). Only the chunks that these rows are in are read; each is
    checked by its own digest."""
    chunks, wanted = [], []
    start = taken = 0
    for chunk in part["chunks"]:
        stop = start + chunk[0]
        within = [(max(first, start), min(last, stop)) for first, last in ranges if first < stop and last > start]
        if within:
            chunks.append(chunk)
            wanted += [(first - start + taken, last - start + taken) for first, last in within]
            taken += chunk[0]
        start = stop
    content = load({**part, "rows": taken, "chunks": chunks, "digest": ""}, objects)
    return tuple(_only(item, wanted) for item in content) if isinstance(content, tuple) else _only(content, wanted)


def _only(content: Any, wanted: list[tuple[int, int]]) -> Any:
    """The rows of these ranges, of a list, a NumPy array or a chunked Arrow array."""
    import numpy as np
    import pyarrow as pa

    found = [content[first:last] for first, last in wanted]
    if isinstance(content, list):
        return [item for items in found for item in items]
    if isinstance(content, pa.ChunkedArray):
        return pa.chunked_array([chunk for items in found for chunk in items.chunks], content.type)
    return np.concatenate(found) if found else content[:0]


def _values(lengths: bytes, data: bytes) -> Iterator[Any]:
    import numpy as np

    view = memoryview(data)
    ends = _ends(np.frombuffer(lengths, np.uint32)).tolist()
    for start, stop in pairwise(ends):
        yield scalars.decode(view[start:stop])


def _load_words(part: Mapping[str, Any], objects: ObjectStore) -> Any:
    import numpy as np

    kind, rows = part["type"], part["rows"]
    dtype = np.dtype(kind.get("raw") or kind["masked"])
    values, valid = np.empty(rows, dtype), np.ones(rows, bool)
    start = 0
    for count, streams in read(part, objects):
        values[start : start + count] = np.frombuffer(streams[-1], dtype, count) if dtype.itemsize else values[start : start + count]
        if len(streams) == 2:
            valid[start : start + count] = np.frombuffer(streams[0], bool)
        start += count
    return (values, valid) if "masked" in kind else values


def _load_arrow(part: Mapping[str, Any], objects: ObjectStore) -> Any:
    import pyarrow as pa

    plain, nullable = part["type"]["arrow"], part["type"]["nullable"]
    arrays: list[Any] = []
    waiting: list[list[bytes]] = []
    rows = size = 0
    for count, streams in read(part, objects):
        waiting.append(streams)
        rows, size = rows + count, size + sum(map(len, streams))
        if size >= _REBUILD_BYTES:
            arrays.append(_rebuilt(plain, rows, waiting, nullable))
            waiting, rows, size = [], 0, 0
    if waiting:
        arrays.append(_rebuilt(plain, rows, waiting, nullable))
    if not arrays:
        return pa.chunked_array([], arrow.build_type(plain))
    return arrow.encoded(pa.chunked_array(arrays), plain)


def _rebuilt(plain: Any, rows: int, waiting: list[list[bytes]], nullable: bool) -> Any:
    joined = iter([b"".join(parts) for parts in zip(*waiting, strict=True)])
    return arrow.rebuild(plain, rows, joined, nullable)
