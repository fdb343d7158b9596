"""The log of predictions, as it is read: in batches, by time and version, or one prediction by its id.

Columns are `id`, `at` (timestamp in UTC), `version`, `role`, `seconds`, `output`, `truth` (where labels came), and `inputs.NAME` for each
column that the model was given. A missing value is null, or NaN where the service got NaN.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...config import Settings
from ...errors import NotFound, StoreError
from ...records import Prediction
from . import segments, streams
from .ids import is_id, milliseconds, request_of
from .sealing import losses_of
from .segments import Manifest, Segment
from .tables import AT, INPUTS, OWN, fitted, unified
from .truth import Truth

BATCH_ROWS = 1 << 16
_LOST = "the log changed while it was read, for too long: read it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which predictions: from `start` to before `end` (seconds since the epoch), of a version, of a role; None is all."""

    start: float | None = None
    end: float | None = None
    version: int | None = None
    role: str | None = None

    def needs(self) -> set[str]:
        """The columns that tell which rows are meant."""
        chosen = {"at": self.start is not None or self.end is not None, "version": self.version is not None, "role": self.role is not None}
        return {name for name, needed in chosen.items() if needed}

    def has(self, segment: Segment) -> bool:
        """Whether a segment may have such rows."""
        if self.version is not None and str(self.version) not in segment.versions:
            return False
        return (self.end is None or segment.start < self.end * 1000) and (self.start is None or segment.end >= self.start * 1000)

    def of(self, table: Any) -> Any:
        """The rows of a table or batch that are meant."""
        masks = []
        if self.start is not None:
            masks.append(pc.greater_equal(table.column("at"), pa.scalar(round(self.start * 1000), pa.int64()).cast(AT)))
        if self.end is not None:
            masks.append(pc.less(table.column("at"), pa.scalar(round(self.end * 1000), pa.int64()).cast(AT)))
        if self.version is not None:
            masks.append(pc.equal(table.column("version"), self.version))
        if self.role is not None:
            masks.append(pc.equal(table.column("role"), self.role))
        for mask in masks:
            if pc.all(mask).as_py():
                continue
            both = masks[0]
            for other in masks[1:]:
                both = pc.and_(both, other)
            return table.filter(both)
        return table


def batches(
    settings: Settings, name: str, *, start: float | None = None, end: float | None = None, version: int | None = None,
    role: str | None = None, columns: Sequence[str] | None = None,
) -> Iterator[Any]:  # fmt: skip
    """What was predicted from `start` to before `end` (seconds since the epoch), as pyarrow record batches of one schema, file by file.

    `columns` are those wanted (default: all, `truth` among them); one that no prediction has is null. Memory holds one batch at a time.
    """
    choice = Choice(start=start, end=end, version=version, role=role)
    with _opened(settings, name) as log:
        for table in log.tables(choice, log.schema(columns)):
            yield from table.to_batches(max_chunksize=BATCH_ROWS)


def read(
    settings: Settings, name: str, *, start: float | None = None, end: float | None = None, version: int | None = None,
    role: str | None = None, columns: Sequence[str] | None = None,
) -> Any:  # fmt: skip
    """All that `batches` gives, as one pyarrow table; an empty table where nothing was predicted."""
    choice = Choice(start=start, end=end, version=version, role=role)
    with _opened(settings, name) as log:
        wanted = log.schema(columns)
        tables = list(log.tables(choice, wanted))
    return pa.concat_tables(tables) if tables else wanted.empty_table()


def schema(settings: Settings, name: str) -> Any:
    """The columns and types of the log, as `batches` gives them."""
    with _opened(settings, name) as log:
        return log.schema(None)


def find(settings: Settings, identifier: str, name: str | None = None) -> Prediction:
    """The prediction of an id (of the model `name`, or of any). Raises NotFound, which says why it can be missing.

    The id tells the time, the manifest which files have that time, and their statistics which part to read.
    """
    if is_id(identifier):
        for model in [name] if name is not None else segments.models(settings):
            with _opened(settings, model) as log:
                row = log.row(identifier)
                if row is not None:
                    return _record(model, row)
    remedy = "It was not sampled, its time to be kept is over, or the log is in another project's folder."
    raise NotFound("prediction", identifier, remedy)


def counts(settings: Settings, name: str, version: int | None = None) -> dict[int, int]:
    """How many predictions of each version (or of this one) the log has."""
    found: dict[int, int] = {}
    with _opened(settings, name) as log:
        for segment in log.manifest.segments:
            for number, rows in segment.versions.items():
                found[int(number)] = found.get(int(number), 0) + rows
        for batch in log.living():
            for item in pc.value_counts(batch.column("version")).to_pylist():
                found[item["values"]] = found.get(item["values"], 0) + item["counts"]
    return {number: rows for number, rows in sorted(found.items()) if version in (None, number)}


def span(settings: Settings, name: str) -> tuple[float, float] | None:
    """When the first and the last prediction of the log were made, in seconds since the epoch; None while it is empty."""
    with _opened(settings, name) as log:
        moments = [moment for segment in log.manifest.segments for moment in (segment.start, segment.end)]
        for batch in log.living():
            found = pc.min_max(batch.column("at").cast(pa.int64())).as_py()
            moments += [found["min"], found["max"]]
    return (min(moments) / 1000, max(moments) / 1000) if moments else None


def losses(settings: Settings, name: str) -> list[dict[str, Any]]:
    """What the log does not have, though it was predicted and sampled, as {"at", "rows", "why"}, oldest first."""
    folder = segments.folder_of(settings, name)
    with _opened(settings, name) as log:
        found = list(log.manifest.losses)
        rows = log.rows_of_streams()
        for path in sorted(folder.glob("*.count")):
            token = path.stem
            if not streams.alive(folder, token):
                counted = streams.counted(folder, token)
                moment = path.stat().st_mtime
                lost = losses_of(log.manifest, token, counted, rows.get(token, 0))
                found += [{"at": moment, "rows": number, "why": why} for number, why in lost]
    return found


def models(settings: Settings) -> list[str]:
    """The models that the store has predictions of."""
    return segments.models(settings)


class _Opened:
    """A log as it is at one moment: the streams are opened before the manifest is read, so that no row is missed or seen twice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._streams: dict[str, IO[bytes]] = {}
        for path in streams.streams_of(folder):
            with contextlib.suppress(FileNotFoundError):  # sealed just now
                self._streams[path.name] = path.open("rb")
        self.manifest: Manifest = segments.load(folder)
        self._read: dict[str, list[pa.RecordBatch]] = {}
        self.truth = Truth(folder, self.manifest)

    def close(self) -> None:
        for file in self._streams.values():
            file.close()
        self.truth.close()

    def living(self) -> Iterator[pa.RecordBatch]:
        """The batches that are in no segment yet."""
        for name, file in self._streams.items():
            if name not in self.manifest.sealed:
                file.seek(0)
                yield from streams.whole(file.read())

    def rows_of_streams(self) -> dict[str, int]:
        """The rows of each writer that are in no segment yet."""
        found: dict[str, int] = {}
        for name, file in self._streams.items():
            if name not in self.manifest.sealed:
                file.seek(0)
                token = name.partition(".")[0]
                found[token] = found.get(token, 0) + sum(batch.num_rows for batch in streams.whole(file.read()))
        return found

    def schema(self, columns: Sequence[str] | None) -> pa.Schema:
        """The schema of what is read: the wanted columns, each with the type that holds all its values."""
        found = [self.manifest.schema(segment) for segment in {item.schema: item for item in self.manifest.segments}.values()]
        living = (streams.schema_of(file) for name, file in self._streams.items() if name not in self.manifest.sealed)
        found += [schema for schema in living if schema is not None]
        whole = unified([OWN, *found, pa.schema([("output", pa.null()), ("truth", self.truth.kind)])])
        if columns is None:
            return whole
        return pa.schema([(name, whole.field(name).type if name in whole.names else pa.null()) for name in columns])

    def tables(self, choice: Choice, schema: pa.Schema) -> Iterator[pa.Table]:
        """The rows that are meant, a part of a file at a time."""
        wanted = [*schema.names, *sorted(choice.needs() - set(schema.names))]
        if "truth" in schema.names and "id" not in wanted:
            wanted.append("id")
        for segment in sorted(self.manifest.segments, key=lambda item: item.start):
            if choice.has(segment):
                for table in self._parts(segment, wanted):
                    yield from self._ready(choice.of(table), schema)
        for batch in self.living():
            kept = [name for name in wanted if name in batch.schema.names]
            yield from self._ready(choice.of(pa.Table.from_batches([batch]).select(kept)), schema)

    def row(self, identifier: str) -> Mapping[str, Any] | None:
        """The prediction of an id, as plain values."""
        moment = milliseconds(identifier)
        for segment in self.manifest.segments:
            if segment.start <= moment <= segment.end:
                with self._file(segment) as file:
                    table = _row_of(file, identifier)
                if table is not None:
                    return self._plain(table)
        for batch in self.living():
            place = pc.index(batch.column("id"), identifier).as_py()
            if place >= 0:
                return self._plain(pa.Table.from_batches([batch.slice(place, 1)]))
        return None

    def _plain(self, table: pa.Table) -> Mapping[str, Any]:
        plain: dict[str, Any] = table.append_column("truth", self.truth.of(table.column("id"))).to_pylist()[0]
        return plain

    def _ready(self, table: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
        if table.num_rows:
            if "truth" in schema.names:
                table = table.append_column("truth", self.truth.of(table.column("id")))
            yield fitted(table, schema)

    def _parts(self, segment: Segment, wanted: Sequence[str]) -> Iterator[pa.Table]:
        with self._file(segment) as file:
            names = set(file.schema_arrow.names)
            columns = [name for name in wanted if name in names]
            for group in range(file.num_row_groups):
                if columns:
                    yield file.read_row_group(group, columns=columns)
                else:
                    # Of wanted columns that are all newer than this segment, only the number of rows is left.
                    yield file.read_row_group(group, columns=["version"])

    def _file(self, segment: Segment) -> parquet.ParquetFile:
        try:
            return parquet.ParquetFile(self.folder / segment.file)
        except FileNotFoundError as error:
            raise StoreError(f"{self.folder / segment.file} is gone: {_LOST}") from error


@contextlib.contextmanager
def _opened(settings: Settings, name: str) -> Iterator[_Opened]:
    log = _Opened(segments.folder_of(settings, name))
    try:
        yield log
    finally:
        log.close()


def _row_of(file: parquet.ParquetFile, identifier: str) -> pa.Table | None:
    place = file.schema_arrow.get_field_index("id")
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(place).statistics
        if statistics is not None and statistics.has_min_max and not statistics.min <= identifier <= statistics.max:
            continue
        row = pc.index(file.read_row_group(group, columns=["id"]).column("id"), identifier).as_py()
        if row >= 0:
            return file.read_row_group(group).slice(row, 1)
    return None


def _record(model: str, row: Mapping[str, Any]) -> Prediction:
    at: datetime = row["at"]
    return Prediction(
        id=row["id"],
        model=model,
        version=row["version"],
        at=at.astimezone(UTC).timestamp(),
        inputs={name.removeprefix(INPUTS): value for name, value in row.items() if name.startswith(INPUTS)},
        output=row["output"],
        truth=row["truth"],
        role=row["role"],
        batch=request_of(row["id"]),
        seconds=row["seconds"],
    )
