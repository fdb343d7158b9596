"""What steps gave, in the shared state: the table, the questions asked of it, and what it relies on in the object store.

A result is a mapping of the table's columns, its JSON read (see `results_file`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    func,
    select,
)

from ..errors import LeaseLost
from .leases import Lease, stands
from .results_file import decoded, encoded
from .shared import SharedState, tables

_RECENT = 5

results = Table(
    "commits",
    tables,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("pipeline", String(200), nullable=False),
    Column("step", String(200), nullable=False),
    Column("parts", Text, nullable=False),
    Column("outputs", Text, nullable=False),
    Column("observed", Text, nullable=False),
    Column("run", String(64), nullable=False),
    Column("notebook", String(64), nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("made", Float(53), nullable=False),
    # A lease is good for one result, so that its work counts once.
    UniqueConstraint("key", "token", name="commits_once"),
    Index("commits_by_step", "pipeline", "step", "number"),
)
_NEWEST_FIRST = results.c.number.desc()
_OF_KEY = select(results).where(results.c.key == bindparam("key"), results.c.made > bindparam("made_after")).order_by(_NEWEST_FIRST)
_LATER = select(results).where(results.c.key == bindparam("key"), results.c.token > bindparam("token")).order_by(_NEWEST_FIRST).limit(1)
_MINE = select(results).where(results.c.key == bindparam("key"), results.c.token == bindparam("token"))
_OF_STEP = select(results).where(results.c.pipeline == bindparam("pipeline"), results.c.step == bindparam("step"))
_RECENT_OF_STEP = _OF_STEP.order_by(_NEWEST_FIRST).limit(_RECENT)
_NEWEST = select(func.max(results.c.number)).where(results.c.pipeline == bindparam("pipeline")).group_by(results.c.step)
_LATEST = select(results).where(results.c.number.in_(_NEWEST))


def of_key(state: SharedState, key: str, made_after: float) -> list[dict[str, Any]]:
    """The results of a key that were made after a time, newest first."""
    with state.read() as connection:
        return [_result(row) for row in connection.execute(_OF_KEY, {"key": key, "made_after": made_after})]


def recent(state: SharedState, pipeline: str, step: str) -> list[dict[str, Any]]:
    """The last few results of a step, newest first."""
    with state.read() as connection:
        return [_result(row) for row in connection.execute(_RECENT_OF_STEP, {"pipeline": pipeline, "step": step})]


def latest_of(state: SharedState, pipeline: str) -> list[dict[str, Any]]:
    """The latest result of each step of a pipeline."""
    with state.read() as connection:
        return [_result(row) for row in connection.execute(_LATEST, {"pipeline": pipeline})]


def add(state: SharedState, values: Mapping[str, Any], lease: Lease) -> dict[str, Any]:
    """Keep a result (all columns but `number`, `token` and `made`) once for each lease; gives the one that stands.

    When the lease was overtaken it is that of whoever overtook it. Raises LeaseLost while there is none yet.
    """
    which = {"key": values["key"], "token": lease.token}
    with state.begin() as connection:
        if not stands(connection, lease):
            later = connection.execute(_LATER, which).one_or_none()
            if later is None:
                raise LeaseLost(lease.name, lease.owner)
            return _result(later)
        new = state.insert(results).values(**encoded(values), token=lease.token, made=state.now(connection))
        connection.execute(new.on_conflict_do_nothing())
        return _result(connection.execute(_MINE, which).one())


def remove(state: SharedState, number: int) -> None:
    """Take a result away."""
    with state.begin() as connection:
        connection.execute(delete(results).where(results.c.number == number))


def _result(row: Row[Any]) -> dict[str, Any]:
    return decoded(row._asdict())


def relied_upon(state: SharedState) -> Iterator[str]:
    """The digests of all that results rely on in the object store, and so must stay there. Some come more than once."""
    with state.read() as connection:
        for notebook, outputs in connection.execute(select(results.c.notebook, results.c.outputs)):
            if notebook:
                yield notebook
            for output in json.loads(outputs).values():
                yield from (output[name] for name in ("object", "digest") if output.get(name))
