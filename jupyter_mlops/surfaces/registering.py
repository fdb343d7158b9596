"""The verbs of the registry: register, promote, approve, rollback, audit."""

from __future__ import annotations

from functools import partial
from typing import Any

from .. import config
from ..errors import UsageError
from ..records import ModelVersion, Problem, Promotion
from . import editing
from .answers import Entries, Report


def register(run: str, name: str | None, reference: Any, test: Any, target: str | None) -> ModelVersion:
    """Register the model of a run."""
    from ..models.registry.registering import register as registered
    from ..store.audit import who
    from .commands import find

    found = find(run if name is not None else None)
    live = editing.current()
    names = dict(live.shell.user_ns) if live is not None and live.shell is not None and live.journal.session == found.session else {}
    return registered(config.load(), found, name or run, reference=reference, test=test, target=target, who=who(), names=names)


def promote(name: str, version: int | None, to: str, *, force: bool, why: str) -> Promotion:
    """Promote a version through its gates."""
    from ..models.registry.promoting import checked
    from ..models.registry.promoting import promote as promoted
    from ..store.audit import who

    judge = partial(checked, told=editing.follow)
    return promoted(config.load(), name, version=version, to=to, force=force, why=why, who=who(), judge=judge)


def approve(name: str, version: int | None, why: str) -> ModelVersion:
    """Approve a version."""
    from ..models.registry.promoting import approve as approved
    from ..store.audit import who

    return approved(config.load(), name, version=version, why=why, who=who())


def rollback(name: str, why: str) -> Promotion:
    """Go back to the champion before."""
    from ..models.registry.promoting import rollback as rolled_back
    from ..store.audit import who

    return rolled_back(config.load(), name, why=why, who=who())


def audit(name: str | None, *, verify: bool, limit: int) -> Entries | Report:
    """The audit log, or what is wrong with it."""
    from ..models.registry.auditing import problems
    from ..store.audit import Audit
    from ..store.registry import state_of

    if limit < 1:
        raise UsageError(f"--limit {limit} lists nothing: give 1 or more.")
    settings = config.load()
    if not verify:
        return Entries(Audit(state_of(settings)).entries(name, limit))
    found, notes = problems(settings)
    return Report(title="Audit log", problems=found or tuple(Problem(what=note, ok=True) for note in notes))
