"""From a prediction back to the code and the data that made it, and from data or a version to the predictions that used it."""

from __future__ import annotations

import time
from ast import literal_eval
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from ...code.lifting import code_of
from ...code.slices import Executed, History, Wanted
from ...code.statements import analyse
from ...config import Settings
from ...errors import MlopsError
from ...records import Input, ModelVersion, Run, Trace, Usage
from ...replay.recording import recorded
from ...replay.slicing import sliced
from ...store import client, registry, snapshots
from ...store.objects import ObjectStore, open_objects
from ...store.standings import Standings
from . import labels, reading, redaction

T = TypeVar("T")
_RESULT = "result"


def of_prediction(settings: Settings, identifier: str) -> Trace:
    """Where a prediction comes from. Raises NotFound where the log has none of this id; whatever else cannot be had is in `missing`."""
    started = time.perf_counter()
    prediction = reading.find(settings, identifier)
    found = labels.history(settings, prediction.model, identifier)
    told = tuple({"truth": item["truth"], "at": item["at"].timestamp(), "source": item["source"]} for item in found)
    hidden = [name for name, value in prediction.inputs.items() if isinstance(value, str) and value.startswith(redaction.MARK)]
    missing = [f"The values of {', '.join(hidden)} are hidden: the log has hashes in their place."] if hidden else []
    trace = Trace(ref=identifier, prediction=prediction, labels=told)
    version = _had(missing, lambda: registry.version(settings, f"{prediction.model}/{prediction.version}"))
    trace = _down(settings, trace, version, missing)
    return replace(trace, missing=tuple(missing), seconds=time.perf_counter() - started)


def of_version(settings: Settings, ref: str) -> Trace:
    """Where the version that `ref` names (NAME/3, NAME@champion) comes from, and how often it predicted. Raises NotFound."""
    started = time.perf_counter()
    version = registry.version(settings, ref)
    missing: list[str] = []
    trace = _down(settings, Trace(ref=ref, used=usage(settings, version)), version, missing)
    return replace(trace, missing=tuple(missing), seconds=time.perf_counter() - started)


def usage(settings: Settings, version: ModelVersion) -> Usage:
    """The predictions that a version made."""
    first: float | None = None
    last: float | None = None
    rows = reading.counts(settings, version.name, version.version).get(version.version, 0)
    if rows:
        for batch in reading.batches(settings, version.name, version=version.version, columns=["at"]):
            bounds = pc.min_max(batch.column("at").cast(pa.int64())).as_py()
            first = min(bounds["min"] / 1000, first if first is not None else bounds["min"] / 1000)
            last = max(bounds["max"] / 1000, last if last is not None else bounds["max"] / 1000)
    return Usage(model=version.name, version=version.version, run=version.run, predictions=rows, first=first, last=last)


def users(settings: Settings, digest: str, runs: Collection[str]) -> tuple[Usage, ...]:
    """The versions that data went into, with their predictions: those of these runs, and those trained or tested on a snapshot whose digest
    starts so."""
    standings = Standings(registry.state_of(settings))
    found = []
    for name in sorted({*standings.names(), *reading.models(settings)}):
        for version in standings.versions(name):
            digests = (version.reference, version.test)
            if version.run in runs or any(known and known.startswith(digest) for known in digests):
                found.append(usage(settings, version))
    return tuple(found)


def _down(settings: Settings, trace: Trace, version: ModelVersion | None, missing: list[str]) -> Trace:
    """The trace from its version down to the data."""
    if version is None:
        return trace
    run = None
    if version.run:
        run = _had(missing, lambda: Run.from_json(client.ask(settings, "run", ref=version.run)))
    else:
        missing.append(f"The registry does not say which run made version {version.version} of {version.name}.")
    objects = open_objects(settings)
    found = _had(missing, lambda: _code(run, settings, objects)) if run is not None else None
    data = [
        *(_input(item, missing) for item in map(Input.of, run.inputs if run is not None else ())),
        *(_snapshot(objects, version, role, missing) for role in ("training", "test") if _digest(version, role)),
    ]
    if run is not None and not data:
        missing.append(f"Run {run.name} recorded no data.")
    return replace(
        trace, version=version, run=run, code=found[0] if found is not None else "",
        statements=found[1:] if found is not None else (0, 0), data=tuple(data),
    )  # fmt: skip


def _code(run: Run, settings: Settings, objects: ObjectStore) -> tuple[str, int, int]:
    """The minimal code of a run, how many statements it has, and of how many that ran. Raises MlopsError."""
    source = run.pipeline.get("source", "")
    if run.cells or not source or source.endswith(".ipynb"):
        found = sliced(recorded(run.own_id or run.id, settings))
        return found.source, found.kept, found.executed
    place, _, function = source.rpartition(":")
    files = {item.name: item.digest for item in map(Input.of, run.inputs) if item.source == item.name}
    digest = files.get(place) or files.get(f"{place.replace('.', '/')}.py")
    if not digest:
        return source, 1, 1  # a command
    text = str(snapshots.load(digest, objects).decode("utf-8", "replace"))
    # Values, not names: the file may have such names, too.
    given = {name: _literal(value) for name, value in run.params.items()}
    given |= {item.name: repr(item.source) for item in map(Input.of, run.inputs) if item.source != item.name}
    whole = f"{text.rstrip()}\n\n{_RESULT} = {function}({', '.join(f'{name}={value}' for name, value in given.items())})\n"
    history = History([Executed(1, analyse(whole))])
    steps = [history.steps[number] for number in history.behind(Wanted(frozenset({_RESULT})))]
    return "\n".join(part.source for part in code_of(steps, {1: whole}).whole), len(steps), len(history.steps)


def _literal(value: Any) -> str:
    """A parameter as code; MLflow keeps all of them as texts."""
    try:
        return repr(literal_eval(value)) if isinstance(value, str) else repr(value)
    except (ValueError, SyntaxError, RecursionError):
        return repr(value)


def _had(missing: list[str], get: Callable[[], T]) -> T | None:
    """What can be had; where not, the reason goes to what is missing."""
    try:
        return get()
    except MlopsError as error:
        missing.append(str(error))
        return None


def _input(item: Input, missing: list[str]) -> dict[str, Any]:
    if not item.digest:
        missing.append(f"The data {item.name} has no digest{': ' + item.why if item.why else ''}.")
    elif not item.kept:
        why = item.why or "only its digest was recorded"
        told = f"The bytes of {item.name} ({item.digest[:12]}) are not here: {why}"
        missing.append(f"{told}; the digest tells whether other data is the same.")
    return {
        "name": item.name, "role": "input", "kind": item.kind, "digest": item.digest or "", "rows": item.rows, "kept": bool(item.kept),
        "source": item.source or "",
    }  # fmt: skip


def _digest(version: ModelVersion, role: str) -> str:
    return version.reference if role == "training" else version.test


def _snapshot(objects: ObjectStore, version: ModelVersion, role: str, missing: list[str]) -> dict[str, Any]:
    digest = _digest(version, role)
    name = f"{role} data of {version.name}/{version.version}"
    described = _had([], lambda: snapshots.describe(digest, objects))
    if described is None:
        missing.append(f"The bytes of the {name} ({digest[:12]}) are not in this store; the digest tells whether other data is the same.")
        return {"name": name, "role": role, "kind": "", "digest": digest, "rows": None, "kept": False, "source": ""}
    return {
        "name": name, "role": role, "kind": described.kind, "digest": digest, "rows": described.rows, "kept": described.kept, "source": "",
    }  # fmt: skip
