"""The verb `replay`: shows how it goes, and keeps the verdict with the run."""

from __future__ import annotations

from dataclasses import replace

from .. import config
from ..records import Replay, Run
from . import editing


def replay(run: Run, *, slice: bool, env: bool, live: bool, allow: bool) -> Replay:
    """Replay a run, telling each stage on stderr; its verdict becomes the run's tag and artifact."""
    from ..replay.replaying import Wish, patch
    from ..replay.replaying import replay as replayed
    from ..store.objects import open_objects

    settings = config.load()
    found = replayed(run.own_id or run.id, settings, Wish(slice=slice, env=env, live=live, allow=allow), editing.tell)
    found = replace(found, run=run.id)
    editing.patch_run("replayed", run, {}, **patch(found, open_objects(settings)))
    return found
