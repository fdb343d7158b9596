"""Follows the journals of a store and has every run delivered, session by session, in order."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..code.secrets import without_credentials
from ..errors import NewerFormat
from . import journal
from .attach import Attachment
from .deliver import Delivery, Waiting
from .queries import Pending
from .runs import DIED, RunState, SessionState, merge
from .seals import seal_journal
from .state import Ledger
from .tracking_server import Refused, Unreachable

LIVENESS_SECONDS = 2.0
ADOPTED_SECONDS = 2.0
GIVE_UP_SECONDS = 300.0
IN_HAND = -1.0
OPEN, ENDED, RECOVERED = "open", "ended", "recovered"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Followed:
    """A journal that is being read: how far it was read and delivered, and which of its runs wait."""

    path: Path
    session: SessionState
    read: int = 0
    delivered: int = 0
    state: str = OPEN
    checked: float = 0.0
    waiting: dict[str, float] = field(default_factory=dict)  # run id -> when to try next (monotonic seconds)
    held: set[str] = field(default_factory=set)


class Courier:
    """One pass after another: read what is new, tell the dead from the living, deliver. Readers see what waits through `pending`."""

    def __init__(self, home: Path, ledger: Ledger, delivery: Delivery, attachment: Attachment) -> None:
        self._home = home
        self._ledger = ledger
        self._delivery = delivery
        self._attachment = attachment
        self._followed: dict[str, _Followed] = {}
        # How far the journals of sessions that are over were read; one that grew since, by its last words, is followed again.
        self._over = {session: position for session, (position, state) in ledger.sessions().items() if state != OPEN}
        self._listed = 0
        self._looked = 0.0
        self._mutex = threading.RLock()
        self._troubles: dict[str, str] = {}
        self._newer = set[str]()

    def read(self) -> bool:
        """Take in what the journals have that is new; whether there was anything."""
        with self._mutex:
            self._list()
            fresh = False
            for followed in list(self._followed.values()):
                try:
                    fresh = self._tail(followed) or fresh
                except NewerFormat as error:
                    # It stays as it is, for the version that can read it.
                    self._troubles[followed.session.id] = str(error)
                    self._newer.add(followed.path.stem)
                    del self._followed[followed.path.stem]
            return fresh

    def deliver(self) -> None:
        """Try every run that waits and is due: first all that is small, then files and models."""
        targets = []
        for followed, state in self._due(time.monotonic()):
            with self._trying(followed, state):
                target = self._delivery.record(followed.session, state)
                if target is None:
                    self._settled(followed, state)
                else:
                    targets.append((followed, state, target))
        for followed, state, target in targets:
            with self._trying(followed, state):
                self._attachment.attach(target)
                self._delivery.place(target)
                self._settled(followed, state)
        with self._mutex:
            for followed in list(self._followed.values()):
                self._advance(followed)

    def pending(self) -> list[Pending]:
        """The runs that wait, and the runs for which a change from elsewhere waits, as readers see them."""
        with self._mutex:
            found: dict[str, Pending] = {}
            changes = []
            for followed in self._followed.values():
                for identifier in followed.waiting:
                    state = followed.session.runs[identifier]
                    if not state.own:
                        changes.append(state)
                    else:
                        run = self._delivery.as_run(followed.session, state)
                        found[identifier] = Pending(run, self._delivery.uri(followed.session, state))
            for state in changes:
                before = found.get(state.id) or self._delivered(state.id)
                if before is not None:
                    found[state.id] = Pending(merge(before.run, state), before.uri)
            return list(found.values())

    def _delivered(self, identifier: str) -> Pending | None:
        place = self._ledger.place(identifier)
        known = self._ledger.runs([place[0]]) if place is not None else []
        return Pending(known[0], place[1]) if place is not None and known else None

    def session(self, identifier: str) -> SessionState | None:
        """A session that is followed now."""
        with self._mutex:
            followed = self._followed.get(identifier)
            return followed.session if followed else None

    @property
    def waiting(self) -> int:
        """How many runs wait, but for those that wait for the user's own code to end them."""
        with self._mutex:
            return sum(1 for followed in self._followed.values() for identifier in followed.waiting if identifier not in followed.held)

    @property
    def alive(self) -> int:
        """How many sessions live."""
        with self._mutex:
            return sum(1 for followed in self._followed.values() if followed.state == OPEN)

    @property
    def troubles(self) -> list[str]:
        """Why runs wait, the last reason of each, without repetition."""
        return list(dict.fromkeys(self._troubles.values()))

    def sizes(self) -> dict[str, int]:
        """The size of each followed journal now, in bytes: what `delivered` is compared with."""
        return {path.stem: _size(path) for path in journal.journals(self._home) if path.stem not in self._newer}

    def delivered(self, sizes: dict[str, int]) -> bool:
        """Whether everything up to these sizes is delivered (or waits for the user's own code alone)."""
        with self._mutex:
            for session, size in sizes.items():
                followed = self._followed.get(session)
                if followed is None:
                    if self._over.get(session, -1) < size:
                        return False
                elif followed.read < size or set(followed.waiting) - followed.held:
                    return False
            return True

    def retry_now(self) -> None:
        """Let everything that waits be tried at once."""
        with self._mutex:
            for followed in self._followed.values():
                followed.waiting = dict.fromkeys(followed.waiting, 0.0)
                followed.held.clear()

    def _seal(self, followed: _Followed) -> None:
        with contextlib.suppress(OSError):  # the user deleted the store under a living kernel
            seal_journal(self._ledger, followed.session.id, followed.path, followed.read)

    def _list(self) -> None:
        folder = self._home / "journal"
        try:
            stamp = folder.stat().st_mtime_ns
        except OSError:
            return
        now = time.monotonic()
        if stamp == self._listed and now - self._looked < LIVENESS_SECONDS:
            return
        # A file made in the same tick of the clock as the last listing would go unseen: list again later, too.
        self._listed, self._looked = stamp, now
        for path in journal.journals(self._home):
            session = path.stem
            if session in self._followed or session in self._newer or (session in self._over and _size(path) <= self._over[session]):
                continue
            self._followed[session] = _Followed(path, _unread(path))

    def _tail(self, followed: _Followed) -> bool:
        size = _size(followed.path)
        now = time.monotonic()
        if size < followed.read:
            # The user deleted the store under a living kernel, which began a new journal.
            followed.session, followed.read, followed.waiting = _unread(followed.path), 0, {}
        dead = False
        if followed.state == OPEN and followed.session.ended is None and now - followed.checked > LIVENESS_SECONDS:
            followed.checked = now
            dead = not journal.alive(followed.path)  # before the last read: a clean end comes before its lock is freed
            size = _size(followed.path)
        fresh = size > followed.read
        if fresh:
            records, followed.read = journal.read(followed.path, followed.read)
            if records and followed.state == RECOVERED:
                followed.state, followed.session.ended = OPEN, None  # it was not dead after all
            touched = followed.session.add(records)
            followed.held -= touched  # there is more to deliver than what waited for the user's own code
            followed.waiting.update(dict.fromkeys(touched, 0.0))
        if followed.session.ended is not None and followed.state == OPEN:
            followed.state = ENDED
            followed.waiting.update(dict.fromkeys(self._close(followed), 0.0))
        elif dead and followed.state == OPEN:
            followed.state = RECOVERED
            followed.waiting.update(dict.fromkeys(self._close(followed), 0.0))
            followed.session.ended = followed.session.last
            fresh = True
        return fresh

    @staticmethod
    def _close(followed: _Followed) -> set[str]:
        clean = followed.state == ENDED
        closed = followed.session.close_open_runs("the session ended while this run was open" if clean else DIED)
        # Those that wait for the user's own run to end wait for nothing any more; histories tell now what never ended.
        return closed | followed.held

    def _due(self, now: float) -> list[tuple[_Followed, RunState]]:
        with self._mutex:
            due = []
            for followed in sorted(self._followed.values(), key=lambda item: float(item.session.header.get("started") or 0.0)):
                for identifier, when in followed.waiting.items():
                    state = followed.session.runs[identifier]
                    server = self._delivery.servers[self._delivery.uri(followed.session, state)]
                    if when <= now and not server.resting and (state.own or not self._on_its_way(identifier)):
                        followed.waiting[identifier] = IN_HAND
                        due.append((followed, state.copy()))
        # Parents first: a child's tag names its parent's id in MLflow. Changes to runs made elsewhere last: those may be among these.
        return sorted(due, key=lambda item: (not item[1].own, item[1].parent is not None))

    @contextlib.contextmanager
    def _trying(self, followed: _Followed, state: RunState) -> Iterator[None]:
        try:
            yield
        except Waiting:
            followed.held.add(state.id)
            self._later(followed, state, ADOPTED_SECONDS)
        except Unreachable as error:
            self._troubles[state.id] = str(error)
            self._later(followed, state, 0.5)
        except Refused as error:
            self._give_up(followed, state, str(error))
        except Exception as error:  # a mistake of ours with one run must not stop the others
            _log.exception("run %s of session %s", state.id, followed.session.id)
            self._give_up(followed, state, without_credentials(f"{type(error).__name__}: {error}"))

    def _settled(self, followed: _Followed, state: RunState) -> None:
        with self._mutex:
            followed.held.discard(state.id)
            self._troubles.pop(state.id, None)
            if followed.waiting.get(state.id) == IN_HAND:  # else more came in meanwhile
                del followed.waiting[state.id]

    def _later(self, followed: _Followed, state: RunState, seconds: float) -> None:
        with self._mutex:
            followed.waiting[state.id] = time.monotonic() + seconds

    def _give_up(self, followed: _Followed, state: RunState, why: str) -> None:
        """A failure that repeats itself must not be tried each moment, nor hold others up: again in five minutes."""
        _log.error("run %s is not delivered: %s", state.id, why)
        self._troubles[state.id] = why
        self._later(followed, state, GIVE_UP_SECONDS)

    def _on_its_way(self, identifier: str) -> bool:
        return any(identifier in followed.waiting and followed.session.runs[identifier].own for followed in self._followed.values())

    def _advance(self, followed: _Followed) -> None:
        if followed.waiting:
            return
        if followed.delivered != followed.read or followed.state != OPEN:
            followed.delivered = followed.read
            _sync(followed.path)
            self._seal(followed)
            self._ledger.set_session(
                followed.session.id, float(followed.session.header.get("started") or 0.0), followed.read, followed.state
            )
        if followed.state != OPEN:
            self._over[followed.session.id] = followed.read
            del self._followed[followed.path.stem]
            if followed.state == ENDED:
                followed.path.with_suffix(".lock").unlink(missing_ok=True)


def _unread(path: Path) -> SessionState:
    return SessionState(header={"session": path.stem})


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _sync(path: Path) -> None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        _log.warning("the journal %s cannot be flushed to the disk: %s", path, error)
    finally:
        os.close(descriptor)
