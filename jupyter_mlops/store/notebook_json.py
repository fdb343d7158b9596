"""Outputs and whole notebooks as the JSON that every notebook program reads. Standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ..errors import MlopsError


class Objects(Protocol):
    """What is needed of the object store here."""

    def get(self, digest: str) -> bytes: ...


def notebook_output(output: Mapping[str, Any], count: int, objects: Objects) -> dict[str, Any]:
    """An output of an event as notebooks have it, with what was stored apart; `count` is the number of its execution."""
    data = {mime: _whole(value, mime, objects) for mime, value in (output.get("data") or {}).items()}
    text = next((value for value in data.values() if isinstance(value, str)), "")
    match output.get("kind"):
        case "stream":
            return {"output_type": "stream", "name": output.get("name") or "stdout", "text": text}
        case "error":
            name, _, message = text.strip().rpartition("\n")[2].partition(": ")
            return {"output_type": "error", "ename": output.get("name") or name, "evalue": message, "traceback": text.splitlines()}
        case "result":
            return {"output_type": "execute_result", "execution_count": count, "data": data, "metadata": {}}
        case _:
            return {"output_type": "display_data", "data": data, "metadata": {}}


def _whole(value: Any, mime: str, objects: Objects) -> Any:
    if isinstance(value, Mapping) and set(value) >= {"object", "size"}:
        try:
            value = objects.get(value["object"]).decode("utf-8", "replace")
        except (MlopsError, OSError):
            return f"[{value['size']} bytes that are not in this store]"
        if mime.endswith("json"):
            try:
                return json.loads(value)
            except ValueError:
                return value
    return value


def code_cell(
    identifier: str, source: str, *, metadata: Mapping[str, Any] | None = None, count: int | None = None, outputs: Sequence[Any] = ()
) -> dict[str, Any]:
    """A code cell, as it was executed as number `count`."""
    told = dict(metadata or {})
    return {
        "cell_type": "code", "id": identifier, "metadata": told, "source": source, "execution_count": count, "outputs": list(outputs)
    }  # fmt: skip


def text_cell(identifier: str, source: str) -> dict[str, Any]:
    """A cell with text in Markdown."""
    return {"cell_type": "markdown", "id": identifier, "metadata": {}, "source": source}


def notebook(cells: Sequence[Mapping[str, Any]], **metadata: Any) -> dict[str, Any]:
    """A notebook for Python (nbformat 4.5)."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    head = {"kernelspec": kernel, "language_info": {"name": "python"}, **metadata}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": head, "cells": list(cells)}


def as_json(value: Any) -> bytes:
    """Readable JSON in UTF-8. NaN and infinities become texts, which every JSON reader takes."""
    try:
        text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str)
    return text.encode("utf-8", "backslashreplace")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else {"inf": "Infinity", "-inf": "-Infinity"}.get(str(value), "NaN")
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
