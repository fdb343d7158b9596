"""A service as a process, or as several that share one address; until SIGTERM or Ctrl-C, which let what is under way be answered."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import UsageError
from ...store import registry
from ..exporting import bundle
from ..predictions.log import Log
from ..settings import of as settings_of
from . import presence
from .application import Application
from .minutes import Minutes
from .options import Options, checked
from .sources import FolderSource, RegistrySource, Source

_BACKLOG = 2_048
_SWITCH = 0.0005


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service that answers: its address, and the version that does."""

    name: str
    url: str
    version: int
    workers: int = 1


Ready = Callable[[Service], None]
"""Called once the service answers."""


def serve(settings: Settings, model: str, options: Options, ready: Ready) -> None:
    """Serve NAME, NAME@alias, NAME/3, or an exported folder, until SIGTERM or Ctrl-C. Raises MlopsError where that cannot be done."""
    options = checked(options)
    _needed()
    listening = listen(options)
    with contextlib.closing(listening), presence.noted(settings) as card:

        def answers(service: Service) -> None:
            card.answers(service, model)
            ready(service)

        if options.workers > 1:
            from .workers import Workers

            Workers(model, options, listening).run(answers)
        else:
            serve_one(settings, model, options, listening, answers)


def serve_one(settings: Settings, model: str, options: Options, listening: socket.socket, ready: Ready, *, number: int = 0) -> None:
    """Serve in this process, at a socket that listens; `number` counts the processes of a service from 0."""
    source, alias = source_of(settings, model, tells=number == 0)
    own = settings_of(settings, source.name)
    sample = own.sample if options.sample is None else options.sample
    log = Log(settings, source.name, sample=sample, redact=own.redact) if sample > 0 else None
    application = Application(source, alias, options, log=log, minutes=Minutes(settings, source.name))
    # scikit-learn warns of each array without names; it was tried that names make no difference.
    warnings.filterwarnings("ignore", message="X does not have valid feature names")
    # The loop and the model's thread wait for each other many times in a request: at the usual 5 ms each time, answers would come late.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run(application, listening, ready))
    finally:
        sys.setswitchinterval(interval)
        if log is not None:
            log.close()


def source_of(settings: Settings, model: str, *, tells: bool = True) -> tuple[Source, str]:
    """Where a model comes from, and the alias or number that says which version. Raises UsageError and NotFound."""
    folder = Path(model)
    if bundle.is_bundle(folder):
        return FolderSource(settings, folder), ""
    name, version, alias = registry.parse(model)
    return RegistrySource(settings, name, tells=tells), str(version) if version is not None else alias or ""


def listen(options: Options) -> socket.socket:
    """The socket of the service's address. Raises UsageError where it is taken, or is none of this machine."""
    host = options.host.strip("[]")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, options.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except OSError:
            listening.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"The service cannot listen at {options.host}:{options.port} ({why}): choose another --host or --port.") from None
    return listening


def url_of(options: Options, listening: socket.socket) -> str:
    """The address of a service, as one asks for it."""
    host = options.host.strip("[]")
    return f"http://{f'[{host}]' if ':' in host else host}:{listening.getsockname()[1]}"


async def run(application: Application, listening: socket.socket, ready: Ready, stop: asyncio.Event | None = None) -> None:
    """Serve an application until a signal ends the process, or `stop` is set. Raises MlopsError where it cannot answer."""
    import uvicorn

    options = application.options
    config = uvicorn.Config(
        application, log_level="warning", access_log=False, lifespan="off", ws="none", proxy_headers=False, server_header=False,
        timeout_keep_alive=75, timeout_graceful_shutdown=int(options.drain), backlog=_BACKLOG, log_config=None,
    )  # fmt: skip
    server = uvicorn.Server(config)
    await application.start()
    try:
        service = Service(name=application.name, url=url_of(options, listening), version=application.deployments.champion.version)
        asyncio.get_running_loop().call_soon(ready, service)
        stopping = asyncio.create_task(_stop(server, stop)) if stop is not None else None
        with _last_signal():
            await server.serve(sockets=[listening])
        if stopping is not None:
            stopping.cancel()
    finally:
        await application.close()


async def _stop(server: Any, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


@contextlib.contextmanager
def _last_signal() -> Iterator[None]:
    """uvicorn hands the signal that ended it to whoever handled it before; nobody does here, since it was the end that was wanted."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _needed() -> None:
    missing = [name for name in ("orjson", "prometheus_client", "uvicorn") if find_spec(name) is None]
    if missing:
        raise UsageError(f"Serving needs a package that is not here: pip install {missing[0].replace('_', '-')}.")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The quicker event loop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
