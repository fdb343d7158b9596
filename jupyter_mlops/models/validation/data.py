"""Data as a frame, whatever it is given as: a frame, array or table, a file or folder, or the digest of a snapshot.

Nothing in a file is executed to read it: pickles are no data here.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ...errors import DataError, MlopsError, NotFound, NotKept

if TYPE_CHECKING:
    import pandas as pd

    from ...store.objects import ObjectStore

Source: TypeAlias = "Path | str | io.BytesIO"

_DIGEST = re.compile(r"[0-9a-f]{6,64}")
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst", ".zip")
_MAGIC = ((b"PAR1", "parquet"), (b"ARROW1", "feather"), (b"\x93NUMPY", "npy"), (b"PK\x03\x04", "xlsx"))
FORMATS = "csv, tsv, parquet, feather, json, jsonl, xlsx, npy, or a folder of parquet files"


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A frame, what it is called, and the digest of its content ("" where it has none, as nested objects have)."""

    frame: pd.DataFrame
    name: str
    digest: str = ""


def data_of(given: Any, objects: ObjectStore | None = None) -> Data:
    """The frame of what was given: a value, a path or URL, or a digest (or its beginning), whose bytes `objects` has.

    Raises NotFound, NotKept, and DataError for what is no table.
    """
    if isinstance(given, Data):
        return given
    if isinstance(given, str) and "://" in given:
        return Data(frame=read(given), name=given)
    if isinstance(given, Path) or (isinstance(given, str) and Path(given).expanduser().exists()):
        return _of_path(Path(given).expanduser())
    if isinstance(given, str):
        return _of_snapshot(given, objects)
    frame = frame_of(given)
    return Data(frame=frame, name=type(given).__name__, digest=_digest(given))


def frame_of(value: Any) -> pd.DataFrame:
    """A value as a frame: a frame of pandas or Polars, a table of pyarrow, a series, an array of one or two dimensions, a dict of columns
    or a list of rows. Raises DataError."""
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        return value
    if isinstance(value, pd.Series):
        return value.to_frame()
    library, kind = type(value).__module__.partition(".")[0], type(value).__name__
    try:
        if library == "polars" and kind == "LazyFrame":
            value = value.collect()
        if library in ("polars", "pyarrow") and hasattr(value, "to_pandas"):
            found = value.to_pandas()
            return found if isinstance(found, pd.DataFrame) else pd.Series(found).to_frame()
        if library == "numpy" and value.ndim in (1, 2) and value.dtype.names is None:
            return pd.DataFrame(value)
        if isinstance(value, (Mapping, list)) and value:
            return pd.DataFrame(value)
        if hasattr(value, "data") and hasattr(value, "feature_names") and isinstance(value.get("frame"), pd.DataFrame):
            return value.frame  # type: ignore[no-any-return]  # a set of scikit-learn's, whose frame this is
    except (ValueError, TypeError, AttributeError) as error:
        raise DataError(f"A {kind} of this shape is no table ({_first_line(error)}): give a frame.") from None
    raise DataError(f"A {type(value).__module__}.{kind} is no table: give a frame, an array of two dimensions, or a file ({FORMATS}).")


def read(source: Path | str) -> pd.DataFrame:
    """The frame in a file, a folder of parquet files, or at a URL, by the suffix of its name. Raises DataError with what is wrong."""
    import pandas as pd

    if isinstance(source, Path) and source.is_dir():
        if not any(source.rglob("*.parquet")):
            raise DataError(f"The folder {source} holds no parquet files: name the file that is meant.")
        return _guarded(lambda: pd.read_parquet(source), str(source))
    suffixes = [suffix.lower() for suffix in Path(str(source).partition("?")[0]).suffixes]
    while suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    form = suffixes[-1].removeprefix(".") if suffixes else ""
    reader = _READERS.get(form)
    if reader is None and isinstance(source, Path):
        with source.open("rb") as file:
            reader = _READERS.get(_sniffed(file.read(16)))
    if reader is None:
        raise DataError(f"{source} is no table that can be read: give {FORMATS}.")
    return _guarded(lambda: reader(source), str(source))


def _of_path(path: Path) -> Data:
    from ...store import snapshots

    frame = read(path)
    return Data(frame=frame, name=str(path), digest=snapshots.digest_file(path))


def _of_snapshot(given: str, objects: ObjectStore | None) -> Data:
    from ...store import snapshots

    if objects is None or not _DIGEST.fullmatch(given):
        raise NotFound("file or snapshot", given, "Name a file, a folder of parquet files, or the digest that `mlops snapshot` shows.")
    digest = snapshots.resolve(given, objects)
    kind = snapshots.describe(digest, objects).kind
    value = snapshots.load(digest, objects)
    name = f"snapshot {digest[:12]}"
    if kind == "folder":
        parts = [read_bytes(content, name) for path, content in sorted(value.items()) if path.endswith(".parquet")]
        if not parts:
            raise DataError(f"The {name} is a folder without parquet files: give the digest of one table.")
        import pandas as pd

        return Data(frame=pd.concat(parts, ignore_index=True), name=name, digest=digest)
    frame = read_bytes(value, name) if isinstance(value, bytes) else frame_of(value)
    return Data(frame=frame, name=name, digest=digest)


def read_bytes(content: bytes, name: str) -> pd.DataFrame:
    """The frame in a file whose name is not known, told by how it begins: else as JSON or CSV. Raises DataError."""
    form = _sniffed(content[:16])
    if not form:
        start = content[:1000].lstrip()[:1]
        first = content[:10_000].partition(b"\n")[0]
        form = {b"[": "json", b"{": "jsonl"}.get(start) or ("tsv" if first.count(b"\t") > first.count(b",") else "csv")
        if b"\0" in content[:1000]:
            raise DataError(f"The {name} is no table that can be read: give {FORMATS}.")
    return _guarded(lambda: _READERS[form](io.BytesIO(content)), f"the {name}")


def _sniffed(start: bytes) -> str:
    return next((form for magic, form in _MAGIC if start.startswith(magic)), "")


def _guarded(load: Callable[[], Any], name: str) -> pd.DataFrame:
    """What a reader gives, with whatever it raises as one sentence."""
    import pandas as pd

    try:
        found = load()
    except MlopsError:
        raise
    except pd.errors.EmptyDataError:
        raise DataError(f"{name} is empty, it has not even column names: write it again, or name another file.") from None
    except ImportError as error:
        raise DataError(f"{name} cannot be read without the package {error.name or error}: install it, or give parquet or csv.") from None
    except Exception as error:  # whatever the readers of a dozen formats raise for a file that is broken
        told = f"{name} cannot be read as a table ({_first_line(error)}): check the file, and that its suffix says what it is."
        raise DataError(told) from None
    return found if isinstance(found, pd.DataFrame) else frame_of(found)


def _first_line(error: BaseException) -> str:
    text = next(iter(str(error).strip().splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__


def _digest(value: Any) -> str:
    from ...store import snapshots

    try:
        return snapshots.digest(value)
    except (DataError, NotKept):
        return ""


def _csv(source: Source) -> Any:
    import pandas as pd

    # In one piece, so that a column's type does not hang on where a reader's chunks end.
    return pd.read_csv(source, low_memory=False)


def _tsv(source: Source) -> Any:
    import pandas as pd

    return pd.read_csv(source, sep="\t", low_memory=False)


def _parquet(source: Source) -> Any:
    import pandas as pd

    return pd.read_parquet(source)


def _feather(source: Source) -> Any:
    import pandas as pd

    return pd.read_feather(source)


def _json(source: Source) -> Any:
    import pandas as pd

    return pd.read_json(source)


def _jsonl(source: Source) -> Any:
    import pandas as pd

    return pd.read_json(source, lines=True)


def _excel(source: Source) -> Any:
    import pandas as pd

    return pd.read_excel(source)


def _npy(source: Source) -> Any:
    import numpy as np

    return np.load(source, allow_pickle=False)


_READERS: Mapping[str, Callable[[Source], Any]] = {
    "csv": _csv, "txt": _csv, "tsv": _tsv, "parquet": _parquet, "pq": _parquet, "feather": _feather, "arrow": _feather, "ipc": _feather,
    "json": _json, "jsonl": _jsonl, "ndjson": _jsonl, "xlsx": _excel, "xls": _excel, "npy": _npy,
}  # fmt: skip
