"""Registering the model of a run, with the data that it was fitted on and the data that it is checked on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...errors import StoreError, UsageError
from ...records import CellEvent, ModelVersion, Run
from ...store import client, registry
from ...store.audit import Audit
from ...store.model_folders import inspect, judged
from ...store.objects import open_objects
from ...store.registry_tags import tags_of
from ...store.standings import Standing, Standings
from .. import settings as model_settings
from ..gates.gathering import frame_of
from .finding import Finder, Found, named_in

if TYPE_CHECKING:
    from ...store.objects import ObjectStore

_FEW = 20
_WORD = re.compile(r"\w+")


def register(
    settings: Settings,
    run: Run,
    name: str,
    *,
    reference: Any = None,
    test: Any = None,
    target: str | None = None,
    who: str,
    names: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Register the model of a run as the next version of `name`; the same run again gives the same version, with what is given anew.

    Args:
        settings: the project's.
        run: the run whose model it is.
        name: the registered model.
        reference: the frame that it was fitted on, with the column of the truth: a value, a path, or the digest of a snapshot
            (default: what [tool.mlops.models.NAME] names, else found in what the run recorded).
        test: the frame that it is checked on, likewise.
        target: the column of the truth (default: found).
        who: who registers it.
        names: the names of the open notebook, in which data is looked for by its digest.

    Raises ModelRefused for a model that may not be loaded, NotFound for a run without one, UsageError for a name that MLflow refuses.
    """
    if not name or any(character in name for character in "/:@") or name != name.strip():
        raise UsageError(f"{name!r} cannot be the name of a model: MLflow takes none with / or :, and @ stands before an alias.")
    own = model_settings.of(settings, name)
    run = registry.delivered(settings, run)
    made = registry.of_run(settings, run)
    folder = registry.download(settings, made)
    trusted = judged(inspect(folder, made.name), settings, f"The model of run {run.id[:8]}")
    model = registry.load(settings, made)
    known = _known(settings, name, made)
    given = replace(made, name=name, by=who, trusted=trusted, target=target or own.target)
    if known is not None:
        given = replace(given, by=known.by, release=known.release, tags=known.tags)
    objects = open_objects(settings)
    data = tuple(own_part if part is None else part for part, own_part in ((reference, own.reference), (test, own.test)))
    version = _with_data(settings, given, known, Finder(run, given, objects, names or {}, _cells(settings, run)), data, objects)
    version = replace(version, task=_task(settings, model, version))
    if known is not None and _data(known) == _data(version):
        return registry.version(settings, f"{name}/{known.version}")
    return _keep(settings, version, who, known)


def held_out(settings: Settings, run: Run, model: Any, names: Mapping[str, Any]) -> tuple[Found, Found]:
    """What a model of the open notebook was fitted on, and what it was tried on, as the run of its fit recorded them."""
    cells = _cells(settings, run)
    own = {name for name, value in names.items() if value is model}
    if not any(own.intersection(_WORD.findall(cell.source)) for cell in cells):
        unknown = Found(None, why=f"no cell of its last run has this {type(model).__name__}")
        return unknown, unknown
    columns = [{"name": str(name)} for name in getattr(model, "feature_names_in_", ())]
    version = ModelVersion(name="", version=0, run=run.id, signature={"inputs": columns})
    finder = Finder(run, version, open_objects(settings), names, cells)
    reference = finder.reference()
    return reference, finder.test(reference.target, reference.frame)


def _known(settings: Settings, name: str, made: ModelVersion) -> ModelVersion | None:
    """The version that was made of this very model before."""
    there = Standings(registry.state_of(settings)).versions(name)
    return next((item for item in there if (item.run, item.source, item.digest) == (made.run, made.source, made.digest)), None)


def _data(version: ModelVersion) -> tuple[str, ...]:
    return version.reference, version.test, version.target


def _cells(settings: Settings, run: Run) -> list[CellEvent]:
    """The run's executions, in order; [] for a run of another tool."""
    if not run.cells:
        return []
    try:
        events = [CellEvent.from_json(item) for item in client.ask(settings, "history", ref=run.id)]
    except StoreError:
        return []
    return [event for event in events if event.seq in run.cells]


def _with_data(
    settings: Settings, version: ModelVersion, known: ModelVersion | None, finder: Finder, given: tuple[Any, ...], objects: ObjectStore
) -> ModelVersion:
    """The version with the digests of its data: what was given, else what was noted before, else what is found."""
    target = version.target or (known.target if known else "")
    notes = list(version.notes)
    columns = [str(item["name"]) for item in version.signature.get("inputs") or () if item.get("name")]
    found: dict[str, Found] = {}
    digests: dict[str, str] = {}
    for part, value in zip(("reference", "test"), given, strict=True):
        before = getattr(known, part) if known else ""
        if value is not None and not (isinstance(value, str) and not value):
            told = frame_of(settings, value)
            found[part] = Found(told, named_in(told, target, columns))
        elif before:
            digests[part] = before
            continue
        elif part == "reference":
            found[part] = finder.reference(target)
        else:
            found[part] = finder.test(target, found["reference"].frame if "reference" in found else None)
        target = target or found[part].target
        frame = found[part].frame
        if frame is None:
            kind = "the data that it was fitted on" if part == "reference" else "data to check it on"
            notes.append(f"{kind} was not found, since {found[part].why}: register it again with --{part} DATA")
            continue
        if target and target not in frame.columns:
            raise UsageError(f"The {part} data has no column {target!r}: it has {', '.join(map(str, list(frame.columns)[:12]))}.")
        digests[part] = _frozen(frame, objects, f"{version.name} {part}")
    if not target:
        notes.append("no column of the truth was found: register it again with --target COLUMN")
    kept = {part: digests.get(part, "") for part in ("reference", "test")}
    return replace(version, reference=kept["reference"], test=kept["test"], target=target, notes=tuple(dict.fromkeys(notes)))


def _frozen(frame: Any, objects: ObjectStore, name: str) -> str:
    from ...store import snapshots

    return snapshots.freeze(frame, objects, name=name).digest


def _task(settings: Settings, model: Any, version: ModelVersion) -> str:
    """classification or regression: as the model says, else as its truth looks."""
    from sklearn.base import is_classifier, is_regressor

    if getattr(type(model), "__sklearn_tags__", None) is not None:
        if is_classifier(model):
            return "classification"
        if is_regressor(model):
            return "regression"
    if hasattr(model, "predict_proba"):
        return "classification"
    digest = version.reference or version.test
    if not digest or not version.target:
        return ""
    truth = frame_of(settings, digest)[version.target]
    return "classification" if truth.dtype.kind not in "fiu" or (truth.dtype.kind != "f" and truth.nunique() <= _FEW) else "regression"


def _keep(settings: Settings, version: ModelVersion, who: str, known: ModelVersion | None) -> ModelVersion:
    """In MLflow first, then in the shared state together with the audit log: what a kill leaves between them, the next time completes."""
    told = client.ask(settings, "registry.create", name=version.name, run=version.run, source=version.source, tags=tags_of(version))
    version = replace(version, version=told["version"], created=told["created"], uri=told["uri"])
    state = registry.state_of(settings)
    standings, audit = Standings(state), Audit(state)
    with state.begin() as connection:
        audit.lock(connection)
        standing = standings.get(version.name, connection)
        there = standings.version(version.name, version.version, connection)
        if standing is None or told["new"]:
            standing = standings.put(connection, Standing(version.name, told["server"], revision=standing.revision if standing else 0))
        if there is not None and there.source == version.source and _data(there) == _data(version):
            return there
        standings.keep(connection, version)
        why = "its data is given anew" if known is not None else ""
        details = {
            "run": version.run, "source": version.source, "digest": version.digest, "reference": version.reference, "test": version.test,
            "target": version.target, "format": version.format, "trusted": list(version.trusted), "aliases": dict(standing.aliases),
        }  # fmt: skip
        audit.append(connection, who, "registered", version.name, version.version, why, details)
    notes = registry.follow(settings, version.name)
    return registry.with_notes(registry.version(settings, f"{version.name}/{version.version}"), *notes)
