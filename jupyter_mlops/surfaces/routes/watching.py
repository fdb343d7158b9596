"""Tells pages what changed in a project, while at least one listens: one watcher for each project, however many pages there are."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from ... import config
from ...errors import MlopsError
from .marks import KINDS, Mark, Marks

PERIOD = 0.15
"""Seconds between two looks."""
REMOTE_PERIOD = 5.0
"""Where the shared state is on another machine, those who listen look for themselves so often."""
_SHARED = ("pipelines", "schedules", "models", "monitor")


class Listener:
    """One page that listens: what changed since it last asked."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._told = asyncio.Event()

    def tell(self, changed: set[str]) -> None:
        """Add to what changed."""
        self._changed |= changed
        self._told.set()

    async def wait(self, seconds: float) -> list[str]:
        """What changed, as soon as something did; [] where nothing does for so long."""
        try:
            await asyncio.wait_for(self._told.wait(), seconds)
        except TimeoutError:
            return []
        changed, self._changed = self._changed, set()
        self._told.clear()
        return [kind for kind in KINDS if kind in changed]


class Watchers:
    """The watchers of the projects that somebody looks at now."""

    def __init__(self) -> None:
        self._watchers: dict[Path, _Watcher] = {}

    @property
    def projects(self) -> list[str]:
        """The projects that are watched."""
        return [str(project) for project in self._watchers]

    def listen(self, folder: Path, project: Path) -> Listener:
        """Listen to a project until `leave`."""
        watcher = self._watchers.get(project)
        if watcher is None:
            watcher = self._watchers[project] = _Watcher(folder, asyncio.get_running_loop())
        listener = Listener()
        watcher.listeners.add(listener)
        return listener

    def leave(self, project: Path, listener: Listener) -> None:
        """Listen no more. With its last listener a watcher ends."""
        watcher = self._watchers.get(project)
        if watcher is None:
            return
        watcher.listeners.discard(listener)
        if not watcher.listeners:
            watcher.end()
            del self._watchers[project]

    def close(self) -> None:
        """End all watchers."""
        for watcher in self._watchers.values():
            watcher.end()
        self._watchers.clear()


class _Watcher:
    """A thread that looks at one project."""

    def __init__(self, folder: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.listeners: set[Listener] = set()
        self._folder = folder
        self._loop = loop
        self._end = threading.Event()
        threading.Thread(target=self._watch, name="mlops-watch", daemon=True).start()

    def end(self) -> None:
        """Look no more."""
        self._end.set()

    def _watch(self) -> None:
        # Settings may be broken for a while, as they are edited.
        look: Callable[[], dict[str, Mark]] | None = None
        before: dict[str, Mark] = {}
        remote, since = False, 0.0
        while not self._end.wait(PERIOD if before else 0):
            if look is None:
                try:
                    settings = config.load(self._folder)
                except MlopsError:
                    self._end.wait(REMOTE_PERIOD)
                    continue
                look, remote = Marks(settings).take, settings.database is not None
            now = look()
            changed = {kind for kind, mark in now.items() if before and mark != before[kind]}
            before = now
            since += PERIOD
            if remote and since > REMOTE_PERIOD:
                changed, since = changed | set(_SHARED), 0.0
            if changed and not self._end.is_set():
                self._tell(changed)

    def _tell(self, changed: set[str]) -> None:
        def tell() -> None:
            for listener in self.listeners:
                listener.tell(changed)

        try:
            self._loop.call_soon_threadsafe(tell)
        except RuntimeError:  # the server's loop has ended
            self._end.set()
