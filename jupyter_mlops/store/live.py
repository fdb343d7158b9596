"""Which stored objects something still refers to, and which journals are damaged."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import MlopsError, NewerFormat
from ..records import Problem
from . import journal
from .runs import fold_session
from .state import Ledger

if TYPE_CHECKING:
    from .objects import ObjectStore

_DIGEST = re.compile(r"[0-9a-f]{64}")


def needed(settings: Settings, ledger: Ledger, objects: ObjectStore) -> set[str]:
    """The digests of every object that a journal, a registered version or the result of a step refers to, but for runs that were deleted
    and transports of models that are in MLflow.

    A digest counts wherever it stands: what is not understood is kept. Raises StoreError when the shared state does not answer, and
    NewerFormat where only a newer version of this package could tell.
    """
    from .results import relied_upon
    from .shared import SharedState
    from .standings import Standings

    home = settings.home
    with contextlib.closing(SharedState(settings)) as state:
        roots = set(relied_upon(state)) | Standings(state).data()
    deleted = ledger.deleted()
    for path in journal.journals(home):
        records = journal.read(path)[0]
        session = fold_session(records)
        gone = {state.id for state in session.runs.values() if state.deleted or state.id in deleted}
        sent = {identifier: ledger.sent(path.stem, identifier) for identifier in session.runs}
        for record in records:
            if record.get("kind") == "run":
                if record["id"] in gone:
                    continue
                record = _without_saved_models(record, session.runs[record["id"]].models, sent[record["id"]].get("models", {}))
            roots.update(_digests(record))
    roots.update(digest for digest in ledger.read_digests() if digest)
    return roots | _below(roots, objects)


def damaged_journals(home: Path) -> Iterator[Problem]:
    """Lines that fail their checksum, but for the last one of a session that was killed while it wrote."""
    for path in journal.journals(home):
        data = path.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines()
        bad = [number for number, line in enumerate(lines, 1) if not journal.intact(line)]
        if bad:
            yield Problem(
                what=f"line {', '.join(map(str, bad[:5]))} of a journal is damaged",
                where=str(path),
                remedy="restore it from a backup; the other lines are read as before",
            )


def _without_saved_models(record: dict[str, Any], models: list[dict[str, Any]], saved: dict[str, Any]) -> dict[str, Any]:
    done = {model.get("transport") for number, model in enumerate(models) if saved.get(str(number))}
    return record | {
        "models": [{k: v for k, v in model.items() if k != "transport" or v not in done} for model in record.get("models") or ()]
    }


def _digests(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if _DIGEST.fullmatch(value):
            yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _digests(item)
    elif isinstance(value, list):
        for item in value:
            yield from _digests(item)


def _below(roots: set[str], objects: ObjectStore) -> set[str]:
    """What snapshots and environments are made of."""
    import json

    from . import snapshots

    found: set[str] = set()
    for digest in roots:
        try:
            found.update(snapshots.references(digest, objects))
        except NewerFormat:  # what it needs is not known
            raise
        except (MlopsError, ValueError, KeyError):
            try:
                found.update(_digests(json.loads(objects.get(digest))))
            except (MlopsError, ValueError):
                continue
    return found
