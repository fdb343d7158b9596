"""The slow part of delivery: a run's files and models."""

from __future__ import annotations

import json
import tempfile
import zlib
from pathlib import Path
from typing import Any, Protocol

from ..config import Settings
from ..errors import MlopsError, StoreError
from .attachments import HISTORY, history_notebook, run_files, safe_path
from .deliver import Delivery, Target
from .inputs import resolve, with_digests
from .notebook_json import as_json
from .objects import ObjectStore
from .recordings import portable
from .seals import content_digest, model_digest
from .shelf import Shelf, wanted
from .tracking_server import Refused, Unreachable

_TRIES = 3
_MOST_SEALED = 40
TABLES = "mlflow.loggedArtifacts"


class Saved(Protocol):
    """What is told about a saved model."""

    @property
    def uri(self) -> str: ...
    @property
    def flavor(self) -> str: ...


class Saver(Protocol):
    """Saves transported models through their MLflow flavors; see `models.ModelSaver`."""

    def save(
        self,
        run_id: str,
        tracking_uri: str,
        record: Any,
        objects: ObjectStore,
        settings: Settings,
        requirements: list[str],
        sys_path: list[str],
    ) -> Saved: ...


class Attachment:
    """Gives runs their files and models, once they are over."""

    def __init__(self, delivery: Delivery, saver: Saver) -> None:
        self._delivery = delivery
        self._saver = saver

    def attach(self, target: Target) -> None:
        """Bring the run's files and models up to date. Raises Unreachable when MLflow does not answer: it is tried again."""
        if target.state.open and target.session.ended is None and not target.state.adopted:
            return
        try:
            if target.state.own:
                self._models(target)
            self._files(target)
            self._data(target)
            self._delivery.skipped_tag(target)
        except Refused as refusal:
            if refusal.gone:
                return
            raise

    def _files(self, target: Target) -> None:
        there: dict[str, int | str] = target.sent.get("files", {})
        files = self._given(target, there)
        if target.state.own:
            combined = {**target.environment.files(), **run_files(target.state, target.session)}
            if target.skipped:
                combined["mlops/skipped.txt"] = ("\n".join(target.skipped) + "\n").encode("utf-8", "backslashreplace")
            for path, content in combined.items():
                if there.get(path) != zlib.crc32(content):
                    files[path] = (zlib.crc32(content), content)
            files |= self._history(target, there)
        if not files:
            return
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            for path, (_, content) in files.items():
                place = Path(folder, path)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
            with target.server.calling() as client:
                client.log_artifacts(target.run_id, folder)
        if HISTORY in files:
            self._seal(target, history=content_digest(files[HISTORY][1]))
        tables = [{"path": path, "type": "table"} for path in sorted({*there, *files}) if path.startswith("tables/")]
        if tables:
            with target.server.calling() as client:
                client.set_tag(target.run_id, TABLES, json.dumps(tables)[:8000])
        self._delivery.note(target, files=there | {path: mark for path, (mark, _) in files.items()})

    def _data(self, target: Target) -> None:
        """Bring the data behind the run to a remote MLflow, so that a teammate's digest restores."""
        uri, ledger = target.server.uri, self._delivery.ledger
        if not wanted(uri, self._delivery.settings):
            return
        shelf, there = Shelf(target.server), ledger.shelved(uri)
        for digest in _kept(target):
            if digest not in there and shelf.put(digest, self._delivery.objects):
                there.add(digest)
                ledger.set_shelved(uri, digest)

    def _history(self, target: Target, there: dict[str, int | str]) -> dict[str, tuple[int | str, bytes]]:
        """The session's history up to the run, made again only when there is more to tell."""
        last, own = target.state.last_seq, set(target.state.cells)
        events = target.session.history(last) if last else []
        told = [(event["seq"], event["status"], len(repr(event.get("outputs", ()))) if event["seq"] in own else 0) for event in events]
        mark = zlib.crc32(repr((told, sorted(own))).encode())
        if not events or there.get(HISTORY) == mark:
            return {}
        delivery = self._delivery

        def read(item: Any) -> Any:
            return resolve(item, delivery.settings, delivery.ledger, delivery.objects) if isinstance(item, dict) else item

        events = [with_digests(event, read) for event in events]
        place = portable(target.session, target.state, target.environment.described)
        place["runs"] = [with_digests(run, read) for run in place["runs"]]
        return {HISTORY: (mark, history_notebook(events, own, self._delivery.objects, place))}

    def _given(self, target: Target, there: dict[str, int | str]) -> dict[str, tuple[int | str, bytes]]:
        """The artifacts and tables that the run's records name, where they are not in MLflow yet."""
        files: dict[str, tuple[int | str, bytes]] = {}
        for item in target.state.artifacts:
            path = safe_path(str(item["path"]))
            if there.get(path) != item["digest"]:
                try:
                    files[path] = (item["digest"], self._delivery.objects.get(item["digest"]))
                except (MlopsError, OSError) as error:
                    self._delivery.refuse(target, f"{item['path']}: {error}")
        for item in target.state.tables:
            path = safe_path(f"tables/{item['name']}.json")
            if there.get(path) != item["digest"]:
                try:
                    files[path] = (item["digest"], self._table(item["digest"]))
                except (MlopsError, OSError, ValueError, TypeError) as error:
                    self._delivery.refuse(target, f"table {item['name']}: {error}")
        return files

    def _table(self, digest: str) -> bytes:
        """A frame as MLflow's own tables are written: {"columns": [...], "data": [[...], ...]}."""
        from . import snapshots

        frame: Any = snapshots.load(digest, self._delivery.objects)
        if hasattr(frame, "to_pandas"):
            frame = frame.to_pandas()
        if hasattr(frame, "to_frame") and not hasattr(frame, "columns"):
            frame = frame.to_frame()
        named = frame.index.names != [None] or frame.index.dtype == object
        plain = frame.reset_index() if named else frame
        return as_json(
            {"columns": [str(column) for column in plain.columns], "data": json.loads(plain.to_json(orient="values", default_handler=str))}
        )

    def _models(self, target: Target) -> None:
        if target.sent.get("models_theirs"):
            return
        for number, record in enumerate(target.state.models):
            saved: dict[str, Any] = target.sent.get("models", {})
            if str(number) in saved:
                continue
            outcome: dict[str, Any] | None
            try:
                outcome = self._save(target, record)
            except (MlopsError, Refused) as error:
                if isinstance(error, StoreError):
                    self._again(target, error)
                outcome = None
                self._delivery.refuse(target, f"{record.get('name')} ({record.get('class')}): {error}")
            self._delivery.note(target, models=saved | {str(number): outcome}, model_tries=0)
            if outcome is not None:
                self._seal_model(target, outcome)

    def _seal_model(self, target: Target, saved: dict[str, Any]) -> None:
        digest = model_digest(target.server, saved["uri"])
        if digest:
            sealed = target.sent.get("seals", {}).get("models", {})
            self._seal(target, models=sealed | {saved["uri"]: {"name": saved["name"], "digest": digest}})

    def _seal(self, target: Target, **digests: Any) -> None:
        seals = target.sent.get("seals", {}) | digests
        if "models" in seals:
            seals["models"] = dict(list(seals["models"].items())[-_MOST_SEALED:])  # a tag holds only so much
        self._delivery.note(target, seals=seals)

    def _save(self, target: Target, record: dict[str, Any]) -> dict[str, Any]:
        environment, settings = target.environment, self._delivery.settings
        folders = list(dict.fromkeys([*environment.sys_path, str(settings.project)]))
        saved = self._saver.save(
            target.run_id, target.server.uri, record, self._delivery.objects, settings, environment.requirements, folders
        )
        return {"name": record.get("name", ""), "class": record.get("class", ""), "flavor": saved.flavor, "uri": saved.uri}

    def _again(self, target: Target, error: StoreError) -> None:
        """Let a failed save be tried again; when MLflow itself answers, only so often."""
        target.server.get_run(target.run_id)
        tries = int(target.sent.get("model_tries", 0)) + 1
        self._delivery.note(target, model_tries=tries)
        if tries < _TRIES:
            raise Unreachable(str(error)) from error


def _kept(target: Target) -> list[str]:
    """The digests of the data that the run was given, and that the executions behind it read and fetched."""
    events = target.session.history(target.state.last_seq) if target.state.last_seq else []
    read = [item for event in events for item in event.get("files_read") or () if isinstance(item, dict)]
    fetched = [digest for event in events for came in (event.get("fetched") or {}).values() for digest, *_ in came]
    items = (*target.sent.get("inputs", ()), *read)
    return list(dict.fromkeys([*(item["digest"] for item in items if item.get("digest") and item.get("kept")), *fetched]))
