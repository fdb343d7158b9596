"""The data of a project, as the sidebar asks for it: the snapshots that there are, and one of them as a person looks at it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ... import config
from ...config import Settings
from ...errors import NotFound, NotKept, UsageError
from ...records import Diff, Input, ListedSnapshot, Run, Snapshot, SnapshotList, SnapshotUse, SnapshotView
from ...store import journal
from ...store.objects import ObjectStore, open_objects
from ..answers import inputs_of, short
from ..arguments import is_digest
from .beginnings import begun

RUNS = 10_000
"""The newest runs are asked which data they used; no more than so many."""
USES = 20
COLUMNS = 20
_NAMED = (b'"kind":"snapshot"', b'"kind":"fetched"')


def snapshots(search: str = "", limit: int = 50, offset: int = 0) -> SnapshotList:
    """The snapshots of the project, newest first: what runs used, what was taken by hand or fetched, and what models were made of.

    Files that nothing refers to by name (a notebook as it was executed, the files of a model) are left out.

    Args:
        search: only those in whose name, source, kind, columns or digest this stands.
        limit: at most so many.
        offset: without so many of the first.
    """
    settings = config.load()
    if not begun(settings):
        return SnapshotList(snapshots=(), total=0)
    known = _Known.of(settings)
    found = sorted(filter(None, map(known.listed, known.digests())), key=lambda item: (-item.created, item.digest))
    if sought := search.strip().lower():
        found = [item for item in found if _matches(item, sought)]
    page = tuple(replace(item, schema=item.schema[:COLUMNS]) for item in found[offset : offset + limit])
    return SnapshotList(snapshots=page, total=len(found))


def snapshot(digest: str) -> SnapshotView:
    """One snapshot: what it is, where it was used, its first rows, and how the values of its columns lie. Raises NotFound.

    Args:
        digest: its digest, or the beginning of it.
    """
    if not is_digest(digest):
        raise UsageError(f"{digest!r} is not a digest: a digest is 6 to 64 hex digits, as the list of snapshots shows them.")
    settings = config.load()
    known = _Known.of(settings)
    whole = known.resolve(digest)
    listed = known.listed(whole, hidden=True)
    if listed is None:
        raise NotFound("snapshot", digest, "The list of snapshots shows those that there are.")
    if not listed.kept:
        why = known.reason(whole)
        return SnapshotView(snapshot=listed, note=f"Only its digest was recorded{f' ({why})' if why else ''}: its values are not here.")
    view = _looked_at(settings, whole, _suffix(listed))
    return replace(view, snapshot=replace(listed, rows=listed.rows if listed.rows is not None else view.snapshot.rows))


def diff(a: Any, b: Any) -> Diff:
    """The difference of two pieces of data; of two files that hold tables, that of the tables.

    Args:
        a: the earlier data: a digest, or the path of a file.
        b: the later data, likewise.
    """
    from ...store import snapshots as frozen
    from ..editing import frozen as digest_of
    from .looking import diff_of_files

    objects = _objects(config.load())
    before, after = (digest_of(data, objects) for data in (a, b))
    return diff_of_files(before, after, objects) or frozen.diff(before, after, objects)


@dataclass(slots=True)
class _Known:
    """What is known of the snapshots of a project, each by its digest: its uses, names, versions; and its bytes, where they are here."""

    objects: ObjectStore
    uses: dict[str, list[tuple[Run, Input]]]
    named: dict[str, dict[str, Any]]
    versions: dict[str, list[str]]
    of_run: dict[str, list[str]]

    @classmethod
    def of(cls, settings: Settings) -> _Known:
        """All of it, asked now."""
        from ..commands import runs

        uses: dict[str, list[tuple[Run, Input]]] = {}
        for run in runs(limit=RUNS):
            for item in inputs_of(run):
                if item.digest:
                    uses.setdefault(item.digest, []).append((run, item))
        versions, of_run = _versions(settings)
        return cls(_objects(settings), uses, _named(settings.home), versions, of_run)

    def digests(self) -> Iterable[str]:
        """The snapshots that there are."""
        return {*self.objects.manifests(), *self.uses, *self.named, *self.versions}

    def resolve(self, digest: str) -> str:
        """The full digest of the one snapshot that begins so."""
        found = [digest] if len(digest) == 64 else [whole for whole in self.digests() if whole.startswith(digest)]
        if len(found) > 1:
            raise UsageError(f"{len(found)} snapshots begin with {digest}: give more of its digits.")
        if not found:
            raise NotFound("snapshot", digest, "The list of snapshots shows those that there are.")
        return found[0]

    def listed(self, digest: str, hidden: bool = False) -> ListedSnapshot | None:
        """A snapshot as the list shows it; None for one that there is not, or that the list leaves out (but for `hidden`)."""
        uses, told = self.uses.get(digest, []), self.named.get(digest, {})
        known = bool(uses or told or digest in self.versions)
        described = _described(self.objects, digest)
        if described is not None and (hidden or known or described.kind not in ("file", "folder")):
            return self._with_uses(_of_snapshot(described), uses, told)
        if described is None and uses:
            return self._with_uses(_of_input(digest, *uses[0]), uses, told)
        return None

    def reason(self, digest: str) -> str:
        """Why the bytes of a snapshot were not kept, as a run that used it was told."""
        return next((item.why for _, item in self.uses.get(digest, []) if item.why), "")

    def _with_uses(self, listed: ListedSnapshot, uses: list[tuple[Run, Input]], told: Mapping[str, Any]) -> ListedSnapshot:
        made = list(self.versions.get(listed.digest, []))
        shown = []
        for run, item in uses:
            versions = tuple(name for identifier in dict.fromkeys((run.id, run.own_id)) for name in self.of_run.get(identifier, ()))
            made += versions
            shown.append(SnapshotUse(run=run.id, run_name=run.name, name=item.name, started=run.started, versions=versions))
        name = str(told.get("name") or "") or (uses[0][1].name if uses else "")
        if not name and made:
            name = f"data of {made[0]}"
        return replace(
            listed,
            name=Path(name).name if listed.kind in ("file", "folder") else name,
            source=next((short(item.source) for _, item in uses if item.source), ""),
            created=listed.created or float(told.get("created") or 0) or (uses[-1][0].started if uses else 0.0),
            used=len({use.run for use in shown}),
            uses=tuple({use.run: use for use in reversed(shown)}.values())[::-1][:USES],
            versions=tuple(dict.fromkeys(made)),
        )


def _versions(settings: Settings) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The model versions that were made of or are checked on data, by the data's digest; and all, by the run that made them."""
    from ...store import registry
    from ...store.standings import Standings

    by_data: dict[str, list[str]] = {}
    by_run: dict[str, list[str]] = {}
    standings = Standings(registry.state_of(settings))
    for name in standings.names():
        for version in standings.versions(name):
            ref = f"{name}/{version.version}"
            if version.run:
                by_run.setdefault(version.run, []).append(ref)
            for digest in dict.fromkeys(filter(None, (version.reference, version.test))):
                by_data.setdefault(digest, []).append(ref)
    return by_data, by_run


_read: dict[Path, tuple[int, dict[str, dict[str, Any]]]] = {}


def _named(home: Path) -> dict[str, dict[str, Any]]:
    """What was taken by hand or fetched by cells, by its digest, with its name. A journal that grew is read from where it was read to."""
    found: dict[str, dict[str, Any]] = {}
    for path in journal.journals(home):
        offset, names = _read.get(path, (0, {}))
        if path.stat().st_size < offset:
            offset, names = 0, {}
        records, offset = journal.find(path, _NAMED, offset)
        told = (record["snapshot"] if record["kind"] == "snapshot" else record for record in records)
        names = names | {item["digest"]: {"name": item.get("name"), "created": item.get("created")} for item in told if item.get("digest")}
        _read[path] = (offset, names)
        found |= names
    return found


@lru_cache(maxsize=8)
def _objects(settings: Settings) -> ObjectStore:
    return open_objects(settings)


_snapshots: dict[tuple[str, str], Snapshot] = {}


def _described(objects: ObjectStore, digest: str) -> Snapshot | None:
    """What a snapshot is; None where it is not here. It never changes, so it is read once, as long as it is kept."""
    from ...store import snapshots as frozen

    if not objects.has_manifest(digest):
        return None
    key = (objects.where, digest)
    if key not in _snapshots:
        try:
            _snapshots[key] = frozen.describe(digest, objects)
        except NotKept:  # it was collected meanwhile
            return None
    return _snapshots[key]


@lru_cache(maxsize=32)
def _looked_at(settings: Settings, digest: str, suffix: str) -> SnapshotView:
    """The rows and distributions of a snapshot, which never change."""
    from .looking import look

    return look(digest, _objects(settings), suffix)


def _of_snapshot(described: Snapshot) -> ListedSnapshot:
    return ListedSnapshot(
        digest=described.digest,
        kind=described.kind,
        rows=described.rows,
        columns=described.columns,
        size=described.size,
        schema=tuple((str(name), str(kind)) for name, kind in described.schema),
        created=described.created,
    )


def _of_input(digest: str, run: Run, item: Input) -> ListedSnapshot:
    return ListedSnapshot(
        digest=digest, kind=item.kind, rows=item.rows, columns=item.columns, size=item.size, created=run.started, kept=False,
    )  # fmt: skip


def _matches(item: ListedSnapshot, sought: str) -> bool:
    texts = (item.name, item.source, item.kind, *(name for name, _ in item.schema), *item.versions)
    return item.digest.startswith(sought) or any(sought in text.lower() for text in texts)


def _suffix(listed: ListedSnapshot) -> str:
    """The suffix of a file's name, which says what is in it."""
    return Path(listed.source or listed.name).suffix.lower() if listed.kind == "file" else ""
