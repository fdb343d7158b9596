"""One model version, ready to predict requests: alone, or several at once where that changes nothing.

How a model is fed is found out by trying, before it answers anything. The truth is `predict` on a pandas frame of one request. An array
in place of the frame, and the rows of several requests together, are used only if they gave the same predictions to the last bit: many
models do, those that multiply matrices into numbers (a linear regression) do not when rows come together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import MlopsError
from ...store.flavors import FLAVORS
from .options import Limits
from .payloads import Payload, from_json
from .refusals import Refusal
from .schema import Columns, Found, Row, Schema, schema_of
from .sources import Loaded

_TRIED = 24
_BUDGET = 0.5
_LARGE = 256
_LARGEST = 4_096


class NotWarmed(MlopsError):
    """A version that is loaded, and fails to predict its own example."""

    def __init__(self, name: str, version: int, why: str) -> None:
        super().__init__(f"Version {version} of {name} fails on its own input example, so it does not serve: {why}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model is fed: `array` instead of a frame, and `together`: the rows of several requests at once. `why` says why not.

    `most` is how many rows were tried together, 0 where that would have taken long.
    """

    array: bool = False
    together: bool = False
    why: str = ""
    most: int = 0


class Predictor:
    """A model version that predicts payloads. It is used by one thread at a time."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.schema: Schema = schema_of(loaded.inputs)
        self.plan = Plan()
        self._flavor = FLAVORS.get(loaded.flavor)
        self._index: Any = None

    def warm(self) -> None:
        """Predict the example, and find out how the model is best fed. Raises NotWarmed."""
        examples = self._examples()
        if examples is None:
            self.plan = Plan(why="the model has neither a signature nor an example to try it with")
            return
        given, tried = examples
        try:
            for payload in given:
                self._alone(payload)
        except Exception as error:  # the model's own code
            raise NotWarmed(self.loaded.name, self.loaded.version, told(error)) from error
        for payloads in (tried, given):
            if not payloads:
                continue
            try:
                self.plan = self._found(payloads)
            except Exception as error:  # the model does not take every combination of values
                self.plan = Plan(why=f"it does not take the rows that it was tried with ({told(error)})")
                continue
            return

    def predict(self, payloads: Sequence[Payload]) -> list[Any]:
        """What the model makes of each payload: its output, or the exception that it raised for that payload alone."""
        if len(payloads) > 1 and self.plan.together:
            try:
                whole = self._outcome(self._together(payloads))
                parts = _parts(whole, [payload.count for payload in payloads])
            except Exception:  # one of them is to blame, and the others must not suffer for it
                parts = None
            if parts is not None:
                return parts
        return [self._tried(payload) for payload in payloads]

    def _tried(self, payload: Payload) -> Any:
        try:
            return self._alone(payload)
        except Exception as error:  # the model's own code, on somebody's data
            return error

    def _alone(self, payload: Payload) -> Any:
        return self._outcome(self._together([payload]))

    def _outcome(self, given: Any) -> Any:
        model, flavor = self.loaded.model, self._flavor
        found = model.predict(given) if flavor is None else flavor.predict(model, flavor.example(model, given))
        if found is None:
            raise TypeError(f"{type(model).__name__} predicts nothing")
        return found

    def _together(self, payloads: Sequence[Payload]) -> Any:
        """What the model is given for several payloads."""
        first = payloads[0]
        columns = self.schema.columns
        if columns is None or (first.rows is None and first.table is None):
            if len(payloads) == 1:
                return first.value
            if isinstance(first.value, dict):
                return {name: np.concatenate([payload.value[name] for payload in payloads]) for name in first.value}
            return np.concatenate([payload.value for payload in payloads])
        found = _joined(payloads)
        return columns.array(found) if self.plan.array else self._frame(columns, found)

    def _frame(self, columns: Columns, found: Found) -> Any:
        import pandas as pd

        if self._index is None:
            self._index = pd.Index(list(columns.names)) if columns.named else pd.RangeIndex(len(columns.names))
        if columns.dtype is not None:
            return pd.DataFrame(columns.array(found), columns=self._index, copy=False)
        frame = pd.DataFrame(columns.arrays(found))
        if not columns.named:
            frame.columns = self._index
        return frame

    def _found(self, payloads: list[Payload]) -> Plan:
        """How the model may be fed without changing a bit of what it predicts for these payloads, each a row."""
        self.plan = Plan()
        columns = self.schema.columns
        start = time.perf_counter()
        truths = []
        for payload in payloads:
            truths.append(self._alone(payload))
            if time.perf_counter() - start > _BUDGET and len(truths) >= 4:
                break
        payloads = payloads[: len(truths)]
        if columns is not None and columns.dtype is not None:
            self.plan = Plan(array=True)
            if not self._same(payloads, truths):
                self.plan = Plan()
        array = self.plan.array
        if columns is None and not self._stackable(payloads):
            return Plan(array, False, "its signature does not say that any number of rows may come together")
        if columns is not None and any(column.type not in _MERGED for column in columns.columns):
            return Plan(array, False, "a column has values of any type, which other rows would decide")
        taken = 0.0
        for size in (2, len(payloads), _LARGE):
            taken, why = self._tried_together(payloads, truths, size)
            if why:
                return Plan(array, False, why)
        if taken * _LARGEST / _LARGE > _BUDGET:
            return Plan(array, True)
        _, why = self._tried_together(payloads, truths, _LARGEST)
        return Plan(array, True, most=0 if why else _LARGEST)

    def _tried_together(self, payloads: list[Payload], truths: list[Any], size: int) -> tuple[float, str]:
        """The seconds that so many payloads take together, and why they must not be predicted so: "" where they may."""
        many = -(-size // len(payloads))
        group, truth = (payloads * many)[:size], (truths * many)[:size]
        began = time.perf_counter()
        parts = _parts(self._outcome(self._together(group)), [payload.count for payload in group])
        taken = time.perf_counter() - began
        if parts is None:
            return taken, "it does not give one prediction for each row"
        if not all(map(_identical, parts, truth)):
            return taken, "rows that are predicted together come out different in the last bits"
        return taken, ""

    def _same(self, payloads: Sequence[Payload], truths: Sequence[Any]) -> bool:
        try:
            return all(_identical(self._alone(payload), truth) for payload, truth in zip(payloads, truths, strict=True))
        except Exception:  # a model that looks up its columns by name takes no array
            return False

    def _stackable(self, payloads: Sequence[Payload]) -> bool:
        return bool(self.schema.tensors) and all(tensor.shape[:1] == (-1,) for tensor in self.schema.tensors)

    def _examples(self) -> tuple[list[Payload], list[Payload]] | None:
        """The example as payloads of a row each, and more like it, for trying; None where nothing is known of the input."""
        columns = self.schema.columns
        given: list[Payload] = []
        if self.loaded.example is not None:
            try:
                whole = from_json(self.loaded.example, self.schema, Limits())
            except Refusal as refusal:
                raise NotWarmed(self.loaded.name, self.loaded.version, refusal.message) from None
            given = _singles(whole)
        if columns is not None:
            rows = [row for payload in given for row in payload.as_rows()]
            return given, [Payload(1, rows=[row]) for row in alike(columns, rows)]
        if not given:
            return None
        return given, []


_MERGED = frozenset({"boolean", "integer", "long", "float", "double", "string", "datetime"})


def alike(columns: Columns, rows: Sequence[Row], count: int = _TRIED) -> list[Row]:
    """Rows like those of an example, the same each time: their values in other combinations, and numbers around theirs."""
    chance = random.Random(0)
    made: list[Row] = []
    for _ in range(count):
        values = []
        for place, column in enumerate(columns.columns):
            seen = [row[place] for row in rows if row[place] is not None]
            values.append(_value(column.type, seen, chance))
        made.append(values)
    return made


def told(error: BaseException) -> str:
    """An error of a model, on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _value(kind: str, seen: list[Any], chance: random.Random) -> Any:
    if kind in ("float", "double"):
        middle = float(chance.choice(seen)) if seen else 0.0
        return middle + chance.gauss(0, 1) * (abs(middle) * 0.1 + (0.1 if seen else 1.0))
    if seen:
        return chance.choice(seen)
    return {"boolean": True, "integer": 1, "long": 1, "string": "a", "datetime": np.datetime64("2024-01-01", "ns"), "binary": b""}.get(kind)


def _singles(payload: Payload) -> list[Payload]:
    """A payload as payloads of one row each; as it is where it cannot be taken apart."""
    if payload.value is None:
        return [Payload(1, rows=[row]) for row in payload.as_rows()[:_TRIED]]
    if isinstance(payload.value, np.ndarray) and payload.value.ndim:
        return [Payload(1, value=payload.value[place : place + 1]) for place in range(min(payload.count, _TRIED))]
    return [payload]


def _joined(payloads: Sequence[Payload]) -> Found:
    """The rows of all payloads, as a table where all of them are tables."""
    tables = [payload.table for payload in payloads if payload.table is not None]
    if len(tables) < len(payloads):
        return [row for payload in payloads for row in payload.as_rows()]
    if len(tables) == 1:
        return tables[0]
    columns = zip(*(table.columns for table in tables), strict=True)
    return pa.record_batch(list(map(pa.concat_arrays, columns)), schema=tables[0].schema)


def _parts(output: Any, counts: Sequence[int]) -> list[Any] | None:
    """An output cut into those of its payloads; None where it does not have one entry for each row."""
    if not hasattr(output, "__len__") or isinstance(output, (dict, str)) or len(output) != sum(counts):
        return None
    rows = getattr(output, "iloc", output)
    parts = []
    start = 0
    for count in counts:
        parts.append(rows[start : start + count])
        start += count
    return parts


def _identical(one: Any, other: Any) -> bool:
    """Whether two outputs are the same to the last bit, types included."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.kind == "O":
            return all(map(_identical_value, one.ravel().tolist(), other.ravel().tolist()))
        return bool(one.tobytes() == other.tobytes())
    if hasattr(one, "iloc"):
        same_types = repr(getattr(one, "dtypes", "")) == repr(getattr(other, "dtypes", ""))
        return bool(same_types and _identical(one.to_numpy(), other.to_numpy()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(_identical_value, one, other))
    return _identical_value(one, other)


def _identical_value(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other or (one != one and other != other))
