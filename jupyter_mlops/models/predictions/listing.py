"""Predictions as a file of the user's own: those of one or more versions, with their inputs, outputs and truths."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import csv, parquet

from ...config import Settings
from ...errors import UsageError
from . import reading
from .tables import fitted, unified


def write(settings: Settings, versions: Sequence[tuple[str, int]], out: Path) -> int:
    """Write the predictions of (model, version) to `out`, .parquet or .csv; how many they are. Memory holds a batch. Raises UsageError."""
    form = out.suffix.lower()
    if form not in (".parquet", ".csv"):
        raise UsageError(f"Predictions cannot be listed in {out.name}: give --out a name that ends with .parquet or .csv.")
    if out.exists():
        raise UsageError(f"{out} exists already: choose another --out, or remove it first.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}: make it, or choose another --out.")
    schema = unified([pa.schema([("model", pa.string())]), *(reading.schema(settings, name) for name, _ in versions)])
    if form == ".csv":
        # What is nested has no place in a cell of a CSV file but as text.
        schema = pa.schema([(field.name, pa.string() if pa.types.is_nested(field.type) else field.type) for field in schema])
    own = out.with_name(f".{out.name}.tmp")
    rows = 0
    try:
        with csv.CSVWriter(own, schema) if form == ".csv" else parquet.ParquetWriter(own, schema) as writer:
            for name, version in versions:
                for batch in reading.batches(settings, name, version=version):
                    named = batch.append_column("model", pa.array([name] * batch.num_rows, pa.string()))
                    writer.write(fitted(named, schema))
                    rows += batch.num_rows
        own.replace(out)
    finally:
        own.unlink(missing_ok=True)
    return rows
