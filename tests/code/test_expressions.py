from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from jupyter_mlops.code.expressions import metric_key, metric_name


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


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("acc", "acc"),
        ("model.score(X_test, y_test)", "model.score_X_test_y_test"),
        ("scores['f1']", "scores_f1"),
        ("a/b", "a/b"),
        ("/a//b/", "a/b"),
        ("../../etc", "etc"),
        ("a/../b", "a/b"),
        ("./a", "a"),
        ("...", "value"),
        ("", "value"),
        ("😀", "value"),
        ("précision", "précision"),
        ("a\nb", "a_b"),
        ("accuracy (%)", "accuracy"),
        ("x" * 300, "x" * 250),
        ("x" * 249 + "/y", "x" * 249),
    ],
)
def test_a_key_is_one_that_mlflow_allows(name: str, key: str) -> None:
    assert metric_key(name) == key


@given(st.text() | st.text(alphabet="ab./_ -:\\()", max_size=12) | st.text(min_size=240, max_size=300))
def test_every_name_becomes_a_key_that_mlflow_takes(name: str) -> None:
    key = metric_key(name)
    _validate_metric_name(key)
    assert 0 < len(key) <= 250
    assert metric_key(key) == key
