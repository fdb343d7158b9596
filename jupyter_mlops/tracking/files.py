"""Which files the code of a cell read and wrote, however it opened them: Python, native readers, memory maps, threads, other processes.

The operating system tells (`file_events`, inotify on Linux); where it cannot, files are compared before and after (`file_stats`).
An audit hook would see less (nothing that opens natively) and cost more (it is called for every audited event, for good).
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ..records import Input

FOLDER_STANDS = 500
"""A folder in which a cell touched more files than this stands for them in `Touched`."""

_STORES = frozenset(("mlruns", "mlartifacts", "__pycache__", "node_modules", "site-packages"))
_NOT_DATA = re.compile(r"mlflow\.db.*|.*\.(?:pyc|pyo)|.*-(?:wal|shm|journal)|.*~")


class Touch:
    """What happened to one file, or to a folder that stands for its many: bits of an int, as an `IntFlag` takes a microsecond to ask."""

    READ, WRITTEN, CREATED, FOLDER, OPENED, READ_FIRST, MOVED = 1, 2, 4, 8, 16, 32, 64


@dataclass(frozen=True, slots=True)
class Touched:
    """The files read and written in an interval; `complete` is False when the system lost events, so that some reads may be missing.

    `overwritten` are those that were read and then written, as far as the system tells the order. `own` are those of the read ones that
    this very process opened, the others were opened by others alone; None when that is not known (see `FileWatch.know_own`). `others`
    are those, read or written, that it is known not to have opened.
    """

    read: frozenset[Path] = frozenset()
    written: frozenset[Path] = frozenset()
    overwritten: frozenset[Path] = frozenset()
    complete: bool = True
    own: frozenset[Path] | None = None
    others: frozenset[Path] = frozenset()

    def without_others(self) -> Touched:
        """Only what this process can have touched: for code that starts no other that works for it."""
        return replace(self, read=self.read - self.others, written=self.written - self.others, overwritten=self.overwritten - self.others)


class Watcher(Protocol):
    """What tells of touched files; paths are absolute texts."""

    def mention(self, paths: set[str]) -> None: ...
    def collect(self) -> tuple[dict[str, int], bool]: ...
    def know_own(self) -> None: ...
    def own(self) -> set[str] | None: ...
    def close(self) -> None: ...


class FileWatch:
    """Watches a project folder and the places that cells mention."""

    def __init__(self, project: Path, watcher: Callable[[str], Watcher] | None = None) -> None:
        self._project = os.path.realpath(project)
        self.opened: set[Path] | None = None
        """The files read by cells that this process opened itself, since `know_own`; None when that is not known of all of them."""
        self._mentioned: set[str] = set()
        self._foreign: set[str] = set()
        self._elsewhere: set[str] = set()
        self._quiet = 0
        self._pid = os.getpid()
        self._watcher = watcher(self._project) if watcher else _best_watcher(self._project)

    def watch(self, paths: Iterable[Path | str]) -> None:
        """Says, after `drain` and before a cell runs, which paths it mentions: they always count, and are watched outside the project."""
        mentioned = {os.path.abspath(path) for path in paths}
        self._mentioned |= mentioned
        if self._pid == os.getpid():
            self._watcher.mention(mentioned | {os.getcwd()})

    def drain(self) -> Touched:
        """What was touched since the last call, as far as it can be a cell's data; in a forked child, nothing."""
        if self._pid != os.getpid():
            return Touched()
        touches, complete = self._watcher.collect()
        own = self._watcher.own()
        mentioned, self._mentioned = self._mentioned, set()
        if not touches:
            return Touched(complete=complete, own=None if own is None else frozenset())
        read, written = [], []
        folders = {path for path, touch in touches.items() if touch & Touch.FOLDER}
        for path, touch in touches.items():
            named = path in mentioned
            if not named and _is_excluded(path, self._project):
                continue
            gone = bool(touch & Touch.WRITTEN) and not os.path.exists(path)
            if touch & Touch.WRITTEN and not gone:
                written.append(path)
            if touch & Touch.READ and not (gone and touch & Touch.CREATED) and (named or self._counts_as_read(path)):
                read.append(path)
        overwritten = frozenset(Path(path) for path in read if touches[path] & Touch.READ_FIRST and touches[path] & Touch.WRITTEN)
        found = _summarised(read, folders)
        mine = None if own is None else frozenset(path for path in found if str(path) in own or _any_below(path, own))
        others = set[Path]() if own is None else self._others(touches, own)
        return Touched(found, _summarised(written, folders), overwritten, complete, mine, frozenset(others))

    def _others(self, touches: Mapping[str, int], own: set[str]) -> set[Path]:
        """The touched files that other processes opened, now or, to go on writing, before. Who moved one here, the system does not tell."""
        opened = {path for path, touch in touches.items() if touch & (Touch.OPENED | Touch.READ)}
        self._elsewhere = (self._elsewhere | opened) - own
        return {Path(path) for path, touch in touches.items() if path in self._elsewhere and not touch & Touch.MOVED}

    def know_own(self) -> None:
        """From now on, tell the files that this process opens from those that others do, where the system tells."""
        with suppress(OSError):
            self._watcher.know_own()
            self.opened = set()

    def claim(self, touched: Touched) -> None:
        """What was told are the reads of a cell: those of its own opens are added to `opened`."""
        if self.opened is not None:
            self.opened = None if touched.own is None else self.opened | touched.own

    def expect_reader(self, paths: Iterable[Path | str]) -> None:
        """Another process of ours is going to read these files: from now on a read of one counts only in a cell that mentions it."""
        self._foreign.update(os.path.abspath(path) for path in paths)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """While something of ours reads the project's files (git), a read counts only in a cell that mentions the file."""
        self._quiet += 1
        try:
            yield
        finally:
            self._quiet -= 1

    def close(self) -> None:
        """Stops watching."""
        self._watcher.close()

    def _counts_as_read(self, path: str) -> bool:
        return not self._quiet and path not in self._foreign and not path.endswith(".py")


def file_input(path: Path, project: Path) -> Input:
    """The record of a file or folder, without its digest; `stat` is (size, mtime_ns, inode), () when it is gone."""
    text, inside = str(path), f"{project}{os.sep}"
    name = text[len(inside) :].replace(os.sep, "/") if text.startswith(inside) else text
    try:
        status = os.stat(text)
    except OSError:
        return Input(name=name, kind="file", digest=None, source=text, why="it was gone when the cell ended")
    kind = "folder" if stat.S_ISDIR(status.st_mode) else "file"
    size = 0 if kind == "folder" else status.st_size
    return Input(name=name, kind=kind, digest=None, source=text, size=size, stat=(status.st_size, status.st_mtime_ns, status.st_ino))


def is_skipped_folder(path: str) -> bool:
    """Folders that hold no data of a project: hidden ones, stores, caches, and environments."""
    name = os.path.basename(path)
    return (
        name.startswith(".")
        or name in _STORES
        or os.path.exists(os.path.join(path, "pyvenv.cfg"))
        or os.path.exists(os.path.join(path, "conda-meta"))
    )


def _best_watcher(project: str) -> Watcher:
    from .file_stats import StatWatcher

    if sys.platform == "linux":
        from .file_events import EventWatcher

        try:
            return EventWatcher(project)
        except OSError:  # the user's inotify instances or watches are used up
            pass
    return StatWatcher(project)


def _is_excluded(path: str, project: str) -> bool:
    inside = path.startswith(project + os.sep)
    *folders, name = (path[len(project) + 1 :] if inside else os.path.basename(path)).split(os.sep)
    if name.startswith(".") or name.endswith(".ipynb") or _NOT_DATA.fullmatch(name):
        return True
    return any(folder.startswith(".") or folder in _STORES for folder in folders)


def _any_below(folder: Path, paths: set[str]) -> bool:
    return folder.is_dir() and any(path.startswith(f"{folder}{os.sep}") for path in paths)


def _summarised(paths: list[str], folders: set[str]) -> frozenset[Path]:
    """Paths, with a folder in place of its files where it stands for them."""
    if not folders and len(paths) <= FOLDER_STANDS:
        return frozenset(map(Path, paths))
    counts = Counter(os.path.dirname(path) for path in paths)
    whole = folders.intersection(paths) | {folder for folder, count in counts.items() if count > FOLDER_STANDS}
    return frozenset(map(Path, whole | {path for path in paths if os.path.dirname(path) not in whole}))
