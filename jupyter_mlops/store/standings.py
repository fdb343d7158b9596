"""Which version of a model is champion, challenger and previous; what is known of its versions; who approved them.

The truth is one row of the shared state for each model, changed in the same transaction as the audit log tells of it: whoever reads sees
one champion. MLflow's aliases follow that row (see `registry_mlflow`).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Column, Connection, Float, Integer, String, Table, Text, select

from ..errors import NotFound, UsageError
from ..records import ModelVersion, to_json
from .shared import SharedState, tables

ALIASES = ("champion", "challenger", "previous")
"""The aliases that are kept here; others belong to the user."""

_MODELS = Table(
    "registered_models",
    tables,
    Column("name", String(256), primary_key=True),
    Column("server", Text, nullable=False),
    Column("aliases", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("followed", Integer, nullable=False),
    Column("written", Text, nullable=False),
)
_VERSIONS = Table(
    "model_versions",
    tables,
    Column("name", String(256), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("record", Text, nullable=False),
)
_APPROVALS = Table(
    "approvals",
    tables,
    Column("name", String(256), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("who", String(256), primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("why", Text, nullable=False),
    Column("digest", String(64), nullable=False),
)
_IDENTITY = Table("shared_identity", tables, Column("place", Integer, primary_key=True, autoincrement=False), Column("id", String(32)))


@dataclass(frozen=True, slots=True)
class Standing:
    """How the versions of a model stand. `line` are the champions, the present one last: `rollback` goes back along it.

    `revision` counts the changes, `followed` is the one that MLflow has; `written` are the versions that MLflow may have under each alias
    because they were written there from here. `server` is the tracking URI of the model's registry.
    """

    name: str
    server: str = ""
    aliases: Mapping[str, int] = field(default_factory=dict)
    line: tuple[int, ...] = ()
    revision: int = 0
    followed: int = 0
    written: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def champion(self) -> int | None:
        """The version that serves; None while there is none."""
        return self.aliases.get("champion")

    def of(self, version: int) -> tuple[str, ...]:
        """The aliases of a version."""
        return tuple(alias for alias in ALIASES if self.aliases.get(alias) == version)

    def with_champion(self, version: int) -> Standing:
        """Another champion: the present one becomes `previous`; a challenger that wins is none any more."""
        line = (*self.line, version)
        challenger = self.aliases.get("challenger")
        return replace(self, line=line, aliases=_aliases(line, None if challenger == version else challenger))

    def with_challenger(self, version: int | None) -> Standing:
        """Another challenger, or none."""
        return replace(self, aliases=_aliases(self.line, version))

    def rolled_back(self) -> Standing:
        """The champion before this one is champion again. Raises UsageError where there is none."""
        if len(self.line) < 2:
            what = f"no champion before version {self.champion}" if self.line else "no champion"
            remedy = f"`mlops promote {self.name} --version N` makes another one champion"
            raise UsageError(f"{self.name} has {what}, so there is nothing to go back to: {remedy}.")
        return replace(self, line=self.line[:-1], aliases=_aliases(self.line[:-1], self.aliases.get("challenger")))


def _aliases(line: tuple[int, ...], challenger: int | None) -> dict[str, int]:
    found = {"champion": line[-1:], "challenger": () if challenger is None else (challenger,), "previous": line[-2:-1]}
    return {alias: versions[0] for alias, versions in found.items() if versions}


class Standings:
    """The rows of a shared state. Whoever changes one does it in a transaction that the audit log's lock makes the only one."""

    def __init__(self, state: SharedState) -> None:
        self._state = state

    def identity(self) -> str:
        """What tells this shared state from others, made on first use."""
        with self._state.read() as connection:
            found = connection.execute(select(_IDENTITY.c.id)).scalar()
        if found is None:
            with self._state.begin() as connection:
                connection.execute(self._state.insert(_IDENTITY).values(place=1, id=uuid.uuid4().hex).on_conflict_do_nothing())
                found = connection.execute(select(_IDENTITY.c.id)).scalar_one()
        return str(found)

    def get(self, name: str, connection: Connection | None = None) -> Standing | None:
        """How a model stands; None for one that was never registered or promoted here."""
        if connection is None:
            with self._state.read() as opened:
                return self.get(name, opened)
        row = connection.execute(select(_MODELS).where(_MODELS.c.name == name)).one_or_none()
        if row is None:
            return None
        written = {alias: tuple(versions) for alias, versions in json.loads(row.written).items()}
        return Standing(name, row.server, json.loads(row.aliases), tuple(json.loads(row.line)), row.revision, row.followed, written)

    def names(self, *, behind: bool = False) -> list[str]:
        """The models that there are; with `behind` only those whose aliases MLflow has not followed yet."""
        query = select(_MODELS.c.name).order_by(_MODELS.c.name)
        with self._state.read() as connection:
            return list(connection.execute(query.where(_MODELS.c.followed < _MODELS.c.revision) if behind else query).scalars())

    def put(self, connection: Connection, standing: Standing) -> Standing:
        """Keep a changed standing as the next revision; `written` and `followed` are as they were."""
        told = {
            "server": standing.server, "aliases": json.dumps(standing.aliases), "line": json.dumps(standing.line),
            "revision": standing.revision + 1,
        }  # fmt: skip
        new = self._state.insert(_MODELS).values(name=standing.name, followed=0, written="{}", **told)
        connection.execute(new.on_conflict_do_update(index_elements=["name"], set_=told))
        return replace(standing, revision=standing.revision + 1)

    def note_written(self, name: str, written: Mapping[str, tuple[int, ...]], followed: int | None = None) -> None:
        """Note what MLflow's aliases may be from now on, and which revision they have followed."""
        values: dict[str, object] = {"written": json.dumps({alias: list(versions) for alias, versions in written.items()})}
        if followed is not None:
            values["followed"] = followed
        with self._state.begin() as connection:
            connection.execute(_MODELS.update().where(_MODELS.c.name == name).values(**values))

    def version(self, name: str, version: int, connection: Connection | None = None) -> ModelVersion | None:
        """A version as it was registered, with its present aliases and approvals; None for one that was not registered here."""
        found = self.versions(name, version, connection=connection)
        return found[0] if found else None

    def versions(self, name: str, only: int | None = None, *, connection: Connection | None = None) -> list[ModelVersion]:
        """The versions that were registered here, the newest first."""
        if connection is None:
            with self._state.read() as opened:
                return self.versions(name, only, connection=opened)
        query = select(_VERSIONS.c.version, _VERSIONS.c.record).where(_VERSIONS.c.name == name)
        rows = connection.execute(query if only is None else query.where(_VERSIONS.c.version == only)).all()
        standing = self.get(name, connection) or Standing(name)
        approvals = self.approvals(name, connection)
        found = [ModelVersion.from_json(json.loads(record)) for _, record in sorted(rows, reverse=True)]
        # What was approved are the files, not the number.
        return [
            replace(
                item,
                aliases=standing.of(item.version),
                approved=tuple(sorted(who for who, digest in approvals.get(item.version, {}).items() if digest == item.digest)),
            )
            for item in found
        ]

    def data(self) -> set[str]:
        """The digests of the snapshots that registered versions were fitted on and are checked on."""
        with self._state.read() as connection:
            records = [json.loads(record) for record in connection.execute(select(_VERSIONS.c.record)).scalars()]
        return {record[part] for record in records for part in ("reference", "test") if record[part]}

    def keep(self, connection: Connection, version: ModelVersion) -> None:
        """Keep what is known of a version; what was known before is replaced."""
        record = json.dumps(to_json(replace(version, aliases=(), approved=())))
        new = self._state.insert(_VERSIONS).values(name=version.name, version=version.version, record=record)
        connection.execute(new.on_conflict_do_update(index_elements=["name", "version"], set_={"record": record}))

    def approvals(self, name: str, connection: Connection) -> dict[int, dict[str, str]]:
        """Who approved which version of a model, and the digest of its files then."""
        found: dict[int, dict[str, str]] = {}
        columns = (_APPROVALS.c.version, _APPROVALS.c.who, _APPROVALS.c.digest)
        for version, who, digest in connection.execute(select(*columns).where(_APPROVALS.c.name == name)):
            found.setdefault(version, {})[who] = digest
        return found

    def approve(self, connection: Connection, version: ModelVersion, who: str, why: str) -> bool:
        """Note an approval of a version's very files; False where this person had approved them already."""
        values = {"at": self._state.now(connection), "why": why, "digest": version.digest}
        new = self._state.insert(_APPROVALS).values(name=version.name, version=version.version, who=who, **values)
        other = _APPROVALS.c.digest != version.digest
        new = new.on_conflict_do_update(index_elements=["name", "version", "who"], set_=values, where=other).returning(_APPROVALS.c.who)
        return connection.execute(new).scalar() is not None


def known(standing: Standing | None, name: str) -> Standing:
    """The standing of a model that must have one. Raises NotFound."""
    if standing is None:
        raise NotFound("registered model", name, "`mlops register RUN NAME` registers a run's model.")
    return standing
