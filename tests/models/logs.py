"""Logs of predictions as a service leaves them, made in no time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlops.config import Settings
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.log import Log

START = 1_700_000_000.0


def settings_of(project: Path) -> Settings:
    return Settings(project=project)


def rows(count: int, first: int = 0) -> dict[str, Any]:
    """The inputs of so many rows: a number that tells them apart, and a few others."""
    numbers = np.arange(first, first + count)
    return {"flight": numbers, "distance": numbers * 1.5, "origin": [["EWR", "JFK"][number % 2] for number in numbers]}


def written(
    project: Path, name: str = "flights", requests: int = 10, size: int = 100, version: int = 1, apart: float = 60.0, start: float = START
) -> list[str]:
    """A log of `requests` requests of `size` rows, `apart` seconds after one another; the ids of the rows."""
    log = Log(settings_of(project), name)
    found: list[str] = []
    for number in range(requests):
        made = ids(size, at=start + number * apart)
        log.write(rows(size, number * size), np.arange(size) % 2, ids=made, version=version, seconds=0.002)
        found += made
    log.close()
    return found
