"""The kinds of values that pipeline.yaml is made of: each reads a plain value, says what it wanted, and describes itself as JSON schema."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ... import config
from .wording import nearest
from .yaml_lines import At

_DURATION = "^" + "".join(rf"\s*(?:(\d+(?:\.\d+)?)\s*{unit})?" for unit in ("d", "h", "m", "s", "ms")) + r"\s*$"
_SIZE = r"^\s*\d+(\.\d+)?\s*([kKmMgGtT][iI]?)?[bB]?\s*$"


class Wrong(Exception):
    """A value at a place is not what belongs there; `what` is the end of a sentence, with its remedy."""

    def __init__(self, at: At, what: str) -> None:
        super().__init__(what)
        self.at, self.what = at, what


class Kind(Protocol):
    """One kind of value."""

    @property
    def wanted(self) -> str:
        """What belongs there, with an example."""

    def takes(self, value: Any) -> bool:
        """Whether a value is meant to be of this kind, rightly written or not."""

    def read(self, value: Any, at: At) -> Any:
        """The value as the pipeline has it. Raises Wrong."""

    def schema(self) -> dict[str, Any]:
        """The kind as JSON schema."""


def refused(kind: Kind, value: Any, at: At) -> Wrong:
    """The error about a value that is of another kind."""
    return Wrong(at, f"{told(at)} is {_shown(value)}: write {kind.wanted}.")


def told(at: At) -> str:
    """A place in the words of its reader: `steps.train.retries`."""
    return ".".join(str(part) if isinstance(part, str) else f"[{part + 1}]" for part in at).replace(".[", "[") or "the file"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case list():
            return "a list"
        case Mapping():
            return "a table"
        case _:
            return repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:56]}...'"


@dataclass(frozen=True, slots=True)
class Text:
    """A text, of a form where `pattern` gives one (the subset of regular expressions that Python and JSON schema share)."""

    wanted: str
    pattern: str = r"\S"

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, value: Any, at: At) -> str:
        if isinstance(value, str) and re.search(self.pattern, value):
            return value
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Word:
    """A text that may be written as a whole number or as true or false."""

    wanted: str = "a text (in quotes where it looks like a number with a point)"

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, int))

    def read(self, value: Any, at: At) -> str:
        if isinstance(value, (str, int)):
            return str(value).lower() if isinstance(value, bool) else str(value)
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"type": ["string", "integer", "boolean"]}


@dataclass(frozen=True, slots=True)
class Anything:
    """Any value that JSON has."""

    wanted: str = "a value"

    def takes(self, value: Any) -> bool:
        return True

    def read(self, value: Any, at: At) -> Any:
        return value

    def schema(self) -> dict[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    wanted: str = "true or false"

    def takes(self, value: Any) -> bool:
        return isinstance(value, bool)

    def read(self, value: Any, at: At) -> bool:
        if isinstance(value, bool):
            return value
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` on (above it where `above`)."""

    wanted: str
    least: float = 0
    above: bool = False
    whole: bool = False

    def takes(self, value: Any) -> bool:
        return isinstance(value, (int, float)) and not isinstance(value, bool)

    def read(self, value: Any, at: At) -> Any:
        if not self.takes(value) or not math.isfinite(value) or value < self.least or (self.above and value == self.least):
            raise refused(self, value, at)
        if self.whole and value != int(value):
            raise refused(self, value, at)
        return int(value) if self.whole else value

    def schema(self) -> dict[str, Any]:
        least = {"exclusiveMinimum" if self.above else "minimum": self.least} if math.isfinite(self.least) else {}
        return {"type": "integer" if self.whole else "number", **least}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few texts."""

    options: tuple[str, ...]

    @property
    def wanted(self) -> str:
        return f"{', '.join(self.options[:-1])} or {self.options[-1]}"

    def takes(self, value: Any) -> bool:
        return isinstance(value, str)

    def read(self, value: Any, at: At) -> str:
        if value in self.options:
            return str(value)
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.options)}


@dataclass(frozen=True, slots=True)
class Duration:
    """A time span, read as seconds."""

    wanted: str = 'a time span such as "90s", "10m" or "1h30m"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, int, float)) and not isinstance(value, bool)

    def read(self, value: Any, at: At) -> float:
        if self.takes(value) and not isinstance(value, str) and value >= 0 and math.isfinite(value):
            return float(value)
        if isinstance(value, str) and (found := seconds(value)) is not None:
            return found
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION, "minLength": 2}]}


def seconds(text: str) -> float | None:
    """The seconds of a time span such as "1h30m"; None when it is none."""
    found = re.search(_DURATION, text)
    if found is None or not any(found.groups()):
        return None
    return sum(float(part) * unit for part, unit in zip(found.groups(), (86400, 3600, 60, 1, 0.001), strict=True) if part)


@dataclass(frozen=True, slots=True)
class Size:
    """An amount of memory, read as bytes."""

    wanted: str = 'a size such as "4 GB"'

    def takes(self, value: Any) -> bool:
        return isinstance(value, (str, int)) and not isinstance(value, bool)

    def read(self, value: Any, at: At) -> int:
        if self.takes(value) and (re.search(_SIZE, value) if isinstance(value, str) else value >= 0):
            return config.parse_size(value)
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SIZE}]}


@dataclass(frozen=True, slots=True)
class Items:
    """A list of one kind of value; a single one may stand alone where `alone`."""

    kind: Kind
    wanted: str
    alone: bool = False

    def takes(self, value: Any) -> bool:
        return isinstance(value, list) or (self.alone and self.kind.takes(value))

    def read(self, value: Any, at: At) -> tuple[Any, ...]:
        if self.alone and not isinstance(value, list) and self.kind.takes(value):
            return (self.kind.read(value, at),)
        if not isinstance(value, list):
            raise refused(self, value, at)
        return tuple(self.kind.read(item, (*at, number)) for number, item in enumerate(value))

    def schema(self) -> dict[str, Any]:
        many = {"type": "array", "items": self.kind.schema()}
        return {"anyOf": [self.kind.schema(), many]} if self.alone else many


@dataclass(frozen=True, slots=True)
class Named:
    """A table of one kind of value under names that the user chooses."""

    kind: Kind
    wanted: str
    names: str = r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)"
    least: int = 0

    def takes(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, value: Any, at: At) -> dict[str, Any]:
        if not isinstance(value, Mapping) or len(value) < self.least:
            raise refused(self, value, at)
        for name in value:
            if not re.search(self.names, name):
                dashes = " and dashes" if re.search(self.names, "a-b") else ""
                raise Wrong((*at, name), f"{name!r} is no name: use letters, digits, underscores{dashes}, no digit first.")
        return {name: self.kind.read(item, (*at, name)) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        least = {"minProperties": self.least} if self.least else {}
        return {"type": "object", "propertyNames": {"pattern": self.names}, "additionalProperties": self.kind.schema(), **least}


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table: its kind of value, what it is for, and whether it must be there."""

    kind: Kind
    help: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table of known keys. Exactly one of the keys `one_of` must be there, at least one of `some_of`, and with a key of `needs` the one
    it needs."""

    wanted: str
    keys: Mapping[str, Key]
    one_of: Sequence[str] = ()
    needs: Mapping[str, str] = field(default_factory=dict)
    some_of: Sequence[str] = ()

    def takes(self, value: Any) -> bool:
        return isinstance(value, Mapping)

    def read(self, value: Any, at: At) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise refused(self, value, at)
        for name in value:
            if name not in self.keys:
                raise Wrong((*at, name), f"there is no key {name!r} {_inside(at)}{nearest(name, self.keys, most=20)}")
        for name, key in self.keys.items():
            if key.required and name not in value:
                raise Wrong(at, f"{told(at)} has no {name!r}: write {key.kind.wanted} there.")
        here = [name for name in self.one_of if name in value]
        if self.one_of and len(here) != 1:
            found = f"has {' and '.join(here)}" if here else f"has none of {', '.join(self.one_of)}"
            raise Wrong((*at, here[-1]) if here else at, f"{told(at)} {found}: give it exactly one of them.")
        if self.some_of and not any(name in value for name in self.some_of):
            raise Wrong(at, f"{told(at)} has none of {', '.join(self.some_of)}: write {self.wanted}.")
        for name, other in self.needs.items():
            if name in value and other not in value:
                raise Wrong((*at, name), f"{told(at)} has {name!r} without {other!r}: write {self.keys[other].kind.wanted} there.")
        return {name: self.keys[name].kind.read(item, (*at, name)) for name, item in value.items()}

    def schema(self) -> dict[str, Any]:
        properties = {name: {"description": key.help, **key.kind.schema()} for name, key in self.keys.items()}
        found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
        if required := [name for name, key in self.keys.items() if key.required]:
            found["required"] = required
        if self.needs:
            found["dependentRequired"] = {name: [other] for name, other in self.needs.items()}
        if self.some_of:
            found["anyOf"] = [{"required": [name]} for name in self.some_of]
        return found | ({"oneOf": [{"required": [name]} for name in self.one_of]} if self.one_of else {})


def _inside(at: At) -> str:
    return f"in {told(at)}" if at else "at the top"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several kinds, which are told apart by what they take."""

    kinds: tuple[Kind, ...]
    wanted: str

    def takes(self, value: Any) -> bool:
        return any(kind.takes(value) for kind in self.kinds)

    def read(self, value: Any, at: At) -> Any:
        for kind in self.kinds:
            if kind.takes(value):
                return kind.read(value, at)
        raise refused(self, value, at)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [kind.schema() for kind in self.kinds]}
