"""Turns what was recorded into code and files that work anywhere, also where this package is not installed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Corrupt, DataError, MlopsError, NotFound, NotKept
from ..store import snapshots
from ..store.objects import ObjectStore

_OWN_LINE = re.compile(r"^(\s*)(%%?mlops\b.*|%(?:re)?load_ext\s+jupyter_mlops\b.*|%unload_ext\s+jupyter_mlops\b.*)$", re.MULTILINE)
_INSTALL = re.compile(r"^([ \t]*)([%!](?:pip|conda|mamba|uv)\s(?:.*\\\n)*.*)$", re.MULTILINE)
SECRET = re.compile(r"(?<![\w.])secret\(")
SECRET_NAME = re.compile(r"(?<![\w.])secret\(\s*[\"'](\w+)[\"']")
SECRETS_CODE = """\
import os


def secret(name):
    \"\"\"A secret that stood in the code: put it into an environment variable of this name.\"\"\"
    return os.environ[name]"""


@dataclass(frozen=True, slots=True)
class Loadable:
    """A value in a file: `module.function(path)` gives it back."""

    path: Path
    module: str
    function: str


def plain(source: str) -> str:
    """Code without the lines that only this package understands, and without installations: they stay to be read, as comments."""
    for lines in (_OWN_LINE, _INSTALL):
        # A block must not be left empty.
        source = lines.sub(_as_comment, source)
    return source


def _as_comment(found: re.Match[str]) -> str:
    text = found[2].replace("\n", "\n# ")
    return f"{found[1]}pass  # {text}" if found[1] else f"# {text}"


def needs_secrets(sources: Iterable[str]) -> bool:
    """Whether code asks for secrets that were taken out of it."""
    return any(SECRET.search(source) for source in sources)


def write_value(name: str, digest: str, stem: Path, objects: ObjectStore) -> Loadable:
    """Write a snapshot to a file beside `stem`, in a form of its library that gives back exactly what was frozen.

    Raises Corrupt and NotKept with the `name` of the data, DataError when no form gives it back.
    """
    try:
        value = snapshots.load(digest, objects)
    except Corrupt:
        raise Corrupt(f"The snapshot {name!r} ({digest[:16]})", "the store") from None
    except (NotKept, NotFound) as error:
        raise NotFound("snapshot of", name, str(error)) from None
    stem.parent.mkdir(parents=True, exist_ok=True)
    for suffix, module, function, write, read in _forms(value):
        path = stem.with_name(stem.name + suffix)
        try:
            write(path)
            if snapshots.digest(read(path)) == digest:
                return Loadable(path, module, function)
        except (TypeError, ValueError, NotImplementedError, OverflowError, MlopsError, ArithmeticError):
            pass  # the next form may take what this one does not
        path.unlink(missing_ok=True)
    raise DataError(f"{name} is a {type(value).__name__}, which no file gives back as it was: keep the cell that made it.")


def _forms(value: Any) -> Iterable[tuple[str, str, str, Any, Any]]:
    """The forms of files for a value, the most open one first: suffix, module, function, how to write, how to read."""
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    if library == "pandas":
        import pandas as pd

        if isinstance(value, pd.DataFrame):
            yield ".parquet", "pandas", "read_parquet", value.to_parquet, pd.read_parquet
        yield ".pkl", "pandas", "read_pickle", value.to_pickle, pd.read_pickle
    elif library == "polars":
        import polars as pl

        if isinstance(value, pl.DataFrame):
            yield ".parquet", "polars", "read_parquet", value.write_parquet, pl.read_parquet
    elif library == "pyarrow":
        from pyarrow import parquet

        yield ".parquet", "pyarrow.parquet", "read_table", lambda path: parquet.write_table(value, path), parquet.read_table
    elif library == "numpy":
        import numpy as np

        yield ".npy", "numpy", "load", lambda path: np.save(path, value, allow_pickle=False), np.load
    elif library == "scipy":
        import scipy.sparse as sparse

        yield ".npz", "scipy.sparse", "load_npz", lambda path: sparse.save_npz(path, value), sparse.load_npz


def load_line(name: str, loaded: Loadable, where: str) -> str:
    """The statements that give a name its recorded value from a file at `where`."""
    return f"import {loaded.module}\n\n{name} = {loaded.module}.{loaded.function}({where!r})"
