"""What each verb returns in Python, and what is in it: from the annotations of the verbs and the docstrings of the records."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import jupyter_mlops as mlops
from jupyter_mlops.surfaces import commands

_WORDS = {type(None): "None", Any: "any value"}


def text() -> str:
    """A table of the verbs and what they return, and below it what is in each record."""
    returned = {verb: list(_kinds(get_type_hints(getattr(commands, verb))["return"])) for verb in mlops.VERBS}
    rows = [f"| `{verb}` | {' or '.join(map(_told, kinds))} |" for verb, kinds in returned.items()]
    records = sorted({kind for kinds in returned.values() for kind in kinds if _is_record(kind)}, key=lambda kind: str(kind.__name__))
    described = [_record(kind) for kind in records]
    return "\n".join(["| verb | returns |", "|---|---|", *rows, "", "| record | fields |", "|---|---|", *described, ""])


def _kinds(hint: Any) -> Iterator[Any]:
    """What a verb may return, without what its container is."""
    if get_origin(hint) in (Union, UnionType):
        for part in get_args(hint):
            yield from _kinds(part)
    else:
        yield hint


def _is_record(kind: Any) -> bool:
    return inspect.isclass(kind) and (is_dataclass(kind) or issubclass(kind, tuple)) and kind.__module__.startswith("jupyter_mlops")


def _told(kind: Any) -> str:
    if _is_record(kind):
        return f"`{kind.__name__}`"
    if get_origin(kind) is list:
        return f"a list of `{get_args(kind)[0].__name__}`"
    if kind in _WORDS:
        return _WORDS[kind]
    return "a context manager"


def _record(kind: Any) -> str:
    said = " ".join((inspect.getdoc(kind) or "").split()).replace("|", "\\|")
    names = ", ".join(f"`{item.name}`" for item in fields(kind)) if is_dataclass(kind) else "a tuple"
    return f"| `{kind.__name__}` | {names}. {said} |"
