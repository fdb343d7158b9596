"""Content-defined boundaries: where a column or a file is cut depends only on the values near the cut, so that rows added, removed or
changed in one place leave the chunks elsewhere, and their digests, as they are.

A boundary stands after a row whose hash over a window of rows is below a threshold (Muthitacharoen et al., LBFS, 2001; FastCDC's limits
on the shortest and longest chunk, Xia et al., 2016). The hash of a window is built by doubling, which NumPy does at memory speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .columns import is_text

if TYPE_CHECKING:
    from .columns import Column

_GOLDEN = 0x9E3779B97F4A7C15
_SEGMENT = 1 << 15
_SAMPLE = 4096
_FEW = 64
_SHORT_WINDOW, _LONG_WINDOW = 5, 10
_ROWS = 8192
_WIDE_TARGET = 4096
FILE_CHUNK = 64 * 1024


def mix(values: Any) -> Any:
    """Hashes of unsigned 64-bit integers (a multiplication and a shift, after Steele et al.'s SplitMix, 2014)."""
    import numpy as np

    hashed = values * np.uint64(_GOLDEN)
    hashed ^= hashed >> np.uint64(32)
    hashed *= np.uint64(0xD6E8FEB86659FD93)
    return hashed


def cut_rows(column: Column) -> list[int]:
    """The ends of the chunks of a column."""
    import numpy as np

    rows = column.rows
    target = _target(column)
    if rows <= target // 2:
        return [rows] if rows else []

    def hashes(start: int, stop: int) -> Any:
        return _row_hashes(column, column.streams(start, stop), stop - start)

    doublings = _doublings(hashes, rows) if target >= _WIDE_TARGET else _SHORT_WINDOW
    window = (1 << doublings) - 1
    threshold = np.uint64(2**64 // target)
    candidates: list[int] = []
    segment = min(_SEGMENT, target * 4)
    for start in range(0, rows, segment):
        before = max(0, start - window)
        stop = min(rows, start + segment)
        hashed = mix(_windowed(hashes(before, stop), doublings))
        found = np.flatnonzero(hashed[start - before :] < threshold)
        candidates.extend((found + (start + 1)).tolist())
    return list(_spaced(candidates, rows, target // 4, target * 4))


def cut_bytes(view: memoryview, target: int = FILE_CHUNK) -> list[int]:
    """The ends of the chunks of a file's content; a boundary depends on the 8 bytes before it."""
    import numpy as np

    threshold = np.uint64(2**64 // target)
    candidates = []
    for start in range(0, len(view) - 7, _SEGMENT * 8):
        stop = min(len(view), start + _SEGMENT * 8 + 7)
        for shift in range(8):
            words = (stop - start - shift) // 8
            if words <= 0:
                continue
            hashed = np.frombuffer(view, np.uint64, words, start + shift) * np.uint64(_GOLDEN)
            candidates.append(np.flatnonzero(hashed < threshold) * 8 + (start + shift + 8))
    ends = np.unique(np.concatenate(candidates)).tolist() if candidates else []
    return list(_spaced(ends, len(view), target // 4, target * 4))


def _target(column: Column) -> int:
    """The usual rows of a chunk, a power of two: 8,192, or fewer of large values, about 512 kB."""
    return max(16, min(_ROWS, 1 << ((512 * 1024) // column.row_bytes).bit_length() - 1)) if column.row_bytes < 2**15 else 16


def _doublings(hashes: Callable[[int, int], Any], rows: int) -> int:
    """How often the window is doubled: a column with few distinct values needs a long one to tell one place from another."""
    import numpy as np

    step = max(1, rows // 64)
    sample = np.concatenate([hashes(start, min(rows, start + _SAMPLE // 64)) for start in range(0, rows, step)])
    return _LONG_WINDOW if len(np.unique(sample)) <= _FEW else _SHORT_WINDOW


def _windowed(hashed: Any, doublings: int) -> Any:
    import numpy as np

    factor = _GOLDEN
    hashed, earlier = hashed.copy(), np.empty_like(hashed)
    for power in range(doublings):
        shift = 1 << power
        if shift >= len(hashed):
            break
        np.multiply(hashed[:-shift], np.uint64(factor), out=earlier[shift:])
        hashed[shift:] += earlier[shift:]
        factor = factor * factor % 2**64
    return hashed


def _spaced(candidates: list[int], end: int, least: int, most: int) -> Iterator[int]:
    """Boundaries at least `least` and at most `most` apart, and the end."""
    last = 0
    for candidate in candidates:
        while candidate - last > most:
            last += most
            yield last
        if candidate - last >= least and candidate < end:
            last = candidate
            yield last
    while end - last > most:
        last += most
        yield last
    if end > last:
        yield end


def _row_hashes(column: Column, streams: list[Any], rows: int) -> Any:
    """One 64-bit hash for each row of some streams; equal rows have equal hashes, and not every bit of a row needs to count."""
    import numpy as np

    if is_text(column.type):
        return _text_hashes(*streams[-2:])
    total = np.zeros(rows, np.uint64)
    lengths = None
    for stream, width in zip(streams, column.widths(), strict=True):
        count = stream.nbytes // width if width else 0
        if not count:
            continue
        words = _words(stream, count, width)
        if count == rows:
            total = words if not total.any() else total * np.uint64(31) + words
            lengths = words if width == 4 else lengths
        elif count % rows == 0:
            total = total * np.uint64(31) + words.reshape(rows, -1).sum(axis=1, dtype=np.uint64)
        elif lengths is not None and count == int(lengths.sum()):
            sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(mix(words), dtype=np.uint64)])
            ends = np.cumsum(lengths, dtype=np.int64)
            total = total * np.uint64(31) + (sums[ends] - sums[ends - lengths.astype(np.int64)])
    return total


def _words(stream: Any, count: int, width: int) -> Any:
    """The elements of a stream as unsigned 64-bit integers; of wider ones the sum of their words."""
    import numpy as np

    kinds: dict[int, Any] = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
    data = np.ascontiguousarray(stream).reshape(-1).view(np.uint8)
    if width in kinds:
        return data.view(kinds[width]).astype(np.uint64, copy=False)
    table = data.reshape(count, width)
    if width < 8:
        return table.astype(np.uint64) @ (np.uint64(257) ** np.arange(width, dtype=np.uint64))
    return np.ascontiguousarray(table[:, : width // 8 * 8]).view(np.uint64).sum(axis=1, dtype=np.uint64)


def _text_hashes(lengths: Any, data: Any) -> Any:
    """Hashes of texts from their length, first and last 8 bytes."""
    import numpy as np
    from numpy.lib.stride_tricks import as_strided

    padded = np.concatenate([data, np.zeros(16, np.uint8)])
    words = as_strided(padded[:8].view(np.uint64), shape=(len(padded) - 7,), strides=(1,))
    ends = np.cumsum(lengths, dtype=np.int64)
    starts = ends - lengths
    masks = np.array([(1 << (8 * size)) - 1 for size in range(9)], np.uint64)[np.minimum(lengths, 8)]
    return (words[starts] & masks) * np.uint64(_GOLDEN) + (words[np.maximum(ends - 8, starts)] & masks) + lengths
