"""Notifications reach a real web server and a real mail server, and what fails is told in one sentence."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from jupyter_mlops.pipelines.running import notify as notifying
from jupyter_mlops.pipelines.running.notify import notify

RUN: dict[str, Any] = {
    "id": "a" * 32,
    "name": "flights",
    "status": "failed",
    "seconds": 61.4,
    "notes": [],
    "steps": [
        {"step": "prepare", "state": "done", "seconds": 1.25, "error": ""},
        {"step": "train", "state": "failed", "seconds": 2.0, "error": "Traceback\nValueError: no rows"},
    ],
}
TEXT = "flights failed after 61 s\n  prepare: done (1.2 s)\n  train: failed (2.0 s): ValueError: no rows"


@dataclass
class Web:
    """A web server that answers with `answers` in turn (then 200) and keeps what it was sent."""

    answers: list[int] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    monkeypatch.setattr(notifying, "_PAUSE", 0.01)
    state = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(state.answers.pop(0) if state.answers else 200)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/hooks/secret"
    yield state
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answers", "sent", "notes"),
    [
        ([], 1, ()),
        ([500, 429], 3, ()),
        ([500, 500, 500], 3, ("The notification to 127.0.0.1 was not sent: it answered 500 Internal Server Error.",)),
        ([404], 1, ("The notification to 127.0.0.1 was not sent: it answered 404 Not Found.",)),
    ],
)
def test_a_webhook_is_posted_to_and_tried_again(web: Web, answers: list[int], sent: int, notes: tuple[str, ...]) -> None:
    web.answers = answers
    assert notify([{"webhook": web.url, "on": ["failed"]}], RUN) == notes
    assert web.received == [{"text": TEXT, **RUN}] * sent


@pytest.mark.parametrize(
    ("entry", "status", "sent"),
    [({}, "failed", 1), ({}, "done", 0), ({"on": ["done"]}, "failed", 0), ({"on": ["done"]}, "done", 1), ({"on": "done"}, "done", 1)],
)
def test_only_wanted_ends_are_told(web: Web, entry: dict[str, Any], status: str, sent: int) -> None:
    assert notify([{"webhook": web.url, **entry}], RUN | {"status": status}) == ()
    assert len(web.received) == sent


def test_an_address_that_nobody_serves_is_a_note(web: Web) -> None:
    told = notify([{"webhook": "http://127.0.0.1:9/x"}, {"webhook": "file:///etc/passwd"}, {"webhook": web.url}], RUN)
    assert "The notification to 127.0.0.1 was not sent: " in told[0]
    assert told[1:] == ("The notification to the webhook was not sent: its address starts with neither http:// nor https://.",)
    assert len(web.received) == 1


class Mailbox:
    """Takes mail, and refuses it with `answer`."""

    def __init__(self, answer: str = "250 OK") -> None:
        self.answer = answer
        self.received: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.received.append(envelope.content)
        return self.answer


@pytest.mark.parametrize(
    ("answer", "sent", "notes"),
    [
        ("250 OK", 1, ()),
        ("554 no such box", 1, ("The notification to me@example.org was not sent: it answered 554 no such box.",)),
        ("451 later", 3, ("The notification to me@example.org was not sent: it answered 451 later.",)),
    ],
)
def test_a_mail_is_sent(answer: str, sent: int, notes: tuple[str, ...], web: Web) -> None:
    box = Mailbox(answer)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    try:
        assert notify([{"email": "me@example.org", "smtp": f"127.0.0.1:{port}"}], RUN) == notes
    finally:
        server.stop()
    assert len(box.received) == sent
    mail = message_from_bytes(box.received[0])
    assert (mail["Subject"], mail["To"]) == ("flights failed", "me@example.org")
    assert str(mail.get_payload()).replace("\r\n", "\n").strip() == TEXT
