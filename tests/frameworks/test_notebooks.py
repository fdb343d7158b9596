"""Runs of notebooks that train with PyTorch, XGBoost and LightGBM."""

from __future__ import annotations

from tests.tracking.conftest import Notebook, notebook
from tests.tracking.test_runs import facts, run

__all__ = ["notebook"]


def test_a_function_that_trains_an_epoch_goes_on_with_the_same_run(notebook: Notebook) -> None:
    notebook.run(
        "import torch\nX, y = torch.rand(20, 3), torch.rand(20, 1)",
        "def train_epoch(model, optimizer):\n    loss = ((model(X) - y) ** 2).mean()\n    optimizer.zero_grad()\n"
        "    loss.backward()\n    optimizer.step()\n    return loss.item()",
        "net = torch.nn.Linear(3, 1)\noptimizer = torch.optim.SGD(net.parameters(), lr=0.1)\n"
        "for epoch in range(3):\n    loss = train_epoch(net, optimizer)",
    )
    [trained] = notebook.runs
    assert facts(trained) == run("Linear", ["loss"], [3])
    assert ([step for step, _ in trained.series["loss"]], trained.params["SGD.lr"], "epoch" in trained.params) == ([0, 1, 2], 0.1, False)


def test_cross_validation_by_rounds_is_stepped_metrics(notebook: Notebook) -> None:
    notebook.run(
        "import numpy as np, xgboost, lightgbm\nrng = np.random.default_rng(0)\nX = rng.normal(size=(200, 3))\ny = X @ [1.0, 2, 3]",
        "xgboost.cv({'max_depth': 2}, xgboost.DMatrix(X, y), num_boost_round=4, nfold=3, seed=0)",
        "told = lightgbm.cv({'objective': 'l2', 'verbose': -1}, lightgbm.Dataset(X, y), num_boost_round=5, nfold=3, stratified=False)",
    )
    boosted, leaves = notebook.runs
    assert {name: len(steps) for name, steps in boosted.series.items()} == dict.fromkeys(
        ("train-rmse-mean", "train-rmse-std", "test-rmse-mean", "test-rmse-std"), 4
    )
    assert {name: len(steps) for name, steps in leaves.series.items()} == {"valid l2-mean": 5, "valid l2-stdv": 5}
    assert [value for _, value in leaves.series["valid l2-mean"]] == notebook.names["told"]["valid l2-mean"]
