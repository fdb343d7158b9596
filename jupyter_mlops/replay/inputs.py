"""Puts the files that the recorded cells read, and the modules that they imported, where the replay reads them: each version in its time.

A file of the project has its place in the sandbox. One from elsewhere is used where it is while its content is what was recorded; else
its recorded bytes come into the sandbox, and the paths in the code are mended to lead there (see `rewriting`).
"""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import Corrupt, MlopsError, NotKept
from ..records import CellEvent
from ..store import snapshots
from ..store.objects import ObjectStore
from .recording import Recording
from .sandbox import Sandbox

_UNKNOWN = "unknown"
_DAY = 86_400
_COPIED = 256_000_000
_MAKING = re.compile(r"\bmkdir|\bmakedirs|\bcopytree")


@dataclass(frozen=True, slots=True)
class Version:
    """The content of one path from a moment on. `changed` is when it got it, in seconds; `why` tells why its bytes were not kept."""

    path: str
    digest: str | None
    changed: float = 0.0
    kept: bool = True
    why: str = ""
    module: bool = False


class Inputs:
    """The files of one replay. `moved` are the paths that have another place here, `barred` those that must not be read, and why."""

    def __init__(self, recording: Recording, sandbox: Sandbox, objects: ObjectStore) -> None:
        self._sandbox, self._objects = sandbox, objects
        self._project = str(recording.project)
        self._versions = dict(sorted(schedule(recording).items()))
        self._written = _written_outside(recording)
        self._folders = folders_written(recording)
        self._reloaded = 0
        self.moved: tuple[str, ...] = ()
        self.barred: dict[str, str] = {}
        self.refused: dict[int, list[str]] = defaultdict(list)
        self.folders: tuple[str, ...] = ()
        self._in_place: set[str] = set()

    def settle(self, recording: Recording) -> None:
        """Decide which files from elsewhere are used where they are."""
        foreign: dict[str, set[str | None]] = defaultdict(set)
        modules: set[str] = set()
        for versions in self._versions.values():
            for version in versions:
                if not self._belongs(version.path):
                    foreign[version.path].add(version.digest)
                    if version.module:
                        modules.add(version.path)
        self._in_place = {path for path, digests in foreign.items() if digests == {_digest(path)} and path not in self._written}
        if not modules <= self._in_place:
            # Modules that import each other come from one place.
            self._in_place -= modules
        self.moved = tuple(sorted({*foreign, *self._written} - self._in_place))
        folders = [folder for folder in recording.environment.get("sys_path") or () if not self._belongs(folder)]
        elsewhere = modules - self._in_place
        self.folders = tuple(
            str(self._sandbox.place(folder)) for folder in folders if any(path.startswith(folder + os.sep) for path in elsewhere)
        )
        for path in sorted(self._in_place):
            # What is in a folder comes with the folder.
            if not any(path.startswith(other + os.sep) for other in self._in_place):
                _mirror(path, self._sandbox.place(path))
        for path in self.moved:
            self._sandbox.place(path).parent.mkdir(parents=True, exist_ok=True)
            if path in foreign:
                self.barred[path] = (
                    f"{path} is not what was recorded any more, and the code does not name it, so that it cannot be replaced: put the "
                    f"recorded file ({next(iter(foreign[path])) or 'of unknown content'!s:.12}) back, or name its path in the code."
                )

    def put(self, event: CellEvent) -> None:
        """Put what an execution needs. Raises Corrupt, with the file's name, when its stored bytes are damaged."""
        for seq in [seq for seq in self._versions if seq <= event.seq]:
            for version in self._versions.pop(seq):
                if version.path not in self._in_place:
                    self._put(version, event.seq)
        for seq in [seq for seq in self._folders if seq <= event.seq]:
            for folder in self._folders.pop(seq):
                self._sandbox.place(folder).mkdir(parents=True, exist_ok=True)

    def put_written(self, event: CellEvent) -> None:
        """Put the files that a cell wrote with a command or download that did not run here."""
        for item in event.files_written:
            if item.get("digest") and item.get("kept") and not self._sandbox.place(str(item["source"])).exists():
                self._put(Version(str(item["source"]), str(item["digest"])), event.seq)

    def _put(self, version: Version, seq: int) -> None:
        place = self._sandbox.place(version.path)
        try:
            if version.digest is None:
                raise NotKept(version.path, version.why or "only its name was recorded")
            place.parent.mkdir(parents=True, exist_ok=True)
            if version.module:
                place.write_bytes(self._objects.get(version.digest))
                self._reloaded += 2  # a reload looks at whole seconds
                # Each version is newer than the one before, and so old that no cell seems to have written it.
                moment = version.changed - _DAY + self._reloaded
                os.utime(place, (moment, moment))
                return
            if place.is_symlink():
                place.unlink()
            snapshots.restore(version.digest, place, self._objects)
        except Corrupt as error:
            raise Corrupt(f"The recorded {self._name(version.path)}", str(self._objects.where)) from error
        except NotKept:
            self._use_in_place(version, place, seq)
        if version.changed and place.exists() and not place.is_symlink():
            os.utime(place, (version.changed, version.changed))

    def _use_in_place(self, version: Version, place: Path, seq: int) -> None:
        if version.digest is not None and _digest(version.path) == version.digest:
            place.unlink(missing_ok=True)
            _mirror(version.path, place)
            return
        why = version.why or "only its digest was recorded"
        self.refused[seq].append(f"{self._name(version.path)} cannot be put back: {why}, and it is not what it was any more.")

    def _name(self, path: str) -> str:
        return os.path.relpath(path, self._project) if self._belongs(path) else path

    def _belongs(self, path: str) -> bool:
        return path == self._project or path.startswith(self._project + os.sep)


def _mirror(path: str, place: Path) -> None:
    """Give a file or folder that is used where it is its place here: by a copy, which code may change, or by a link where that is dear."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.isfile(path) and os.path.getsize(path) <= _COPIED:
        shutil.copyfile(path, place)
    else:
        place.symlink_to(path)


def schedule(recording: Recording) -> Mapping[int, Sequence[Version]]:
    """Which versions are put before which execution, by seq.

    The first version of a file is put when it came to be, so that a listing before its first reading finds it; a later one right before
    the cell that read it. What an earlier cell wrote is left to that cell, unless the content that was read later is another one.
    """
    due: dict[int, list[Version]] = defaultdict(list)
    known: dict[str, str | None] = {}
    events = recording.history or recording.events
    for event in events:
        written = {str(item["source"]): item.get("digest") or _UNKNOWN for item in event.files_written if isinstance(item, Mapping)}
        for item in event.files_read:
            if not isinstance(item, Mapping):
                continue
            version = _version(item, recording.project)
            if version.path in written and written[version.path] in (version.digest, _UNKNOWN):
                continue  # the cell made it, or what it was before is not known
            if version.path not in known:
                due[_moment(events, event, version)].append(version)
            elif known[version.path] not in (version.digest, _UNKNOWN):
                due[event.seq].append(version)
            known[version.path] = version.digest
        known.update(written)
    _schedule_modules(recording, due)
    return due


def _schedule_modules(recording: Recording, due: dict[int, list[Version]]) -> None:
    events = recording.history or recording.events
    if not events:
        return
    written: dict[str, list[tuple[int, Any]]] = defaultdict(list)
    for event in events:
        for item in event.files_written:
            if isinstance(item, Mapping):
                written[str(item["source"])].append((event.seq, item.get("digest")))
    first = events[0]
    met: set[str] = set()
    for seq, module in recording.modules:
        path = os.path.join(recording.project, module["path"])
        by_cells = [digest for when, digest in written[path] if when <= seq]
        if not by_cells or by_cells[-1] not in (module["digest"], None):
            version = Version(path, module["digest"], changed=first.started or 1e9, module=True)
            seqs = [event.seq for event in events if event.seq >= seq]
            when = first.seq if path not in met and not by_cells else seqs[0] if seqs else None
            if when is not None:
                due[when].append(version)
        met.add(path)


def _version(item: Mapping[str, Any], project: Path) -> Version:
    stat: Sequence[int] = item.get("stat") or ()
    return Version(
        path=os.path.join(project, str(item.get("source") or item["name"])),
        digest=item.get("digest"),
        changed=stat[1] / 1e9 if len(stat) == 3 else 0.0,
        kept=bool(item.get("kept")),
        why=str(item.get("why") or ""),
    )


def _moment(events: Sequence[CellEvent], reader: CellEvent, version: Version) -> int:
    """The first execution that began after the file had this content."""
    return next((event.seq for event in events if event.started >= version.changed or event.seq == reader.seq), reader.seq)


def folders_written(recording: Recording) -> dict[int, set[str]]:
    """The folders that executions wrote into and that no code is seen to make, by seq: they were there."""
    found: dict[int, set[str]] = {}
    said = ""
    for event in recording.history or recording.events:
        said += event.source
        folders = {os.path.dirname(str(item["source"])) for item in event.files_written if isinstance(item, Mapping)}
        made = _MAKING.search(said) is not None
        found[event.seq] = {folder for folder in folders if not (made and os.path.basename(folder) in said)}
    return found


def _written_outside(recording: Recording) -> set[str]:
    paths = (str(item["source"]) for event in recording.events for item in event.files_written if isinstance(item, Mapping))
    return {path for path in paths if not Path(path).is_relative_to(recording.project)}


def _digest(path: str) -> str | None:
    try:
        return snapshots.digest_file(path)
    except MlopsError:
        return None
