"""The latest results of steps, read from the shared state's SQLite file by Python's own module.

A command that finds everything done would wait longer for the import of SQLAlchemy than for all the rest.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from ..config import Settings
from . import formats

_SECONDS = 5.0
_JSON = ("parts", "outputs", "observed")
_VERSION = "SELECT max(version) FROM formats"
_LATEST = "SELECT * FROM commits WHERE number IN (SELECT max(number) FROM commits WHERE pipeline = ? GROUP BY step)"


def latest_of(settings: Settings, pipeline: str) -> list[dict[str, Any]] | None:
    """The latest result of each step of a pipeline; None where only the shared state itself can tell."""
    if settings.database is not None:
        return None
    file = settings.home / "shared.db"
    if not file.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=_SECONDS)) as connection:
            if (connection.execute(_VERSION).fetchone()[0] or 0) > formats.SHARED:
                return None
            connection.row_factory = sqlite3.Row
            return [decoded(dict(row)) for row in connection.execute(_LATEST, (pipeline,))]
    except sqlite3.Error:
        return None


def decoded(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the table with its JSON read, without the token of its lease."""
    return {name: json.loads(value) if name in _JSON else value for name, value in row.items() if name != "token"}


def encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    """What `decoded` reads."""
    return {name: json.dumps(value) if name in _JSON else value for name, value in values.items()}
