"""Some rows of a snapshot are those rows of the whole, whatever the columns are kept as; and only their chunks are read."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sparse

from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore
from jupyter_mlops.store.portions import opened, spread

N = 30_000
RANGES = [(0, 3), (9_000, 9_100), (29_990, 30_000)]
NUMBERS = np.random.default_rng(0).normal(size=N)
TEXTS = np.array(["a", "bb", "", "ddd"])[np.arange(N) % 4]


def frame() -> pd.DataFrame:
    whole = pd.Series(range(N))
    return pd.DataFrame(
        {
            "number": NUMBERS,
            "whole": whole.astype("Int64").mask(whole % 7 == 0),
            "text": pd.Series(TEXTS).mask(whole % 5 == 0).astype("str"),
            "objects": pd.Series([(item, None) for item in range(N)], dtype=object),
            "category": pd.Categorical(TEXTS),
            "every": pd.Categorical([f"id {item}" for item in range(N)]),
            "moment": pd.date_range("2013-01-01", periods=N, freq="min", tz="Europe/Copenhagen"),
            "period": pd.period_range("2013-01", periods=N, freq="D"),
            "interval": pd.arrays.IntervalArray.from_breaks(np.arange(N + 1)),
            "sparse": pd.arrays.SparseArray(np.where(np.arange(N) % 9 == 0, 1.0, 0.0)),
            "arrow": pd.Series(TEXTS, dtype=pd.ArrowDtype(pa.string())),
        },
        index=pd.Index(np.arange(N)[::-1] ** 2, name="squares"),
    )


def table() -> pa.Table:
    ordered = pa.DictionaryArray.from_arrays(pa.array(np.arange(N, dtype="int32") % 4), pa.array(["x", "a", "c", "b"]), ordered=True)
    lists = pa.array([[item, item + 1] if item % 3 else None for item in range(N)])
    return pa.table({"number": NUMBERS, "text": TEXTS, "ordered": ordered, "lists": lists, "day": pa.array(range(N), pa.date32())})


def opened_in(folder: Path, value: Any) -> Any:
    objects = ObjectStore(folder / "objects")
    return opened(snapshots.freeze(value, objects).digest[:12], objects)[1]


def rows(series: pd.Series) -> list[str]:
    return [str(value) for value in series]


def chosen(series: pd.Series) -> list[str]:
    return rows(pd.concat([series.iloc[start:stop] for start, stop in RANGES]))


@pytest.mark.parametrize("given", [frame(), table(), pl.DataFrame(table().drop_columns("ordered")), frame()["number"], frame()["category"]])
def test_some_rows_are_those_of_the_whole(tmp_path: Path, given: Any) -> None:
    portion = opened_in(tmp_path, given)
    whole = {key: portion.values(key) for key in portion.columns}
    portion.ranges = RANGES
    assert len(whole) >= 1
    for key, values in whole.items():
        assert rows(portion.values(key)) == chosen(values), key


def test_the_labels_of_rows_come_with_them(tmp_path: Path) -> None:
    portion = opened_in(tmp_path, frame())
    portion.ranges = RANGES
    index = portion.index()
    assert index.name == "squares"
    assert index.tolist()[:4] == [(N - 1) ** 2, (N - 2) ** 2, (N - 3) ** 2, (N - 9_001) ** 2]
    assert opened_in(tmp_path, frame().reset_index(drop=True)).index() is None


@pytest.mark.parametrize(
    "given",
    [
        np.arange(3 * N).reshape(N, 3),
        np.asfortranarray(np.arange(3 * N).reshape(N, 3)),
        np.ma.masked_less(np.arange(N), 5),
        np.array([(item, item / 2) for item in range(N)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array(TEXTS, dtype=object),
    ],
)
def test_some_elements_of_an_array(tmp_path: Path, given: Any) -> None:
    portion = opened_in(tmp_path, given)
    assert portion.elements == given.size
    (key,) = portion.columns
    portion.ranges = RANGES
    assert rows(portion.values(key)) == chosen(pd.Series(given.ravel() if np.ma.isMaskedArray(given) else list(given.ravel())))


@pytest.mark.parametrize("form", ["csr", "csc", "coo", "dia", "lil", "dok"])
def test_of_a_sparse_matrix_the_elements_that_are_kept(tmp_path: Path, form: str) -> None:
    portion = opened_in(tmp_path, sparse.csr_matrix([[0, 2, 0], [3, 0, 0]]).asformat(form))
    (key,) = portion.columns
    assert sorted(value for value in portion.values(key) if value) == [2, 3]


def test_only_the_chunks_of_these_rows_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    portion = opened_in(tmp_path, pd.DataFrame({"number": np.random.default_rng(0).normal(size=1_000_000)}))
    read: list[int] = []
    get_many = ObjectStore.get_many
    monkeypatch.setattr(ObjectStore, "get_many", lambda self, keys: (read.append(len(keys)), get_many(self, keys))[1])
    portion.ranges = [(500_000, 500_050)]
    assert len(portion.values(("number", 0))) == 50
    portion.ranges = None
    assert len(portion.values(("number", 0))) == 1_000_000
    some, every = read
    assert some <= 2 < 20 < every


@pytest.mark.parametrize("count", [0, 1, 63, 64, 6_400, 1_000_000, 99_999_999])
def test_ranges_lie_evenly_and_never_overlap(count: int) -> None:
    ranges = spread(count, 6_400)
    assert (ranges[0][0], ranges[-1][1]) == (0, count)
    assert all(before[1] <= after[0] for before, after in pairwise(ranges))
    assert sum(stop - start for start, stop in ranges) == min(count, 6_400)
