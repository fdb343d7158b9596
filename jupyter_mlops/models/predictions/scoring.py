"""Batch scoring: a model version predicts files and frames of any size, here or on a Dask cluster, chunk by chunk.

The version and its signature are those of the prediction service. A worker needs nothing of the project: it gets the version's files,
checks their hash and loads them under the same rules.
"""

from __future__ import annotations

import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...errors import ClusterLost, DataError, UsageError
from ...pipelines.running.executors import LOCAL, StepExecutor, connect
from ...records import ModelVersion, Scored
from ...store import model_folders, registry
from ...store.flavors import FLAVORS
from ..settings import of as settings_of
from . import feeding
from .ids import ids

if TYPE_CHECKING:
    import pandas as pd

    from ...store.objects import ObjectStore

_IN_FLIGHT = 8
_PATIENCE = 1.0
_CANCELLED = ("CancelledError", "KilledWorker", "CommClosedError", "FutureCancelledError")
PREDICTION, ID = "prediction", "prediction_id"
"""The columns that the data gets."""
_loaded: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Bundle:
    """All that a worker needs to predict: the version, its files, and what the user trusts."""

    version: ModelVersion
    files: Mapping[str, bytes]
    trust: tuple[str, ...]
    pickle: tuple[str, ...]


def predict(
    settings: Settings, model: str, given: Any, *, out: Path | None = None, on: str = LOCAL, log: bool = False,
    objects: ObjectStore | None = None,
) -> Scored:  # fmt: skip
    """Predict every row of data with the model version that `model` names (NAME, NAME@champion or NAME/3).

    Args:
        settings: the project's.
        model: the version.
        given: a path, a frame, or a digest that `objects` has.
        out: the file to write, .parquet or .csv: the data with a column `prediction` (and `prediction_id` with `log`). None: the
            predictions are in the record.
        on: local, or the address of a Dask scheduler.
        log: write the predictions to the log of predictions, too.
        objects: the store that digests are looked up in.

    Memory holds a few chunks. Raises DataError that names the column which does not fit the signature, UsageError, NotFound, ClusterLost,
    and what loading a model raises.
    """
    started = time.perf_counter()
    if out is not None:
        _writable(out)
    version = registry.version(settings, model)
    name = str(given) if isinstance(given, (str, Path)) else type(given).__name__
    counts: dict[str, Any] = {"written": 0, "trouble": ""}
    with _sink(out) as sink, _logging(settings, version, log, counts) as logged:
        for frame, columns in _answered(settings, version, given, on, objects):
            sink.take(frame, columns, logged(frame, columns) if len(frame) else [])
        rows = sink.finish()
    lost = rows - counts["written"] if log else 0
    notes = (f"{lost:,} predictions are not in the log, so nothing leads back from them. {counts['trouble']}".rstrip(),) if lost else ()
    return Scored(
        model=version.name, version=version.version, data=name, rows=rows, out=str(out) if out is not None else "",
        predictions=tuple(sink.predictions), ids=tuple(sink.ids), logged=counts["written"], workers=on,
        seconds=time.perf_counter() - started, notes=notes,
    )  # fmt: skip


def outputs(model: Any, version: ModelVersion, frame: pd.DataFrame, first: int = 0) -> dict[str, Any]:
    """What a model makes of a chunk, as columns: `prediction`, or `prediction_NAME` for each of several. Raises DataError."""
    given = feeding.fed(frame, tuple(version.signature.get("inputs") or ()), first)
    if not len(frame):
        return {PREDICTION: []}
    flavor = FLAVORS.get(version.flavor)
    try:
        made = model.predict(given) if flavor is None else flavor.predict(model, flavor.example(model, given))
    except Exception as error:  # the model's own code
        told = " ".join(str(error).split())[:300]
        rows = f"rows {first} to {first + len(frame) - 1}"
        raise DataError(f"Version {version.version} of {version.name} fails on {rows}: {type(error).__name__}: {told}") from error
    columns = _columns(made)
    if any(len(values) != len(frame) for values in columns.values()):
        raise DataError(f"Version {version.version} of {version.name} does not give one prediction for each row: it cannot score batches.")
    return columns


def work(bundle: Bundle, frame: pd.DataFrame, first: int) -> dict[str, Any]:
    """On a worker: `outputs`, with a model that is loaded once."""
    version = bundle.version
    if version.digest not in _loaded:
        title = f"Version {version.version} of {version.name}"
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            for path, content in bundle.files.items():
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_bytes(content)
            model_folders.check(folder, version.digest, title)
            own = Settings(project=folder, trust=bundle.trust, pickle=bundle.pickle)
            _loaded[version.digest] = model_folders.load(folder, version, own)
    return outputs(_loaded[version.digest], version, frame, first)


def _answered(
    settings: Settings, version: ModelVersion, given: Any, on: str, objects: ObjectStore | None
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Each chunk with its predictions, in order."""
    frames = feeding.chunks(given, tuple(version.signature.get("inputs") or ()), objects)
    if on == LOCAL:
        model = registry.load(settings, version)
        first = 0
        for frame in frames:
            yield frame, outputs(model, version, frame, first)
            first += len(frame)
        return
    folder = registry.download(settings, version)
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    with connect(on, None) as executor:
        yield from _on_cluster(executor, Bundle(version, files, settings.trust, settings.pickle), frames, on)


def _on_cluster(executor: StepExecutor, bundle: Bundle, frames: Iterator[Any], on: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    shared = executor.share(bundle)
    waiting: deque[tuple[Any, Any]] = deque()
    first = 0
    try:
        for frame in frames:
            waiting.append((frame, executor.submit(work, shared, frame, first)))
            first += len(frame)
            if len(waiting) >= _IN_FLIGHT:
                yield _next(executor, waiting, on)
        while waiting:
            yield _next(executor, waiting, on)
    finally:
        executor.stop()


def _next(executor: StepExecutor, waiting: deque[tuple[Any, Any]], on: str) -> tuple[Any, dict[str, Any]]:
    frame, future = waiting.popleft()
    while True:
        try:
            return frame, future.result(timeout=_PATIENCE)
        except TimeoutError:
            executor.ready()
        except Exception as error:
            if type(error).__name__ in _CANCELLED:
                executor.ready()
                raise ClusterLost(on, "the workers that had the data ended") from error
            raise


def _columns(made: Any) -> dict[str, Any]:
    """A model's output as columns."""
    import numpy as np

    if hasattr(made, "columns"):
        names = [str(name) for name in made.columns]
        if len(names) == 1:
            return {PREDICTION: np.asarray(made.iloc[:, 0])}
        return {f"{PREDICTION}_{name}": np.asarray(made.iloc[:, place]) for place, name in enumerate(names)}
    array = np.asarray(made.toarray() if hasattr(made, "toarray") else made)
    if array.ndim == 2 and array.shape[1] != 1:
        return {f"{PREDICTION}_{place}": array[:, place] for place in range(array.shape[1])}
    return {PREDICTION: array.reshape(len(array), -1)[:, 0] if array.ndim == 2 else array}


@contextmanager
def _logging(settings: Settings, version: ModelVersion, wanted: bool, counts: dict[str, Any]) -> Iterator[Any]:
    """What logs a chunk and gives its ids; nothing where that is not wanted. `counts` gets what came of it."""
    if not wanted:
        yield lambda frame, columns: []
        return
    from .log import QUEUE_ROWS, Log

    log = Log(settings, version.name, redact=settings_of(settings, version.name).redact)
    role = "champion" if "champion" in version.aliases else "challenger"
    names = {str(item["name"]) for item in version.signature.get("inputs") or () if item.get("name") is not None}

    def write(frame: Any, columns: dict[str, Any]) -> list[str]:
        made = ids(len(frame))
        several = {name.removeprefix(f"{PREDICTION}_"): item for name, item in columns.items()}
        output = columns.get(PREDICTION, several)
        inputs = {str(name): frame[name] for name in frame.columns if not names or str(name) in names}
        if log.counts["waiting"] + len(frame) > QUEUE_ROWS:
            log.flush(60.0)
        # A later chunk that is written ends the trouble.
        counts["trouble"] = log.trouble or counts["trouble"]
        log.write(inputs, output, ids=made, version=version.version, role=role)
        return made

    try:
        yield write
    finally:
        log.close()
        counts |= {"written": log.counts["written"], "trouble": log.trouble or counts["trouble"]}


class _Kept:
    """Predictions in memory."""

    def __init__(self) -> None:
        self.predictions: list[Any] = []
        self.ids: list[str] = []
        self.rows = 0

    def take(self, frame: Any, columns: Mapping[str, Any], made: list[str]) -> None:
        lists = [list(getattr(values, "tolist", lambda values=values: values)()) for values in columns.values()]
        self.predictions += lists[0] if len(lists) == 1 else [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]
        self.ids += made
        self.rows += len(frame)

    def finish(self) -> int:
        return self.rows


class _File(_Kept):
    """A file that grows chunk by chunk and takes its name when it is whole."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self._out = out
        self.own = out.with_name(f".{out.name}.tmp")
        self._writer: Any = None

    def take(self, frame: Any, columns: Mapping[str, Any], made: list[str]) -> None:
        whole = frame.reset_index(drop=True)
        taken = [name for name in (*columns, ID) if name in whole.columns]
        if taken:
            raise UsageError(f"The data has a column {taken[0]!r} already: rename it, so that both can be in {self._out.name}.")
        whole = whole.assign(**columns, **({ID: made} if made else {}))
        if self._out.suffix.lower() == ".csv":
            whole.to_csv(self.own, mode="a", header=self.rows == 0, index=False)
        else:
            self._append(whole)
        self.rows += len(frame)

    def finish(self) -> int:
        if self._writer is not None:
            self._writer.close()
        self.own.replace(self._out)
        return self.rows

    def _append(self, whole: Any) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        from .tables import fitted

        table = pa.Table.from_pandas(whole, preserve_index=False)
        if self._writer is None:
            kinds = [(field.name, pa.string() if pa.types.is_null(field.type) else field.type) for field in table.schema]
            self._writer = parquet.ParquetWriter(self.own, pa.schema(kinds))
        wanted = self._writer.schema
        made = fitted(table, wanted) if set(table.schema.names) == set(wanted.names) else table
        if made.schema.names != wanted.names or made.schema.types != wanted.types:
            first = next((a.name for a, b in zip(made.schema, wanted, strict=False) if a.type != b.type or a.name != b.name), "")
            raise DataError(f"Column {first!r} changes its type after row {self.rows}: write --out as .csv, or give it one type first.")
        self._writer.write_table(made)


@contextmanager
def _sink(out: Path | None) -> Iterator[_Kept]:
    if out is None:
        yield _Kept()
        return
    file = _File(out)
    try:
        yield file
    finally:
        file.own.unlink(missing_ok=True)


def _writable(out: Path) -> None:
    if out.suffix.lower() not in (".parquet", ".csv"):
        raise UsageError(f"Predictions cannot be written as {out.name}: give --out a name that ends with .parquet or .csv.")
    if out.exists():
        raise UsageError(f"{out} exists already: choose another --out, or remove it first.")
    if not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}: make it, or choose another --out.")
