"""Gates on the data that a model is judged by: does it fit its schema, and is it still like what the model learned from?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from ...records import Drift, Finding, Gate, to_json
from .conditions import Bounded, narrowed
from .evidence import Evidence, Needed

SHOWN = 3
_KEPT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The test data fits a schema (a path, as for `validate`), or what can be learned of the training data (`reference`)."""

    kind: ClassVar[str] = "data"
    data: str
    folder: Path = field(default_factory=Path.cwd)

    @property
    def name(self) -> str:
        return "test data like the training data" if self.data == "reference" else f"test data fits {Path(self.data).name}"

    @property
    def bound(self) -> float | None:
        return 0.0

    def check(self, evidence: Evidence) -> Gate:
        from ..validation import checking, schemas

        if self.data == "reference":
            told = checking.validate(evidence.tried, reference=evidence.learned)
            # Whether it drifted is a gate of its own.
            findings = [item for item in map(Finding.of, told.findings) if item.check != "drift"]
        else:
            told = checking.validate(evidence.tried, schema=schemas.load(self.folder / self.data))
            findings = [Finding.of(item) for item in told.findings]
        why = "; ".join(item.what for item in findings[:SHOWN]) + (f"; and {len(findings) - SHOWN} more" if len(findings) > SHOWN else "")
        state = "failed" if findings else "passed"
        details = {"checks": told.checks, "findings": [to_json(item) for item in findings[:_KEPT]]}
        return Gate(
            name=self.name, state=state, value=float(len(findings)), why=why or f"{told.checks} checks", kind=self.kind, bound=self.bound,
            details=details,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Drifted(Bounded):
    """How many columns of the test data (or which share of them) drifted from the training data, with a correction for their number."""

    kind: ClassVar[str] = "drift"
    drift: str = "columns"
    columns: Sequence[str] = ()

    @property
    def told(self) -> str:
        return narrowed("columns that drifted" if self.drift == "columns" else "share of columns that drifted", columns=self.columns)

    @property
    def bound(self) -> float | None:
        return self.at_most if self.at_most is not None else 0.0

    def met(self, value: float) -> bool:
        return value <= (self.bound or 0.0)

    def check(self, evidence: Evidence) -> Gate:
        from ..drift.comparing import compare

        learned, tried = evidence.learned, evidence.tried
        names = [name for name in self.columns or learned.columns if name in learned.columns and name in tried.columns]
        if not names:
            raise Needed("training data and test data that have columns in common")
        found = [Drift.of(item) for item in compare(learned[names], tried[names])]
        judged = [item for item in found if item.verdict != "insufficient data"]
        if not judged:
            raise Needed(f"more data: {found[0].why}" if found else "a column that can be compared")
        drifted = [item for item in judged if item.verdict == "drift"]
        value = float(len(drifted)) if self.drift == "columns" else len(drifted) / len(judged)
        why = "; ".join(f"{item.column}: {item.why or item.method}" for item in drifted[:SHOWN])
        lacking = len(found) - len(judged)
        why = (why or f"{len(judged)} columns compared") + (f"; {lacking} could not be compared" if lacking else "")
        return self.gate(value, why, {"drift": [to_json(item) for item in (*drifted, *judged)[:_KEPT]], "compared": len(judged)})
