"""What files, folders, URLs and databases hold at this moment, as digests. Unchanged files are not read twice."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from blake3 import blake3

from ...errors import PipelineError
from . import sources
from .distributions import Distributions
from .memory import Memory
from .sources import Said

if TYPE_CHECKING:
    pass

_RACY_SECONDS = 2.0
"""A file that was changed so short a time before it was read may change again without a sign: the clocks of disks are coarse."""
_SKIPPED = frozenset(("__pycache__", ".ipynb_checkpoints", ".git", ".mlops"))
_PACKAGE = "package "
_URL_SECONDS = 20.0
_MAPPED = 2**20


class Contents:
    """Contents seen from a folder, from which relative paths start. What was read is remembered in `memory`."""

    def __init__(self, folder: Path, memory: Memory) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.memory = memory
        self.distributions = Distributions(memory)

    def file(self, path: Path | str) -> str:
        """The digest of a file's bytes, or of a folder's relative paths and bytes. Raises OSError."""
        text = self._absolute(path)
        return _folder_digest(self, text) if os.path.isdir(text) else str(self.remembered("file", text, _bytes_digest))

    def module(self, path: Path | str) -> Said:
        """What a Python file says. Raises OSError."""
        return Said.from_json(self.remembered("module", self._absolute(path), _module))

    def url(self, url: str) -> str:
        """What tells the version of a URL: its ETag, else its Last-Modified, else its content. Raises OSError."""
        from .remote import version

        return version(url, _URL_SECONDS)

    def query(self, query: Mapping[str, str]) -> str | None:
        """What the fingerprint of a database query gives now; None when it declares none, so that nobody can tell."""
        from .databases import fingerprint

        return fingerprint(query, self.folder)

    def given(self, value: Any, step: str, name: str) -> str | None:
        """The digest of an input as a step declares it: a path, a URL, or a query (see `query`). Raises PipelineError with what to do."""
        # A connection may hold a password.
        where = "its database" if isinstance(value, Mapping) else str(value)
        try:
            if isinstance(value, Mapping):
                return self.query(value)
            if "://" in where and not where.startswith("file://"):
                return self.url(where)
            return self.file(where.removeprefix("file://"))
        except PipelineError as error:
            raise PipelineError(f"step {step!r}, input {name!r}: {error}") from None
        except FileNotFoundError:
            raise PipelineError(f"step {step!r}: there is no {where} for the input {name!r}: put it there, or correct the path.") from None
        except (OSError, ValueError) as error:
            why = (error.strerror if isinstance(error, OSError) else "") or str(error)
            sentence = f"step {step!r}: the input {name!r} cannot be read from {where} ({why}): check that it is reachable."
            raise PipelineError(sentence) from None

    def observe(self, paths: Iterable[Path | str], modules: Iterable[str] = ()) -> dict[str, str]:
        """What a step was seen to use, for `Commit.observed`: {path, relative to the folder where it lies there: digest}.

        Python files count by their code, as imported modules do; what is gone already does not count. `modules` are names of imported
        modules: they count as {"package NAME": version} of the distributions that they belong to.
        """
        found = {}
        for path in paths:
            text = self._absolute(path)
            if digest := self._observed(text):
                found[self._shown(text)] = digest
        found.update({_PACKAGE + name: version for name, version in self.distributions.direct(modules).items()})
        return dict(sorted(found.items()))

    def changed(self, observed: Mapping[str, str]) -> str | None:
        """The first of the observed things that is not as it was; None when all are."""
        for name, digest in observed.items():
            if name.startswith(_PACKAGE):
                if self.distributions.version(name.removeprefix(_PACKAGE)) != digest:
                    return name
            elif self._observed(self._absolute(name)) != digest:
                return name
        return None

    def remembered(self, kind: str, path: str, read: Any) -> Any:
        """What `read` gives for the bytes of a file, plain JSON; from memory while the file's size, times and place are the same.

        A file that changed less than two seconds before it was read is read again next time. Raises OSError.
        """
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is neither a file nor a folder")
        stamp = _stamp(status)
        value = self.memory.get(kind, path, stamp)
        if value is None:
            value = read(path)
            if _stamp(after := os.stat(path)) == stamp and max(after.st_mtime, after.st_ctime) + _RACY_SECONDS < time.time():
                self.memory.put(kind, path, stamp, value)
        return value

    def _observed(self, path: str) -> str:
        try:
            return self.module(path).digest if path.endswith(".py") else self.file(path)
        except OSError:
            return ""

    def _absolute(self, path: Path | str) -> str:
        return os.path.normpath(os.path.join(self.folder, os.path.expanduser(path)))

    def _shown(self, path: str) -> str:
        inside = path.startswith(f"{self.folder}{os.sep}")
        return os.path.relpath(path, self.folder).replace(os.sep, "/") if inside else path


def opened(folder: Path, home: Path) -> Contents:
    """The contents seen from a folder, remembered in a project's `.mlops`."""
    return Contents(folder, Memory(home))


def _stamp(status: os.stat_result) -> str:
    # The time of the last change of any kind cannot be set back, as that of the content can.
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino} {status.st_dev}"


def _bytes_digest(path: str) -> str:
    if os.path.getsize(path) >= _MAPPED:
        return blake3(max_threads=blake3.AUTO).update_mmap(path).hexdigest()
    return blake3(Path(path).read_bytes()).hexdigest()


def _module(path: str) -> list[Any]:
    content = Path(path).read_bytes()
    return (sources.of_module(content) if path.endswith(".py") else Said(digest=blake3(content).hexdigest())).to_json()


def _folder_digest(contents: Contents, folder: str) -> str:
    listed = sorted((relative, contents.file(path)) for relative, path in _files(folder, "", frozenset()))
    return blake3(json.dumps(listed).encode()).hexdigest()


def _files(folder: str, relative: str, above: frozenset[tuple[int, int]]) -> Iterator[tuple[str, str]]:
    """The files below a folder as (relative path, path); a link that leads back to a folder above is left out."""
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    with os.scandir(folder) as entries:
        found = list(entries)
    for entry in found:
        name = f"{relative}{entry.name}"
        if entry.is_dir():
            if entry.name not in _SKIPPED:
                yield from _files(entry.path, f"{name}/", above | {here})
        elif entry.is_file():
            yield name, entry.path
