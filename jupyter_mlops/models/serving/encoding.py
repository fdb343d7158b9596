"""Predictions as the bodies of answers: in MLflow's form, and as the values of an Open Inference Protocol output."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

_DATATYPES = {
    "b1": "BOOL", "i1": "INT8", "i2": "INT16", "i4": "INT32", "i8": "INT64", "u1": "UINT8", "u2": "UINT16", "u4": "UINT32", "u8": "UINT64",
    "f2": "FP16", "f4": "FP32", "f8": "FP64",
}  # fmt: skip


def values(output: Any) -> Any:
    """An output as plain values, as MLflow has them: a frame or series gives an object for each row, an array a list for each."""
    if isinstance(output, np.ndarray):
        return output.tolist()
    if hasattr(output, "to_frame"):
        output = output.to_frame()
    if hasattr(output, "to_dict") and hasattr(output, "columns"):
        return output.to_dict(orient="records")
    if hasattr(output, "toarray"):
        return output.toarray().tolist()
    return output


def body(told: dict[str, Any], *, finite: bool) -> bytes:
    """JSON; numbers that are not `finite` are written as NaN and Infinity, which MLflow's clients read."""
    if finite:
        try:
            return orjson.dumps(told, default=_plain, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:  # whole numbers of more than 64 bits, texts that are no UTF-8
            pass
    return json.dumps(told, default=_plain, separators=(",", ":")).encode()


def is_finite(output: Any) -> bool:
    """Whether an output has no NaN and no infinity."""
    if isinstance(output, np.ndarray):
        return output.dtype.kind != "f" or bool(np.isfinite(output).all()) if output.dtype.kind != "O" else _all_finite(output.tolist())
    return _all_finite(values(output))


def tensors(output: Any, names: Sequence[str]) -> list[dict[str, Any]]:
    """An output as the Open Inference Protocol has it: one tensor, or one for each column of a frame. `names` are the signature's."""
    if hasattr(output, "columns"):
        return [_tensor(str(name), output[name].to_numpy()) for name in output.columns]
    array = output if isinstance(output, np.ndarray) else np.asarray(output.toarray() if hasattr(output, "toarray") else output)
    if array.ndim == 2 and len(names) == array.shape[1] > 1:
        return [_tensor(name, array[:, place]) for place, name in enumerate(names)]
    return [_tensor(names[0] if len(names) == 1 and names[0] else "predictions", array)]


def _tensor(name: str, array: np.ndarray[Any, Any]) -> dict[str, Any]:
    datatype = _DATATYPES.get(array.dtype.str[1:], "BYTES")
    flat = array.ravel().tolist()
    data = flat if datatype != "BYTES" else [item if isinstance(item, str) else _text(item) for item in flat]
    return {"name": name, "datatype": datatype, "shape": list(array.shape), "data": data}


def _text(item: Any) -> str:
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item)


def _all_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    return all(map(_all_finite, value)) if isinstance(value, (list, tuple)) else True


def _plain(value: Any) -> Any:
    """What JSON does not know, as MLflow writes it."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, bytes):
        return _text(value)
    return str(value)
