"""Keeps every version of the user's own modules that a session met, with the execution that met it first."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .environment import LocalModules

_SECONDS = 0.02


class ModuleKeeper:
    """Collects modules for the thread that runs cells: CPython 3.11 fails when two threads make syntax trees at the same time.

    `put` keeps a source text, without its secrets, and gives its digest. `known` is the latest version of each module by its name:
    {"module", "path" (relative to the project where it lies there), "digest"}.
    """

    def __init__(self, project: Path, put: Callable[[str], str]) -> None:
        self.known: dict[str, dict[str, str]] = {}
        self._project, self._put = project, put
        self._local = LocalModules(project)
        self._waiting: deque[tuple[int, str, Path, bytes]] = deque()

    def collect(self, seq: int) -> Mapping[int, Sequence[Mapping[str, str]]]:
        """The versions that are new, by the execution that met them; `seq` is the one that just ended. What takes too long waits."""
        self._waiting.extend((seq, *module) for module in self._local.seen())
        if not self._waiting:
            return {}
        deadline = time.perf_counter() + _SECONDS
        met: dict[int, list[dict[str, str]]] = defaultdict(list)
        while self._waiting and time.perf_counter() < deadline:
            when, name, path, content = self._waiting.popleft()
            where = path.relative_to(self._project).as_posix() if path.is_relative_to(self._project) else str(path)
            module = {"module": name, "path": where, "digest": self._put(content.decode("utf-8", "replace"))}
            if self.known.get(name) != module:
                self.known[name] = module
                met[when].append(module)
        return met
