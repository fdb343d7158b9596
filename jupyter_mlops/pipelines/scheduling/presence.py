"""Which schedulers live: each has a numbered place among all that share a store, by a lease that it renews."""

from __future__ import annotations

import os
import socket
from itertools import count
from typing import Protocol

from ...store.leases import Lease, Leases
from ...store.shared import SharedState

_PLACE = "scheduler "


class Presence(Protocol):
    """How schedulers tell each other that they live. `owner` names this one, and no other before or after it."""

    owner: str

    def enter(self) -> None:
        """Be there from now on, under a new name."""

    def renew(self) -> bool:
        """Still be there; False when others had to take this one for dead."""

    def lives(self, owner: str) -> bool:
        """Whether another scheduler may still be at work."""

    def leave(self) -> None:
        """Be gone."""


class LeasedPresence:
    """Presence by leases in the shared state; `seconds` is how long a scheduler is waited for that does not renew its lease."""

    def __init__(self, state: SharedState, seconds: float) -> None:
        self._leases = Leases(state)
        self._seconds = seconds
        self._lease: Lease | None = None
        self.owner = ""

    def enter(self) -> None:
        """Take the first free place. Its name has the host, for whoever looks for a log, and the lease's token, which never comes again."""
        host = socket.gethostname()
        for place in count(1):
            self._lease = self._leases.acquire(_name(place), f"{host} process {os.getpid()}", self._seconds)
            if self._lease is not None:
                self.owner = f"{host} {place} {self._lease.token}"
                return

    def renew(self) -> bool:
        """Still be there; False when another has taken the place."""
        return self._lease is not None and self._leases.renew(self._lease)

    def lives(self, owner: str) -> bool:
        """Whether another scheduler may still be at work."""
        _, place, token = owner.rsplit(" ", 2)
        holder = self._leases.holder(_name(int(place)))
        return holder is not None and holder.token == int(token)

    def leave(self) -> None:
        """Give the place back."""
        if self._lease is not None:
            self._leases.release(self._lease)
            self._lease = None


def living(state: SharedState) -> tuple[str, ...]:
    """The schedulers that are at work, each as its host and process."""
    return tuple(lease.owner for lease in Leases(state).holders(_PLACE))


def _name(place: int) -> str:
    return f"{_PLACE}{place}"
