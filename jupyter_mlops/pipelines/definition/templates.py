"""`{name}` in the texts of a pipeline, and the values that take its place. Pure.

A brace after a dollar sign (`${HOME}`) is the shell's own, and `{{name}}` is the plain text `{name}`.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_TEMPLATE = re.compile(r"(?<![\\$])(?:\{\{([^\W\d]\w*)\}\}|\{([^\W\d]\w*)\})")
_FLAGS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Misfit(ValueError):
    """A text that is no value of the wanted type; its message says what is."""


def names(value: Any) -> Iterator[str]:
    """The names of the templates in a text, or in the texts of a list or table."""
    match value:
        case str():
            yield from (found[2] for found in _TEMPLATE.finditer(value) if found[2])
        case list() | tuple():
            for item in value:
                yield from names(item)
        case Mapping():
            for item in value.values():
                yield from names(item)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """A value with its templates replaced; a text that is nothing but `{name}` becomes the value itself, of whatever type."""
    match value:
        case str():
            alone = _TEMPLATE.fullmatch(value)
            return values[alone[2]] if alone and alone[2] in values else _replaced(value, values, written)
        case list() | tuple():
            return [filled(item, values) for item in value]
        case Mapping():
            return {name: filled(item, values) for name, item in value.items()}
        case _:
            return value


def command(text: str, values: Mapping[str, Any]) -> str:
    """A shell command with its templates replaced by values, each quoted as one word (those of a list as one word each)."""
    return _replaced(text, values, _quoted)


def _replaced(text: str, values: Mapping[str, Any], spell: Callable[[Any], str]) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1]:
            return "{" + found[1] + "}"
        return spell(values[found[2]]) if found[2] in values else found[0]

    return _TEMPLATE.sub(replace, text)


def _quoted(value: Any) -> str:
    return " ".join(shlex.quote(written(item)) for item in value) if isinstance(value, (list, tuple)) else shlex.quote(written(value))


def written(value: Any) -> str:
    """A value within a text: texts as they are, others as in YAML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def typed(given: Any, default: Any) -> Any:
    """A given value in the type of a default: texts, as a command line gives them, are read. Raises Misfit.

    A whole number may become one with a point, since a default of 1 does not tell which is meant. Without a default, what is JSON is read.
    """
    if not isinstance(given, str):
        return _fitting(given, default)
    match default:
        case str():
            return given
        case None:
            return _json(given, given)
        case bool():
            found = _FLAGS.get(given.strip().lower())
            if found is None:
                raise Misfit("true or false")
            return found
        case int() | float():
            try:
                return int(given) if isinstance(default, int) and re.fullmatch(r"[-+]?\d+", given.strip()) else float(given)
            except ValueError:
                raise Misfit("a number") from None
        case _:
            return _fitting(_json(given, None), default)


def _json(text: str, otherwise: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return otherwise


def _fitting(value: Any, default: Any) -> Any:
    for kinds, what in (((bool,), "true or false"), ((int, float), "a number"), ((str,), "a text")):
        if isinstance(default, kinds):
            if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
                raise Misfit(what)
            return value
    if isinstance(default, (list, tuple)) and not isinstance(value, (list, tuple)):
        raise Misfit("a list in JSON, such as [1, 2]")
    if isinstance(default, Mapping) and not isinstance(value, Mapping):
        raise Misfit('a table in JSON, such as {"a": 1}')
    return value
