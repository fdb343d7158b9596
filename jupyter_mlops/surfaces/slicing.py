"""The verb `slice`: computes a slice, proves it, and writes it where it is asked to."""

from __future__ import annotations

from pathlib import Path

from .. import config
from ..errors import UsageError
from ..records import Run, Slice
from . import editing


def slice_of(run: Run, name: str | None, *, out: Path | None, quick: bool) -> Slice:
    """The slice behind a result of a run, proved unless it is to be quick. Raises UsageError where it cannot be written to `out`."""
    from ..replay.genuine import refuse_altered
    from ..replay.recording import recorded
    from ..replay.slicing import proved, sliced
    from ..store.objects import open_objects

    if out is not None and out.exists():
        raise UsageError(f"{out} exists already: choose another --out, or remove it first.")
    if out is not None and not out.parent.is_dir():
        raise UsageError(f"There is no folder {out.parent}: make it, or choose another --out.")
    settings = config.load()
    recording, objects = recorded(run.own_id or run.id, settings), open_objects(settings)
    found = sliced(recording, name)
    if not quick:
        refuse_altered(recording, settings, objects)
        found = proved(found, recording, objects, tell=editing.tell)
    if out is not None:
        out.write_text(found.source, encoding="utf-8")
    return found
