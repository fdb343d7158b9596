"""A service in this process for tests: a source that holds models in memory, a server in a thread, and quick clients for it."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from jupyter_mlops.errors import NotFound
from jupyter_mlops.models.serving.application import Application
from jupyter_mlops.models.serving.options import Options
from jupyter_mlops.models.serving.server import Service, listen, loop_factory, run
from jupyter_mlops.models.serving.sources import Loaded


@dataclass
class MemorySource:
    """Versions by number, each made when it is loaded; what the audit log would be told is in `told`."""

    name: str = "shop"
    versions: dict[int, Callable[[], Loaded]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    told: list[tuple[str, int | None, str]] = field(default_factory=list)
    lost: Exception | None = None

    def current(self, alias: str) -> int | None:
        if self.lost is not None:
            raise self.lost
        return int(alias) if alias.isdecimal() else self.aliases.get(alias or "champion")

    def load(self, version: int) -> Loaded:
        if version not in self.versions:
            raise NotFound("version", str(version))
        return self.versions[version]()

    def tell(self, what: str, version: int | None, why: str, details: Mapping[str, Any]) -> None:
        self.told.append((what, version, why))

    def close(self) -> None:
        pass


@dataclass
class Rows:
    """A log of predictions that keeps its rows."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def write(
        self, inputs: Any, output: Any, *, ids: Sequence[str], version: int, role: str = "champion", seconds: Any = None
    ) -> int:
        for place, identifier in enumerate(ids):
            row = {name: _plain(values[place]) for name, values in inputs.items()} if isinstance(inputs, dict) else list(inputs[place])
            self.rows.append({"id": identifier, "inputs": row, "output": output[place], "version": version, "role": role})
        return len(ids)


def _plain(value: Any) -> Any:
    """A value of a list or of an Arrow array."""
    return value.as_py() if isinstance(value, pa.Scalar) else value


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection that stays open."""

    def __init__(self, url: str, headers: Mapping[str, str] | None = None) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self.connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=30)
        self.headers = dict(headers or {})

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Answer:
        given = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        start = time.perf_counter()
        self.connection.request(method, path, given, {"Content-Type": "application/json", **self.headers, **(headers or {})})
        answer = self.connection.getresponse()
        found = answer.read()
        return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, found, time.perf_counter() - start)

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, body: Any, path: str = "/invocations", **headers: str) -> Answer:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def close(self) -> None:
        self.connection.close()


@dataclass
class Running:
    """A service that answers."""

    url: str
    application: Application

    @contextmanager
    def client(self, **headers: str) -> Iterator[Client]:
        made = Client(self.url, headers)
        try:
            yield made
        finally:
            made.close()


@contextmanager
def running(source: Any, options: Options | None = None, *, alias: str = "", log: Any = None, minutes: Any = None) -> Iterator[Running]:
    """A service of a source, at a free port of this machine, until the block ends."""
    options = options or Options(port=0, poll=0.02)
    listening = listen(options)
    ready: list[Service] = []
    failed: list[BaseException] = []
    answers, stops = threading.Event(), threading.Event()
    application = Application(source, alias, options, log=log, minutes=minutes)

    async def serve() -> None:
        stop = asyncio.Event()

        async def wait() -> None:
            await asyncio.to_thread(stops.wait)
            stop.set()

        waiting = asyncio.create_task(wait())
        try:
            await run(application, listening, lambda service: (ready.append(service), answers.set()), stop)
        except BaseException as error:
            failed.append(error)
        finally:
            answers.set()
            stops.set()
            await waiting

    def thread() -> None:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(serve())

    serving = threading.Thread(target=thread)
    serving.start()
    try:
        assert answers.wait(30)
        if failed:
            raise failed[0]
        yield Running(ready[0].url, application)
    finally:
        stops.set()
        serving.join(30)
        listening.close()
    if failed:
        raise failed[0]


def wait_for(condition: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
