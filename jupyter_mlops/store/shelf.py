"""Snapshots in the artifact store of a remote MLflow, so that a digest restores wherever that MLflow is reached.

Each snapshot is a folder `data/DIGEST` of packs among the artifacts of one run, which the experiment `mlops-objects` holds for nothing
else. Used where MLflow is remote and the setting `objects` names no other place.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlflow import MlflowClient

from ..config import Settings
from ..errors import MlopsError
from . import snapshots
from .objects import ObjectStore
from .tracking_server import TrackingServer

EXPERIMENT = "mlops-objects"
_MARK = "mlops.objects"
_WHOLE = "whole.txt"


def is_remote(uri: str) -> bool:
    """Whether runs at this tracking URI are read on other machines, through a server."""
    return uri.startswith(("http://", "https://", "databricks"))


def wanted(uri: str, settings: Settings) -> bool:
    """Whether snapshots go to the artifact store of this MLflow."""
    return settings.objects is None and is_remote(uri)


class Shelf:
    """The snapshots that one MLflow server keeps. Calls raise `Unreachable` and `Refused` as all calls of the server do."""

    def __init__(self, server: TrackingServer) -> None:
        self._server = server
        self._run = ""

    def put(self, digest: str, objects: ObjectStore) -> bool:
        """Bring a snapshot there, unless it is; False where its bytes are not here either."""
        with self._server.calling() as client:
            if any(self._is_whole(client, run, digest) for run in self._runs(client)):
                return True
            run = self._own_run(client)
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            try:
                objects.copy(digest, snapshots.references(digest, objects), ObjectStore(folder))
            except MlopsError:
                return False
            with self._server.calling() as client:
                client.log_artifacts(run, str(Path(folder, "packs")), _path(digest))
                # A kill in the middle leaves packs without it, which the next one to come completes.
                client.log_text(run, digest, f"{_path(digest)}/{_WHOLE}")
        return True

    def take(self, start: str, objects: ObjectStore) -> list[str]:
        """Bring the snapshot whose digest starts so here; the digests found there: none, the one that is here now, or several."""
        with self._server.calling() as client:
            found = {digest: run for run in self._runs(client) for digest in self._starting(client, run, start)}
            if len(found) != 1:
                return sorted(found)
            ((digest, run),) = found.items()
            with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
                packs = Path(folder, "packs")
                packs.mkdir()
                for item in client.list_artifacts(run, _path(digest)):
                    Path(client.download_artifacts(run, item.path, folder)).rename(packs / Path(item.path).name)
                (packs / _WHOLE).unlink()
                source = ObjectStore(folder)
                source.copy(digest, snapshots.references(digest, source), objects)
        return [digest]

    def _starting(self, client: MlflowClient, run: str, start: str) -> list[str]:
        if len(start) == 64:
            return [start] if self._is_whole(client, run, start) else []
        there = [item.path.rpartition("/")[2] for item in client.list_artifacts(run, "data")]
        return [digest for digest in there if digest.startswith(start) and self._is_whole(client, run, digest)]

    @staticmethod
    def _is_whole(client: MlflowClient, run: str, digest: str) -> bool:
        return any(item.path.endswith(_WHOLE) for item in client.list_artifacts(run, _path(digest)))

    def _own_run(self, client: MlflowClient) -> str:
        if not self._run:
            there = self._runs(client)
            self._run = there[0] if there else self._made(client)
        return self._run

    def _made(self, client: MlflowClient) -> str:
        run = client.create_run(self._server.experiment_id(EXPERIMENT), run_name="objects", tags={_MARK: "snapshots"})
        client.set_terminated(run.info.run_id)
        return str(run.info.run_id)

    @staticmethod
    def _runs(client: MlflowClient) -> Sequence[str]:
        """The runs that hold snapshots: one, or a few where several machines began at the same moment."""
        experiment = client.get_experiment_by_name(EXPERIMENT)
        if experiment is None:
            return []
        found = client.search_runs([experiment.experiment_id], f"tags.`{_MARK}` = 'snapshots'", order_by=["attributes.start_time ASC"])
        return [run.info.run_id for run in found]


def _path(digest: str) -> str:
    return f"data/{digest}"
