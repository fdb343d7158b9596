"""How each MLflow flavor saves a model without pickle, or refuses: one class each, run in the saver's own process.

A flavor turns a model and its example into a `Plan`: the arguments of the flavor's own `log_model`. What cannot be saved raises
`ModelRefused` with the reason and the one line of settings that allows it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from ..errors import ModelRefused
from . import trust


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user allowed: `trust` types for skops, `pickle` flavors that may fall back to pickle."""

    trust: tuple[str, ...] = ()
    pickle: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """The arguments for a flavor's `log_model`, and what the caller is told of them: `format` of the file, `trusted` types in it."""

    arguments: Mapping[str, Any]
    format: str
    trusted: tuple[str, ...] = ()
    requires: tuple[str, ...] = field(default=())


class Flavor(Protocol):
    """One MLflow flavor; `module` is its name below `mlflow`, `argument` what its `log_model` calls the model."""

    module: str
    argument: str

    def example(self, model: Any, rows: Any) -> Any:
        """The example in the form that the flavor's prediction takes."""

    def predict(self, model: Any, rows: Any) -> Any:
        """What the model makes of the example: the output of the signature. None where it makes nothing of new rows."""

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan: ...


class Sklearn:
    """skops, with exactly the needed types of known libraries trusted."""

    module = "sklearn"
    argument = "sk_model"
    package = "scikit-learn"

    def example(self, model: Any, rows: Any) -> Any:
        return rows

    def predict(self, model: Any, rows: Any) -> Any:
        for method in ("predict", "transform"):
            if hasattr(model, method):
                return getattr(model, method)(rows)
        return None

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan:
        try:
            trusted = _trusted_types(model, choices, self.module)
        except ModelRefused:
            if self.module not in choices.pickle:
                raise
            return Plan({"serialization_format": "cloudpickle"}, "cloudpickle", (), (_pin(self.package), _pin("cloudpickle")))
        arguments = {"serialization_format": "skops", "skops_trusted_types": list(trusted)}
        return Plan(arguments, "skops", trusted, (_pin(self.package), _pin("skops")))


class XGBoost:
    """XGBoost's own format: no code in it."""

    module = "xgboost"
    argument = "xgb_model"

    def example(self, model: Any, rows: Any) -> Any:
        return rows

    def predict(self, model: Any, rows: Any) -> Any:
        import xgboost

        if not isinstance(model, xgboost.Booster):
            return model.predict(rows)
        return model.predict(xgboost.DMatrix(rows, feature_names=model.feature_names, feature_types=model.feature_types))

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan:
        kind = type(model)
        if kind.__module__.split(".", 1)[0] != "xgboost":
            # MLflow keeps the class's name and builds it again by importing it.
            _judged([f"{kind.__module__}.{kind.__qualname__}"], choices, self.module, "put it together from XGBoost's own classes")
        return Plan({}, "ubj", (), (_pin("xgboost"), _pin("scikit-learn")))


class LightGBM(Sklearn):
    """LightGBM's own text format for boosters; its estimators as scikit-learn's."""

    module = "lightgbm"
    argument = "lgb_model"
    package = "lightgbm"

    def predict(self, model: Any, rows: Any) -> Any:
        return model.predict(rows)

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan:
        import lightgbm

        if isinstance(model, lightgbm.Booster):
            return Plan({}, "txt", (), (_pin("lightgbm"),))
        return super().plan(model, rows, choices)


class Statsmodels:
    """Pickle is all that MLflow's flavor has, so it must be chosen."""

    module = "statsmodels"
    argument = "statsmodels_model"

    def example(self, model: Any, rows: Any) -> Any:
        return rows

    def predict(self, model: Any, rows: Any) -> Any:
        return model.predict(rows)

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan:
        if self.module not in choices.pickle:
            line = trust.pickle_line(self.module, choices.pickle)
            raise ModelRefused(f"MLflow keeps statsmodels results by pickle only; to allow that, set {line}")
        return Plan({}, "pickle", (), (_pin("statsmodels"),))


class PyTorch:
    """A graph exported by PyTorch (pt2), which needs an example and holds no code; pickle only where it was chosen."""

    module = "pytorch"
    argument = "pytorch_model"

    def example(self, model: Any, rows: Any) -> Any:
        """An array of the type that the model computes in: pandas and NumPy make float64, models expect float32."""
        import torch

        array = rows.detach().cpu().numpy() if isinstance(rows, torch.Tensor) else _as_array(rows)
        if array.dtype.kind == "f":
            computes_in = next((item.dtype for item in model.parameters() if item.is_floating_point()), torch.float32)
            return torch.from_numpy(array).to(computes_in).numpy()
        return array

    def predict(self, model: Any, rows: Any) -> Any:
        import torch

        model.eval()
        with torch.no_grad():
            made = model(torch.from_numpy(rows))
        return made.numpy() if isinstance(made, torch.Tensor) else None

    def plan(self, model: Any, rows: Any, choices: Choices) -> Plan:
        try:
            return self._exported(model, rows, choices)
        except ModelRefused:
            if self.module not in choices.pickle:
                raise
            return Plan({"serialization_format": "pickle"}, "pickle", (), (_pin("torch"), _pin("cloudpickle")))

    def _exported(self, model: Any, rows: Any, choices: Choices) -> Plan:
        import torch

        allow = f"to keep it by pickle instead, set {trust.pickle_line(self.module, choices.pickle)}"
        if rows is None:
            raise ModelRefused(f"PyTorch's export needs an example of its input, and none was seen; {allow}")
        try:
            torch.export.export(model.eval(), (torch.from_numpy(rows),))
        except Exception as error:  # the tracer raises what it likes, the model's own errors too
            raise ModelRefused(f"PyTorch cannot export it ({_first_line(error)}); {allow}") from None
        return Plan({"serialization_format": "pt2"}, "pt2", (), (_pin("torch"), _pin("numpy")))


FLAVORS: Mapping[str, Flavor] = {flavor.module: flavor for flavor in (Sklearn(), XGBoost(), LightGBM(), Statsmodels(), PyTorch())}


def _trusted_types(model: Any, choices: Choices, flavor: str) -> tuple[str, ...]:
    """The types beyond skops's own that the model's file needs, all of them trusted; raises `ModelRefused` otherwise."""
    import skops.io

    pickle = f"to keep it by pickle instead, set {trust.pickle_line(flavor, choices.pickle)}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.skops"
        try:
            skops.io.dump(model, file)
            needed = skops.io.get_untrusted_types(file=file)
        except Exception as error:  # skops, or a __getstate__ of the model
            raise ModelRefused(f"skops cannot save it ({_first_line(error)}); {pickle}") from None
        trusted = _judged(needed, choices, flavor, "move it to a module of the project")
        try:
            skops.io.load(file, trusted=list(trusted))
        except Exception as error:  # what cannot be imported, or a __setstate__ of the model
            raise ModelRefused(f"skops cannot load it back ({_first_line(error)}); {pickle}") from None
    return trusted


def _judged(needed: list[str], choices: Choices, flavor: str, remedy: str) -> tuple[str, ...]:
    verdict = trust.judge(needed, choices.trust)
    if verdict.never:
        raise ModelRefused(f"it holds {_listed(verdict.never)}, which no setting trusts; leave it out of the model")
    if verdict.notebook:
        names = _listed(name.removeprefix("__main__.") for name in verdict.notebook)
        pickle = trust.pickle_line(flavor, choices.pickle)
        reason = f"{names} is defined in the notebook, and a model file holds no code"
        raise ModelRefused(f"{reason}; {remedy}, or to keep it by pickle set {pickle}")
    if verdict.unknown:
        line = trust.trust_line(verdict.unknown, choices.trust)
        raise ModelRefused(f"{_listed(verdict.unknown)} is not known to be safe; if you trust it, set {line}")
    return verdict.trusted


def _as_array(rows: Any) -> Any:
    import numpy

    if hasattr(rows, "toarray"):
        return rows.toarray()
    return rows.to_numpy() if hasattr(rows, "to_numpy") else numpy.asarray(rows)


def _pin(package: str) -> str:
    # A local version such as 2.13.0+cpu is found on no index.
    return f"{package}=={version(package).split('+')[0]}"


def _listed(names: Any) -> str:
    return ", ".join(names)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:200]}" if text else type(error).__name__
