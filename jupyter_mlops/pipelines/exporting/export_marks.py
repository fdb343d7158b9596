"""The mark on an exported file that tells whether anyone has edited it since. Pure."""

from __future__ import annotations

import hashlib
import re

_MARK = re.compile(r"^# mlops export checksum: ([0-9a-f]{32})\r?\n", re.MULTILINE)
_SOURCE = re.compile(r"^# Written by `mlops export (.+) --to \w+`", re.MULTILINE)


def marked(text: str) -> str:
    """The text of a new file, with its mark as the first line."""
    return f"# mlops export checksum: {_checksum(text)}\n{text}"


def is_untouched(text: str) -> bool:
    """Whether a file is as it was exported, but for its line ends; False for a file that was never exported."""
    found = _MARK.match(text)
    return found is not None and found[1] == _checksum(text[found.end() :])


def source_of(text: str) -> str:
    """The pipeline's file that an exported file says it was written from; "" where it does not say so."""
    found = _SOURCE.search(text)
    return found[1] if found else ""


def _checksum(text: str) -> str:
    return hashlib.sha256(text.replace("\r\n", "\n").encode("utf-8")).hexdigest()[:32]
