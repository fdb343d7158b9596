"""A store as kernels and worker see it: sessions that write, and delivery in this very process where a worker is not the point."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun

from jupyter_mlops import config
from jupyter_mlops.errors import ModelRefused
from jupyter_mlops.store.attach import Attachment
from jupyter_mlops.store.courier import Courier
from jupyter_mlops.store.deliver import Delivery, default_experiment
from jupyter_mlops.store.journal import Journal
from jupyter_mlops.store.objects import ObjectStore, open_objects
from jupyter_mlops.store.queries import Queries
from jupyter_mlops.store.state import Ledger
from jupyter_mlops.store.tracking_server import Servers, configure

T0 = 1_700_000_000.0


class Kernel:
    """The writing end of a session: records as a kernel writes them, a second apart."""

    def __init__(self, project: Path, **header: Any) -> None:
        self.now = T0
        self.journal = Journal.create(project / ".mlops", {"started": T0, "user": "ada", "notebook": "study.ipynb", "pid": 1, **header})
        self.seq = 0

    @property
    def session(self) -> str:
        return self.journal.session

    def write(self, kind: str, **fields: Any) -> None:
        self.now += 1
        self.journal.append({"kind": kind, **fields})

    def run(self, identifier: str | None = None, **patch: Any) -> str:
        """Patch a run; a new one is begun when no id is given."""
        fresh = {"status": "RUNNING", "started": self.now, "name": "gentle-fox"} if identifier is None else {}
        run = identifier or uuid.uuid4().hex
        self.write("run", id=run, at=self.now, **{**fresh, **patch})
        return run

    def finish(self, run: str, status: str = "FINISHED", **patch: Any) -> None:
        self.run(run, status=status, ended=self.now, **patch)

    def cell(self, source: str, *runs: str, status: str = "ok", **fields: Any) -> int:
        """One executed cell that its runs belong to."""
        self.seq += 1
        self.write("begin", seq=self.seq, cell=f"cell-{self.seq}", source=source, started=self.now)
        for run in runs:
            self.run(run, cells=[self.seq], seq=self.seq)
        event = {"session": self.session, "seq": self.seq, "source": source, "started": self.now, "seconds": 0.5, "status": status}
        self.write("cell", **event, runs=list(runs), **fields)
        return self.seq

    def points(self, *points: tuple[str, float, int | None]) -> list[list[Any]]:
        """Metric points at this moment."""
        return [[key, value, step, self.now] for key, value, step in points]


@dataclass(frozen=True)
class Saved:
    uri: str
    flavor: str = "sklearn"


class RecordingSaver:
    """Stands in for the models' child process: remembers what it was asked, refuses what it is told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.refuses: set[str] = set()

    def save(self, run_id: str, tracking_uri: str, record: Mapping[str, Any], objects: ObjectStore, settings: Any, *rest: Any) -> Saved:
        if record["name"] in self.refuses:
            raise ModelRefused("it holds a lock")
        self.asked.append(record["name"])
        return Saved(f"models:/m-{record['name']}")


class Desk:
    """Delivery in this process: `deliver` runs passes until nothing waits that can go."""

    def __init__(self, project: Path) -> None:
        configure(project)
        self.project = project
        self.settings = config.load(project)
        self.ledger = Ledger(self.settings.home)
        self.servers = Servers(project)
        self.objects = open_objects(self.settings)
        self.saver = RecordingSaver()
        self.delivery = Delivery(self.settings, self.ledger, self.servers, self.objects)
        self.courier = Courier(self.settings.home, self.ledger, self.delivery, Attachment(self.delivery, self.saver))
        self.queries = Queries(self.ledger, self.servers, self.courier.pending, default_experiment(self.settings))

    def deliver(self) -> None:
        self.courier.read()
        self.courier.retry_now()
        self.courier.deliver()

    def close(self) -> None:
        self.ledger.close()

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.servers.default_uri())

    def all_runs(self) -> list[MlflowRun]:
        """Every run in MLflow, oldest first."""
        client = self.client
        experiments = [item.experiment_id for item in client.search_experiments()]
        return list(client.search_runs(experiments, order_by=["attributes.start_time ASC"]))

    def only_run(self) -> MlflowRun:
        (run,) = self.all_runs()
        return run

    def files(self, run_id: str) -> dict[str, bytes]:
        """The run's artifacts, by path."""
        folder = Path(self.client.download_artifacts(run_id, ""))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something that another process does; fails when it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)


def migrated(template: Path, project: Path) -> None:
    """Give `project` a ready database: making one takes MLflow seconds."""
    shutil.copy(template, project / "mlflow.db")
