"""Who trains a model again, and when the next may: one row for each retraining, claimed in a transaction of the shared state.

The claim is the number of the row. Two that ask at the same moment, on whatever machines, want the same number, which the table holds once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from blake3 import blake3
from sqlalchemy import BigInteger, Column, Connection, Float, Integer, Row, String, Table, Text, select, update

from ...store.shared import SharedState, tables

RUNNING = "running"

_retrainings = Table(
    "retrainings",
    tables,
    Column("model", String(300), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(20), nullable=False),
    Column("started", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("run", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("who", String(300), nullable=False),
    Column("what", Text, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("ended", Float(53)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A retraining: the `number`-th of `model`. `until` is when its cool-down ends, by the database's clock; `state` is running, or how it
    ended; `skipped` counts the requests that came meanwhile."""

    model: str
    number: int
    state: str
    started: float
    until: float
    run: str
    why: str
    who: str
    what: str = ""
    skipped: int = 0


def lease_name(model: str) -> str:
    """The name of the lease that whoever trains `model` holds; a model's own name may be longer than that of a lease."""
    return f"retrain {blake3(model.encode()).hexdigest()[:32]}"


def latest(connection: Connection, model: str) -> Claim | None:
    """The latest retraining of a model."""
    query = select(_retrainings).where(_retrainings.c.model == model).order_by(_retrainings.c.number.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    return None if row is None else _claim(row)


def claim(
    state: SharedState, connection: Connection, model: str, *, run: str, why: str, who: str, seconds: float, force: bool
) -> Claim | None:
    """A new retraining, or None while the cool-down of the one before it lasts. `seconds` is how long its own cool-down is.

    Give the transaction of `state.begin()`; the claim holds once that is committed.
    """
    now = state.now(connection)
    before = latest(connection, model)
    if before is not None and before.until > now and not force:
        return None
    number = 1 if before is None else before.number + 1
    values: dict[str, Any] = {
        "model": model,
        "number": number,
        "state": RUNNING,
        "started": now,
        "until": now + seconds,
        "run": run,
        "why": why,
    }
    row = {**values, "who": who, "what": "", "skipped": 0}
    taken = connection.execute(state.insert(_retrainings).values(**row).on_conflict_do_nothing().returning(_retrainings.c.number)).scalar()
    return None if taken is None else Claim(**row)


def skip(connection: Connection, found: Claim) -> bool:
    """Count a request that came too early; whether it is the first one since that retraining began."""
    mine = (_retrainings.c.model == found.model) & (_retrainings.c.number == found.number)
    count = update(_retrainings).where(mine).values(skipped=_retrainings.c.skipped + 1).returning(_retrainings.c.skipped)
    return connection.execute(count).scalar() == 1


def end(state: SharedState, connection: Connection, found: Claim, how: str, what: str) -> None:
    """Note how a retraining ended."""
    mine = (_retrainings.c.model == found.model) & (_retrainings.c.number == found.number)
    connection.execute(update(_retrainings).where(mine).values(state=how, what=what, ended=state.now(connection)))


def _claim(row: Row[Any]) -> Claim:
    names = ("model", "number", "state", "started", "until", "run", "why", "who", "what", "skipped")
    return Claim(**{name: getattr(row, name) for name in names})
