"""The ids of predictions: "p", the millisecond, chance, and the row's place in its request; ids sort as their predictions came.

An id alone says when its row was predicted and which request it came in, so that neither is stored beside it.
"""

from __future__ import annotations

import os
import re
import time

_CHANCE = 5
"""Bytes of chance in a request's id: two requests of one millisecond meet once in 10^12."""
_REQUEST = 1 + 12 + 2 * _CHANCE
_PLACES = tuple(f"{row:04x}" for row in range(2_048))
"""The ends of the ids of a request's first rows."""
_ID = re.compile(rf"p[0-9a-f]{{{12 + 2 * _CHANCE}}}[0-9a-f]{{4,8}}")


def ids(rows: int, at: float | None = None) -> list[str]:
    """The ids of a request's rows, in order; `at` is when they are predicted, in seconds since the epoch (default: now).

    Nothing is shared or asked for: any number of processes and threads make ids that never meet.
    """
    request = f"p{time.time_ns() // 1_000_000 if at is None else round(at * 1000):012x}{os.urandom(_CHANCE).hex()}"
    if rows == 1:
        return [request + "0000"]
    if rows <= len(_PLACES):
        return [request + place for place in _PLACES[:rows]]
    return [f"{request}{row:04x}" for row in range(rows)]


def is_id(text: str) -> bool:
    """Whether a text can be the id of a prediction."""
    return _ID.fullmatch(text) is not None


def request_of(identifier: str) -> str:
    """The id of the request that a prediction came in: the same for all its rows."""
    return identifier[:_REQUEST]


def milliseconds(identifier: str) -> int:
    """When a row was predicted, in milliseconds since the epoch."""
    return int(identifier[1:13], 16)


def first_at(moment: float) -> str:
    """The text that sorts before the ids of all that is predicted at `moment` (seconds since the epoch) or later, and after all earlier."""
    return f"p{max(0, round(moment * 1000)):012x}"
