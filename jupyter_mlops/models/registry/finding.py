"""The data of a model, found in what its run recorded: what it was fitted on, and what it was tried on.

Values come from the store where their bytes were kept, else from the notebook that is still open (`names`), and then only if their
content has the recorded digest. Nothing is evaluated: of the cells' code only names, columns and the calls of a model are read.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import DataError, MlopsError
from ...records import Input, ModelVersion, Run
from ...store import snapshots
from ..validation.data import frame_of

if TYPE_CHECKING:
    import pandas as pd

    from ...store.objects import ObjectStore

TARGET = "target"
_TABLES = ("frame", "table", "array", "sparse")
_TRIES = ("score", "predict", "predict_proba", "predict_log_proba", "decision_function")
_MEASURE = re.compile(r".*(_score|_error|_loss|_curve|_report|_matrix|_deviance)")
_MOST_SPARSE = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """A frame with the column `target` of the truth in it ("" where the truth was not found), or None and `why` there is none."""

    frame: pd.DataFrame | None
    target: str = ""
    why: str = ""


class Finder:
    """Looks for a run's data. `names` are those of the notebook that is open, {} in a shell; `events` the run's executions, in order."""

    def __init__(self, run: Run, version: ModelVersion, objects: ObjectStore, names: Mapping[str, Any], events: Sequence[Any]) -> None:
        self._inputs = [Input.of(item) for item in run.inputs]
        self._columns = [str(item["name"]) for item in version.signature.get("inputs") or () if item.get("name")]
        self._objects, self._names, self._events = objects, names, events
        self._digests = {name: digest for event in events for name, digest in event.values.items()}

    def reference(self, target: str = "") -> Found:
        """What the model was fitted on: its features, and the truth as one more column."""
        tables = [item for item in self._inputs if item.kind in (*_TABLES, "series") and item.digest]
        if not tables:
            return Found(None, why="the run recorded no data that its model was fitted on")
        values = [(item, self._value(item)) for item in tables]
        features = next(((item, value) for item, value in values if _width(value) is not None), None)
        if features is None:
            lost = [item for item, value in values if value is None]
            if lost:
                return Found(None, why=f"{lost[0].name} was recorded by its digest alone{f' ({lost[0].why})' if lost[0].why else ''}")
            return Found(None, why="the model was not fitted on a table")
        others = [value for item, value in values if item is not features[0]]
        truth = next((value for value in others if _rows(value) == _rows(features[1]) and _width(value) in (None, 1)), None)
        return _joined(self._framed(features[1]), truth, target)

    def test(self, target: str, reference: pd.DataFrame | None) -> Found:
        """What the model was tried on after its fit, as far as a call in the run's cells names it."""
        tried, truths = list(self._tried()), [found for node in self._measured() if (found := self._read(node)) is not None]
        for call in tried:
            for name in _roots(call.args[0]):
                frame = self._named(name)
                if not _is_frame(frame) or target not in frame.columns or not set(self._columns) <= set(map(str, frame.columns)):
                    continue
                if reference is None or not _holds(frame, reference, target):
                    return Found(frame.reset_index(drop=True), target)
            value = self._read(call.args[0])
            if _width(value) is None:
                continue
            own = [found for item in call.args[1:2] if (found := self._read(item)) is not None]
            truth = next((item for item in (*own, *truths) if _rows(item) == _rows(value) and _width(item) is None), None)
            if truth is None:
                continue
            found = _joined(self._framed(value), truth, target)
            if found.frame is not None and (reference is None or not _holds(found.frame, reference, found.target)):
                return found
        if not tried:
            return Found(None, why="no call in the run's cells tries the model on other data")
        return Found(None, why="what the model was tried on is in no notebook that is open here, or has changed since")

    # -- values

    def _value(self, item: Input) -> Any:
        """The value of a recorded input; None where it cannot be had."""
        if item.kept:
            try:
                return snapshots.load(str(item.digest), self._objects)
            except MlopsError:
                pass
        for value in self._names.values():
            if snapshots.freezable(value) == item.kind and _rows(value) in (item.rows, None) and _digest(value) == item.digest:
                return value
        return None

    def _named(self, name: str) -> Any:
        """The value of a name as the run had it, from the open notebook or the store; None where it cannot be had."""
        recorded = self._digests.get(name)
        value = self._names.get(name)
        if value is not None and snapshots.freezable(value) is not None and (recorded is None or _digest(value) == recorded):
            return value
        if recorded is None:
            return None
        try:
            return snapshots.load(recorded, self._objects)
        except MlopsError:
            return None

    def _read(self, node: ast.expr) -> Any:
        """The value of an expression that only names data or columns of it; None for others."""
        match node:
            case ast.Name(id=name):
                return self._named(name)
            case ast.Subscript(value=inner, slice=ast.Constant(value=str() as column)):
                return _column(self._read(inner), column)
            case ast.Attribute(value=inner, attr="values"):
                return self._read(inner)
            case ast.Call(func=ast.Attribute(value=inner, attr="to_numpy"), args=[], keywords=[]):
                return self._read(inner)
            case ast.Attribute(value=inner, attr=column):
                return _column(self._read(inner), column)
        return None

    def _framed(self, value: Any) -> pd.DataFrame | None:
        import pandas as pd

        if type(value).__module__.startswith("scipy.sparse"):
            return pd.DataFrame(value.toarray()) if value.shape[1] <= _MOST_SPARSE else None
        try:
            frame = frame_of(value)
        except DataError:
            return None
        if not _is_frame(value) and len(self._columns) == frame.shape[1]:
            frame = frame.set_axis(self._columns, axis=1)
        return frame

    # -- code

    def _calls(self) -> Iterator[ast.Call]:
        for event in self._events:
            try:
                tree = ast.parse(event.source)
            except (SyntaxError, ValueError):
                continue
            calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            yield from sorted(calls, key=lambda node: (node.lineno, node.col_offset))

    def _tried(self) -> Iterator[ast.Call]:
        for call in self._calls():
            if isinstance(call.func, ast.Attribute) and call.func.attr in _TRIES and call.args:
                yield call

    def _measured(self) -> Iterator[ast.expr]:
        for call in self._calls():
            name = call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""
            if _MEASURE.fullmatch(name) and call.args:
                yield call.args[0]


def named_in(frame: pd.DataFrame, target: str, columns: Sequence[str]) -> str:
    """The column of the truth in a frame that was given: the one that was named, else the only one that the model does not take."""
    if target in frame.columns:
        return target
    others = [str(name) for name in frame.columns if str(name) not in columns]
    return others[0] if columns and len(others) == 1 and set(columns) < set(map(str, frame.columns)) else ""


def _joined(features: pd.DataFrame | None, truth: Any, target: str) -> Found:
    """Features and truth as one frame, row by row."""
    import numpy as np

    if features is None:
        return Found(None, why="it is no table of fewer than a thousand columns")
    features = features.reset_index(drop=True)
    features.columns = features.columns.map(str)
    if truth is None:
        return Found(features, target if target in features.columns else "")
    name = target or (str(truth.name) if getattr(truth, "name", None) is not None else _only(truth) or TARGET)
    if name in features.columns:
        name = target or f"{name}_{TARGET}"
    return Found(features.assign(**{name: np.asarray(truth).reshape(-1)}), name)


def _only(truth: Any) -> str:
    return str(truth.columns[0]) if _is_frame(truth) else ""


def _holds(frame: pd.DataFrame, reference: pd.DataFrame, target: str) -> bool:
    """Whether every row that the model was fitted on is in a frame as often, by the values of the columns that both have."""
    import numpy as np

    from ..gates.leakage import row_digests

    columns = [name for name in reference.columns if name in frame.columns and name != target]
    if len(frame) < len(reference) or not columns:
        return False
    known, often = np.unique(row_digests(frame[columns]), return_counts=True)
    learned, least = np.unique(row_digests(reference[columns]), return_counts=True)
    places = np.searchsorted(known, learned).clip(max=len(known) - 1)
    return bool(len(known) and (known[places] == learned).all() and (often[places] >= least).all())


def _roots(node: ast.expr) -> list[str]:
    return list(dict.fromkeys(item.id for item in ast.walk(node) if isinstance(item, ast.Name)))


def _column(value: Any, name: str) -> Any:
    return value[name] if _is_frame(value) and name in value.columns else None


def _is_frame(value: Any) -> bool:
    return snapshots.freezable(value) == "frame"


def _rows(value: Any) -> int | None:
    shape: Callable[[], Any] | Any = getattr(value, "shape", None)
    return int(shape[0]) if isinstance(shape, tuple) and shape else None


def _width(value: Any) -> int | None:
    """The columns of a table; None for what is none."""
    shape = getattr(value, "shape", None)
    return int(shape[1]) if isinstance(shape, tuple) and len(shape) == 2 else None


def _digest(value: Any) -> str:
    try:
        return snapshots.digest(value)
    except MlopsError:
        return ""
