"""Where packs are kept: a folder, or any URL that fsspec reads. Both answer the same questions about files of one flat folder."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

from ..errors import DiskFull, StoreError
from . import disks

DOOMED = ".doomed"
TOUCHED = ".touched"


class Place(Protocol):
    """A flat folder of packs. `touch` and `doom` leave marks; `age` is seconds since a pack was written or touched; what was settled
    outlasts a loss of power. New packs have the rights `mode`."""

    where: str
    mode: int

    def names(self) -> set[str]: ...
    def size(self, name: str) -> int: ...
    def read(self, name: str, offset: int, length: int) -> bytes: ...
    def temporary(self) -> Path: ...
    def commit(self, temporary: Path, name: str) -> None: ...
    def touch(self, name: str) -> bool: ...
    def age(self, name: str) -> float: ...
    def doom(self, name: str) -> None: ...
    def doomed(self, name: str) -> bool: ...
    def spare(self, name: str) -> None: ...
    def remove(self, name: str) -> None: ...
    def settle(self, names: Iterable[str]) -> None: ...
    def sweep(self) -> int: ...


@contextlib.contextmanager
def storing(where: str) -> Iterator[None]:
    """Turns what the operating system refuses into one sentence; a missing file stays a FileNotFoundError for those who look again."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull(where) from error
        why = error.strerror or error
        raise StoreError(f"{where} cannot be read or written ({why}): check the disk, its permissions, or the connection.") from error


def place(url_or_path: str | Path) -> Place:
    """The folder at a path or file URL, or the remote folder at any other URL."""
    text = str(url_or_path)
    if text.startswith("file://"):
        return Folder(Path(text[7:]))
    return Remote(text) if "://" in text else Folder(Path(text))


class Folder:
    """Packs in a local folder; marks are the packs' own times and empty files beside them."""

    mode = 0o666

    def __init__(self, folder: Path) -> None:
        self.where = str(folder)
        self._packs = folder / "packs"
        self._temporary = folder / "tmp"

    def names(self) -> set[str]:
        with storing(self.where):
            try:
                return {entry.name for entry in os.scandir(self._packs)}
            except FileNotFoundError:
                return set()

    def size(self, name: str) -> int:
        with storing(self.where):
            return (self._packs / name).stat().st_size

    def read(self, name: str, offset: int, length: int) -> bytes:
        with storing(self.where):
            handle = os.open(self._packs / name, os.O_RDONLY)
            try:
                parts = []
                while length and (part := os.pread(handle, length, offset)):
                    parts.append(part)
                    offset, length = offset + len(part), length - len(part)
                return parts[0] if len(parts) == 1 else b"".join(parts)
            finally:
                os.close(handle)

    def temporary(self) -> Path:
        with storing(self.where):
            self._temporary.mkdir(parents=True, exist_ok=True)
            self._packs.mkdir(exist_ok=True)
        return self._temporary / f"{uuid.uuid4().hex}.tmp"

    def commit(self, temporary: Path, name: str) -> None:
        with storing(self.where):
            os.replace(temporary, self._packs / name)

    def touch(self, name: str) -> bool:
        with storing(self.where):
            try:
                os.utime(self._packs / name)
            except FileNotFoundError:
                return False
            return True

    def age(self, name: str) -> float:
        with storing(self.where):
            return time.time() - (self._packs / name).stat().st_mtime

    def doom(self, name: str) -> None:
        with storing(self.where):
            (self._packs / (name + DOOMED)).touch()

    def doomed(self, name: str) -> bool:
        return (self._packs / (name + DOOMED)).exists()

    def spare(self, name: str) -> None:
        with storing(self.where):
            (self._packs / (name + DOOMED)).unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        with storing(self.where):
            (self._packs / name).unlink(missing_ok=True)

    def settle(self, names: Iterable[str]) -> None:
        with storing(self.where):
            for name in names:
                disks.settle(self._packs / name)
            disks.settle(self._packs)

    def sweep(self) -> int:
        return _sweep(self._temporary)


class Remote:
    """Packs under an fsspec URL; they are written to a local temporary file and sent whole, and marks are small files beside them."""

    mode = 0o600

    def __init__(self, url: str) -> None:
        self.where = url.rstrip("/")
        self._url = self.where
        self._opened: tuple[Any, str] | None = None
        self._temporary: Path | None = None

    @property
    def _fs(self) -> Any:
        if self._opened is None:
            import fsspec

            with storing(self.where):
                try:
                    self._opened = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
                except (ImportError, ValueError) as error:
                    raise StoreError(f"{self.where} cannot be opened ({error}): install the fsspec package for such URLs.") from None
        return self._opened[0]

    def _path(self, name: str) -> str:
        fs = self._fs
        assert self._opened is not None
        del fs
        return f"{self._opened[1].rstrip('/')}/packs/{name}"

    def names(self) -> set[str]:
        with storing(self.where):
            try:
                return {path.rsplit("/", 1)[-1] for path in self._fs.ls(self._path("").rstrip("/"), detail=False)}
            except FileNotFoundError:
                return set()

    def size(self, name: str) -> int:
        with storing(self.where):
            return int(self._fs.size(self._path(name)))

    def read(self, name: str, offset: int, length: int) -> bytes:
        if not length:
            # Some remote stores answer an empty range with the whole file.
            return b""
        with storing(self.where):
            data: bytes = self._fs.cat_file(self._path(name), start=offset, end=offset + length)
            return data

    def temporary(self) -> Path:
        return self._folder() / f"{uuid.uuid4().hex}.tmp"

    def commit(self, temporary: Path, name: str) -> None:
        with storing(self.where):
            self._fs.makedirs(self._path("").rstrip("/"), exist_ok=True)
            self._fs.put_file(str(temporary), self._path(name))
            temporary.unlink(missing_ok=True)

    def touch(self, name: str) -> bool:
        with storing(self.where):
            self._fs.pipe_file(self._path(name + TOUCHED), b"1")
            return bool(self._fs.exists(self._path(name)))

    def age(self, name: str) -> float:
        with storing(self.where):
            times = [self._fs.modified(self._path(name)).timestamp()]
            with contextlib.suppress(FileNotFoundError):
                times.append(self._fs.modified(self._path(name + TOUCHED)).timestamp())
            return time.time() - float(max(times))

    def doom(self, name: str) -> None:
        with storing(self.where):
            self._fs.pipe_file(self._path(name + DOOMED), b"1")

    def doomed(self, name: str) -> bool:
        with storing(self.where):
            return bool(self._fs.exists(self._path(name + DOOMED)))

    def spare(self, name: str) -> None:
        self._unlink(name + DOOMED)

    def remove(self, name: str) -> None:
        self._unlink(name)
        self._unlink(name + TOUCHED)

    def settle(self, names: Iterable[str]) -> None:
        """What a remote store has taken, it keeps."""

    def _unlink(self, name: str) -> None:
        with storing(self.where), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def _folder(self) -> Path:
        with storing(tempfile.gettempdir()):
            if self._temporary is None or not _is_private(self._temporary):
                self._temporary = temporary_folder("mlops-packs")
        return self._temporary

    def sweep(self) -> int:
        return _sweep(self._folder())


def temporary_folder(name: str) -> Path:
    """A folder of this user's among the temporary ones: the same each time, but a new one where somebody else has prepared that.

    Raises OSError.
    """
    path = Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700, parents=True)
    return path if _is_private(path) else Path(tempfile.mkdtemp(prefix=f"{name}-"))


def _is_private(folder: Path) -> bool:
    """Whether it is a real folder of this user's that nobody else writes to; then nobody else enters it from now on."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
            return False
        if found.st_mode & 0o777 != 0o700:
            folder.chmod(0o700)
    except FileNotFoundError:
        return False
    return True


def _sweep(folder: Path) -> int:
    """Removes temporary files whose writer is gone: a writer holds a lock on its file while it lives."""
    swept = 0
    for path in folder.glob("*.tmp"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            swept += 1
    return swept
