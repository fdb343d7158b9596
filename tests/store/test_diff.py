"""`mlops diff A B`: what changed between two snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.store import parts, snapshots
from jupyter_mlops.store.objects import ObjectStore

FRAME = pd.DataFrame({"a": [1.0, 2.0, None], "s": ["x", "y", "y"], "b": [True, False, True], "t": pd.to_datetime(["2020", "2021", None])})


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def changes(before: object, after: object, objects: ObjectStore) -> dict[str, tuple[str, int | None]]:
    diff = snapshots.diff(snapshots.freeze(before, objects).digest, snapshots.freeze(after, objects).digest, objects)
    return {column.column: (column.change, column.changed) for column in diff.columns}


def test_added_removed_retyped_and_changed_columns_are_told_apart(objects: ObjectStore) -> None:
    after = FRAME.assign(s=["x", "z", "y"], new=1, b=[1, 0, 1]).drop(columns="t")
    assert changes(FRAME, after, objects) == {
        "a": ("same", None),
        "s": ("values", 1),
        "b": ("type", None),
        "t": ("removed", None),
        "new": ("added", None),
    }


def test_statistics_stand_beside_each_other(objects: ObjectStore) -> None:
    diff = snapshots.diff(*(snapshots.freeze(frame, objects).digest for frame in (FRAME, FRAME.assign(a=[1.0, 5.0, 3.0]))), objects)
    column = diff.columns[0]
    assert column.before == {
        "count": 3,
        "missing": 1,
        "unique": 2,
        "min": 1.0,
        "mean": 1.5,
        "max": 2.0,
        "std": pytest.approx(0.7071, abs=1e-4),
    }
    assert column.after == {"count": 3, "missing": 0, "unique": 3, "min": 1.0, "mean": 3.0, "max": 5.0, "std": 2.0}
    assert (column.changed, diff.identical, diff.schema_changed, diff.rows) == (2, False, False, (3, 3))


def test_rows_added_at_the_end_are_recognised(objects: ObjectStore) -> None:
    longer = pd.concat([FRAME, FRAME[:1]], ignore_index=True)
    diff = snapshots.diff(snapshots.freeze(FRAME, objects).digest, snapshots.freeze(longer, objects).digest, objects)
    assert (diff.rows, diff.detail) == ((3, 4), "1 rows added at the end; columns: 4 values")


def test_columns_that_did_not_change_are_not_read(objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    load = parts.load
    monkeypatch.setattr(parts, "load", lambda part, store: read.append(part["type"]) or load(part, store))
    changes(FRAME, FRAME.assign(a=[0.0, 0.0, 0.0]), objects)
    assert read == [{"raw": "<f8"}] * 2


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (np.arange(4.0), np.array([0.0, 1.0, 9.0, 3.0])),
        (pl.Series("value", [1, 2, 3]), pl.Series("value", [1, 5, 3])),
        (pd.Series(["a", "b"], name="value"), pd.Series(["a", "c"], name="value")),
        (pd.Index([1, 2], name="n"), pd.Index([1, 3], name="n")),
    ],
    ids=["array", "polars", "series", "index"],
)
def test_single_values_are_compared(objects: ObjectStore, before: object, after: object) -> None:
    assert list(changes(before, after, objects).values()) == [("values", 1)]


def test_folders_are_compared_file_by_file(tmp_path: Path, objects: ObjectStore) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "same.txt").write_text("same")
    (folder / "old.txt").write_text("old")
    (folder / "edited.txt").write_text("before")
    before = snapshots.freeze_file(folder, objects).digest
    (folder / "old.txt").unlink()
    (folder / "new.txt").write_text("new")
    (folder / "edited.txt").write_text("later on")
    diff = snapshots.diff(before, snapshots.freeze_file(folder, objects).digest, objects)
    assert {column.column: (column.change, dict(column.before), dict(column.after)) for column in diff.columns} == {
        "same.txt": ("same", {}, {}),
        "old.txt": ("removed", {"size": 3}, {}),
        "new.txt": ("added", {}, {"size": 3}),
        "edited.txt": ("values", {"size": 6}, {"size": 8}),
    }


def test_a_snapshot_is_identical_to_itself(objects: ObjectStore) -> None:
    digest = snapshots.freeze(FRAME, objects).digest
    diff = snapshots.diff(digest, digest[:10], objects)
    assert (diff.identical, diff.columns, diff.detail) == (True, (), "identical")
