"""The release of a pipeline: its model becomes a version, is held against the gates of its file, and gets its alias where it passes.

This is what `pipelines.running.release` calls when all steps are done.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import NotFound
from ...pipelines.running.release import Candidate, Outcome
from ...records import Check, Gate, ModelVersion, Promotion, Run
from ...store import client, registry
from ...store.audit import who
from ...store.objects import open_objects
from ..gates.auditing import audited
from ..gates.conditions import Condition
from ..gates.evidence import Evidence, Sources
from ..gates.gathering import of_release, of_settings, of_version, once
from ..gates.judging import FAILED, PASSED, UNCHECKED, judge
from .promoting import promote
from .registering import register

_DELIVERY_SECONDS = 180.0
_PAUSE = 0.3
_DONE = ("promoted", "unchanged", "forced")


def release(candidate: Candidate) -> Outcome:
    """Register, judge and promote a pipeline's model. Raises MlopsError where it cannot be registered at all."""
    folder, file = Path(candidate.pipeline.folder), candidate.pipeline.path
    conditions = of_release(candidate.release, folder, file)
    name = str(candidate.release.get("name") or "")
    if not name:
        return _only_judged(candidate, conditions)
    settings = candidate.settings
    conditions = once((*of_settings(settings, name), *conditions))
    run = _delivered(candidate)
    given = {key: _frame(candidate, key) for key in ("reference", "test")}
    target = candidate.release.get("target")
    version = register(settings, run, name, **given, target=str(target) if target else None, who=who())

    def judged(settings: Settings, chosen: ModelVersion) -> tuple[Check | None, tuple[str, ...]]:
        if not conditions:
            return None, (f"no gate is set for {name}: `gates` in its release sets some",)
        return judge(of_version(settings, chosen, metrics=candidate.numbers), conditions), ()

    to = str(candidate.release.get("to") or "")
    if not to:
        check, _ = judged(settings, version)
        _noted(settings, version, check)
        return _registered(version, check)
    why = f"release of the pipeline {candidate.pipeline.name}"
    if to != "champion":
        # Any other alias says less than champion, and is no promise; in a release it is earned all the same.
        check, _ = judged(settings, version)
        if check is not None and check.verdict != PASSED:
            _noted(settings, version, check)
            return _registered(version, check, refused=True)
        return _promoted(version, promote(settings, name, version=version.version, to=to, why=why, who=who()), check)
    made = promote(settings, name, version=version.version, to=to, why=why, who=who(), judge=judged)
    check = Check.of(made.check) if made.check is not None else None
    if check is None and made.verdict == "unchanged":
        check, _ = judged(settings, version)
    return _promoted(version, made, check)


def _only_judged(candidate: Candidate, conditions: tuple[Condition, ...]) -> Outcome:
    """The gates of a release that names no model: on the numbers, and on the model of the step's run where one is needed."""
    evidence = Evidence(
        asked=str(candidate.release["model"]), metrics=candidate.numbers, settings=candidate.settings,
        target=str(candidate.release.get("target") or ""), run=None,
        sources=Sources(
            model=lambda: registry.load(candidate.settings, registry.of_run(candidate.settings, _delivered(candidate))),
            data=lambda: _frame(candidate, "test"), reference=lambda: _frame(candidate, "reference"),
        ),
    )  # fmt: skip
    check = judge(evidence, conditions)
    return Outcome(gates=check.gates, told={"state": check.verdict}, final=check.verdict != UNCHECKED)


def _registered(version: ModelVersion, check: Check | None, refused: bool = False) -> Outcome:
    """A version that gets no alias, since none is asked for or its gates do not let it."""
    gates = check.gates if check is not None else ()
    state = "refused" if refused or any(gate.state == FAILED for gate in gates) else "registered"
    told = {**_of(version), "state": UNCHECKED if check is not None and check.verdict == UNCHECKED else state, "why": _why(gates)}
    return Outcome(gates=gates, told=told, notes=_notes(version, told), final=told["state"] != UNCHECKED)


def _promoted(version: ModelVersion, made: Promotion, check: Check | None) -> Outcome:
    gates = check.gates if check is not None else ()
    done = made.verdict in _DONE
    state = "promoted" if done else "waiting" if check is None or check.verdict == PASSED else "refused"
    if check is not None and check.verdict == UNCHECKED and not done:
        state = UNCHECKED
    told = {
        **_of(version), "state": state, "alias": made.alias if done else "", "before": made.before, "why": "" if done else made.why,
        "champion": made.aliases.get("champion"),
    }  # fmt: skip
    return Outcome(gates=gates, told=told, notes=(*_notes(version, told), *made.notes), final=done or state == "refused")


def _of(version: ModelVersion) -> dict[str, Any]:
    return {"name": version.name, "version": version.version, "run": version.run, "digest": version.digest}


def _notes(version: ModelVersion, told: Mapping[str, Any]) -> tuple[str, ...]:
    what = {
        "promoted": f"is the {told.get('alias')} now", "registered": "is registered", "refused": "is registered and gets no alias",
        "waiting": f"waits: {told.get('why')}", UNCHECKED: "is registered and gets no alias, since not all gates could be checked",
    }[told["state"]]  # fmt: skip
    return (f"Version {version.version} of {version.name} {what}.", *version.notes)


def _why(gates: tuple[Gate, ...]) -> str:
    return "; ".join(f"{gate.name} {gate.state}" for gate in gates if gate.state != PASSED)


def _noted(settings: Settings, version: ModelVersion, check: Check | None) -> None:
    if check is not None:
        audited(settings, version, check)


def _delivered(candidate: Candidate) -> Run:
    """The run of the step that made the model, once its model is in MLflow. Raises NotFound for a step that made none."""
    settings, step = candidate.settings, candidate.step
    deadline = time.monotonic() + _DELIVERY_SECONDS
    while True:
        client.ask(settings, "flush", timeout=_DELIVERY_SECONDS)
        run = Run.from_json(client.ask(settings, "run", ref=step.run))
        if run.model and run.model.get("uri"):
            return run
        # Several fits in one cell are runs below the step's.
        recent = client.ask(settings, "runs", where="", sort="", limit=200, offset=0, experiment=None)
        fits = [item for item in map(Run.from_json, recent) if item.parent == run.id and item.model and item.model.get("uri")]
        if fits:
            return fits[0]
        if not run.model or time.monotonic() > deadline:
            why = f" ({run.skipped[0]})" if run.skipped else ""
            remedy = f"It fitted none that MLflow keeps{why}; fit it there, or release another."
            raise NotFound("model in the run of step", step.step, remedy)
        time.sleep(_PAUSE)


def _frame(candidate: Candidate, key: str) -> Any:
    """The data that the release names: what a step gave, or a file; None where it names none."""
    from ...pipelines.running.outputs import materialise
    from ...pipelines.running.workplace import files_of
    from ..validation.data import data_of

    source = getattr(candidate, key)
    if source is None:
        return None
    if isinstance(source, Path):
        return data_of(source).frame
    files = files_of(candidate.settings)
    files.mkdir(parents=True, exist_ok=True)
    return data_of(materialise(source, files, open_objects(candidate.settings))).frame
