"""Snapshots: data frozen by content. Equal values have one digest, and the digest alone gives the value back.

A snapshot is a manifest in the object store, found by the snapshot's digest: what the value is (its head), and for each of its columns
the column's digest and the objects that hold its chunks. See `columns` for what counts in a digest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError, NotFound
from ..records import Diff, Snapshot
from . import formats, packs
from .columns import Frozen, canonical, column_digest, value_digest
from .objects import Batch, ObjectStore


def freezable(value: Any) -> str | None:
    """The kind of a value that can be frozen (frame, series, array, sparse, table), or None. Nothing is read, imported or consumed."""
    found = _recognise(value)
    return found[0] if found else None


def digest(value: Any) -> str:
    """The digest of a value by its content; nothing is stored. Raises `DataError` for what cannot be frozen."""
    return _take_apart(value)[1]


def digest_file(path: Path | str) -> str:
    """The digest of a file or folder by its content."""
    from . import folders

    path = Path(path)
    if not path.is_dir():
        return folders.file_digest(path)
    head, paths = folders.walk(path)
    return _digest_of("folder", head, [folders.file_digest(file) for file in paths])


def freeze(value: Any, objects: ObjectStore, *, name: str = "") -> Snapshot:
    """Stores a value by content; what is in the store already is not written again. Raises `DataError`, `DiskFull` or `StoreError`."""
    from . import parts

    frozen, whole, digests = _take_apart(value)
    plain = {
        "kind": frozen.kind,
        "head": frozen.head,
        "layout": frozen.layout,
        "rows": frozen.rows,
        "schema": frozen.schema,
        "names": frozen.names,
        "size": sum(column.rows * column.row_bytes for column in frozen.columns),
    }
    return _keep(whole, plain, lambda batch: parts.store(zip(frozen.columns, digests, strict=True), batch), objects, name)


def freeze_file(path: Path | str, objects: ObjectStore, *, name: str = "") -> Snapshot:
    """Stores a file or folder as it is."""
    from . import folders

    path = Path(path)
    if not path.is_dir():
        content = folders.file_digest(path)
        plain: dict[str, Any] = {"kind": "file", "head": {"file": 0}, "size": path.stat().st_size}
        return _keep(content, plain, lambda batch: [folders.store_file(path, content, batch)], objects, name or path.name)
    head, paths = folders.walk(path)
    digests = [folders.file_digest(file) for file in paths]
    plain = {"kind": "folder", "head": head, "rows": len(paths), "size": sum(file.stat().st_size for file in paths)}
    whole = _digest_of("folder", head, digests)
    pairs = list(zip(paths, digests, strict=True))
    return _keep(whole, plain, lambda batch: [folders.store_file(*pair, batch) for pair in pairs], objects, name or path.name)


def load(digest: str, objects: ObjectStore) -> Any:
    """The value of a digest (or of its unique beginning), checked. A file gives its bytes, a folder its files' bytes by name."""
    manifest = manifest_of(resolve(digest, objects), objects)
    if manifest["kind"] in ("file", "folder"):
        from . import folders

        contents = [b"".join(folders.content(part, objects)) for part in manifest["parts"]]
        return contents[0] if manifest["kind"] == "file" else {name: contents[position] for name, position, _ in manifest["head"]["files"]}
    return _load_value(manifest, objects)


def restore(digest: str, target: Path, objects: ObjectStore) -> None:
    """Writes the file or folder of a digest to `target`."""
    from . import folders

    manifest = manifest_of(resolve(digest, objects), objects)
    if manifest["kind"] == "file":
        folders.write_file(manifest["parts"][0], target, objects)
    elif manifest["kind"] == "folder":
        folders.write_folder(manifest["head"], manifest["parts"], target, objects)
    else:
        raise DataError(f"{digest[:16]} is a {manifest['kind']}, not a file or folder: get it with `mlops load`.")


def holds(target: Path, digest: str, objects: ObjectStore) -> bool:
    """Whether a folder has all that the folder of a digest has, whatever else lies there."""
    from . import folders

    if not target.is_dir():
        return False
    manifest = manifest_of(resolve(digest, objects), objects)
    return manifest["kind"] == "folder" and folders.holds(manifest["head"], manifest["parts"], target)


def describe(digest: str, objects: ObjectStore) -> Snapshot:
    """What a snapshot is, without reading its data."""
    digest = resolve(digest, objects)
    return record_of(digest, manifest_of(digest, objects))


def diff(a: str, b: str, objects: ObjectStore) -> Diff:
    """What differs from snapshot `a` to snapshot `b`; only columns whose digests differ are read."""
    from .difference import Side, compare

    a, b = resolve(a, objects), resolve(b, objects)
    return compare(a, b, Side(manifest_of(a, objects), objects), Side(manifest_of(b, objects), objects))


def references(digest: str, objects: ObjectStore) -> set[str]:
    """All digests that a snapshot needs in the store, its own among them: what `gc` must keep for it."""
    from . import parts

    manifest = manifest_of(digest, objects)
    return {digest, *(key for part in manifest["parts"] for key in parts.keys(part))}


def settle(digests: Iterable[str], objects: ObjectStore) -> None:
    """Let snapshots outlast a loss of power, as far as they are kept on a disk here."""
    objects.settle({digest: references(digest, objects) for digest in digests})


def resolve(digest: str, objects: ObjectStore) -> str:
    """The full digest of a snapshot here that starts with `digest`."""
    if len(digest) == 64:
        return digest
    found = objects.manifests(digest.lower())
    if not found and len(digest) >= 4:
        found = objects.elsewhere(digest.lower())
    if len(found) != 1 or len(digest) < 4:
        remedy = f"{len(found)} snapshots start so: give more of its digits." if found else "`mlops runs` shows the inputs of each run."
        raise NotFound("snapshot", digest, remedy)
    return found[0]


def _keep(whole: str, plain: dict[str, Any], store: Callable[[Batch], list[dict[str, Any]]], objects: ObjectStore, name: str) -> Snapshot:
    from .folders import present

    with objects.writing() as batch:
        if batch.present(packs.MANIFEST, bytes.fromhex(whole)):
            manifest = manifest_of(whole, objects)
            if all(present(part, batch) for part in manifest["parts"]):
                return record_of(whole, manifest, name, 0)
        manifest = {"format": formats.SNAPSHOT, "created": time.time(), **plain, "parts": store(batch)}
        batch.append(packs.manifest(bytes.fromhex(whole), canonical(manifest)))
    return record_of(whole, manifest, name, batch.stored)


def record_of(digest: str, manifest: Mapping[str, Any], name: str = "", stored: int = 0) -> Snapshot:
    """What a snapshot is, by its manifest."""
    schema = tuple((column, kind) for column, kind in manifest.get("schema", ()))
    return Snapshot(
        digest=digest,
        kind=manifest["kind"],
        name=name,
        rows=manifest.get("rows"),
        columns=len(schema) if schema else None,
        size=manifest["size"],
        schema=schema,
        stored=stored,
        created=manifest["created"],
    )


def manifest_of(digest: str, objects: ObjectStore) -> dict[str, Any]:
    """How a snapshot of this full digest is kept. Raises NotKept where it is not here."""
    manifest: dict[str, Any] = json.loads(objects.manifest(digest))
    formats.check(f"Snapshot {digest[:16]}", manifest["format"], formats.SNAPSHOT)
    return manifest


def _load_value(manifest: Mapping[str, Any], objects: ObjectStore) -> Any:
    from . import parts

    def column(position: int) -> Any:
        return parts.load(manifest["parts"][position], objects)

    head = manifest["head"]
    library, plain = next(iter(head.items()))
    if library == "pandas":
        from . import frames

        return frames.load_pandas(plain, column)
    if library == "numpy":
        from . import arrays

        return arrays.load_numpy(plain, manifest["layout"], column)
    from . import tables

    return tables.load_table(plain, column)


def _take_apart(value: Any) -> tuple[Frozen, str, list[str]]:
    found = _recognise(value)
    if found is None:
        raise DataError(
            f"A {type(value).__module__}.{type(value).__qualname__} cannot be frozen by content: give a frame, series, table, array, "
            "sparse matrix, or the path of a file; collect or fetch lazy data first."
        )
    _, library, freezer = found
    frozen = freezer(value)
    digests = [column_digest(column) for column in frozen.columns]
    frozen = Frozen(frozen.kind, {library: frozen.head}, frozen.columns, frozen.rows, frozen.schema, frozen.names, frozen.layout)
    return frozen, _digest_of(frozen.kind, frozen.head, digests), digests


def _digest_of(kind: str, head: Any, digests: list[str]) -> str:
    return value_digest([kind, head], digests)


def _recognise(value: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    """Kind, library and what takes a value apart. A value of a library cannot exist unless the library is imported."""
    for module, recognise in _LIBRARIES.items():
        if module in sys.modules and (found := recognise(value, sys.modules[module])) is not None:
            return found
    return None


def _pandas(value: Any, pandas: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import frames

    if isinstance(value, pandas.DataFrame):
        return "frame", "pandas", frames.freeze_frame
    if isinstance(value, pandas.Series):
        return "series", "pandas", frames.freeze_series
    return ("series", "pandas", frames.freeze_index) if isinstance(value, pandas.Index) else None


def _numpy(value: Any, numpy: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import arrays

    return ("array", "numpy", arrays.freeze_array) if isinstance(value, numpy.ndarray) else None


def _scipy(value: Any, sparse: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import arrays

    return ("sparse", "numpy", arrays.freeze_sparse) if sparse.issparse(value) else None


def _torch(value: Any, torch: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import arrays

    return ("array", "numpy", arrays.freeze_tensor) if type(value) is torch.Tensor and value.device.type == "cpu" else None


def _polars(value: Any, polars: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import tables

    if isinstance(value, polars.DataFrame):
        return "table", "arrow", tables.freeze_polars
    return ("series", "arrow", tables.freeze_polars_series) if isinstance(value, polars.Series) else None


def _pyarrow(value: Any, pyarrow: Any) -> tuple[str, str, Callable[[Any], Frozen]] | None:
    from . import tables

    if isinstance(value, (pyarrow.Table, pyarrow.RecordBatch)):
        return "table", "arrow", tables.freeze_table
    return ("series", "arrow", tables.freeze_arrow_array) if isinstance(value, (pyarrow.Array, pyarrow.ChunkedArray)) else None


_LIBRARIES: dict[str, Callable[[Any, Any], tuple[str, str, Callable[[Any], Frozen]] | None]] = {
    "pandas": _pandas,
    "numpy": _numpy,
    "scipy.sparse": _scipy,
    "torch": _torch,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
