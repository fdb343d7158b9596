"""Runs of notebooks that train with PyTorch."""

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
