"""The routes: authenticated, protected against XSRF as all of the server's are, JSON always, and no path that leaves the server's root."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.iostream import StreamClosedError

from ... import config
from ...errors import MlopsError
from . import asking, table
from .asking import Refused
from .hosts import HostLost, Hosts
from .jobs import Jobs
from .plain_json import encoded
from .watching import Watchers
from .words import words

PARTS = "mlops_parts"
QUIET_SECONDS = 15.0
"""A stream that has nothing to tell says so after so long: proxies close silent ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes share: the server's root, with no links in it, the hosts, the jobs and the watchers."""

    root: Path
    hosts: Hosts
    jobs: Jobs
    watchers: Watchers


class Handler(APIHandler):
    """What all routes have in common: a request that cannot be answered is told in one sentence."""

    auth_resource = "mlops"

    @cached_property
    def parts(self) -> Parts:
        """What the routes share."""
        found: Parts = self.settings[PARTS]
        return found

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """JSON with a sentence. What went wrong in an unforeseen way stands in the server's log."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, Refused):
            self.set_status(error.status)
            message = str(error)
        elif isinstance(error, web.HTTPError) and error.status_code != 500:
            message = (error.log_message or error.reason or self._reason).replace("%%", "%")
        else:
            message = "The server could not answer this; its log says why."
        self.answer({"message": message})

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A refusal is no news for the log."""
        if not isinstance(value, Refused):
            super().log_exception(typ, value, tb)

    def answer(self, value: Any) -> None:
        """Send plain values."""
        self.finish(encoded(value))

    def sent(self) -> dict[str, Any]:
        """The JSON object in the body of the request. Raises Refused."""
        try:
            found = json.loads(self.request.body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused("The body of the request is no JSON object.")
        return found

    async def placed(self, text: Any) -> tuple[Path, Path]:
        """The folder that a text names, and the project that it belongs to. Raises Refused."""
        return await asyncio.to_thread(self._placed, text)

    def _placed(self, text: Any) -> tuple[Path, Path]:
        folder = asking.folder(text, self.parts.root)
        try:
            return folder, config.find_project(folder)
        except MlopsError as error:
            raise Refused(str(error)) from None

    async def checked(self, verb: Any, rows: dict[str, Any], sent: Any) -> dict[str, Any]:
        """The arguments of a verb of these rows, checked. Raises Refused."""
        if not isinstance(verb, str) or verb not in rows:
            raise Refused(f"There is no verb {str(verb)[:80]!r} here; there are {', '.join(rows)}.")
        return await asyncio.to_thread(asking.arguments, verb, rows[verb], sent, self.parts.root)

    async def told(self, verb: str, folder: Any, arguments: dict[str, Any], *, change: bool) -> None:
        """Send what the project's host answers."""
        _, project = await self.placed(folder)
        try:
            found = await self.parts.hosts.ask(project, verb, arguments, change=change)
        except HostLost as error:
            raise Refused(str(error), 500) from None
        except TimeoutError:
            raise Refused(f"{verb} takes very long: it goes on, ask again later.", 504) from None
        except OSError as error:
            raise Refused(f"No process could be started for this ({error.strerror or error}): try again.", 500) from None
        self.set_status(found.status)
        self.finish(found.body)

    async def stream(self, events: AsyncIterator[bytes]) -> None:
        """Send events as they come, until there are no more or the page is gone."""
        self.set_header("Content-Type", "text/event-stream; charset=utf-8")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        gone = asyncio.ensure_future(self._closed.wait())
        waiting: asyncio.Future[bytes] | None = None
        with contextlib.suppress(StreamClosedError):
            await self.flush()
            while not self._closed.is_set():
                waiting = waiting or asyncio.ensure_future(anext(events))
                either: set[asyncio.Future[Any]] = {waiting, gone}
                await asyncio.wait(either, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if waiting.done():
                    try:
                        self.write(waiting.result())
                    except StopAsyncIteration:
                        break
                    waiting = None
                else:
                    self.write(b": nothing new\n\n")
                await self.flush()
        gone.cancel()
        if waiting is not None:
            waiting.cancel()

    @cached_property
    def _closed(self) -> asyncio.Event:
        return asyncio.Event()

    def on_connection_close(self) -> None:
        """The page is gone."""
        self._closed.set()
        super().on_connection_close()


class VerbHandler(Handler):
    """mlops/verbs/<verb>: GET reads, POST makes a short change."""

    @web.authenticated
    @authorized
    async def get(self, verb: str) -> None:
        """Answer with what a verb that only reads returns."""
        try:
            sent = json.loads(self.get_query_argument("arguments", "{}", strip=False))
        except (ValueError, RecursionError):
            raise Refused("The arguments are no JSON: send them as {name: value}.") from None
        arguments = await self.checked(verb, table.READING, sent)
        await self.told(verb, self.get_query_argument("folder", "", strip=False), arguments, change=False)

    @web.authenticated
    @authorized
    async def post(self, verb: str) -> None:
        """Make a change, and answer with what the verb returns."""
        sent = self.sent()
        arguments = await self.checked(verb, table.CHANGES, sent.get("arguments", {}))
        await self.told(verb, sent.get("folder", ""), arguments, change=True)


class JobsHandler(Handler):
    """mlops/jobs: what runs and ran, and the start of another."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the jobs, the latest first."""
        self.answer({"jobs": [job.told() for job in self.parts.jobs.all()]})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start a job; its id."""
        sent = self.sent()
        verb = sent.get("verb")
        arguments = await self.checked(verb, table.JOBS, sent.get("arguments", {}))
        folder, _ = await self.placed(sent.get("folder", ""))
        place = "" if folder == self.parts.root else folder.relative_to(self.parts.root).as_posix()
        assert isinstance(verb, str)
        job = self.parts.jobs.start(verb, words(verb, table.JOBS[verb], arguments), folder, place, arguments)
        self.set_status(201)
        self.answer({"id": job.id})


class JobHandler(Handler):
    """mlops/jobs/<id>."""

    @web.authenticated
    @authorized
    async def get(self, identifier: str) -> None:
        """What a list says of one job."""
        self.answer(_job(self.parts.jobs, identifier).told())

    @web.authenticated
    @authorized
    async def delete(self, identifier: str) -> None:
        """Cancel a job; the answer comes when nothing of it is left."""
        job = _job(self.parts.jobs, identifier)
        await self.parts.jobs.cancel(job)
        self.answer(job.told())


class EventsHandler(Handler):
    """mlops/jobs/<id>/events: what a job tells, from its beginning or from `after` on, until its end."""

    @web.authenticated
    @authorized
    async def get(self, identifier: str) -> None:
        """Send a job's events as they come."""
        job = _job(self.parts.jobs, identifier)
        after = self.get_query_argument("after", self.request.headers.get("Last-Event-ID", "0"))
        if not after.isdecimal() or len(after) > 15:
            raise Refused("after is to be the number of an event.")

        async def events() -> AsyncIterator[bytes]:
            async for number, event in job.follow(int(after)):
                yield b"id: %d\ndata: %s\n\n" % (number, encoded(event))

        await self.stream(events())


class LiveHandler(Handler):
    """mlops/live: which kinds of things change in a project, told as they do, for as long as the page listens."""

    # A page that only listens does not keep a server from being culled.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Send changes."""
        folder, project = await self.placed(self.get_query_argument("folder", "", strip=False))
        watchers = self.parts.watchers
        listener = watchers.listen(folder, project)

        async def changes() -> AsyncIterator[bytes]:
            yield b"data: %s\n\n" % encoded({"changed": []})
            while True:
                if changed := await listener.wait(QUIET_SECONDS):
                    yield b"data: %s\n\n" % encoded({"changed": changed})

        try:
            await self.stream(changes())
        finally:
            watchers.leave(project, listener)


def _job(jobs: Jobs, identifier: str) -> Any:
    found = jobs.get(identifier)
    if found is None:
        raise Refused("There is no such job: the server forgets old ones, and all of them when it starts again.", 404)
    return found


HANDLERS = [
    (r"/mlops/verbs/([^/]+)", VerbHandler),
    (r"/mlops/jobs", JobsHandler),
    (r"/mlops/jobs/([^/]+)", JobHandler),
    (r"/mlops/jobs/([^/]+)/events", EventsHandler),
    (r"/mlops/live", LiveHandler),
]
