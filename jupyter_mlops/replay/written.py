"""Files that a cell wrote, compared byte by byte, else by what they hold: archives, databases and pictures carry dates of their own."""

from __future__ import annotations

import gzip
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..errors import MlopsError
from ..store import snapshots
from ..store.objects import ObjectStore
from .contents import compare_values
from .outputs import compare_html, compare_images, compare_json, plain_svg, worst
from .texts import DIFFERENT, PLAIN, SAME, Compared, Context, compare_texts

_PDF_DATES = re.compile(rb"/(?:CreationDate|ModDate)\s*\([^)]*\)|/ID\s*\[[^\]]*\]|<xmp:\w+Date>[^<]*</xmp:\w+Date>")
_OFFICE_DATES = ("docProps/core.xml", "docProps/app.xml")


def compare_written(name: str, a: str, b: str, objects: tuple[ObjectStore, ObjectStore], context: Context = PLAIN) -> Compared:
    """Compare two files by their digests, else by their contents; `name` tells by its ending what they hold."""
    if a == b:
        return SAME
    told = f"digest {a[:12]}", f"digest {b[:12]}"
    try:
        first, second = (snapshots.load(digest, place) for digest, place in zip((a, b), objects, strict=True))
    except MlopsError:
        return Compared(DIFFERENT, "its content was not kept", recorded=told[0], replayed=told[1])
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return _folders(first, second, context)
    if not isinstance(first, bytes) or not isinstance(second, bytes):
        return Compared(DIFFERENT, recorded=told[0], replayed=told[1])
    return compare_bytes(name, first, second, context)


def compare_bytes(name: str, a: bytes, b: bytes, context: Context = PLAIN) -> Compared:
    """Compare the contents of two files of this name."""
    if a == b:
        return SAME
    stem, _, ending = name.rpartition(".")
    ending = ending.lower()
    try:
        if ending == "gz":
            return compare_bytes(stem, gzip.decompress(a), gzip.decompress(b), context)
        return _BY_ENDING.get(ending, _text)(a, b, context)
    except Exception:  # any reader may fail on any bytes; then the bytes decide
        return Compared(DIFFERENT, "other bytes", recorded=f"{len(a):,} bytes", replayed=f"{len(b):,} bytes")


def _folders(a: Mapping[str, bytes], b: Mapping[str, bytes], context: Context) -> Compared:
    if set(a) != set(b):
        return Compared(DIFFERENT, "other files in it", recorded=", ".join(sorted(a)), replayed=", ".join(sorted(b)))
    return _first({name: compare_bytes(name, a[name], b[name], context) for name in a})


def _first(found: Mapping[str, Compared]) -> Compared:
    """The member that decides."""
    return worst([replace(item, why=": ".join(filter(None, (name, item.why)))) for name, item in found.items() if item != SAME])


def _table(read: Callable[[Any, io.BytesIO], Any]) -> Callable[[bytes, bytes, Context], Compared]:
    def compare(a: bytes, b: bytes, context: Context) -> Compared:
        import pandas as pd

        first, second = (read(pd, io.BytesIO(data)) for data in (a, b))
        if isinstance(first, dict):
            if list(first) != list(second):
                return _other()
            return _first({f"sheet {name}": _frames(first[name], second[name]) for name in first})
        return _frames(first, second)

    return compare


def _frames(first: Any, second: Any) -> Compared:
    return SAME if first.equals(second) else compare_values(first, second)


def _other() -> Compared:
    return Compared(DIFFERENT, "other parts", recorded="", replayed="")


def _text(a: bytes, b: bytes, context: Context) -> Compared:
    return compare_texts(a.decode("utf-8"), b.decode("utf-8"), context)


def _archive(a: bytes, b: bytes, context: Context) -> Compared:
    sides = []
    for data in (a, b):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sides.append({name: archive.read(name) for name in archive.namelist() if name not in _OFFICE_DATES})
    return _folders(sides[0], sides[1], context)


def _arrays(a: bytes, b: bytes, context: Context) -> Compared:
    import numpy as np

    sides = [np.load(io.BytesIO(data), allow_pickle=False) for data in (a, b)]
    if not hasattr(sides[0], "files"):
        sides = [{"array": side} for side in sides]
    first, second = ({name: side[name] for name in side} for side in sides)
    if set(first) != set(second):
        return _other()
    return _first({name: _array(first[name], second[name]) for name in first})


def _array(first: Any, second: Any) -> Compared:
    import numpy as np

    if first.dtype != second.dtype or first.shape != second.shape:
        shapes = [f"{side.dtype} {side.shape}" for side in (first, second)]
        return Compared(DIFFERENT, "another shape", recorded=shapes[0], replayed=shapes[1])
    same = np.array_equal(first, second, equal_nan=first.dtype.kind in "fc")
    return SAME if same else compare_values(first, second)


def _database(a: bytes, b: bytes, context: Context) -> Compared:
    return compare_texts(_dumped(a), _dumped(b), context)


def _dumped(data: bytes) -> str:
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(data)
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def _pdf(a: bytes, b: bytes, context: Context) -> Compared:
    first, second = (_PDF_DATES.sub(b"", data) for data in (a, b))
    return SAME if first == second else Compared(DIFFERENT, "other bytes", recorded=f"{len(a):,} bytes", replayed=f"{len(b):,} bytes")


def _notebook(a: bytes, b: bytes, context: Context) -> Compared:
    sides = [[(cell["source"], cell.get("outputs")) for cell in json.loads(data)["cells"]] for data in (a, b)]
    return compare_json(json.dumps(sides[0]), json.dumps(sides[1]), context)


def _on_text(compare: Callable[[str, str, Context], Compared]) -> Callable[[bytes, bytes, Context], Compared]:
    return lambda a, b, context: compare(a.decode("utf-8"), b.decode("utf-8"), context)


_BY_ENDING: Mapping[str, Callable[[bytes, bytes, Context], Compared]] = {
    "parquet": _table(lambda pd, file: pd.read_parquet(file)),
    "feather": _table(lambda pd, file: pd.read_feather(file)),
    "csv": _text,
    "xlsx": _table(lambda pd, file: pd.read_excel(file, sheet_name=None)),
    "zip": _archive,
    "npz": _arrays,
    "npy": _arrays,
    "pt": _archive,
    "sqlite": _database,
    "sqlite3": _database,
    "db": _database,
    **dict.fromkeys(("png", "jpg", "jpeg", "gif"), lambda a, b, context: compare_images(a, b)),
    "pdf": _pdf,
    "svg": lambda a, b, context: compare_texts(plain_svg(a.decode("utf-8")), plain_svg(b.decode("utf-8")), context),
    "html": _on_text(compare_html),
    "json": _on_text(compare_json),
    "ipynb": _notebook,
}
