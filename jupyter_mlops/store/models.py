"""Saving models through their MLflow flavors, in a process of their own: a crash or a hang of a model cannot hurt the delivery worker."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self

from ..code.secrets import without_credentials
from ..errors import ModelRefused, StoreError
from .client import PACKAGE
from .model_process import LENGTH

if TYPE_CHECKING:
    from ..config import Settings
    from .objects import ObjectStore

TIME_LIMIT = 120.0
_PIECE = 2**16
# -P and an appended path: no module of the user's project may stand in for one that MLflow imports.
_START = f"import sys; sys.path.append({str(PACKAGE.parent)!r}); from jupyter_mlops.store.model_process import main; main()"


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model in MLflow: its `uri` (models:/m-...), `flavor` and file `format` (skops, ubj, txt, pt2; pickle and cloudpickle where chosen).

    `size` is in bytes; `trusted` are the types that skops was told to trust; `signature` tells whether there is one; `notes` say what
    else could not be had, such as a prediction of the example.
    """

    uri: str
    flavor: str
    size: int
    format: str
    trusted: tuple[str, ...] = ()
    signature: bool = True
    notes: tuple[str, ...] = ()


class ModelSaver:
    """Saves models one after the other in one child process, which is started for the first and again after a crash or a hang.

    Threads may share a saver. `time_limit` is in seconds, for one model.
    """

    def __init__(self, time_limit: float = TIME_LIMIT) -> None:
        self.time_limit = time_limit
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._sys_path: list[str] = []

    def save(
        self,
        run_id: str,
        tracking_uri: str,
        record: Mapping[str, Any],
        objects: ObjectStore,
        settings: Settings,
        requirements: Sequence[str] = (),
        sys_path: Sequence[str] = (),
    ) -> SavedModel:
        """Logs the model of a journal's `models` item to the run, with signature and example; again is the same as once.

        Raises `ModelRefused` with a reason when the model cannot be saved or may not, and `StoreError` when the store failed and
        the same call may succeed later.
        """
        request = {
            "run_id": run_id,
            "tracking_uri": tracking_uri,
            "name": record["name"],
            "class": record["class"],
            "flavor": record["flavor"],
            "transport_digest": record["transport"],
            "transport": objects.get(record["transport"]),
            "example": objects.get(record["example"]) if record.get("example") else None,
            "trust": list(settings.trust),
            "pickle": list(settings.pickle),
            "requirements": list(requirements),
            "sys_path": list(sys_path),
        }
        with self._lock:
            answer = self._ask(request, settings)
        if "refused" in answer:
            raise ModelRefused(without_credentials(answer["refused"]))
        if "failed" in answer:
            told = f"MLflow at {tracking_uri} did not take the model {record['name']!r}; it is tried again: {answer['failed']}"
            raise StoreError(without_credentials(told))
        saved = answer["saved"]
        return SavedModel(**{**saved, "trusted": tuple(saved["trusted"]), "notes": tuple(saved["notes"])})

    def close(self) -> None:
        """Ends the child process."""
        with self._lock:
            self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _ask(self, request: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
        process = self._started(request["sys_path"], settings)
        deadline = time.monotonic() + self.time_limit
        try:
            return _exchange(process, pickle.dumps(dict(request), protocol=5), deadline)
        except TimeoutError:
            self._end()
            raise ModelRefused(f"saving it took more than {self.time_limit:.0f} seconds") from None
        except OSError:
            raise ModelRefused(f"its code ends the process that saves it ({self._ending()})") from None

    def _started(self, sys_path: list[str], settings: Settings) -> subprocess.Popen[bytes]:
        """The child process; another one where the kernel found its modules elsewhere."""
        if self._process is not None and (self._process.poll() is not None or self._sys_path != sys_path):
            self._end()
        if self._process is None:
            self._sys_path = sys_path
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _START],
                cwd=settings.project,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self._process

    def _ending(self) -> str:
        process = self._process
        if process is None:
            return "it is gone"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        self._end()
        status = process.returncode or 0
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        # The group, as models start processes of their own to predict in parallel.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float) -> dict[str, Any]:
    """Sends a request and reads its answer. Raises TimeoutError, and BrokenPipeError when the process is gone."""
    if process.stdin is None or process.stdout is None:
        raise BrokenPipeError("the process has no pipes")
    _write(process.stdin, LENGTH.pack(len(request)) + request, deadline)
    length = LENGTH.unpack(_read(process.stdout, LENGTH.size, deadline))[0]
    answer = json.loads(_read(process.stdout, length, deadline))
    if not isinstance(answer, dict):
        raise BrokenPipeError("the process does not answer as it should")
    return answer


def _write(pipe: IO[bytes], data: bytes, deadline: float) -> None:
    rest = memoryview(data)
    while rest:
        _, ready, _ = select.select([], [pipe], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        rest = rest[os.write(pipe.fileno(), rest[:_PIECE]) :]


def _read(pipe: IO[bytes], size: int, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            raise TimeoutError
        piece = os.read(pipe.fileno(), size - len(data))
        if not piece:
            raise BrokenPipeError("the process ended")
        data += piece
    return bytes(data)
