"""Gates on leakage: rows of the test data that the model was trained on, and a single feature that gives the target away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ...records import Gate
from .conditions import Bounded, shown
from .evidence import CLASSIFICATION, Evidence, Needed, task_of
from .metrics import Array

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 5
GIVEN_AWAY = 0.99
"""A feature that alone tells so well is rather the target in other words."""
_MOST_ROWS = 20_000
_LEAVES = 32
_FEWEST = 20
_SEED = 20130101


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage(Bounded):
    """`rows`: the share of test rows that are in the training data, equal in every column that both have, the truth among them.

    `features`: how well the best feature alone tells the truth, from 0 (not at all) to 1, measured on rows that it was not learned on.
    """

    kind: ClassVar[str] = "leakage"
    leakage: str

    @property
    def told(self) -> str:
        return "test rows in the training data" if self.leakage == "rows" else "target told by one feature"

    @property
    def bound(self) -> float | None:
        return self.at_most if self.at_most is not None else 0.0 if self.leakage == "rows" else GIVEN_AWAY

    def met(self, value: float) -> bool:
        return value <= (self.bound or 0.0)

    def check(self, evidence: Evidence) -> Gate:
        return self._rows(evidence) if self.leakage == "rows" else self._features(evidence)

    def _rows(self, evidence: Evidence) -> Gate:
        learned, tried = evidence.learned, evidence.tried.reset_index(drop=True)
        common = [name for name in tried.columns if name in learned.columns]
        if not common:
            raise Needed("training data and test data that have columns in common")
        before, now = row_digests(learned[common]), row_digests(tried[common])
        found = np.isin(now, before)
        _, counts = np.unique(before, return_counts=True)
        twins = int(counts[counts > 1].sum())
        why = f"{int(found.sum()):,} of {len(now):,} test rows are among the {len(before):,} of the training data"
        if found.any():
            why += f" (rows {', '.join(map(str, np.flatnonzero(found)[:SHOWN]))}{', ...' if found.sum() > SHOWN else ''})"
        if found.any() and twins:
            why += f"; {shown(twins / len(before))} of the training rows have a twin there, so equal rows may be chance"
        details = {"rows": np.flatnonzero(found)[:100].tolist(), "count": int(found.sum()), "columns": common, "twins": twins}
        return self.gate(float(found.mean()), why, details)

    def _features(self, evidence: Evidence) -> Gate:
        data = evidence.reference if evidence.reference is not None else evidence.tried
        if not evidence.target or evidence.target not in data.columns:
            raise Needed("data with the column of the truth: name it as `target`, or register with --target")
        data = data[data[evidence.target].notna()]
        if len(data) > _MOST_ROWS:
            data = data.sample(_MOST_ROWS, random_state=_SEED)
        features = evidence.features(data)
        if len(data) < _FEWEST or not features.shape[1]:
            raise Needed(f"{_FEWEST} rows with their truth, and a feature")
        truth = data[evidence.target]
        task = CLASSIFICATION if task_of(truth) == CLASSIFICATION else evidence.task
        target = truth.astype("string").to_numpy() if task == CLASSIFICATION else truth.to_numpy(dtype=float)
        tells = {str(name): telling(features.iloc[:, place], target, task) for place, name in enumerate(features.columns)}
        best = max(tells, key=tells.__getitem__)
        ranked = sorted(tells.items(), key=lambda item: -item[1])[:SHOWN]
        why = f"{best} alone tells {evidence.target} with {shown(tells[best])} of 1"
        return self.gate(tells[best], why, {"features": dict(ranked), "rows": len(data)})


def row_digests(frame: pd.DataFrame) -> Array:
    """A digest of each row's content (64 bits): whole numbers equal floats of the same value, and categories their texts."""
    import pandas as pd

    plain: dict[int, Any] = {}
    for place in range(frame.shape[1]):
        column = frame.iloc[:, place]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
            # 0.0 is added, since -0.0 has other bytes.
            plain[place] = pd.Series(column.to_numpy(dtype=float, na_value=np.nan) + 0.0)
        elif pd.api.types.is_datetime64_any_dtype(column):
            plain[place] = pd.Series(pd.to_datetime(column, utc=True).to_numpy(dtype="datetime64[ns]"))
        else:
            plain[place] = column.astype(object).where(column.isna(), column.astype(str)).where(~column.isna(), None).reset_index(drop=True)
    return pd.util.hash_pandas_object(pd.DataFrame(plain), index=False).to_numpy()


def telling(feature: Any, target: Array, task: str) -> float:
    """How well a feature alone tells the target, by a small tree that is tried on the half that it did not learn from: the share of the
    errors of the best constant answer that it avoids (classes), or of the variance that it explains (amounts); 0 to 1."""
    from sklearn.model_selection import KFold
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    right, base = 0.0, 0.0
    for learn, test in KFold(2, shuffle=True, random_state=_SEED).split(target):
        values = _encoded(feature, target, learn, task)
        tree = (DecisionTreeClassifier if task == CLASSIFICATION else DecisionTreeRegressor)(max_leaf_nodes=_LEAVES, random_state=_SEED)
        made = tree.fit(values[learn], target[learn]).predict(values[test])
        if task == CLASSIFICATION:
            known, counts = np.unique(target[learn], return_counts=True)
            base += float((target[test] != known[counts.argmax()]).sum())
            right += float((target[test] != made).sum())
        else:
            base += float(((target[test] - target[learn].mean()) ** 2).sum())
            right += float(((target[test] - made) ** 2).sum())
    return float(np.clip(1 - right / base, 0, 1)) if base else 0.0


def _encoded(feature: Any, target: Array, learn: Array, task: str) -> Array:
    """A feature as numbers; categories by what the learned half says of them. Missing values stay missing, as they may tell."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(feature) or pd.api.types.is_bool_dtype(feature):
        return np.asarray(feature.to_numpy(dtype=float, na_value=np.nan).reshape(-1, 1))
    if pd.api.types.is_datetime64_any_dtype(feature):
        times = pd.to_datetime(feature, utc=True).to_numpy(dtype="datetime64[ns]")
        return np.asarray(np.where(np.isnat(times), np.nan, times.astype("int64").astype(float)).reshape(-1, 1))
    texts = feature.astype("string").fillna("").to_numpy(dtype=object)
    known = pd.DataFrame({"text": texts[learn], "target": target[learn]})
    if task == CLASSIFICATION:
        shares = pd.crosstab(known["text"], known["target"], normalize="index")
        columns = [pd.Series(texts).map(shares[label]).to_numpy(dtype=float) for label in shares.columns]
        return np.column_stack(columns)
    return np.asarray(pd.Series(texts).map(known.groupby("text")["target"].mean()).to_numpy(dtype=float).reshape(-1, 1))
