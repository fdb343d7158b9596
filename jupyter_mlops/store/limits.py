"""MLflow's limits on names and values, and how what exceeds them is written: mapped, shortened and kept whole in `mlops/values.json`."""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from mlflow.utils.validation import (
    MAX_ENTITY_KEY_LENGTH,
    MAX_METRICS_PER_BATCH,
    MAX_PARAM_VAL_LENGTH,
    MAX_PARAMS_TAGS_PER_BATCH,
    MAX_TAG_VAL_LENGTH,
)

SHORTENED = " … (shortened: the whole value is in mlops/values.json)"
BATCH_BYTES = 500_000
_LARGEST = 1.7976931348623157e308


def key(name: str) -> str:
    """The name under which MLflow takes `name`: itself where it is allowed; else its allowed part and a hash, so that no two names meet."""
    if (
        re.fullmatch(r"[/\w.\- :]+", name)
        and len(name) <= MAX_ENTITY_KEY_LENGTH
        and posixpath.normpath(name) == name
        and not name.startswith(("/", ".."))
        and name != "."
    ):
        return name
    readable = re.sub(r"[^\w\- :]+", "_", name).strip("_ ")[: MAX_ENTITY_KEY_LENGTH - 9]
    return f"{readable}_{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def text(value: Any) -> str:
    """A parameter's value as MLflow itself writes it."""
    return _encodable(value if isinstance(value, str) else str(value))


def param(value: Any) -> str:
    """`text`, shortened to what a parameter may hold."""
    return _shorten(text(value), MAX_PARAM_VAL_LENGTH)


def tag(value: str) -> str:
    """A tag's value, shortened to what a tag may hold."""
    return _shorten(_encodable(value), MAX_TAG_VAL_LENGTH)


def metric(value: Any) -> float:
    """The number that MLflow is given: NaN as it is, infinities as the largest number (as its databases keep them)."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    return math.copysign(_LARGEST, number) if math.isinf(number) else number


def exact(value: Any) -> bool:
    """Whether `metric` gives MLflow the very same number, and every store of MLflow gives it back."""
    return math.isfinite(metric(value)) and abs(metric(value)) < _LARGEST and metric(value) == value


def number(value: float) -> float:
    """A metric as MLflow gives it back, infinities restored."""
    return math.copysign(math.inf, value) if abs(value) >= _LARGEST else value


def batches(items: Iterable[Any], most: int, weigh: Callable[[Any], int]) -> Iterator[list[Any]]:
    """`items` in lists of at most `most` and of about BATCH_BYTES."""
    batch: list[Any] = []
    weight = 0
    for item in items:
        if batch and (len(batch) == most or weight + weigh(item) > BATCH_BYTES):
            yield batch
            batch, weight = [], 0
        batch.append(item)
        weight += weigh(item)
    if batch:
        yield batch


def _encodable(value: str) -> str:
    # A lone surrogate is a legal Python text that no database and no UTF-8 file takes.
    return value.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _shorten(value: str, limit: int) -> str:
    return value if len(value) <= limit else value[: limit - len(SHORTENED)] + SHORTENED


METRICS_PER_BATCH = MAX_METRICS_PER_BATCH
PAIRS_PER_BATCH = MAX_PARAMS_TAGS_PER_BATCH
