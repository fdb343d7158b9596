"""How a model in service does: its predictions in a window of time against what it was trained and tested on, and the service itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...config import Settings
from ...errors import MlopsError, UsageError
from ...records import Alert, Drift, ModelVersion, Monitoring
from ...store import registry
from .. import settings as model_settings
from ..drift import Profile, Tally, judge
from ..drift.comparing import DRIFT, FEWEST, INSUFFICIENT
from ..drift.profiles import ColumnProfile
from ..predictions import reading
from . import alerts, health, performance, windows
from .references import PREDICTION, Reference, reference_of

DAY = 86_400.0
_PLOTTED = 12
_GROUPED = 3
_BINS = 20


def monitor(
    settings: Settings, name: str, *, start: float | None = None, end: float | None = None, by: Sequence[str] = (), tell: bool = True,
    retrain: bool = False,
) -> Monitoring:  # fmt: skip
    """How the model that `name` names (NAME: the champion, else the newest; NAME@alias, NAME/3) does in a window of time.

    `start` and `end` are seconds since the epoch (default: the last day). `by` are columns that performance is told by (default: those
    that the settings name as sensitive, else some categories). With `tell`, people hear of alerts, once for each cause. With `retrain`,
    drift or decay starts the pipeline of the model, at most once per cool-down. Raises NotFound for a model that is not registered, and
    UsageError for a column that there is not.
    """
    began = time.perf_counter()
    version = registry.version(settings, name)
    end = time.time() + 1 if end is None else end
    start = end - DAY if start is None else start
    chosen = model_settings.of(settings, version.name)
    reference = reference_of(settings, version)
    # What the log hides cannot be compared.
    profile = reference.whole.without(*chosen.redact) if reference.whole is not None else None
    if profile is not None and (unknown := [column for column in by if profile.column(column) is None]):
        raise UsageError(f"There is no input {unknown[0]!r}: --by takes {', '.join(item.name for item in profile.columns[:8])}.")
    groups = tuple(by) or chosen.sensitive or _categories(profile)
    window = windows.count(
        settings, version.name, version=version.version, start=start, end=end, profile=profile, groups=groups, whole=bool(chosen.business)
    )
    notes = [*reference.notes, *_unlabelled(settings, version, window, start, end)]
    tally = windows.merged(window, profile) if profile is not None else None
    drift = judge(tally) if tally is not None else ()
    measured, series, slices = _performance(settings, window, reference, groups, chosen.business)
    service = health.service_health(settings, version.name, start, end)
    found = [*_drifted(drift, version), *_decayed(measured, reference, version), *_unhealthy(service, version)]
    judged = bool(window.rows >= FEWEST)
    told: tuple[Alert, ...] = tuple(found)
    if tell:
        told, problems = alerts.tell(settings, version.name, found, judged=judged)
        notes += problems
    if retrain:
        notes += _retrained(settings, version, told, tell)
    enough = any(item.verdict != INSUFFICIENT for item in drift) or bool(measured)
    return Monitoring(
        model=version.name,
        version=version.version,
        verdict="alert" if told else "well" if enough else INSUFFICIENT,
        start=start,
        end=end,
        rows=window.rows,
        labelled=window.labelled,
        drift=drift,
        performance=measured,
        series=series | (_over_time(window, drift) if profile is not None else {}),
        slices=tuple(slices),
        service=service | {"machine": health.machine(settings)},
        distributions=_distributions(tally, drift) if tally is not None else {},
        alerts=told,
        notes=tuple(dict.fromkeys(notes)),
        seconds=time.perf_counter() - began,
    )


def _categories(profile: Profile | None) -> tuple[str, ...]:
    """The columns that performance is told by where nobody says: the first few with few categories."""
    columns = profile.columns if profile is not None else ()
    few = [item.name for item in columns if item.kind in ("category", "boolean") and 1 < item.distinct <= performance.MOST_GROUPS]
    return tuple(name for name in few if name != PREDICTION)[:_GROUPED]


def _performance(
    settings: Settings, window: windows.Window, reference: Reference, groups: Sequence[str], business: str
) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """Metrics, the same over time, and by group."""
    labelled = window.kept
    if labelled is None or len(labelled) < performance.FEWEST:
        return {}, {}, []
    task = reference.task or _task(labelled)
    labels = reference.labels if task == "classification" else ()
    found = performance.measured(labelled.made, labelled.truth, task, labels)
    for name, item in found.items():
        item["reference"] = reference.metrics[name][0] if name in reference.metrics else None
    series = performance.over_time(labelled, window.edges, task, labels)
    grouped = performance.Labelled(
        labelled.made, labelled.truth, labelled.at, {name: labelled.columns[name] for name in groups if name in labelled.columns}
    )
    slices = performance.by_group(grouped, task, labels)
    if business:
        import pandas as pd

        context = pd.DataFrame(dict(labelled.columns))
        found |= performance.business(business, settings.project, labelled, context)
    return found, series, slices


def _task(labelled: performance.Labelled) -> str:
    import pandas as pd

    from ..gates.evidence import task_of

    return task_of(pd.Series(labelled.truth))


def _drifted(drift: Sequence[Drift], version: ModelVersion) -> list[Alert]:
    """An alert for each column that drifted, and for each that went silent: all missing, or all one value, which it was not."""
    found = []
    for item in drift:
        silent = item.verdict == INSUFFICIENT and item.p_value is not None and item.p_value <= (item.threshold or 0.0)
        if item.verdict != DRIFT and not silent:
            continue
        kind = "missing" if silent else "drift"
        details = {"about": item.column, "psi": item.psi, "p_value": item.p_value}
        found.append(_alert(kind, f"{item.column}: {item.why}", version, details))
    return found


def _decayed(measured: dict[str, Any], reference: Reference, version: ModelVersion) -> list[Alert]:
    told = performance.decayed({name: item for name, item in measured.items() if "error" in item}, reference.metrics)
    return [_alert("decay", sentence, version, {"about": name, "value": measured[name]["value"]}) for name, sentence in told]


def _unhealthy(service: dict[str, Any], version: ModelVersion) -> list[Alert]:
    sentence = health.failing(service)
    return [_alert("health", sentence, version, {"about": "errors", "error_rate": service["error_rate"]})] if sentence else []


def _alert(kind: str, what: str, version: ModelVersion, details: dict[str, Any]) -> Alert:
    return Alert(kind=kind, what=what, model=version.name, version=version.version, at=time.time(), details=details)


def _unlabelled(settings: Settings, version: ModelVersion, window: windows.Window, start: float, end: float) -> list[str]:
    notes = []
    if not window.rows:
        made = reading.counts(settings, version.name, version.version).get(version.version, 0)
        notes.append(
            f"Version {version.version} predicted nothing that was logged in this window."
            + (f" It made {made:,} predictions at other times: --since says from when on to look." if made else "")
        )
    elif not window.labelled:
        notes.append(f"The truth of these predictions is not known yet: `mlops labels {version.name} FILE` tells it.")
    lost = sum(item["rows"] for item in reading.losses(settings, version.name) if start <= item["at"] < end)
    if lost:
        notes.append(f"{lost:,} predictions of this window could not be logged.")
    return notes


def _retrained(settings: Settings, version: ModelVersion, told: Sequence[Alert], once: bool) -> list[str]:
    """Start the pipeline, of which nobody waits for the end; why it could not be started."""
    causes = [alert for alert in told if alert.kind in ("drift", "decay") and (alert.details.get("new") or not once)]
    if not causes:
        return []
    from ..retraining.retraining import start

    try:
        begun = start(settings, version.name, why="; ".join(f"{alert.kind} of {alert.what}" for alert in causes[:3]))
    except MlopsError as error:
        return [f"It was not trained again: {error}"]
    return ["Its training was started."] if begun is not None else ["Its training was not started: another one was, a short time ago."]


def _over_time(window: windows.Window, drift: Sequence[Drift]) -> dict[str, Any]:
    """How far columns are from the reference, as psi, in each stretch of time: of the prediction, and of those that drifted most."""
    chosen = _foremost(drift)[:_PLOTTED]
    found: dict[str, Any] = {}
    for place, tally in sorted(window.tallies.items()):
        if tally.rows >= FEWEST:
            told = {item.column: item for item in judge(tally)}
            for name in chosen:
                if told[name].psi is not None:
                    found.setdefault(f"psi {name}", []).append([window.edges[place], told[name].psi, tally.rows])
    return found


def _foremost(drift: Sequence[Drift]) -> list[str]:
    """The columns by how much there is to see: the prediction, then those that drifted, then the others by their psi."""
    ordered = sorted(drift, key=lambda item: (item.column != PREDICTION, item.verdict != DRIFT, -(item.psi or 0.0)))
    return [item.column for item in ordered]


def _distributions(tally: Tally, drift: Sequence[Drift]) -> dict[str, Any]:
    """{column: {"cells": names, "reference": shares, "now": shares}} of the foremost columns, for plots."""
    found = {}
    for name in _foremost(drift)[:_PLOTTED]:
        item, counted = tally.profile.column(name), tally.columns[name]
        if item is not None and item.values and counted.values and len(item.counts) > 1:
            found[name] = _shares(item, counted.counts)
    return found


def _shares(item: ColumnProfile, now: Any) -> dict[str, Any]:
    before = np.array(item.counts, dtype=np.int64)
    if not item.ordered:
        names = [*item.edges[:_BINS], *(["others"] if len(item.edges) > _BINS or before[-1] or now[-1] else [])]
        kept = min(len(item.edges), _BINS)
        both = [np.append(counts[:kept], counts[kept:].sum() if len(names) > kept else []) for counts in (before, now)]
    else:
        names, both = _histogram(item, before, now)
    shares = [(counts / max(counts.sum(), 1)).tolist() for counts in both]
    return {"cells": names, "reference": shares[0], "now": shares[1]}


def _histogram(item: ColumnProfile, before: Any, now: Any) -> tuple[list[str], list[Any]]:
    """Counts in bins of equal width, but for the last half percent at both ends; each bin by its lower end."""
    edges = np.array(item.edges, dtype=np.float64)
    centres = np.empty(2 * len(edges) + 1)
    centres[1::2] = edges
    centres[2:-1:2] = (edges[1:] + edges[:-1]) / 2
    centres[0], centres[-1] = edges[0], edges[-1]
    shares = np.cumsum(before) / max(before.sum(), 1)
    low, high = centres[np.searchsorted(shares, 0.005)], centres[min(int(np.searchsorted(shares, 0.995)), len(centres) - 1)]
    bins = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    return [f"{bin:.4g}" for bin in bins[:-1]], [
        np.histogram(np.clip(centres, low, bins[-1]), bins, weights=part)[0] for part in (before, now)
    ]
