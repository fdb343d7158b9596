"""Tells people of what is wrong, once for each cause: again only after it was gone. What was told is in the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from blake3 import blake3
from sqlalchemy import Column, Float, String, Table, Text, select

from ...config import Settings
from ...records import Alert, to_json
from ...store import registry
from ...store.audit import Audit
from ...store.audit import who as whoever
from ...store.shared import tables
from .. import settings as model_settings

_causes = Table(
    "alert_causes",
    tables,
    Column("model", Text, nullable=False),
    Column("cause", String(64), primary_key=True),
    Column("what", Text, nullable=False),
    Column("since", Float(53), nullable=False),
)


def cause_of(alert: Alert) -> str:
    """What makes two alerts one: model, version, kind and what it is about, not its figures."""
    return blake3(repr((alert.model, alert.version, alert.kind, alert.details.get("about"))).encode()).hexdigest()[:32]


def open_causes(settings: Settings, name: str) -> dict[str, Alert]:
    """The causes that people were told of and that were not gone since, the latest first; each alert is `at` the time when they were told.
    Of which kind it is only the audit log knows."""
    with registry.state_of(settings).read() as connection:
        rows = connection.execute(select(_causes).where(_causes.c.model == name).order_by(_causes.c.since.desc())).all()
    return {row.cause: Alert(kind="", what=row.what, model=name, at=row.since) for row in rows}


def tell(settings: Settings, name: str, alerts: Sequence[Alert], *, judged: bool = True) -> tuple[tuple[Alert, ...], tuple[str, ...]]:
    """Send the alerts whose cause was not told yet, all in one message; the alerts, each with `new` in its details, and notes.

    Causes that are gone are forgotten, where the window told enough (`judged`). People are told as `alerts` of [tool.mlops.models.NAME]
    says. Of processes that monitor at once, one tells.
    """
    state = registry.state_of(settings)
    audit, who = Audit(state), whoever()
    causes = {cause_of(alert): alert for alert in alerts}
    with state.begin() as connection:
        audit.lock(connection)
        known = {row.cause for row in connection.execute(select(_causes.c.cause).where(_causes.c.model == name))}
        fresh = [cause for cause in causes if cause not in known]
        now = state.now(connection)
        for cause in fresh:
            alert = causes[cause]
            connection.execute(_causes.insert().values(model=name, cause=cause, what=alert.what, since=now))
            audit.append(connection, who, "alert", name, alert.version, alert.what, {"kind": alert.kind, **alert.details})
        gone = known - causes.keys() if judged else set()
        if gone:
            connection.execute(_causes.delete().where(_causes.c.model == name, _causes.c.cause.in_(sorted(gone))))
    told = tuple(replace(alert, details={**alert.details, "new": cause in fresh}) for cause, alert in causes.items())
    return told, _sent(settings, name, [alert for alert in told if alert.details["new"]]) if fresh else ()


def _sent(settings: Settings, name: str, alerts: Sequence[Alert]) -> tuple[str, ...]:
    entries = [{**entry, "on": "alert"} for entry in model_settings.of(settings, name).alerts]
    if not entries:
        return ()
    from ...pipelines.running.notify import notify

    title = f"{name}: {len(alerts)} alert{'s' * (len(alerts) > 1)}"
    text = "\n".join([title, *(f"  {alert.kind}: {alert.what}" for alert in alerts)])
    return notify(
        entries, {"name": name, "status": "alert", "subject": title, "text": text, "model": name, "alerts": to_json(list(alerts))}
    )
