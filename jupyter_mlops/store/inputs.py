"""Large files that the kernel did not stop to read: the worker reads them, if they are still what the cell saw."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import MlopsError
from ..records import to_json
from .objects import ObjectStore
from .state import Ledger

CHANGED = "changed before it could be read"
TOO_LARGE = "larger than keep"
_FILES = ("files_read", "files_written", "inputs")


def resolve(item: Mapping[str, Any], settings: Settings, ledger: Ledger, objects: ObjectStore) -> dict[str, Any]:
    """The Input, as JSON, with its digest, and its bytes kept within the budget `keep`; with a reason in `why` where that cannot be."""
    stat = tuple(item.get("stat") or ())
    if item.get("digest") or len(stat) != 3:
        if item.get("digest") and item.get("kept"):
            ledger.keep(str(item["digest"]), int(item.get("size") or 0))
        return dict(item)
    path = settings.project / str(item.get("source") or item["name"])
    known = ledger.file(str(path), stat)
    if known is None:
        known = _read(path, stat, settings, ledger, objects)
        ledger.set_file(str(path), stat, known)
    return dict(item) | known


def known(item: Any, settings: Settings, ledger: Ledger) -> Any:
    """The Input, as JSON, with what was read of its file since it was recorded; as it is where that is nothing."""
    if not isinstance(item, dict) or item.get("digest") or len(item.get("stat") or ()) != 3:
        return item
    found = ledger.file(str(settings.project / str(item.get("source") or item.get("name"))), item["stat"])
    return item if found is None else item | found


def with_digests(record: Any, digested: Callable[[Any], Any]) -> dict[str, Any]:
    """An execution or a run, as JSON, with each of its inputs and files as `digested` gives it."""
    told: dict[str, Any] = to_json(record)
    return told | {name: [digested(item) for item in told[name]] for name in _FILES if name in told}


def _read(path: Path, stat: tuple[int, ...], settings: Settings, ledger: Ledger, objects: ObjectStore) -> dict[str, Any]:
    from . import snapshots

    try:
        if _stat(path) != stat:
            return {"why": CHANGED}
        if ledger.kept() + stat[0] <= settings.keep:
            snapshot = snapshots.freeze_file(path, objects)
            found = {"digest": snapshot.digest, "kept": True, "why": ""}
        else:
            found = {"digest": snapshots.digest_file(path), "kept": False, "why": TOO_LARGE}
        if _stat(path) != stat:
            return {"why": CHANGED}
    except FileNotFoundError:
        return {"why": CHANGED}
    except (OSError, MlopsError) as error:
        return {"why": str(error)}
    if found["kept"]:
        ledger.keep(str(found["digest"]), stat[0])
    return found


def _stat(path: Path) -> tuple[int, ...]:
    found = os.stat(path)
    return (found.st_size, found.st_mtime_ns, found.st_ino)
