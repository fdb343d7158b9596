"""What a model is judged by: the model itself, its version and run, the data to try it on, the data it learned from, the champion."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...records import ModelVersion, Run
from ...store.flavors import FLAVORS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ...store.flavors import Flavor

CLASSIFICATION, REGRESSION = "classification", "regression"
_FEW = 20
"""So many different whole numbers are rather classes than amounts, where neither the model nor its version says which."""

_FED_OTHERWISE = ("xgboost", "pytorch")
"""Flavors some of whose models take no frame."""
_DECIDED = "The model's predict gives probabilities: where a gate asks for classes, 0.5 and more count as 1."


class Needed(Exception):
    """A gate cannot be checked; the text names what it needs, as after "it needs"."""


class Unmet(Exception):
    """A gate fails without a value, as where the model raises; the text says why."""


def _nothing() -> Any:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the parts of the evidence come from, each asked when a gate first needs it: many gates need numbers alone."""

    model: Callable[[], Any] = _nothing
    data: Callable[[], pd.DataFrame | None] = _nothing
    reference: Callable[[], pd.DataFrame | None] = _nothing
    champion: Callable[[], Evidence | None] = _nothing


@dataclass(kw_only=True, eq=False)
class Evidence:
    """All that gates may look at. Gates of the user get this object.

    `model` is the loaded model, `version` its record (version 0 where it is not registered), `asked` MODEL as it was written. `data` is the
    frame to try it on, `target` the column of the truth in it ("" where there is none); further columns, which the model does not take,
    are context. `reference` is the frame that it was trained on, with the same target. `champion` is the evidence of the version that it
    competes with, None where there is none or it is that version itself. `metrics` were recorded with its run or by a pipeline's steps;
    `fresh` tells that the data was given by hand, and counts more than what was recorded. `lacks` says for parts that are None (data,
    reference) what to do about it. `digest` is that of the data.
    """

    asked: str
    sources: Sources = field(default_factory=Sources)
    version: ModelVersion = field(default_factory=lambda: ModelVersion(name="", version=0))
    target: str = ""
    run: Run | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    settings: Settings | None = None
    digest: str = ""
    fresh: bool = False
    lacks: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, model: Any, data: pd.DataFrame | None = None, target: str = "", *, reference: pd.DataFrame | None = None,
        champion: Evidence | None = None, **more: Any,
    ) -> Evidence:  # fmt: skip
        """The evidence on a model that is at hand, with its data."""
        sources = Sources(model=lambda: model, data=lambda: data, reference=lambda: reference, champion=lambda: champion)
        return cls(**{"asked": type(model).__name__, "sources": sources, "target": target, **more})

    @cached_property
    def model(self) -> Any:
        """The model. Raises Altered and ModelRefused where it may not be loaded."""
        return self.sources.model()

    @cached_property
    def data(self) -> pd.DataFrame | None:
        """The data to try it on; None where there is none."""
        return self.sources.data()

    @cached_property
    def reference(self) -> pd.DataFrame | None:
        """The data that it was trained on; None where it is not known."""
        return self.sources.reference()

    @cached_property
    def champion(self) -> Evidence | None:
        """The same of the champion."""
        return self.sources.champion()

    # -- the data

    @cached_property
    def X(self) -> pd.DataFrame:
        """The columns that the model takes, of the rows whose truth is known. Raises Needed."""
        return self.features(self.judged)

    @cached_property
    def y(self) -> pd.Series[Any]:
        """The truth, in the order of `X`. Raises Needed."""
        if not self.target:
            raise Needed("the column of the truth: name it as `target` in [tool.mlops.models.NAME], or register the model with --target")
        if self.target not in self.judged.columns:
            raise Needed(f"the column {self.target!r} in the test data, which holds the truth")
        return self.judged[self.target]

    @cached_property
    def judged(self) -> pd.DataFrame:
        """The rows of `data` whose truth is known (all of them where there is no target), numbered from 0. Raises Needed."""
        data = self.tried
        if self.target in data.columns:
            data = data[data[self.target].notna()]
            if not len(data):
                raise Needed(f"rows with a truth in the column {self.target!r}: the test data has none")
        return data.reset_index(drop=True)

    @property
    def tried(self) -> pd.DataFrame:
        """The data to try the model on. Raises Needed where there is none."""
        if self.data is None:
            raise Needed(self.lacks.get("data") or "test data: give it with --data, or register the model again with --test DATA")
        if not len(self.data):
            raise Needed("test data with rows: this has none")
        return self.data

    @property
    def learned(self) -> pd.DataFrame:
        """The data that the model was trained on. Raises Needed where it is not known."""
        if self.reference is None:
            raise Needed(self.lacks.get("reference") or "the training data: register the model again with --reference DATA")
        return self.reference

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that the model takes; () where it takes whatever is at a place."""
        named = _fitted_names(self.model)
        told = tuple(str(item["name"]) for item in self.version.signature.get("inputs") or () if item.get("name"))
        if named and (set(named) == set(told) or not any("_" in name for name in named)):
            return named  # no data need be read for it
        frame = self.data if self.data is not None else self.reference
        there = [str(name) for name in frame.columns] if frame is not None else []
        for names in (named, told):
            if names and set(names) <= set(there):
                return names
        # LightGBM has "_" for each space.
        spelt = {name.replace(" ", "_"): name for name in there}
        return tuple(spelt[name] for name in named) if set(named) <= spelt.keys() else named

    def features(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The columns of a frame that the model takes, in its order. Raises Needed where one is missing."""
        if self.columns:
            missing = [name for name in self.columns if name not in frame.columns]
            if missing:
                raise Needed(f"what the model takes: the data has no column {', '.join(missing[:5])}")
            return frame[list(self.columns)]
        found = frame.drop(columns=[self.target], errors="ignore")
        width = getattr(self.model, "n_features_in_", None)
        if isinstance(width, int) and width != found.shape[1]:
            raise Needed(f"data with {width} columns beside the truth, as the model takes: this has {found.shape[1]}")
        return found

    # -- what the model makes of it

    def predict(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        """The model's predictions, one for each row. Raises Unmet where the model raises, or gives another number of rows."""
        import numpy as np

        made = np.asarray(self._called("predict", features))
        made = made[:, 0] if made.ndim == 2 and made.shape[1] == 1 else made
        if made.shape[:1] != (len(features),):
            raise Unmet(f"its predict gives {made.shape[0] if made.ndim else 1} answers for {len(features)} rows")
        return made

    def chances(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        """The probability of each class of `labels`, one row each. Raises Needed for a model that gives none."""
        import numpy as np

        if not hasattr(self.model, "predict_proba"):
            raise Needed("a model that gives probabilities (predict_proba)")
        return np.asarray(self._called("predict_proba", features), dtype=float)

    @cached_property
    def predictions(self) -> np.ndarray[Any, Any]:
        """What the model predicts for `X`."""
        return self.predict(self.X)

    @cached_property
    def probabilities(self) -> np.ndarray[Any, Any]:
        """The probabilities of `labels` for `X`, rows by classes. Raises Needed for a model that gives none."""
        return self.chances(self.X)

    @cached_property
    def scores(self) -> np.ndarray[Any, Any]:
        """How sure the model is of the positive class (binary: one number for each row), by probability or decision function."""
        return self.scored(self.X)

    def scored(self, features: pd.DataFrame) -> np.ndarray[Any, Any]:
        """As `scores`, for any rows; with more than two classes a column for each. Raises Needed where the model ranks nothing."""
        import numpy as np

        if hasattr(self.model, "predict_proba"):
            found = self.chances(features)
        elif hasattr(self.model, "decision_function"):
            found = np.asarray(self._called("decision_function", features), dtype=float)
        else:
            raise Needed("a model that ranks (predict_proba or decision_function)")
        return found[:, 1] if found.ndim == 2 and found.shape[1] == 2 else found

    def _called(self, method: str, features: pd.DataFrame) -> Any:
        flavor = FLAVORS.get(self.version.flavor) if method == "predict" else None
        call = getattr(self.model, method, None)
        if flavor is not None and flavor.module in _FED_OTHERWISE:
            call = partial(_as_served, flavor, self.model)
        elif call is None and method == "predict" and callable(self.model):
            call = self.model
        if call is None:
            raise Needed(f"a model with the method {method}")
        try:
            return call(self._given(features))
        except Exception as error:  # the model's own code
            raise Unmet(f"its {method} raises {one_line(error)}") from error

    def _given(self, features: pd.DataFrame) -> Any:
        """Features in the form in which the model takes them."""
        told: Any = self.version.signature.get("inputs") or ()
        if len(told) == 1 and len(told[0].get("tensor-spec", {}).get("shape", ())) == 1:
            return features.iloc[:, 0].to_numpy()
        return features if self.columns or not _wants_array(self.model) else features.to_numpy()

    # -- the task

    @cached_property
    def task(self) -> str:
        """classification or regression: as the version says, else as the model says, else as the truth looks."""
        if self.version.task in (CLASSIFICATION, REGRESSION):
            return self.version.task
        if hasattr(self.model, "classes_"):
            return CLASSIFICATION
        kind = _kind_of(self.model)
        return kind or task_of(self.y)

    @cached_property
    def labels(self) -> list[Any]:
        """The classes, in the order of the probabilities' columns."""
        import numpy as np

        named = getattr(self.model, "classes_", None)
        if named is not None and (found := list(np.asarray(named).tolist())):
            return found
        made = self._classes(self.predictions)
        return sorted({*plain(self.y), *plain(made if made is not None else ())}, key=lambda label: (str(type(label)), label))

    def decided(self, made: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Predictions as classes: of a model whose predict gives the probability of 1 rather than 0 or 1, what is 0.5 or more is 1.

        Raises Needed for other numbers that are no classes.
        """
        found = self._classes(made)
        if found is None:
            raise Needed("a model whose predict gives classes: this one gives other numbers, so put it into one that names the class")
        return found

    def _classes(self, made: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        import numpy as np

        if hasattr(self.model, "classes_"):
            return made
        if made.ndim != 1:
            return None
        if made.dtype.kind != "f":
            return made
        known, truth = made[np.isfinite(made)], set(plain(self.y.unique()))
        if set(known[known != known.round()].tolist()) <= truth:
            return made
        if not truth <= {0, 1} or known.min() < 0 or known.max() > 1:
            return None
        if _DECIDED not in self.notes:
            self.notes = (*self.notes, _DECIDED)
        return np.where(np.isfinite(made), made >= 0.5, made)

    def positive(self, chosen: Any = None) -> Any:
        """The positive class: the chosen one, else the last of `labels` (1, True, "yes"). Raises Needed for one that there is not."""
        if chosen is None:
            return self.labels[-1]
        for label in self.labels:
            if label == chosen or str(label) == str(chosen):
                return label
        raise Needed(f"a class {chosen!r}: there are {', '.join(map(str, self.labels))}")


def task_of(truth: pd.Series[Any]) -> str:
    """What kind of truth a column holds: classes where it holds texts, truth values or few whole numbers, else amounts."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(truth) or pd.api.types.is_bool_dtype(truth):
        return CLASSIFICATION
    known = truth.dropna()
    whole = bool((known == known.round()).all()) if len(known) else False
    return CLASSIFICATION if whole and known.nunique() <= _FEW else REGRESSION


def plain(values: Any) -> list[Any]:
    """The values of a series or array as Python's own."""
    import numpy as np

    return list(np.asarray(values).tolist())


def one_line(error: BaseException) -> str:
    """An error of foreign code in one line."""
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def finite(value: float | None) -> bool:
    """Whether a value is a number."""
    return value is not None and math.isfinite(value)


def _fitted_names(model: Any) -> tuple[str, ...]:
    for source in (model, *(getattr(step, "__getitem__", lambda place: None)(1) for step in (getattr(model, "steps", None) or ())[:1])):
        names = getattr(source, "feature_names_in_", None)
        if names is not None:
            return tuple(str(name) for name in names)
    return ()


def _as_served(flavor: Flavor, model: Any, given: Any) -> Any:
    """What the model predicts in the service and in batches."""
    return flavor.predict(model, flavor.example(model, given))


def _wants_array(model: Any) -> bool:
    """Whether the model was fitted on an array: then names would only make it warn."""
    return hasattr(model, "n_features_in_") or hasattr(model, "fit")


def _kind_of(model: Any) -> str:
    from sklearn.base import is_classifier, is_regressor

    try:
        return CLASSIFICATION if is_classifier(model) else REGRESSION if is_regressor(model) else ""
    except Exception:  # a model of another library, which scikit-learn cannot ask
        return ""
