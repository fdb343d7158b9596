"""The session that made a run: what it ran in, and its cells. Of the step of a pipeline too, whose run is the whole notebook."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ...config import Settings
from ...errors import MlopsError
from ...records import Run
from ...replay.recording import recorded
from ...store import client, journal
from ...store.objects import open_objects


def environment_of(settings: Settings, run: Run) -> Mapping[str, Any]:
    """Packages, Python and git state of a run's session; {} where that is not known."""
    with suppress(MlopsError):
        return recorded(run.own_id or run.id, settings).environment
    path = settings.home / "journal" / f"{run.session}.jsonl"
    with suppress(MlopsError, OSError, ValueError):
        if run.session and path.is_file():
            told = [
                record["environment"] for record in journal.read(path)[0] if record.get("kind") == "session" and record.get("environment")
            ]
            return dict(json.loads(open_objects(settings).get(told[-1]))) if told else {}
    return {}


def cells_of(settings: Settings, run: Run) -> tuple[str, ...]:
    """The code of a run's session in the order in which it ran; () where that is not known."""
    with suppress(MlopsError):
        events = client.ask(settings, "history", ref=run.own_id or run.id)
        return tuple(str(event["source"]) for event in events if event.get("source", "").strip())
    return ()
