"""Seals: digests of what was recorded, taken as it is written, so that what was altered afterwards is refused and never replayed.

A journal only grows: its seal is the BLAKE3 of its first so many bytes, kept in the ledger. A run's history and models carry theirs in the
run's tag `mlops.seals`. Objects need none, since they are found by their own digests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blake3 import blake3

from .attachments import HISTORY
from .model_folders import folder_digest
from .state import Ledger
from .tracking_server import Refused, TrackingServer, Unreachable

TAG = "mlops.seals"
_PIECE = 2**20


def seal_journal(ledger: Ledger, session: str, path: Path, position: int) -> None:
    """Seal the first `position` bytes of a session's journal; one whose earlier seal is broken, or reaches further, keeps that.

    What was sealed before is read again each time: a seal never covers what was altered in between.
    """
    hasher, done = blake3(), 0
    earlier = ledger.seal(session)
    if earlier is not None:
        done = earlier[0]
        _feed(hasher, path, 0, done)
        if done > position or hasher.hexdigest() != earlier[1]:
            return
    if path.stat().st_size >= position:
        _feed(hasher, path, done, position)
        ledger.set_seal(session, position, hasher.hexdigest())


def journal_digest(path: Path, position: int) -> str:
    """The digest of a journal's first `position` bytes; "" of one that is shorter."""
    try:
        if path.stat().st_size < position:
            return ""
        hasher = blake3()
        _feed(hasher, path, 0, position)
    except OSError:
        return ""
    return str(hasher.hexdigest())


def content_digest(content: bytes) -> str:
    """The digest of a file's content."""
    return str(blake3(content).hexdigest())


def model_digest(server: TrackingServer, uri: str) -> str:
    """The digest of a model in MLflow; "" when it cannot be had."""
    try:
        return _digest_there(server, uri)
    except (Unreachable, OSError):
        return ""


def _digest_there(server: TrackingServer, uri: str) -> str:
    """The digest of a model in MLflow; "" when it is not there. Raises Unreachable when MLflow does not answer."""
    from mlflow.artifacts import download_artifacts

    try:
        with server.calling():
            return folder_digest(Path(download_artifacts(artifact_uri=uri, tracking_uri=server.uri)))
    except Refused:
        return ""


def model_files(server: TrackingServer, run_id: str, name: str) -> Path | None:
    """The files of the last model of this name that was sealed for a run; None where there is none."""
    from mlflow.artifacts import download_artifacts

    try:
        seals: Mapping[str, Any] = json.loads(server.get_run(run_id).data.tags.get(TAG) or "{}")
        for uri, model in reversed((seals.get("models") or {}).items()):
            if model["name"] == name:
                with server.calling():
                    return Path(download_artifacts(artifact_uri=uri, tracking_uri=server.uri))
    except (Refused, Unreachable, OSError, ValueError):
        return None
    return None


def altered(server: TrackingServer, run_id: str) -> Iterator[tuple[str, str]]:
    """What of a run in MLflow is not as it was written: what it is, and where. Raises Unreachable when MLflow does not answer."""
    try:
        tags = server.get_run(run_id).data.tags
    except Refused:
        return
    seals = _seals(tags.get(TAG) or "{}")
    if seals is None:
        yield f"The tag {TAG}", f"the tags of run {run_id[:8]}"
        return
    if seals.get("history"):
        try:
            with server.calling() as client:
                content = Path(client.download_artifacts(run_id, HISTORY)).read_bytes()
        except Refused:
            content = b""
        if content_digest(content) != seals["history"]:
            yield f"The notebook {os.path.basename(HISTORY)}", f"the artifacts of run {run_id[:8]}"
    for uri, model in (seals.get("models") or {}).items():
        if _digest_there(server, uri) != model["digest"]:
            yield f"The model {model['name']!r}", uri


def _seals(tag: str) -> Mapping[str, Any] | None:
    """What a run's tag tells; None of one that is not as it was written."""
    try:
        seals = json.loads(tag)
        models = seals.get("models") or {}
        whole = all(model.keys() >= {"name", "digest"} for model in models.values())
    except (ValueError, AttributeError):
        return None
    return seals if whole else None


def altered_journal(ledger: Ledger, session: str, path: Path) -> bool:
    """Whether the journal of a session was changed after it was sealed. One that is gone was not: the run's history in MLflow is left."""
    sealed = ledger.seal(session)
    return sealed is not None and path.exists() and journal_digest(path, sealed[0]) != sealed[1]


def _feed(hasher: Any, path: Path, start: int, stop: int) -> None:
    with path.open("rb") as file:
        file.seek(start)
        while start < stop and (piece := file.read(min(_PIECE, stop - start))):
            hasher.update(piece)
            start += len(piece)
