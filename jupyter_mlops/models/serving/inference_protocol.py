"""The Open Inference Protocol, version 2, in its HTTP form: what it asks of a model, and how it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from .encoding import tensors
from .options import Limits
from .payloads import Payload, from_json, rows_allowed
from .refusals import bad, shown
from .schema import Schema
from .sources import Loaded

_TYPES = {
    "boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64", "string": "BYTES", "binary": "BYTES",
    "datetime": "BYTES",
}  # fmt: skip
_NUMPY = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64", "uint8": "UINT8", "uint16": "UINT16",
    "uint32": "UINT32", "uint64": "UINT64", "float16": "FP16", "float32": "FP32", "float64": "FP64",
}  # fmt: skip
_DATATYPES = frozenset({*_NUMPY.values(), "BYTES"})


def payload_of(told: dict[str, Any], schema: Schema, limits: Limits) -> Payload:
    """The payload of an inference request. Raises Refusal."""
    given = told.get("inputs")
    if type(given) is not list or not given:
        raise bad("The inputs must be a list of tensors, each with name, shape, datatype and data.")
    inputs = {}
    for place, item in enumerate(given):
        name, shape, flat = _tensor(place, item)
        if name in inputs:
            raise bad(f"Input {name!r} is there twice: give each input once.")
        inputs[name] = (shape, flat)
    if "outputs" in told and type(told["outputs"]) is not list:
        raise bad(f"The outputs must be a list of objects with a name, not {shown(told['outputs'])}.")
    lengths = {shape[0] for shape, _ in inputs.values()}
    if len(lengths) != 1:
        raise bad("The inputs must have the same first dimension, which counts the rows.")
    count = lengths.pop()
    rows_allowed(count, limits)
    if not count:
        raise bad("The inputs have no rows: send at least one.")
    if schema.columns is not None:
        columns = schema.columns
        if len(inputs) == 1:
            shape, flat = next(iter(inputs.values()))
            if len(shape) == 2 and shape[1] == len(columns.names) > 1:
                width = shape[1]
                return Payload.of(columns.checked([flat[start : start + width] for start in range(0, len(flat), width)]))
        for name, (shape, _) in inputs.items():
            if prod(shape[1:]) != 1:
                raise bad(f"Input {name!r} must have the shape [{count}] or [{count}, 1], as a column has, not {list(shape)}.")
        return Payload.of(columns.from_columns({name: flat for name, (_, flat) in inputs.items()}))
    nested = {name: _nested(flat, shape) for name, (shape, flat) in inputs.items()}
    if len(nested) == 1 and (len(schema.tensors) == 1 or not schema.tensors):
        return from_json({"inputs": next(iter(nested.values()))}, schema, limits)
    return from_json({"inputs": nested}, schema, limits)


def answer(loaded: Loaded, output: Any, identifier: str, ids: Sequence[str], wanted: Any) -> dict[str, Any]:
    """The answer to an inference request; `wanted` are the outputs that it names, None for all. Raises Refusal for an unknown one."""
    names = [str(item.get("name") or "") for item in loaded.outputs]
    outputs = tensors(output, names)
    if wanted:
        there = {item["name"]: item for item in outputs}
        outputs = []
        for item in wanted:
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str) or name not in there:
                raise bad(f"There is no output {shown(name)}; there are {', '.join(there)}.")
            outputs.append(there[name])
    return {
        "model_name": loaded.name,
        "model_version": str(loaded.version),
        "id": identifier or ids[0],
        "parameters": {"prediction_ids": list(ids)},
        "outputs": outputs,
    }


def metadata(loaded: Loaded) -> dict[str, Any]:
    """What the protocol says of a model."""
    return {
        "name": loaded.name,
        "versions": [str(loaded.version)],
        "platform": f"mlflow_{loaded.flavor}",
        "inputs": [_described(item, place) for place, item in enumerate(loaded.inputs)],
        "outputs": [_described(item, place) for place, item in enumerate(loaded.outputs)],
    }


def _tensor(place: int, item: Any) -> tuple[str, tuple[int, ...], list[Any]]:
    if type(item) is not dict:
        raise bad(f"Input {place} must be an object with name, shape, datatype and data.")
    name, shape, datatype, data = (item.get(key) for key in ("name", "shape", "datatype", "data"))
    if type(name) is not str:
        raise bad(f"Input {place} must have a name, which is a text.")
    if type(shape) is not list or not shape or len(shape) > 8 or not all(type(size) is int and 0 <= size < 2**31 for size in shape):
        raise bad(f"Input {name[:60]!r} must have a shape such as [2, 3], not {shown(shape)}.")
    if not isinstance(datatype, str) or datatype not in _DATATYPES:
        raise bad(f"Input {name[:60]!r} has the datatype {shown(datatype)}; there are {', '.join(sorted(_DATATYPES))}.")
    if type(data) is not list:
        raise bad(f"Input {name[:60]!r} must have its data as a list: binary data is not read here.")
    flat = data
    for _ in shape[1:]:
        if not flat or type(flat[0]) is not list:
            break
        if not all(type(part) is list for part in flat):
            raise bad(f"The data of input {name[:60]!r} does not have the shape {shape}.")
        flat = [value for part in flat for value in part]
    if len(flat) != prod(shape) or any(type(value) is list or type(value) is dict for value in flat):
        raise bad(f"The data of input {name[:60]!r} does not have the shape {shape}.")
    return name, tuple(shape), flat


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    """A flat list as lists in lists."""
    for size in reversed(shape[1:]):
        flat = [flat[start : start + size] for start in range(0, len(flat), size)] if size else []
    return flat


def _described(item: Any, place: int) -> dict[str, Any]:
    spec = item.get("tensor-spec") if isinstance(item, dict) else None
    name = str(item.get("name") or f"input-{place}")
    if isinstance(spec, dict):
        return {"name": name, "datatype": _NUMPY.get(str(spec.get("dtype")), "BYTES"), "shape": list(spec.get("shape", [-1]))}
    return {"name": name, "datatype": _TYPES.get(str(item.get("type")), "BYTES"), "shape": [-1]}
