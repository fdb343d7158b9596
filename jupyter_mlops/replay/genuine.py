"""Refuses a record that was altered after it was made: before anything of it runs, by the name of what was altered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from blake3 import blake3

from ..config import Settings
from ..errors import Altered, Corrupt, MlopsError, NotFound, NotKept
from ..records import Input, Output
from ..store import client, snapshots
from ..store.objects import ObjectStore
from .recording import Recording


def refuse_altered(recording: Recording, settings: Settings, objects: ObjectStore) -> None:
    """Check the journal, the history and models in MLflow, and every stored byte that the recording refers to. Raises Altered."""
    for what, where in client.ask(settings, "altered", ref=recording.run.own_id or recording.run.id):
        raise Altered(what, where)
    checked: set[str] = set()
    for what, digest in _snapshots(recording):
        if digest not in checked:
            checked.add(digest)
            _check_snapshot(what, digest, objects)
    for what, digest in _objects(recording):
        if digest not in checked:
            checked.add(digest)
            with suppress(NotKept):
                _reading(what, objects, digest)


def _snapshots(recording: Recording) -> Iterator[tuple[str, str]]:
    for event in recording.events:
        for file in (*event.files_read, *event.files_written):
            item = Input.of(file)
            if item.digest:
                yield f"The file {item.name!r}", item.digest
        for name, digests in event.fetched.items():
            yield from ((f"The snapshot of {name!r}", given[0]) for given in digests)
    for run in recording.runs:
        for given in run.inputs:
            item = Input.of(given)
            if item.digest:
                yield f"The snapshot of {item.name!r}", item.digest
    for tables in recording.tables.values():
        yield from ((f"The table {table['name']!r}", table["digest"]) for table in tables)


def _objects(recording: Recording) -> Iterator[tuple[str, str]]:
    for models in recording.models.values():
        for model in models:
            yield from ((f"The model {model['name']!r}", model[part]) for part in ("transport", "example") if model.get(part))
    for event in recording.events:
        for output in event.outputs:
            data: Mapping[str, Any] = (Output.of(output)).data
            for value in data.values():
                if isinstance(value, Mapping) and set(value) == {"object", "size"}:
                    yield f"An output of cell [{event.seq}]", value["object"]
    for _, module in recording.modules:
        yield f"The module {module['module']!r}", module["digest"]


def _check_snapshot(what: str, digest: str, objects: ObjectStore) -> None:
    with suppress(NotKept, NotFound):
        if not objects.has_manifest(digest):
            return
        try:
            value = snapshots.load(digest, objects)
            genuine = _is(value, digest)
        except Corrupt:
            genuine = False
        except (NotKept, NotFound):
            raise
        except (MlopsError, ImportError, ValueError, KeyError, TypeError):
            return  # of a library that is not here: whoever needs it will say so
        if not genuine:
            raise Altered(what, f"{objects.where} ({digest[:12]})")


def _is(value: Any, digest: str) -> bool:
    if isinstance(value, bytes):
        return bool(blake3(value).hexdigest() == digest)
    # The files of a folder were checked as they were read.
    return isinstance(value, Mapping) or snapshots.digest(value) == digest


def _reading(what: str, objects: ObjectStore, digest: str) -> None:
    try:
        objects.get(digest)
    except Corrupt:
        raise Altered(what, f"{objects.where} ({digest[:12]})") from None
