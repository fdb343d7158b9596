"""MLflow's registry, as the delivery worker speaks to it: versions, their tags, and aliases that follow the shared state.

Aliases are written one after the other, `previous` before `champion`, each by one atomic write of MLflow's. The registered model's tag
`mlops.audit` says which shared state decides about it, and holds the head of that state's audit log.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Settings
from ..errors import MlopsError, ModelRefused, NotFound, StoreError, UsageError
from ..records import ModelVersion, Run
from . import leases, seals
from .audit import Audit
from .model_folders import folder_digest, inspect, size
from .registry_lookups import logged_model, names_of, plain, registered_model, source_of, versions_of
from .registry_tags import TEXTS
from .shared import SharedState
from .shelf import Shelf, wanted
from .standings import ALIASES, Standing, Standings
from .state import Ledger
from .tracking_server import Refused, Servers, TrackingServer, Unreachable

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from .objects import ObjectStore

ANCHOR = "mlops.audit"
HAND = "somebody in MLflow"
_ORDER = ("challenger", "previous", "champion")
_PATIENCE = 30.0
_LEASE_SECONDS = 20.0


class ModelRegistry:
    """What the worker is asked about registered models. `find` gives the run that a text names."""

    def __init__(self, settings: Settings, ledger: Ledger, servers: Servers, objects: ObjectStore, find: Callable[[str], Run]) -> None:
        self._settings = settings
        self._objects = objects
        self._ledger = ledger
        self._servers = servers
        self._find = find

    @cached_property
    def _state(self) -> SharedState:
        return SharedState(self._settings)

    @cached_property
    def _standings(self) -> Standings:
        return Standings(self._state)

    def verbs(self) -> dict[str, Callable[..., Any]]:
        """The verbs by name."""
        return {
            "registry.names": self.names,
            "registry.versions": self.versions,
            "registry.of_run": self.of_run,
            "registry.create": self.create,
            "registry.tag": self.tag,
            "registry.files": self.files,
            "registry.follow": self.follow,
            "registry.governed": self.governed,
            "registry.anchors": self.anchors,
        }

    # -- reading

    def names(self) -> list[str]:
        """The registered models that MLflow has, wherever runs of this project went; a server that does not answer is left out."""
        found: set[str] = set()
        for server in self._places(None):
            with contextlib.suppress(UsageError, StoreError), self._calling(server) as client:
                found |= names_of(client)
        return sorted(found)

    def versions(self, name: str) -> list[ModelVersion]:
        """The versions that MLflow has, the newest first, as their tags tell; [] for a name that it does not know."""
        standing = self._standings.get(name)
        if standing is not None:
            with contextlib.suppress(StoreError):
                self.follow(name)
        for server in self._places(standing):
            with self._calling(server) as client:
                model = registered_model(client, name)
                if model is None:
                    continue
                found = versions_of(client, name)
            aliases = dict(model.aliases)
            return sorted((self._version(server, item, aliases) for item in found), key=lambda item: -item.version)
        return []

    def of_run(self, ref: str) -> ModelVersion:
        """The model of a run as a version with number 0. Raises NotFound for a run without one."""
        run = self._find(ref)
        server = self._server_of(run)
        with self._calling(server) as client:
            entity = client.get_run(run.id)
            source = str((run.model or {}).get("uri") or "") or logged_model(client, entity)
        notes = []
        if not source:
            why = f" ({'; '.join(run.skipped)})" if run.skipped else ""
            raise NotFound("model of run", run.name or run.id, f"MLflow has none{why}: fit and log one in that run first.")
        folder = self._folder(server, source, run.id)
        title = f"The model of run {run.id[:8]}"
        contents = inspect(folder, title)
        sealed = (plain(entity.data.tags.get(seals.TAG)).get("models") or {}).get(source, {}).get("digest")
        if not sealed:
            notes.append("its files were not sealed as they were logged: their hash was taken as it was registered")
        return ModelVersion(
            name=run.name or run.id[:8],
            version=0,
            uri=source,
            source=source,
            run=run.id,
            created=run.started,
            digest=sealed or folder_digest(folder),
            flavor=contents.flavor,
            format=contents.format,
            size=size(folder),
            signature=contents.signature,
            metrics=run.metrics,
            params=run.params,
            notes=tuple(notes),
        )

    def files(self, uri: str, run: str = "") -> str:
        """A folder on this machine with the files of a model at MLflow's address `uri`."""
        place = self._ledger.place(run) if run else None
        server = self._servers[place[1] if place is not None else self._servers.default_uri()]
        return str(self._folder(server, uri, run))

    # -- registering

    def create(self, name: str, run: str, source: str, tags: Mapping[str, str]) -> dict[str, Any]:
        """The version of `name` that was made of this model, made now if there is none yet.

        {"version", "created", "uri", "server", "new": whether the registered model was made now}.
        """
        server = self._server_of(self._find(run))
        with self._alone(f"registry {name}"), self._calling(server) as client:
            new = registered_model(client, name) is None
            if new:
                client.create_registered_model(name)
            there = [item for item in versions_of(client, name) if item.run_id == run and source_of(item) == source]
            if there:
                version = max(there, key=lambda item: int(item.version))
                for key, text in tags.items():
                    client.set_model_version_tag(name, version.version, key, text)
            else:
                version = self._created(client, server, name, run, source, tags)
            model = registered_model(client, name)
        if model is not None:
            self._adopt(server, model)
        if wanted(server.uri, self._settings):
            # So that the data restores on other machines, too.
            for digest in filter(None, (tags.get("mlops.reference"), tags.get("mlops.test"))):
                with contextlib.suppress(Refused, Unreachable):
                    Shelf(server).put(digest, self._objects)
        return {
            "version": int(version.version), "created": version.creation_timestamp / 1000, "uri": f"models:/{name}/{version.version}",
            "server": server.uri, "new": new,
        }  # fmt: skip

    def tag(self, name: str, version: int, tags: Mapping[str, str]) -> None:
        """Put tags on a version."""
        for server in self._places(self._standings.get(name))[:1]:
            with self._calling(server) as client:
                for key, text in tags.items():
                    client.set_model_version_tag(name, str(version), key, text)

    def _created(self, client: MlflowClient, server: TrackingServer, name: str, run: str, source: str, tags: Mapping[str, str]) -> Any:
        model_id = source.removeprefix("models:/") if source.startswith("models:/m-") else None
        place = source
        if model_id is not None and server.uri != self._servers.default_uri():
            # MLflow's own database looks such an address up at the process's tracking URI, which is another one.
            place = str(client.get_logged_model(model_id).artifact_location)
        version = client.create_model_version(name, place, run, tags=dict(tags), model_id=model_id, await_creation_for=0)
        if model_id is not None:
            # As `mlflow.register_model` does, so that MLflow's page of the model names its versions.
            told = client.get_logged_model(model_id).tags.get("mlflow.modelVersions")
            known = [item for item in (json.loads(told) if told else []) if isinstance(item, dict)]
            known.append({"name": name, "version": int(version.version)})
            client.set_logged_model_tags(model_id, {"mlflow.modelVersions": json.dumps(known)})
        return version

    # -- aliases

    def governed(self, name: str) -> str:
        """Where another shared state decides about this model; "" where it is this one, which it is from now on if there was none."""
        for server in self._places(self._standings.get(name)):
            with self._calling(server) as client:
                model = registered_model(client, name)
            if model is not None:
                where = self._elsewhere(model)
                if not where:
                    self._adopt(server, model)
                return where
        return ""

    def _elsewhere(self, model: Any) -> str:
        told = plain(model.tags.get(ANCHOR))
        return str(told.get("where") or "another machine") if told and told.get("state") != self._standings.identity() else ""

    def _adopt(self, server: TrackingServer, model: Any) -> None:
        """Decide about a model from now on, starting from the aliases that plain MLflow gave it."""
        if self._elsewhere(model) or self._standings.get(model.name) is not None:
            return
        there = {alias: int(version) for alias, version in model.aliases.items() if alias in ALIASES}
        line = tuple(there[alias] for alias in ("previous", "champion") if alias in there) if "champion" in there else ()
        with self._state.begin() as connection:
            audit = Audit(self._state)
            audit.lock(connection)
            if self._standings.get(model.name, connection) is None:
                standing = Standing(model.name, server.uri, line=line).with_challenger(there.get("challenger"))
                self._standings.put(connection, standing)
                if there:
                    details = {"aliases": dict(standing.aliases), "line": list(line)}
                    why = "plain MLflow gave these aliases before the model was registered here"
                    audit.append(connection, HAND, "adopted", model.name, standing.champion, why, details)

    def follow(self, name: str, take: bool = False) -> dict[str, Any]:
        """Bring MLflow's aliases to what the shared state says; {"notes": [...]} of what was found.

        An alias that somebody set in MLflow by hand is adopted while the model has had no champion here; else it is set back. Both are in
        the audit log. `take` also takes the model over from another shared state.
        """
        standing = self._standings.get(name)
        if standing is None:
            return {"notes": []}
        notes: list[str] = []
        with self._alone(f"registry {name}"):
            server = self._servers[standing.server or self._servers.default_uri()]
            with self._calling(server) as client:
                while (standing := self._standings.get(name)) is not None:
                    if not self._step(client, standing, notes, take):
                        break
        return {"notes": notes}

    def _step(self, client: MlflowClient, standing: Standing, notes: list[str], take: bool) -> bool:
        """One round of following; whether the standing may have changed meanwhile."""
        name = standing.name
        model = registered_model(client, name)
        if model is None:
            notes.append(f"MLflow has no registered model {name!r} any more")
            return False
        if (where := self._elsewhere(model)) and not take:
            notes.append(f"the shared state at {where} decides about {name}")
            return False
        there = {alias: int(version) for alias, version in model.aliases.items() if alias in ALIASES}
        by_hand = _by_hand(standing, there) if not take else {}
        if by_hand:
            notes.append(self._told_by_hand(standing, by_hand))
            if not standing.line and by_hand.get("champion"):
                return True
        wanted = standing.aliases
        if there != wanted:
            possible = {alias: tuple({*standing.written.get(alias, (0,)), wanted.get(alias, 0)}) for alias in ALIASES}
            self._standings.note_written(name, possible)
            for alias in _ORDER:
                if there.get(alias) != wanted.get(alias):
                    if alias in wanted:
                        client.set_registered_model_alias(name, alias, str(wanted[alias]))
                    else:
                        client.delete_registered_model_alias(name, alias)
        if there != wanted or standing.followed < standing.revision:
            self._standings.note_written(name, {alias: (wanted.get(alias, 0),) for alias in ALIASES}, standing.revision)
        seq, digest = Audit(self._state).head()
        anchor = {"state": self._standings.identity(), "where": self._state.where, "seq": seq, "digest": digest}
        if plain(model.tags.get(ANCHOR)) != anchor:
            client.set_registered_model_tag(name, ANCHOR, json.dumps(anchor))
        later = self._standings.get(name)
        return later is not None and later.revision != standing.revision

    def _told_by_hand(self, standing: Standing, by_hand: Mapping[str, int]) -> str:
        """Put into the audit log what somebody set in MLflow: adopted where the model has no champion here, else to be set back."""
        name = standing.name
        told = ", ".join(f"{alias} was {f'set to version {version}' if version else 'taken away'}" for alias, version in by_hand.items())
        adopted = by_hand.get("champion") if not standing.line else None
        with self._state.begin() as connection:
            audit = Audit(self._state)
            audit.lock(connection)
            present = self._standings.get(name, connection)
            if present is None or present.revision != standing.revision:
                return f"in MLflow {told}; the model was changed here at the same moment"
            if adopted:
                changed = self._standings.put(connection, present.with_champion(adopted))
                why = "the model had no champion here, so what MLflow says holds"
                details = {"by_hand": dict(by_hand), "aliases": dict(changed.aliases), "line": list(changed.line)}
                audit.append(connection, HAND, "adopted", name, adopted, why, details)
                return f"in MLflow {told}: adopted, since {name} had no champion here"
            why = "aliases follow the gates: `mlops promote` makes another champion"
            version = next((number for number in by_hand.values() if number), None)
            audit.append(connection, HAND, "set back", name, version, why, {"by_hand": dict(by_hand)})
        return f"in MLflow {told} by hand, past the gates: it is set back; `mlops promote {name} --version N` makes another champion"

    def anchors(self) -> dict[str, Any]:
        """The heads of the audit log that MLflow keeps: {"anchors": [[seq, digest, where], ...], "notes": [...]}."""
        found, notes = [], []
        own = self._standings.identity()
        for name in self._standings.names():
            standing = self._standings.get(name)
            server = self._servers[(standing.server if standing else "") or self._servers.default_uri()]
            try:
                with server.calling() as client:
                    model = registered_model(client, name)
            except (Refused, Unreachable) as error:
                notes.append(f"MLflow does not answer for {name} ({error}), so that a log cut off at its end cannot be told")
                continue
            told = plain(model.tags.get(ANCHOR)) if model is not None else {}
            if told.get("state") == own and isinstance(told.get("seq"), int):
                found.append([told["seq"], str(told.get("digest")), f"MLflow's tag {ANCHOR} of {name}"])
            else:
                notes.append(f"MLflow holds no head of this log for {name}: a log cut off at its end cannot be told by it")
        return {"anchors": found, "notes": notes}

    def catch_up(self) -> None:
        """Follow what was changed while no worker ran."""
        with contextlib.suppress(MlopsError):
            if self._settings.database is not None or (self._settings.home / "shared.db").exists():
                for name in self._standings.names(behind=True):
                    self.follow(name)

    @contextlib.contextmanager
    def _alone(self, name: str) -> Iterator[None]:
        """Only one at a time, among all machines."""
        held = leases.Leases(self._state)
        deadline = time.monotonic() + _PATIENCE
        while (lease := held.acquire(name, "registry", _LEASE_SECONDS)) is None:
            if time.monotonic() > deadline:
                raise StoreError(f"Another process holds {name} for too long: try again.")
            time.sleep(0.02)
        with held.kept(lease):
            yield

    # -- MLflow

    def _places(self, standing: Standing | None) -> list[TrackingServer]:
        """Where a model may be: the registry that it is known to be in, else that of this project, else those that runs went to."""
        if standing is not None and standing.server:
            return [self._servers[standing.server]]
        uris = dict.fromkeys([self._servers.default_uri(), *self._ledger.places()])
        return [self._servers[uri] for uri in uris if not uri.startswith("sqlite:///") or Path(uri.removeprefix("sqlite:///")).exists()]

    def _server_of(self, run: Run) -> TrackingServer:
        place = self._ledger.place(run.own_id or run.id)
        return self._servers[place[1] if place is not None else self._servers.default_uri()]

    @staticmethod
    @contextlib.contextmanager
    def _calling(server: TrackingServer) -> Iterator[MlflowClient]:
        try:
            with server.calling() as client:
                yield client
        except Refused as refusal:
            raise UsageError(f"MLflow at {server.shown} refuses ({str(refusal).rstrip('.')}): give what it takes.") from None
        except Unreachable as error:
            raise StoreError(f"MLflow at {server.shown} does not answer ({str(error).rstrip('.')}): start it and try again.") from None

    def _folder(self, server: TrackingServer, uri: str, run: str) -> Path:
        from mlflow.artifacts import download_artifacts

        try:
            with server.calling():
                return Path(download_artifacts(artifact_uri=uri, tracking_uri=server.uri))
        except Refused as refusal:
            raise ModelRefused(f"MLflow has no files of the model of run {run[:8]} ({str(refusal).rstrip('.')}): make it again.") from None
        except Unreachable as error:
            raise StoreError(f"MLflow at {server.shown} does not give the files of {uri} ({str(error).rstrip('.')}): try again.") from None

    def _version(self, server: TrackingServer, item: Any, aliases: Mapping[str, Any]) -> ModelVersion:
        """A version as MLflow's tags tell of it; what they do not tell is read from its files where these are."""
        tags = dict(item.tags or {})
        own = {field: tags[f"mlops.{field}"] for field in TEXTS if f"mlops.{field}" in tags}
        made = ModelVersion(
            name=item.name,
            version=int(item.version),
            uri=f"models:/{item.name}/{item.version}",
            run=item.run_id or "",
            aliases=tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(item.version))),
            created=item.creation_timestamp / 1000,
            size=int(tags.get("mlops.size") or 0),
            trusted=tuple(plain(tags.get("mlops.trusted"), [])),
            signature=plain(tags.get("mlops.signature")),
            notes=tuple(plain(tags.get("mlops.notes"), [])),
            tags={key: text for key, text in tags.items() if not key.startswith(("mlflow.", "mlops."))},
            **own,
        )
        made = made if made.source else replace(made, source=source_of(item))
        if item.run_id:
            with contextlib.suppress(Refused, Unreachable), server.calling() as client:
                data = client.get_run(item.run_id).data
                made = replace(made, metrics=dict(data.metrics), params=dict(data.params))
        return made


def _by_hand(standing: Standing, there: Mapping[str, int]) -> dict[str, int]:
    """The aliases in MLflow that were not written from here; 0 for one that was taken away."""
    found = {}
    for alias in ALIASES:
        ours = {standing.aliases.get(alias, 0), *standing.written.get(alias, (0,))}
        if (version := there.get(alias, 0)) not in ours:
            found[alias] = version
    return found
