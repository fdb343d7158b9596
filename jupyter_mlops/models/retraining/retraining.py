"""Training a model again: the pipeline that released it runs, and only a model that passes the gates takes the champion's place.

Whatever starts it (drift, decay, a schedule, new data, a person) asks here, as often as it likes: a retraining begins at most once per
cool-down, for all processes and machines of a shared state. What came of it is in the audit log; who is to know of a failure is told.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import LeaseLost, MlopsError
from ...records import Gate, Pipeline, Retraining, to_json
from ...store import registry
from ...store.audit import Audit
from ...store.audit import who as whoever
from ...store.client import PACKAGE, finding
from ...store.leases import Held, Leases
from ...store.shared import SharedState
from .. import settings as model_settings
from . import claims, pipelines
from .claims import Claim

BY_HAND = "asked for by hand"
_GOOD = ("promoted", "unchanged")


def retrain(settings: Settings, name: str, *, why: str = "", force: bool = False, who: str = "") -> Retraining:
    """Train `name` again, wait for it, and tell what came of it. `force` does not wait for the cool-down; two at once there never are.

    Raises NotFound, UsageError and PipelineError where no pipeline gives the model; a pipeline that fails is told, not raised.
    """
    pipeline = pipelines.pipeline_of(settings, name)
    seconds = model_settings.of(settings, name).cooldown
    owner, run, why = who or whoever(), uuid.uuid4().hex, why or _reason(settings, pipeline)
    state = registry.state_of(settings)
    leases = Leases(state)
    lease = leases.acquire(claims.lease_name(name), f"{owner} {run[:8]}")
    if lease is None:
        return _skipped(state, name, why, owner, "another retraining goes on")
    with leases.kept(lease) as held:
        _bury(state, name, owner)
        mine = _claimed(state, name, run=run, why=why, who=owner, seconds=seconds, force=force)
        if mine is None:
            return _skipped(state, name, why, owner, "the cool-down since the last one has not passed")
        return _carried_out(settings, state, mine, pipeline, held)


def start(settings: Settings, name: str, *, why: str, who: str = "") -> subprocess.Popen[bytes] | None:
    """Train `name` again in a process of its own, which outlives this one; None where it would be skipped now.

    For whoever watches a model and cannot wait. Raises NotFound, UsageError and PipelineError where no pipeline gives the model.
    """
    pipelines.pipeline_of(settings, name)
    owner = who or whoever()
    state = registry.state_of(settings)
    with state.read() as connection:
        last = claims.latest(connection, name)
        waits = last is not None and last.until > state.now(connection)
    if waits or Leases(state).holder(claims.lease_name(name)) is not None:
        _skipped(state, name, why, owner, "one was begun a short time ago")
        return None
    folder = _folder(settings, name)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-P", "-m", PACKAGE.name, "retrain", name, f"--why={why}", "--json"]
    environment = {**finding(), "MLOPS_USER": owner}
    with (folder / "started.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=settings.project, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _reason(settings: Settings, pipeline: Pipeline) -> str:
    """Why a model is trained again where nobody says it."""
    found = pipelines.new_data(settings, pipeline)
    return f"new data ({found})" if found else BY_HAND


def _claimed(state: SharedState, name: str, *, run: str, why: str, who: str, seconds: float, force: bool) -> Claim | None:
    """The claim and its entry in the audit log, both or none."""
    with state.begin() as connection:
        mine = claims.claim(state, connection, name, run=run, why=why, who=who, seconds=seconds, force=force)
        if mine is not None:
            details = {"number": mine.number, "run": run, "cooldown": seconds, "forced": force}
            Audit(state).append(connection, who, "retrain started", name, why=why, details=details)
    return mine


def _carried_out(settings: Settings, state: SharedState, mine: Claim, pipeline: Pipeline, held: Held) -> Retraining:
    began = time.monotonic()
    log = _folder(settings, mine.model) / f"{mine.number}-{mine.run[:8]}.log"
    before = _champion(settings, mine.model)
    try:
        outcome = pipelines.run(settings, pipeline, identifier=mine.run, log=log, alive=lambda: _stand_aside(held))
        found = _judged(settings, mine, outcome, before)
    except MlopsError as error:
        found = _told(mine, "failed", str(error), before)
    except BaseException as error:
        _finish(state, _told(mine, "failed", f"it was ended ({type(error).__name__})", before), mine)
        raise
    found = Retraining.from_json({**to_json(found), "seconds": time.monotonic() - began, "log": str(log)})
    _finish(state, found, mine)
    notes = _tell(settings, pipeline, found)
    return Retraining.from_json({**to_json(found), "notes": (*found.notes, *notes)})


def _champion(settings: Settings, name: str) -> int | None:
    """The version that serves."""
    found = registry.champion(settings, name)
    return found.version if found is not None else None


def _judged(settings: Settings, mine: Claim, outcome: pipelines.Outcome, before: int | None) -> Retraining:
    """What came of the pipeline's run, and of the release at its end."""
    champion = _champion(settings, mine.model)
    told: Mapping[str, Any] = (outcome.run.release if outcome.run is not None and outcome.run.status == "done" else None) or {}
    if outcome.run is None or outcome.run.status != "done" or told.get("state", "failed") == "failed":
        why = outcome.why or str(told.get("why") or "its pipeline releases no model")
        return _told(mine, "failed", why, before, champion=champion)
    gates = tuple(Gate.of(item) for item in outcome.run.gates)
    made, state = told.get("version"), told["state"]
    serves = f"; version {champion} stays the champion" if champion is not None else "; there is no champion"
    if told.get("again") and champion == before:
        return _told(mine, "unchanged", f"the pipeline gave no new model{serves}", before, None, champion, gates)
    if state == "promoted":
        return _told(mine, "promoted", f"version {champion} is the champion now", before, made, champion, gates)
    failed = [gate for gate in gates if gate.state == "failed"]
    if state == "refused":
        reasons = ", ".join(f"{gate.name}" + (f" ({gate.why})" if gate.why else "") for gate in failed[:3]) or str(told.get("why") or "")
        return _told(mine, "refused", f"the new model failed {reasons}{serves}", before, made, champion, gates)
    why = str(told.get("why") or f"`mlops promote {mine.model}` says what it lacks")
    return _told(mine, "waiting", f"version {made} was not promoted yet: {why}{serves}", before, made, champion, gates)


def _told(
    mine: Claim, state: str, what: str, before: int | None, version: int | None = None, champion: int | None = None, gates: Any = ()
) -> Retraining:
    return Retraining(
        model=mine.model, state=state, why=mine.why, what=what, run=mine.run, version=version,
        champion=before if champion is None else champion, gates=tuple(gates), started=mine.started, until=mine.until,
    )  # fmt: skip


def _finish(state: SharedState, found: Retraining, mine: Claim) -> None:
    details = {"number": mine.number, "run": mine.run, "state": found.state, "seconds": round(found.seconds, 1), "champion": found.champion}
    what = "retrain failed" if found.state == "failed" else "retrained"
    with state.begin() as connection:
        claims.end(state, connection, mine, found.state, found.what)
        Audit(state).append(connection, mine.who, what, mine.model, found.version, f"{mine.why}: {found.what}", details)


def _bury(state: SharedState, name: str, who: str) -> None:
    """Note the end of a retraining whose process is gone: we have its lease, so it does nothing any more."""
    with state.begin() as connection:
        last = claims.latest(connection, name)
        if last is not None and last.state == claims.RUNNING:
            what = "its process ended before it was done"
            claims.end(state, connection, last, "failed", what)
            details = {"number": last.number, "run": last.run}
            Audit(state).append(connection, who, "retrain failed", name, why=f"{last.why}: {what}", details=details)


def _skipped(state: SharedState, name: str, why: str, who: str, because: str) -> Retraining:
    """A request that came too early. The audit log has the first one since the last retraining began; of the others it has the number."""
    with state.begin() as connection:
        last = claims.latest(connection, name)
        if last is not None and claims.skip(connection, last):
            details = {"number": last.number, "until": last.until}
            Audit(state).append(connection, who, "retrain skipped", name, why=f"{why}: {because}", details=details)
    until = last.until if last is not None else 0.0
    return Retraining(model=name, state="skipped", why=why, what=because, started=time.time(), until=until, run=last.run if last else "")


def _tell(settings: Settings, pipeline: Pipeline, found: Retraining) -> tuple[str, ...]:
    """Let people know of what did not end well; a sentence for each message that could not be sent.

    A pipeline that failed has told those of its own `notify` itself.
    """
    from ...pipelines.running.notify import notify

    entries: list[Mapping[str, Any]] = [dict(item) for item in model_settings.of(settings, found.model).alerts]
    if found.state != "failed":
        entries += [dict(item) for item in pipeline.notify]
    status = "done" if found.state in _GOOD else "failed"
    told = to_json(found) | {"name": f"Retraining of {found.model}", "status": status, "steps": [], "notes": [found.why, found.what]}
    return notify(entries, told)


def _stand_aside(held: Held) -> None:
    if held.lost.is_set():
        raise LeaseLost(held.lease.name, held.lease.owner)


def _folder(settings: Settings, name: str) -> Path:
    return settings.home / "retraining" / (re.sub(r"[^\w.-]+", "-", name).strip(".") or "model")
