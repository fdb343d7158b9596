"""A model's bytes for the way to the delivery worker, or a plain reason why it has none."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any

from ..errors import ModelRefused
from .estimators import state_of

_PATIENCE = 0.5
_DEEPEST = 6


def pack(value: object, limit: int | None = None) -> bytes:
    """The bytes of a model, by cloudpickle: classes and functions of the notebook travel along.

    Raises `ModelRefused` with a reason when it cannot be pickled, or takes more than `limit` bytes.
    """
    try:
        return _dump(value, limit)
    except ModelRefused:
        raise
    except Exception as error:  # whatever the model's own __reduce__ or __getstate__ raises
        raise ModelRefused(_reason(value, error)) from None


def _dump(value: object, limit: int | None) -> bytes:
    import cloudpickle

    file = _Bounded(limit)
    cloudpickle.Pickler(file, protocol=5).dump(value)
    return file.getvalue()


class _Bounded(io.BytesIO):
    """Bytes up to a limit."""

    def __init__(self, limit: int | None) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: Any, /) -> int:
        written = super().write(data)
        if self._limit is not None and self.tell() > self._limit:
            raise ModelRefused(f"it takes more than {self._limit / 1e6:.0f} MB")
        return written


def _reason(value: object, error: Exception) -> str:
    """What in the model cannot be pickled, and where: `it holds a lock (.steps[0][1].lock)`."""
    path, culprit = _culprit(value, time.monotonic() + _PATIENCE)
    text = " ".join(str(error).split())[:200]
    if path:
        return f"it holds {_name(culprit)} in {path}, which cannot be pickled"
    return f"it cannot be pickled: {text or type(error).__name__}"


def _culprit(value: object, deadline: float) -> tuple[str, object]:
    """The innermost part that cannot be pickled, with its path."""
    path, seen = "", {id(value)}
    for _ in range(_DEEPEST):
        for name, part in _parts(value):
            if time.monotonic() > deadline:
                return path, value
            if id(part) not in seen and not _packable(part):
                seen.add(id(part))
                path, value = path + name, part
                break
        else:
            break
    return path, value


def _packable(part: object) -> bool:
    try:
        _dump(part, 1_000_000)
    except ModelRefused:
        return True  # large, and good so far
    except Exception:  # as in pack
        return False
    return True


def _parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, (list, tuple)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value[:1_000]))
    elif isinstance(value, dict):
        yield from ((f"[{key!r:.40}]", item) for key, item in list(value.items())[:1_000])
    else:
        yield from ((f".{name}", item) for name, item in state_of(value).items())


def _name(value: object) -> str:
    kind = type(value)
    name = kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__.lstrip('_')}.{kind.__qualname__}"
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
