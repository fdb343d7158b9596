"""Tells people and programs how a pipeline's run ended: by webhook and by email. What fails is told in a note, and fails no run."""

from __future__ import annotations

import json
import os
import smtplib
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from typing import Any

SECONDS = 10.0
ATTEMPTS = 3
DEFAULT = ("failed",)
_PAUSE = 0.5
_SMTPS = 465


def notify(entries: Iterable[Mapping[str, Any]], run: Mapping[str, Any]) -> tuple[str, ...]:
    """Send what the `notify` entries of a pipeline ask for about the end of `run`; a sentence for each message that could not be sent.

    `run` is a `PipelineRun` as JSON, without secrets. Each entry has `webhook`, or `email` and `smtp`, and `on`: which of done, failed
    and cancelled it wants. A name and password for the mail server are taken from MLOPS_SMTP_USER and MLOPS_SMTP_PASSWORD.
    """
    return tuple(problem for entry in entries if run["status"] in _wanted(entry) and (problem := _told(entry, run)) is not None)


def summary(run: Mapping[str, Any]) -> str:
    """The end of a run in a few lines of plain text; what is no run brings its own `text`."""
    if "text" in run:
        return str(run["text"])
    lines = [f"{run['name']} {run['status']} after {run['seconds']:.0f} s"]
    for step in run["steps"]:
        seconds = f" ({step['seconds']:.1f} s)" if step.get("seconds") else ""
        error = (step.get("error") or "").strip().rpartition("\n")[2]
        lines.append(f"  {step['step']}: {step['state']}{seconds}" + (f": {error}" if error else ""))
    return "\n".join([*lines, *run.get("notes", ())])


def _wanted(entry: Mapping[str, Any]) -> tuple[str, ...]:
    on = entry.get("on", DEFAULT)
    return (on,) if isinstance(on, str) else tuple(on)


def _told(entry: Mapping[str, Any], run: Mapping[str, Any]) -> str | None:
    """Send one message, again after a pause when that may help; why it was not sent."""
    send, where = (_post, _host(str(entry["webhook"]))) if "webhook" in entry else (_mail, str(entry["email"]))
    why = ""
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(_PAUSE * 2**attempt)
        try:
            send(entry, run)
        except _REFUSED as error:
            why, final = _refusal(error)
            if final:
                break
        except (OSError, smtplib.SMTPException, ValueError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
        else:
            return None
    return f"The notification to {where} was not sent: {why}."


_REFUSED = (urllib.error.HTTPError, smtplib.SMTPResponseException)


def _refusal(error: urllib.error.HTTPError | smtplib.SMTPResponseException) -> tuple[str, bool]:
    """What a server answered, and whether it would answer the same again."""
    if isinstance(error, urllib.error.HTTPError):
        return f"it answered {error.code} {error.reason}", error.code < 500 and error.code != 429
    text = error.smtp_error if isinstance(error.smtp_error, str) else error.smtp_error.decode("utf-8", "replace")
    return f"it answered {error.smtp_code} {text}", error.smtp_code >= 500


def _host(url: str) -> str:
    # The rest of such an address is often a secret of its own.
    return urllib.parse.urlsplit(url).hostname or "the webhook"


def _post(entry: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    url = str(entry["webhook"])
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("its address starts with neither http:// nor https://")
    # `text` is what chat programs show.
    body = json.dumps({"text": summary(run), **run}, default=str).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", "User-Agent": "jupyter_mlops"}, method="POST")
    with urllib.request.urlopen(request, timeout=SECONDS):
        pass


def _mail(entry: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    message = EmailMessage()
    message["Subject"] = str(run.get("subject") or f"{run['name']} {run['status']}")
    message["To"] = str(entry["email"])
    message["From"] = str(entry.get("from") or entry["email"])
    message.set_content(summary(run))
    host, _, port = str(entry.get("smtp") or "localhost:25").partition(":")
    number = int(port or 25)
    context = ssl.create_default_context()
    with smtplib.SMTP_SSL(host, number, timeout=SECONDS, context=context) if number == _SMTPS else smtplib.SMTP(
        host, number, timeout=SECONDS
    ) as server:
        server.ehlo()
        if number != _SMTPS and server.has_extn("starttls"):
            server.starttls(context=context)
            server.ehlo()
        if user := os.environ.get("MLOPS_SMTP_USER"):
            server.login(user, os.environ.get("MLOPS_SMTP_PASSWORD", ""))
        server.send_message(message)
