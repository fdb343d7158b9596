"""The routes: authenticated, protected against XSRF as all of the server's are, JSON always, and no path that leaves the server's root.

The server starts with these classes alone; what answers is imported at the first request.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from tornado import web

if TYPE_CHECKING:
    from . import answering
    from .parts import Parts

PARTS = "mlops_parts"


class Handler(APIHandler):
    """What all routes have in common: a request that cannot be answered is told in one sentence."""

    auth_resource = "mlops"

    @cached_property
    def parts(self) -> Parts:
        """What the routes share."""
        found: Parts = self.settings[PARTS]
        return found

    @cached_property
    def answers(self) -> answering.Answers:
        """What answers the request."""
        made: answering.Answers = import_module(f"{__package__}.answering").Answers(self)
        return made

    @cached_property
    def gone(self) -> asyncio.Event:
        """Set when the page is gone."""
        return asyncio.Event()

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """JSON with a sentence. What went wrong in an unforeseen way stands in the server's log."""
        self.answers.error(kwargs.get("exc_info", (None, None))[1])

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """A refusal is no news for the log."""
        if not self.answers.refused(value):
            super().log_exception(typ, value, tb)

    def on_connection_close(self) -> None:
        """The page is gone."""
        self.gone.set()
        super().on_connection_close()


class VerbHandler(Handler):
    """mlops/verbs/<verb>: GET reads, POST makes a short change."""

    @web.authenticated
    @authorized
    async def get(self, verb: str) -> None:
        """Answer with what a verb that only reads returns."""
        await self.answers.read(verb)

    @web.authenticated
    @authorized
    async def post(self, verb: str) -> None:
        """Make a change, and answer with what the verb returns."""
        await self.answers.change(verb)


class JobsHandler(Handler):
    """mlops/jobs: what runs and ran, and the start of another."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the jobs, the latest first."""
        self.answers.jobs()

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Start a job; its id."""
        await self.answers.start_job()


class JobHandler(Handler):
    """mlops/jobs/<id>."""

    @web.authenticated
    @authorized
    async def get(self, identifier: str) -> None:
        """What a list says of one job."""
        self.answers.job(identifier)

    @web.authenticated
    @authorized
    async def delete(self, identifier: str) -> None:
        """Cancel a job; the answer comes when nothing of it is left."""
        await self.answers.cancel_job(identifier)


class EventsHandler(Handler):
    """mlops/jobs/<id>/events: what a job tells, from its beginning or from `after` on, until its end."""

    @web.authenticated
    @authorized
    async def get(self, identifier: str) -> None:
        """Send a job's events as they come."""
        await self.answers.job_events(identifier)


class LiveHandler(Handler):
    """mlops/live: which kinds of things change in a project, told as they do, for as long as the page listens."""

    # A page that only listens does not keep a server from being culled.
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Send changes."""
        await self.answers.live()


HANDLERS = [
    (r"/mlops/verbs/([^/]+)", VerbHandler),
    (r"/mlops/jobs", JobsHandler),
    (r"/mlops/jobs/([^/]+)", JobHandler),
    (r"/mlops/jobs/([^/]+)/events", EventsHandler),
    (r"/mlops/live", LiveHandler),
]
