"""The session of a replay's kernel: it tracks as any other does, and differs in what it costs and where it leads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import DataError, MlopsError
from ..records import Input
from ..store import snapshots
from ..store.objects import ObjectStore
from ..tracking.freezing import Freezer, Ready
from ..tracking.session import Session
from .stage import UNREAD, Cue, Scene

_KEPT = 1_000_000_000
_ENOUGH = 1_000


class ReplaySession(Session):
    """A session that delivers nothing, counts its cells as the recording does, and digests what the recording has digests of."""

    def __init__(self, settings: Settings, scene: Scene) -> None:
        super().__init__(settings)
        self.notebook = scene.notebook
        self._recorded = scene.objects
        self.cue = Cue(seq=0)
        self.failed = False
        self._block = ""

    def open_block(self, name: str, params: Mapping[str, Any]) -> None:
        """Start the run that everything belongs to."""
        self._block = self.runs.open_named(name, params=params)

    def close(self) -> None:
        if self._block:
            self.runs.close_named(self._block, "FAILED" if self.failed else "FINISHED")
        super().close()

    def next_seq(self) -> int:
        self.seq = self.cue.seq
        return self.seq

    def deliver(self) -> None:
        """Nothing of a replay goes to MLflow."""

    def prepare(self) -> None:
        """Make now what is made when it is first needed, so that it does not take the first cell's time."""
        for part in (self.runs, self.files, self.random):
            assert part is not None

    def _describe_environment(self) -> None:
        """The player knows which interpreter it started."""

    def _note_earlier(self, shell: Any) -> None:
        """There are no cells before the first one."""

    def file_content(self, path: Path, item: Input) -> Input:
        """Nobody reads large files later: they are read now, and kept here up to a size that a temporary folder can hold."""
        if item.size <= _KEPT:
            return self.file_frozen(path, item)
        try:
            return replace(item, digest=snapshots.digest_file(path))
        except (OSError, MlopsError) as error:
            self.trouble(error)
            return item

    @cached_property
    def objects(self) -> ObjectStore:
        return Layered(self.settings.home / "objects", ObjectStore(self._recorded))

    @cached_property
    def freezer(self) -> Any:
        return ThoroughFreezer(lambda: self.objects, self.trouble, lambda: self.cue.digested)


class ThoroughFreezer(Freezer):
    """Digests what it is asked for, whatever that costs; of other data it only tells that it is data."""

    def __init__(
        self, objects: Callable[[], ObjectStore], on_trouble: Callable[[BaseException], None], wanted: Callable[[], tuple[str, ...]]
    ) -> None:
        super().__init__(objects, on_trouble)
        self._wanted = wanted

    def digest_if_cheap(self, name: str, value: Any, seconds: float, ready: Ready) -> None:
        kind = snapshots.freezable(value)
        if kind is None:
            return
        wanted = name in self._wanted()
        with suppress(DataError):  # where it was data in the recording, that it has no digest now tells enough
            digest = snapshots.digest(value if wanted else _beginning(value))
            ready(Input(name=name, kind=kind, digest=digest if wanted else UNREAD))


def _beginning(value: Any) -> Any:
    """As much of a value as tells whether it is data."""
    try:
        return value[:_ENOUGH] if len(value) > _ENOUGH else value
    except (TypeError, IndexError, KeyError, ValueError):
        return value


class Layered(ObjectStore):
    """Writes go to its own place; what is not there is read from `below`, which is never changed."""

    def __init__(self, url_or_path: str | Path, below: ObjectStore) -> None:
        super().__init__(url_or_path)
        self._below = below

    def get_many(self, digests: Sequence[str]) -> Iterator[bytes]:
        for digest in digests:
            yield from self._below.get_many([digest]) if self._below.has(digest) else super().get_many([digest])

    def has(self, digest: str) -> bool:
        return self._below.has(digest) or super().has(digest)

    def has_manifest(self, digest: str) -> bool:
        return self._below.has_manifest(digest) or super().has_manifest(digest)

    def manifest(self, digest: str) -> bytes:
        return self._below.manifest(digest) if self._below.has_manifest(digest) else super().manifest(digest)

    def manifests(self, prefix: str = "") -> list[str]:
        return sorted({*super().manifests(prefix), *self._below.manifests(prefix)})
