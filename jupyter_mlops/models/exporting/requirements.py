"""The packages that a model's service needs, each with its version: what it imports, what the model's files need, and what those need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from ...errors import UsageError

QUICKER = ("httptools", "uvloop")
"""With them the service answers sooner; it does without where they are not installed."""
SERVICE = (
    "blake3", "cyclopts", "fsspec", "numpy", "orjson", "packaging", "pandas", "prometheus-client", "psutil", "pyarrow", "PyYAML", "rich",
    "scikit-learn", "skops", "SQLAlchemy", "uvicorn",
)  # fmt: skip
"""What the service itself imports."""

OURS = "jupyter-mlops"


@dataclass(frozen=True, slots=True)
class Lock:
    """`lines` are `name==version`, sorted; `notes` say which of them are not what the model was trained with."""

    lines: tuple[str, ...]
    notes: tuple[str, ...] = ()


def locked(wanted: Iterable[str], recorded: Mapping[str, str]) -> Lock:
    """The requirements of a service for a model that needs `wanted` (such as `scikit-learn==1.6.1`), with all that these need in turn.

    Versions are those of the run that made the model (`recorded`, name to version), else those of `wanted`, else the installed ones. What
    a package needs is asked of the installed ones: raises UsageError for one that is not installed.
    """
    asked = {_plain(item.name): item for item in map(_requirement, wanted) if item is not None}
    versions = {_plain(name): version for name, version in recorded.items()}
    versions = {name: _exact(item) or "" for name, item in asked.items()} | versions
    found: dict[str, tuple[str, str]] = {}
    waiting = [(_plain(name), frozenset[str]()) for name in (*SERVICE, *filter(_is_installed, QUICKER))]
    waiting += [(name, frozenset(item.extras)) for name, item in asked.items()]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) in seen or name == OURS:
            continue
        seen.add((name, extras))
        installed = _installed(name)
        found[name] = (installed.name, installed.version)
        waiting += _needs(installed, extras)
    lines = tuple(f"{found[name][0]}=={versions.get(name) or found[name][1]}" for name in sorted(found))
    other = sorted(f"{found[name][0]} {versions[name]} (here {found[name][1]})" for name in found if versions.get(name, "") not in
                   ("", found[name][1]))  # fmt: skip
    notes = (f"Other versions than here, as the model was trained with them: {', '.join(other)}.",) if other else ()
    return Lock(lines, notes)


def _plain(name: str) -> str:
    """A package's name in the one way in which names are compared."""
    return str(canonicalize_name(name))


def _installed(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise UsageError(f"The service needs {name}, which is not installed here: install it, then export again.") from None


def _is_installed(name: str) -> bool:
    return next(iter(metadata.distributions(name=name)), None) is not None


def _needs(installed: metadata.Distribution, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    found = []
    for text in installed.requires or ():
        item = _requirement(text)
        if item is not None and (item.marker is None or any(item.marker.evaluate({"extra": extra}) for extra in (extras or {""}))):
            found.append((_plain(item.name), frozenset(item.extras)))
    return found


def _requirement(text: str) -> Requirement | None:
    """A requirement without its address, if it has one: a lock names no places."""
    try:
        return Requirement(re.sub(r"\s+#.*$", "", text).strip())
    except InvalidRequirement:
        return None


def _exact(item: Requirement) -> str | None:
    exact = [part.version for part in item.specifier if part.operator in ("==", "===")]
    return exact[0] if len(exact) == 1 and "*" not in exact[0] else None
