"""The installed distributions that code needs, and their versions: those it imports, with all that they require."""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .memory import Memory

OWN = "jupyter-mlops"
"""This package: it records what a step does and changes no result, so that no key depends on it."""
_PYTHON = "python"
_NAME, _VERSION = re.compile(r"^Name: *(\S+)", re.MULTILINE), re.compile(r"^Version: *(\S+)", re.MULTILINE)
_REQUIRES = re.compile(r"^Requires-Dist: *(.+)", re.MULTILINE)
_CODE = (".py", ".so", ".pyd")
_REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([^"']+)["']""")


class Distributions:
    """What is installed in this Python. Reading it all takes a second, so it is remembered until something is installed or removed."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._read: Mapping[str, Any] | None = None
        self._needed: dict[frozenset[str], dict[str, str]] = {}

    def has(self, module: str) -> bool:
        """Whether a top-level module belongs to a distribution whose files are where they were installed to."""
        return module in self._index["modules"]

    def needed(self, modules: Iterable[str]) -> dict[str, str]:
        """{name: version} of the distributions of these top-level modules, with all that they require. Names are normalised (PEP 503)."""
        asked = frozenset(modules)
        if asked not in self._needed:
            known = self._index["modules"]
            waiting = [(name, "") for module in sorted(asked) for name in known.get(module, ())]
            found: set[tuple[str, str]] = set()
            while waiting:
                item = waiting.pop()
                if item in found or item[0] not in self._index["versions"] or item[0] == OWN:
                    continue
                found.add(item)
                name, extra = item
                for required, extras, condition in self._index["requires"].get(name, ()):
                    if condition in ("", extra):
                        waiting += [(required, ""), *((required, wanted) for wanted in extras)]
            self._needed[asked] = {name: self._index["versions"][name] for name in sorted({name for name, _ in found})}
        return self._needed[asked]

    def direct(self, modules: Iterable[str]) -> dict[str, str]:
        """{name: version} of the distributions of these modules alone."""
        names = {name for module in modules for name in self._index["modules"].get(module.partition(".")[0], ())}
        return {name: self._index["versions"][name] for name in sorted(names - {OWN})}

    def version(self, name: str) -> str | None:
        """The version of an installed distribution."""
        found: str | None = self._index["versions"].get(name)
        return found

    def unlike(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """How this Python differs from the environment part of a key, in words; empty where it does not."""
        here = {name: python() if name == _PYTHON else self.version(name) for name in environment}
        differ = {name: version for name, version in environment.items() if here[name] != version}
        return tuple(f"{name} {here[name] or 'is not there'} instead of {version}" for name, version in differ.items())

    def all(self) -> dict[str, str]:
        """{name: version} of everything installed."""
        return {name: version for name, version in self._index["versions"].items() if name != OWN}

    def forget(self) -> None:
        """Look again at what is installed."""
        self._read = None
        self._needed.clear()

    @property
    def _index(self) -> Mapping[str, Any]:
        if self._read is None:
            stamp = _stamp()
            self._read = self._memory.get("distributions", sys.prefix, stamp)
            if self._read is None:
                self._read = _read_all()
                self._memory.put("distributions", sys.prefix, stamp, self._read)
        return self._read


def python() -> str:
    """The version of this Python, with the name of its implementation where that is not the usual one."""
    version = ".".join(map(str, sys.version_info[:3]))
    return version if sys.implementation.name == "cpython" else f"{sys.implementation.name} {version}"


def normal(name: str) -> str:
    """A distribution's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def places() -> list[str]:
    """The folders of this Python that distributions are installed to."""
    found = [entry for entry in sys.path if os.path.basename(entry.rstrip(os.sep)) in ("site-packages", "dist-packages")]
    return list(dict.fromkeys([*found, *_own()]))


@cache
def _own() -> tuple[str, ...]:
    return tuple(sysconfig.get_paths()[key] for key in ("purelib", "platlib"))


def _stamp() -> str:
    """Installing and removing changes the time of a folder."""
    return json.dumps([(place, os.stat(place).st_mtime_ns) for place in places() if os.path.isdir(place)])


def _read_all() -> dict[str, Any]:
    modules: dict[str, list[str]] = {}
    versions: dict[str, str] = {}
    requires: dict[str, list[Any]] = {}
    for folder in _folders():
        # Python's own reader takes six times as long, most of it for the descriptions.
        head = _text(folder, "METADATA", "PKG-INFO").partition("\n\n")[0]
        named, version = _NAME.search(head), _VERSION.search(head)
        name = normal(named[1]) if named else ""
        if not named or not version or name in versions:
            # The first one on the path is imported.
            continue
        versions[name] = version[1] + _build(folder)
        listed = [*_REQUIRES.findall(head), *_text(folder, "requires.txt").partition("[")[0].splitlines()]
        requires[name] = [_required(line) for line in listed]
        if not _is_link(folder):
            for module in _modules(folder):
                modules.setdefault(module, []).append(name)
    return {"modules": modules, "versions": dict(sorted(versions.items())), "requires": requires}


def _folders() -> Iterator[Path]:
    for place in places():
        if os.path.isdir(place):
            yield from (Path(entry.path) for entry in os.scandir(place) if entry.name.endswith((".dist-info", ".egg-info")))


def _text(folder: Path, *names: str) -> str:
    """The first of some files of a distribution's folder, which itself may be the file; "" without any."""
    for path in (*(folder / name for name in names), *([folder] if "PKG-INFO" in names else [])):
        with suppress(OSError):
            return path.read_text(encoding="utf-8", errors="replace")
    return ""


def _required(line: str) -> tuple[str, list[str], str]:
    """The name, the extras that are asked of it, and the extra under which it is required at all ("" for always).

    Other conditions (the platform, the version of Python) do not matter: what they rule out is not installed.
    """
    what, _, condition = line.partition(";")
    found, extra = _REQUIREMENT.match(what), _EXTRA.search(condition)
    extras = [normal(item.strip()) for item in (found[2] or "").split(",") if item.strip()] if found else []
    return normal(found[1]) if found else "", extras, normal(extra[1]) if extra else ""


def _is_link(folder: Path) -> bool:
    """Whether its code is elsewhere, where it is edited (PEP 660)."""
    try:
        origin = json.loads(_text(folder, "direct_url.json") or "{}")
    except ValueError:
        return False
    return bool((origin.get("dir_info") or {}).get("editable"))


def _build(folder: Path) -> str:
    """What tells two installations of one version from each other, where no index gave it: a project's own package is changed and installed
    again without a new version. "" for all others; conda's name the folder that they were built in, and have a version for each build."""
    if not _text(folder, "direct_url.json") or _is_link(folder) or _text(folder, "INSTALLER").strip() == "conda":
        return ""
    listed = [line for line in _text(folder, "RECORD").splitlines() if line.split(",")[0].endswith(_CODE) and not line.startswith("..")]
    return f" {hashlib.blake2b(chr(10).join(sorted(listed)).encode(), digest_size=8).hexdigest()}"


def _modules(folder: Path) -> set[str]:
    if listed := _text(folder, "top_level.txt").split():
        return {name.partition("/")[0] for name in listed}
    found = set()
    for line in _text(folder, "RECORD").splitlines():
        top, below, rest = line.removeprefix('"').rpartition(",")[0].rpartition(",")[0].removesuffix('"').partition("/")
        if below:
            if not top.endswith((".dist-info", ".egg-info", ".data")) and top != ".." and rest.endswith(_CODE):
                found.add(top)
        elif top.endswith((*_CODE, ".pth")):
            found.add(top.partition(".")[0])
    return found
