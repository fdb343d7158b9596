"""What changes runs by hand: through the session of this kernel where there is one, else through a short session of its own."""

from __future__ import annotations

import numbers
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config
from ..errors import NotFound, UsageError
from ..records import Run, Snapshot
from ..store import client
from .answers import Change, Tracking
from .arguments import FORM, is_digest

if TYPE_CHECKING:
    from ..store.objects import ObjectStore
    from ..tracking.session import Session


FLUSH_SECONDS = 5.0


def current() -> Session | None:
    """This kernel's session; None in a shell, and before `%load_ext jupyter_mlops`."""
    from ..tracking import session

    return session.current()


def tell(text: str) -> None:
    """Say, on stderr, what a verb that takes long is doing now; a notebook shows the answer alone."""
    if current() is None:
        print(f"{text} ...", file=sys.stderr, flush=True)


def follow(text: str) -> None:
    """Say the same to a program that follows the verb, which is to give JSON; people see the answer in a moment."""
    if FORM.get() == "--json":
        tell(text)


def switch(what: str) -> Tracking:
    """Pause (off) or resume (on) this kernel's tracking, and say how it stands."""
    live = current()
    if live is None:
        if what != "status":
            raise UsageError("No notebook is tracked by this process: run %load_ext jupyter_mlops in a notebook first.")
        return Tracking(state="none", details=client.ask(config.load(), "status"))
    if what == "on":
        live.resume()
    elif what == "off":
        live.pause()
    return Tracking(state=live.state, details=live.status())


def last_run() -> Run | None:
    """The last run of this kernel; None in a shell and before the first fit."""
    live = current()
    return live.last_run if live is not None else None


def log(ref: str | None, values: Mapping[str, Any], step: int | None, files: tuple[Path, ...]) -> Change:
    """Add numbers as metrics, other values as parameters, and files as artifacts."""
    now = time.time()
    metrics = [[name, _number(value), step, now] for name, value in values.items() if _is_number(value)]
    params = {name: value for name, value in values.items() if not _is_number(value)}
    artifacts = _artifacts(files)
    added = dict(values) | {item["path"]: "file" for item in artifacts}
    return patch("logged", ref, added, **_filled(metrics=metrics, params=params, artifacts=artifacts))


def patch(did: str, ref: str | None, values: Mapping[str, Any], **changes: Any) -> Change:
    """Apply a change to the run that RUN names."""
    from .commands import find

    return patch_run(did, find(ref), values, **changes)


def patch_run(did: str, run: Run, values: Mapping[str, Any], **changes: Any) -> Change:
    """Apply a change to a run, and say what was done."""
    with writing() as session:
        session.patch_run(run.own_id or run.id, **changes)
    return Change(did=did, run=run.id, name=run.name, values=values)


def snapshot(data: Any, name: str) -> Snapshot:
    """Freeze a value, or what a path leads to, and keep it."""
    if isinstance(data, (str, Path)):
        data = _existing(data)
    with writing() as session:
        taken = session.snapshot(data, name)
    return replace(taken, name=name) if name else taken


def frozen(data: Any, objects: ObjectStore) -> str:
    """The digest of data: of a digest itself, else of what is frozen now."""
    from ..store import snapshots

    if isinstance(data, str) and is_digest(data) and not Path(data).exists():
        return snapshots.resolve(data, objects)
    if isinstance(data, (str, Path)):
        return snapshots.freeze_file(_existing(data), objects).digest
    return snapshots.freeze(data, objects).digest


@contextmanager
def writing() -> Iterator[Session]:
    """This kernel's session; else one that lasts for this change, as its own journal."""
    from ..tracking import session

    live = session.current()
    if live is not None:
        yield live
        return
    own = session.start()
    try:
        yield own
    finally:
        own.close()
        # So that the next command sees it; where MLflow is down it waits in the journal as everything does.
        client.ask(own.settings, "flush", timeout=FLUSH_SECONDS)


def _artifacts(files: tuple[Path, ...]) -> list[dict[str, str]]:
    if not files:
        return []
    from ..store.objects import open_objects

    objects = open_objects(config.load())
    return [{"path": path, "digest": objects.put(whole.read_bytes())} for path, whole in _files(files)]


def _existing(path: str | Path) -> Path:
    whole = Path(path).expanduser()
    if not whole.exists():
        raise NotFound("file or folder", str(path), "Name existing data; in a notebook, `%mlops` takes a variable too.")
    return whole


def _files(files: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
    for given in files:
        path = _existing(given)
        for whole in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if whole.is_file():
                yield whole.relative_to(path.parent).as_posix(), whole


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _number(value: numbers.Real) -> int | float:
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _filled(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in changes.items() if value}
