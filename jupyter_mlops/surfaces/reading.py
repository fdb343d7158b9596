"""Data out of the store: as the value that went in, or as a file that other programs read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import config
from ..errors import UsageError
from ..store import snapshots
from ..store.objects import open_objects


def read(digest: str) -> Any:
    """The value of a digest or of its beginning."""
    return snapshots.load(digest, open_objects(config.load()))


def write(digest: str, out: Path) -> Path:
    """Write a file or folder as it was, a table as .parquet or .csv, an array as .npy. Nothing that exists is replaced."""
    if out.exists():
        raise UsageError(f"{out} exists already: choose another --out, or remove it first.")
    objects = open_objects(config.load())
    if snapshots.describe(digest, objects).kind in ("file", "folder"):
        snapshots.restore(digest, out, objects)
    else:
        _save(snapshots.load(digest, objects), out)
    return out


def _save(value: Any, out: Path) -> None:
    kind = type(value)
    library, form = kind.__module__.partition(".")[0], out.suffix.lower()
    match library, form:
        case "pandas", ".csv":
            value.to_csv(out)
        case "pandas", ".parquet":
            (value if kind.__name__ == "DataFrame" else value.to_frame()).to_parquet(out)
        case "polars", ".csv":
            value.write_csv(out)
        case "polars", ".parquet":
            value.write_parquet(out)
        case "pyarrow", ".parquet":
            from pyarrow import parquet

            parquet.write_table(value, out)
        case "numpy", ".npy":
            import numpy as np

            np.save(out, value)
        case _:
            raise UsageError(f"A {kind.__name__} cannot be written to {out.name}: give --out a name that ends with .parquet, .csv or .npy.")
