"""Secrets are taken out of code, outputs and settings before anything is written.

In code a secret becomes `secret("NAME")`, which replay resolves from the environment or a prompt; elsewhere it becomes `«secret NAME»`.
A secret is known by its name (`password = ...`), by its form (`FORMS`), or because the same text was seen under such a name before.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from . import secret_source
from .secret_forms import FORMS, Form, Kind, Spot, kind_of_name, looks_random, render, secret_part, words

__all__ = ["FORMS", "Form", "Redactor", "is_redacted", "stands_for", "without_credentials"]

# Texts that are too common to be replaced wherever they stand; under a secret name they still are.
_COMMON = words(
    """
    admin administrator anonymous changeme default demo example guest hello local localhost mysql password postgres public
    root secret string test token user username value
    """
) | words(
    # What the records themselves are made of: replaced there, they could not be read any more.
    """
    artifacts cells class data digest display error example failed finished flavor html image inputs killed kind metrics model models
    notebook outputs params parent plain python result running session skipped source started status stderr stdout stream tables
    tags text transport values
    """
)
_SHORTEST = 5
_MOST_SOURCES = 200
# Found in lower-cased text: a word that secret names have, and what stands between a name and its value.
_KEYWORD = r"(?:passw|passphrase|pwd|secret|token|key|credential|auth|pass|pw|pat)"
_GIVEN = re.compile(
    _KEYWORD
    + r"[\w.\-]{0,40}[\"'\])\\]{0,3}(?:\x1b\[[\d;]*m)*(?::\s?[a-z_][\w.\[\]| ]{0,30})?\s{0,3}(?:[:=]|=>|:=)(?=(?:\x1b\[[\d;]*m|\s)*\S{3})"
)
_FLAG = re.compile(r"--?[a-z\-]*" + _KEYWORD + r"[a-z\-]{0,20}(?=\s+[^\s\-])")
_JOINERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-")
_NAME_BEFORE = re.compile(r"[\w.\-]*\Z")
_NAME = re.compile(r"[\w.\-]*")
_VALUE = re.compile(
    r"""=?>?(?:\x1b\[[\d;]*m|\s){0,6}(?:[bru]{0,2}(?P<quote>\\?["'])(?P<quoted>(?:(?!(?P=quote))[^\n]){1,4096})(?P=quote)|(?P<bare>[^\s,;&"'<>()\[\]{}|]{1,4096}))"""
)
_MARK = re.compile("«secret [^»]*»")
# A password may hold an @ of its own, or the mark of one that was taken out.
_URL_USER = re.compile(r"(?<=://)(?:«secret [^»]*»|[^/?#\s])*@")


def without_credentials(url: str) -> str:
    """A URL, or a text with URLs in it, without the user and password before their hosts."""
    return _URL_USER.sub("", url)


def is_redacted(text: str) -> bool:
    """Whether secrets were taken out of a text."""
    return _MARK.search(text) is not None


def stands_for(redacted: str, whole: str) -> bool:
    """Whether a text may be `whole` with its secrets taken out."""
    return re.fullmatch(".+".join(map(re.escape, _MARK.split(redacted))), whole) is not None


class Redactor:
    """Finds secrets and replaces them; remembers the texts seen under secret names, to which `extra_names` are added."""

    def __init__(self, extra_names: Iterable[str] = ()) -> None:
        self._extra = frozenset(name.lower() for name in extra_names)
        self._names: dict[str, str] = {}
        self._values: dict[str, str] = {}
        self._known: dict[str, str] = {}
        self._sources: dict[tuple[str, int], str] = {}
        self._extra_given = tuple(re.compile(re.escape(name) + r"[\"']?\s{0,3}[:=]") for name in self._extra)

    def learn(self, name: str, value: str) -> str:
        """Remembers that `value` is the secret `name`; returns the name it goes by: the first one, numbered where two values share it."""
        if value in self._names:
            return self._names[value]
        base = re.sub(r"\W+", "_", name).strip("_") or "secret"
        unique, number = base, 1
        while unique in self._values:
            number += 1
            unique = f"{base}_{number}"
        self._names[value] = unique
        self._values[unique] = value
        if len(value) >= _SHORTEST and value.lower() not in _COMMON:
            self._known.update(dict.fromkeys(_spellings(value), unique))
        return unique

    def learn_source(self, source: str) -> None:
        """Remembers the literals that the source gives to secret names."""
        self.source(source)

    def learn_environment(self, environment: Mapping[str, str]) -> None:
        """Remembers the values of environment variables with secret names."""
        self.learn_values(environment)

    def learn_values(self, values: Mapping[str, Any]) -> None:
        """Remembers the texts that variables with secret names hold, such as what `getpass` returned."""
        for name, value in values.items():
            if isinstance(value, str) and len(value) <= 4096 and (kind := self.kind(name)) and (part := secret_part(kind, value)):
                self.learn(name, part)

    def within(self, data: bytes) -> str | None:
        """The name of a remembered secret that stands somewhere in these bytes; None when there is none."""
        return next((name for known, name in list(self._known.items()) if known.encode("utf-8", "surrogatepass") in data), None)

    def text(self, text: str) -> str:
        """Output, traceback, URL, diff or parameter with its secrets replaced by `«secret NAME»`."""
        return render(text, self.spots(text), "«secret {}»")

    def json(self, value: Any) -> Any:
        """The same for every text in JSON values; what stands under a secret key is replaced whole; images are left alone."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(key) if isinstance(key, str) else key: self._item(key, item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.json(item) for item in value]
        return value

    def source(self, source: str) -> str:
        """A cell's source with secret literals replaced by `secret("NAME")`: the same lines, and still valid Python (or IPython)."""
        # A cell's source is asked for as it begins and as it ends; only secrets that were learnt in between can make a difference.
        key = (source, len(self._names))
        if key not in self._sources:
            if len(self._sources) >= _MOST_SOURCES:
                self._sources.clear()
            self._sources[key] = secret_source.replace(source, self)
        return self._sources[key]

    def _item(self, key: Any, value: Any) -> Any:
        name = str(key)
        if isinstance(value, str):
            if name.startswith(("image/", "audio/", "video/")):
                return value
            kind = self.kind(name)
            part = secret_part(kind, value) if kind else None
            if part is not None:
                return value.replace(part, f"«secret {self.learn(name, part)}»")
        return self.json(value)

    def kind(self, name: str) -> Kind | None:
        """What a name promises, the user's own names included."""
        return "password" if name.lower() in self._extra else kind_of_name(name)

    def spots(self, text: str) -> list[Spot]:
        """Where the secrets of a text are, in order and apart."""
        spots = list(self._remembered(text))
        for form in FORMS:
            if any(anchor in text for anchor in form.anchors):
                spots += [
                    Spot(*match.span("secret"), self._names.get(match["secret"], form.name))
                    for match in form.pattern.finditer(text)
                    if form.accept(match["secret"]) and "«secret" not in match["secret"]
                ]
        spots += self._named(text)
        return _apart(spots)

    def _remembered(self, text: str) -> Iterator[Spot]:
        """Texts that were learnt, standing apart from other letters and digits."""
        for known, name in list(self._known.items()):  # other threads learn meanwhile
            at = text.find(known)
            while at >= 0:
                end = at + len(known)
                if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
                    yield Spot(at, end, name)
                at = text.find(known, end)

    def _named(self, text: str) -> Iterator[Spot]:
        """`password=...`, `"api_key": "..."`, `--token ...` in any text."""
        lowered = text.lower()
        if len(lowered) != len(text):  # a few letters change their length
            lowered = text
        for pattern in (_GIVEN, *self._extra_given):
            for match in pattern.finditer(lowered):
                at = match.start()
                # A bare `key` is no secret, and stands in every other output.
                if match[0].startswith("key") and lowered[at - 1 : at] not in _JOINERS:
                    continue
                spot = self._given_at(text, at, match.end(), match[0][-1])
                if spot is not None:
                    yield spot
        if " -" in lowered or lowered.startswith("-"):
            for match in _FLAG.finditer(lowered):
                spot = self._given_at(text, match.start(), match.end(), "=")
                if spot is not None:
                    yield spot

    def _given_at(self, text: str, at: int, end: int, separator: str) -> Spot | None:
        before, after, value = _NAME_BEFORE.search(text, max(0, at - 60), at), _NAME.match(text, at), _VALUE.match(text, end)
        if before is None or after is None or value is None:
            return None
        name = (before[0] + after[0]).strip("-.")
        kind = self.kind(name)
        group = "quoted" if value["quoted"] else "bare"
        part = secret_part(kind, value[group]) if kind else None
        if part is None or (group == "bare" and text[at] != "-" and _is_expression(part, text[value.end() : value.end() + 1], separator)):
            return None
        start = value.start(group) + value[group].index(part)
        return Spot(start, start + len(part), self._names.get(part, name.replace("-", "_")))


def _is_expression(value: str, after: str, separator: str) -> bool:
    """Whether a value without quotes is code (`password=config.password`, `token = tokens[0]`), or a word after a colon."""
    if after in ("(", "[") or kind_of_name(value.rpartition(".")[2]) is not None:
        return True
    return "=" not in separator and not looks_random(value) and all(character.isalnum() or character in "._-/:" for character in value)


def _spellings(value: str) -> set[str]:
    """The ways in which outputs and sources write the same text."""
    encoded = base64.b64encode(value.encode()).decode()
    return {value, repr(value)[1:-1], json.dumps(value)[1:-1], html.escape(value), quote(value, safe=""), quote(value), encoded}


def _apart(spots: list[Spot]) -> list[Spot]:
    kept: list[Spot] = []
    for spot in sorted(spots, key=lambda spot: (spot.start, -spot.end)):
        if not kept or spot.start >= kept[-1].end:
            kept.append(spot)
    return kept
