"""A step's own process, with all that it starts: supervised, ended with its time or with its supervisor, leaving nobody behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_SECONDS = (0.002, 0.1)
_TELL_SECONDS = 0.5
_GRACE_SECONDS = 5.0

# The shell becomes the command. What it leaves in the command's group reads a pipe that ends when the supervisor does, however that ends.
GUARD = 'exec 9<&0 </dev/null; { read -r _; kill -KILL 0; } <&9 9<&- >/dev/null 2>&1 & exec 9<&-; exec "$@"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a process ended: its exit status (negative: the signal), whether its time was over, and the most memory in bytes that it was
    seen to have, with the processes below it; a peak of a few hundredths of a second may go unseen."""

    status: int
    late: bool
    memory: int


def supervise(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path,
    timeout: float | None = None,
    alive: Callable[[], None] = lambda: None,
) -> Ended:
    """Run a command in a process group of its own until it ends; what it prints goes to the file `log`.

    `alive` is called twice a second; what it raises ends the group and goes on. SIGTERM comes first, SIGKILL some seconds later.
    """
    reads, writes = os.pipe()
    try:
        with log.open("wb") as file:
            group = _Group(["/bin/sh", "-c", GUARD, "step", *command], cwd, env, reads, file.fileno())
        os.close(reads)
        try:
            late = group.wait(None if timeout is None else time.monotonic() + timeout, alive)
        finally:
            group.end()
        return Ended(status=group.status, late=late, memory=group.memory)
    finally:
        os.close(writes)


class _Group:
    """A process and the group that it leads."""

    def __init__(self, command: Sequence[str], cwd: Path, env: Mapping[str, str], stdin: int, output: int) -> None:
        self._process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdin=stdin, stdout=output, stderr=output, start_new_session=True
        )
        self.memory = 0

    @property
    def status(self) -> int:
        """The exit status of the leader, which has ended."""
        return int(self._process.returncode)

    def wait(self, deadline: float | None, alive: Callable[[], None]) -> bool:
        """Wait for the leader; whether its time was over first."""
        pause, told = _POLL_SECONDS[0], time.monotonic()
        while not self._reaped():
            self._measure([self._process.pid])
            now = time.monotonic()
            if deadline is not None and now > deadline:
                return True
            if now - told > _TELL_SECONDS:
                told = now
                self._measure(self._members())
                alive()
            time.sleep(pause)
            pause = min(2 * pause, _POLL_SECONDS[1])
        return False

    def end(self) -> None:
        """End all of the group, politely where its leader still works."""
        if not self._reaped():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while not self._reaped() and time.monotonic() < deadline:
                time.sleep(_POLL_SECONDS[1])
        self._signal(signal.SIGKILL)
        while not self._reaped():
            time.sleep(_POLL_SECONDS[0])

    def _reaped(self) -> bool:
        return self._process.poll() is not None

    def _members(self) -> list[int]:
        """The leader and the processes below it."""
        import psutil

        with contextlib.suppress(psutil.Error):
            return [self._process.pid, *(child.pid for child in psutil.Process(self._process.pid).children(recursive=True))]
        return []

    def _measure(self, pids: Sequence[int]) -> None:
        """Note how much memory processes have now. What the system tells at the end counts the supervisor's, from before the exec."""
        import psutil

        total = 0
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                total += int(psutil.Process(pid).memory_info().rss)
        self.memory = max(self.memory, total)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
