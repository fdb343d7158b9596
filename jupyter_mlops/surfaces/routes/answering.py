"""What the routes answer: each request checked, asked of the project's host or started as a job, and told as JSON or as a stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado import web
from tornado.iostream import StreamClosedError

from ... import config
from ...errors import MlopsError
from . import asking, table
from .asking import Refused
from .hosts import HostLost
from .jobs import Job
from .plain_json import encoded
from .words import words

if TYPE_CHECKING:
    from .handlers import Handler

QUIET_SECONDS = 15.0
"""A stream that has nothing to tell says so after so long: proxies close silent ones."""


class Answers:
    """The answers to one request."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._parts = handler.parts

    def error(self, error: BaseException | None) -> None:
        """Tell why there is no answer."""
        if isinstance(error, Refused):
            self._handler.set_status(error.status)
            message = str(error)
        elif isinstance(error, web.HTTPError) and error.status_code != 500:
            message = (error.log_message or error.reason or self._handler._reason).replace("%%", "%")
        else:
            message = "The server could not answer this; its log says why."
        self._tell({"message": message})

    def refused(self, error: Any) -> bool:
        """Whether an error only says that a request was wrong."""
        return isinstance(error, Refused)

    async def read(self, verb: str) -> None:
        """What a verb that only reads returns."""
        try:
            sent = json.loads(self._handler.get_query_argument("arguments", "{}", strip=False))
        except (ValueError, RecursionError):
            raise Refused("The arguments are no JSON: send them as {name: value}.") from None
        arguments = await self._checked(verb, table.READING, sent)
        await self._ask(verb, self._folder(), arguments, change=False)

    async def change(self, verb: str) -> None:
        """What a short change returns."""
        sent = self._sent()
        arguments = await self._checked(verb, table.CHANGES, sent.get("arguments", {}))
        await self._ask(verb, sent.get("folder", ""), arguments, change=True)

    def jobs(self) -> None:
        """The jobs, the latest first."""
        self._tell({"jobs": [job.told() for job in self._parts.jobs.all()]})

    async def start_job(self) -> None:
        """The id of a job that was started."""
        sent = self._sent()
        verb = sent.get("verb")
        arguments = await self._checked(verb, table.JOBS, sent.get("arguments", {}))
        folder, _ = await self._placed(sent.get("folder", ""))
        place = "" if folder == self._parts.root else folder.relative_to(self._parts.root).as_posix()
        assert isinstance(verb, str)
        job = self._parts.jobs.start(verb, words(verb, table.JOBS[verb], arguments), folder, place, arguments)
        self._handler.set_status(201)
        self._tell({"id": job.id})

    def job(self, identifier: str) -> None:
        """What a list says of one job."""
        self._tell(self._job(identifier).told())

    async def cancel_job(self, identifier: str) -> None:
        """What a list says of a job of which nothing is left."""
        job = self._job(identifier)
        await self._parts.jobs.cancel(job)
        self._tell(job.told())

    async def job_events(self, identifier: str) -> None:
        """A job's events as they come."""
        job = self._job(identifier)
        after = self._handler.get_query_argument("after", self._handler.request.headers.get("Last-Event-ID", "0"))
        if not after.isdecimal() or len(after) > 15:
            raise Refused("after is to be the number of an event.")

        async def events() -> AsyncIterator[bytes]:
            async for number, event in job.follow(int(after)):
                yield b"id: %d\ndata: %s\n\n" % (number, encoded(event))

        await self._stream(events())

    async def live(self) -> None:
        """Which kinds of things change, as they do."""
        folder, project = await self._placed(self._folder())
        watchers = self._parts.watchers
        listener = watchers.listen(folder, project)

        async def changes() -> AsyncIterator[bytes]:
            yield b"data: %s\n\n" % encoded({"changed": []})
            while True:
                if changed := await listener.wait(QUIET_SECONDS):
                    yield b"data: %s\n\n" % encoded({"changed": changed})

        try:
            await self._stream(changes())
        finally:
            watchers.leave(project, listener)

    def _folder(self) -> str:
        return self._handler.get_query_argument("folder", "", strip=False)

    def _sent(self) -> dict[str, Any]:
        """The JSON object in the body of the request. Raises Refused."""
        try:
            found = json.loads(self._handler.request.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused("The body of the request is no JSON object.")
        return found

    async def _placed(self, text: Any) -> tuple[Path, Path]:
        """The folder that a text names, and the project that it belongs to. Raises Refused."""
        return await asyncio.to_thread(_placed, text, self._parts.root)

    async def _checked(self, verb: Any, rows: dict[str, Any], sent: Any) -> dict[str, Any]:
        """The arguments of a verb of these rows, checked. Raises Refused."""
        if not isinstance(verb, str) or verb not in rows:
            raise Refused(f"There is no verb {str(verb)[:80]!r} here; there are {', '.join(rows)}.")
        return await asyncio.to_thread(asking.arguments, verb, rows[verb], sent, self._parts.root)

    async def _ask(self, verb: str, folder: Any, arguments: dict[str, Any], *, change: bool) -> None:
        """Tell what the project's host answers."""
        _, project = await self._placed(folder)
        try:
            found = await self._parts.hosts.ask(project, verb, arguments, change=change)
        except HostLost as error:
            raise Refused(str(error), 500) from None
        except TimeoutError:
            raise Refused(f"{verb} takes very long: it goes on, ask again later.", 504) from None
        except OSError as error:
            raise Refused(f"No process could be started for this ({error.strerror or error}): try again.", 500) from None
        self._handler.set_status(found.status)
        self._handler.finish(found.body)

    def _job(self, identifier: str) -> Job:
        found = self._parts.jobs.get(identifier)
        if found is None:
            raise Refused("There is no such job: the server forgets old ones, and all of them when it starts again.", 404)
        return found

    def _tell(self, value: Any) -> None:
        self._handler.finish(encoded(value))

    async def _stream(self, events: AsyncIterator[bytes]) -> None:
        """Send events as they come, until there are no more or the page is gone."""
        handler = self._handler
        handler.set_header("Content-Type", "text/event-stream; charset=utf-8")
        handler.set_header("Cache-Control", "no-cache")
        handler.set_header("X-Accel-Buffering", "no")
        gone = asyncio.ensure_future(handler.gone.wait())
        waiting: asyncio.Future[bytes] | None = None
        with contextlib.suppress(StreamClosedError):
            await handler.flush()
            while not handler.gone.is_set():
                waiting = waiting or asyncio.ensure_future(anext(events))
                either: set[asyncio.Future[Any]] = {waiting, gone}
                await asyncio.wait(either, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    try:
                        handler.write(waiting.result())
                    except StopAsyncIteration:
                        break
                    waiting = None
                else:
                    handler.write(b": nothing new\n\n")
                await handler.flush()
        gone.cancel()
        if waiting is not None:
            waiting.cancel()


def _placed(text: Any, root: Path) -> tuple[Path, Path]:
    folder = asking.folder(text, root)
    try:
        return folder, config.find_project(folder)
    except MlopsError as error:
        raise Refused(str(error)) from None
