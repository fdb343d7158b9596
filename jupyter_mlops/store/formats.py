"""The formats of what is kept, in one place: the version that this package writes of each. It reads that one and all before it.

What a newer version of the package wrote is refused before anything of it is read, so that nothing of it is lost. A version goes up
where an older package would misread what is written; a field that it may leave out raises none.
"""

from __future__ import annotations

from typing import Any

from ..errors import NewerFormat

LEDGER = 1
"""`.mlops/state.db`, as its `user_version`."""

SHARED = 1
"""The shared state (schedules, registry, audit log, results of steps), as a row of its table `formats`."""

JOURNAL = 1
"""`.mlops/journal/*.jsonl`, as `version` of the first record."""

PACK = 1
"""`.mlops/objects/packs/*.pack`, in the trailer."""

SNAPSHOT = 1
"""The manifest of a snapshot, as `format`."""

HISTORY = 1
"""`mlops/history.ipynb` of a run in MLflow, as `mlops.format` of its metadata."""

STEP = 1
"""A notebook that was cut as a step, as `mlops.step.format` of its metadata."""

PIPELINE = 1
"""pipeline.yaml, as its key `format`."""

PREDICTIONS = 1
"""The log of predictions, as `format` of its manifest.json; streams and segments are as that says."""

EXPORTED = 1
"""The folder of an exported model, as `format` of its model.json."""


def check(where: object, found: Any, known: int) -> None:
    """Raises NewerFormat where `where` has a version after the `known` one. What has none was written before there were versions."""
    if isinstance(found, int) and found > known:
        raise NewerFormat(str(where), found, known)
