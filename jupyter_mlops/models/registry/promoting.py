"""Which version serves: promotions through gates and approvals, and the way back."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from sqlalchemy import Connection

from ...config import Settings
from ...errors import StoreError, UsageError
from ...records import Check, ModelVersion, Promotion, to_json
from ...store import client, registry
from ...store.audit import Audit
from ...store.standings import Standing, Standings, known
from .. import settings as model_settings

Judge: TypeAlias = Callable[[Settings, ModelVersion], tuple[Check | None, tuple[str, ...]]]
"""Holds a version against gates; None where there are none, with notes."""
_TRIES = 10
_ROLLBACK_PATIENCE = 0.5


@dataclass(frozen=True, slots=True)
class _Change:
    """A transaction that changes how a model stands: nobody else does until it ends."""

    connection: Connection
    standings: Standings
    audit: Audit
    standing: Standing


def promote(
    settings: Settings, name: str, *, version: int | None = None, to: str = "champion", force: bool = False, why: str = "", who: str,
    judge: Judge | None = None,
) -> Promotion:  # fmt: skip
    """Give a version an alias: champion only if its gates pass and enough others approved it; challenger as it is.

    Args:
        settings: the project's.
        name: the registered model.
        version: which one (default: the challenger, else the newest).
        to: champion or challenger.
        force: also where gates fail; `why` must then say why. Approvals cannot be forced.
        why: the reason, for the audit log.
        who: who promotes it.
        judge: holds the version against its gates (default: those that are set for the model, see `checked`).

    A refusal is no error: it is told by the verdict, and in the audit log.
    """
    started = time.perf_counter()
    if to not in ("champion", "challenger"):
        remedy = "`mlops rollback` goes back to the previous champion" if to == "previous" else "set aliases of your own in MLflow"
        raise UsageError(f"A version is promoted to champion or challenger, not to {to!r}: {remedy}.")
    if force and not why.strip():
        raise UsageError("What is forced needs a reason for the audit log: add --why TEXT.")
    chosen = candidate(settings, name, version)
    elsewhere = client.ask(settings, "registry.governed", name=name)
    if elsewhere and not force:
        raise UsageError(
            f"The shared state at {elsewhere} decides about {name}: set `database` in [tool.mlops] to one database for all machines, or "
            "take it over with --force --why TEXT."
        )
    judge = judge or checked
    made = _to_challenger(settings, chosen, why, who) if to == "challenger" else _to_champion(settings, chosen, force, why, who, judge)
    notes = registry.follow(settings, name, take=bool(elsewhere)) if made.verdict != "refused" else ()
    return replace(made, seconds=time.perf_counter() - started, notes=(*made.notes, *notes))


def approve(settings: Settings, name: str, *, version: int | None = None, why: str = "", who: str) -> ModelVersion:
    """Approve a version (default: the challenger, else the newest), which whoever registered it cannot do. Again changes nothing."""
    chosen = candidate(settings, name, version)
    if chosen.by == who:
        raise UsageError(f"Version {chosen.version} of {name} was registered by {who}: somebody else must approve it.")
    with _changing(settings, chosen) as change:
        if change.standings.approve(change.connection, chosen, who, why):
            change.audit.append(change.connection, who, "approved", name, chosen.version, why, {"digest": chosen.digest})
    return registry.version(settings, f"{name}/{chosen.version}")


def rollback(settings: Settings, name: str, *, why: str = "", who: str) -> Promotion:
    """Make the champion before this one champion again, at once; once more goes further back. Raises UsageError where there is none."""
    started = time.perf_counter()
    state = registry.state_of(settings)
    standings, audit = Standings(state), Audit(state)
    with state.begin() as connection:
        audit.lock(connection)
        before = known(standings.get(name, connection), name)
        now = standings.put(connection, before.rolled_back())
        assert now.champion is not None
        details = {"from": before.champion, "aliases": dict(now.aliases), "line": list(now.line)}
        entry = audit.append(connection, who, "rolled back", name, now.champion, why, details)
    notes = registry.follow(settings, name, patience=_ROLLBACK_PATIENCE)
    return Promotion(
        model=name, version=now.champion, verdict="rolled back", before=before.champion, aliases=now.aliases, why=why, who=who,
        entry=entry.seq, seconds=time.perf_counter() - started, notes=notes,
    )  # fmt: skip


def candidate(settings: Settings, name: str, version: int | None = None) -> ModelVersion:
    """The version that is meant where none is named: the challenger, else the newest. Raises NotFound."""
    if version is not None:
        return registry.version(settings, f"{name}/{version}")
    versions = registry.registered(settings, name)
    return next((item for item in versions if "challenger" in item.aliases), versions[0])


def _to_challenger(settings: Settings, chosen: ModelVersion, why: str, who: str) -> Promotion:
    with _changing(settings, chosen) as change:
        before = change.standing.aliases.get("challenger")
        if before == chosen.version:
            return _told(change.standing, chosen, "unchanged", "challenger", before, who, why)
        now = change.standings.put(change.connection, change.standing.with_challenger(chosen.version))
        details = {"to": "challenger", "from": before, "aliases": dict(now.aliases), "line": list(now.line)}
        entry = change.audit.append(change.connection, who, "promoted", chosen.name, chosen.version, why, details)
    return _told(now, chosen, "promoted", "challenger", before, who, why, entry.seq)


def _to_champion(settings: Settings, chosen: ModelVersion, force: bool, why: str, who: str, judge: Judge) -> Promotion:
    """Gates are judged outside the transaction, which may take long: if the champion is another one afterwards, they are judged again."""
    for _ in range(_TRIES):
        against = _champion(settings, chosen.name)
        if against == chosen.version:
            standing = known(Standings(registry.state_of(settings)).get(chosen.name), chosen.name)
            return _told(standing, chosen, "unchanged", "champion", against, who, why)
        check, notes = judge(settings, chosen)
        with _changing(settings, chosen) as change:
            if check is not None and change.standing.champion != against:
                continue
            if refusal := _refusal(settings, change, chosen, check, force, who):
                details = {"to": "champion", "from": against, "asked": why, "check": to_json(check)}
                entry = change.audit.append(change.connection, who, "refused", chosen.name, chosen.version, refusal, details)
                told = _told(change.standing, chosen, "refused", "champion", against, who, refusal, entry.seq)
                return replace(told, check=check, notes=notes)
            passed = check is None or check.verdict == "passed"
            before = change.standing.champion
            now = change.standings.put(change.connection, change.standing.with_champion(chosen.version))
            details = {"to": "champion", "from": before, "aliases": dict(now.aliases), "line": list(now.line), "check": to_json(check)}
            what = "promoted" if passed else "forced"
            entry = change.audit.append(change.connection, who, what, chosen.name, chosen.version, why, details)
        return replace(_told(now, chosen, what, "champion", before, who, why, entry.seq), check=check, notes=notes)
    raise StoreError(f"The champion of {chosen.name} changed {_TRIES} times while the gates were judged: promote it again.")


def checked(
    settings: Settings, version: ModelVersion, told: Callable[[str], None] | None = None
) -> tuple[Check | None, tuple[str, ...]]:
    """What the model's gates say of a version, with notes; None where no gate is set. `told` hears of each gate."""
    from ..gates.gathering import conditions_of, of_version
    from ..gates.judging import judge

    conditions = conditions_of(settings, version.name)
    if not conditions:
        return None, (f"no gate is set for {version.name}: `gates` in [tool.mlops.models.{version.name}] sets some",)
    return judge(of_version(settings, f"{version.name}/{version.version}"), conditions, told), ()


def _refusal(settings: Settings, change: _Change, chosen: ModelVersion, check: Check | None, force: bool, who: str) -> str:
    """What is in the way, as a sentence; "" where nothing is."""
    asked = model_settings.of(settings, chosen.name).approvals
    now = change.standings.version(chosen.name, chosen.version, change.connection) or chosen
    approved = [name for name in now.approved if name not in (who, now.by)]
    if len(approved) < asked:
        lacking = f"{asked} {'approval' if asked == 1 else 'approvals'} by others needed, {len(approved)} there"
        return f"{lacking}: somebody other than {who} must run `mlops approve {chosen.name} --version {chosen.version}`"
    if check is None or check.verdict == "passed" or force:
        return ""
    failed = [gate for gate in check.gates if gate.state != "passed"]
    named = "; ".join(f"{gate.name} {gate.state}{f': {gate.why}' if gate.why else ''}" for gate in failed[:3])
    more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
    return f"{named}{more}"


def _champion(settings: Settings, name: str) -> int | None:
    standing = Standings(registry.state_of(settings)).get(name)
    return standing.champion if standing is not None else None


@contextmanager
def _changing(settings: Settings, chosen: ModelVersion) -> Iterator[_Change]:
    """A transaction in which a model's standing may change; what MLflow alone knew of the version is kept here from now on."""
    state = registry.state_of(settings)
    standings, audit = Standings(state), Audit(state)
    with state.begin() as connection:
        audit.lock(connection)
        standing = standings.get(chosen.name, connection) or standings.put(connection, Standing(chosen.name))
        if standings.version(chosen.name, chosen.version, connection) is None:
            standings.keep(connection, chosen)
        yield _Change(connection, standings, audit, standing)


def _told(
    standing: Standing, chosen: ModelVersion, verdict: str, alias: str, before: int | None, who: str, why: str, entry: int | None = None
) -> Promotion:
    return Promotion(
        model=chosen.name, version=chosen.version, verdict=verdict, alias=alias, before=before, aliases=standing.aliases, why=why, who=who,
        entry=entry,
    )  # fmt: skip
