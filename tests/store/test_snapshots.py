"""What comes back equals what went in."""

from __future__ import annotations

import datetime as dt
import fractions
import math
import pathlib
import subprocess
import sys
import tempfile
import uuid
import zoneinfo
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from polars.testing import assert_frame_equal as assert_polars_equal
from polars.testing.parametric import dataframes as polars_frames

from jupyter_mlops.errors import DataError, NotFound, NotKept
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore

many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
N = 4


@pytest.fixture
def objects(tmp_path: Path) -> ObjectStore:
    return ObjectStore(tmp_path / "objects")


def through_a_new_store(value: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        return round_trip(value, ObjectStore(folder))


def round_trip(value: Any, objects: ObjectStore) -> Any:
    """Through the disk: a second store object reads what the first one wrote."""
    return snapshots.load(snapshots.freeze(value, objects).digest, ObjectStore(objects.where))


def same(a: Any, b: Any) -> bool:
    """Equality that knows types, NaN, NaT, NA and -0.0."""
    if type(a) is not type(b):
        return False
    if a is pd.NA or a is pd.NaT:
        return a is b
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(same(x, y) and same(a[x], b[y]) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and a.shape == b.shape and all(map(same, a.ravel().tolist(), b.ravel().tolist()))
    if isinstance(a, (float, np.floating)):
        return math.copysign(1, a) == math.copysign(1, b) and (a == b or (a != a and b != b))
    if isinstance(a, (complex, np.complexfloating)):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, Decimal):
        return a.compare_total(b) == 0
    return bool(a == b) or (a != a and b != b)


plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(st.characters(codec=None)),
    st.binary(),
    st.decimals(),
    st.fractions(),
    st.uuids(),
    st.dates(),
    st.times(),
    st.datetimes(),
    st.datetimes(timezones=st.timezones()),
    st.timedeltas(),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(...),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.int16, st.integers(-99, 99)),
    st.sampled_from(
        [Path("a/b.csv"), pathlib.PureWindowsPath("c:/x"), range(3), slice(1, None, 2), bytearray(b"x"), np.str_("x"), np.bool_(True)]
    ),
)
nested = st.recursive(
    plain,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.tuples(inner, inner), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@many
@given(cells=st.lists(nested, max_size=20))
def test_object_columns_of_mixed_values_come_back(cells: list[Any]) -> None:
    values = np.empty(len(cells), object)
    values[:] = cells
    back = through_a_new_store(pd.DataFrame({"mixed": pd.Series(values, dtype=object)}))
    assert back.dtypes.tolist() == [np.dtype(object)]
    assert all(map(same, cells, back["mixed"].tolist())), (cells, back["mixed"].tolist())


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo("Europe/Copenhagen"), fold=1),
        dt.time(1, 2, tzinfo=dt.UTC),
        dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=2), "home")),
        pd.Timestamp("2020-01-01 01:02:03.123456789"),
        pd.Timestamp("2020-06-01", tz="Europe/Paris"),
        pd.Timedelta(5, "ns"),
        pd.Period("2020-03", "M"),
        pd.Interval(0, 1.5, closed="both"),
        {1, 2, 3},
        frozenset({"a", None}),
        fractions.Fraction(1, 3),
        uuid.UUID(int=7),
        np.array([[1, 2], [3, 4]], np.int8),
        np.datetime64("2020", "D"),
        pd.offsets.MonthEnd(2),
        2**200,
        -(2**63),
        Decimal("sNaN12"),
        Decimal("-0"),
        "\ud800",
        float("-nan"),
    ],
    ids=repr,
)
def test_a_cell_comes_back(objects: ObjectStore, value: Any) -> None:
    back = round_trip(pd.Series([value, None], dtype=object), objects)[0]
    assert same(back, value)
    assert getattr(back, "fold", 0) == getattr(value, "fold", 0)


class Unknown:
    """A class of the user's."""


@pytest.mark.parametrize(
    "value", [Unknown(), lambda: 1, [1, Unknown()], {"a": object()}, open], ids=["instance", "lambda", "inside", "value", "builtin"]
)
def test_a_cell_without_a_rule_is_refused_by_column_row_and_type(objects: ObjectStore, value: Any) -> None:
    frame = pd.DataFrame({"fine": [1, 2], "odd": pd.Series([1, value], dtype=object)})
    with pytest.raises(DataError, match=r"Column odd, row 1: .*type .* cannot be frozen"):
        snapshots.freeze(frame, objects)


def test_a_list_that_contains_itself_is_refused(objects: ObjectStore) -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(DataError, match="contains itself"):
        snapshots.digest(pd.Series([loop], dtype=object))


DTYPES = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
)
ARRAYS = hnp.arrays(
    st.one_of(DTYPES, hnp.array_dtypes(DTYPES), hnp.nested_dtypes(DTYPES)), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)
)


@many
@given(array=ARRAYS)
def test_arrays_of_every_type_come_back(array: np.ndarray[Any, Any]) -> None:
    back = through_a_new_store(array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    assert snapshots.digest(back) == snapshots.digest(array)
    if array.dtype.names is None:
        assert back.tobytes() == array.tobytes() or array.dtype.itemsize >= 16
    else:
        assert repr(back.tolist()) == repr(array.tolist())


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(40).reshape(4, 10)[::2, ::-3],
        np.array(5),
        np.array([None, 1, "a"], object),
        np.array(["a", "bcd"], dtype=np.dtypes.StringDType()),
        np.array(["a", None], dtype=np.dtypes.StringDType(na_object=None)),
        np.array([1, 2], dtype=">i8"),
        np.zeros(2, np.dtype({"names": ["a", "b"], "formats": ["u1", "f8"], "offsets": [0, 8], "itemsize": 24})),
        np.rec.array([(1, "x")], dtype=[("a", "i4"), ("b", "U2")]),
        np.array([1, 2], np.longdouble),
        np.zeros((0, 3), "M8[25s]"),
        np.zeros((2, 0)),
        np.array([b"ab"], "V2"),
        np.broadcast_to(np.float64(1), (3, 3)),
        np.zeros(3, np.dtype([(("title", "name"), "i2")])),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back(objects: ObjectStore, array: np.ndarray[Any, Any]) -> None:
    back = round_trip(array, objects)
    assert (type(back), back.dtype, back.shape) == (type(array), array.dtype, array.shape)
    assert back.tolist() == array.tolist()
    assert back.flags.f_contiguous == (array.flags.f_contiguous or array.size == 0 or 1 in array.shape)


def test_a_masked_array_comes_back(objects: ObjectStore) -> None:
    array = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False], fill_value=-9.0)
    back = round_trip(array, objects)
    assert (back.tolist(), back.fill_value, back.dtype) == ([1.0, None, 3.0], -9.0, array.dtype)


@pytest.mark.parametrize("form", ["csr", "csc", "bsr", "coo", "dia", "lil", "dok"])
@pytest.mark.parametrize("family", ["matrix", "array"])
def test_sparse_matrices_come_back(objects: ObjectStore, form: str, family: str) -> None:
    kind = getattr(sparse, f"{form}_{family}")
    matrix = kind(sparse.random(30, 40, 0.1, random_state=1, dtype=np.float32))
    back = round_trip(matrix, objects)
    assert (type(back), back.shape, back.dtype) == (kind, matrix.shape, matrix.dtype)
    assert np.array_equal(back.toarray(), matrix.toarray())


COLUMNS: dict[str, Any] = {
    "float with NaN": [1.5, math.nan, -0.0, math.inf],
    "int": [1, -2, 3, 4],
    "bool": [True, False, True, True],
    "complex": [1j, 2, 3, 4],
    "str": ["a", None, "", "æøå 🎉"],
    "object": pd.Series([None, 1, "x", [1, {"a": b"b"}]], dtype=object),
    "string": pd.array(["a", None, "c", "d"], dtype="string"),
    "Int64": pd.array([1, None, 3, 4], dtype="Int64"),
    "UInt8": pd.array([1, None, 3, 4], dtype="UInt8"),
    "Float64": pd.array([1.5, None, math.nan, 4], dtype="Float64"),
    "boolean": pd.array([True, None, False, True], dtype="boolean"),
    "category": pd.Categorical(["b", "a", None, "b"], categories=["b", "c", "a"]),
    "ordered": pd.Categorical([1, 2, 1, 2], categories=[2, 1, 3], ordered=True),
    "naive time": pd.to_datetime(["2020", None, "2021", "2022"]),
    "nanoseconds": pd.to_datetime(["2020-01-01 00:00:00.000000001"] * N).as_unit("ns"),
    "zone": pd.date_range("2020-10-25", periods=N, freq="h", tz="Europe/Paris"),
    "offset": pd.date_range("2020", periods=N, tz=dt.timezone(dt.timedelta(hours=5, minutes=30))),
    "duration": pd.to_timedelta([1, None, 3, 4], unit="s"),
    "period": pd.PeriodIndex(["2020-01", None, "2020-03", "2020-04"], freq="M"),
    "interval": pd.arrays.IntervalArray.from_breaks(range(5), closed="left"),
    "interval of times": pd.interval_range(pd.Timestamp("2020"), periods=N),
    "sparse": pd.arrays.SparseArray([0, 0, 1, 0]),
    "sparse float": pd.arrays.SparseArray([math.nan, 1.0, math.nan, math.nan]),
    "arrow list": pd.array([[1], None, [], [2, 3]], dtype=pd.ArrowDtype(pa.list_(pa.int64()))),
    "arrow decimal": pd.array([Decimal("1.10"), None] * 2, dtype=pd.ArrowDtype(pa.decimal128(10, 2))),
    "int8": np.array([1, 2, 3, 4], np.int8),
    "arrow time": pd.array([dt.time(1), None] * 2, dtype=pd.ArrowDtype(pa.time64("us"))),
    "decimals": [Decimal("1.1"), None] * 2,
    "dates": [dt.date(2020, 1, 1)] * N,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_back_in_a_frame_a_series_and_an_index(objects: ObjectStore, name: str) -> None:
    column = pd.Series(COLUMNS[name])
    pd.testing.assert_series_equal(round_trip(column, objects), column)
    frame = pd.DataFrame({"before": range(N), name: COLUMNS[name]})
    pd.testing.assert_frame_equal(round_trip(frame, objects), frame, check_freq=True)
    index = pd.Index(column)
    pd.testing.assert_index_equal(round_trip(index, objects), index, exact=True)


FRAMES: dict[str, pd.DataFrame] = {
    "no rows": pd.DataFrame({"a": pd.Series([], dtype="Int64"), "s": pd.Series([], dtype=str)}),
    "nothing": pd.DataFrame(),
    "rows without columns": pd.DataFrame(index=range(3)),
    "repeated names": pd.DataFrame([[1, "x", 2.5]], columns=["a", "a", "b"]),
    "odd names": pd.DataFrame([[1] * 7], columns=pd.Index([1, None, ("t", 2), "", "\n", math.nan, dt.date(2020, 1, 1)], dtype=object)),
    "MultiIndex": pd.DataFrame(
        np.arange(24.0).reshape(6, 4),
        index=pd.MultiIndex.from_product([[1, 2], ["a", "b", None]], names=["k", None]),
        columns=pd.MultiIndex.from_product([["x", "y"], [1.5, math.nan]], names=[None, ("p", 1)]),
    ),
    "unused levels": pd.DataFrame({"a": range(6)}, index=pd.MultiIndex.from_product([[1, 2], ["a", "b", "c"]])).iloc[:2],
    "range index": pd.DataFrame({"a": [1, 2]}, index=pd.RangeIndex(10, 4, -3, name="r")),
    "categorical names": pd.DataFrame([[1, 2]], columns=pd.CategoricalIndex(["u", "v"])),
    "time index": pd.DataFrame({"a": range(4)}, index=pd.date_range("2020", periods=4, freq="2h", tz="UTC", name="when")),
    "from a matrix": pd.DataFrame(np.arange(20.0).reshape(4, 5)),
    "every other row": pd.DataFrame(np.arange(20.0).reshape(10, 2))[::2],
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back(objects: ObjectStore, name: str) -> None:
    back = round_trip(FRAMES[name], objects)
    pd.testing.assert_frame_equal(back, FRAMES[name], check_column_type=True, check_index_type=True, check_freq=True)
    assert [level.tolist() for level in getattr(back.index, "levels", [])] == [
        level.tolist() for level in getattr(FRAMES[name].index, "levels", [])
    ]


def test_attributes_and_flags_come_back(objects: ObjectStore) -> None:
    frame = pd.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
    frame.attrs = {"unit": "km", "limits": (0, None)}
    back = round_trip(frame, objects)
    assert (back.attrs, back.flags.allows_duplicate_labels) == ({"unit": "km", "limits": (0, None)}, False)
    frame.attrs["figure"] = Unknown()
    with pytest.raises(DataError, match="Column attrs"):
        snapshots.digest(frame)


@many
@given(frame=polars_frames(max_cols=4, max_size=20, excluded_dtypes=[pl.Object, pl.Int128, pl.UInt128]))
def test_polars_frames_come_back(frame: pl.DataFrame) -> None:
    back = through_a_new_store(frame)
    assert back.schema == frame.schema
    assert_polars_equal(back, frame)


ARROW: dict[str, pa.Array] = {
    "list": pa.array([[1, None], None, []], pa.list_(pa.int32())),
    "map": pa.array([[("a", 1)], None, []], pa.map_(pa.string(), pa.int64())),
    "struct": pa.array([{"x": 1, "y": ["a"]}, None, {"x": None, "y": []}]),
    "fixed list": pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int8(), 2)),
    "fixed bytes": pa.array([b"ab", None, b"cd"], pa.binary(2)),
    "uuid": pa.array([b"0" * 16, None, b"1" * 16], pa.uuid()),
    "null": pa.nulls(3),
    "decimal256": pa.array([Decimal("1.5"), None, Decimal("2.5")], pa.decimal256(40, 1)),
    "interval": pa.array([(1, 2, 3), None, (4, 5, 6)], pa.month_day_nano_interval()),
    "dictionary": pa.array(["a", "b", None]).dictionary_encode(),
    "half": pa.array([np.float16(1), None, np.float16(2)]),
    "bool": pa.array([True, None, False]),
    "ordered": pa.DictionaryArray.from_arrays(pa.array([2, None, 0], pa.int8()), pa.array(["lo", "mid", "hi"]), ordered=True),
    "date64": pa.array([0, None, 86_400_000], pa.date64()),
    "time32": pa.array([1, None, 2], pa.time32("s")),
    "zone": pa.array([1, None, 2], pa.timestamp("ns", "Asia/Tokyo")),
    "list of dictionaries": pa.ListArray.from_arrays([0, 1, 1, 3], pa.array(["a", "b", "a"]).dictionary_encode()),
    "duration": pa.array([1, None, 2], pa.duration("ms")),
}


@pytest.mark.parametrize("name", ARROW)
def test_arrow_values_come_back(objects: ObjectStore, name: str) -> None:
    array = ARROW[name]
    field = pa.field(name, array.type, metadata={"unit": "km"})
    table = pa.table([array], schema=pa.schema([field], metadata={b"about": b"x"}))
    back = round_trip(table, objects)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.column(0).to_pylist() == array.to_pylist()
    back.validate(full=True)
    for value in (array, array[1:], pa.chunked_array([array[:1], array[1:]]), table.to_batches()[0]):
        again = round_trip(value, objects)
        assert (type(again), again.to_pylist()) == (type(value), value.to_pylist())


def test_a_duckdb_result_comes_back_and_a_relation_is_left_alone(objects: ObjectStore) -> None:
    relation = duckdb.sql("select range as n, 'x' || range as t from range(5)")
    assert snapshots.freezable(relation) is None
    with pytest.raises(DataError, match="collect or fetch"):
        snapshots.digest(relation)
    table = relation.to_arrow_table()
    assert round_trip(table, objects).to_pylist() == table.to_pylist()


def test_lazy_and_one_shot_sources_are_never_consumed() -> None:
    table = pa.table({"a": [1, 2]})
    reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches())
    assert [snapshots.freezable(value) for value in (reader, pl.LazyFrame({"a": [1]}), iter([1]), "text", 1, pd.DataFrame)] == [None] * 6
    assert reader.read_all().num_rows == 2


def test_a_change_through_a_shared_buffer_is_not_in_the_snapshot(objects: ObjectStore) -> None:
    values = np.arange(1000.0)
    digest = snapshots.freeze(pd.DataFrame({"a": values}, copy=False), objects).digest
    values[:] = 0
    assert snapshots.load(digest, objects)["a"].tolist() == list(range(1000))


def test_the_record_describes_the_data(objects: ObjectStore) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    snapshot = snapshots.freeze(frame, objects, name="train")
    again = snapshots.freeze(frame, objects)
    described = snapshots.describe(snapshot.digest[:12], objects)
    assert (snapshot.name, snapshot.kind, snapshot.rows, snapshot.columns, snapshot.kept) == ("train", "frame", 2, 2, True)
    assert described.schema == (("a", "int64"), ("b", "str"))
    assert (snapshot.stored > 0, again.stored, again.digest, again.created) == (True, 0, snapshot.digest, snapshot.created)


def test_files_and_folders_come_back_as_they_are(tmp_path: Path, objects: ObjectStore) -> None:
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "deep/big.bin").write_bytes(np.random.default_rng(1).bytes(500_000))
    (folder / "nothing.txt").touch()
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("deep/big.bin")
    snapshot = snapshots.freeze_file(folder, objects)
    snapshots.restore(snapshot.digest, tmp_path / "back", objects)
    assert snapshots.digest_file(tmp_path / "back") == snapshot.digest == snapshots.digest_file(folder)
    assert (tmp_path / "back/link").readlink() == Path("deep/big.bin")
    assert (tmp_path / "back/run.sh").stat().st_mode & 0o111
    one = snapshots.freeze_file(folder / "deep/big.bin", objects)
    assert snapshots.load(one.digest, objects) == (folder / "deep/big.bin").read_bytes()
    assert one.stored < 1000
    with pytest.raises(NotFound, match="Check the path"):
        snapshots.freeze_file(tmp_path / "missing", objects)


def test_a_digest_that_is_not_here_is_named(objects: ObjectStore) -> None:
    with pytest.raises(NotKept, match="abababababababab"):
        snapshots.load("ab" * 32, objects)
    with pytest.raises(NotFound, match="0000"):
        snapshots.load("0000", objects)


def test_what_is_being_frozen_as_the_interpreter_ends_is_kept(tmp_path: Path) -> None:
    program = """
import atexit, sys
from pathlib import Path
import numpy as np, pandas as pd
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore
df = pd.DataFrame(np.random.default_rng(0).random((100_000, 3)), columns=list("abc"))
atexit.register(lambda: print(snapshots.freeze(df, ObjectStore(Path(sys.argv[1]))).digest))
"""
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "objects")], capture_output=True, text=True, check=False)
    assert ended.stderr == ""
    assert snapshots.load(ended.stdout.strip(), ObjectStore(tmp_path / "objects")).shape == (100_000, 3)
