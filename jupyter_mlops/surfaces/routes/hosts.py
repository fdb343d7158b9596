"""The host processes of the projects, as the server's loop uses them: started when asked, ended when idle, replaced when they died."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...store.client import finding
from .plain_json import encoded
from .processes import PYTHON, signal_group, texts

IDLE_SECONDS = 600.0
PATIENCE = 300.0
MOST = 8
_CHUNK = 2**20
_END_SECONDS = 12.0
_LOG_LINES = 20


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, and the bytes of its JSON."""

    status: int
    body: bytes


class HostLost(Exception):
    """The host ended before it answered."""

    def __init__(self, status: int | None) -> None:
        how = f"signal {signal.Signals(-status).name}" if status is not None and status < 0 else f"exit status {status}"
        super().__init__(f"The process that answers for this project ended unexpectedly ({how}); ask again, a new one is started.")


class Host:
    """One host process."""

    def __init__(self, process: asyncio.subprocess.Process, log: logging.Logger) -> None:
        self._process = process
        self._log = log
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._next = 0
        self._said: collections.deque[str] = collections.deque(maxlen=_LOG_LINES)
        self.used = asyncio.get_running_loop().time()
        self.ended = False
        self._reading = asyncio.ensure_future(self._read())
        self._listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, root: Path, project: Path, log: logging.Logger) -> Host:
        """Start one for a project. Raises OSError."""
        process = await asyncio.create_subprocess_exec(
            *PYTHON, f"{__package__}.host", str(root), cwd=project, env=finding(), start_new_session=True, limit=_CHUNK,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        return cls(process, log)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def busy(self) -> bool:
        """Whether an answer is waited for."""
        return bool(self._waiting)

    async def ask(self, verb: str, arguments: Mapping[str, Any], *, change: bool) -> Answer:
        """Its answer to one request. Raises HostLost, and TimeoutError."""
        if self.ended:
            raise HostLost(self._process.returncode)
        self._next += 1
        number, loop = self._next, asyncio.get_running_loop()
        answer = self._waiting[number] = loop.create_future()
        stdin = self._process.stdin
        assert stdin is not None
        try:
            with contextlib.suppress(ConnectionError):  # then its output ends, too
                request = {"id": number, "verb": verb, "change": change, "arguments": texts(arguments)}
                stdin.write(encoded(request) + b"\n")
                await stdin.drain()
            return await asyncio.wait_for(answer, PATIENCE)
        finally:
            self._waiting.pop(number, None)
            self.used = loop.time()

    async def close(self) -> None:
        """End it: politely, since a change may be under way."""
        self.ended = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._process.wait(), _END_SECONDS)
        signal_group(self._process.pid, signal.SIGKILL)
        await asyncio.wait([self._reading, self._listening])

    async def _read(self) -> None:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            while line := await stdout.readline():
                told = json.loads(line)
                body = await stdout.readexactly(told["size"])
                answer = self._waiting.get(told["id"])
                if answer is not None and not answer.done():
                    answer.set_result(Answer(told["status"], body))
        except (asyncio.IncompleteReadError, ValueError):
            pass  # it died while it wrote
        expected, self.ended = self.ended, True
        signal_group(self._process.pid, signal.SIGKILL)
        status = await self._process.wait()
        if not expected:
            self._log.warning("The process that answers for a project ended with %s: %s", status, "\n".join(self._said))
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(HostLost(status))

    async def _listen(self) -> None:
        stderr = self._process.stderr
        assert stderr is not None
        while line := await _line(stderr):
            text = line.decode("utf-8", "replace").rstrip()
            self._said.append(text)
            self._log.debug("mlops host: %s", text)


class Hosts:
    """A host for each project that is asked about; at most `MOST` at a time."""

    def __init__(self, root: Path, log: logging.Logger) -> None:
        self._root = root
        self._log = log
        self._hosts: dict[Path, Host] = {}
        self._starting: dict[Path, asyncio.Lock] = collections.defaultdict(asyncio.Lock)
        self._tidying: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Future[None]] = set()

    @property
    def pids(self) -> dict[str, int]:
        """The hosts that live, by project."""
        return {str(project): host.pid for project, host in self._hosts.items() if not host.ended}

    async def ask(self, project: Path, verb: str, arguments: Mapping[str, Any], *, change: bool = False) -> Answer:
        """The answer of the project's host. Raises HostLost, TimeoutError and OSError."""
        host = await self._host(project)
        return await host.ask(verb, arguments, change=change)

    async def close(self) -> None:
        """End all of them."""
        if self._tidying is not None:
            self._tidying.cancel()
        hosts, self._hosts = list(self._hosts.values()), {}
        await asyncio.gather(*(host.close() for host in hosts), *self._ending)

    async def _host(self, project: Path) -> Host:
        async with self._starting[project]:
            host = self._hosts.get(project)
            if host is None or host.ended:
                host = self._hosts[project] = await Host.start(self._root, project, self._log)
                self._tidy()
            return host

    def _tidy(self) -> None:
        """End those that nobody asked for long, and the one that was asked longest ago where there are too many."""
        loop = asyncio.get_running_loop()
        if self._tidying is not None:
            self._tidying.cancel()
        idle = sorted((host.used, project) for project, host in self._hosts.items() if not host.busy)
        surplus = len(self._hosts) - MOST
        for place, (used, project) in enumerate(idle):
            if place < surplus or loop.time() - used > IDLE_SECONDS:
                ending = asyncio.ensure_future(self._hosts.pop(project).close())
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)
        self._tidying = loop.call_later(IDLE_SECONDS / 10, self._tidy) if self._hosts else None


async def _line(stream: asyncio.StreamReader) -> bytes:
    """A line; of one that is too long, what there is."""
    try:
        return await stream.readline()
    except ValueError:
        return b"..."
