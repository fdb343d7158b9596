"""Carries the state of a run to MLflow, exactly once however often it is interrupted.

What is in MLflow already is noted in the ledger after each step. Steps that a crash could repeat are made so that repeating is
harmless: a run is looked for by our id before it is made, parameters, tags, inputs and files are set to the same values again,
and metrics are compared with what is there when the last attempt did not come back.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mlflow.entities import Metric, Param, RunTag

from ..code.secrets import is_redacted, stands_for
from ..config import Settings
from ..records import Run
from . import limits, runs, shelf
from .attachments import Environment
from .dataset_source import dataset_input
from .inputs import resolve
from .objects import ObjectStore
from .runs import RunState, SessionState
from .state import Ledger
from .tracking_server import OWN_ID, Refused, Servers, TrackingServer, Unreachable, absolute

NOTE = "mlflow.note.content"
_STATUSES = ("RUNNING", "FINISHED", "FAILED", "KILLED")
_PARENT_SECONDS = 600.0


class Waiting(Exception):
    """A run cannot be delivered yet for a reason that is no failure."""


@dataclass(slots=True)
class Target:
    """One session's share of one run, and where it goes. `sent` is the ledger's note of what is there."""

    session: SessionState
    state: RunState
    sent: dict[str, Any]
    server: TrackingServer
    run_id: str
    environment: Environment

    @property
    def skipped(self) -> list[str]:
        """What could not be saved: as the kernel said, and as delivery found."""
        return [*self.state.skipped, *self.sent.get("refused", ())]


class Delivery:
    """Delivers runs: `record` what is small and urgent (parameters, metrics, tags, inputs, status); files and models are `attach`'s."""

    def __init__(self, settings: Settings, ledger: Ledger, servers: Servers, objects: ObjectStore) -> None:
        self.settings = settings
        self.ledger = ledger
        self.servers = servers
        self.objects = objects
        self._environments: dict[str, Environment] = {}
        self._told: dict[str, None] = {}

    def uri(self, session: SessionState, state: RunState | None = None) -> str:
        """Where the session's runs go: the user's own URI, else the project's default."""
        begun = session.header.get("tracking_uri")
        named = (state.tracking_uri if state else None) or begun
        if begun:
            self._told[begun] = None
        if named and is_redacted(named):
            # A run's record holds no password. The environment in which its session, or another, began had the whole address; that of this
            # process may have it from a cell, whose secrets are never written down.
            named = next((uri for uri in (begun, *reversed(list(self._told))) if uri and stands_for(named, uri)), named)
        folder = Path(session.header.get("cwd") or self.settings.project)
        return absolute(str(named), folder) if named else self.servers.default_uri()

    def experiment(self, session: SessionState, state: RunState) -> str:
        """The name of the run's experiment."""
        if state.experiment_id and not state.experiment:
            with contextlib.suppress(Refused, Unreachable):
                return self.servers[self.uri(session, state)].experiment_name(state.experiment_id)
        return str(state.experiment or session.header.get("experiment") or default_experiment(self.settings))

    def environment(self, session: SessionState, state: RunState) -> Environment:
        """What the run ran in; read once."""
        digest = state.environment or session.header.get("environment") or ""
        if digest not in self._environments:
            self._environments[digest] = Environment(digest, self.objects)
        return self._environments[digest]

    def record(self, session: SessionState, state: RunState) -> Target | None:
        """Bring MLflow up to date with the run; None when there is nothing more to do for it.

        Raises Unreachable when MLflow does not answer and Waiting when it is too early: both are tried again.
        """
        sent = self.ledger.sent(session.id, state.id)
        if sent.get("gone"):
            return None
        target = self._target(session, state, sent)
        if target is None:
            return None
        try:
            if state.adopted:
                self._settle_adopted(target)
            self._params(target)
            self._metrics(target)
            self._inputs(target)
            self._tags(target, self._wanted_tags(target))
            self._name(target)
            self._status(target)
            self._delete(target)
        except Refused as refusal:
            if not refusal.gone:
                raise
            self._gone(target)
            return None
        self.keep(target)
        return None if state.deleted else target

    def note(self, target: Target, **changes: Any) -> None:
        """Remember what is in MLflow now."""
        target.sent.update(changes)
        self.ledger.set_sent(target.session.id, target.state.id, target.sent)

    def refuse(self, target: Target, text: str) -> None:
        """Remember what MLflow did not take; it is told in the run's tag and file of skipped things."""
        refused = target.sent.get("refused", [])
        if text not in refused:
            self.note(target, refused=[*refused, text])

    def keep(self, target: Target) -> None:
        """Keep the run in the ledger as readers see it."""
        if not target.state.own:
            known = next(iter(self.ledger.runs([target.run_id])), None)
            if known is not None:
                merged = runs.merge(known, target.state)
                self._set_run(target, merged)
            return
        self._set_run(target, self.as_run(target.session, target.state, target.sent))

    def _set_run(self, target: Target, run: Run) -> None:
        self.ledger.set_run(run, mlflow_id=target.run_id, tracking_uri=target.server.uri, deleted=bool(target.sent.get("deleted")))

    def as_run(self, session: SessionState, state: RunState, sent: Mapping[str, Any] | None = None) -> Run:
        """The run as readers see it, delivered or not."""
        sent = self.ledger.sent(session.id, state.id) if sent is None else sent
        models = [model for model in sent.get("models", {}).values() if model]
        run = runs.to_run(
            state,
            session,
            experiment=self.experiment(session, state),
            mlflow_id=sent.get("run"),
            model_uri=models[-1]["uri"] if models else "",
        )
        read = {_asked(item, item["asked"]): item for item in sent.get("inputs", ())}
        inputs = tuple({k: v for k, v in read.get(_asked(item, item.get("digest")), item).items() if k != "asked"} for item in run.inputs)
        return replace(run, inputs=inputs, skipped=(*run.skipped, *sent.get("refused", ())))

    def _target(self, session: SessionState, state: RunState, sent: dict[str, Any]) -> Target | None:
        environment = self.environment(session, state)
        if "run" in sent:
            return Target(session, state, sent, self.servers[sent["uri"]], sent["run"], environment)
        if not state.own:
            run_id, uri = self.ledger.place(state.id) or (state.id, self.uri(session))
            target = Target(session, state, sent, self.servers[uri], run_id, environment)
            try:
                target.server.get_run(run_id)
            except Refused:
                self.note(target, gone=True)
                return None
        else:
            server = self.servers[self.uri(session, state)]
            target = Target(session, state, sent, server, state.adopted or "", environment)
            if not state.adopted:
                if state.deleted:
                    return None
                target.run_id = self._find_or_create(target)
        self.note(target, run=target.run_id, uri=target.server.uri)
        return target

    def _find_or_create(self, target: Target) -> str:
        state, server, name = target.state, target.server, self.experiment(target.session, target.state)
        tags = self._wanted_tags(target)
        for attempt in (1, 2):
            experiment = state.experiment_id if state.experiment_id and not state.experiment else server.experiment_id(name)
            found = server.find_own(experiment, state.id)
            if found is not None:
                return str(found.info.run_id)
            try:
                with server.calling() as client:
                    made = client.create_run(
                        experiment, _milliseconds(state.started or state.at), tags, limits.key(state.name) if state.name else None
                    )
                return str(made.info.run_id)
            except Refused:
                server.forget_experiment(name)  # deleted since we last looked: the second attempt finds its successor
                if attempt == 2:
                    raise
        raise AssertionError("the loop returns or raises")

    def _settle_adopted(self, target: Target) -> None:
        """Decide, when the user's own run is over, which names are theirs: ours never stand beside them."""
        run = target.server.get_run(target.run_id)
        if run.info.status == "RUNNING" and target.state.open and target.session.ended is None:
            raise Waiting("a run that your code opened is still open")
        ours = target.sent.get("ours", {"params": [], "metrics": [], "tags": []})
        wanted = {
            "params": {limits.key(name) for name in target.state.params},
            "metrics": {limits.key(point[0]) for point in target.state.metrics},
            "tags": set(self._wanted_tags(target)),
        }
        theirs: dict[str, set[str]] = {"params": set(run.data.params), "metrics": set(run.data.metrics), "tags": set(run.data.tags)}
        self.note(target, ours={kind: sorted(set(ours[kind]) | (wanted[kind] - theirs[kind])) for kind in wanted})
        if run.outputs is not None and run.outputs.model_outputs and not target.sent.get("models"):
            self.note(target, models_theirs=True)

    def _mine(self, target: Target, kind: str, key: str) -> bool:
        return not target.state.adopted or key in target.sent["ours"][kind]

    def _params(self, target: Target) -> None:
        there: dict[str, int] = target.sent.get("params", {})
        wanted = {limits.key(name): (name, limits.param(value)) for name, value in target.state.params.items()}
        fresh = [
            (key, name, text) for key, (name, text) in wanted.items() if there.get(key) != _mark(text) and self._mine(target, "params", key)
        ]
        for batch in limits.batches(fresh, limits.PAIRS_PER_BATCH, lambda item: len(item[0]) + len(item[2])):
            try:
                with target.server.calling() as client:
                    client.log_batch(target.run_id, params=[Param(key, text) for key, _, text in batch])
            except Refused as refusal:
                if refusal.gone:
                    raise
                self._params_one_by_one(target, batch)
            there = there | {key: _mark(text) for key, _, text in batch}
            self.note(target, params=there)

    def _params_one_by_one(self, target: Target, batch: Iterable[tuple[str, str, str]]) -> None:
        for key, name, text in batch:
            try:
                with target.server.calling() as client:
                    client.log_batch(target.run_id, params=[Param(key, text)])
            except Refused as refusal:
                if refusal.gone:
                    raise
                self.refuse(target, f"parameter {name} = {text[:200]}: MLflow holds an earlier value")

    def _metrics(self, target: Target) -> None:
        done = int(target.sent.get("metrics", 0))
        doubtful = int(target.sent.get("metrics_sending", 0))
        points = target.state.metrics
        while done < len(points):
            end = min(len(points), done + limits.METRICS_PER_BATCH)
            batch = [_metric(point) for point in points[done:end]]
            batch = [item for item in batch if self._mine(target, "metrics", item.key)]
            if done < doubtful:
                batch = self._missing(target, batch)
            self.note(target, metrics_sending=end)
            if batch:
                with target.server.calling() as client:
                    client.log_batch(target.run_id, metrics=batch)
            done = end
            self.note(target, metrics=done, metrics_sending=0)

    def _missing(self, target: Target, batch: list[Metric]) -> list[Metric]:
        with target.server.calling() as client:
            there = {_point(item) for key in {item.key for item in batch} for item in client.get_metric_history(target.run_id, key)}
        return [item for item in batch if _point(item) not in there]

    def _inputs(self, target: Target) -> None:
        known: list[dict[str, Any]] = target.sent.get("inputs", [])
        names = {_asked(item, item["asked"]) for item in known}
        fresh = [item for item in target.state.inputs if _asked(item, item.get("digest")) not in names]
        if not fresh:
            return
        here = "" if shelf.is_remote(target.server.uri) else (self.settings.home / "objects").as_uri()
        where = self.settings.objects or here
        read = [resolve(item, self.settings, self.ledger, self.objects) | {"asked": item.get("digest")} for item in fresh]
        with target.server.calling() as client:
            client.log_inputs(target.run_id, [dataset_input({k: v for k, v in item.items() if k != "asked"}, where) for item in read])
        self.note(target, inputs=[*known, *read])

    def _wanted_tags(self, target: Target) -> dict[str, str | None]:
        state, session = target.state, target.session
        tags: dict[str, str | None] = {}
        if state.own:
            tags[OWN_ID] = state.id
            tags["mlops.session"] = session.id
            tags["mlops.cells"] = json.dumps(sorted(state.cells)) if state.cells else ""
            tags["mlops.cell"] = state.cell
            tags["mlops.reason"] = state.reason
            tags["mlops.skipped"] = "\n".join(target.skipped)
            tags["mlops.error"] = state.error.strip().rpartition("\n")[2]
            tags["mlops.model"] = self._model_tag(target)
            tags["mlops.seals"] = json.dumps(target.sent["seals"]) if target.sent.get("seals") else ""
            if not state.adopted:
                tags |= self._mlflow_tags(target)
            tags = {key: limits.tag(value) for key, value in tags.items() if value}
        if state.note is not None:
            tags[NOTE] = limits.tag(state.note)
        return tags | {limits.key(name): None if text is None else limits.tag(text) for name, text in state.tags.items()}

    def _mlflow_tags(self, target: Target) -> dict[str, str | None]:
        state, header = target.state, target.session.header
        notebook = state.notebook or str(header.get("notebook") or "")
        return {
            "mlflow.user": str(header.get("user") or ""),
            "mlflow.source.name": notebook or self.settings.project.name,
            "mlflow.source.type": "NOTEBOOK" if notebook or target.session.cells or target.session.begun else "LOCAL",
            "mlflow.source.git.commit": target.environment.commit,
            "mlflow.parentRunId": self._parent(target),
        }

    def _parent(self, target: Target) -> str:
        """MLflow's id of the run that this one hangs under, whichever session or machine it came from; "" while MLflow has none."""
        parent = target.state.parent
        if not parent:
            return ""
        known = self.ledger.place(parent)
        if known is not None:
            return known[0]
        if "parent" not in target.sent:
            experiment = target.state.experiment_id or target.server.experiment_id(self.experiment(target.session, target.state))
            found = target.server.find_own(experiment, parent)
            if found is None:
                return ""
            target.sent["parent"] = str(found.info.run_id)
        return str(target.sent["parent"])

    def place(self, target: Target) -> None:
        """See that the run hangs where it belongs. Raises Waiting while the run above it, of another session, is not in MLflow yet."""
        lately = time.time() - target.state.at < _PARENT_SECONDS
        if target.state.own and target.state.parent and lately and not target.state.adopted and not self._parent(target):
            raise Waiting("the run above it is not in MLflow yet")

    @staticmethod
    def _model_tag(target: Target) -> str:
        saved = [model for model in target.sent.get("models", {}).values() if model]
        return json.dumps({key: saved[-1].get(key, "") for key in ("name", "class", "flavor", "uri")}) if saved else ""

    def _tags(self, target: Target, wanted: Mapping[str, str | None]) -> None:
        there: dict[str, int | None] = target.sent.get("tags", {})
        changed = {
            key: text
            for key, text in wanted.items()
            if (key not in there or there[key] != (None if text is None else _mark(text))) and self._mine(target, "tags", key)
        }
        for key in [key for key, text in changed.items() if text is None]:
            try:
                with target.server.calling() as client:
                    client.delete_tag(target.run_id, key)
            except Refused as refusal:
                if "tag" not in str(refusal).lower():  # a tag that is not there is as good as deleted
                    raise
        given = [(key, text) for key, text in changed.items() if text is not None]
        for batch in limits.batches(given, limits.PAIRS_PER_BATCH, lambda item: len(item[0]) + len(item[1])):
            with target.server.calling() as client:
                client.log_batch(target.run_id, tags=[RunTag(key, text) for key, text in batch])
        if changed:
            self.note(target, tags=there | {key: None if text is None else _mark(text) for key, text in changed.items()})

    def skipped_tag(self, target: Target) -> None:
        """Bring the tags up to date after files and models were tried."""
        self._tags(target, self._wanted_tags(target))
        self.keep(target)

    def _name(self, target: Target) -> None:
        name = target.state.name
        if name and not target.state.adopted and target.sent.get("name") != name:
            with target.server.calling() as client:
                client.update_run(target.run_id, name=limits.key(name) if limits.key(name) != name and len(name) > 250 else name)
            self.note(target, name=name)

    def _status(self, target: Target) -> None:
        state = target.state
        if state.adopted or not state.own:
            return
        status = state.status if state.status in _STATUSES else runs.RUNNING if state.open else "FAILED"
        if [status, state.ended] == target.sent.get("status", [runs.RUNNING, None]):
            return
        with target.server.calling() as client:
            if state.open:
                client.update_run(target.run_id, status=runs.RUNNING)
            else:
                client.set_terminated(target.run_id, status, _milliseconds(state.ended or state.at))
        self.note(target, status=[status, state.ended])

    def _delete(self, target: Target) -> None:
        if target.state.deleted and not target.sent.get("deleted"):
            with target.server.calling() as client:
                client.delete_run(target.run_id)
            self.note(target, deleted=True)
            self.ledger.mark_deleted(target.run_id)

    def _gone(self, target: Target) -> None:
        self.note(target, gone=True)
        self.ledger.mark_deleted(target.run_id)


def default_experiment(settings: Settings) -> str:
    """The experiment of runs that name none: the setting, else MLFLOW_EXPERIMENT_NAME, else the project folder's name."""
    return settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or settings.project.name or "Default"


def _asked(item: Mapping[str, Any], digest: str | None) -> tuple[Any, ...]:
    """What tells one recorded input from another, before and after its file was read."""
    return str(item.get("name")), tuple(item.get("stat") or ()), digest


def _metric(point: list[Any]) -> Metric:
    name, value, step, time = point
    return Metric(limits.key(name), limits.metric(value), _milliseconds(time or 0.0), max(-(2**63), min(2**63 - 1, int(step or 0))))


def _point(item: Metric) -> tuple[str, int, int, str]:
    return item.key, item.timestamp, item.step, "nan" if math.isnan(item.value) else repr(item.value)


def _milliseconds(moment: float) -> int:
    return max(0, int(moment * 1000))


def _mark(text: str) -> int:
    return zlib.crc32(text.encode())
