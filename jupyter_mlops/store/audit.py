"""The audit log: who did what to which model, when and why. One hash chain for all machines of a shared state.

Each entry holds the SHA-256 of its own fields together with that of the entry before it, so that a change, a removal or another order
breaks every digest behind it. Whoever can write the database can also write a whole new chain: so the head (its number and digest) is also
kept outside, as a tag of each registered model in MLflow (`anchors`). What was added after the last such anchor can be cut off unnoticed.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, Float, Integer, Row, String, Table, Text, select, text

from ..records import AuditEntry, Problem, to_json
from .shared import SharedState, tables

WHAT = (
    "registered", "checked", "promoted", "refused", "forced", "approved", "rolled back", "adopted", "set back", "served", "swapped",
    "load failed", "alert", "retrain started", "retrain skipped", "retrain failed", "retrained", "released", "labelled",
)  # fmt: skip
"""What an entry can tell of."""

_LOCK = 0x6D6C6F71
_PAGE = 2_000
_MOST_TOLD = 20
_ENTRIES = Table(
    "audit",
    tables,
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(40), nullable=False),
    Column("model", Text, nullable=False, index=True),
    Column("version", Integer),
    Column("why", Text, nullable=False),
    Column("details", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The head of the chain as it was noted elsewhere: entry `seq` had this `digest`; `where` says in which place."""

    seq: int
    digest: str
    where: str


def who() -> str:
    """Who acts here: MLOPS_USER, else the operating system's user, at this machine. It is told, not proved."""
    named = os.environ.get("MLOPS_USER", "").strip()
    if named:
        return named
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Audit:
    """The audit log in a shared state. Raises StoreError, as every use of the shared state does."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def append(
        self,
        connection: Connection | None,
        who: str,
        what: str,
        model: str = "",
        version: int | None = None,
        why: str = "",
        details: Mapping[str, Any] | None = None,
    ) -> AuditEntry:
        """Add an entry, in the transaction of `connection` (of `SharedState.begin`) or, for None, in one of its own.

        `what` is one of `WHAT`; `details` must be JSON or records. Nobody else can append until the transaction ends, so what an entry
        tells of happened exactly if the entry is there.
        """
        if connection is None:
            with self._state.begin() as opened:
                return self.append(opened, who, what, model, version, why, details)
        if what not in WHAT:
            raise ValueError(f"{what!r} is not one of {', '.join(WHAT)}")
        self.lock(connection)
        last = connection.execute(select(_ENTRIES.c.seq, _ENTRIES.c.digest).order_by(_ENTRIES.c.seq.desc()).limit(1)).one_or_none()
        told = json.dumps(_finite(to_json(details or {})), sort_keys=True, default=str)
        entry = AuditEntry(
            seq=last.seq + 1 if last else 1,
            at=self._state.now(connection),
            who=_clean(who),
            what=what,
            model=_clean(model),
            version=version,
            why=_clean(why),
            details=json.loads(told),
            previous=last.digest if last else "",
        )
        values = {name: getattr(entry, name) for name in ("seq", "at", "who", "what", "model", "version", "why", "previous")}
        digest = _digest(values | {"details": told})
        connection.execute(_ENTRIES.insert().values(**values, details=told, digest=digest))
        return AuditEntry(**values, details=entry.details, digest=digest)

    def entries(
        self, model: str | None = None, limit: int | None = None, *, connection: Connection | None = None
    ) -> tuple[AuditEntry, ...]:
        """The entries of a model (of all for None), newest first, at most `limit`."""
        if connection is None:
            with self._state.read() as opened:
                return self.entries(model, limit, connection=opened)
        query = select(_ENTRIES).order_by(_ENTRIES.c.seq.desc())
        if model is not None:
            query = query.where(_ENTRIES.c.model == model)
        return tuple(map(_entry, connection.execute(query.limit(limit) if limit is not None else query)))

    def head(self, connection: Connection | None = None) -> tuple[int, str]:
        """The number and digest of the last entry; (0, "") while there is none."""
        if connection is None:
            with self._state.read() as opened:
                return self.head(opened)
        last = connection.execute(select(_ENTRIES.c.seq, _ENTRIES.c.digest).order_by(_ENTRIES.c.seq.desc()).limit(1)).one_or_none()
        return (int(last.seq), str(last.digest)) if last else (0, "")

    def verify(self, anchors: Iterable[Anchor] = ()) -> tuple[Problem, ...]:
        """What is wrong with the chain; () when every entry is as it was written, in its place, and every anchor is met.

        Found are entries that were changed, removed or put into another order, and, up to the last anchor, a chain that was cut off at its
        end or written anew. Entries are read in pages: memory does not grow with the log.
        """
        problems: list[Problem] = []
        waiting = list(anchors)
        wanted = {anchor.seq for anchor in waiting}
        found: dict[int, str] = {}
        place, previous = 0, ""
        with self._state.read() as connection:
            for row in self._rows(connection):
                place += 1
                if len(problems) < _MOST_TOLD:
                    problems += _broken(row, place, previous)
                if row.seq in wanted:
                    found[row.seq] = row.digest
                place, previous = row.seq, row.digest
        for anchor in waiting:
            if anchor.seq > place:
                problems.append(_problem(f"entries {place + 1} to {anchor.seq} are missing at the end", anchor.where))
            elif found.get(anchor.seq) != anchor.digest:
                problems.append(_problem(f"entry {anchor.seq} is not the one that was there when it was the last", anchor.where))
        return tuple(problems)

    def _rows(self, connection: Connection) -> Iterator[Row[Any]]:
        last: int | None = None
        while True:
            query = select(_ENTRIES).order_by(_ENTRIES.c.seq).limit(_PAGE)
            page = connection.execute(query if last is None else query.where(_ENTRIES.c.seq > last)).all()
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].seq

    def lock(self, connection: Connection) -> None:
        """Make the transaction the only one that can append, until it ends: what is read after this holds when the entry is written."""
        # On SQLite a transaction that writes is alone from its first statement on.
        if self._state.url.get_backend_name() != "sqlite":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _broken(row: Row[Any], place: int, previous: str) -> Iterator[Problem]:
    """What is wrong with the entry that should be number `place` and follow the digest `previous`."""
    if row.seq != place:
        missing = f"entry {place} is" if row.seq == place + 1 else f"entries {place} to {row.seq - 1} are"
        yield _problem(f"{missing} missing" if row.seq > place else f"entry {row.seq} is out of its place")
    elif row.previous != previous:
        yield _problem(f"entry {row.seq} does not follow the entry before it: one of them was put there or taken away later")
    if _digest(dict(row._mapping)) != row.digest:
        yield _problem(f"entry {row.seq} ({row.what} {row.model}) was changed after it was written")


def _problem(what: str, where: str = "the audit log") -> Problem:
    return Problem(what=what, where=where, remedy="compare with a backup of the shared state, and find out who can write it")


def _digest(values: Mapping[str, Any]) -> str:
    """The digest of an entry's fields: SHA-256 of their JSON, in this order, with the details as the text that is stored."""
    names = ("seq", "at", "who", "what", "model", "version", "why", "details", "previous")
    return hashlib.sha256(json.dumps([values[name] for name in names]).encode()).hexdigest()


def _entry(row: Row[Any]) -> AuditEntry:
    fields = dict(row._mapping)
    try:
        details = json.loads(fields["details"])
    except ValueError:  # somebody changed it: `verify` tells
        details = {"unreadable": fields["details"]}
    return AuditEntry(**fields | {"details": details if isinstance(details, dict) else {"unreadable": details}})


def _clean(told: str) -> str:
    """A text that every database takes."""
    return told.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _finite(value: Any) -> Any:
    """JSON values in which NaN and infinities are texts, which other readers of JSON do not know otherwise."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, (list, tuple)) else value
