"""Whose reads they are: steps run side by side in one folder, and what watches its files cannot tell which process opened one. Pure but for
the times of files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path


def own(paths: Iterable[str], *, since: float, elsewhere: Collection[str], text: str) -> list[str]:
    """Those of the files seen to be read while a step ran that it depends on.

    A file that was written since the step began (seconds since the epoch) is what this step or another made. A file that another step
    declares as its input is that one's, unless `text`, which is this step's code and parameters, names the file or its folder. What is in
    doubt counts as read by the step: then it runs once more than it has to.
    """
    return [path for path in paths if _changed(path) < since and (path not in elsewhere or _named(path, text))]


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return float("inf")


def _named(path: str, text: str) -> bool:
    place = Path(path)
    return place.name in text or re.search(rf"(?<![\w.-]){re.escape(place.parent.name)}[\"'\\/]", text) is not None
