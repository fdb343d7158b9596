"""The verb `check`: from MODEL to its evidence and its gates, and the report for continuous integration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import config
from ..records import Check, Run
from . import editing

if TYPE_CHECKING:
    from ..config import Settings
    from ..models.gates.evidence import Evidence


def check(model: Any, data: Any, gates: Path | None, junit: Path | None) -> Check:
    """Hold a model against its gates; the check of a registered version is in the audit log."""
    from ..models.gates import gathering
    from ..models.gates.auditing import audited
    from ..models.gates.judging import judge

    settings = config.load()
    notes: tuple[str, ...] = ()
    if isinstance(model, str):
        from .commands import find

        evidence = gathering.named(settings, model, data=data, find=find)
    else:
        run = _run_of(model)
        evidence = gathering.of_model(settings, model, data=data, run=run)
        if data is None and run is not None:
            notes = _with_own_data(settings, evidence, model, run)
    registered = evidence.version.name if evidence.version.version else ""
    if gates is not None:
        conditions = gathering.from_file(Path(gates))
    elif registered:
        conditions = gathering.conditions_of(settings, registered)
    else:
        conditions, place = gathering.of_project(settings)
        notes += (f"The gates are those of {place}: --gates names others.",) if place else ()
    found = judge(evidence, conditions, editing.follow)
    found = replace(found, notes=(*found.notes, *notes))
    if registered:
        audited(settings, evidence.version, found)
    if junit is not None:
        from .reports import junit_of

        path = Path(junit)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(junit_of(found), encoding="utf-8")
    return found


def _with_own_data(settings: Settings, evidence: Evidence, model: Any, run: Run) -> tuple[str, ...]:
    """Give a model of the notebook the data that its run recorded, and say so."""
    from ..models.registry.registering import held_out

    live = editing.current()
    names = dict(live.shell.user_ns) if live is not None and live.shell is not None else {}
    reference, test = held_out(settings, run, model, names)
    if test.frame is None:
        evidence.lacks = {**evidence.lacks, "data": f"test data, since {test.why}: give it with --data"}
        return ()
    evidence.sources = replace(evidence.sources, data=lambda: test.frame, reference=lambda: reference.frame)
    evidence.target = test.target
    return (f"It is tried on the {len(test.frame):,} rows that run {run.id[:8]} tried it on: --data gives others.",)


def _run_of(model: Any) -> Run | None:
    """The last run of this kernel, where it made such a model."""
    last = editing.last_run() if editing.current() is not None else None
    return last if last is not None and (last.model or {}).get("class") == type(model).__name__ else None
