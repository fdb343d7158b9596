"""What is going on in one cell: its statements, its fits, and the values that passed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..code.statements import Statement
from ..records import Input
from . import models
from .instrument import Site
from .provenance import Definition


class Host(Protocol):
    """What the tracker asks about user code's own use of MLflow in this process."""

    def open_run(self) -> str | None: ...
    def opened_run(self) -> str | None: ...
    def autologging(self, flavor: str) -> bool: ...
    def surroundings(self) -> dict[str, Any]:
        """What a new run is told of where it belongs: experiment and tracking address."""


@dataclass(slots=True, eq=False)
class Fit:
    """One fit, from the call to the moment when its model is frozen; `answered` tells whether a cache spared a function the work."""

    run: str
    site: Site | None
    receiver: Any
    started: float
    adopted: str | None = None
    given: dict[str, Any] = field(default_factory=dict)
    loops: dict[str, Any] = field(default_factory=dict)
    result: Any = None
    status: str = "running"
    kept: dict[Site, list[Any]] = field(default_factory=dict)
    inputs: deque[Input] = field(default_factory=deque)
    frozen: bool = False
    closed: bool = False
    evaluates: bool = False
    trains: frozenset[int] = frozenset()
    answered: Callable[[], bool] | None = None

    @property
    def preparation(self) -> bool:
        """Whether only data was prepared for a model to come."""
        return self.receiver is not None and models.is_preparation(self.receiver)

    def title(self, model: Any = None) -> str:
        """The class of the `model` that it made (of a pipeline, the last step's), else that of its receiver, else its function."""
        model = model if model is not None else self.receiver if models.recognise(self.receiver) is not None else None
        if model is None:
            return self.site.name if self.site is not None else "fit"
        steps = getattr(model, "steps", None)
        last = steps[-1][1] if type(model).__name__ == "Pipeline" and isinstance(steps, list) and steps else model
        return type(last).__name__


@dataclass(slots=True, eq=False)
class Scope:
    """What is going on in the cell (or tracked block) that runs now."""

    seq: int
    cell: str
    notebook: str
    namespace: MutableMapping[str, Any]
    statements: tuple[Statement, ...]
    started: float
    made: list[tuple[Statement, list[Definition]]] = field(default_factory=list)
    advanced: int = 0
    fits: list[Fit] = field(default_factory=list)
    open: list[Fit] = field(default_factory=list)
    root: str | None = None
    kept: dict[str | None, dict[Site, list[Any]]] = field(default_factory=dict)
    first_fit: int | None = None
    named: str | None = None
    fitting: frozenset[str] = frozenset()

    def statement_of(self, fit: Fit) -> Statement | None:
        """The top-level statement of a fit; None for code that a magic ran as a whole."""
        return self.statements[fit.site.index] if fit.site is not None and fit.site.index < len(self.statements) else None

    def continued(self, site: Site, receiver: Any) -> Fit | None:
        """The fit of this cell that goes on: a model trained in steps or by epochs, one that was only scored by cross-validation so far,
        or a fit that is repeated outside of any loop, as timing does."""
        trains = self.modules(site, receiver)
        for fit in reversed(self.fits):
            if fit.site is site and (not site.repeats or (trains and fit.trains == trains)):
                return fit
            if continues(site) and (fit.site is site or (receiver is not None and fit.receiver is receiver)):
                return fit
            if fit.evaluates and receiver is not None and fit.receiver is receiver and not fit.closed:
                fit.evaluates = False
                return fit
        return None

    def modules(self, site: Site, receiver: Any) -> frozenset[int]:
        """Which PyTorch modules a fit is given, or its receiver holds: calling it again with the same ones trains them on."""
        given = [self.namespace.get(name) for name in site.reads]
        held = [model for value in (receiver, *given) for model in models.held(value)]
        return frozenset(id(model) for model in held if models.recognise(model) == "pytorch")

    def holders(self, statement: Statement, fits: list[Fit]) -> dict[str, set[str]]:
        """The collections that a statement read its models from, with the runs of the models fitted there."""
        found: dict[str, set[str]] = {}
        for name in sorted(statement.reads) if fits else ():
            value = self.namespace.get(name)
            held = {id(model) for model in models.held(value)} if isinstance(value, dict | list | tuple) else set()
            if runs := {fit.run for fit in fits if id(fit.receiver) in held}:
                found[name] = runs
        return found

    def constructs(self, kind: type) -> bool:
        """Whether making an instance of a class already fits a model; else only its methods do."""
        known = self.fitting.union(*(statement.fitting_defs for statement in self.statements))
        return f"{kind.__name__}.__init__" in known


def continues(site: Site) -> bool:
    """Whether a call trains on rather than anew."""
    return site.name in ("partial_fit", "backward", "step")


def evaluates(site: Site) -> bool:
    """Whether a call fits copies of a model only to score them."""
    return site.name in (
        "cross_val_score",
        "cross_validate",
        "cross_val_predict",
        "learning_curve",
        "validation_curve",
        "permutation_test_score",
        "cv",
    )
