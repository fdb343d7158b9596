"""One MLflow tracking server or database, as this package uses it: connecting, experiments, and which failures pass by themselves."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import ErrorCode
from mlflow.store.tracking import DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from ..code.secrets import is_redacted, without_credentials
from . import locks

OWN_ID = "mlops.run_id"
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 30.0
_STATISTICS_SECONDS = 300.0
# What the server says about the request itself: asking again gives the same answer.
_REFUSALS = {
    "INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "NOT_FOUND", "RESOURCE_ALREADY_EXISTS",
    "INVALID_STATE", "FEATURE_DISABLED", "NOT_IMPLEMENTED",
}  # fmt: skip


class Unreachable(Exception):
    """The server did not answer, or failed; it is asked again later."""


class Refused(Exception):
    """The server will never accept this request."""

    def __init__(self, message: str, *, gone: bool = False) -> None:
        super().__init__(message)
        self.gone = gone


def make_database(uri: str) -> None:
    """Make the SQLite database of `uri` with its tables, if it is one that is not there yet.

    MLflow makes it in place, table by table: a second process at the same moment, or a kill halfway, leaves one that no MLflow opens.
    So it is made under another name, by one process at a time, and appears whole.
    """
    prefix = "sqlite:///"
    path = Path(uri.removeprefix(prefix).partition("?")[0])
    if not uri.startswith(prefix) or not path.name or path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    lock_path = path.with_name(f".{path.name}.lock")
    deadline = time.monotonic() + _LONGEST_WAIT
    while (lock := locks.hold(lock_path)) is None and time.monotonic() < deadline:
        time.sleep(0.05)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if not path.exists():
            for stray in path.parent.glob(f".{path.name}.[0-9]*"):
                stray.unlink(missing_ok=True)
            store = SqlAlchemyStore(f"{prefix}{fresh}", DEFAULT_LOCAL_FILE_AND_ARTIFACT_PATH)  # type: ignore[no-untyped-call]  # as MLflow has it
            store.engine.dispose()
            _appear(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
        if lock is not None:
            lock_path.unlink(missing_ok=True)
            locks.release(lock_path, lock)


def _appear(fresh: Path, path: Path) -> None:
    """Give a whole file its name, where nothing has it: plain MLflow in another process may have been faster."""
    try:
        os.link(fresh, path)
    except FileExistsError:
        return
    except OSError:
        # Some file systems let no file have two names.
        if not path.exists():
            fresh.rename(path)


class TrackingServer:
    """A place that keeps runs. Calls raise `Unreachable` or `Refused` only; after `Unreachable` it is left alone for a while."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.shown = without_credentials(uri)
        self.trouble = ""
        self._client: mlflow.MlflowClient | None = None
        self._experiments: dict[str, str] = {}
        self._wait = 0.0
        self._again = 0.0
        self._counted_until = 0.0
        self._mutex = threading.Lock()

    @property
    def resting(self) -> bool:
        """Whether it failed just now and is not to be asked yet."""
        return time.monotonic() < self._again

    def retry_now(self) -> None:
        """Ask it again at once, as when a user waits for it."""
        self._again = 0.0

    @property
    def tells_places(self) -> bool:
        """Whether its page tokens are those of MLflow's own stores, which tell a place."""
        return not self.uri.startswith(("databricks", "uc"))

    def gather_statistics(self) -> None:
        """Let SQLite count what its tables hold, now and then: without it, it sorts 10,000 runs by a metric for seconds."""
        path = self.uri.removeprefix("sqlite:///").partition("?")[0]
        if not self.uri.startswith("sqlite:///") or time.monotonic() < self._counted_until or not Path(path).exists():
            return
        self._counted_until = time.monotonic() + _STATISTICS_SECONDS
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(path, timeout=1)) as connection:
            connection.execute("PRAGMA analysis_limit=1000")
            connection.execute("ANALYZE")
            connection.commit()

    @contextlib.contextmanager
    def calling(self) -> Iterator[mlflow.MlflowClient]:
        """The client, for a few calls whose failures are told apart."""
        if is_redacted(self.uri):
            raise self._failed(f"the password for {self.shown} was not kept: give MLFLOW_TRACKING_URI with it where kernels start")
        try:
            with self._mutex:
                if self._client is None:
                    make_database(self.uri)
                    self._client = mlflow.MlflowClient(self.uri)
            yield self._client
        except MlflowException as error:
            message = without_credentials(str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__)
            if error.error_code in _REFUSALS and not _is_passing(error):
                raise Refused(message, gone=_is_gone(error, message)) from error
            raise self._failed(message) from error
        except (Refused, Unreachable):
            raise
        except Exception as error:  # drivers, sockets and file systems fail in their own ways: all of it may pass
            raise self._failed(without_credentials(f"{type(error).__name__}: {error}".splitlines()[0])) from error
        else:
            self.trouble, self._wait, self._again = "", 0.0, 0.0

    def _failed(self, message: str) -> Unreachable:
        self.trouble = message[:500]
        self._wait = min(_LONGEST_WAIT, max(_FIRST_WAIT, self._wait * 2))
        self._again = time.monotonic() + self._wait
        return Unreachable(message)

    def experiment_id(self, name: str) -> str:
        """The id of the experiment of this name, made if absent; a deleted one stays deleted, `NAME (2)` takes its place."""
        if name not in self._experiments:
            with self.calling() as client:
                self._experiments[name] = self._find_or_create(client, name)
        return self._experiments[name]

    def _find_or_create(self, client: mlflow.MlflowClient, name: str) -> str:
        number = 1
        while True:
            candidate = name if number == 1 else f"{name} ({number})"
            found = client.get_experiment_by_name(candidate)
            if found is None:
                with contextlib.suppress(MlflowException):  # another process may make it at this moment: then the next look finds it
                    return str(client.create_experiment(candidate))
                found = client.get_experiment_by_name(candidate)
            if found is not None and found.lifecycle_stage == "active":
                return str(found.experiment_id)
            if found is None:
                raise Unreachable(f"The experiment {candidate!r} could not be made.")
            number += 1

    def experiment_name(self, identifier: str) -> str:
        """The name of the experiment with this id; raises Refused when there is none."""
        for name, known in self._experiments.items():
            if known == identifier:
                return name
        with self.calling() as client:
            name = str(client.get_experiment(identifier).name)
        self._experiments[name] = identifier
        return name

    def forget_experiment(self, name: str) -> None:
        """Look again for this experiment: it may have been deleted."""
        self._experiments.pop(name, None)

    def find_own(self, experiment_id: str, own_id: str) -> Run | None:
        """The run that carries our id, deleted ones too."""
        with self.calling() as client:
            found = client.search_runs([experiment_id], f"tags.`{OWN_ID}` = '{own_id}'", run_view_type=ViewType.ALL, max_results=1)
        return found[0] if found else None

    def get_run(self, run_id: str) -> Run:
        """The run with this id of MLflow's; raises Refused when there is none."""
        with self.calling() as client:
            return client.get_run(run_id)


class Servers:
    """The tracking servers by URI, connected when first used."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self._servers: dict[str, TrackingServer] = {}

    def __getitem__(self, uri: str) -> TrackingServer:
        return self._servers.setdefault(uri, TrackingServer(uri))

    def __iter__(self) -> Iterator[TrackingServer]:
        return iter(list(self._servers.values()))

    def default_uri(self) -> str:
        """MLFLOW_TRACKING_URI, else MLflow's own default in the working folder, the project's: `mlflow.db`, or a used `mlruns`."""
        return absolute(str(mlflow.get_tracking_uri()), self.project)


def absolute(uri: str, folder: Path) -> str:
    """A URI whose relative path of a database or folder is taken from `folder`."""
    for scheme in ("sqlite:///", "file:"):
        if uri.startswith(scheme):
            path = uri.removeprefix(scheme)
            return uri if path.startswith("/") or path[1:3] in (":/", ":\\") else f"{scheme}{(folder / path).as_posix()}"
    return uri if "://" in uri or uri.split(":")[0] in ("databricks", "databricks-uc", "uc") else (folder / uri).resolve().as_uri()


def configure(project: Path) -> None:
    """Make MLflow quiet, quick to give up (the worker tries again itself) and at home in the project folder."""
    os.chdir(project)
    for name, value in {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # MLflow's own default for a folder with runs in ./mlruns is that folder, which it then refuses to open without this.
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "GIT_PYTHON_REFRESH": "quiet",
    }.items():
        os.environ.setdefault(name, value)


def _is_passing(error: MlflowException) -> bool:
    # What MLflow wraps in a refusal although it may pass: a database that is locked, or was made a moment ago.
    return any(sign in str(error) for sign in ("database is locked", "OperationalError", "disk I/O error", "database or disk is full"))


def _is_gone(error: MlflowException, message: str) -> bool:
    return (
        error.error_code == ErrorCode.Name(ErrorCode.Value("RESOURCE_DOES_NOT_EXIST"))
        or "must be in the 'active' state" in message
        or "deleted" in message
    )


def searchable(client: mlflow.MlflowClient, names: set[str] | None) -> list[Any]:
    """The active experiments with these names, all when None."""
    found: list[Any] = []
    token: str | None = None
    while True:
        page = client.search_experiments(max_results=1000, page_token=token)
        found.extend(item for item in page if names is None or item.name in names)
        token = page.token
        if not token:
            return found
