"""Whether the audit log is whole, and whether what holds now is what it tells of."""

from __future__ import annotations

from collections.abc import Iterator

from ...config import Settings
from ...errors import StoreError
from ...records import AuditEntry, Problem
from ...store import client, registry
from ...store.audit import Anchor, Audit
from ...store.standings import Standing, Standings


def problems(settings: Settings) -> tuple[tuple[Problem, ...], tuple[str, ...]]:
    """(What is wrong, what was checked in sentences).

    The chain itself; its head against those that MLflow keeps; and the champions, versions and approvals against the last entries that tell
    of them. Where all is well, the head is noted in MLflow again.
    """
    state = registry.state_of(settings)
    audit, standings = Audit(state), Standings(state)
    try:
        told = client.ask(settings, "registry.anchors")
    except StoreError as error:
        told = {"anchors": [], "notes": [f"MLflow was not asked ({error}): a log cut off at its end cannot be told"]}
    anchors = [Anchor(seq, digest, where) for seq, digest, where in told["anchors"]]
    found = list(audit.verify(anchors))
    for name in standings.names():
        standing = standings.get(name)
        if standing is not None:
            found += _against_the_log(standing, standings, audit.entries(name))
    seq, digest = audit.head()
    notes = [f"{seq:,} entries, each as it was written; the last one is {digest[:16]}" if seq else "the audit log is empty"]
    notes += [f"no entry up to {anchor.seq:,} was taken away: {anchor.where} has its digest" for anchor in anchors]
    if not found:
        for name in standings.names():
            registry.follow(settings, name)
    return tuple(found), (*notes, *told["notes"])


def _against_the_log(standing: Standing, standings: Standings, entries: tuple[AuditEntry, ...]) -> Iterator[Problem]:
    """What holds now of a model and the log, newest entry first, does not tell."""
    name = standing.name
    last = next((entry for entry in entries if "aliases" in entry.details), None)
    told = last.details["aliases"] if last is not None else {}
    if told != dict(standing.aliases):
        shown = ", ".join(f"{alias} {version}" for alias, version in standing.aliases.items()) or "none"
        yield _problem(f"the aliases of {name} ({shown}) are not those that the log tells of last")
    approved = {(entry.version, entry.who) for entry in entries if entry.what == "approved"}
    digests = {entry.version: entry.details.get("digest") for entry in reversed(entries) if entry.what == "registered"}
    for version in standings.versions(name):
        unknown = [who for who in version.approved if (version.version, who) not in approved]
        if unknown:
            yield _problem(f"the approval of version {version.version} of {name} by {', '.join(unknown)} is not in the log")
        if digests.get(version.version, version.digest) != version.digest:
            yield _problem(f"the hash of version {version.version} of {name} is not the one that it was registered with")


def _problem(what: str) -> Problem:
    remedy = "compare with a backup of the shared state, and find out who can write it"
    return Problem(what=what, where="the shared state", remedy=remedy)
