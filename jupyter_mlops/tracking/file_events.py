"""Files touched, as inotify tells it: exact for every program, at about a microsecond for an open.

That microsecond is a tenth of an open in Python, so a folder whose files are opened without pause is *cooled*: it is watched for new names
only, what it was opened for is known already, its other files get a watch that fires once, and its writes are told from their times.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass

from .files import Touch, is_skipped_folder
from .inotify import ACCESS, CREATE, IGNORED, IS_FOLDER, MODIFY, MOVED_FROM, MOVED_TO, ONCE, OPEN, OVERFLOW, Inotify
from .own_opens import OwnOpens

_NAMES = CREATE | MOVED_TO | MOVED_FROM
_CONTENT = OPEN | ACCESS | MODIFY
_EVERYTHING = _NAMES | _CONTENT
_MOST_FOLDERS = 2000
_MOST_OUTSIDE = 200
_MOST_ONCE = 1000
_FIRST_SECONDS = 0.003
_FIRST_PAUSE, _LATER, _LONGEST_PAUSE = 0.003, 4, 0.1
_HOT_EVENTS, _HOT_ROUNDS = 100, 2
_SYSTEM = ("/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/boot", "/run", "/snap")


@dataclass(slots=True)
class _Place:
    """What one watch is for: a folder (with the names that count, None for all of them), or a single file."""

    path: str
    names: set[str] | None = None
    single: bool = False
    deep: bool = True
    cool: bool = False
    rounds: int = 0


class EventWatcher:
    """A queue of inotify events, and a thread that empties it before it overflows and follows new folders."""

    def __init__(self, project: str) -> None:
        self._inotify = Inotify()
        self._lock = threading.RLock()
        self._places: dict[int, _Place] = {}
        self._touches: dict[str, int] = {}
        self._complete = True
        self._since = time.time_ns()
        self._waiting: deque[str] = deque()
        self._own: OwnOpens | None = None
        self._stop = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            self._add(project, _Place(project))
        except OSError:
            self._inotify.close()
            os.close(self._stop)
            raise
        self._waiting.extend(_subfolders(project))
        self._follow(time.perf_counter() + _FIRST_SECONDS)
        self._thread = threading.Thread(target=self._pump, name="jupyter_mlops files", daemon=True)
        self._thread.start()

    def mention(self, paths: set[str]) -> None:
        with self._lock:
            known = {place.path for place in self._places.values() if not place.single and place.names is None}
            for path in paths:
                folder, magic, _ = _before_pattern(path)
                if folder not in known and not (os.path.dirname(folder) in known and not magic and not os.path.islink(path)):
                    self._mention(path, folder)

    def collect(self) -> tuple[dict[str, int], bool]:
        with self._lock:
            self._read()
            if any(place.cool for place in self._places.values()):
                self._warm()
            touches, self._touches = self._touches, {}
            complete, self._complete = self._complete, True
            since, self._since = self._since, time.time_ns()
        return {path: _judged(path, touch, since) for path, touch in touches.items()}, complete

    def know_own(self) -> None:
        with self._lock:
            self._own = OwnOpens()
            for place in list(self._places.values()):
                self._own.watch(os.path.dirname(place.path) if place.single else place.path)

    def own(self) -> set[str] | None:
        with self._lock:
            return self._own.collect() if self._own is not None else None

    def close(self) -> None:
        os.eventfd_write(self._stop, 1)
        self._thread.join()
        if self._own is not None:
            self._own.close()
        self._inotify.close()
        os.close(self._stop)

    # Adding watches

    def _add(self, path: str, place: _Place) -> bool:
        """Watches a place; one that is watched already keeps its first path and counts all the names that either counts.

        Returns whether all of it is watched now that was not before. Raises OSError.
        """
        watch = self._inotify.add(path, _CONTENT if place.single else _EVERYTHING)
        if self._own is not None:
            self._own.watch(os.path.dirname(path) if place.single else path)
        known = self._places.get(watch)
        if known is None or not os.path.exists(known.path):
            self._places[watch] = place
            return True
        if known.names is None:
            return False
        known.names = None if place.names is None else known.names | place.names
        known.deep = known.deep or place.deep
        return known.names is None

    def _follow(self, until: float = float("inf")) -> None:
        """Watches the folders that wait, breadth first; files that are links are watched where they lead."""
        while self._waiting and time.perf_counter() < until:
            with self._lock:
                if len(self._places) >= _MOST_FOLDERS or not self._waiting:
                    self._waiting.clear()
                    return
                folder = self._waiting.popleft()
                if self._watch_folder(folder):
                    self._waiting.extend(_subfolders(folder))

    def _watch_folder(self, folder: str) -> bool:
        try:
            # A link to a folder that is watched leads nowhere new.
            return self._add(folder, _Place(folder))
        except OSError:
            self._complete = False
            return False

    def _arrived(self, folder: str) -> None:
        """A new folder: what is in it was written before the watch could tell."""
        if is_skipped_folder(folder) or os.path.islink(folder) or len(self._places) >= _MOST_FOLDERS:
            return
        try:
            self._add(folder, _Place(folder))
            entries = list(os.scandir(folder))
        except OSError:
            return
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                self._arrived(entry.path)
            else:
                self._mark(entry.path, Touch.WRITTEN | Touch.CREATED)

    def _mention(self, path: str, folder: str) -> None:
        try:
            if os.path.islink(path) and os.path.isfile(path):
                self._add(path, _Place(path, single=True))
            if os.path.isdir(folder):
                if not (folder + "/").startswith(tuple(root + "/" for root in _SYSTEM)) and folder != "/":
                    self._mention_folder(folder)
            else:
                parent = os.path.dirname(folder)
                self._add(parent, _Place(parent, {os.path.basename(folder)}, deep=False))
        except OSError:
            pass

    def _mention_folder(self, folder: str) -> None:
        waiting = deque([folder])
        for _ in range(_MOST_OUTSIDE):
            if not waiting:
                return
            one = waiting.popleft()
            if self._watch_folder(one):
                waiting.extend(_subfolders(one))

    # Reading events

    def _pump(self) -> None:
        """Reads events in rounds: soon after the first one, to find hot folders, then ever later while more come.

        Each round takes the interpreter from the cell, so that no round begins because of an event but the first.
        """
        self._follow()
        anything, stop = select.poll(), select.poll()
        stop.register(self._stop, select.POLLIN)
        anything.register(self._stop, select.POLLIN)
        anything.register(self._inotify.descriptor, select.POLLIN)
        while True:
            anything.poll()
            pause, more = _FIRST_PAUSE, True
            while more:
                if stop.poll(1000 * pause):
                    return
                pause = min(pause * _LATER, _LONGEST_PAUSE)
                with self._lock:
                    opens = self._read()
                    more = bool(opens)
                    self._cool_down(opens)

    def _read(self) -> Counter[int]:
        """Takes in the events that wait; returns how many opens and reads each watch told of (0 of a watch that told of other things)."""
        opens: Counter[int] = Counter()
        for (watch, mask, padded), count in self._inotify.read().items():
            if mask & OVERFLOW:
                self._complete = False
                for place in self._places.values():
                    place.cool = True
                continue
            told = self._places.get(watch)
            if told is None:
                continue
            if mask & IGNORED:
                del self._places[watch]
                continue
            name = os.fsdecode(padded.rstrip(b"\0"))
            if told.names is None or name in told.names:
                opens[watch] += count if mask & (OPEN | ACCESS) and not mask & IS_FOLDER else 0
                self._take(told, mask, f"{told.path}/{name}" if name else told.path)
        return opens

    def _take(self, place: _Place, mask: int, path: str) -> None:
        if mask & IS_FOLDER:
            if place.deep and mask & (CREATE | MOVED_TO):
                self._arrived(path)
        elif mask & CREATE:
            self._mark(path, Touch.WRITTEN | Touch.CREATED)
        elif mask & (MODIFY | MOVED_TO):
            self._mark(path, Touch.WRITTEN | Touch.MOVED if mask & MOVED_TO else Touch.WRITTEN)
        elif mask & OPEN:
            self._mark(path, Touch.OPENED)
        else:
            self._mark(path, Touch.READ if self._touches.get(path, 0) & Touch.WRITTEN else Touch.READ | Touch.READ_FIRST)

    def _mark(self, path: str, touch: int) -> None:
        self._touches[path] = self._touches.get(path, 0) | touch

    # Cooling

    def _cool_down(self, opens: Counter[int]) -> None:
        for watch, place in list(self._places.items()):
            place.rounds = place.rounds + 1 if opens[watch] else 0
            if not place.cool and not place.single and (opens[watch] > _HOT_EVENTS or place.rounds >= _HOT_ROUNDS):
                self._cool(place)

    def _cool(self, place: _Place) -> None:
        place.cool = True
        try:
            inside = [path for path in self._touches if path.rpartition("/")[0] == place.path]
            # A folder in it has a watch of its own, which would be lost with its first event.
            many = len(inside) > _HOT_EVENTS
            names = [] if many else [entry.name for entry in os.scandir(place.path) if not entry.is_dir()]
            if many or len(names) > _MOST_ONCE:
                # A folder of so many files stands for them; it counts as written where one of them was.
                self._inotify.change(place.path, _NAMES)
                for path in inside:
                    self._mark(place.path, Touch.FOLDER | Touch.READ | self._touches[path] & Touch.WRITTEN)
                return
            for path in (f"{place.path}/{name}" for name in names if place.names is None or name in place.names):
                known = self._touches.get(path, 0)
                if not known & (Touch.READ | Touch.OPENED) or (known & Touch.WRITTEN and not known & Touch.READ):
                    # What was opened is read or mapped, unless it was written: then a read is still to be told.
                    self._places.setdefault(self._inotify.change(path, (ACCESS if known else OPEN) | ONCE), _Place(path, single=True))
            # Only now that each file tells by itself: in between, what is opened would go unseen.
            self._inotify.change(place.path, _NAMES)
        except OSError:
            self._complete = False

    def _warm(self) -> None:
        """Watches cooled folders as before, and finds what was written in the meantime."""
        for place in list(self._places.values()):
            if place.cool and not place.single:
                place.cool, place.rounds = False, 0
                try:
                    self._inotify.change(place.path, _EVERYTHING)
                    if self._touches.get(place.path, 0) & Touch.FOLDER:
                        continue
                    # Of what is known to be read, `_judged` asks.
                    others = [entry for entry in os.scandir(place.path) if not self._touches.get(entry.path, 0) & Touch.READ]
                    written = [entry.path for entry in others if entry.is_file() and entry.stat().st_mtime_ns > self._since]
                except OSError:
                    continue
                for path in written:
                    if place.names is None or os.path.basename(path) in place.names:
                        self._mark(path, Touch.WRITTEN)


def _subfolders(folder: str) -> list[str]:
    try:
        return [entry.path for entry in os.scandir(folder) if entry.is_dir() and not is_skipped_folder(entry.path)]
    except OSError:
        return []


def _before_pattern(path: str) -> tuple[str, str, str]:
    """The part of a path before its first wildcard, that wildcard, and the rest."""
    for index, character in enumerate(path):
        if character in "*?[":
            return os.path.dirname(path[:index]), character, path[index + 1 :]
    return path, "", ""


def _judged(path: str, touch: int, since: int) -> int:
    """A file that was opened and not written was read, or its memory mapped, which makes no event for a read or a change."""
    if touch & Touch.OPENED and not touch & Touch.WRITTEN:
        touch |= Touch.READ
    if touch & Touch.READ and not touch & (Touch.WRITTEN | Touch.FOLDER) and _changed_at(path) > since:
        touch |= Touch.WRITTEN
    return touch


def _changed_at(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
