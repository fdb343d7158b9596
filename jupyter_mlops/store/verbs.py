"""What the worker can be asked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from ..config import Settings
from ..errors import NotFound, UsageError
from ..records import Problem, Run
from . import inputs, journal, live, recordings
from .attachments import Environment
from .courier import Courier
from .objects import ObjectStore
from .paging import Asked
from .queries import Queries
from .registry_mlflow import ModelRegistry
from .runs import DIED, SessionState, fold_session
from .seals import altered, altered_journal, model_files
from .shelf import Shelf
from .state import Ledger
from .tracking_server import Servers, Unreachable


class Verbs:
    """The worker's answers, by the name of the verb. `ready` waits until MLflow is loaded; `stop` ends the worker."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        servers: Servers,
        objects: ObjectStore,
        courier: Courier,
        queries: Queries,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._servers = servers
        self._objects = objects
        self._courier = courier
        self._queries = queries
        self._wake = wake
        self.registry = ModelRegistry(settings, ledger, servers, objects, self._run)

    def answer(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        """The answer to one request. Raises UsageError for a verb that there is not."""
        verbs: dict[str, Callable[..., Any]] = {
            "runs": self._runs,
            "page": self._page,
            "run": self._run,
            "resolve": lambda ref: self._run(ref).id,
            "address": self._address,
            "history": self._history,
            "cells": self._cells,
            "recording": self._recording,
            "flush": self._flush,
            "status": self._status,
            "verify": self._verify,
            "altered": self._altered,
            "fetch": self._fetch,
            "model_files": self._model_files,
            "gc": self._gc,
            **self.registry.verbs(),
        }
        if verb not in verbs:
            raise UsageError(f"The worker knows no verb {verb!r}; it knows {', '.join(sorted(verbs))}.")
        return verbs[verb](**arguments)

    def _runs(self, where: str = "", sort: str = "", limit: int = 50, offset: int = 0, experiment: str | None = None) -> list[Run]:
        self._courier.read()
        return self._queries.runs(where, sort, limit, offset, experiment)

    def _page(self, **asked: Any) -> dict[str, Any]:
        self._courier.read()
        found, total = self._queries.page(Asked(**asked))
        return {"runs": found, "total": total}

    def _run(self, ref: str) -> Run:
        self._courier.read()
        return self._queries.run(ref)

    def _address(self, ref: str) -> dict[str, str]:
        """Where a run is in MLflow: the tracking URI, and the ids of its experiment and of itself. Raises NotFound before delivery."""
        run = self._run(ref)
        if not run.delivered:
            raise NotFound("run in MLflow", run.name or ref, "It is on its way there: try again in a moment.")
        place = self._ledger.place(run.id)
        uri = place[1] if place is not None else self._servers.default_uri()
        return {"uri": uri, "experiment": str(self._servers[uri].get_run(run.id).info.experiment_id), "run": run.id}

    def _history(self, ref: str) -> list[dict[str, Any]]:
        """The session's executions up to the run's last one, with the digests of files that the worker read."""
        run = self._run(ref)
        session = self._session(run.session) if run.session else None
        last = max(run.cells, default=None)
        events = session.history(last) if session is not None else self._queries.events(run)
        return [inputs.with_digests(event, self._known) for event in events]

    def _recording(self, ref: str) -> dict[str, Any]:
        """What `recordings.recording` tells of the run's session up to the run's last execution, and the run itself."""
        run = self._run(ref)
        if not run.session or not run.cells:
            why = f"Run {run.name or run.id!r} was not made by cells of a tracked notebook, so that there is no history to run again"
            raise UsageError(f"{why}: `mlops runs` lists the others.")
        path = self._settings.home / "journal" / f"{run.session}.jsonl"
        if path.exists():
            over = not journal.alive(path)
            told = recordings.recording(journal.read(path)[0], max(run.cells), self._described, ended=over)
        else:
            told = self._queries.recording(run)
        until = max((event["started"] + event["seconds"] for event in told["events"]), default=0.0)
        told["runs"] = [self._queries.with_logged(Run.of(item), until) for item in told["runs"]]
        known = {item.id for item in told["runs"]}
        told["runs"] += [item for item in self._queries.opened_by_code(run.session, max(run.cells), until) if item.id not in known]
        lists = {name: [inputs.with_digests(item, self._read) for item in told[name]] for name in ("events", "runs")}
        return told | lists | {"run": inputs.with_digests(run, self._read)}

    def _described(self, digest: str) -> Mapping[str, Any]:
        return recordings.plain(Environment(digest, self._objects).described)

    def _read(self, item: Any) -> Any:
        """A large file that was not read yet, read now if it is still what the cell saw."""
        return inputs.resolve(item, self._settings, self._ledger, self._objects) if isinstance(item, dict) else item

    def _known(self, item: Any) -> Any:
        return inputs.known(item, self._settings, self._ledger)

    def _cells(self, session: str) -> list[dict[str, Any]]:
        found = self._session(session)
        return [inputs.with_digests(event, self._known) for event in found.history()] if found is not None else []

    def _session(self, identifier: str) -> SessionState | None:
        followed = self._courier.session(identifier)
        if followed is not None:
            return followed
        path = self._settings.home / "journal" / f"{identifier}.jsonl"
        if not path.exists():
            return None
        died = None if journal.alive(path) else DIED  # before the read: a clean end comes before the lock is freed
        return fold_session(journal.read(path)[0], died=died)

    def _flush(self, timeout: float = 60.0) -> dict[str, Any]:
        """Wait until all that is journaled now is delivered: {"done", "waiting", "why"}."""
        deadline = time.monotonic() + timeout
        sizes = self._courier.sizes()
        for server in self._servers:
            server.retry_now()
        self._courier.retry_now()
        while not (done := self._courier.delivered(sizes)) and time.monotonic() < deadline:
            self._wake()
            time.sleep(0.05)
        return {
            "done": done,
            "waiting": 0 if done else self._courier.waiting,
            "why": [] if done else self._courier.troubles or ["it takes longer than that"],
        }

    def _status(self) -> dict[str, Any]:
        self._courier.read()
        troubles = self._courier.troubles
        return {
            "tracking_uri": self._servers.default_uri(),
            "pid": os.getpid(),
            "sessions": self._courier.alive,
            "waiting": self._courier.waiting,
            "error": troubles[-1] if troubles else None,
            "kept": self._ledger.kept(),
        }

    def _verify(self) -> list[Problem]:
        return [*self._objects.verify(), *live.damaged_journals(self._settings.home)]

    def _model_files(self, ref: str, name: str) -> str:
        """The folder with the files of a run's model of this name. Raises NotFound."""
        run = self._run(ref)
        place = self._ledger.place(run.own_id or run.id)
        server = self._servers[place[1] if place is not None else self._servers.default_uri()]
        folder = model_files(server, run.id, name)
        if folder is None:
            raise NotFound("model", name, f"MLflow has none of that name for run {run.name}.")
        return str(folder)

    def _altered(self, ref: str) -> list[tuple[str, str]]:
        """What of a run's record is not as it was written, as (what, where): its journal, its history, its models."""
        run = self._run(ref)
        path = self._settings.home / "journal" / f"{run.session}.jsonl"
        found = [(f"The journal of {run.name}", str(path))] if altered_journal(self._ledger, run.session, path) else []
        place = self._ledger.place(run.own_id or run.id)
        servers = [self._servers[place[1]]] if place is not None else [self._servers[self._servers.default_uri()]] if run.delivered else []
        with contextlib.suppress(Unreachable):  # then nothing of it is read for a replay either
            for server in servers:
                found += altered(server, run.id)
        return found

    def _fetch(self, digest: str, servers: list[str]) -> list[str]:
        """The digests of the snapshots that start so at these servers; a single one is brought here."""
        for uri in servers:
            if found := Shelf(self._servers[uri]).take(digest, self._objects):
                return found
        return []

    def _gc(self, dry_run: bool = False) -> dict[str, int]:
        needed = live.needed(self._settings, self._ledger, self._objects)
        removed, freed = self._objects.dead(needed) if dry_run else self._objects.gc(needed)
        return {"removed": removed, "freed": freed}
