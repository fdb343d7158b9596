"""Columns: runs of values of one type that are hashed, cut into chunks and kept on their own.

Every value that can be frozen is a `Frozen`: a JSON head that says what it is, and the columns that the head refers to by position.
A column yields canonical streams for any range of its rows, so that neither hashing nor storing ever copies it whole.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from blake3 import blake3

from ..errors import DataError
from . import arrow, scalars

_COLUMN_CONTEXT = "jupyter_mlops 1 column"
_VALUE_CONTEXT = "jupyter_mlops 1 value"
_SEGMENT_BYTES = 4 * 2**20


class Column(Protocol):
    """`rows` values of a described `type`; about `row_bytes` bytes each."""

    type: Any
    rows: int
    row_bytes: int

    def widths(self) -> list[int]:
        """Bytes of an element in each stream."""

    def streams(self, start: int, stop: int) -> list[Any]:
        """The canonical streams of rows `start` to `stop`, as contiguous NumPy arrays."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """A value taken apart. `names` maps the columns of a table, as shown, to the positions of what holds their content."""

    kind: str
    head: Any
    columns: tuple[Column, ...]
    rows: int | None
    schema: tuple[tuple[str, str], ...] = ()
    names: tuple[tuple[str, tuple[int, ...]], ...] = ()
    layout: Any = None


class Raw:
    """A one-dimensional NumPy array of any type but objects: its bytes."""

    def __init__(self, array: Any) -> None:
        self.array = array
        self.rows = len(array)
        self.row_bytes = array.dtype.itemsize
        self.type = {"raw": array.dtype.str}

    def widths(self) -> list[int]:
        return [self.row_bytes]

    def streams(self, start: int, stop: int) -> list[Any]:
        import numpy as np

        part = np.ascontiguousarray(self.array[start:stop])
        if self.array.dtype.kind in "fc" and self.row_bytes in (16, 32) and part.real.dtype.itemsize == 16:
            return [_without_padding(part)]
        return [part.view(np.uint8).reshape(-1, self.row_bytes) if self.row_bytes else np.empty(0, np.uint8)]


class Arrow:
    """An Arrow array or chunked array."""

    def __init__(self, array: Any) -> None:
        import pyarrow as pa

        self.array = array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array])
        self.rows = len(array)
        self.nullable = self.array.null_count > 0
        self.row_bytes = max(1, array.nbytes // max(1, self.rows))
        self.type = {"arrow": arrow.describe(array.type), "nullable": self.nullable}

    def widths(self) -> list[int]:
        return arrow.widths(self.type["arrow"], self.nullable)

    def streams(self, start: int, stop: int) -> list[Any]:
        import pyarrow as pa

        chunks = self.array.slice(start, stop - start).chunks
        if not chunks:
            return arrow.streams(pa.nulls(0, self.array.type), self.nullable)
        if len(chunks) > 1 and pa.types.is_dictionary(self.array.type):
            chunks = [arrow.decode_dictionary(chunk) for chunk in chunks]
        return arrow.streams(chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks), self.nullable)


class Masked:
    """Values and a mask (True is missing), as pandas' nullable types and NumPy's masked arrays have them."""

    def __init__(self, values: Any, mask: Any) -> None:
        self.values, self.mask = values, mask
        self.rows = len(values)
        self.nullable = bool(mask.any())
        self.row_bytes = values.dtype.itemsize + 1
        self.type = {"masked": values.dtype.str, "nullable": self.nullable}

    def widths(self) -> list[int]:
        return [*([1] if self.nullable else []), self.values.dtype.itemsize]

    def streams(self, start: int, stop: int) -> list[Any]:
        import numpy as np

        width = self.values.dtype.itemsize
        values = np.ascontiguousarray(self.values[start:stop]).view(np.uint8).reshape(-1, width)
        if not self.nullable:
            return [values]
        valid = np.ascontiguousarray(~self.mask[start:stop]).view(np.uint8)
        return [valid, np.where(valid[:, None] != 0, values, np.uint8(0))]


class Values:
    """Python values, each by the encoding of `scalars`. `name` is what an error calls the column."""

    def __init__(self, values: Sequence[Any], name: str = "") -> None:
        self.values, self.name = values, name
        self.rows = len(values)
        self.row_bytes = self._sampled()
        self.type = {"values": 1}

    def widths(self) -> list[int]:
        return [4, 1]

    def _sampled(self) -> int:
        """Usual bytes of a value, from 16 of them; a value that cannot be encoded is refused later, by its row."""
        sizes = [1]
        for position in range(0, self.rows, max(1, self.rows // 16)):
            with contextlib.suppress(DataError):
                sizes.append(len(scalars.encode(self.values[position])))
        return max(1, sum(sizes) // len(sizes))

    def streams(self, start: int, stop: int) -> list[Any]:
        import numpy as np

        encoded = []
        for position in range(start, stop):
            try:
                encoded.append(scalars.encode(self.values[position]))
            except DataError as error:
                where = f"Column {self.name}, row {position}" if self.name else f"Item {position}"
                raise DataError(f"{where}: {error}; convert it to plain values, or drop it, before taking a snapshot.") from None
        lengths = np.fromiter(map(len, encoded), np.uint32, len(encoded))
        return [lengths, np.frombuffer(b"".join(encoded), np.uint8)]


@dataclass(slots=True)
class Builder:
    """Collects the columns of a value; `add` gives the position that its head refers to."""

    columns: list[Column] = field(default_factory=list)

    def add(self, column: Column) -> int:
        self.columns.append(column)
        return len(self.columns) - 1

    def plain(self, value: Any) -> int:
        """Keeps one Python value, such as a name, as a column of one row."""
        return self.add(Values([value]))


def column_digest(column: Column) -> str:
    """BLAKE3 over a column's type, number of rows, and streams, on all cores where streams are long."""
    digester = Digester(column.type, column.rows)
    step = max(1, _SEGMENT_BYTES // column.row_bytes)
    for start in range(0, column.rows, step):
        digester.update(column.streams(start, min(column.rows, start + step)))
    return digester.hexdigest()


class Digester:
    """The digest of a column, from the streams of consecutive ranges of its rows.

    `threads` is 1 where the ranges are short, or where other threads work at the same time; all cores by default.
    """

    def __init__(self, kind: Any, rows: int, threads: int = blake3.AUTO) -> None:
        self._head = canonical([kind, rows])
        self._threads = threads
        self._hashers: list[blake3] = []
        self._sizes: list[int] = []

    def update(self, streams: Sequence[Any]) -> None:
        if not self._hashers:
            self._hashers = [blake3(max_threads=self._threads) for _ in streams]
            self._sizes = [0] * len(streams)
        for index, stream in enumerate(streams):
            view = memoryview(stream)
            data = view.cast("B") if view.nbytes else b""
            self._hashers[index].update(data)
            self._sizes[index] += len(data)

    def hexdigest(self) -> str:
        whole = blake3(self._head, derive_key_context=_COLUMN_CONTEXT)
        for size, hasher in zip(self._sizes, self._hashers, strict=True):
            # A stream without bytes counts by its size alone, so that a chunk need not keep it.
            whole.update(size.to_bytes(8, "little") + (hasher.digest() if size else b""))
        return whole.hexdigest()


def value_digest(head: Any, columns: Sequence[str]) -> str:
    """The digest of a value, from its head and the digests of its columns."""
    return blake3(canonical([head, list(columns)]), derive_key_context=_VALUE_CONTEXT).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with one text for each value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def is_text(kind: Any) -> bool:
    """Whether a column's last two streams are lengths and what they measure."""
    return "values" in kind or kind.get("arrow") in ("string", "binary")


def _without_padding(part: Any) -> Any:
    """Extended precision has 10 bytes of value in 16 bytes of memory; the other 6 are not part of the value."""
    import numpy as np

    data = part.view(np.uint8).reshape(-1, 16).copy()
    if np.finfo(part.dtype).nmant == 63:
        data[:, 10:] = 0
    return data.reshape(len(part), -1)
