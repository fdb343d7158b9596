"""What of a value is a metric: numbers, series, named numbers, tables of scores."""

from __future__ import annotations

import math
from collections import OrderedDict, defaultdict
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import MagicMock, Mock

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.tracking import values


class Hostile:
    """Raises whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)

    def __float__(self) -> float:
        raise RuntimeError("float")

    def __len__(self) -> int:
        raise RuntimeError("len")


class Agreeing:
    """Has every attribute, and is none of what it looks like."""

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *arguments: Any) -> Any:
        return self


NO_NUMBERS = [
    None,
    True,
    np.bool_(True),
    "0.5",
    1j,
    np.complex128(1),
    [0.5],
    {},
    object(),
    Hostile(),
    Agreeing(),
    Mock(),
    MagicMock(),
    float,
    np.array([1.0]),
    np.array("x"),
    np.datetime64("2026-01-01"),
    pd.Series([1.0]),
    pd.NA,
    pd.Timestamp("2026-01-01"),
]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (3, 3),
        (0.25, 0.25),
        (np.float32(0.5), 0.5),
        (np.int8(-3), -3),
        (np.array(0.75), 0.75),
        (np.uint64(2**63), 2**63),
        (Decimal("0.1"), 0.1),
        (Fraction(1, 4), 0.25),
        (10**400, 10**400),
        (float("inf"), float("inf")),
    ],
    ids=repr,
)
def test_a_number_is_a_metric(value: object, number: float) -> None:
    assert values.scalar(value) == number


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda value: type(value).__name__)
def test_what_is_no_number_is_none(value: object) -> None:
    assert values.scalar(value) is None


@pytest.mark.parametrize(
    ("value", "numbers"),
    [
        ([1, 2.5], [1.0, 2.5]),
        ((np.float64(0.1), 0.2), [0.1, 0.2]),
        (np.array([1, 2], dtype="int8"), [1.0, 2.0]),
        (pd.Series([0.5, 0.25], index=["a", "b"]), [0.5, 0.25]),
        (pd.Series([1, 2], dtype="Int64"), [1.0, 2.0]),
        (pd.Index([1, 2]), [1.0, 2.0]),
        (pl.Series([1, 2]), [1.0, 2.0]),
        ([1], None),
        ([], None),
        ([True, False], None),
        ([1, "a"], None),
        ([[1, 2], [3, 4]], None),
        (np.ones((2, 2)), None),
        (np.array(["a", "b"]), None),
        (np.ones(10_001), None),
        ([0.0] * 10_001, None),
        (pd.Series(["a", "b"]), None),
        (pd.Series([True, False]), None),
        (range(5), None),
        (Hostile(), None),
        (Agreeing(), None),
        (MagicMock(), None),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_a_list_of_scores_is_a_series(value: object, numbers: list[float] | None) -> None:
    assert values.series(value) == numbers


def test_missing_scores_of_a_series_are_not_numbers() -> None:
    found = values.series(pd.Series([1, None], dtype="Int64"))
    assert found is not None
    assert found[0] == 1.0
    assert math.isnan(found[1])


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"f1": 0.5, "label": "spam"}, {"f1": 0.5}),
        (
            {"macro avg": {"precision": np.float64(0.5), "support": 3}, "accuracy": 0.75},
            {"macro avg.precision": 0.5, "macro avg.support": 3.0, "accuracy": 0.75},
        ),
        ({0: 0.5, 1.5: 2}, {"0": 0.5, "1.5": 2.0}),
        (OrderedDict(a=1), {"a": 1.0}),
        (defaultdict(float, a=1.0), {"a": 1.0}),
        ({"ok": True}, None),
        ({}, None),
        ({("a", 1): 0.5}, None),
        ({"a": [1, 2]}, None),
        ([("a", 1)], None),
        (Agreeing(), None),
        (MagicMock(), None),
    ],
    ids=repr,
)
def test_a_dict_of_scores_is_named_numbers(value: object, named: dict[str, float] | None) -> None:
    assert values.entries(value) == named


def test_a_large_dict_keeps_its_first_200_numbers() -> None:
    found = values.entries({str(number): number for number in range(1_000)})
    assert found == {str(number): float(number) for number in range(200)}


def test_a_dict_that_holds_itself_ends() -> None:
    scores: dict[str, Any] = {"f1": 0.5}
    scores["self"] = scores
    found = values.entries(scores)
    assert found is not None
    assert found["f1"] == 0.5


@pytest.mark.parametrize(
    ("value", "table"),
    [
        (pd.DataFrame({"model": ["a", "b"], "auc": [0.5, 0.6]}), True),
        (pl.DataFrame({"model": ["a", "b"], "auc": [0.5, 0.6]}), True),
        (pd.DataFrame({"model": ["a"]}), False),
        (pl.DataFrame({"model": ["a"]}), False),
        (pd.DataFrame({"auc": np.ones(1_001)}), False),
        (pd.DataFrame(np.ones((2, 51))), False),
        (pd.DataFrame(), False),
        (pd.Series([1.0]), False),
        (np.ones((2, 2)), False),
        (Agreeing(), False),
        (Hostile(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_small_frame_with_numbers_is_a_table_of_scores(value: object, table: bool) -> None:
    assert values.is_score_table(value) is table
