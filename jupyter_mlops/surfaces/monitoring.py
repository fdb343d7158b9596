"""The verb `monitor`: once, or again and again, with a page and figures for Prometheus beside it."""

from __future__ import annotations

import datetime as dt
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import config
from ..errors import SettingsError, StoreError, UsageError
from . import editing

if TYPE_CHECKING:
    from ..records import Monitoring

SHORTEST = 1.0


def monitor(
    name: str, since: str | None, until: str | None, by: Sequence[str], *, html: Path | None, prometheus: Path | None, watch: str | None,
    retrain: bool, tell: bool,
) -> Monitoring:  # fmt: skip
    """How a model does in a window of time; with `watch`, the last of what was found until Ctrl-C."""
    from ..models.monitoring.monitoring import monitor as monitored

    settings = config.load()
    pause = _seconds("--watch", watch) if watch is not None else 0.0
    if watch is not None and pause < SHORTEST:
        raise UsageError(f"--watch {watch} is too often: give at least {SHORTEST:g}s.")

    def look() -> Monitoring:
        now = time.time()
        end = now + 1 if until is None else _moment("--until", until, now)
        start = 0.0 if since == "all" else _moment("--since", since or "24h", end)
        if start >= end:
            raise UsageError("The window is empty: --since is not before --until.")
        found = monitored(settings, name, start=start, end=end, by=by, tell=tell, retrain=retrain)
        _write(found, html, prometheus)
        return found

    found = look()
    while watch is not None:
        try:
            editing.tell(_line(found))
            time.sleep(pause)
            found = look()
        except KeyboardInterrupt:
            break
        except StoreError as error:
            # A database that is away for a while is no reason to stop looking.
            editing.tell(str(error))
    return found


def _write(found: Monitoring, html: Path | None, prometheus: Path | None) -> None:
    if html is not None:
        from .monitoring_page import page

        _put(html, page(found))
    if prometheus is not None:
        from ..models.monitoring.prometheus import text

        _put(prometheus, text(found))


def _put(path: Path, text: str) -> None:
    """Whole or not at all: a collector reads at any moment."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror}): name a file in a folder that exists.") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _moment(name: str, text: str, end: float) -> float:
    """A moment, in seconds since the epoch: a span before `end`, or a date and time on this machine's clock."""
    try:
        return end - _seconds(name, text)
    except UsageError:
        try:
            return dt.datetime.fromisoformat(text).timestamp()
        except (ValueError, OverflowError, OSError):
            raise UsageError(
                f"{name} {text} is no time: write a span such as 24h, or a date such as 2026-03-01 or 2026-03-01T12:00."
            ) from None


def _seconds(name: str, text: str) -> float:
    from ..models.settings import seconds

    try:
        return seconds(name, text)
    except SettingsError:
        raise UsageError(f'{name} {text} is no span of time: write one such as "5m", "24h" or "7d".') from None


def _line(found: Monitoring) -> str:
    alerts = f", {len(found.alerts)} alerts" if found.alerts else ""
    return f"{time.strftime('%H:%M:%S')} {found.model} version {found.version}: {found.verdict}, {found.rows:,} predictions{alerts}"
