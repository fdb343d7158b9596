"""What pipelines leave behind and no step needs any more: files of outputs that none used lately, and due times of long ago."""

from __future__ import annotations

import contextlib

from ..config import Settings
from .running import outputs
from .running.workplace import files_of

UNUSED_DAYS = 7
"""Days after which the file of an output goes that no step used; its content stays in the object store as long as a result relies on it."""


def clear(settings: Settings, *, dry_run: bool = False) -> tuple[int, int, int]:
    """Remove them: how many files and folders, their bytes, and how many due times of schedules (with `dry_run`, how many it would be).

    Raises StoreError when the shared state does not answer.
    """
    from ..store.shared import SharedState
    from .scheduling.schedule import Schedules

    files, freed = outputs.sweep(files_of(settings), UNUSED_DAYS * 86_400.0, dry_run)
    with contextlib.closing(SharedState(settings)) as state:
        return files, freed, Schedules(state).prune(dry_run=dry_run)
