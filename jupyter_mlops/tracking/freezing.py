"""Freezes the data of a cell by content before the user can change it, holding the cell up as little as possible.

What is small is hashed and stored at once. A pandas frame whose buffers nobody else holds is frozen by a lazy copy (copy on write),
an array of moderate size by a real copy, and one thread does the rest; a larger array is hashed before the cell returns, because
the next cell may change it in place.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

from ..errors import DataError
from ..records import Input
from ..store import snapshots
from ..store.objects import ObjectStore
from .background import Background

AT_ONCE = 1_000_000
COPIED = 32_000_000
# How fast content is hashed, for deciding whether a value of a cell that no result depends on is worth the time.
_BYTES_PER_SECOND = 1.5e9
_OBJECTS_PER_SECOND = 1e6
_COPIED_PER_SECOND = 3e9
_LEAST = 0.0005
# How long the thread may be busy with one value: with bytes it leaves the interpreter to the cells, with objects it does not.
_PATIENCE, _OBJECTS_PATIENCE = 1.0, 0.1

Ready = Callable[[Input], None]


class Freezer:
    """Digests and stores values; `ready(Input)` is called at once or from the thread. Ends within `DRAIN` seconds at the kernel's exit."""

    DRAIN = 20.0

    def __init__(self, objects: Callable[[], ObjectStore], on_trouble: Callable[[BaseException], None]) -> None:
        self._objects = objects
        self._on_trouble = on_trouble
        self._background = Background("mlops-freeze", on_trouble)
        self._stored_now: dict[tuple[str, str], Input] = {}

    def new_cell(self) -> None:
        """Forget what was stored: from now on it may be collected."""
        self._stored_now.clear()

    def keep(self, name: str, value: Any, ready: Ready, source: str = "") -> None:
        """Freeze data that a result depends on: its digest always, its bytes up to `COPIED`."""
        self._freeze(name, value, ready, source, COPIED)

    def keep_whole(self, name: str, value: Any, ready: Ready, source: str, budget: int) -> None:
        """Freeze data that cannot be had again (it came from a network or a database): its bytes up to `budget`."""
        self._freeze(name, value, ready, source, budget)

    def digest_if_cheap(self, name: str, value: Any, seconds: float, ready: Ready) -> None:
        """The digest of a value that a cell bound, if the cell need not wait for it longer than a few percent of its own `seconds`.

        What takes longer is digested by the thread, from a copy that is had in that time.
        """
        kind = snapshots.freezable(value)
        if kind is None:
            return
        allowed = max(0.003, 0.02 * seconds)
        size, objects = _size(value) / _BYTES_PER_SECOND, _objects(value) / _OBJECTS_PER_SECOND

        def digest(frozen: Any) -> None:
            # An array of figures, a column of functions: it is no data after all.
            with suppress(DataError):
                ready(self._digested(name, kind, frozen))

        if _LEAST + size + objects <= allowed:
            digest(value)
        elif size <= _PATIENCE and objects <= max(_OBJECTS_PATIENCE, 10 * allowed) and (copy := _copy_within(value, allowed)) is not None:
            self._background.do(lambda: digest(copy))

    def wait(self, timeout: float) -> bool:
        """Wait until everything that was handed in is frozen; False when `timeout` seconds were not enough."""
        return self._background.wait(timeout)

    def _freeze(self, name: str, value: Any, ready: Ready, source: str, limit: int) -> None:
        kind = snapshots.freezable(value)
        if kind is None:
            return
        size = _size(value)
        keep = size <= limit

        def finish(frozen: Any, name: str = name) -> None:
            try:
                item = self._stored(name, kind, frozen, source) if keep else self._not_kept(name, kind, frozen, source, size, limit)
            except Exception as error:
                # Its run must say that it is missing.
                self._on_trouble(error)
                item = Input(name=name, kind=kind, digest=None, source=source, size=size, why=f"it could not be kept: {error}")
            ready(item)

        if size <= AT_ONCE:
            # By content: within a cell an array can change in place, and another one can take its address.
            try:
                key = (kind, snapshots.digest(value))
            except DataError as error:
                ready(Input(name=name, kind=kind, digest=None, source=source, size=size, why=str(error)))
                return
            if key not in self._stored_now:
                self._stored_now[key] = self._stored(name, kind, value, source)
            ready(replace(self._stored_now[key], name=name, source=source))
        elif (copy := _lazy_copy(value)) is not None or (keep and (copy := _real_copy(value)) is not None):
            self._background.do(lambda: finish(copy))
        else:
            finish(value)

    def _stored(self, name: str, kind: str, value: Any, source: str) -> Input:
        frozen = snapshots.freeze(value, self._objects(), name=name)
        return Input(
            name=name, kind=kind, digest=frozen.digest, source=source, size=frozen.size, rows=frozen.rows, columns=frozen.columns, kept=True
        )

    def _not_kept(self, name: str, kind: str, value: Any, source: str, size: int, limit: int) -> Input:
        rows, columns = _shape(value)
        why = f"{size / 1e6:.0f} MB is more than the {limit / 1e6:.0f} MB kept by themselves"
        return Input(name=name, kind=kind, digest=snapshots.digest(value), source=source, size=size, rows=rows, columns=columns, why=why)

    def _digested(self, name: str, kind: str, value: Any) -> Input:
        rows, columns = _shape(value)
        return Input(name=name, kind=kind, digest=snapshots.digest(value), size=_size(value), rows=rows, columns=columns)


def _size(value: Any) -> int:
    """Bytes of a value, without looking at its objects."""
    if hasattr(value, "memory_usage"):
        usage = value.memory_usage(index=True) if _is_pandas(value, "DataFrame", "Series") else value.memory_usage()
        return int(usage.sum() if hasattr(usage, "sum") else usage)
    if hasattr(value, "estimated_size"):
        return int(value.estimated_size())
    if hasattr(value, "data") and hasattr(value, "nnz"):
        return int(getattr(value.data, "nbytes", 0)) * 2
    return int(getattr(value, "nbytes", 0))


def _objects(value: Any) -> int:
    """How many Python objects a value consists of; texts in Arrow's memory are none."""
    dtypes = list(value.dtypes) if _is_pandas(value, "DataFrame") else [getattr(value, "dtype", None)]
    columns = sum(1 for dtype in dtypes if getattr(dtype, "kind", "") == "O" and getattr(dtype, "storage", "") != "pyarrow")
    if not columns:
        return 0
    return columns * (len(value) if _is_pandas(value, "DataFrame", "Series", "Index") else int(value.size))


def _copy_within(value: Any, seconds: float) -> Any:
    """A copy that later changes cannot reach and that is had in `seconds`, else None."""
    copy = _lazy_copy(value)
    return _real_copy(value) if copy is None and _size(value) / _COPIED_PER_SECOND <= seconds else copy


def _shape(value: Any) -> tuple[int | None, int | None]:
    shape = getattr(value, "shape", ())
    if not isinstance(shape, tuple) or not all(isinstance(item, int) for item in shape):
        return None, None
    return (shape[0] if shape else None), (shape[1] if len(shape) == 2 else None)


def _is_pandas(value: Any, *names: str) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and any(isinstance(value, getattr(pandas, name, ())) for name in names)


def _lazy_copy(value: Any) -> Any:
    """A copy of a frame that costs nothing and that later changes of the frame cannot reach; None where that is not certain."""
    if _is_pandas(value, "DataFrame", "Series"):
        return value.copy(deep=False) if _copies_on_write() and not _buffers_are_shared(value) else None
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(value, (polars.DataFrame, polars.Series)):
        return value.clone()
    return None


def _copies_on_write() -> bool:
    """Whether a shallow copy of a frame stays as it is when the frame changes: always from pandas 3, before it only if chosen."""
    pandas = sys.modules["pandas"]
    return int(pandas.__version__.partition(".")[0]) >= 3 or pandas.options.mode.copy_on_write is True


def _real_copy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype != object:
        return value.copy(order="K")
    torch: Any = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "Tensor") and isinstance(value, torch.Tensor):
        return value.detach().clone()
    return value.copy() if _is_pandas(value, "DataFrame", "Series") or hasattr(value, "nnz") else None


def _buffers_are_shared(frame: Any) -> bool:
    """Whether anything but the frame holds the NumPy memory under it: a change made there would not be seen by copy on write."""
    alone = _holders_of_unshared()
    dtypes = list(frame.dtypes) if frame.ndim == 2 else [frame.dtype]
    for index, dtype in enumerate(dtypes):
        if type(dtype).__module__.partition(".")[0] != "numpy":
            # Arrow's memory and categories are never written in place; other extension arrays may wrap the user's own arrays.
            if getattr(dtype, "storage", "") == "pyarrow" or dtype.name == "category":
                continue
            return True
        if _holders(frame, index) > alone:
            return True
    return False


def _holders(frame: Any, index: int) -> int:
    """How many references there are to the array that owns the memory of column `index`."""
    owner = (frame.iloc[:, index] if frame.ndim == 2 else frame).to_numpy(copy=False)
    while owner.base is not None:
        if not hasattr(owner.base, "flags"):
            return sys.maxsize
        owner = owner.base
    return sys.getrefcount(owner)


@lru_cache(maxsize=1)
def _holders_of_unshared() -> int:
    """The count for a column that is certainly alone, on this version of Python and pandas."""
    pandas, numpy = sys.modules["pandas"], sys.modules["numpy"]
    frame = pandas.DataFrame({"alone": numpy.arange(2.0)})
    return _holders(frame, 0)
