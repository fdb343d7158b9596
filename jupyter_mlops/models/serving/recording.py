"""From answers to the log of predictions: gathered for a moment, and handed over together, off the way of the answers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .encoding import values
from .payloads import Payload
from .schema import Schema

_PAUSE = 0.1
_MOST = 2_000
_SMALL = 64


class PredictionLog(Protocol):
    """What takes the rows: `predictions.log.Log`, or a list in a test."""

    def write(
        self, inputs: Mapping[str, Any] | Any, output: Any, *, ids: Sequence[str], version: int, role: str = "champion",
        seconds: float | Sequence[float] | None = None,
    ) -> int: ...  # fmt: skip


@dataclass(slots=True)
class _Gathered:
    rows: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)


class Recorder:
    """Hands predictions to the log, at most `_PAUSE` seconds after they were answered. Used in the event loop."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._gathered: dict[tuple[int, str, Schema], _Gathered] = {}
        self._timer: asyncio.TimerHandle | None = None

    def record(self, schema: Schema, payload: Payload, output: Any, ids: Sequence[str], version: int, role: str, seconds: float) -> None:
        """Take the rows of one request."""
        if payload.table is not None:
            inputs = dict(zip(payload.table.schema.names, payload.table.columns, strict=True))
            found = output.copy() if isinstance(output, np.ndarray) and output.ndim == 1 else _outputs(output, payload.count)
            self._log.write(inputs, found, ids=ids, version=version, role=role, seconds=seconds)
            return
        if payload.rows is None or schema.columns is None:
            self._log.write(_inputs(payload.value), _outputs(output, payload.count), ids=ids, version=version, role=role, seconds=seconds)
            return
        key = (version, role, schema)
        gathered = self._gathered.get(key)
        if gathered is None:
            gathered = self._gathered[key] = _Gathered()
        gathered.rows += payload.rows
        gathered.outputs += _outputs(output, payload.count)
        gathered.ids += ids
        gathered.seconds += [seconds] * payload.count
        if len(gathered.ids) >= _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(_PAUSE, self.flush)

    def flush(self) -> None:
        """Hand over what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, {}
        for (version, role, schema), item in gathered.items():
            names = schema.columns.names if schema.columns is not None else ()
            inputs = dict(zip(names, map(_column, zip(*item.rows, strict=True)), strict=True))
            self._log.write(inputs, item.outputs, ids=item.ids, version=version, role=role, seconds=item.seconds)


def _column(values: tuple[Any, ...]) -> Any:
    """A column as the log reads it quickest; a missing value stays one, which is not the same as NaN."""
    return np.array(values) if len(values) > _SMALL and type(values[0]) is float and None not in values else list(values)


def _inputs(value: Any) -> Any:
    """The inputs of a request that are no rows of known columns, as the log takes them."""
    if hasattr(value, "columns"):
        return {str(name): value[name].tolist() for name in value.columns}
    if isinstance(value, dict):
        return {name: column.tolist() for name, column in value.items()}
    array = np.asarray(value)
    return array.reshape(len(array), -1) if array.ndim and array.dtype.kind != "O" else {"input": array.tolist()}


def _outputs(output: Any, count: int) -> list[Any]:
    """One value for each row."""
    found = values(output)
    return found if isinstance(found, list) and len(found) == count else [found] * count
