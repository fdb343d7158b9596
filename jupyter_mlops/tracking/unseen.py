"""Finds fits that no instrumented call reported: in a file that a cell runs, in a library, in threads, or before tracking could look on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..code.statements import Statement
from . import models
from .estimators import parts_of
from .scope import Scope


class FitStates:
    """How each model that was met looked after its last fit."""

    def __init__(self) -> None:
        self._states: dict[int, Any] = {}
        self._runs: dict[int, str] = {}

    def remember(self, model: Any, run: str = "") -> None:
        """Note a model's fit as known, and the run that it made."""
        self._states[id(model)] = models.fit_state(model) if models.is_fitted(model) else None
        if run:
            self._runs[id(model)] = run

    def run_of(self, model: Any) -> str | None:
        """The run of the fit that a model went through last."""
        run = self._runs.get(id(model))
        return run if run is not None and self._states[id(model)] == models.fit_state(model) else None

    def unseen(self, scope: Scope) -> Iterator[tuple[str, Any]]:
        """The models, by name, that code of the cell fitted although none of its reported fits did."""
        fitted = [model for fit in scope.fits for value in (fit.receiver, fit.result) for model in (value, *models.held(value))]
        # A pipeline fits the very estimators that it is made of.
        parts = [part for model in fitted for part in parts_of(model)]
        for part in parts:
            self.remember(part)
        known = {id(model) for model in (*fitted, *parts)}
        # Those that fit come first: a model that they were handed may have been built by another statement of the cell.
        for statement, _ in sorted(scope.made, key=lambda item: not item[0].fits):
            touchable = _touchable(statement)
            for name in sorted(touchable | _reads(statement)):
                for model in models.held(scope.namespace.get(name)):
                    if id(model) in known or (name not in touchable and id(model) not in self._states):
                        continue
                    known.add(id(model))
                    met, before = id(model) in self._states, self._states.get(id(model))
                    self.remember(model)
                    after = self._states[id(model)]
                    changed = after is not None and after != before and not models.is_preparation(model)
                    if changed and (met or _may_fit(statement, name, model)):
                        yield name, model


def _touchable(statement: Statement) -> frozenset[str]:
    """The names whose models the statement may have fitted."""
    names = (
        statement.writes
        | statement.mutates
        | statement.may_mutate
        | frozenset(call.partition(".")[0] for call in statement.calls if "." in call)
    )
    if statement.fits:
        names |= statement.reads
    return names.union(*(_touchable(inner) for inner in statement.body))


def _reads(statement: Statement) -> frozenset[str]:
    return statement.reads.union(*(_reads(inner) for inner in statement.body))


_GETTING = ("load", "read", "restore", "from_pretrained", "copy", "clone", "get", "pop", "create")


def _may_fit(statement: Statement, name: str, value: Any) -> bool:
    """Whether the statement may have fitted a model that was never seen before, not just built, loaded, copied or found it."""
    if statement.fits and name in statement.mutates | statement.may_mutate:
        return True
    if models.recognise(value) == "pytorch" and not statement.fits:
        # A module has weights from the start.
        return False
    calls = statement.calls.union(*(inner.calls for inner in statement.body))
    last = {call.rpartition(".")[2].lower() for call in calls}
    return bool(last) and name in statement.writes and not any(word.startswith(_GETTING) or word.endswith(_GETTING) for word in last)
