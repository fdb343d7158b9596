"""Objects by content: `put` gives the BLAKE3 of some bytes, `get` gives the bytes back, checked.

Objects are kept in packs (see `packs`). A pack is written under a temporary name and then renamed, so that a process killed at any
moment leaves a stray temporary file and nothing else. Nothing is ever written twice, and nothing waits for a lock: a writer that
relies on an object that is there already touches its pack and then looks whether the pack is doomed; `gc` dooms a pack and then
looks whether it was touched. Whichever comes second sees the first, so what is relied upon stays (the flags of Dekker's algorithm).
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ..errors import Corrupt, MlopsError, NewerFormat, NotKept
from ..records import Problem
from . import packs
from .packs import Entry, Prepared
from .places import place, storing

if TYPE_CHECKING:
    from ..config import Settings

_PACK_LIMIT = 256 * 2**20
_BUFFER = 2**20
_READ_AHEAD = 8 * 2**20
_SMALL = 4 * 2**20
_MANY_SMALL = 16


def open_objects(settings: Settings) -> ObjectStore:
    """The objects of a project: at its fsspec URL `objects`, else in `.mlops/objects`; a snapshot that is not there comes from the
    artifact store of the project's remote MLflow."""
    from . import client

    objects = own_objects(settings)
    if settings.objects is None:
        objects.elsewhere = lambda digest: client.fetched(settings, digest)
    return objects


def own_objects(settings: Settings) -> ObjectStore:
    """The objects of a project, and nothing from elsewhere."""
    return ObjectStore(settings.objects or settings.home / "objects")


class ObjectStore:
    """Objects by content at a path or fsspec URL. Threads and processes may share it; nothing is created before the first `put`."""

    def __init__(self, url_or_path: str | Path) -> None:
        self.place = place(url_or_path)
        self.where = self.place.where
        self._lock = threading.RLock()
        self._packs: dict[str, list[Entry]] = {}
        self._damaged: dict[str, MlopsError] = {}
        self._index: dict[tuple[int, bytes], tuple[str, Entry]] = {}
        self._swept = False
        self.elsewhere: Callable[[str], list[str]] = lambda digest: []
        """Brings the snapshot whose digest starts so here, and tells the digests that it found."""

    def put(self, data: bytes | memoryview) -> str:
        """Stores `data` unless it is there; its digest."""
        return self.put_many([data])[0]

    def put_many(self, items: Iterable[Any]) -> list[str]:
        """Stores each buffer in one pack; their digests."""
        with self.writing() as batch:
            return [batch.add(item) for item in items]

    def get(self, digest: str) -> bytes:
        """The bytes of `digest`; raises `NotKept` when they are not here and `Corrupt` when they changed."""
        return next(self.get_many([digest]))

    def get_many(self, digests: Sequence[str]) -> Iterator[bytes]:
        """The bytes of each digest in turn; neighbours in a pack are read at once."""
        found = [self._find(packs.OBJECT, digest) for digest in digests]
        start = 0
        while start < len(found):
            stop = self._neighbours(found, start)
            yield from self._read(found[start:stop])
            start = stop

    def has(self, digest: str) -> bool:
        """Whether the bytes of `digest` are here."""
        return self._has(packs.OBJECT, digest)

    def has_manifest(self, digest: str) -> bool:
        """Whether the snapshot `digest` is here."""
        return self._has(packs.MANIFEST, digest)

    def manifest(self, digest: str) -> bytes:
        """The manifest of the snapshot `digest`."""
        if not self.has_manifest(digest):
            self.elsewhere(digest)
        return next(self._read([self._find(packs.MANIFEST, digest)]))

    def copy(self, snapshot: str, needed: Iterable[str], target: ObjectStore) -> None:
        """Copies a snapshot with the objects that it needs, as they are stored; raises what `get` raises."""
        # A file of one part has the digest of that part.
        keys = [key for key in sorted(needed) if key != snapshot or self.has(key)]
        found = [*(self._find(packs.OBJECT, key) for key in keys), self._find(packs.MANIFEST, snapshot)]
        with target.writing() as batch:
            for name, entry in found:
                if not batch.present(entry.sort, entry.key):
                    payload = self.place.read(name, entry.offset, entry.stored)
                    packs.restore(entry, payload, f"{self.where}/packs/{name}")
                    batch.append(Prepared(entry, payload))

    def manifests(self, prefix: str = "") -> list[str]:
        """The digests of the snapshots here that start with `prefix`."""
        self.refresh()
        return sorted(key.hex() for sort, key in self._index if sort == packs.MANIFEST and key.hex().startswith(prefix))

    def writing(self) -> Batch:
        """A batch to put many objects into one pack: `with objects.writing() as batch: batch.add(data)`."""
        if not self._swept:
            self._swept = True
            self.sweep()
        self.refresh()
        return Batch(self)

    def settle(self, snapshots: Mapping[str, Iterable[str]]) -> None:
        """Let snapshots, each with the digests of the objects that it needs, outlast a loss of power: their packs are on the disk then."""
        # A file of one part has the digest of that part.
        keys = [key for snapshot, needed in snapshots.items() for key in needed if key != snapshot or self.has(key)]
        found = [*(self._find(packs.MANIFEST, snapshot) for snapshot in snapshots), *(self._find(packs.OBJECT, key) for key in keys)]
        self.place.settle(sorted({name for name, _ in found}))

    def verify(self) -> Iterator[Problem]:
        """Reads every byte of every pack; yields one `Problem` for each thing that is not what was written, naming pack and object."""
        yield from self.unreadable()
        for name, entries in sorted(self._packs.items()):
            where = f"{self.where}/packs/{name}"
            if self.place.read(name, 0, len(packs.MAGIC)) != packs.MAGIC:
                yield Problem(what=str(Corrupt("A pack", where)), where=where, remedy="restore this file from a backup")
            for entry in entries:
                try:
                    packs.restore(entry, self.place.read(name, entry.offset, entry.stored), where)
                except Corrupt as error:
                    yield Problem(
                        what=str(error), where=where, remedy="restore this file from a backup, or freeze the data again elsewhere"
                    )

    def unreadable(self) -> Iterator[Problem]:
        """One `Problem` for each pack whose list of contents cannot be read."""
        self.refresh()
        for name, error in sorted(self._damaged.items()):
            remedy = "upgrade this package" if isinstance(error, NewerFormat) else "restore this file from a backup"
            yield Problem(what=str(error), where=f"{self.where}/packs/{name}", remedy=remedy)

    def sweep(self) -> int:
        """Removes temporary files that dead writers left; how many."""
        return self.place.sweep()

    def dead(self, live: Iterable[str], grace: float = 3600.0) -> tuple[int, int]:
        """How many objects `gc` would delete, and how many bytes that would free. Nothing is changed."""
        self.refresh()
        self._knows_all()
        keep = {bytes.fromhex(digest) for digest in live}
        with self._lock:
            found = [
                entry for name, entries in self._packs.items() if self._older(name, grace) for entry in entries if entry.key not in keep
            ]
        return len(found), sum(entry.stored for entry in found)

    def gc(self, live: Iterable[str], grace: float = 3600.0) -> tuple[int, int]:
        """Deletes objects and manifests that are not in `live`, except from packs written or relied upon in the last `grace` seconds.

        Live objects of a pack with dead ones, and many small packs, are first written into a new pack. Returns how many objects were
        deleted and how many bytes that freed. `grace` must outlast the time from a `put` to its reference.
        """
        self.sweep()
        self.refresh()
        self._knows_all()
        keep = {bytes.fromhex(digest) for digest in live}
        with self._lock:
            old = {name: entries for name, entries in self._packs.items() if self._older(name, grace)}
        dead = {name: [entry for entry in entries if entry.key not in keep] for name, entries in old.items()}
        small = [name for name, entries in old.items() if sum(entry.stored for entry in entries) < _SMALL]
        rewritten = {name for name in old if dead[name]} | (set(small) if len(small) >= _MANY_SMALL else set())
        survivors = [(name, entry) for name in sorted(rewritten) for entry in old[name] if entry.key in keep]
        if survivors:
            unreadable = self._copy(survivors)
            rewritten -= unreadable
        removed = freed = 0
        for name in sorted(rewritten):
            self.place.doom(name)
            if self._older(name, grace):
                self.place.remove(name)
                removed += len(dead[name])
                freed += sum(entry.stored for entry in dead[name])
            self.place.spare(name)
        self.refresh()
        return removed, freed

    def refresh(self) -> None:
        """Learns which packs came and went."""
        with self._lock:
            names = {name for name in self.place.names() if name.endswith(packs.SUFFIX)}
            gone = self._packs.keys() - names
            for name in gone:
                del self._packs[name]
            for name in self._damaged.keys() - names:
                del self._damaged[name]
            if gone:
                self._index = {key: found for key, found in self._index.items() if found[0] in self._packs}
                for name, entries in self._packs.items():
                    self._learn(name, entries)
            for name in names - self._packs.keys() - self._damaged.keys():
                try:
                    self._learn(name, self._entries(name))
                except FileNotFoundError:
                    continue
                except MlopsError as error:
                    self._damaged[name] = error

    def _knows_all(self) -> None:
        """Raises NewerFormat where a pack of a newer version is here: what it holds, and what that needs of other packs, is not known."""
        for error in self._damaged.values():
            if isinstance(error, NewerFormat):
                raise error

    def relies(self, name: str) -> bool:
        """Marks a pack as relied upon; False when it is gone or about to go."""
        return self.place.touch(name) and not self.place.doomed(name)

    def lookup(self, sort: int, key: bytes) -> tuple[str, Entry] | None:
        """Where an object is, by what is known already."""
        return self._index.get((sort, key))

    def _learn(self, name: str, entries: list[Entry]) -> None:
        with self._lock:
            self._packs[name] = entries
            for entry in entries:
                self._index.setdefault((entry.sort, entry.key), (name, entry))

    def _entries(self, name: str) -> list[Entry]:
        where = f"{self.where}/packs/{name}"
        end = self.place.size(name)
        # One read fetches the whole footer of most packs, which matters when the place is remote.
        tail = self.place.read(name, max(0, end - 64 * 1024), min(end, 64 * 1024))
        trailer = tail[-packs.TRAILER_SIZE :]
        size = packs.footer_size(trailer, where)
        if size > end - packs.TRAILER_SIZE:
            raise Corrupt("A pack", where)
        if size + packs.TRAILER_SIZE > len(tail):
            tail = self.place.read(name, end - packs.TRAILER_SIZE - size, size + packs.TRAILER_SIZE)
        return packs.read_footer(tail[len(tail) - packs.TRAILER_SIZE - size : len(tail) - packs.TRAILER_SIZE], trailer, where)

    def _has(self, sort: int, digest: str) -> bool:
        key = bytes.fromhex(digest)
        if (sort, key) not in self._index:
            self.refresh()
        return (sort, key) in self._index

    def _find(self, sort: int, digest: str) -> tuple[str, Entry]:
        if not self._has(sort, digest):
            self._knows_all()
            for name, error in self._damaged.items():
                raise Corrupt(f"{digest} may have been in a pack that", f"{self.where}/packs/{name}") from error
            raise NotKept(digest)
        return self._index[sort, bytes.fromhex(digest)]

    @staticmethod
    def _neighbours(found: list[tuple[str, Entry]], start: int) -> int:
        name, entry = found[start]
        first, end, stop = entry.offset, entry.offset + entry.stored, start + 1
        while stop < len(found) and found[stop][0] == name and found[stop][1].offset == end and end - first < _READ_AHEAD:
            end += found[stop][1].stored
            stop += 1
        return stop

    def _read(self, found: list[tuple[str, Entry]]) -> Iterator[bytes]:
        name, first = found[0]
        last = found[-1][1]
        try:
            block = self.place.read(name, first.offset, last.offset + last.stored - first.offset)
        except FileNotFoundError:
            # gc moved these objects into another pack since the index was read.
            self.refresh()
            for _, entry in found:
                yield from self._read([self._find(entry.sort, entry.key.hex())])
            return
        for _, entry in found:
            start = entry.offset - first.offset
            payload = block if len(found) == 1 else block[start : start + entry.stored]
            yield packs.restore(entry, payload, f"{self.where}/packs/{name}")

    def _older(self, name: str, grace: float) -> bool:
        try:
            return self.place.age(name) > grace
        except FileNotFoundError:
            return False

    def _copy(self, survivors: list[tuple[str, Entry]]) -> set[str]:
        """Writes objects into new packs; the names of packs that could not be read whole, which must stay as they are."""
        unreadable: set[str] = set()
        with Batch(self) as batch:
            for name, entry in survivors:
                try:
                    payload = self.place.read(name, entry.offset, entry.stored)
                    packs.restore(entry, payload, name)
                    batch.append(Prepared(entry, payload))
                except (MlopsError, FileNotFoundError):
                    unreadable.add(name)
        return unreadable


class Batch:
    """Objects on their way into one pack (or a few, of at most 256 MB). Nothing is readable before the batch ends well."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._entries: list[Entry] = []
        self._keys: set[tuple[int, bytes]] = set()
        self._relied: dict[str, bool] = {}
        self._handle = -1
        self._path = Path()
        self._buffer = bytearray()
        self._end = 0
        self.stored = 0

    def add(self, data: Any, width: int = 1) -> str:
        """Puts one buffer; its digest."""
        prepared = packs.prepare(data, width)
        if not self.present(prepared.entry.sort, prepared.entry.key):
            self.append(prepared)
        return prepared.entry.key.hex()

    def present(self, sort: int, key: bytes) -> bool:
        """Whether an object is in the store to stay, or in this batch."""
        if (sort, key) in self._keys:
            return True
        found = self._objects.lookup(sort, key)
        if found is None:
            return False
        name = found[0]
        if name not in self._relied:
            self._relied[name] = self._objects.relies(name)
        return self._relied[name]

    def append(self, prepared: Prepared) -> None:
        """Writes an object that is not present."""
        entry = prepared.entry
        if (entry.sort, entry.key) in self._keys:
            return
        if self._handle < 0:
            self._open()
        elif self._end + entry.stored > _PACK_LIMIT:
            self._commit()
            self._open()
        self._keys.add((entry.sort, entry.key))
        self._entries.append(entry._replace(offset=self._end))
        self._write(prepared.payload)
        self.stored += entry.stored

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._handle < 0:
            return
        if kind is None:
            self._commit()
        else:
            self._abandon()

    def _open(self) -> None:
        while self._handle < 0:
            self._path = self._objects.place.temporary()
            with storing(self._objects.where):
                handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, self._objects.place.mode)
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.fstat(handle).st_nlink:
                self._handle = handle
            else:
                # Somebody swept it away as a stray one, before it was locked.
                os.close(handle)
        self._entries, self._end = [], 0
        self._buffer.clear()
        self._write(packs.MAGIC)

    def _write(self, data: Any) -> None:
        self._buffer += data
        self._end += len(data)
        if len(self._buffer) >= _BUFFER:
            self._flush()

    def _flush(self) -> None:
        with storing(self._objects.where):
            view = memoryview(bytes(self._buffer))
            while view:
                view = view[os.write(self._handle, view) :]
        self._buffer.clear()

    def _commit(self) -> None:
        name = uuid.uuid4().hex + packs.SUFFIX
        try:
            self._write(packs.footer(self._entries))
            self._flush()
            self._objects.place.commit(self._path, name)
        except BaseException:
            self._abandon()
            raise
        os.close(self._handle)
        self._handle = -1
        self._objects._learn(name, self._entries)

    def _abandon(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._path.unlink(missing_ok=True)
