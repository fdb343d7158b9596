"""Conditions: what pipeline.yaml and pyproject.toml say under `gates`, as objects that judge a model by its evidence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ...errors import PipelineError
from ...pipelines.definition.gates import GATE, sort_of
from ...pipelines.definition.kinds import Wrong
from ...records import Gate, to_json
from .evidence import Evidence


class Condition(Protocol):
    """A gate that is not judged yet. `kind` is its sort, `name` how a reader writes it, `bound` what its value is held against."""

    @property
    def kind(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def bound(self) -> float | None: ...

    def check(self, evidence: Evidence) -> Gate:
        """The gate, judged. Raises `Needed` where something is missing for it, and `Unmet` where the model breaks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    """A condition on one number: at least so much, at most so much, or both."""

    kind: ClassVar[str] = ""
    at_least: float | None = None
    at_most: float | None = None

    @property
    def told(self) -> str:
        """What is measured, in words."""
        return self.kind

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.told, limits(self.at_least, self.at_most)) if part)

    @property
    def bound(self) -> float | None:
        return self.at_least if self.at_least is not None else self.at_most

    def met(self, value: float) -> bool:
        """Whether a value lies within the bounds; NaN never does."""
        return within(value, self.at_least, self.at_most)

    def gate(self, value: float, why: str = "", details: Mapping[str, Any] | None = None, passed: bool | None = None) -> Gate:
        """The gate with its value, which passes within the bounds unless `passed` says otherwise."""
        good = self.met(value) if passed is None else passed
        state = "passed" if good else "failed"
        value = float(value)
        why = why if not math.isnan(value) else f"the value is not a number{': ' + why if why else ''}"
        return Gate(name=self.name, state=state, value=value, why=why, kind=self.kind, bound=self.bound, details=details or {})


MODULES = {
    "metric": "performance:Metric", "no_worse_than": "performance:NoWorse", "data": "inputs:Data", "drift": "inputs:Drifted",
    "fairness": "fairness:Fairness", "slices": "slices:Slices", "leakage": "leakage:Leakage", "robustness": "robustness:Robustness",
    "latency": "costs:Latency", "size": "costs:Size", "reproducibility": "reproducibility:Reproducibility",
    "calibration": "calibration:Calibration", "business": "business:Business", "gate": "own:Own",
}  # fmt: skip
"""The class of each sort of gate; they are imported when they are used."""


def parse(gates: Sequence[Mapping[str, Any]], *, folder: Path | None = None, file: str = "", line: int = 0) -> tuple[Condition, ...]:
    """The conditions that mappings such as `{metric: auc, at_least: 0.7}` stand for, in their order.

    `folder` is where functions and schemas are looked for (default: the working folder). Raises PipelineError, which names `file`, `line`
    and the place in the list.
    """
    found: list[Condition] = []
    for number, gate in enumerate(gates):
        try:
            # What a pipeline holds was read before, which made tuples of its lists.
            read = GATE.read(to_json(gate), ("gates", number))
        except Wrong as wrong:
            raise PipelineError(wrong.what, file, line) from None
        found += _built(sort_of(read), read, (folder or Path.cwd()).resolve())
    return tuple(found)


def _built(sort: str, read: Mapping[str, Any], folder: Path) -> list[Condition]:
    module, _, name = MODULES[sort].partition(":")
    kind = getattr(import_module(f".{module}", __package__), name)
    if hasattr(kind, "all_of"):
        return list(kind.all_of(read, folder))
    given = {"folder": folder} if any(item.name == "folder" for item in fields(kind)) else {}
    return [kind(**read, **given)]


def narrowed(told: str, positive: Any = None, columns: Sequence[str] = ()) -> str:
    """What a gate measures, with the class and the columns that it is narrowed to: gates that differ in them have other names."""
    of = f" of {positive}" if positive is not None else ""
    return f"{told}{of}" + (f" (only {', '.join(columns)})" if columns else "")


def within(value: float, at_least: float | None, at_most: float | None) -> bool:
    """Whether a number lies within bounds; NaN does not."""
    return not math.isnan(value) and (at_least is None or value >= at_least) and (at_most is None or value <= at_most)


def limits(at_least: float | None, at_most: float | None) -> str:
    """Bounds in words: `at least 0.7 and at most 0.9`."""
    told = (("at least", at_least), ("at most", at_most))
    return " and ".join(f"{word} {shown(bound)}" for word, bound in told if bound is not None)


def shown(number: float) -> str:
    """A number for a reader: four figures that count, whole numbers whole."""
    if isinstance(number, int) or (math.isfinite(number) and number == int(number) and abs(number) < 1e15):
        return f"{int(number):,}" if abs(number) >= 10_000 else str(int(number))
    return re.sub(r"(\.\d*?)0+(e|$)", r"\1\2", f"{number:.4g}").replace(".e", "e").rstrip(".") if math.isfinite(number) else str(number)
