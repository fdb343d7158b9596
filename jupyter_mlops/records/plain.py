"""Records as plain JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Self

_PLAIN = frozenset((str, int, float, bool))


def to_json(value: Any) -> Any:
    """Plain JSON values of a record, or of lists, tuples and dicts of records."""
    kind: type = type(value)
    if value is None or kind in _PLAIN:
        return value
    if names := _names(kind):
        return {name: to_json(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value


@cache
def _names(kind: type) -> tuple[str, ...]:
    """The names of a record's fields; () for other classes."""
    return tuple(item.name for item in fields(kind)) if is_dataclass(kind) else ()


class Record:
    """Reads itself back from JSON; unknown keys, written by a later version, are left out."""

    __slots__ = ()

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        known = {item.name for item in fields(cls)}  # type: ignore[arg-type]  # every subclass is a dataclass
        return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key in known})

    @classmethod
    def of(cls, item: Self | Mapping[str, Any]) -> Self:
        """The record itself, or the one that its JSON tells: records within others may be either."""
        return item if isinstance(item, cls) else cls.from_json(item)  # type: ignore[arg-type]  # what is no record is its JSON
