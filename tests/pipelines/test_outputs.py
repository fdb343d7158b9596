"""What a step gives: each kind of value becomes a file that others read, with a digest of its content, and comes back as it was."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array
import dask.dataframe
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse
from sklearn.linear_model import LinearRegression

from jupyter_mlops.errors import MlopsError, OutputRefused
from jupyter_mlops.pipelines.running import outputs
from jupyter_mlops.pipelines.running.collecting import collect
from jupyter_mlops.store.objects import ObjectStore

TABLE = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def unpickled(path: Path) -> Any:
    return pickle.loads(path.read_bytes())


VALUES: dict[str, tuple[Callable[[], Any], str, str, Callable[[Path], Any], Any]] = {
    "pandas frame": (lambda: TABLE.copy(), "frame", "parquet", pd.read_parquet, TABLE),
    "pandas frame with an index": (lambda: TABLE.set_index("b"), "frame", "parquet", pd.read_parquet, TABLE.set_index("b")),
    "pandas series": (lambda: TABLE["a"], "series", "parquet", lambda path: pd.read_parquet(path)["a"], TABLE["a"]),
    "unnamed series": (lambda: pd.Series([1.5, 2.5]), "series", "parquet", pd.read_parquet, pd.DataFrame({"value": [1.5, 2.5]})),
    "polars frame": (lambda: pl.DataFrame({"a": [1, 2]}), "frame", "parquet", pl.read_parquet, pl.DataFrame({"a": [1, 2]})),
    "polars lazy frame": (lambda: pl.LazyFrame({"a": [1, 2]}), "frame", "parquet", pl.read_parquet, pl.DataFrame({"a": [1, 2]})),
    "polars series": (lambda: pl.Series("a", [1, 2]), "series", "parquet", pl.read_parquet, pl.DataFrame({"a": [1, 2]})),
    "arrow table": (lambda: pa.table({"a": [1, 2]}), "frame", "parquet", pl.read_parquet, pl.DataFrame({"a": [1, 2]})),
    "dask frame": (lambda: dask.dataframe.from_pandas(TABLE, npartitions=2), "frame", "parquet", pd.read_parquet, TABLE),
    "dask array": (lambda: dask.array.ones(4, chunks=2), "array", "npy", np.load, np.ones(4)),
    "array": (lambda: np.arange(6.0).reshape(2, 3), "array", "npy", np.load, np.arange(6.0).reshape(2, 3)),
    "array of objects": (lambda: np.array([1, "a"], dtype=object), "array", "pkl", unpickled, np.array([1, "a"], dtype=object)),
    "sparse": (lambda: sparse.csr_array(np.eye(3)), "sparse", "npz", lambda path: sparse.load_npz(path).toarray(), np.eye(3)),
    "number": (lambda: 0.5, "json", "json", lambda path: json.loads(path.read_text()), 0.5),
    "NumPy's number": (lambda: np.float64(0.5), "json", "json", lambda path: json.loads(path.read_text()), 0.5),
    "nothing": (lambda: None, "json", "json", lambda path: json.loads(path.read_text()), None),
    "dict": (lambda: {"b": [1, 2], "a": None}, "json", "json", lambda path: json.loads(path.read_text()), {"a": None, "b": [1, 2]}),
    "NumPy's numbers within": (lambda: {"a": [np.int64(1)]}, "json", "json", lambda path: json.loads(path.read_text()), {"a": [1]}),
    "text": (lambda: "grüße", "text", "txt", lambda path: path.read_text("utf-8"), "grüße"),
    "bytes": (lambda: b"\0\1", "file", "bin", Path.read_bytes, b"\0\1"),
    "dict with numbers as keys": (lambda: {1: "a"}, "object", "pkl", unpickled, {1: "a"}),
    "set": (lambda: {1, 2}, "object", "pkl", unpickled, {1, 2}),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_value_becomes_a_file_that_others_read(name: str, objects: ObjectStore, tmp_path: Path) -> None:
    make, kind, suffix, read, expected = VALUES[name]
    told = outputs.keep("value", make(), objects)
    assert (told["kind"], told["format"]) == (kind, suffix)
    path = outputs.materialise(told, tmp_path / "files", objects)
    assert path == tmp_path / "files" / f"{told['digest']}.{suffix}"
    found = read(path)
    if isinstance(found, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    elif isinstance(found, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(found, pl.DataFrame):
        assert found.equals(expected)
    elif isinstance(found, np.ndarray):
        np.testing.assert_array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("name", VALUES)
def test_equal_values_have_one_digest(name: str, objects: ObjectStore) -> None:
    make = VALUES[name][0]
    assert outputs.keep("value", make(), objects) == outputs.keep("value", make(), objects)


def test_a_frame_that_went_through_a_file_has_the_digest_it_had(objects: ObjectStore, tmp_path: Path) -> None:
    told = outputs.keep("table", TABLE, objects)
    again = outputs.keep("other", pd.read_parquet(outputs.materialise(told, tmp_path, objects)), objects)
    assert again["digest"] == told["digest"]


def test_a_dask_frame_passes_to_polars_and_dask(objects: ObjectStore, tmp_path: Path) -> None:
    path = outputs.materialise(outputs.keep("table", dask.dataframe.from_pandas(TABLE, npartitions=2), objects), tmp_path, objects)
    assert pl.read_parquet(path).to_dict(as_series=False) == {"a": [1, 2, 3], "b": ["x", None, "z"]}
    assert dask.dataframe.read_parquet(path).compute().to_dict("list") == pl.read_parquet(path).to_dict(as_series=False)


def test_a_model_comes_back_fitted(objects: ObjectStore, tmp_path: Path) -> None:
    told = outputs.keep("model", LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), objects)
    assert (told["kind"], told["format"]) == ("model", "pkl")
    assert unpickled(outputs.materialise(told, tmp_path, objects)).predict([[2.0]]).round(6).tolist() == [4.0]


def test_a_figure_is_a_picture(objects: ObjectStore, tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    def drawn() -> Figure:
        figure = Figure()
        figure.subplots().plot([1, 2])
        return figure

    told = outputs.keep("plot", drawn(), objects)
    assert (told["kind"], told["format"]) == ("figure", "png")
    assert outputs.materialise(told, tmp_path, objects).read_bytes().startswith(b"\x89PNG")
    assert outputs.keep("plot", drawn(), objects)["digest"] == told["digest"]


def test_files_and_folders_keep_their_bytes_and_suffix(objects: ObjectStore, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text("x\n1\n")
    (tmp_path / "in" / "deep" / "b.txt").write_text("b")
    with (tmp_path / "in" / "open.log").open("w") as file:
        file.write("not flushed")
        told = outputs.keep("log", file, objects)
    assert outputs.materialise(told, tmp_path / "files", objects).read_text() == "not flushed"
    one = outputs.keep("csv", tmp_path / "in" / "a.csv", objects)
    assert (one["kind"], one["format"]) == ("file", "csv")
    folder = outputs.materialise(outputs.keep("all", tmp_path / "in", objects), tmp_path / "files", objects)
    assert {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.*")} == {
        "a.csv": "x\n1\n", "deep/b.txt": "b", "open.log": "not flushed",
    }  # fmt: skip


def test_a_folder_is_put_back_without_touching_what_else_lies_there(objects: ObjectStore, tmp_path: Path) -> None:
    folder, more = tmp_path / "out", tmp_path / "out" / "deep" / "mine.txt"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "made.txt").write_text("made")
    (folder / "link").symlink_to("deep")
    told = outputs.keep("out", folder, objects)
    more.write_text("mine")
    before = (folder / "deep" / "made.txt").stat()
    outputs.put_back(told, folder, objects)
    # As it was recorded, it is not written again.
    assert (folder / "deep" / "made.txt").stat() == before
    (folder / "deep" / "made.txt").write_text("other")
    outputs.put_back(told, folder, objects)
    (folder / "link").unlink()
    outputs.put_back(told, folder, objects)
    assert ((folder / "deep" / "made.txt").read_text(), more.read_text(), (folder / "link").readlink()) == ("made", "mine", Path("deep"))


def test_what_is_in_the_way_of_an_output_stays(objects: ObjectStore, tmp_path: Path) -> None:
    file, folder = tmp_path / "file", tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "made.txt").write_text("made")
    file.write_text("made")
    (tmp_path / "empty").mkdir()
    one, many = outputs.keep("file", file, objects), outputs.keep("folder", folder, objects)
    for told, target in ((one, folder), (many, file), (outputs.keep("empty", tmp_path / "empty", objects), file)):
        with pytest.raises(MlopsError, match="cannot be written"):
            outputs.put_back(told, target, objects)
    assert (file.read_text(), (folder / "deep" / "made.txt").read_text()) == ("made", "made")


def test_a_materialised_file_is_read_only_shared_and_whole(objects: ObjectStore, tmp_path: Path) -> None:
    told = outputs.keep("table", TABLE, objects)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(outputs.materialise(told, tmp_path / "files", objects))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert found[0].stat().st_mode & 0o222 == 0
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == [found[0].name, "tmp"]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (threading.Lock, "The output 'it' cannot be kept: a lock: it cannot be pickled"),
        (lambda: pd.DataFrame({"a": [1, "b"]}), "The output 'it' cannot be kept: as a parquet file: "),
        (lambda: Path("missing.csv"), "The output 'it' cannot be kept: there is no file 'missing.csv' when the step ends."),
        (lambda: [threading.Lock()], "The output 'it' cannot be kept: a list: it holds a thread.lock in [0], which cannot be pickled"),
    ],
)
def test_what_cannot_be_kept_is_named(make: Callable[[], Any], sentence: str, objects: ObjectStore) -> None:
    with pytest.raises(OutputRefused) as refusal:
        outputs.keep("it", make(), objects)
    assert str(refusal.value).startswith(sentence)


def test_collecting_gives_outputs_and_metrics(tmp_path: Path) -> None:
    told = collect({"auc": np.float32(0.5), "rows": 3, "good": True, "name": "x"}, str(tmp_path))
    assert told["problem"] == ""
    assert told["metrics"] == {"auc": 0.5, "rows": 3}
    assert {name: output.get("value") for name, output in told["outputs"].items()} == {"auc": 0.5, "rows": 3, "good": True, "name": None}
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, "the cell tagged so gave nothing; end it with a dict, such as {'table': table}."),
        ([1], "the cell tagged so gave a list; end it with a dict, such as {'table': table}."),
    ],
)
def test_collecting_says_what_is_wrong(value: Any, problem: str, tmp_path: Path) -> None:
    told = collect(value, str(tmp_path))
    assert told == {"outputs": {}, "metrics": {}, "problem": f"The output 'outputs' cannot be kept: {problem}", "again": False}
