"""Claims that end by themselves: whoever holds the lease of a name does the work of that name, and must renew it while at work.

A lease has a fencing token, larger than that of every earlier lease of its name: what is written with an overtaken token is refused
(`stands`), however late its writer wakes up. A holder is overtaken when its time is up by the database's clock, when its process on this
machine is gone, or, since clocks are set, when it has not renewed for its time by the clock of whoever waits.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Float, Row, String, Table, and_, or_, select, update

from ..errors import StoreError
from .shared import SharedState, tables

SECONDS = 30.0
"""How long a lease lasts when nothing else is said."""

_leases = Table(
    "leases",
    tables,
    Column("name", String(200), primary_key=True),
    Column("owner", String(200), nullable=False),
    Column("process", String(200), nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("beats", BigInteger, nullable=False),
    Column("seconds", Float(53), nullable=False),
    Column("renewed", Float(53), nullable=False),
    Column("expires", Float(53), nullable=False),
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A claim on `name`; `token` is its fencing token, `seconds` how long it lasts from `renewed` on (by the database's clock)."""

    name: str
    owner: str
    token: int
    seconds: float
    renewed: float


@dataclass(slots=True)
class Held:
    """A lease that is being renewed; `lost` is set once it was overtaken, and what is done under it can no longer be committed."""

    lease: Lease
    lost: threading.Event = field(default_factory=threading.Event)


class Leases:
    """The leases of a shared state. Keep one object while waiting for a lease: it notices a holder that stopped renewing."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._seen: dict[str, tuple[int, int, float]] = {}

    def acquire(self, name: str, owner: str, seconds: float = SECONDS) -> Lease | None:
        """The lease of `name` for `seconds`, or None while another has it. An owner does not get a lease twice either."""
        with self._state.read() as connection:
            row = _row(connection, name)
            if row is not None and not self._is_over(row, self._state.now(connection)):
                return None
        with self._state.begin() as connection:
            now = self._state.now(connection)
            values = {"owner": owner, "process": process(), "seconds": seconds, "renewed": now, "expires": now + seconds, "beats": 0}
            unchanged = _leases.c.expires <= now
            if row is not None:
                unchanged = or_(unchanged, and_(_leases.c.token == row.token, _leases.c.beats == row.beats))
            taken = update(_leases).where(_leases.c.name == name, unchanged).values(**values, token=_leases.c.token + 1)
            token = connection.execute(taken.returning(_leases.c.token)).scalar()
            if token is None:
                new = self._state.insert(_leases).values(name=name, token=1, **values).on_conflict_do_nothing()
                token = connection.execute(new.returning(_leases.c.token)).scalar()
        if token is None:
            return None
        self._seen.pop(name, None)
        return Lease(name, owner, int(token), seconds, now)

    def renew(self, lease: Lease) -> bool:
        """Let a lease last its time again from now on; False when it was overtaken. One that only ran out is as good as new."""
        with self._state.begin() as connection:
            now = self._state.now(connection)
            values = {"renewed": now, "expires": now + lease.seconds, "beats": _leases.c.beats + 1}
            return bool(connection.execute(update(_leases).where(_same(lease)).values(**values)).rowcount)

    def release(self, lease: Lease) -> None:
        """Give a lease back, if it was not overtaken."""
        with self._state.begin() as connection:
            connection.execute(update(_leases).where(_same(lease)).values(owner="", process="", expires=0.0))

    def holder(self, name: str) -> Lease | None:
        """Who has the lease of `name` now."""
        with self._state.read() as connection:
            row = _row(connection, name)
            if row is None or self._is_over(row, self._state.now(connection)):
                return None
        return Lease(row.name, row.owner, int(row.token), row.seconds, row.renewed)

    def holders(self, prefix: str) -> tuple[Lease, ...]:
        """Who has those leases now whose names begin so, by name."""
        with self._state.read() as connection:
            now = self._state.now(connection)
            rows = connection.execute(select(_leases).where(_leases.c.name.startswith(prefix, autoescape=True)).order_by(_leases.c.name))
            living = [row for row in rows if not self._is_over(row, now)]
        return tuple(Lease(row.name, row.owner, int(row.token), row.seconds, row.renewed) for row in living)

    @contextmanager
    def kept(self, lease: Lease) -> Iterator[Held]:
        """Renew a lease in a thread while the block runs, and give it back at its end.

        A database that does not answer for a moment is asked again; only when it says so is the lease lost.
        """
        held = Held(lease)
        over = threading.Event()

        def beat() -> None:
            while not over.wait(lease.seconds / 3):
                try:
                    if not self.renew(lease):
                        held.lost.set()
                        return
                except StoreError:
                    continue

        thread = threading.Thread(target=beat, name=f"lease of {lease.name}", daemon=True)
        thread.start()
        try:
            yield held
        finally:
            over.set()
            thread.join()
            self.release(lease)

    def _is_over(self, row: Row[tuple[object, ...]], now: float) -> bool:
        if row.expires <= now or is_gone(str(row.process)):
            return True
        token, beats, since = self._seen.get(row.name, (0, 0, 0.0))
        if (token, beats) != (row.token, row.beats):
            self._seen[row.name] = (row.token, row.beats, time.monotonic())
            return False
        return bool(time.monotonic() - since > row.seconds)


def stands(connection: Connection, lease: Lease) -> bool:
    """Whether a lease was not overtaken; nobody can overtake it until the connection's transaction ends."""
    return connection.execute(select(_leases.c.token).where(_same(lease)).with_for_update()).scalar() is not None


def process() -> str:
    """What names this process among all of this machine, now and later; "" where the system does not tell."""
    started = _started(os.getpid())
    return f"{_machine()} {os.getpid()} {started}" if started and _machine() else ""


def _same(lease: Lease) -> ColumnElement[bool]:
    return and_(_leases.c.name == lease.name, _leases.c.token == lease.token)


def _row(connection: Connection, name: str) -> Row[tuple[object, ...]] | None:
    return connection.execute(select(_leases).where(_leases.c.name == name)).one_or_none()


def is_gone(holder: str) -> bool:
    """Whether a process certainly ended: only those of this machine, and of this container, can be looked up."""
    machine, _, place = holder.partition(" ")
    number, _, started = place.partition(" ")
    return bool(started) and machine == _machine() and _started(int(number)) != started


@cache
def _machine() -> str:
    """This boot of this machine, and the processes that are seen from here."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}/{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _started(number: int) -> str:
    """When a process started, in ticks since the machine did; "" when there is none that still runs."""
    try:
        state, *fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else fields[18]
