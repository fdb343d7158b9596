"""Files touched, where the system does not tell: sizes and times before and after, and the paths that a cell mentions."""

from __future__ import annotations

import os
from collections import deque

from .files import Touch, is_skipped_folder

_MOST_FILES = 2000
_Status = tuple[int, int, int]


class StatWatcher:
    """Writes are told from what changed; a mentioned file that was there before counts as read.

    Beyond 2,000 files only what is mentioned is compared.
    """

    def __init__(self, project: str) -> None:
        self._project = project
        self._mentioned: set[str] = set()
        self._before = self._statuses()

    def mention(self, paths: set[str]) -> None:
        self._mentioned |= paths
        for path in paths:
            if path not in self._before and (status := _status(path)) is not None:
                self._before[path] = status

    def collect(self) -> tuple[dict[str, int], bool]:
        after = self._statuses()
        for path in self._mentioned:
            if (status := _status(path)) is not None:
                after[path] = status
        touches: dict[str, int] = {}
        for path, status in after.items():
            if path not in self._before:
                touches[path] = Touch.WRITTEN | Touch.CREATED
            elif self._before[path] != status:
                touches[path] = Touch.WRITTEN
        for path in self._mentioned & self._before.keys():
            touches[path] = touches.get(path, 0) | Touch.READ
        self._before, self._mentioned = after, set()
        return touches, True

    def know_own(self) -> None:
        raise OSError("Times of files do not tell who opened them.")

    def own(self) -> set[str] | None:
        return None

    def close(self) -> None:
        self._before.clear()

    def _statuses(self) -> dict[str, _Status]:
        found: dict[str, _Status] = {}
        waiting = deque([self._project])
        while waiting and len(found) < _MOST_FILES:
            try:
                entries = list(os.scandir(waiting.popleft()))
            except OSError:
                continue
            for entry in entries:
                if entry.is_dir():
                    if not entry.is_symlink() and not is_skipped_folder(entry.path):
                        waiting.append(entry.path)
                elif (status := _status(entry.path)) is not None:
                    found[entry.path] = status
        return found


def _status(path: str) -> _Status | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns, status.st_ino) if os.path.isfile(path) else None
