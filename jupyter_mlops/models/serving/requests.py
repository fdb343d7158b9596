"""One HTTP request as an ASGI server hands it over: its headers, who sends it, its body within limits; and the answer to it."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from .options import Limits, is_loopback
from .refusals import Refusal, bad, too_large

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = dict[bytes, bytes]

JSON = b"application/json"
IDENTIFIER, VERSION, ROLE, KEY = b"mlops-prediction-id", b"mlops-model-version", b"mlops-model-role", b"mlops-key"
"""Headers: of the answer, the id of its first row, the version that gave it, and that one's role; of the request, what a canary goes by."""


_READ_ON = 8
"""How many times the longest body is read, and forgotten: a client that still sends does not hear that it is too long."""
_ONLY_HERE = "This service is for this machine only; to ask for it by another name, give it a token."


class Door:
    """Who may come in: with the token where there is one, and otherwise only those who ask for this machine by its own name.

    A page of the web that a browser shows can send requests to this machine, too, but not under that name.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token.encode() if token is not None else None
        self._known: set[bytes] = set()

    def check(self, headers: Headers) -> None:
        """Raises Refusal."""
        if self._token is not None:
            scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
            if scheme.lower() != b"bearer" or not hmac.compare_digest(given.strip(), self._token):
                raise Refusal(401, "UNAUTHENTICATED", "Send the service's token, as the header Authorization: Bearer TOKEN.")
            return
        host = headers.get(b"host", b"localhost")
        if host not in self._known:
            name = host.decode("latin-1")
            name = name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.partition(":")[0]
            if not is_loopback(name):
                raise Refusal(403, "PERMISSION_DENIED", _ONLY_HERE)
            if len(self._known) < 100:
                self._known.add(host)


async def body_of(headers: Headers, receive: Receive, limits: Limits) -> bytes:
    """The body of a request. Raises Refusal where it is too long, or does not come in time."""
    try:
        async with asyncio.timeout(limits.read):
            message = await receive()
            body: bytes = message.get("body", b"")
            if message.get("more_body"):
                parts, size = [body], len(body)
                while message.get("more_body") and size <= _READ_ON * limits.bytes:
                    message = await receive()
                    size += len(message.get("body", b""))
                    if size <= limits.bytes:
                        parts.append(message.get("body", b""))
                if size > limits.bytes:
                    raise _too_long(limits)
                body = b"".join(parts)
    except TimeoutError:
        raise Refusal(408, "DEADLINE_EXCEEDED", f"The body did not arrive within {limits.read:g} seconds.") from None
    if message["type"] == "http.disconnect":
        raise bad("The connection was closed before the body was there.")
    if len(body) > limits.bytes:
        raise _too_long(limits)
    return body


async def answer(send: Send, status: int, body: bytes, kind: bytes = JSON, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send an answer."""
    told = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": told})
    await send({"type": "http.response.body", "body": body})


def headers_of(refusal: Refusal) -> list[tuple[bytes, bytes]]:
    """The headers that go with a refusal."""
    found = []
    if refusal.wait is not None:
        found.append((b"retry-after", b"%d" % refusal.wait))
    if refusal.status == 401:
        found.append((b"www-authenticate", b"Bearer"))
    if refusal.status in (408, 413):
        found.append((b"connection", b"close"))
    return found


def _too_long(limits: Limits) -> Refusal:
    return too_large(f"The body is longer than {limits.bytes} bytes: send several requests.")
