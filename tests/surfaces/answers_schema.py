"""Writes the JSON schema of what the verbs print with --json: `python -m tests.surfaces.answers_schema` makes docs/answers.schema.json.

`$defs` has every record, `verbs` what each verb prints. What Python says only in a docstring (which records lie within a field) is in the
table of the TypeScript types, which is made in the same way. Fields may be added to a record; none is taken away or changed silently,
since this file is compared with what it would be now.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from subprocess import Popen
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import jupyter_mlops as mlops
from jupyter_mlops import records
from jupyter_mlops.surfaces import answers, commands
from tests.labextension.types import NESTED

FILE = Path(__file__).parents[2] / "docs" / "answers.schema.json"

PLAIN = {str: "string", int: "integer", bool: "boolean", type(None): "null"}

# A float may be one that JSON has no number for, which Python's own JSON writes as NaN.
NUMBER = {"type": "number"}

PAGE = {"event": {"const": "serving"}, "url": {"type": "string"}, "store": {"type": "string"}, "pid": {"type": "integer"}}

_NAMED = {**vars(records), **vars(answers), "Mapping": Mapping, "Popen": Popen}


def schema() -> dict[str, Any]:
    """The whole file."""
    defined: dict[str, Any] = {}
    verbs = {verb: _returned(get_type_hints(getattr(commands, verb))["return"], defined) for verb in mlops.VERBS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What the verbs print with --json",
        "verbs": verbs,
        "$defs": dict(sorted(defined.items())),
    }


def check(answer: Any, printed: Any) -> None:
    """Hold what was printed of an answer against the published schema. Raises jsonschema's ValidationError."""
    several = isinstance(answer, (list, tuple))
    kinds = {type(item).__name__ for item in answer} if several else {type(answer).__name__}
    for kind in kinds & set(_published()["$defs"]):
        for item in printed if several else [printed]:
            _validator(kind).validate(item)


def plain(answer: Any) -> Any:
    """A record as --json prints it."""
    return answers.plain(answer)


@cache
def _published() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


@cache
def _validator(kind: str) -> Any:
    import jsonschema

    return jsonschema.Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": _published()["$defs"]})


def _returned(hint: Any, defined: dict[str, Any]) -> dict[str, Any]:
    parts = [part for part in _parts(hint) if get_origin(part) is not AbstractContextManager]
    found = [_schema(part, defined) for part in parts]
    return found[0] if len(found) == 1 else {"anyOf": found}


def _parts(hint: Any) -> list[Any]:
    if get_origin(hint) in (Union, types.UnionType):
        return [inner for part in get_args(hint) for inner in _parts(part)]
    return [hint]


def _schema(hint: Any, defined: dict[str, Any]) -> dict[str, Any]:
    """A value of a Python type, as JSON."""
    if hint in PLAIN:
        return {"type": PLAIN[hint]}
    if hint is float:
        return NUMBER
    if hint is Any or hint is object:
        return {}
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(part, defined) for part in _parts(hint)]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple and arguments[-1] is not Ellipsis:
        return {"type": "array", "prefixItems": [_schema(part, defined) for part in arguments], "minItems": len(arguments)}
    if origin in (tuple, list):
        return {"type": "array", "items": _schema(arguments[0], defined)}
    if origin in (Mapping, dict):
        return {"type": "object", "additionalProperties": _schema(arguments[1], defined)}
    if hint in (Mapping, dict):
        return {"type": "object"}
    if isinstance(hint, type) and issubclass(hint, tuple):
        return {"type": "array", "items": _schema(get_args(vars(hint)["__orig_bases__"][0])[0], defined)}
    if is_dataclass(hint):
        return _record(hint, defined)
    raise TypeError(f"{hint} has no JSON schema yet: add it here.")


def _record(kind: type, defined: dict[str, Any]) -> dict[str, Any]:
    if kind.__name__ not in defined:
        defined[kind.__name__] = {}  # records hold each other
        if kind is answers.Page:
            properties = PAGE
        else:
            hints = get_type_hints(kind, _NAMED)
            properties = {item.name: _field(kind, item.name, hints[item.name], defined) for item in fields(kind)}
        defined[kind.__name__] = {"type": "object", "properties": properties, "required": list(properties)}
    return {"$ref": f"#/$defs/{kind.__name__}"}


def _field(kind: type, name: str, hint: Any, defined: dict[str, Any]) -> dict[str, Any]:
    """A field, with the records that lie within it."""
    told = re.fullmatch(r"(\w+)(\[\]| \| null)?", NESTED.get(f"{kind.__name__}.{name}", ""))
    inner = getattr(records, {"LineageNode": "Node"}.get(told[1], told[1]), None) if told else None
    if inner is None or not is_dataclass(inner):
        return _schema(hint, defined)
    found = _schema(inner, defined)
    if told is not None and told[2] == "[]":
        return {"type": "array", "items": found}
    return {"anyOf": [found, {"type": "null"}]}


def text() -> str:
    """The file as it is written."""
    return json.dumps(schema(), indent=1) + "\n"


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    print(f"{FILE.name}: {len(schema()['$defs'])} records")


if __name__ == "__main__":
    main()
