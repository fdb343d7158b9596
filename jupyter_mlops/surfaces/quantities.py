"""Seconds and bytes for a reader."""

from __future__ import annotations


def span(seconds: float | None) -> str:
    """A time: 0.25 s, 12 s, 3 min, 1.5 h; "" where it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """A number of bytes: 174.0 MB."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
