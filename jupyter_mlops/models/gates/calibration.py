"""Gates on calibration: whether probabilities are what they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...records import Gate
from .conditions import Bounded, narrowed, shown
from .evidence import CLASSIFICATION, Evidence, Needed
from .metrics import Array, named, scorer

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Bounded):
    """`ece`: the expected calibration error (Naeini, Cooper and Hauskrecht 2015), in bins of equally many rows; of two classes on the
    probability of the positive one, of more on that of the predicted class (Guo and others 2017). `brier`: the Brier score (1950)."""

    kind: ClassVar[str] = "calibration"
    calibration: str
    bins: int = BINS
    positive: Any = None

    @property
    def told(self) -> str:
        return narrowed("expected calibration error" if self.calibration == "ece" else "Brier score", self.positive)

    def check(self, evidence: Evidence) -> Gate:
        if evidence.task != CLASSIFICATION:
            raise Needed("a model that predicts classes, with probabilities (predict_proba)")
        if self.calibration == "brier":
            return self.gate(scorer("brier", evidence)(), f"{len(evidence.X):,} rows")
        chance, hit = self._told(evidence)
        if not np.isfinite(chance).all():
            return self.gate(float("nan"), "some probabilities are not numbers")
        error, table = expected_error(chance, hit, self.bins)
        worst = max(table, key=lambda row: abs(row["predicted"] - row["happened"]))
        why = f"worst where {shown(worst['predicted'])} is predicted: {shown(worst['happened'])} happened ({worst['rows']:,} rows)"
        return self.gate(error, why, {"bins": table})

    def _told(self, evidence: Evidence) -> tuple[Array, Array]:
        labels = [named(label) for label in evidence.labels]
        truth = np.array([named(item) for item in evidence.y.tolist()])
        chances = evidence.probabilities
        if len(labels) == 2 or self.positive is not None:
            place = labels.index(named(evidence.positive(self.positive)))
            return chances[:, place], truth == labels[place]
        best = chances.argmax(axis=1)
        return chances[np.arange(len(best)), best], truth == np.array(labels)[best]


def expected_error(chance: Array, hit: Array, bins: int) -> tuple[float, list[dict[str, Any]]]:
    """The mean distance of predicted and happened shares over bins of equally many rows, and the bins. Equal chances share a bin."""
    edges = np.unique(np.quantile(chance, np.linspace(0, 1, bins + 1)[1:-1]))
    places = np.searchsorted(edges, chance, side="left")
    table = [
        {"predicted": float(chance[here].mean()), "happened": float(hit[here].mean()), "rows": int(here.sum())}
        for place in range(len(edges) + 1)
        if (here := places == place).any()
    ]
    return sum(row["rows"] * abs(row["predicted"] - row["happened"]) for row in table) / len(chance), table
