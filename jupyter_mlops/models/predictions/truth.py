"""What turned out to be true, as it is kept: files of labels beside the log, each row an id, its truth, when it came and from what.

A file is sorted by id, and within an id the latest first; of two files the later wins. Nothing is overwritten, so the history stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from .segments import LabelFile, Manifest
from .tables import cast, wider

GROUP_ROWS = 1 << 16
"""How many rows of a file are read at once."""


class Truth:
    """The labels of a log as a manifest has them. Memory holds the parts of its files that cover what was asked last."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self._folder = folder
        self._labels = manifest.labels
        self._files: dict[str, parquet.ParquetFile] = {}
        self._parts: dict[tuple[str, int], pa.Table] = {}
        self._kind: pa.DataType | None = None

    @property
    def kind(self) -> pa.DataType:
        """The type that holds all labels; null where there are none."""
        if self._kind is None:
            self._kind = wider(self._file(item).schema_arrow.field("truth").type for item in self._labels)
        return self._kind

    def close(self) -> None:
        """Close the files."""
        for file in self._files.values():
            file.close()

    def of(self, identifiers: Any) -> pa.Array:
        """The latest truth of each id, null where none came."""
        found = pa.nulls(len(identifiers), self.kind)
        if not self._labels or not len(identifiers):
            return found
        bounds = pc.min_max(identifiers).as_py()
        for item in self._labels:
            for part in self._between(item, bounds["min"], bounds["max"]):
                places = pc.index_in(identifiers, value_set=part.column("id").combine_chunks())
                if isinstance(places, pa.ChunkedArray):
                    places = places.combine_chunks()
                if places.null_count < len(places):
                    latest = cast(part.column("truth"), self.kind).combine_chunks().take(places)
                    found = pc.if_else(pc.is_valid(places), latest, found)
        return found

    def history(self, identifier: str) -> list[dict[str, Any]]:
        """All that came for an id, as {"truth", "at", "source"}, the latest first."""
        rows: list[dict[str, Any]] = []
        for item in self._labels:
            for part in self._between(item, identifier, identifier):
                rows = [*part.filter(pc.equal(part.column("id"), identifier)).select(["truth", "at", "source"]).to_pylist(), *rows]
        return rows

    def _between(self, item: LabelFile, first: str, last: str) -> Iterator[pa.Table]:
        """The parts of a file with ids from `first` to `last`, the later parts first: where an id stands in two, the earlier wins."""
        if item.end < first or item.start > last:
            return
        file = self._file(item)
        covered: set[tuple[str, int]] = set()
        for group in reversed(range(file.num_row_groups)):
            statistics = file.metadata.row_group(group).column(0).statistics
            if statistics.max < first or statistics.min > last:
                continue
            covered.add((item.file, group))
            if (item.file, group) not in self._parts:
                self._parts[item.file, group] = file.read_row_group(group)
            yield self._parts[item.file, group]
        for key in [key for key in self._parts if key[0] == item.file and key not in covered]:
            del self._parts[key]

    def _file(self, item: LabelFile) -> parquet.ParquetFile:
        if item.file not in self._files:
            self._files[item.file] = parquet.ParquetFile(self._folder / item.file)
        return self._files[item.file]
