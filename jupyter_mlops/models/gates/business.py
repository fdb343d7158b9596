"""Gates on what the user is after: a function of predictions, truth and context, such as cost or revenue, with its unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ...records import Gate
from .conditions import Bounded, limits, shown
from .evidence import Evidence, Unmet, one_line
from .own import function_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Business(Bounded):
    """`function(predictions, truth, context)` of the test data gives a number: the context is the frame with all its columns."""

    kind: ClassVar[str] = "business"
    business: str
    unit: str = ""
    folder: Path = field(default_factory=Path.cwd)

    @property
    def told(self) -> str:
        return self.business.rpartition(":")[2].replace("_", " ")

    @property
    def name(self) -> str:
        return " ".join(part for part in (self.told, limits(self.at_least, self.at_most), self.unit) if part)

    def check(self, evidence: Evidence) -> Gate:
        value = measured(self.business, self.folder, evidence)
        details: dict[str, object] = {"unit": self.unit, "rows": len(evidence.X)}
        why = f"{shown(value)} {self.unit}".strip() + f" on {len(evidence.X):,} rows"
        if evidence.champion is not None:
            details["champion"] = before = measured(self.business, self.folder, evidence.champion)
            why += f"; the champion {shown(before)}"
        return self.gate(value, why, details)


def measured(function: str, folder: Path, evidence: Evidence) -> float:
    """What the user's function makes of a model's predictions. Raises Unmet where it raises or gives no number, and NotFound."""
    call = function_of(function, folder)
    try:
        # Copies: what the function changes must not reach other gates.
        return float(call(evidence.predictions.copy(), evidence.y.copy(), evidence.judged.copy()))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise Unmet(f"{function} raised {one_line(error)}") from error
