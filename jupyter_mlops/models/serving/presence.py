"""Which services of a project run on this machine: each leaves a card beside the store for as long as it answers.

A card is no proof: whoever reads it asks the service itself, and takes away the card of a process that ended without doing so.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...config import Settings
from ...store import leases
from ...store.journal import make_private

if TYPE_CHECKING:
    from .server import Service

_PATIENCE = 1.0
_LONGEST = 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """A service that said it answers: the model that it was asked to serve (`asked`), and the version that it began with.

    `process` names its process among all of this machine (see `leases.process`), `since` is when it began to answer.
    """

    name: str
    asked: str
    url: str
    version: int
    workers: int
    process: str
    since: float


@contextlib.contextmanager
def noted(settings: Settings) -> Iterator[Noted]:
    """What notes a service once it answers; its card goes when the block ends. A disk that takes nothing is no reason not to serve."""
    card = Noted(_folder(settings) / f"{os.getpid()}.json")
    try:
        yield card
    finally:
        with contextlib.suppress(OSError):
            card.path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Noted:
    """The card of the service of this process."""

    path: Path

    def answers(self, service: Service, asked: str) -> None:
        """Write that the service answers."""
        told = Presence(
            name=service.name, asked=asked, url=service.url, version=service.version, workers=service.workers,
            process=leases.process(), since=time.time(),
        )  # fmt: skip
        with contextlib.suppress(OSError):
            make_private(self.path.parent)
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(told)), encoding="utf-8")
            fresh.replace(self.path)


def present(settings: Settings) -> tuple[Presence, ...]:
    """The services whose processes still run here, by name, the latest first."""
    found: list[Presence] = []
    names = {item.name for item in fields(Presence)}
    for path in _folder(settings).glob("*.json"):
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            card = Presence(**{name: told[name] for name in names})
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if leases.is_gone(card.process):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        else:
            found.append(card)
    return tuple(sorted(found, key=lambda card: (card.name, -card.since)))


def standing(card: Presence) -> dict[str, Any]:
    """What the service says at /ready: {"ready", "versions", "loading", "notes"}; {} where it does not answer within a second."""
    try:
        address = urlsplit(card.url)
        connection = HTTPConnection(address.hostname or "", address.port or 80, timeout=_PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", "/ready")
            told = json.loads(connection.getresponse().read(_LONGEST))
    except (OSError, ValueError, HTTPException):
        return {}
    return told if isinstance(told, dict) and told.get("model") == card.name else {}


def _folder(settings: Settings) -> Path:
    return settings.home / "serving"
