"""The service as an ASGI application: which address does what, and all that lies between a request and its prediction."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import orjson

from ..predictions.ids import ids as new_ids
from . import inference_protocol, openapi
from .deployments import Deployment, Deployments
from .encoding import body as encoded
from .encoding import is_finite, values
from .metrics import Metrics
from .minutes import SECONDS, Minutes
from .options import Options
from .payloads import Payload, decoded, read
from .predicting import told
from .recording import PredictionLog, Recorder
from .refusals import Refusal, bad, overloaded
from .requests import IDENTIFIER, JSON, KEY, ROLE, VERSION, Door, Headers, Receive, Scope, Send, answer, body_of, headers_of
from .sources import Source

logger = logging.getLogger(__name__)
_SHADOW_SUFFIX = "0001"
_HELD = 0.05
_MOST_HELD = 500
_PROTOCOL = "/v2"
_Get = Callable[[], tuple[int, bytes, bytes]]


class Application:
    """A service of one model. `start` before the first request, `close` after the last one, both in the event loop that serves.

    `log` takes the predictions, `minutes` how the service does; without them neither is kept.
    """

    def __init__(
        self, source: Source, alias: str, options: Options, *, log: PredictionLog | None = None, minutes: Minutes | None = None
    ) -> None:
        self.name = source.name
        self.options = options
        self.metrics = Metrics(source.name)
        self.deployments = Deployments(source, alias, options, self.metrics)
        self._limits = options.limits
        self._door = Door(options.token)
        self._log, self._minutes = log, minutes
        self._recorder: Recorder | None = None
        self._waiting = 0
        self._held = 0
        self._shadowed: set[asyncio.Task[None]] = set()
        self._noting: asyncio.Task[None] | None = None
        self._open: dict[str, _Get] = {"/ping": self._ping, "/health": self._ping, "/version": _mlflow_version, "/ready": self._ready}
        self._open |= {f"{_PROTOCOL}/health/live": self._live, f"{_PROTOCOL}/health/ready": self._ready_v2}
        self._closed: dict[str, _Get] = {
            "/metrics": self._metrics_text, "/openapi.json": self._openapi, "/docs": self._docs, "/": self._docs, _PROTOCOL: _server,
        }  # fmt: skip

    async def start(self) -> None:
        """Load the model. Raises MlopsError where it cannot answer."""
        if self._log is not None:
            self._recorder = Recorder(self._log)
        await self.deployments.start()
        self._noting = asyncio.create_task(self._note())

    async def close(self) -> None:
        """Answer what is under way, and write what is to be kept."""
        self.deployments.drain()
        if self._shadowed:
            await asyncio.wait(self._shadowed, timeout=self.options.drain)
        await self.deployments.close()
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
        if self._recorder is not None:
            self._recorder.flush()
        if self._minutes is not None:
            await asyncio.to_thread(self._minutes.close)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        if method == "POST" and path == "/invocations":
            await self._predict(dict(scope["headers"]), receive, send, None)
            return
        try:
            await self._other(path, method, dict(scope["headers"]), receive, send)
        except Refusal as refusal:
            await self._refuse(send, refusal, protocol=path.startswith(_PROTOCOL))

    async def _other(self, path: str, method: str, headers: Headers, receive: Receive, send: Send) -> None:
        get = self._open.get(path)
        if get is None:
            self._door.check(headers)
            get = self._closed.get(path)
        if get is None and path.startswith(f"{_PROTOCOL}/models/"):
            model, number, action = self._model(path)
            if action == "infer":
                _only(method, "POST")
                await self._predict(headers, receive, send, (model, number))
                return
            get = self._about(model, number, action)
        if get is None:
            _only(method, "POST" if path == "/invocations" else method)
            raise Refusal(404, "NOT_FOUND", "There is nothing at this address; /docs says what there is.")
        _only(method, "GET", "HEAD")
        status, body, kind = get()
        await answer(send, status, b"" if method == "HEAD" else body, kind)

    async def _predict(self, headers: Headers, receive: Receive, send: Send, asked: tuple[Deployment | None, int | None] | None) -> None:
        """Answer a request for predictions: MLflow's where `asked` is None, else one of the Open Inference Protocol."""
        start = time.perf_counter()
        if self._waiting >= self._limits.waiting:
            await self._hold()
        self._waiting += 1
        number, role, rows = 0, "", 0
        try:
            if self._waiting > self._limits.waiting:
                raise overloaded()
            self._door.check(headers)
            body = await body_of(headers, receive, self._limits)
            identifier, wanted = "", None
            if asked is None:
                deployment, role = self.deployments.choose(headers.get(KEY, body))
                number = deployment.version
                payload = read(body, headers.get(b"content-type", b"").decode("latin-1"), deployment.predictor.schema, self._limits)
            else:
                request = _protocol_request(headers, body, self._limits)
                identifier, wanted = request.get("id") or "", request.get("outputs")
                deployment, role = self._asked(asked, headers.get(KEY, identifier.encode() or body))
                number = deployment.version
                payload = inference_protocol.payload_of(request, deployment.predictor.schema, self._limits)
            rows = payload.count
            output = await deployment.batcher.predict(payload)
            if isinstance(output, Exception):
                raise bad(f"The model does not take these values: {told(output)}.")
            ids = new_ids(rows)
            if asked is None:
                answered: dict[str, Any] = {"predictions": values(output), "prediction_ids": ids, "model_version": str(number)}
            else:
                answered = inference_protocol.answer(deployment.predictor.loaded, output, identifier, ids, wanted)
            content = encoded(answered, finite=is_finite(output))
        except BaseException as error:
            self._waiting -= 1
            if not isinstance(error, Exception):
                raise
            refusal = _refusal_of(error, understood=bool(rows))
            self._count(number, role or "none", refusal.status, rows, time.perf_counter() - start)
            await self._refuse(send, refusal, protocol=asked is not None)
            return
        self._waiting -= 1
        seconds = time.perf_counter() - start
        told_of = ((IDENTIFIER, ids[0].encode()), (VERSION, b"%d" % number), (ROLE, role.encode()))
        await answer(send, 200, content, JSON, told_of)
        self._count(number, role, 200, rows, seconds)
        if self._recorder is not None:
            self._recorder.record(deployment.predictor.schema, payload, output, ids, number, role, seconds)
        shadow = self.deployments.shadow_of(deployment)
        if shadow is not None:
            self._mirror(shadow, deployment, payload, ids)

    async def _hold(self) -> None:
        """Let a request wait a moment before it is refused, or taken after all: clients that ask again at once would take all the time."""
        if self._held < _MOST_HELD:
            self._held += 1
            try:
                await asyncio.sleep(_HELD)
            finally:
                self._held -= 1

    def _mirror(self, shadow: Deployment, answering: Deployment, payload: Payload, ids: list[str]) -> None:
        """Let the shadow predict the same rows, for the log only. What it has no time for is left out."""
        if shadow.predictor.loaded.inputs != answering.predictor.loaded.inputs or self._recorder is None:
            self.metrics.shadow_dropped.inc()
            return
        try:
            future = shadow.batcher.predict(payload)
        except Refusal:
            self.metrics.shadow_dropped.inc()
            return
        task = asyncio.create_task(self._shadow(shadow, payload, ids, future))
        self._shadowed.add(task)
        task.add_done_callback(self._shadowed.discard)

    async def _shadow(self, shadow: Deployment, payload: Payload, ids: list[str], future: asyncio.Future[Any]) -> None:
        start = time.perf_counter()
        output: Any = None
        with contextlib.suppress(Refusal):
            output = await future
        failed = output is None or isinstance(output, Exception)
        seconds = time.perf_counter() - start
        self._count(shadow.version, "shadow", 500 if failed else 200, payload.count, seconds)
        if not failed and self._recorder is not None:
            own = [identifier + _SHADOW_SUFFIX for identifier in ids]
            self._recorder.record(shadow.predictor.schema, payload, output, own, shadow.version, "shadow", seconds)

    def _count(self, number: int, role: str, status: int, rows: int, seconds: float) -> None:
        self.metrics.answered(number, role, status, rows, seconds)
        if self._minutes is not None:
            self._minutes.count(number, status, role, rows, seconds)

    async def _note(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            self.metrics.waiting.set(self._waiting)
            if self._minutes is not None:
                await asyncio.to_thread(self._minutes.write)

    async def _refuse(self, send: Send, refusal: Refusal, *, protocol: bool) -> None:
        told = {"error": refusal.message} if protocol else {"error_code": refusal.code, "message": refusal.message}
        await answer(send, refusal.status, encoded(told, finite=True), JSON, headers_of(refusal))

    def _model(self, path: str) -> tuple[Deployment | None, int | None, str]:
        """The model, the version, and what is asked of it, of /v2/models/NAME[/versions/N][/ready|/infer]."""
        parts = path.split("/")[3:]
        action = parts.pop() if parts[-1] in ("ready", "infer") and len(parts) in (2, 4) else ""
        if parts[0] != self.name or len(parts) not in (1, 3) or (len(parts) == 3 and parts[1] != "versions"):
            raise Refusal(404, "NOT_FOUND", f"There is no such model here; there is {self.name}.")
        if len(parts) == 1:
            return None, None, action
        found = self.deployments.version(int(parts[2])) if parts[2].isdecimal() and len(parts[2]) < 10 else None
        if found is None:
            raise Refusal(404, "NOT_FOUND", f"There is no such version here; {self.deployments.champion.version} answers.")
        return found, found.version, action

    def _asked(self, asked: tuple[Deployment | None, int | None], key: bytes) -> tuple[Deployment, str]:
        """Who answers a request that may name a version."""
        deployment, _ = asked
        if deployment is None:
            return self.deployments.choose(key)
        return deployment, "champion" if deployment is self.deployments.champion else "challenger"

    def _about(self, model: Deployment | None, number: int | None, action: str) -> _Get:
        loaded = (model or self.deployments.champion).predictor.loaded
        if action == "ready":
            ready = self.deployments.standing().ready
            return lambda: (200 if ready else 503, orjson.dumps({"name": loaded.name, "ready": ready}), JSON)
        return lambda: (200, orjson.dumps(inference_protocol.metadata(loaded)), JSON)

    def _ping(self) -> tuple[int, bytes, bytes]:
        return 200, b"\n", JSON

    def _live(self) -> tuple[int, bytes, bytes]:
        return 200, b'{"live":true}', JSON

    def _ready_v2(self) -> tuple[int, bytes, bytes]:
        ready = self.deployments.standing().ready
        return (200 if ready else 503), orjson.dumps({"ready": ready}), JSON

    def _ready(self) -> tuple[int, bytes, bytes]:
        standing = self.deployments.standing()
        versions = [
            {
                "role": slot.role, "alias": slot.alias, "version": slot.deployment.version, "since": slot.deployment.since,
                "fed": "arrays" if slot.deployment.predictor.plan.array else "frames",
                "together": slot.deployment.predictor.plan.together, "why": slot.deployment.predictor.plan.why,
            }
            for slot in standing.slots
            if slot.deployment is not None
        ]  # fmt: skip
        told = {"ready": standing.ready, "model": self.name, "versions": versions, "loading": standing.loading, "notes": standing.notes}
        return (200 if standing.ready else 503), orjson.dumps(told), JSON

    def _metrics_text(self) -> tuple[int, bytes, bytes]:
        self.metrics.waiting.set(self._waiting)
        return 200, self.metrics.text(), b"text/plain; version=0.0.4; charset=utf-8"

    def _openapi(self) -> tuple[int, bytes, bytes]:
        return 200, orjson.dumps(openapi.document(self.deployments.champion.predictor, self.options)), JSON

    def _docs(self) -> tuple[int, bytes, bytes]:
        page = openapi.page(openapi.document(self.deployments.champion.predictor, self.options))
        return 200, page.encode(), b"text/html; charset=utf-8"


def _protocol_request(headers: Headers, body: bytes, limits: Any) -> dict[str, Any]:
    if b"inference-header-content-length" in headers:
        raise bad("Binary tensors are not read here: send the data of each input as a list.")
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind != JSON:
        raise Refusal(415, "BAD_REQUEST", "Send application/json.")
    told = decoded(body, limits)
    identifier = told.get("id")
    if identifier is not None and (type(identifier) is not str or len(identifier) > 200):
        raise bad("The id must be a text of at most 200 characters.")
    return told


def _refusal_of(error: Exception, *, understood: bool) -> Refusal:
    """What is answered for an error; `understood` tells whether the request's rows were read by then."""
    if isinstance(error, Refusal):
        return error
    if not understood:
        # Bytes from anywhere can break a reader in ways that nobody thought of; they are still the request's.
        logger.info("A request could not be read: %s", told(error))
        return bad(f"The body cannot be read ({type(error).__name__}).")
    logger.exception("A prediction could not be answered")
    return Refusal(500, "INTERNAL_ERROR", "The prediction could not be answered; the service's log says why.")


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        raise Refusal(405, "METHOD_NOT_ALLOWED", f"Use {allowed[0]} here.")


def _mlflow_version() -> tuple[int, bytes, bytes]:
    """The version of MLflow whose requests are understood, which its clients ask for."""
    try:
        return 200, version("mlflow").encode(), JSON
    except PackageNotFoundError:
        return 200, b"unknown", JSON


def _server() -> tuple[int, bytes, bytes]:
    from ... import __version__

    return 200, orjson.dumps({"name": "jupyter_mlops", "version": __version__, "extensions": []}), JSON
