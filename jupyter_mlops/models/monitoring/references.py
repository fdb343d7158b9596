"""What a version in service is held against: profiles of its training data and of what it predicts, and its metrics on its test data.

Computed the first time that the version is monitored, and kept in the store: the data itself is not read again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ...config import Settings
from ...errors import MlopsError
from ...records import ModelVersion
from ...records.plain import Record, to_json
from .. import settings as model_settings
from ..drift import Profile

if TYPE_CHECKING:
    from ..gates.evidence import Evidence

FORMAT = 2
PREDICTION = "prediction"
"""The column of what was predicted, among those that are compared."""
_ROWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference(Record):
    """`profile` is that of the columns that the model takes; `predictions` that of its predictions; each None where it cannot be had.

    `metrics` are {metric: [value, standard error]} on the test data, `labels` the classes; `notes` say what is lacking and what to do.
    `lasting` tells that whatever is lacking was never there (no test data, no target), rather than that it could not be read this time.
    """

    profile: Profile | None = None
    predictions: Profile | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[Any, ...] = ()
    task: str = ""
    notes: tuple[str, ...] = ()
    lasting: bool = True

    @property
    def whole(self) -> Profile | None:
        """The profile of inputs and prediction as one table."""
        columns = [*(self.profile.columns if self.profile else ()), *(self.predictions.columns if self.predictions else ())]
        return Profile(rows=max(item.rows for item in columns), columns=tuple(columns)) if columns else None


def reference_of(settings: Settings, version: ModelVersion) -> Reference:
    """What a version is held against. Raises nothing for data that is lacking: `notes` tell."""
    chosen = model_settings.of(settings, version.name)
    parts = [FORMAT, version.name, version.version, version.digest, version.reference or chosen.reference, version.test or chosen.test]
    file = settings.home / "monitoring" / f"{blake3(json.dumps([*parts, chosen.target]).encode()).hexdigest()[:32]}.json"
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
        profiles = {name: Profile.from_json(told[name]) if told[name] else None for name in ("profile", "predictions")}
        return Reference.from_json(told | profiles)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = _made(settings, version)
    # What could not be read today may be there tomorrow.
    if found.profile is not None and found.lasting:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_name(f".{file.name}.{os.getpid()}")
        unfinished.write_text(json.dumps(to_json(found), default=str), encoding="utf-8")
        os.replace(unfinished, file)
    return found


def _made(settings: Settings, version: ModelVersion) -> Reference:
    from ..gates.evidence import Needed, Unmet
    from ..gates.gathering import of_version

    evidence = of_version(settings, version, champion=False)
    notes: list[str] = []
    profile = predictions = None
    metrics: dict[str, Any] = {}
    labels: tuple[Any, ...] = ()
    task, lasting = version.task, True
    try:
        profile = _inputs(evidence, version)
    except (Needed, MlopsError) as error:
        notes.append(f"Drift of inputs is not known: it needs {error}" if isinstance(error, Needed) else str(error))
    try:
        task = task or evidence.task
        labels = tuple(evidence.labels) if task == "classification" else ()
        predictions = _predicted(evidence, notes)
        metrics = _measured(evidence, task, notes)
    except (Needed, Unmet, MlopsError) as error:
        notes.append(f"What the model should predict is not known: {error}")
        lasting = isinstance(error, Needed)
    return Reference(
        profile=profile, predictions=predictions, metrics=metrics, labels=labels, task=task, notes=tuple(notes), lasting=lasting
    )


def _inputs(evidence: Evidence, version: ModelVersion) -> Profile:
    """The profile of the columns that the model takes, by the names that they have in requests."""
    frame = evidence.learned
    try:
        frame = evidence.features(frame)
    except MlopsError:
        frame = frame.drop(columns=[evidence.target], errors="ignore")
    if not evidence.columns:
        frame = frame.set_axis([str(place) for place in range(frame.shape[1])], axis=1)
    return Profile.of(frame, digest=version.reference)


def _predicted(evidence: Evidence, notes: list[str]) -> Profile:
    """The profile of what the model predicts for data that it was not trained on, or, where there is none, for its training data."""
    if evidence.data is not None:
        made = evidence.predict(evidence.features(evidence.tried).head(_ROWS))
    else:
        frame = evidence.learned
        made = evidence.predict(evidence.features(frame.sample(min(len(frame), _ROWS), random_state=0)))
        notes.append(
            "Predictions are held against those for the training data, for want of test data: register the model with --test DATA."
        )
    return Profile.of({PREDICTION: made} if made.ndim == 1 else {})


def _measured(evidence: Evidence, task: str, notes: list[str]) -> dict[str, Any]:
    from ..gates.evidence import Needed
    from . import performance

    try:
        truth, made = evidence.y, evidence.predictions
    except Needed as error:
        notes.append(f"Decay is not known: it needs {error}")
        return {}
    found = performance.measured(made, truth.to_numpy(), task, evidence.labels if task == "classification" else ())
    return {name: [item["value"], item["error"]] for name, item in found.items()}
