"""Inputs that are queries of a database: which database is meant, and whether what it would give is still the same."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from ...errors import PipelineError

if TYPE_CHECKING:
    from sqlalchemy import URL

_MOST_ROWS = 10_000


def connection(given: str, folder: Path) -> URL:
    """The URL of a query's database: as it is written, or what the environment variable of that name holds. A relative SQLite file is
    seen from `folder`. Raises PipelineError."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    text = given if "://" in given else os.environ.get(given, "")
    if not text:
        raise PipelineError(f"there is no environment variable {given!r} with the connection of a query: set it to an SQLAlchemy URL.")
    try:
        url = make_url(text)
    except ArgumentError:
        raise PipelineError("the connection of a query cannot be used: write an SQLAlchemy URL, or a variable's name.") from None
    if url.get_backend_name() == "sqlite" and url.database and url.database != ":memory:":
        return url.set(database=str(folder / url.database))
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url


def fingerprint(query: Mapping[str, str], folder: Path) -> str | None:
    """A digest of a query, its database and what its `fingerprint` gives there now; None without a fingerprint.

    Raises PipelineError for a connection that cannot be used, OSError for a database that does not answer.
    """
    if not query.get("fingerprint"):
        return None
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    url = connection(query["connection"], folder)
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).exists():
        # SQLite would make an empty one.
        raise OSError(f"there is no file {_place(url, folder)}")
    try:
        engine = create_engine(url)
        try:
            with engine.connect() as opened:
                rows = [list(row) for row in opened.exec_driver_sql(query["fingerprint"]).fetchmany(_MOST_ROWS)]
        finally:
            engine.dispose()
    except (SQLAlchemyError, ImportError) as error:
        raise OSError(" ".join(str(getattr(error, "orig", None) or error).split())) from None
    # Who asks does not change what is there.
    asked = [query["query"], url.get_backend_name(), url.host, url.port, _place(url, folder), query["fingerprint"], rows]
    return blake3(json.dumps(asked, default=str).encode()).hexdigest()


def _place(url: URL, folder: Path) -> str:
    place = url.database or ""
    return os.path.relpath(place, folder) if url.get_backend_name() == "sqlite" and place != ":memory:" else place
