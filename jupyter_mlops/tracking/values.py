"""Metrics out of Python values: what of a value that a cell computed is a number, a series, a set of named numbers, or a table of scores.

Nothing here imports a library: a value cannot be a pandas Series if pandas is not imported. Nothing here raises, whatever the object does.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

LONGEST_SERIES = 10_000
MOST_ENTRIES = 200
LARGEST_TABLE = (1_000, 50)
_DEEPEST = 4


def known_type(value: object, module: str, *names: str) -> bool:
    """Whether `value` is an instance of one of the classes `names` of `module`; False while that module is not imported.

    Decided by the type alone, so that proxies and mocks that answer for another class are what they are.
    """
    loaded = sys.modules.get(module)
    if loaded is None:
        return False
    bases = type(value).__mro__
    for name in names:  # noqa: SIM110  a generator would double the time of this innermost question
        if getattr(loaded, name, None) in bases:
            return True
    return False


def scalar(value: object) -> int | float | None:
    """The number that `value` is: one of Python, NumPy or PyTorch, a decimal or fraction. None for truth values, complex numbers."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[return-value]  # the type was just compared
    try:
        return _scalar(value, kind)
    except Exception:  # a hostile or half-built object is not a number
        return None


def series(value: object) -> list[float] | None:
    """The 2 to 10,000 numbers of a list, tuple, one-dimensional array, tensor, Series or Index; None for anything else.

    A list with anything but numbers in it is None; missing numbers of a Series become NaN.
    """
    try:
        items = _items(value)
        if items is None or not 2 <= len(items) <= LONGEST_SERIES:
            return None
        numbers = [scalar(item) for item in items]
    except Exception:  # a hostile or half-built object is not a series
        return None
    return [float(number) for number in numbers if number is not None] if None not in numbers else None


def entries(value: object) -> dict[str, float] | None:
    """The named numbers of a dict, nested dicts joined with a dot, at most 200 of them; None when there are none.

    Values that are not numbers are left out: a dict of scores often carries its label along.
    Keys are texts or numbers; a dict with other keys is None.
    """
    if not isinstance(value, dict):
        return None
    found: dict[str, float] = {}
    try:
        for name, number in _flatten(value, "", 0):
            found[name] = number
            if len(found) == MOST_ENTRIES:
                break
    except Exception:  # a hostile or half-built object has no entries
        return None
    return found or None


def is_score_table(value: object) -> bool:
    """Whether `value` is a pandas or Polars frame of at most 1,000 x 50 with a number in it: a table of scores rather than data."""
    try:
        if known_type(value, "pandas", "DataFrame"):
            return _fits(value.shape) and any(dtype.kind in "iuf" for dtype in value.dtypes)  # type: ignore[attr-defined]  # a frame by its type
        if known_type(value, "polars", "DataFrame"):
            return _fits(value.shape) and any(dtype.is_numeric() for dtype in value.dtypes)  # type: ignore[attr-defined]  # a frame by its type
    except Exception:  # a subclass may do anything
        return False
    return False


def _scalar(value: Any, kind: type) -> int | float | None:
    if kind is bool or value is None or kind is str:
        return None
    if known_type(value, "numpy", "generic"):
        return value.item() if value.dtype.kind in "iuf" else None
    if known_type(value, "numpy", "ndarray"):
        return value.item() if value.ndim == 0 and value.dtype.kind in "iuf" else None
    if known_type(value, "torch", "Tensor"):
        return None if value.dim() or value.dtype.is_complex or str(value.dtype) == "torch.bool" else value.detach().item()
    if issubclass(kind, (int, float)):
        return float(value) if issubclass(kind, float) else int(value)
    if issubclass(kind, (Decimal, Fraction)):
        return float(value)
    return None


def _items(value: Any) -> Sequence[Any] | None:
    if isinstance(value, (list, tuple)):
        return value
    if known_type(value, "numpy", "ndarray"):
        return _array_items(value)
    if known_type(value, "pandas", "Series", "Index"):
        # `kind` of the nullable and Arrow types is the kind of the numbers they hold; to_numpy then writes what is missing as NaN.
        short = 2 <= len(value) <= LONGEST_SERIES and getattr(value.dtype, "kind", "O") in "iuf"
        return _array_items(value.to_numpy(dtype=float, na_value=float("nan"))) if short else None
    if known_type(value, "polars", "Series"):
        short = 2 <= len(value) <= LONGEST_SERIES and value.dtype.is_numeric()
        return [float("nan") if item is None else item for item in value.to_list()] if short else None
    if known_type(value, "torch", "Tensor"):
        short = value.dim() == 1 and 2 <= value.numel() <= LONGEST_SERIES and str(value.dtype) != "torch.bool"
        return value.detach().tolist() if short else None
    return None


def _array_items(array: Any) -> list[Any] | None:
    if array.ndim != 1 or array.dtype.kind not in "iuf" or not 2 <= array.size <= LONGEST_SERIES:
        return None
    items: list[Any] = array.tolist()
    return items


def _flatten(values: Mapping[Any, Any], prefix: str, depth: int) -> Iterator[tuple[str, float]]:
    for key, value in values.items():
        if not isinstance(key, str) and scalar(key) is None and not isinstance(key, bool):
            raise TypeError("only texts and numbers name an entry")
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < _DEEPEST:
                yield from _flatten(value, f"{name}.", depth + 1)
        elif (number := scalar(value)) is not None:
            yield name, float(number)


def _fits(shape: tuple[int, int]) -> bool:
    return 0 < shape[0] <= LARGEST_TABLE[0] and 0 < shape[1] <= LARGEST_TABLE[1]
