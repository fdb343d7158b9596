"""Whose reads they are: steps run side by side in one folder, and what watches its files does not say which process opened one. Pure but
for the times of files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path

from ...code.outside import starts_programs


def own(
    paths: Iterable[str], *, since: float, elsewhere: Collection[str], text: str, opened: Collection[str] | None = None
) -> list[str]:
    """Those of the files seen to be read while a step ran that it depends on.

    A file that was written since the step began (seconds since the epoch) is what this step or another made. `opened` are those that the
    step's own process opened, which are the step's. Any other file was opened by a program that the step started, or by another step: it
    is the step's if `text`, which is its code and parameters, names the file or its folder, or says that it starts programs and no other
    step declares the file as its input. Where nobody knows who opened what (None), that declaration and the text decide alone.
    What is in doubt counts as read by the step: then it runs once more than it has to.
    """
    known, programs = opened is not None, starts_programs(text)
    mine = frozenset(opened or ())

    def counts(path: str) -> bool:
        return path in mine or _named(path, text) or (path not in elsewhere and (programs or not known))

    return [path for path in paths if _changed(path) < since and counts(path)]


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return float("inf")


def _named(path: str, text: str) -> bool:
    place = Path(path)
    return place.name in text or re.search(rf"(?<![\w.-]){re.escape(place.parent.name)}[\"'\\/]", text) is not None
