"""The tables of the keys of pipeline.yaml, from its published JSON schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jupyter_mlops
from jupyter_mlops.pipelines.definition import kinds
from jupyter_mlops.pipelines.definition.gates import METRICS

SCHEMA = Path(jupyter_mlops.__file__).parent / "pipelines" / "definition" / "pipeline.schema.json"

_TEXTS = {
    kinds.Duration().schema()["anyOf"][1]["pattern"]: "a span such as `10m`",
    kinds.Size().schema()["anyOf"][1]["pattern"]: "a size such as `4 GB`",
}


def text() -> str:
    """A table for the file, and one for each table in it."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    top = schema["properties"]
    step = top["steps"]["additionalProperties"]
    source = next(item for item in step["properties"]["inputs"]["additionalProperties"]["anyOf"] if item["type"] == "object")
    check = next(item for item in step["properties"]["validate"]["additionalProperties"]["anyOf"] if item["type"] == "object")
    retries = next(item for item in step["properties"]["retries"]["anyOf"] if item["type"] == "object")
    tables = {
        "The file": schema,
        "`steps`: each step by its name": step,
        "`inputs` of a step: where it is more than a text": source,
        "`validate` of a step: for each input": check,
        "`retries` of a step: where it is more than a number": retries,
        "`resources` of a step": step["properties"]["resources"],
        "`schedule`": top["schedule"],
        "`notify`: each entry": top["notify"]["items"],
        "`release`": top["release"],
    }
    return "\n".join(f"### {title}\n\n{_table(part)}" for title, part in tables.items())


def gates() -> str:
    """A table of the gates: what each has for keys, the first of which tells its sort."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    sorts = schema["properties"]["release"]["properties"]["gates"]["items"]["anyOf"]
    rows: list[str] = []
    for sort in sorted(sorts, key=lambda item: str(_first(item))):
        first, *others = _ordered(sort)
        rows += [f"| **`{first}`** | {_value(sort['properties'][first])} | {_meaning(sort, first)} |"]
        rows += [f"| `{first}`: `{key}` | {_value(sort['properties'][key])} | {_meaning(sort, key)} |" for key in others]
    metrics = f"A metric is one of {', '.join(f'`{name}`' for name in METRICS)}."
    return "\n".join(["| key | value | meaning |", "|---|---|---|", *rows, "", metrics, ""])


def _first(sort: Mapping[str, Any]) -> str:
    """The key that tells the sort of a gate: it must be there, and stands first."""
    return next(key for key in sort["properties"] if key in sort["required"])


def _ordered(sort: Mapping[str, Any]) -> list[str]:
    first = _first(sort)
    return [first, *(key for key in sort["properties"] if key != first)]


def _table(part: Mapping[str, Any]) -> str:
    rows = [f"| `{key}` | {_value(below)} | {_meaning(part, key)} |" for key, below in part["properties"].items()]
    return "\n".join(["| key | value | meaning |", "|---|---|---|", *rows, ""])


def _meaning(part: Mapping[str, Any], key: str) -> str:
    needed = " Needed." if key in part.get("required", ()) else ""
    return f"{part['properties'][key].get('description', '')}{needed}".replace("|", "\\|")


def _value(kind: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(filter(None, _values(kind))))


def _values(kind: Mapping[str, Any]) -> Iterator[str]:
    """What a value may be, in words."""
    if "anyOf" in kind:
        for choice in kind["anyOf"]:
            yield from _values(choice)
        return
    if "enum" in kind:
        yield ", ".join(f"`{item}`" for item in kind["enum"] if not set(METRICS) <= set(kind["enum"]) or item not in METRICS)
        yield from ["a metric"] * (set(METRICS) <= set(kind["enum"]))
        return
    untyped = ["anything"] if "description" in kind else []
    for sort in [kind["type"]] if isinstance(kind.get("type"), str) else kind.get("type", untyped):
        match sort:
            case "string":
                yield _TEXTS.get(kind.get("pattern", ""), "a text")
            case "array":
                yield f"a list: {_value(kind['items'])}"
            case "object":
                yield "a table"
            case "integer":
                yield "a whole number"
            case "number":
                yield "a number"
            case "boolean":
                yield "`true`, `false`"
            case _:
                yield "any value"
