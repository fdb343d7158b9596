"""Runs in a step's own process when its work has ended: its outputs are kept by content, and its numbers become metrics of its run."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ...errors import DiskFull, MlopsError, OutputRefused, StoreError
from ...store.objects import ObjectStore
from ...tracking import session as sessions
from ...tracking.values import scalar
from . import outputs

PATIENCE = 120.0
"""Seconds for which a store that does not answer is asked again."""
_PAUSES = (0.2, 10.0)
_T = TypeVar("_T")


def collected(count: int | None, objects: str, run: str) -> str:
    """In a kernel: keep what execution `count` gave, that of the cell tagged `outputs` (None: there is none), as JSON (see `collect`).

    `run` is the id of the step's run, which gets the metrics.
    """
    from IPython.core.getipython import get_ipython

    told: dict[str, Any] = {"outputs": {}, "metrics": {}, "problem": "", "again": False}
    if count is not None:
        # `Out` may be the user's own by now.
        told = collect(get_ipython().user_ns.get("_oh", {}).get(count), objects)
    session = sessions.current()
    if session is not None and told["outputs"]:
        now = time.time()
        metrics = [[name, value, None, now] for name, value in told["metrics"].items()]
        digests = json.dumps({name: output["digest"] for name, output in told["outputs"].items()})
        session.patch_run(run, metrics=metrics, tags={"mlops.outputs": digests})
    return json.dumps(told)


def collect(value: object, objects: str) -> dict[str, Any]:
    """Keep the outputs of a step in the object store at the path or URL `objects`.

    `value` is a dict of outputs by name. The answer is plain JSON: {"outputs": {name: what tells of it}, "metrics": {name: number},
    "problem": "", "again": false}, where `problem` says in a sentence which output could not be kept, and `again` whether it may be
    another time. It never raises.
    """
    kept: dict[str, Any] = {}
    numbers: dict[str, float] = {}
    try:
        store = ObjectStore(objects)
        for name, item in _named(value):
            kept[name] = patiently(lambda name=name, item=item: outputs.keep(name, item, store))  # type: ignore[misc]  # bound at once
            if (number := scalar(item)) is not None:
                numbers[name] = number
    except (MlopsError, OSError) as error:
        return {"outputs": {}, "metrics": {}, "problem": str(error), "again": isinstance(error, StoreError)}
    return {"outputs": kept, "metrics": numbers, "problem": "", "again": False}


def patiently(store: Callable[[], _T], alive: Callable[[], None] = lambda: None, patience: float = PATIENCE) -> _T:
    """What `store` gives, asked again while the store does not answer; `alive` is called in between and may raise.

    Raises the StoreError after `patience` seconds; a full disk is told at once.
    """
    deadline, pause = time.monotonic() + patience, _PAUSES[0]
    while True:
        try:
            return store()
        except DiskFull:
            raise
        except StoreError:
            if time.monotonic() + pause > deadline:
                raise
        alive()
        time.sleep(pause)
        pause = min(2 * pause, _PAUSES[1])


def _named(value: object) -> list[tuple[str, object]]:
    if not isinstance(value, Mapping):
        what = "nothing" if value is None else f"a {type(value).__name__}"
        raise OutputRefused("outputs", f"the cell tagged so gave {what}; end it with a dict, such as {{'table': table}}")
    return [(str(name), item) for name, item in value.items()]
