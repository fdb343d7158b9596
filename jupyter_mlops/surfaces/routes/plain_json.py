"""Answers as JSON that a browser reads: it knows no NaN, which becomes null."""

from __future__ import annotations

import json
import math
from typing import Any


def encoded(value: Any) -> bytes:
    """The JSON of plain values; what is none is told as its repr."""
    try:
        text = _dumped(value)
    except ValueError:
        text = _dumped(_finite(value))
    # A half of a character, as file names may hold it, has no UTF-8.
    return text.encode("utf-8", "backslashreplace")


def _dumped(value: Any) -> str:
    return json.dumps(value, default=repr, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
