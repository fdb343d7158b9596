"""What a step gives to others: a value becomes a file that any program reads, is kept by content, and becomes a file again elsewhere.

An output is told as {"kind", "digest", "object", "format", "size"}: `digest` is of its content (equal values have one digest, whatever
the bytes they were written as), `object` the snapshot of its file or folder in the object store, `format` the suffix of that file.
A JSON scalar has its "value", too.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DataError, MlopsError, ModelRefused, OutputRefused, StoreError
from ...store import disks, snapshots
from ...store.objects import ObjectStore
from ...tracking.values import known_type
from .task import SCALAR

_STALE_SECONDS = 86_400.0
_APART = "tmp"
_PLAIN = (str, int, float, bool, type(None))


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one kind are written: `write(value, path)` makes the file or folder, `content(value)` is the digest of the value
    itself, or None where that of the written bytes has to do."""

    kind: str
    format: str
    write: Callable[[Any, Path], None]
    content: Callable[[Any], str] | None = None


def keep(name: str, value: object, objects: ObjectStore) -> dict[str, Any]:
    """Store the output `name` by content; what tells of it. Raises `OutputRefused` for a value that cannot be kept."""
    path = _path_of(value)
    if path is not None:
        return keep_file(name, path, objects)
    value = _unboxed(value)
    form = _form(value)
    with tempfile.TemporaryDirectory(prefix="mlops-output-") as folder:
        file = Path(folder, f"{name}.{form.format}")
        try:
            form.write(value, file)
            digest = form.content(value) if form.content is not None else ""
            told = keep_file(name, file, objects)
        except (StoreError, OutputRefused):
            raise
        except MlopsError as error:
            raise OutputRefused(name, str(error).rstrip(".")) from error
        except Exception as error:  # whatever the writers of other libraries raise for a value
            raise OutputRefused(name, f"as a {form.format} file: {_first_line(error)}") from error
    told |= {"kind": form.kind, "format": form.format}
    if digest:
        told["digest"] = digest
    return told | {SCALAR: value} if form is _JSON and isinstance(value, _PLAIN) else told


def keep_file(name: str, path: Path, objects: ObjectStore) -> dict[str, Any]:
    """Store a file or folder as the output `name`. Raises `OutputRefused` when it is not there."""
    if not path.exists():
        raise OutputRefused(name, f"there is no file {str(path)!r} when the step ends")
    try:
        frozen = snapshots.freeze_file(path, objects)
    except DataError as error:
        raise OutputRefused(name, str(error).rstrip(".")) from error
    suffix = "" if path.is_dir() else path.suffix.removeprefix(".")
    return {"kind": frozen.kind, "digest": frozen.digest, "object": frozen.digest, "format": suffix, "size": frozen.size}


def materialise(output: Mapping[str, Any], files: Path, objects: ObjectStore, *, to_last: bool = True) -> Path:
    """The file or folder of an output, in the folder `files` that steps share: read-only, and there whole or not at all.

    What is only shown need not outlast a loss of power (`to_last`), for which the disk takes its time.
    """
    target = files / (f"{output['digest']}.{output['format']}" if output["format"] else str(output["digest"]))
    if target.exists():
        with suppress(OSError):  # another user's
            os.utime(target)  # it is used: see `sweep`
        return target
    apart = files / _APART / uuid.uuid4().hex
    try:
        snapshots.restore(output["object"], apart / target.name, objects)
        _protect(apart / target.name)
        # A file of this name is taken for what it should be for ever.
        for path in [*(apart / target.name).rglob("*"), apart / target.name] if to_last else []:
            if not path.is_symlink():
                disks.settle(path)
        os.rename(apart / target.name, target)
        if to_last:
            disks.settle(files)
    except OSError:
        # Another step may have put the same folder there meanwhile.
        if not target.exists():
            raise
    finally:
        shutil.rmtree(apart, ignore_errors=True)
    return target


def put_back(output: Mapping[str, Any], target: Path, objects: ObjectStore) -> None:
    """Write an output to the file or folder that its step declares for it, unless that holds it already. Nothing is taken away: a folder
    may hold more than its step wrote. Raises MlopsError where something else is in the way."""
    if target.exists() and (snapshots.digest_file(target) == output["digest"] or snapshots.holds(target, output["object"], objects)):
        return
    try:
        snapshots.restore(output["object"], target, objects)
    except OSError as error:
        raise DataError(f"{target} cannot be written ({error.strerror}): move away what is there, and run the pipeline again.") from error


def sweep(files: Path, unused: float, dry_run: bool = False) -> tuple[int, int]:
    """Remove what no step used for `unused` seconds, and what killed steps left half written long ago; how many things, and their bytes.

    All of it is kept by content, too, as long as a result relies on it, and is made again when it is asked for.
    """
    found = [path for path in files.glob("*") if path.name != _APART and _age(path) > unused]
    found += [path for path in (files / _APART).glob("*") if _age(path) > _STALE_SECONDS]
    freed = sum(map(_size, found))
    for path in [] if dry_run else found:
        apart = files / _APART / uuid.uuid4().hex
        # At once gone under its name, whoever asks for it meanwhile.
        with suppress(OSError):
            apart.parent.mkdir(exist_ok=True)
            path.rename(apart)
        shutil.rmtree(apart, ignore_errors=True)
        with suppress(OSError):
            apart.unlink(missing_ok=True)
    return len(found), freed


def _age(path: Path) -> float:
    try:
        return time.time() - path.lstat().st_mtime
    except OSError:  # another took it away
        return 0.0


def _size(path: Path) -> int:
    return sum(item.lstat().st_size for item in [path, *path.rglob("*")] if item.is_file() and not item.is_symlink())


def _protect(path: Path) -> None:
    # Files only: nobody could delete what is in folders without the right to write.
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file() and not file.is_symlink():
            file.chmod(file.stat().st_mode & 0o555)


def _path_of(value: object) -> Path | None:
    """The file that a value stands for: a path, or an open file that has a name."""
    if isinstance(value, Path):
        return value
    if hasattr(value, "read") and isinstance(name := getattr(value, "name", None), str):
        if callable(flush := getattr(value, "flush", None)) and not getattr(value, "closed", True):
            flush()
        return Path(name)
    return None


def _unboxed(value: object) -> object:
    """NumPy's scalars, in lists and dicts too, as the numbers, truth values and texts that they are."""
    if type(value) is dict:
        return {key: _unboxed(item) for key, item in value.items()}
    if type(value) is list:
        return [_unboxed(item) for item in value]
    if type(value) is tuple:
        return tuple(_unboxed(item) for item in value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.integer, numpy.floating, numpy.bool_, numpy.str_)):
        return value.item()
    return value


def _form(value: object) -> Form:
    for module, names, form in _FORMS:
        if known_type(value, module, *names):
            return form
    if known_type(value, "numpy", "ndarray"):
        return _PICKLE_ARRAY if value.dtype.hasobject else _ARRAY  # type: ignore[attr-defined]  # it is an array
    sparse = sys.modules.get("scipy.sparse")
    if sparse is not None and sparse.issparse(value):
        return _SPARSE
    if isinstance(value, str):
        return _TEXT
    if isinstance(value, bytes | bytearray):
        return _BYTES
    if _is_json(value):
        return _JSON
    return _MODEL if _is_model(value) else _OBJECT


def _is_json(value: object) -> bool:
    """Whether JSON gives the value back as it is, but for tuples, which become lists."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return type(value) in _PLAIN


def _is_model(value: object) -> bool:
    from ...tracking.models import recognise

    return recognise(value) is not None


def _first_line(error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


# -- the writers


def _pandas(value: Any, path: Path) -> None:
    value.to_parquet(path)


def _pandas_series(value: Any, path: Path) -> None:
    name = path.stem if value.name is None else str(value.name)
    value.to_frame(name).to_parquet(path)


def _pandas_index(value: Any, path: Path) -> None:
    value.to_frame(index=False).rename(columns=str).to_parquet(path)


def _polars(value: Any, path: Path) -> None:
    value.write_parquet(path)


def _polars_series(value: Any, path: Path) -> None:
    (value.to_frame() if value.name else value.to_frame(path.stem)).write_parquet(path)


def _polars_lazy(value: Any, path: Path) -> None:
    value.sink_parquet(path)


def _dask(value: Any, path: Path) -> None:
    # A row number that means nothing outside its partition would only be a strange column to other libraries.
    meta = value._meta.index
    value.to_parquet(path, write_index=meta.name is not None or meta.dtype.kind not in "iu")


def _dask_series(value: Any, path: Path) -> None:
    _dask(value.to_frame(path.stem if value.name is None else str(value.name)), path)


def _dask_array(value: Any, path: Path) -> None:
    _array(value.compute(), path)


def _arrow(value: Any, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    parquet.write_table(pa.Table.from_batches([value]) if isinstance(value, pa.RecordBatch) else value, path)


def _arrow_array(value: Any, path: Path) -> None:
    import pyarrow as pa

    _arrow(pa.table({path.stem: value}), path)


def _array(value: Any, path: Path) -> None:
    import numpy as np

    np.save(path, value, allow_pickle=False)


def _sparse(value: Any, path: Path) -> None:
    from scipy import sparse

    sparse.save_npz(path, value)


def _figure(value: Any, path: Path) -> None:
    # The time of writing would make equal figures differ.
    value.savefig(path, format="png", metadata={"Software": None})


def _text(value: Any, path: Path) -> None:
    path.write_bytes(value.encode("utf-8", "surrogatepass"))


def _bytes(value: Any, path: Path) -> None:
    path.write_bytes(value)


def _json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1), encoding="utf-8")


def _pickle(value: Any, path: Path) -> None:
    from ...tracking.packing import pack

    try:
        path.write_bytes(pack(value))
    except ModelRefused as refusal:
        raise DataError(f"a {type(value).__name__}: {refusal}; give a frame, an array, JSON values or the path of a file instead") from None


_JSON = Form("json", "json", _json)
_TEXT = Form("text", "txt", _text)
_BYTES = Form("file", "bin", _bytes)
_ARRAY = Form("array", "npy", _array, snapshots.digest)
_PICKLE_ARRAY = Form("array", "pkl", _pickle)
_SPARSE = Form("sparse", "npz", _sparse, snapshots.digest)
_MODEL = Form("model", "pkl", _pickle)
_OBJECT = Form("object", "pkl", _pickle)

_FORMS: tuple[tuple[str, tuple[str, ...], Form], ...] = (
    ("pandas", ("DataFrame",), Form("frame", "parquet", _pandas, snapshots.digest)),
    ("pandas", ("Series",), Form("series", "parquet", _pandas_series, snapshots.digest)),
    ("pandas", ("Index",), Form("series", "parquet", _pandas_index, snapshots.digest)),
    ("polars", ("DataFrame",), Form("frame", "parquet", _polars, snapshots.digest)),
    ("polars", ("Series",), Form("series", "parquet", _polars_series, snapshots.digest)),
    ("polars", ("LazyFrame",), Form("frame", "parquet", _polars_lazy)),
    ("pyarrow", ("Table", "RecordBatch"), Form("frame", "parquet", _arrow, snapshots.digest)),
    ("pyarrow", ("Array", "ChunkedArray"), Form("series", "parquet", _arrow_array, snapshots.digest)),
    ("dask.dataframe", ("DataFrame",), Form("frame", "parquet", _dask)),
    ("dask.dataframe", ("Series",), Form("series", "parquet", _dask_series)),
    ("dask.array", ("Array",), Form("array", "npy", _dask_array)),
    ("matplotlib.figure", ("Figure",), Form("figure", "png", _figure)),
)
