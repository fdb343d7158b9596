"""Packs: immutable files that hold many objects.

A pack is `MAGIC`, the stored bytes of its objects one after another, a footer with one record for each object, and a trailer.
Objects are found by 32-byte keys: the BLAKE3 of their content, or, for manifests, the digest of the snapshot they describe (a
manifest's content starts with its own BLAKE3). No two packs ever have the same name: `gc` could otherwise delete a new pack for an old one.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from blake3 import blake3

from ..errors import Corrupt
from . import formats

MAGIC = b"mlopspak"
SUFFIX = ".pack"
OBJECT, MANIFEST = 0, 1
_PLAIN, _ZLIB, _ZSTD, _SHUFFLED, _BITS = 0, 1, 2, 3, 4
# Shuffled floats are mostly bytes that nothing can compress: this level passes over them in half the time of level 1, and what it
# leaves is a thousandth more.
_FAST = -1
_RECORD = struct.Struct("<32s8sQQQBBH")
_TRAILER = struct.Struct("<Q32sI8s")
TRAILER_SIZE = _TRAILER.size


class Entry(NamedTuple):
    """Where an object is: `stored` bytes at `offset` of a pack hold `size` bytes of content; `seal` begins the stored bytes' BLAKE3."""

    key: bytes
    seal: bytes
    offset: int
    stored: int
    size: int
    sort: int
    codec: int
    width: int


class Prepared(NamedTuple):
    """An object ready to be written; `entry.offset` is set by the pack that takes it."""

    entry: Entry
    payload: Any


def key(data: Any) -> bytes:
    """The key of an object: the BLAKE3 of its content."""
    return blake3(_bytes_of(data)).digest()


def prepare(data: Any, width: int = 1, digest: bytes | None = None) -> Prepared:
    """An object of `data`, whose elements are `width` bytes wide, compressed and sealed; `digest` is its key where that is known."""
    view = _bytes_of(data)
    return _sealed(view, width, digest or key(view), OBJECT)


def manifest(snapshot: bytes, content: bytes) -> Prepared:
    """A manifest under the digest of its snapshot."""
    return _sealed(memoryview(blake3(content).digest() + content), 1, snapshot, MANIFEST)


def _sealed(view: memoryview, width: int, name: bytes, sort: int) -> Prepared:
    payload, codec = _compress(view, width)
    seal = name[:8] if codec == _PLAIN and sort == OBJECT else blake3(payload).digest(8)
    return Prepared(Entry(name, seal, 0, len(payload), view.nbytes, sort, codec, width), payload)


def restore(entry: Entry, payload: bytes, where: str) -> bytes:
    """The content of an object, checked; raises `Corrupt` when a bit of it changed."""
    what = f"{'Manifest' if entry.sort == MANIFEST else 'Object'} {entry.key.hex()}"
    if len(payload) != entry.stored or blake3(payload).digest(8) != entry.seal:
        raise Corrupt(what, where)
    try:
        content = _decompress(payload, entry)
    except (OSError, ValueError, zlib.error):
        raise Corrupt(what, where) from None
    if entry.sort == MANIFEST:
        check, content = content[:32], content[32:]
        if blake3(content).digest() != check:
            raise Corrupt(what, where)
    elif blake3(content).digest() != entry.key:
        raise Corrupt(what, where)
    return content


def footer(entries: Iterable[Entry]) -> bytes:
    """The last bytes of a pack: records and trailer."""
    records = b"".join(_RECORD.pack(*entry) for entry in entries)
    return records + _TRAILER.pack(len(records), blake3(records).digest(), formats.PACK, MAGIC)


def footer_size(trailer: bytes, where: str) -> int:
    """Bytes of the records that stand before `trailer`; refuses packs that a newer version wrote."""
    if len(trailer) != TRAILER_SIZE:
        raise Corrupt("A pack", where)
    size, _, version, magic = _TRAILER.unpack(trailer)
    if magic != MAGIC:
        raise Corrupt("A pack", where)
    formats.check(where, version, formats.PACK)
    return int(size)


def read_footer(records: bytes, trailer: bytes, where: str) -> list[Entry]:
    """The entries of a pack, checked against its trailer."""
    if blake3(records).digest() != _TRAILER.unpack(trailer)[1] or len(records) % _RECORD.size:
        raise Corrupt("A pack", where)
    return [Entry(*fields) for fields in _RECORD.iter_unpack(records)]


def _bytes_of(data: Any) -> memoryview:
    view = memoryview(data)
    # A view without elements cannot be cast.
    return view.cast("B") if view.nbytes else memoryview(b"")


def _compress(view: memoryview, width: int) -> tuple[Any, int]:
    if view.nbytes < 64:
        return view, _PLAIN
    # Importing pyarrow takes a tenth of a second, which a kernel must not pay for the outputs of a first cell.
    pyarrow = sys.modules.get("pyarrow")
    if pyarrow is None:
        payload, codec = zlib.compress(view, 1), _ZLIB
    elif 1 < width <= 16 and view.nbytes % width == 0:
        import numpy as np

        planes = np.ascontiguousarray(np.frombuffer(view, np.uint8).reshape(-1, width).T)
        payload, codec = pyarrow.Codec("zstd", _FAST).compress(planes, asbytes=True), _SHUFFLED
    elif (bits := _bits(view)) is not None:
        payload, codec = pyarrow.Codec("zstd", 1).compress(bits, asbytes=True), _BITS
    else:
        payload, codec = pyarrow.Codec("zstd", 1).compress(view, asbytes=True), _ZSTD
    return (payload, codec) if len(payload) < view.nbytes else (view, _PLAIN)


def _bits(view: memoryview) -> Any:
    """Booleans and validity, a byte each, as bits; None for other bytes."""
    if view[0] > 1:
        return None
    import numpy as np

    values = np.frombuffer(view, np.uint8)
    return np.packbits(values) if values.max() <= 1 else None


def _decompress(payload: bytes, entry: Entry) -> bytes:
    if entry.codec == _PLAIN:
        return payload
    if entry.codec == _ZLIB:
        return zlib.decompress(payload)
    import pyarrow

    size = (entry.size + 7) // 8 if entry.codec == _BITS else entry.size
    content: bytes = pyarrow.Codec("zstd").decompress(payload, size, asbytes=True)
    if entry.codec == _ZSTD:
        return content
    import numpy as np

    if entry.codec == _BITS:
        return np.unpackbits(np.frombuffer(content, np.uint8), count=entry.size).tobytes()
    return np.frombuffer(content, np.uint8).reshape(entry.width, -1).T.tobytes()
