"""What is going on in one cell: its statements, its fits, and the values that passed."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any

from ..code.statements import Statement
from . import models
from .instrument import Site
from .provenance import Definition


@dataclass(slots=True, eq=False)
class Fit:
    """One fit, from the call to the moment when its model is frozen."""

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
    closed: bool = False
    evaluates: bool = False

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
    kept: dict[Site, list[Any]] = field(default_factory=dict)
    first_fit: int | None = None
    named: str | None = None
    fitting: frozenset[str] = frozenset()

    def statement_of(self, fit: Fit) -> Statement | None:
        """The top-level statement of a fit; None for code that a magic ran as a whole."""
        return self.statements[fit.site.index] if fit.site is not None and fit.site.index < len(self.statements) else None

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
