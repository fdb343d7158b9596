"""The truth joins the predictions when it comes: by the ids of predictions, or by columns that the model was given.

The same labels twice change nothing; other labels for the same predictions win from then on, and what was there before stays as history.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from ...config import Settings
from ...errors import NotFound, StoreError, UsageError
from ...records import Labelled
from ..settings import of as settings_of
from ..validation.data import data_of
from . import reading, redaction, segments, tables
from .ids import is_id, milliseconds
from .sealing import write_parquet
from .segments import LabelFile, Manifest
from .truth import GROUP_ROWS, Truth

if TYPE_CHECKING:
    from ...store.objects import ObjectStore

IDS = ("id", "prediction_id", "prediction")
"""The columns that ids are looked for in."""
_MOST_NAMED = 20
_MOST_FILES = 16


def join(
    settings: Settings, name: str, given: Any, *, key: Sequence[str] = (), truth: str | None = None, objects: ObjectStore | None = None
) -> Labelled:
    """Join the truth to the logged predictions of the model `name`.

    Args:
        settings: the project's.
        name: the model.
        given: the labels: a path, a frame, or a digest that `objects` has; one row for each prediction or key.
        key: the columns to join by, which the model was given, too; () for the ids of predictions.
        truth: the column of the truth (default: the model's `target`, else the only other column).
        objects: the store that digests are looked up in.

    Raises UsageError for columns that there are not, NotFound for a model without predictions, DataError for what is no table, StoreError.
    """
    import numpy as np
    import pandas as pd

    started = time.perf_counter()
    folder = segments.folder_of(settings, name)
    if not folder.is_dir():
        others = reading.models(settings)
        remedy = f"There are some of {', '.join(others)}." if others else f"`mlops serve {name}` and `mlops predict --log` write them."
        raise NotFound("log of predictions of the model", name, remedy)
    data = data_of(given, objects)
    frame = data.frame.rename(columns=str).reset_index(drop=True)
    by = tuple(key) or (_id_column(frame),)
    column = _truth_column(frame, by, truth, settings_of(settings, name).target)
    rows = len(frame)
    known = frame[frame[column].notna()]
    empty = rows - len(known)
    wanted, keyed = (_by_key if key else _by_id)(settings, name, known, by)
    # By what they are looked up with: 5 and "5" are one key. What is missing in a row is no key, and equals no other.
    keys = np.array(wanted, dtype=object)
    keys[known[list(by)].isna().any(axis=1).to_numpy()] = None
    repeated = pd.Series(keys, dtype=object).duplicated(keep="last").to_numpy() & pd.notna(keys)
    last = known[~repeated]
    notes = [f"{len(known) - len(last)} rows repeat the key of a later one, which counts."] if len(last) < len(known) else []
    identifiers, places, hit = _found(keys[~repeated], keyed)
    values = tables.column(last[column].array).take(places)
    counted = _keep(folder, identifiers, values, data.digest or data.name)
    missed = last[~hit]
    missing = tuple(
        {"row": int(place), "key": ", ".join(str(value) for value in row)}
        for place, row in zip(missed.index[:_MOST_NAMED], missed[list(by)].head(_MOST_NAMED).itertuples(index=False), strict=True)
    )
    return Labelled(
        model=name, source=data.name, digest=data.digest, key=by, truth=column, rows=rows, matched=int(hit.sum()), unmatched=len(missed),
        empty=empty, **counted, missing=missing, seconds=time.perf_counter() - started, notes=tuple(notes),
    )  # fmt: skip


def history(settings: Settings, name: str, identifier: str) -> list[dict[str, Any]]:
    """All labels that came for a prediction, as {"truth", "at", "source"}, the latest first."""
    folder = segments.folder_of(settings, name)
    truth = Truth(folder, segments.load(folder))
    try:
        return truth.history(identifier)
    finally:
        truth.close()


def _id_column(frame: Any) -> str:
    for name in IDS:
        if name in frame.columns and len(frame) and is_id(str(frame[name].iloc[0])):
            return name
    raise UsageError(
        f"The labels have no column {' or '.join(IDS[:2])} with ids of predictions: name the columns to join by with --key, such as "
        f"--key {frame.columns[0] if len(frame.columns) else 'NAME'}."
    )


def _truth_column(frame: Any, by: Sequence[str], asked: str | None, target: str) -> str:
    for name in by:
        if name not in frame.columns:
            raise UsageError(f"The labels have no column {name!r}: they have {', '.join(map(str, frame.columns))}.")
    if asked is not None and asked not in frame.columns:
        raise UsageError(f"The labels have no column {asked!r}: they have {', '.join(map(str, frame.columns))}.")
    others = [name for name in frame.columns if name not in by]
    usual = [name for name in (target, "truth", "label") if name in others]
    chosen = asked or next(iter(usual or (others if len(others) == 1 else ())), None)
    if chosen is None:
        told = f"one of {', '.join(others)}" if others else "and the labels have no other column"
        raise UsageError(f"Say which column holds the truth, with --truth: {told}.")
    return str(chosen)


def _by_id(settings: Settings, name: str, frame: Any, by: Sequence[str]) -> tuple[list[str | None], Iterable[tuple[Any, Any]]]:
    """The key of each label, and the keys and ids of the predictions among which they may be."""
    wanted = frame[by[0]].astype(str).tolist()
    moments = [milliseconds(item) for item in wanted if is_id(item)]
    if not moments:
        return wanted, ()
    start, end = min(moments) / 1000, (max(moments) + 1) / 1000
    batches = reading.batches(settings, name, start=start, end=end, columns=["id"])
    return wanted, ((batch.column("id"), batch.column("id")) for batch in batches)


def _by_key(settings: Settings, name: str, frame: Any, by: Sequence[str]) -> tuple[list[str | None], Iterable[tuple[Any, Any]]]:
    columns = [tables.INPUTS + item for item in by]
    with_all = reading.schema(settings, name)
    lacking = [item for item, column in zip(by, columns, strict=True) if column not in with_all.names]
    if lacking:
        there = [item.removeprefix(tables.INPUTS) for item in with_all.names if item.startswith(tables.INPUTS)]
        raise UsageError(f"Predictions of {name} have no column {lacking[0]!r} to join by: they have {', '.join(there)}.")
    hidden = set(settings_of(settings, name).redact)
    secret = redaction.key(settings.home) if hidden else b""
    kinds = [with_all.field(column).type for column in columns]
    parts = []
    for item, kind in zip(by, kinds, strict=True):
        values = tables.column(frame[item].array)
        # The log has the hash of a hidden value where it was hidden, and the value where that was not yet set.
        parts.append(redaction.hidden(values, secret) if item in hidden else _text(values, kind))
    batches = reading.batches(settings, name, columns=["id", *columns])
    keys = (
        (_together([_text(batch.column(column), kind) for column, kind in zip(columns, kinds, strict=True)]), batch.column("id"))
        for batch in batches
    )
    return _together(parts).to_pylist(), keys


def _found(wanted: Any, keyed: Iterable[tuple[Any, Any]]) -> tuple[Any, Any, Any]:
    """Look keys of predictions up, given as (keys, ids), among those of the labels: the ids found, the labels' places, which were found.

    A label or prediction without a key (None) is not found.
    """
    import numpy as np
    import pandas as pd

    with_key = np.flatnonzero(pd.notna(wanted))
    index = pd.Index(wanted[with_key])
    hit = np.zeros(len(wanted), bool)
    identifiers, places = [pa.array([], pa.string())], [np.array([], "int64")]
    for keys, ids in keyed:
        found = index.get_indexer(pd.Index(np.array(keys.to_pylist(), dtype=object)))
        known = found >= 0
        identifiers.append(ids.filter(pa.array(known)))
        places.append(with_key[found[known]])
        hit[places[-1]] = True
    return pa.concat_arrays(identifiers), pa.array(np.concatenate(places)), hit


def _text(values: Any, kind: pa.DataType) -> Any:
    """Values as texts that are the same for the same value of another type: 5, 5.0 and "5"; a time in whatever unit or notation."""
    if pa.types.is_temporal(kind) or pa.types.is_temporal(values.type):
        try:
            values = values.cast(pa.timestamp("us"), safe=False)
        except pa.ArrowException:
            return values.cast(pa.string())
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), None, values)
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        return pc.if_else(whole, pc.if_else(whole, values, None).cast(pa.int64()).cast(pa.string()), values.cast(pa.string()))
    if pa.types.is_boolean(values.type):
        return values.cast(pa.int8()).cast(pa.string())
    return tables.cast(values, pa.string())


def _together(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "\x1f")


def _keep(folder: Path, identifiers: Any, values: Any, source: str) -> dict[str, int]:
    """Store the truth of predictions where it is new or another than before; how many were which."""
    if not len(identifiers):
        return {"new": 0, "changed": 0, "unchanged": 0}
    try:
        with segments.changing(folder) as manifest:
            truth = Truth(folder, manifest)
            before = truth.of(identifiers)
            truth.close()
            kind = tables.wider([before.type, values.type])
            known = pc.is_valid(before)
            same = pc.fill_null(pc.equal(tables.cast(before, kind), tables.cast(values, kind)), False)
            fresh = pc.invert(same)
            masks = {"new": pc.invert(known), "changed": pc.and_(known, fresh), "unchanged": same}
            counted = {name: int(pc.sum(mask).as_py() or 0) for name, mask in masks.items()}
            if pc.any(fresh).as_py():
                _add(folder, manifest, identifiers.filter(fresh), values.filter(fresh), source)
    except OSError as error:
        why = error.strerror or str(error)
        raise StoreError(f"The labels cannot be kept in {folder} ({why}): free the disk, and give them again.") from error
    return counted


def _add(folder: Path, manifest: Manifest, identifiers: Any, values: Any, source: str) -> None:
    rows = len(identifiers)
    now = pa.scalar(time.time_ns() // 1_000_000, pa.int64()).cast(tables.AT)
    columns = [identifiers, values, pa.repeat(now, rows), pa.repeat(pa.scalar(source, pa.string()), rows)]
    table = pa.table(columns, names=["id", "truth", "at", "source"])
    manifest.labels.append(_written(folder, table.sort_by("id")))
    if len(manifest.labels) > _MOST_FILES:
        files = [item.file for item in manifest.labels]
        parts = [parquet.read_table(folder / file) for file in files]
        schema = tables.unified(part.schema for part in parts)
        whole = pa.concat_tables([tables.fitted(part, schema) for part in parts])
        merged = _written(folder, whole.sort_by([("id", "ascending"), ("at", "descending")]))
        manifest.retire(*files)
        manifest.labels.append(merged)


def _written(folder: Path, table: pa.Table) -> LabelFile:
    file = f"labels-{time.time_ns() // 1_000_000:012x}-{os.urandom(4).hex()}.parquet"
    write_parquet(folder / file, table, GROUP_ROWS)
    identifiers = table.column("id")
    return LabelFile(file, identifiers[0].as_py(), identifiers[-1].as_py(), table.num_rows)
