"""Models in service as the sidebar shows them: the list of those that predicted something, and how one of them does."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ... import config
from ...config import Settings
from ...errors import NotFound, SettingsError, UsageError
from ...records import Alert, AuditEntry, Monitoring
from ...records.plain import Record
from .beginnings import begun

ALL = "all"
_MOST_TOLD = 50
_SEARCHED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoredModel(Record):
    """A registered model, or one that predictions were logged of. `version` is the one that is watched: the champion, else the newest.

    `predictions` counts those in the log, of all versions, made between `first` and `last`. `alerts` are the causes that people were told
    of and that were not gone since, each `at` the time when it was told.
    """

    name: str
    version: int | None = None
    predictions: int = 0
    first: float | None = None
    last: float | None = None
    alerts: tuple[Alert, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitoringView(Record):
    """How a model does in a window of time, and what people were told of it before (`told`), the latest first.

    Alerts that people were told of are `at` the time when they were, and have `told` in their details. `champion` is the version that
    serves, `predictions` maps each version to how many of its predictions the log has; `window` is what was asked for.
    """

    monitoring: Monitoring
    told: tuple[Alert, ...] = ()
    champion: int | None = None
    predictions: Mapping[str, int] = field(default_factory=dict)
    window: str = ""


def monitored() -> tuple[MonitoredModel, ...]:
    """The models of the project that predicted something or are registered: those with alerts first, then those in use, by name."""
    from ...models.predictions import reading
    from ...store import registry

    settings = config.load()
    if not begun(settings):
        return ()
    names = dict.fromkeys([*reading.models(settings), *registry.names(settings)])
    return tuple(sorted((_listed(settings, name) for name in names), key=lambda item: (not item.alerts, not item.predictions, item.name)))


def monitor(name: str, since: str = "24h") -> MonitoringView:
    """How a model does; looking tells nobody. `since` is a span before now, or all: from the first prediction on."""
    from ...models.monitoring.alerts import cause_of, open_causes
    from ...models.monitoring.monitoring import monitor as monitored
    from ...models.predictions import reading
    from ...store import registry
    from ...store.audit import Audit

    settings = config.load()
    version = registry.version(settings, name)
    end = time.time() + 1
    found = monitored(settings, name, start=_start(settings, version.name, since, end), end=end, tell=False)
    known = open_causes(settings, version.name)
    alerts = (Alert.of(item) for item in found.alerts)
    champion = registry.champion(settings, version.name)
    return MonitoringView(
        monitoring=replace(found, alerts=tuple(_dated(alert, known.get(cause_of(alert))) for alert in alerts)),
        told=_told(Audit(registry.state_of(settings)).entries(version.name, _SEARCHED)),
        champion=champion.version if champion is not None else None,
        predictions={str(number): count for number, count in reading.counts(settings, version.name).items()},
        window=since,
    )


def _start(settings: Settings, name: str, since: str, end: float) -> float:
    from ...models.predictions import reading
    from ...models.settings import seconds

    if since == ALL:
        # A window that begins long before the first prediction would show all of them as one point.
        span = reading.span(settings, name)
        return math.floor(span[0]) if span else end - 1
    try:
        return end - seconds("since", since)
    except SettingsError:
        raise UsageError(f"{since!r} is no span of time: choose one such as 24h or 7d, or all.") from None


def _listed(settings: Settings, name: str) -> MonitoredModel:
    from ...models.monitoring.alerts import open_causes
    from ...models.predictions import reading
    from ...store import registry

    try:
        version = registry.version(settings, name).version
    except NotFound:
        version = None  # its predictions are there, and the registry that knew it is not
    span = reading.span(settings, name)
    return MonitoredModel(
        name=name,
        version=version,
        predictions=sum(reading.counts(settings, name).values()) if span else 0,
        first=span[0] if span else None,
        last=span[1] if span else None,
        alerts=tuple(open_causes(settings, name).values()),
    )


def _dated(alert: Alert, told: Alert | None) -> Alert:
    """The alert, at the time when people were told of it, where they were."""
    details: dict[str, Any] = {**alert.details, "told": told is not None}
    return replace(alert, details=details, at=told.at if told is not None else alert.at)


def _told(entries: tuple[AuditEntry, ...]) -> tuple[Alert, ...]:
    """The alerts of an audit log."""
    return tuple(
        Alert(
            kind=str(entry.details.get("kind", "")), what=entry.why, model=entry.model, version=entry.version, at=entry.at,
            details={"about": entry.details.get("about")},
        )
        for entry in entries if entry.what == "alert"
    )[:_MOST_TOLD]  # fmt: skip
