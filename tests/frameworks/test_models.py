"""Models of XGBoost, LightGBM, statsmodels and PyTorch: found, told apart, saved by their own flavors, and predicting the same."""

from __future__ import annotations

import sys
from typing import Any

import cloudpickle
import lightgbm
import mlflow
import numpy as np
import pytest
import statsmodels.formula.api as formulas
import torch
import xgboost
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jupyter_mlops.errors import ModelRefused
from jupyter_mlops.tracking import models
from tests.store.test_models import Desk, N, Y, desk

__all__ = ["desk"]

# The classes below travel as those of a notebook do.
cloudpickle.register_pickle_by_value(sys.modules[__name__])

TENSOR = torch.tensor(N.to_numpy(), dtype=torch.float32)


def trained(module: torch.nn.Module) -> torch.nn.Module:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    for _ in range(3):
        optimizer.zero_grad()
        module(TENSOR).pow(2).sum().backward()
        optimizer.step()
    return module


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Branching(Net):
    def forward(self, x: Any) -> Any:
        return self.layers(x) if float(x.sum()) > 0 else self.layers(-x)


MATRIX = xgboost.DMatrix(N, Y)
CASES: dict[str, tuple[Any, Any, str, str, dict[str, Any]]] = {
    "xgboost estimator": (xgboost.XGBClassifier(n_estimators=3).fit(N, Y), N, "xgboost", "ubj", {"n_estimators": 3}),
    "xgboost booster": (xgboost.train({"max_depth": 2}, MATRIX, 3), MATRIX, "xgboost", "ubj", {"max_depth": 2}),
    "lightgbm estimator": (lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(N, Y), N, "lightgbm", "skops", {"n_estimators": 3}),
    "lightgbm booster": (
        lightgbm.train({"objective": "binary", "verbose": -1}, lightgbm.Dataset(N, Y), 3), N, "lightgbm", "txt", {"objective": "binary"},
    ),
    "xgboost in a pipeline": (
        make_pipeline(StandardScaler(), xgboost.XGBClassifier(n_estimators=3)).fit(N, Y),
        N, "sklearn", "skops", {"xgbclassifier__n_estimators": 3},
    ),
    "lightgbm in a pipeline": (
        make_pipeline(StandardScaler(), lightgbm.LGBMClassifier(n_estimators=3, verbose=-1)).fit(N, Y),
        N, "sklearn", "skops", {"lgbmclassifier__n_estimators": 3},
    ),
    "torch module": (trained(Net()), TENSOR, "pytorch", "pt2", {"layers": "Linear, ReLU, Linear", "trained_parameters": 21}),
    "torch on a frame": (trained(Net()), N, "pytorch", "pt2", {"trained_parameters": 21}),
}  # fmt: skip


@pytest.mark.parametrize(("model", "data", "flavor", "form", "chosen"), CASES.values(), ids=CASES.keys())
def test_a_saved_model_predicts_the_same(desk: Desk, model: Any, data: Any, flavor: str, form: str, chosen: dict[str, Any]) -> None:
    assert (models.recognise(model), models.is_fitted(model)) == (flavor, True)
    assert chosen.items() <= models.choices(model).items()

    saved = desk.save(model, data)

    assert (saved.format, saved.signature, saved.notes) == (form, True, ())
    rows = N[:5].to_numpy(dtype="float32") if flavor == "pytorch" else N[:5]
    if flavor == "pytorch":
        expected = model(TENSOR[:5]).detach().numpy()
    else:
        expected = model.predict(xgboost.DMatrix(rows) if isinstance(model, xgboost.Booster) else rows)
    np.testing.assert_allclose(mlflow.pyfunc.load_model(saved.uri).predict(rows), expected, rtol=1e-5)


def test_statsmodels_is_refused_until_pickle_is_chosen(desk: Desk) -> None:
    model = formulas.ols("c ~ a + b", N).fit()
    found = models.outcomes(model)
    assert (models.recognise(model), models.choices(model)) == ("statsmodels", {"model": "OLS", "formula": "c ~ a + b"})
    assert found.metrics["rsquared"] == model.rsquared
    assert "OLS Regression Results" in found.texts["summary.txt"]
    rows = models.example_for(model, [])
    assert list(rows.columns) == ["a", "b"]
    with pytest.raises(ModelRefused, match=r'\[tool.mlops\] pickle = \["statsmodels"\]'):
        desk.save(model, rows)
    saved = desk.save(model, rows, pickle=("statsmodels",))
    np.testing.assert_allclose(mlflow.pyfunc.load_model(saved.uri).predict(rows), model.predict(rows))


@pytest.mark.parametrize(("model", "data"), [(trained(Branching()), TENSOR), (trained(Net()), None)], ids=["branches", "no example"])
def test_a_module_that_cannot_be_exported_is_refused(desk: Desk, model: Any, data: Any) -> None:
    with pytest.raises(ModelRefused, match=r'\[tool.mlops\] pickle = \["pytorch"\]'):
        desk.save(model, data)


def test_another_training_of_a_module_is_seen() -> None:
    module = Net()
    assert not models.is_fitted(module)
    first = models.fit_state(trained(module))
    module(TENSOR)
    assert models.fit_state(module) == first
    assert models.fit_state(trained(module)) != first


def test_the_scores_of_each_round_are_a_series() -> None:
    fitted = xgboost.XGBClassifier(n_estimators=3).fit(N, Y, eval_set=[(N, Y)], verbose=False)
    assert {name: len(points) for name, points in models.outcomes(fitted).series.items()} == {"validation_0.logloss": 3}
