"""Kernels that are up before anybody asks for them: all that is left to do then is to enter the folder and the environment of a step.

They are forked like any other, by the same server, with no more in common; each is taken once. One that nobody takes ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AHEAD = 2
"""So many kernels wait at most: as one is taken the next is begun, in the time in which the step works."""
PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "hb_port": 4, "control_port": 5}
SIGNATURES = "hmac-sha256"
LONGEST_SOCKET = 90
# The beginnings of names of settings that IPython reads as it starts.
_READ_EARLY = ("HOME", "IPYTHON", "JUPYTER", "XDG_")
_SESSION = "JPY_SESSION_NAME"


@dataclass(frozen=True, slots=True)
class Spare:
    """A kernel that waits, or is about to: its lifeline, the path that its files and sockets begin with, the key that its messages are
    signed with, and the modules that it was forked with."""

    channel: socket.socket
    place: Path
    key: str
    modules: frozenset[str]

    @property
    def file(self) -> str:
        """Its connection file."""
        return f"{self.place}.json"

    @property
    def log(self) -> Path:
        """What it writes that is no cell's."""
        return Path(f"{self.place}.log")

    def connection(self, session: str = "") -> None:
        """Write the connection file; `session` is what is run, for those who look there."""
        told = {**PORTS, "ip": str(self.place), "key": self.key, "transport": "ipc", "signature_scheme": SIGNATURES, "kernel_name": ""}
        aside = Path(f"{self.place}.part")
        aside.touch(0o600)
        aside.write_text(json.dumps(told | ({"jupyter_session": session} if session else {})), "utf-8")
        aside.replace(self.file)

    def close(self) -> None:
        """End it."""
        self.channel.close()
        for path in self.place.parent.glob(f"{self.place.name}*"):
            with contextlib.suppress(OSError):
                path.unlink()


class Ahead:
    """The kernels that wait in one server, which is asked for them by `ask`. Not safe for threads by itself."""

    def __init__(self, folder: Path, environment: Mapping[str, str], ask: Callable[[Mapping[str, Any]], socket.socket]) -> None:
        self._folder, self._ask = folder, ask
        self._environment = {name: value for name, value in environment.items() if name != _SESSION}
        self._waiting: list[Spare] = []
        self._expected = 0

    def expect(self, number: int, modules: Iterable[str]) -> None:
        """So many more will be asked for, and `modules` are loaded by then."""
        self._expected = number
        for spare in self._waiting[number:]:
            spare.close()
        del self._waiting[number:]
        self._fill(frozenset(modules))

    def take(self, environment: Mapping[str, str], needed: Iterable[str], modules: Iterable[str]) -> Spare | None:
        """One that serves a step with this environment that needs some modules loaded; the next is begun with `modules`."""
        asked, loaded = set(needed), frozenset(modules)
        for spare in [spare for spare in self._waiting if not asked <= spare.modules]:
            self._waiting.remove(spare)
            spare.close()
        names = {name for name in (*environment, *self._environment) if name.startswith(_READ_EARLY)}
        fits = all(environment.get(name) == self._environment.get(name) for name in names)
        taken = self._waiting.pop(0) if self._waiting and fits else None
        self._expected = max(0, self._expected - 1)
        self._fill(loaded)
        return taken

    def close(self) -> None:
        """End all of them."""
        self.expect(0, ())

    def _fill(self, modules: frozenset[str]) -> None:
        while len(self._waiting) < min(AHEAD, self._expected):
            place = self._folder / uuid.uuid4().hex[:12]
            if len(str(place)) >= LONGEST_SOCKET:
                return
            request = {
                "argv": ["-f", f"{place}.json"], "waits": True, "modules": sorted(modules), "env": self._environment, "cwd": "/",
                "log": f"{place}.log",
            }  # fmt: skip
            spare = Spare(self._ask(request), place, secrets.token_hex(16), modules)
            spare.connection()
            self._waiting.append(spare)
