"""Registered models as the sidebar shows them: the list, one model, the services that run on this machine, and model cards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ... import config
from ...config import Settings
from ...errors import MlopsError
from ...records import AuditEntry, CardPage, Check, ListedModel, ModelList, ModelView, ServiceState
from .beginnings import begun
from .places import contents_path

_MOST_DETAILS = 20_000
_ENTRIES = 30
_MOST_SEARCHED = 2_000


def models() -> ModelList:
    """Every registered model of the project, those that plain MLflow registered too, and the services that run here."""
    from ...store import registry

    settings = config.load()
    if not begun(settings):
        return ModelList(models=(), services=())
    return ModelList(models=tuple(_listed(settings, name) for name in registry.names(settings)), services=services())


def model(name: str, entries: int = _ENTRIES) -> ModelView:
    """One registered model with its versions, what the gates said of each last, and the latest entries of its audit log."""
    from ...models import settings as model_settings
    from ...store import registry
    from ...store.audit import Audit

    settings = config.load()
    versions = registry.registered(settings, name)
    log = Audit(registry.state_of(settings)).entries(name, max(_MOST_SEARCHED, entries + 1))
    gates, notes = _conditions(settings, name)
    return ModelView(
        name=name,
        versions=tuple(replace(item, signature={}, params={}) for item in versions),
        checks={str(number): check for number, check in _checks(log).items()},
        gates=gates,
        approvals=model_settings.of(settings, name).approvals,
        entries=tuple(map(_brief, log[:entries])),
        more=len(log) > entries,
        services=tuple(item for item in services() if item.name == name),
        notes=notes,
    )


def services() -> tuple[ServiceState, ...]:
    """The services of the project that run on this machine, and models whose services recorded traffic in the last half hour."""
    from ...models.monitoring.traffic import traffic
    from ...models.serving import minutes, presence

    settings = config.load()
    cards = presence.present(settings)
    names = dict.fromkeys([*(card.name for card in cards), *minutes.names(settings)])
    lately = {name: traffic(settings, name) for name in names}
    ended = [name for name in names if lately[name]["last"] is not None and all(card.name != name for card in cards)]
    running = [_running(card, presence.standing(card), lately[card.name]) for card in cards]
    return (*running, *(ServiceState(name=name, state="ended", **_figures(lately[name])) for name in ended))


def card(model: str) -> CardPage:
    """The card of a version (NAME/3, NAME@champion) as it was written last, which the verb `card` does to `out`."""
    from ...store import registry
    from ...store.audit import Audit

    settings = config.load()
    version = registry.version(settings, model)
    plain = re.sub(r"[^\w-]+", "-", version.name).strip("-") or "model"
    # The digest tells names apart that differ in other characters only, and versions of a registry that was begun anew.
    path = settings.home / "cards" / f"{plain}-{version.version}-{version.digest[:8]}.html"
    page = CardPage(model=version.name, version=version.version, out=contents_path(path) or "")
    if not path.is_file():
        return page
    written = path.stat().st_mtime
    latest = Audit(registry.state_of(settings)).entries(version.name, 1)
    stale = bool(latest and latest[0].at > written)
    return replace(page, html=path.read_text(encoding="utf-8"), written=written, stale=stale)


def _listed(settings: Settings, name: str) -> ListedModel:
    """A model of the list, from the shared state alone where it knows the model."""
    from ...store import registry
    from ...store.audit import Audit
    from ...store.standings import Standings

    standings = Standings(registry.state_of(settings))
    standing, versions = standings.get(name), standings.versions(name)
    if standing is None or not standing.aliases or not versions:
        versions = list(registry.registered(settings, name))
        aliases: Mapping[str, int] = {alias: item.version for item in versions for alias in item.aliases}
    else:
        aliases = standing.aliases
    newest = versions[0] if versions else None
    shown = next((item for item in versions if item.version == aliases.get("champion")), newest)
    latest = Audit(registry.state_of(settings)).entries(name, 1)
    return ListedModel(
        name=name,
        versions=len(versions),
        newest=newest.version if newest else None,
        created=newest.created if newest else 0.0,
        by=newest.by if newest else "",
        aliases=dict(aliases),
        metrics=dict(shown.metrics) if shown else {},
        last=_said(latest[0]) if latest else "",
        changed=latest[0].at if latest else 0.0,
    )


def _said(entry: AuditEntry) -> str:
    return f"{entry.what} version {entry.version}" if entry.version is not None else entry.what


def _conditions(settings: Settings, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(The gates that are set for a model, notes): settings that cannot be read are said, and hide nothing else."""
    from ...models.gates.gathering import conditions_of

    try:
        return tuple(item.name for item in conditions_of(settings, name)), ()
    except MlopsError as error:
        return (), (str(error),)


def _checks(entries: Iterable[AuditEntry]) -> dict[int, Check]:
    """What the gates said of each version the last time that they were asked; `entries` are the newest first."""
    found: dict[int, Check] = {}
    for entry in entries:
        told = entry.details.get("check")
        if entry.version is not None and entry.version not in found and isinstance(told, Mapping):
            check = Check.from_json(told)
            found[entry.version] = replace(check, gates=tuple(map(_without_much, check.gates)))
    return found


def _without_much(gate: Any) -> Any:
    """A gate without details that are too many to show."""
    return gate if len(json.dumps(gate, default=str)) < _MOST_DETAILS else {**gate, "details": {}}


def _brief(entry: AuditEntry) -> AuditEntry:
    """An entry with one sentence in place of its details."""
    from ..registry_view import told_by

    told = told_by(entry)
    return replace(entry, details={"told": told} if told else {})


def _running(card: Any, said: Mapping[str, Any], lately: Mapping[str, Any]) -> ServiceState:
    """A service whose process runs: what it says itself, and what it recorded."""
    versions = tuple((str(item.get("role", "")), int(item.get("version") or 0)) for item in said.get("versions") or ())
    state = "silent" if not said else "ready" if said.get("ready") else "not ready"
    loading = said.get("loading")
    notes = (*map(str, said.get("notes") or ()), *((f"Version {loading} is being loaded.",) if loading else ()))
    if state == "silent":
        notes = (f"It does not answer at {card.url}: see what it printed where it was started, or start it again.",)
    return ServiceState(
        name=card.name, state=state, asked=card.asked, url=card.url, versions=versions or (("champion", card.version),),
        workers=card.workers, since=card.since, notes=notes, **_figures(lately),
    )  # fmt: skip


def _figures(lately: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: lately[name] for name in ("last", "requests", "requests_per_second", "error_rate")}
    return {**kept, **lately["latency"], "series": tuple(map(tuple, lately["series"]))}
