"""Values that the log must not show: a keyed hash takes the place of each.

Equal values of a column stay equal, so that labels still join by a hidden key and the number of different values can still be told; without
the project's key, `.mlops/redaction.key`, a hash leads back to nothing, not even by trying all values.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
from blake3 import blake3

from ...store.journal import make_private
from .tables import text

MARK = "hash:"
"""What a hidden value begins with."""
_KEY_BYTES = 32
_DIGITS = 16


def key(home: Path) -> bytes:
    """The key of the store at `home`, made when it is first asked for. Raises OSError."""
    path = home / "redaction.key"
    make_private(home)
    try:
        found = path.read_bytes()
    except FileNotFoundError:
        own = path.with_name(f"redaction.{os.getpid()}.tmp")
        own.write_bytes(os.urandom(_KEY_BYTES))
        own.chmod(0o600)
        try:
            os.link(own, path)  # fails where another process was first, whose key then holds
        except FileExistsError:
            pass
        finally:
            own.unlink()
        found = path.read_bytes()
    return found[:_KEY_BYTES].ljust(_KEY_BYTES, b"\0")


def hidden(values: pa.Array, secret: bytes) -> pa.Array:
    """The hashes of values; what is missing stays missing."""
    encoded = values.dictionary_encode() if values.type != pa.null() and not pa.types.is_nested(values.type) else None
    if encoded is None:
        return pa.array([None if value is None else _hash(value, secret) for value in values.to_pylist()], pa.string())
    hashes = pa.array([None if value is None else _hash(value, secret) for value in encoded.dictionary.to_pylist()], pa.string())
    return hashes.take(encoded.indices)


def _hash(value: Any, secret: bytes) -> str:
    # A number is the same whether a file calls it 5, 5.0 or "5".
    whole = isinstance(value, (int, float)) and abs(value) < 2**53 and value == int(value)
    plain = str(int(value)) if whole else text(value)
    return MARK + blake3(plain.encode("utf-8", "surrogatepass"), key=secret).hexdigest()[:_DIGITS]
