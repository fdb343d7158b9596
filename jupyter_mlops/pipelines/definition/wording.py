"""What the errors of pipelines say of names and files."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from pathlib import Path


def nearest(name: str, names: Iterable[str], most: int = 12, alike: float = 0.6) -> str:
    """How a sentence about an unknown name ends: with the name that was probably meant, else with all of them where they are few.

    `alike`, from 0 to 1, is how much two names must share for one to be meant by the other: more for files, whose suffixes are the same.
    """
    known = list(names)
    if close := difflib.get_close_matches(name, known, n=1, cutoff=alike):
        return f": did you mean {close[0]!r}?"
    return f": there {'is' if len(known) == 1 else 'are'} {', '.join(known)}." if 0 < len(known) <= most else "."


def shown(path: str | Path) -> str:
    """A path as the reader knows it: relative to the working folder where it lies below it."""
    text, here = os.path.abspath(path), os.getcwd()
    return os.path.relpath(text, here) if path and text.startswith(here + os.sep) else str(path)
