"""Long work as processes: `mlops VERB ... --json` in a folder, each with its events, which pages may follow from any place on."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import json
import os
import signal
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...pipelines.running.children import GUARD
from ...store.client import PACKAGE, finding
from .processes import PYTHON, signal_group, texts

AT_ONCE = 8
"""Jobs that run at the same time; others wait their turn."""
KEPT = 100
"""Jobs that are over and still told of."""
MOST_EVENTS = 20_000
_LINE = 64 * 2**20
_GRACE_SECONDS = 8.0
_LAST_WORDS_SECONDS = 2.0


@dataclass(slots=True, kw_only=True)
class Job:
    """One job: `state` is waiting, running or ended; `status` its exit status, 130 where it was cancelled."""

    id: str
    verb: str
    folder: str
    arguments: Mapping[str, Any]
    created: float
    state: str = "waiting"
    status: int | None = None
    events: list[Mapping[str, Any]] = field(default_factory=list)
    cancelled: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def told(self) -> dict[str, Any]:
        """What a list of jobs says of it."""
        names = ("id", "verb", "folder", "arguments", "created", "state", "status", "cancelled")
        return {name: getattr(self, name) for name in names} | {"events": len(self.events)}

    def tell(self, event: Mapping[str, Any]) -> None:
        """Add an event. Of very many, those in the middle are left out."""
        if len(self.events) < MOST_EVENTS or event["event"] == "end":
            self.events.append(event)
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    async def follow(self, after: int) -> AsyncIterator[tuple[int, Mapping[str, Any]]]:
        """The events after the first `after` ones, each with its number from 1, until the last one has come."""
        number = max(0, after)
        while True:
            changed = self.changed
            while number < len(self.events):
                number += 1
                yield number, self.events[number - 1]
            if self.state == "ended":
                return
            await changed.wait()


class Jobs:
    """The jobs of this server. All of them end with it, however it ends."""

    def __init__(self) -> None:
        self._jobs: collections.OrderedDict[str, Job] = collections.OrderedDict()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(AT_ONCE)

    def start(self, verb: str, words: Sequence[str], folder: Path, place: str, arguments: Mapping[str, Any]) -> Job:
        """Start a job in a folder, which pages know as `place`."""
        job = Job(id=uuid.uuid4().hex, verb=verb, folder=place, arguments=texts(arguments), created=time.time())
        self._jobs[job.id] = job
        self._tasks[job.id] = asyncio.ensure_future(self._run(job, words, folder))
        self._forget()
        return job

    def get(self, identifier: str) -> Job | None:
        """The job of this id."""
        return self._jobs.get(identifier)

    def all(self) -> list[Job]:
        """The jobs, the latest first."""
        return list(reversed(self._jobs.values()))

    async def cancel(self, job: Job) -> None:
        """End a job with all that it started; it returns when nothing of it is left."""
        task = self._tasks.get(job.id)
        if task is None:
            return
        if not job.cancelled:
            job.cancelled = True
            task.cancel()
        await asyncio.wait([task])

    async def close(self) -> None:
        """End all jobs."""
        await asyncio.gather(*(self.cancel(job) for job in self.all()))

    def _forget(self) -> None:
        over = [job.id for job in self._jobs.values() if job.state == "ended"]
        for identifier in over[: max(0, len(over) - KEPT)]:
            del self._jobs[identifier]

    async def _run(self, job: Job, words: Sequence[str], folder: Path) -> None:
        status, answer, error = 130, None, "It was cancelled."
        try:
            async with self._room:
                job.state = "running"
                job.tell({"event": "started", "verb": job.verb, "at": time.time()})
                status, answer, error = await _Process(job).run([*PYTHON, PACKAGE.name, *words], folder)
        except asyncio.CancelledError:
            pass  # by `cancel` alone: its end is told like any other
        except OSError as trouble:
            status, error = 2, f"It could not be started ({trouble.strerror or trouble}): try again."
        finally:
            job.state, job.status = "ended", status
            job.tell({"event": "end", "status": status, "answer": answer, "error": error, "cancelled": job.cancelled})
            self._tasks.pop(job.id, None)


class _Process:
    """The process of a job, the leader of a group that ends with the server."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._printed: list[str] = []
        self._said: collections.deque[str] = collections.deque(maxlen=50)

    async def run(self, command: Sequence[str], folder: Path) -> tuple[int, Any, str]:
        """Run it; its exit status, its answer, and the sentence of its error."""
        # The shell becomes the command. Whatever is left of its group is ended by the end of this pipe.
        reads, writes = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *("/bin/sh", "-c", GUARD, "mlops", *command),
                cwd=folder,
                env={**finding(), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"},
                start_new_session=True,
                limit=_LINE,
                stdin=reads,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except BaseException:
            os.close(writes)
            raise
        finally:
            os.close(reads)
        assert process.stdout is not None
        assert process.stderr is not None
        heard = [asyncio.ensure_future(self._answers(process.stdout)), asyncio.ensure_future(self._words(process.stderr))]
        try:
            status = await process.wait()
            # What it started may hold its outputs open.
            await asyncio.wait(heard, timeout=_LAST_WORDS_SECONDS)
        finally:
            await asyncio.shield(_ended(process))
            os.close(writes)
            for listening in heard:
                listening.cancel()
        return status, self._answer(), self._error(status)

    async def _answers(self, stdout: asyncio.StreamReader) -> None:
        """Lines of JSON that tell of an event are one; what else is printed is the answer."""
        async for line in _lines(stdout):
            event = _read(line) if line.startswith("{") and line.endswith("}") else None
            if isinstance(event, dict) and isinstance(event.get("event"), str):
                # The end of a pipeline is not that of the job.
                self._job.tell({**event, "event": "ended" if event["event"] == "end" else event["event"]})
            else:
                self._printed.append(line)

    async def _words(self, stderr: asyncio.StreamReader) -> None:
        async for line in _lines(stderr):
            if line.strip():
                self._said.append(line)
                self._job.tell({"event": "said", "text": line})

    def _answer(self) -> Any:
        """What was printed as JSON; what a user's own code printed before it is left out."""
        for first, line in enumerate(self._printed):
            if line[:1] in ("{", "[") or first == len(self._printed) - 1:
                found = _read("\n".join(self._printed[first:]))
                if found is not None:
                    return found
        return None

    def _error(self, status: int) -> str:
        told = [line.removeprefix("mlops: ") for line in self._said if line.startswith("mlops: ")]
        if status in (0, 1) and not told:
            return ""
        return told[-1] if told else (self._said[-1] if self._said else f"It ended with exit status {status} and said nothing.")


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End the group of a process, politely where its leader still works."""
    if process.returncode is None:
        signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
    signal_group(process.pid, signal.SIGKILL)
    await process.wait()


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[str]:
    while True:
        try:
            line = await stream.readline()
        except ValueError:  # longer than any answer
            continue
        if not line:
            return
        yield line.decode("utf-8", "replace").rstrip("\r\n")


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
