"""Gates on robustness: the model must answer, and about as well, when a feature is missing, has an unseen category, or another unit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...records import Gate
from .conditions import Bounded, narrowed, shown
from .evidence import REGRESSION, Evidence, Needed, Unmet
from .metrics import SMALLER_IS_BETTER, scored

if TYPE_CHECKING:
    import pandas as pd

SHARE = 0.1
SCALE = 1000.0
"""As when metres come as millimetres."""
UNSEEN = "mlops-unseen"
SHOWN = 5
_MOST_ROWS = 5_000
_SEED = 20130101
_DID = {"missing": "missing values", "unseen": "unseen categories", "scale": f"values {SCALE:g} times as large"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness(Bounded):
    """What one feature after the other can do to the model, a `share` of whose rows is changed; `at_most` bounds the metric's loss.

    The value is the largest loss. A model that raises, or gives an answer that is no number, fails with or without a bound.
    """

    kind: ClassVar[str] = "robustness"
    robustness: str
    metric: str = ""
    share: float = SHARE
    features: Sequence[str] = ()
    positive: Any = None

    @property
    def told(self) -> str:
        did = _DID[self.robustness]
        told = f"loss of {narrowed(self.metric or 'quality', self.positive)} by {did}" if self.at_most is not None else f"answers to {did}"
        return narrowed(told, columns=self.features)

    def check(self, evidence: Evidence) -> Gate:
        features = self._sample(evidence)
        names = self._names(features)
        broken = {name: why for name in names if (why := self._broken(evidence, self._changed(features, name)))}
        if broken:
            first = next(iter(broken))
            more = f" ({len(broken)} of {len(names)} features do that)" if len(broken) > 1 else ""
            raise Unmet(f"{_DID[self.robustness]} in {first}: {broken[first]}{more}")
        if self.at_most is None:
            why = f"{len(names)} features, {self.share:.0%} of {len(features):,} rows each"
            return Gate(name=self.name, state="passed", why=why, kind=self.kind)
        return self._loss(evidence, features, names)

    def _loss(self, evidence: Evidence, features: pd.DataFrame, names: list[str]) -> Gate:
        metric = self.metric or ("r2" if evidence.task == REGRESSION else "accuracy")
        truth = evidence.y.loc[features.index]
        before = scored(metric, evidence, features, truth, evidence.predict(features), self.positive)()
        sign = 1.0 if metric in SMALLER_IS_BETTER else -1.0
        loss = {}
        for name in names:
            changed = self._changed(features, name)
            after = scored(metric, evidence, changed, truth, evidence.predict(changed), self.positive)()
            loss[name] = sign * (after - before)
        worst = next((name for name in names if math.isnan(loss[name])), max(names, key=loss.__getitem__))
        why = (
            f"most by {worst}: {metric} {shown(before)} becomes {shown(before + sign * loss[worst])}, "
            f"{self.share:.0%} of {len(features):,} rows changed"
        )
        ranked = dict(sorted(loss.items(), key=lambda item: -item[1])[:SHOWN])
        return self.gate(loss[worst], why, {"metric": metric, "before": before, "loss": ranked, "features": len(names)})

    def _sample(self, evidence: Evidence) -> pd.DataFrame:
        features = evidence.X
        return features.sample(_MOST_ROWS, random_state=_SEED) if len(features) > _MOST_ROWS else features

    def _names(self, features: pd.DataFrame) -> list[str]:
        missing = [name for name in self.features if name not in features.columns]
        if missing:
            raise Needed(f"a feature that the model takes, not {missing[0]!r}")
        chosen = list(self.features) or list(features.columns)
        if self.robustness == "missing":
            return chosen
        fits = _is_number if self.robustness == "scale" else _is_category
        fitting = [name for name in chosen if fits(features[name])]
        if not fitting:
            raise Needed("a feature of categories" if self.robustness == "unseen" else "a feature of numbers")
        return fitting

    def _changed(self, features: pd.DataFrame, name: str) -> pd.DataFrame:
        """A copy with some rows of a feature changed, the same ones each time."""
        import pandas as pd

        count = max(1, round(self.share * len(features)))
        rows = np.random.default_rng(_SEED).choice(len(features), min(count, len(features)), replace=False)
        made = features.copy()
        values = made[name]
        if self.robustness == "scale":
            values = pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=values.index)
            values.iloc[rows] = values.iloc[rows] * SCALE
        elif self.robustness == "unseen":
            if isinstance(values.dtype, pd.CategoricalDtype):
                values = values.cat.add_categories([UNSEEN])
            values = values.copy()
            values.iloc[rows] = UNSEEN
        else:
            if _is_number(values) and not isinstance(values.dtype, pd.api.extensions.ExtensionDtype):
                values = values.astype(float)
            elif pd.api.types.is_bool_dtype(values):
                values = values.astype(object)
            values = values.copy()
            values.iloc[rows] = None if values.dtype == object else np.nan
        made[name] = values
        return made

    def _broken(self, evidence: Evidence, features: pd.DataFrame) -> str:
        """Why the model's answers to these rows are none; "" where they are."""
        try:
            made = evidence.predict(features)
        except Unmet as unmet:
            return str(unmet)
        if made.dtype.kind == "f" and not np.isfinite(made).all():
            return f"{int((~np.isfinite(made)).sum()):,} of its answers are not numbers"
        return ""


def _is_number(values: Any) -> bool:
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)


def _is_category(values: Any) -> bool:
    import pandas as pd

    return isinstance(values.dtype, pd.CategoricalDtype) or bool(pd.api.types.is_string_dtype(values) or values.dtype == object)
