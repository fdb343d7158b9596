"""YAML read as plain values that remember their lines.

Scalars are those of YAML 1.2 (`on` is a text, `1e-3` a number), but that whole numbers with zeros in front stay texts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from ...errors import PipelineError
from .wording import shown

At: TypeAlias = tuple[str | int, ...]
"""Where a value stands: the keys and numbers that lead to it."""

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TAG = "tag:yaml.org,2002:"
_MOST = 200_000
"""Values in one file: aliases of aliases could make it endless."""


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds: plain `values`, and the line (from 1) of each key and list item.

    `bare` are the tables that are written `{name}`, which are seldom meant to be tables.
    """

    file: str
    values: Any
    lines: Mapping[At, int] = field(default_factory=dict)
    bare: Mapping[At, str] = field(default_factory=dict)

    def line(self, at: At) -> int:
        """The line of a value, or of the nearest one around it."""
        while at and at not in self.lines:
            at = at[:-1]
        return self.lines.get(at, 1)

    def error(self, at: At, what: str) -> PipelineError:
        """An error about the value at a place."""
        return PipelineError(what, self.file, self.line(at))


def read(path: Path) -> Document:
    """Read a YAML file of one document. Raises PipelineError for what is no YAML, keys that stand twice, and tags."""
    file = shown(path)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise PipelineError("it is no text in UTF-8: save it so.", file, path.read_bytes()[: error.start].count(b"\n") + 1) from None
    except OSError as error:
        raise PipelineError(f"it cannot be read ({error.strerror or error}).", file) from None
    if (control := _CONTROL.search(text)) is not None:
        raise PipelineError("a control character stands here: take it out.", file, text.count("\n", 0, control.start()) + 1)
    lines: dict[At, int] = {}
    bare: dict[At, str] = {}
    try:
        node = _composed(text)
        values = None if node is None else _Builder(file, lines, bare).value(node, ())
        return Document(file, values, lines, bare)
    except yaml.YAMLError as error:
        raise _unreadable(error, text, file) from None
    except RecursionError:
        raise PipelineError("its lists and tables are nested too deep: write it flatter.", file) from None


class _Loader(yaml.BaseLoader):
    """Knows which plain scalars are no texts; written in Python, for where the library has no faster one."""


_DIGITS = list("-+0123456789")
for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+", _DIGITS),
    ("float", r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", [*_DIGITS, "."]),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


def _composed(text: str) -> yaml.Node | None:
    if not yaml.__with_libyaml__:
        return _Loader(text).get_single_node()

    class Fast(yaml.CBaseLoader):
        yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    return Fast(text).get_single_node()


def _unreadable(error: yaml.YAMLError, text: str, file: str) -> PipelineError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line = mark.line + 1 if mark is not None else 1
    lines = text.splitlines()
    for number in (line, line - 1):
        written = lines[number - 1] if 0 < number <= len(lines) else ""
        if "\t" in written[: len(written) - len(written.lstrip())]:
            return PipelineError("a tab indents this line: indent with spaces.", file, number)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    if "document" in str(getattr(error, "context", "")):
        return PipelineError("a second document begins here: keep one pipeline in a file.", file, line)
    return PipelineError(f"this is no YAML ({problem}): mend this line, or the one above it.", file, line)


_SCALARS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "null": lambda text: None,
    "bool": lambda text: text.lower() == "true",
    "int": lambda text: int(text, 0),
    "float": lambda text: float(text.lower().replace(".inf", "inf").replace(".nan", "nan")),
}


@dataclass(slots=True)
class _Builder:
    """Makes plain values of nodes, and notes their lines."""

    file: str
    lines: dict[At, int]
    bare: dict[At, str]
    open: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, at: At) -> Any:
        self.lines.setdefault(at, node.start_mark.line + 1)
        if len(self.lines) > _MOST or id(node) in self.open:
            raise PipelineError("its aliases repeat themselves without end: write the values out.", self.file, node.start_mark.line + 1)
        kind = node.tag.removeprefix(_TAG)
        try:
            if isinstance(node, yaml.ScalarNode):
                return _SCALARS[kind](node.value)
            if kind not in ("seq", "map"):
                raise KeyError(kind)
        except (KeyError, ValueError):
            what = f"the tag {kind!r} means nothing here: leave it out, or put the text into quotes."
            raise PipelineError(what, self.file, node.start_mark.line + 1) from None
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*at, number)) for number, item in enumerate(node.value)]
            found = {key: self.value(item, (*at, key)) for key, item in self._pairs(node, at)}
            if isinstance(node, yaml.MappingNode) and node.flow_style and list(found.values()) == [None] and not node.value[0][1].value:
                self.bare[at] = next(iter(found))
            return found
        finally:
            self.open.discard(id(node))

    def _pairs(self, node: yaml.Node, at: At) -> Iterator[tuple[str, yaml.Node]]:
        seen: dict[str, int] = {}
        for key, item in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise PipelineError("a list or table is used as a key here: give it a plain name.", self.file, line)
            name = str(key.value)
            if name in seen:
                raise PipelineError(f"the key {name!r} stands here again, after line {seen[name]}: keep one of them.", self.file, line)
            seen[name] = self.lines[(*at, name)] = line
            yield name, item
