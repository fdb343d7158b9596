"""What is drift and what is not: every kind of column, every kind of change, and data that nothing can be said of."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from jupyter_mlops.errors import Corrupt
from jupyter_mlops.models.drift import Profile, Tally, compare, judge
from jupyter_mlops.models.drift.statistics import beyond_range, kolmogorov_smirnov, location_and_scale, same_shares, two_shares
from jupyter_mlops.records import Drift
from jupyter_mlops.records.plain import to_json

WINDOWS = int(os.environ.get("MLOPS_WINDOWS", "60"))
ROWS = 1000
SHARES = [0.4, 0.3, 0.2, 0.1]


def table(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """A table of thirty columns of many kinds."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({f"normal{at}": draw.normal(at, 1 + at, rows) for at in range(14)})
    for at in range(4):
        frame[f"skewed{at}"] = draw.lognormal(size=rows)
        frame[f"count{at}"] = draw.poisson(1 + at, size=rows)
        frame[f"group{at}"] = pd.Categorical.from_codes(draw.choice(4, size=rows, p=SHARES), list("abcd"))
    frame["zeros"] = np.where(draw.random(rows) < 0.7, 0.0, draw.gamma(2, size=rows))
    frame["flag"] = draw.random(rows) < 0.1
    frame["name"] = np.array([f"n{at}" for at in range(150)])[(draw.pareto(1, size=rows) * 3).astype(int) % 150]
    frame["partly"] = np.where(draw.random(rows) < 0.05, np.nan, draw.normal(size=rows))
    return frame


@pytest.fixture(scope="module")
def reference() -> Profile:
    return Profile.of(table(0, 10_000))


def found(reference: Profile, current: pd.DataFrame) -> dict[str, Drift]:
    return {item.column: item for item in compare(reference, current)}


def moved(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    return frame.assign(normal3=frame["normal3"] + 0.25 * 4)


def spread(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    return frame.assign(normal3=3 + (frame["normal3"] - 3) * 1.5)


def swapped(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    values = frame["group1"].astype(str).to_numpy(dtype=object)
    values[draw.choice(np.flatnonzero(values == "a"), ROWS // 10, replace=False)] = "b"
    return frame.assign(group1=values)


def emptied(frame: pd.DataFrame, draw: np.random.Generator) -> pd.DataFrame:
    values = frame["partly"].to_numpy(copy=True)
    values[draw.choice(np.flatnonzero(~np.isnan(values)), ROWS // 20, replace=False)] = np.nan
    return frame.assign(partly=values)


@pytest.mark.parametrize(
    ("change", "column"),
    [(moved, "normal3"), (spread, "normal3"), (swapped, "group1"), (emptied, "partly")],
)
def test_each_of_four_changes_in_one_column_of_thirty_is_found(
    reference: Profile, change: Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame], column: str
) -> None:
    hits = 0
    for seed in range(1, WINDOWS // 2 + 1):
        hits += found(reference, change(table(seed), np.random.default_rng(seed)))[column].verdict == "drift"
    assert hits >= 0.95 * (WINDOWS // 2)


def test_windows_without_drift_rarely_alarm(reference: Profile) -> None:
    alarms = sum(any(item.verdict == "drift" for item in compare(reference, table(seed))) for seed in range(1, WINDOWS + 1))
    # So many of WINDOWS come less than once in a thousand times where the share is one in twenty.
    assert alarms <= 0.05 * WINDOWS + 3.1 * (0.05 * 0.95 * WINDOWS) ** 0.5


def test_a_million_rows_do_not_alarm_for_next_to_nothing() -> None:
    draw = np.random.default_rng(5)
    reference = {
        "x": draw.normal(size=200_000),
        "g": draw.choice(3, 200_000).astype(str),
        "m": np.where(draw.random(200_000) < 0.1, np.nan, 1),
    }
    current = {
        "x": draw.normal(0.02, 1.01, size=200_000),
        "g": draw.choice(3, 200_000, p=[0.34, 0.33, 0.33]).astype(str),
        "m": np.where(draw.random(200_000) < 0.103, np.nan, 1),
    }
    assert {item.verdict for item in compare(pd.DataFrame(reference), pd.DataFrame(current)) if item.column != "m"} == {"none"}


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([], "there are no rows"),
        ([np.nan] * 500, "all 500 values are missing"),
        ([None] * 500, "all 500 values are missing"),
        ([1.0] * 29, "there are 29 values, of the 30 that are needed"),
        ([1.0] * 500, "there is only one value"),
    ],
)
def test_too_little_to_tell_is_said_to_be_so(values: list[float], why: str) -> None:
    reference = pd.DataFrame({"x": np.random.default_rng(1).normal(size=500)})
    (item,) = compare(reference, pd.DataFrame({"x": values}))
    assert (item.verdict, item.why) == ("insufficient data", why)


@pytest.mark.parametrize("values", [[], [np.nan] * 100, [None] * 100, [3.0] * 100, ["a"] * 100, [1.0, 2.0], [{"a": 1}] * 100])
def test_a_reference_that_tells_nothing_gives_no_alarm(values: list[object]) -> None:
    for current in (values, list(range(100)), ["b"] * 100, [np.nan] * 100, []):
        (item,) = compare(pd.DataFrame({"x": values}), pd.DataFrame({"x": current}))
        assert item.verdict == "insufficient data"
        assert item.why


def test_a_column_that_went_silent_tells_how_unlikely_that_is() -> None:
    reference = pd.DataFrame({"x": np.random.default_rng(1).normal(size=500)})
    for values in ([np.nan] * 500, [1.0] * 500):
        (item,) = compare(reference, pd.DataFrame({"x": values}))
        assert item.verdict == "insufficient data"
        assert item.p_value is not None
        assert item.p_value < (item.threshold or 0)


def test_a_column_that_is_not_there_is_named() -> None:
    (item,) = compare(pd.DataFrame({"x": range(100)}), pd.DataFrame({"y": range(100)}))
    assert (item.column, item.verdict, item.why) == ("x", "insufficient data", "the column is not in the data")


def test_new_categories_and_values_out_of_range_are_told() -> None:
    draw = np.random.default_rng(2)
    reference = pd.DataFrame({"g": draw.choice(list("abc"), 2000), "x": draw.random(2000)})
    current = pd.DataFrame({"g": draw.choice(list("abz"), 1000), "x": np.where(draw.random(1000) < 0.03, 70.0, draw.random(1000))})
    group, number = compare(reference, current)
    assert (group.verdict, group.new) == ("drift", ("z",))
    assert "1 of which are new" in group.why
    assert (number.verdict, number.method) == ("drift", "out of range")
    assert number.outside == pytest.approx(0.03, abs=0.02)
    assert number.wasserstein is not None
    assert number.wasserstein > 1


def test_rare_new_categories_among_many_are_no_drift() -> None:
    """A sample of many rare categories always has some that an earlier one has not."""
    draw = np.random.default_rng(3)
    names = np.array([f"n{at}" for at in range(500)])
    reference, current = ({"g": names[(draw.pareto(1, rows) * 5).astype(int) % 500]} for rows in (1000, 1000))
    (item,) = compare(pd.DataFrame(reference), pd.DataFrame(current))
    assert item.verdict == "none"
    assert item.new


def test_times_and_free_text_are_not_compared_value_by_value() -> None:
    days = pd.date_range("2026-01-01", periods=400)
    words = [f"order {at} of {'x' * (at % 7)}" for at in range(400)]
    reference = pd.DataFrame({"day": days, "words": words})
    later = pd.DataFrame({"day": days + pd.Timedelta(days=500), "words": [word[::-1] for word in words]})
    assert [(item.kind, item.verdict) for item in compare(reference, later)] == [("time", "none"), ("text", "none")]
    longer = later.assign(words=[word * 2 for word in words])
    assert compare(reference, longer)[1].verdict == "drift"


@pytest.mark.parametrize("into", [lambda f: pa.Table.from_pandas(f), lambda f: f.astype({"x": str}), lambda f: f.astype({"g": "category"})])
def test_the_same_values_in_other_types_are_no_drift(into: Callable[[pd.DataFrame], object]) -> None:
    draw = np.random.default_rng(4)
    frame = pd.DataFrame({"x": draw.normal(size=800), "g": draw.choice(list("ab"), 800), "f": draw.random(800) < 0.5})
    assert {item.verdict for item in compare(frame, into(frame))} == {"none"}
    assert {item.verdict for item in compare(frame, frame.assign(f=frame["f"].astype(int)))} == {"none"}


def test_infinite_numbers_are_out_of_range() -> None:
    frame = pd.DataFrame({"x": np.random.default_rng(6).normal(size=1000)})
    (item,) = compare(frame, frame.assign(x=frame["x"].where(frame.index % 10 > 0, np.inf)))
    assert (item.verdict, item.outside) == ("drift", 0.1)


def test_batches_add_up_to_the_whole(reference: Profile) -> None:
    frame = table(9)
    tally = Tally(reference)
    for start in range(0, ROWS, 130):
        tally.add(frame.iloc[start : start + 130])
    assert judge(tally) == compare(reference, frame)


def test_a_profile_is_small_and_survives_json(reference: Profile, tmp_path: os.PathLike[str]) -> None:
    file = tmp_path / "reference.json"  # type: ignore[operator]
    reference.write(file)
    assert file.stat().st_size < 30 * 25_000
    assert Profile.read(file) == reference
    assert to_json(Profile.from_json(json.loads(file.read_text()))) == to_json(reference)
    file.write_text("{}")
    with pytest.raises(Corrupt):
        Profile.read(file)


def test_the_statistics_agree_with_scipy() -> None:
    from scipy import stats

    draw = np.random.default_rng(7)
    first, second = np.bincount(draw.poisson(4, 900), minlength=20), np.bincount(draw.poisson(4.4, 500), minlength=20)
    values = [np.repeat(np.arange(20), counts) for counts in (first, second)]
    assert kolmogorov_smirnov(first, second).statistic == pytest.approx(stats.ks_2samp(*values).statistic)
    rank = stats.mannwhitneyu(*values, use_continuity=False, method="asymptotic")
    only_location = location_and_scale(np.array([500, 0, 400]), np.array([250, 0, 250]))
    assert only_location.statistic == pytest.approx(stats.chi2_contingency([[500, 400], [250, 250]], correction=False).statistic, rel=0.002)
    assert location_and_scale(first, second).p_value == pytest.approx(rank.pvalue, rel=5)
    shares = same_shares(np.array([300, 200, 100]), np.array([150, 150, 100]))
    assert shares.p_value == pytest.approx(stats.chi2_contingency([[300, 200, 100], [150, 150, 100]]).pvalue)
    exact = two_shares(3, 200, 14, 150)
    tails = [stats.fisher_exact([[3, 197], [14, 136]], alternative=side).pvalue for side in ("less", "greater")]
    assert exact.p_value == pytest.approx(2 * min(tails))
    assert beyond_range(500, 9, 300).p_value == pytest.approx(stats.betabinom.sf(8, 300, 2, 499))
