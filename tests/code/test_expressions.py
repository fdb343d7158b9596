from __future__ import annotations

import pytest

from jupyter_mlops.code.expressions import metric_name


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("acc", "acc"),
        ("round(acc, 3)", "acc"),
        ("float(acc)", "acc"),
        ("acc.item()", "acc"),
        ("round(float(loss.detach().cpu().item()), 2)", "loss"),
        ("np.round(acc, 2)", "acc"),
        ("f'{acc:.3f}'", "acc"),
        ("f'accuracy: {acc:.3f}'", "f'accuracy: {acc:.3f}'"),
        ("(a := f(x))", "a"),
        ("await f(x)", "f(x)"),
        ("model.score( X_test,y_test )", "model.score(X_test, y_test)"),
        ("acc * 100", "acc * 100"),
        ("int(acc)", "int(acc)"),
        ("scores['f1']", "scores['f1']"),
        ("rmse = f(x)", "rmse"),
        ("no python at all", "no python at all"),
        ("", ""),
    ],
)
def test_a_metric_is_named_after_its_expression(expression: str, name: str) -> None:
    assert metric_name(expression) == name
