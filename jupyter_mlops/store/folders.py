"""Files and folders as they are. A file's digest is the BLAKE3 of its bytes, as `b3sum` prints it."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blake3 import blake3

from ..errors import Corrupt, DataError, NotFound, StoreError
from . import packs
from .chunking import cut_bytes
from .objects import Batch, ObjectStore


def file_digest(path: Path) -> str:
    """The BLAKE3 of a file's bytes, on all cores."""
    with _reading(path):
        return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()


def store_file(path: Path, digest: str, batch: Batch) -> dict[str, Any]:
    """Puts a file's bytes; what a manifest says of them."""
    with _reading(path), path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        hasher = blake3(max_threads=blake3.AUTO)
        chunks = []
        if size:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content, memoryview(content) as view:
                start = 0
                for stop in cut_bytes(view):
                    with view[start:stop] as chunk:
                        hasher.update(chunk)
                        chunks.append(batch.add(bytes(chunk)))
                    start = stop
    if hasher.hexdigest() != digest:
        raise DataError(f"{path} changed while its snapshot was taken: take it again when nothing writes to the file.")
    return {"type": {"bytes": 1}, "rows": size, "digest": digest, "chunks": [[0, key, 0] for key in chunks]}


def content(part: Mapping[str, Any], objects: ObjectStore) -> Iterator[bytes]:
    """The bytes of a stored file, chunk by chunk, checked against its digest at the end."""
    hasher = blake3()
    for chunk in objects.get_many([key for _, key, _ in part["chunks"]]):
        hasher.update(chunk)
        yield chunk
    if hasher.hexdigest() != part["digest"]:
        raise Corrupt(f"File {part['digest']}", objects.where)


def walk(folder: Path) -> tuple[dict[str, Any], list[Path]]:
    """A folder's head and its files in order: names relative to it, who may be executed, links, and empty folders."""
    head: dict[str, Any] = {"files": [], "links": [], "folders": []}
    paths: list[Path] = []
    with _reading(folder):
        for where, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted([*files, *folders]):
                path = Path(where, name)
                relative = path.relative_to(folder).as_posix()
                if path.is_symlink():
                    head["links"].append([relative, os.readlink(path)])
                elif path.is_file():
                    head["files"].append([relative, len(paths), os.access(path, os.X_OK)])
                    paths.append(path)
                elif path.is_dir() and not any(path.iterdir()):
                    head["folders"].append(relative)
                elif not path.is_dir():
                    raise DataError(f"{path} is neither a file nor a folder: remove it before taking a snapshot of its folder.")
    return head, paths


def write_file(part: Mapping[str, Any], target: Path, objects: ObjectStore) -> None:
    """Writes a stored file to `target`, which appears whole or not at all."""
    temporary = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            for chunk in content(part, objects):
                file.write(chunk)
        os.replace(temporary, target)
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error.strerror}): check the disk and its permissions.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_folder(head: Mapping[str, Any], parts: list[Mapping[str, Any]], target: Path, objects: ObjectStore) -> None:
    """Writes a stored folder to `target`."""
    target.mkdir(parents=True, exist_ok=True)
    for relative in head["folders"]:
        (target / relative).mkdir(parents=True, exist_ok=True)
    for relative, position, executable in head["files"]:
        path = target / relative
        write_file(parts[position], path, objects)
        if executable:
            path.chmod(path.stat().st_mode | 0o111)
    for relative, points in head["links"]:
        path = target / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(points)


def holds(head: Mapping[str, Any], parts: list[Mapping[str, Any]], target: Path) -> bool:
    """Whether all of a stored folder is in `target`."""
    files = ((target / relative, parts[position]["digest"], executable) for relative, position, executable in head["files"])
    links = ((target / relative, points) for relative, points in head["links"])
    return (
        all((target / relative).is_dir() for relative in head["folders"])
        and all(path.is_symlink() and os.readlink(path) == points for path, points in links)
        and all(_is_stored(path, digest, executable) for path, digest, executable in files)
    )


def _is_stored(path: Path, digest: str, executable: bool) -> bool:
    return path.is_file() and not path.is_symlink() and os.access(path, os.X_OK) == executable and file_digest(path) == digest


def keys(part: Mapping[str, Any]) -> Iterator[str]:
    """The objects that a stored file consists of."""
    for _, key, _ in part["chunks"]:
        yield key


def present(part: Mapping[str, Any], batch: Batch) -> bool:
    """Whether every object of a stored part is in the store to stay."""
    return all(batch.present(packs.OBJECT, bytes.fromhex(key)) for _, joined, _ in part["chunks"] for key in joined.split())


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound("file or folder", str(path), "Check the path.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
