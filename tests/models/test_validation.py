"""Data held against schemas and references, as its users have it: files, frames of any kind, and schemas that are wrong."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pytest
from pandera.io import pandas_io
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris, load_wine

from jupyter_mlops.errors import DataError, MlopsError, NotFound, SchemaRefused, UsageError
from jupyter_mlops.models.validation import bounds, learning, schemas
from jupyter_mlops.models.validation.checking import validate
from jupyter_mlops.models.validation.data import data_of
from jupyter_mlops.models.validation.expectations import Expectations
from jupyter_mlops.models.validation.schemas import Schema
from jupyter_mlops.records import Finding, Validation
from jupyter_mlops.store import snapshots
from jupyter_mlops.store.objects import ObjectStore

NOW = pd.Timestamp("2026-06-01", tz="UTC").timestamp()


def orders(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Rows of the usual kinds: a key, numbers, a rating, categories, truth values, times."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "order_id": np.arange(rows) + 10_000 * seed,
            "price": random.gamma(2.0, 30.0, rows),
            "rating": random.integers(1, 6, rows),
            "discount": np.where(random.random(rows) < 0.05, np.nan, random.random(rows)),
            "channel": random.choice(["shop", "web", "phone"], rows),
            "returned": random.random(rows) < 0.1,
            "at": pd.Timestamp("2026-05-01") + pd.to_timedelta(np.sort(random.random(rows)) * 30, unit="D"),
        }
    )


def learned(frame: pd.DataFrame, **options: Any) -> Schema:
    return learning.learn(frame, now=NOW, **options).schema


def found(frame: Any, schema: Any = None, reference: Any = None) -> list[tuple[str, str, int, tuple[int, ...]]]:
    """Check, column, count and rows of each finding."""
    validation = validate(frame, schema=schema, reference=reference, now=NOW)
    assert validation.verdict == ("failed" if validation.findings else "passed")
    return [(item.check, item.column, item.count, item.rows) for item in validation.findings]


def broken(name: str, value: Any, rows: tuple[int, ...] = (3, 7)) -> pd.DataFrame:
    frame = orders(seed=1)
    frame[name] = frame[name].astype(object)
    for row in rows:
        frame.loc[row, name] = value
    return frame.infer_objects()


def test_data_like_the_reference_passes_and_other_rows_of_it_do_too() -> None:
    schema = learned(orders())
    for seed in range(5):
        assert found(orders(seed=seed), schema) == []


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (broken("price", 1e6), ("range", "price", 2, (3, 7))),
        (broken("price", -1.0), ("range", "price", 2, (3, 7))),
        (broken("price", None), ("missing", "price", 2, (3, 7))),
        (broken("price", "n/a"), ("type", "price", 2, (3, 7))),
        (broken("rating", 6), ("range", "rating", 2, (3, 7))),
        (broken("rating", 2.5), ("type", "rating", 2, (3, 7))),
        (broken("channel", "fax"), ("category", "channel", 2, (3, 7))),
        (broken("channel", 7), ("type", "channel", 2, (3, 7))),
        (broken("order_id", 10_001, (3,)), ("duplicates", "order_id", 1, (3,))),
        (broken("at", pd.Timestamp("1970-01-01")), ("range", "at", 2, (3, 7))),
        (orders(seed=1).drop(columns="price"), ("columns", "price", 0, ())),
        (orders(seed=1).assign(discount=np.nan), ("missing", "discount", 400, (0, 1, 2, 3, 4))),
        (orders(seed=1).assign(at=lambda f: f["at"] - pd.Timedelta("20D")), ("freshness", "at", 1, (399,))),
        (orders(20, seed=1), ("rows", "", 20, ())),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_column_and_rows(frame: pd.DataFrame, expected: tuple[Any, ...]) -> None:
    assert found(frame, learned(orders())) == [expected]


def test_a_missing_value_in_whole_numbers_or_flags_is_told_once() -> None:
    for name in ("rating", "returned"):
        assert found(broken(name, None), learned(orders())) == [("missing", name, 2, (3, 7))]


def test_findings_say_what_and_show_values() -> None:
    (finding,) = validate(broken("channel", "fax"), schema=learned(orders()), now=NOW).findings
    assert finding.what == "2 of 400 values (0.5%) are not one of phone, shop, web."
    assert finding.examples == ("fax",)
    (finding,) = validate(broken("price", "n/a"), schema=learned(orders()), now=NOW).findings
    assert finding.what == "float64 is expected, found mixed types (float 398x, str 2x): 2 values (0.5%) cannot be taken for one."
    assert finding.examples == ("n/a",)


def test_repeated_rows_are_found_where_no_key_says_more() -> None:
    reference = orders().drop(columns="order_id")
    frame = orders(seed=1).drop(columns="order_id")
    assert found(pd.concat([frame, frame.head(30)]), learned(reference)) == [("duplicates", "", 30, (400, 401, 402, 403, 404))]


def test_drift_is_told_and_a_schema_is_learned_from_the_reference() -> None:
    frame = orders(seed=1).assign(price=lambda f: f["price"] * 1.4)
    validation = validate(frame, reference=orders(), now=NOW)
    assert [(item.check, item.column) for item in validation.findings] == [("drift", "price")]
    assert {item.column for item in validation.drift} == set(orders().columns) - {"order_id"}
    assert validate(orders(seed=2), reference=orders(), now=NOW).verdict == "passed"


@pytest.mark.parametrize("load", [load_iris, load_wine, load_breast_cancer, load_diabetes])
def test_one_half_of_real_data_is_like_the_other(load: Callable[..., Any]) -> None:
    frame = load(as_frame=True).frame
    half = frame.sample(frac=0.5, random_state=1)
    assert found(frame.drop(half.index), reference=half) == []


def test_without_a_schema_only_what_is_wrong_in_any_data_is_found() -> None:
    assert found(orders()) == []
    frame = pd.DataFrame([[1, 1.0, None, "x"], [1, np.inf, None, 3], [1, 1.0, None, "x"]], columns=["a", "a", "b", "c"])
    validation = validate(frame)
    assert [(item.check, item.column) for item in validation.findings] == [("columns", "a"), ("missing", "b"), ("range", "a")]
    assert any("several types" in note for note in validation.notes)
    assert found(frame.iloc[:0])[0] == ("rows", "", 0, ())


def test_freshness_is_told_of_texts_and_of_an_index_and_the_future_is_not_fresh() -> None:
    fresh = orders()
    late = fresh.assign(at=lambda f: f["at"] - pd.Timedelta("20D"))
    schema = learned(fresh)
    for made in (lambda f: f.astype({"at": str}), lambda f: f.assign(at=f["at"].dt.tz_localize("UTC"))):
        assert learned(made(fresh)).expected.freshness == schema.expected.freshness
        assert [item[:2] for item in found(made(late), learned(made(fresh)))] == [("freshness", "at")]
    assert [item[:2] for item in found(late.set_index("at"), learned(fresh.set_index("at")))] == [("freshness", "at")]
    (ahead,) = validate(fresh.assign(at=lambda f: f["at"] + pd.Timedelta("20D")), schema=schema, now=NOW).findings
    assert ahead.what.endswith("in the future.")
    assert learned(late.assign(at=lambda f: f["at"] - pd.Timedelta("900D"))).expected.freshness == {}


# -- schemas as files


def test_a_learned_schema_is_a_file_that_pandera_reads(tmp_path: Path) -> None:
    schema = learned(orders())
    learning.write(schema, tmp_path / "schemas" / "orders.yaml", "Learned from orders.")
    path = tmp_path / "schemas" / "orders.yaml"
    again = schemas.load(path)
    assert again.expected == schema.expected
    assert again.expected.rows == (40, 4000)
    assert again.expected.freshness == {"at": 4 * 86_400.0}
    assert found(broken("price", 1e6), again) == found(broken("price", 1e6), schema)
    own = pandas_io.from_yaml(path)
    own.validate(orders(seed=1))
    with pytest.raises(pa.errors.SchemaErrors, match="in_range"):
        own.validate(broken("price", 1e6), lazy=True)
    with pytest.raises(UsageError, match="exists already"):
        learning.write(schema, path)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({("a", "x"): range(30), ("a", "y"): [0.5] * 30, ("b", 1): list("xyz") * 10}),
        pd.DataFrame(np.arange(90.0).reshape(30, 3)),
        orders().set_index(["order_id", "channel"]),
        orders().set_index("at"),
        orders().astype({"channel": "category", "rating": "Int64", "returned": "boolean", "price": "float32"}),
        orders().assign(at=lambda f: f["at"].dt.tz_localize("Europe/Copenhagen"), span=pd.Timedelta("1D")),
        orders().assign(nested=[[1, {"a": 2}]] * 400, mixed=[1, "x"] * 200, none=None),
        orders().assign(returned=[True, None] * 200, period=pd.Period("2026-05"), between=pd.Interval(0, 1)),
        orders().assign(channel=lambda f: f["channel"].astype("string"), rating=lambda f: f["rating"].astype("int64[pyarrow]")),
        orders().assign(price=np.inf), orders().assign(price=[1e308, -1e308] * 200), orders().assign(at=pd.NaT),
        orders().assign(price=1j), orders().assign(channel=["", " ", "yes", "no"] * 100), orders(0), orders(1),
        orders().rename(columns={"price": "price"}).set_axis([1, "b", None, 2.5, ("x", "y"), "True", "no: #"], axis=1),
        pd.DataFrame(index=range(5)),
    ],
)  # fmt: skip
def test_any_frame_has_a_schema_that_it_meets(frame: pd.DataFrame, tmp_path: Path) -> None:
    learning.write(learned(frame), tmp_path / "schema.yaml")
    findings = validate(frame, schema=schemas.load(tmp_path / "schema.yaml"), now=NOW).findings
    # Tables without rows or columns, and numbers that are infinite, are wrong whatever was learned.
    assert [item.what for item in findings if "infinite" not in item.what and not item.what.startswith("There are no")] == []
    validate(frame, reference=frame, now=NOW)


PYTHON = """
import pandera.pandas as pa
from words import CHANNELS

class Orders(pa.DataFrameModel):
    price: float = pa.Field(gt=0)
    channel: str = pa.Field(isin=CHANNELS)

    @pa.dataframe_check
    def cheap_is_rated(cls, frame):
        return (frame["price"] > 1) | (frame["rating"] > 0)

    @pa.check("price", error="has two digits")
    def two_digits(cls, prices):
        return (prices - prices.round(2)).abs() < 1e-9

    class Config:
        metadata = {"mlops": {"freshness": {"at": "1h"}}}

class Strict(Orders):
    class Config:
        strict = True
"""


def test_schemas_are_python_too(tmp_path: Path) -> None:
    (tmp_path / "words.py").write_text("CHANNELS = ['shop', 'web']\n")
    (tmp_path / "orders.py").write_text(PYTHON)
    frame = orders().assign(price=lambda f: f["price"].round(2) + 0.01).head(10)
    frame.loc[4, "price"] = 5.123
    path = f"{tmp_path}/orders.py"
    with pytest.raises(SchemaRefused, match=r"it holds the schemas Orders, Strict: say which one, as orders.py:Orders"):
        schemas.load(Path(path))
    before = list(sys.path)
    told = validate(frame, schema=f"{path}:Orders", now=NOW)
    phones = tuple(np.flatnonzero(frame["channel"] == "phone").tolist())
    assert sys.path == before
    assert [(item.check, item.column, item.rows[:5]) for item in told.findings] == [
        ("category", "channel", phones[:5]), ("freshness", "at", (9,)), ("check", "price", (4,)),
    ]  # fmt: skip
    assert told.findings[2].what == "1 of 10 values (10%) fails: has two digits."
    strict = validate(frame, schema=f"{path}:Strict", now=NOW)
    assert {item.column for item in strict.findings if item.check == "columns"} == {"order_id", "rating", "discount", "returned", "at"}


def test_every_rule_of_pandera_is_told() -> None:
    schema = pa.DataFrameSchema(
        {
            "a": pa.Column(int, coerce=False), "b.*": pa.Column(float, regex=True), "c": pa.Column(int, pa.Check(lambda s: s.nosuch)),
            "d": pa.Column(str, pa.Check.str_matches("x")), "e": pa.Column(int, nullable=True, coerce=True, unique=True),
        },
        ordered=True, unique=["a", "d"], index=pa.Index(int, pa.Check.ge(0), name="i"),
        checks=[pa.Check(lambda f: f["a"].sum() > 100, error="the sum is large"), pa.Check(lambda f: f["nope"] > 0)],
    )  # fmt: skip
    frame = pd.DataFrame({"b1": [1.0, 2.0], "a": [1, 1], "c": [1, 1], "d": ["y", "y"], "e": [4, 4]}, index=pd.Index([-1, 2], name="j"))
    told = {(item.check, item.column): item.what for item in validate(frame, schema=schema).findings}
    assert told[("check", "c")].startswith("A check without a name (give it error='...') could not be checked: AttributeError")
    sentences = {item.what for item in validate(frame, schema=schema).findings if item.check == "check"}
    assert "The table does not meet: the sum is large." in sentences
    assert "A check without a name (give it error='...') could not be checked: KeyError(\"nope\")." in sentences
    assert told[("duplicates", "a, d")] == "1 row of 2 repeats the key (a, d) of an earlier one."
    assert told[("duplicates", "e")] == "1 value repeated (50%), though each is to occur once."
    assert told[("check", "d")].startswith("2 of 2 values (all) fail:")
    assert told[("range", "i")] == "1 of 2 values (50%) is not at least 0."
    assert told[("columns", "a")] == "It stands at another place than in the schema."
    assert schema.columns["e"].unique


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("a.yaml", "columns:\n  a: {dtyp: int64}\n", "line 2 cannot be used as a schema: the column 'a' has no key or check 'dtyp'"),
        ("a.yaml", "colums: {}\n", "line 1 cannot be used as a schema: there is no key 'colums': did you mean 'columns'?"),
        ("a.yaml", "columns:\n  a: {dtype: int64}\n  b: {dtype: intt}\n", "line 3 cannot be used as a schema: columns.b: pandera does not"),
        ("a.yaml", "columns:\n  a: {in_range: {min_value: 1}}\n", "line 2 cannot be used as a schema: columns.a: pandera does not take it"),
        ("a.yaml", "columns: {a: {}}\nmetadata:\n  mlops:\n    missing: {a: 5%}\n", "line 4 cannot be used as a schema: metadata.mlops."),
        ("a.yaml", "columns: {a: {}}\nmetadata: {mlops: {mising: {}}}\n", "there is no expectation 'mising': did you mean 'missing'?"),
        ("a.yaml", "a: [\n", "line 2 cannot be used as a schema: this is no YAML"),
        ("a.yaml", "- 1\n", "it has no table with the key 'columns'"),
        ("a.yaml", "", "it has no table with the key 'columns'"),
        ("a.yaml", "columns: {a: 3}\n", "the column 'a' is to be a table"),
        ("a.yaml", "columns: !!python/object/apply:os.system ['touch pwned']\n", "the tag 'python/object/apply:os.system' means"),
        ("a.json", "{", "it is no JSON"),
        ("a.py", "x = 1\nimport nosuch\n", "line 2 cannot be used as a schema: running it raised ModuleNotFoundError"),
        ("a.py", "def f(:\n", "line 1 cannot be used as a schema: this is no Python"),
        ("a.py", "raise SystemExit\n", "running it raised SystemExit"),
        ("a.py", "a = 1\n", "it holds no DataFrameSchema"),
        ("a.txt", "", "give a .yaml, .json or .py file"),
    ],
)  # fmt: skip
def test_a_schema_that_is_wrong_says_where_and_what(name: str, text: str, error: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SchemaRefused) as caught:
        schemas.load(tmp_path / name)
    assert error in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_without_pandera_one_sentence_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("columns: {a: {}}\n")
    monkeypatch.setitem(sys.modules, "pandera.pandas", None)
    for use in (lambda: schemas.load(tmp_path / "a.yaml"), lambda: learning.learn(orders())):
        with pytest.raises(UsageError, match=r"Schemas are pandera's: pip install 'jupyter_mlops\[data\]'."):
            use()


# -- data of any form


def test_files_and_snapshots_are_read_as_what_they_are(tmp_path: Path) -> None:
    frame = orders(30)
    objects = ObjectStore(str(tmp_path / "objects"))
    frame.to_csv(tmp_path / "o.csv.gz", index=False)
    frame.to_csv(tmp_path / "o.tsv", sep="\t", index=False)
    frame.to_parquet(tmp_path / "o.parquet")
    frame.to_feather(tmp_path / "o.feather")
    frame.to_json(tmp_path / "o.json", orient="records", date_format="iso")
    frame.to_json(tmp_path / "o.jsonl", orient="records", lines=True, date_format="iso")
    (tmp_path / "parts").mkdir()
    for part in range(3):
        frame.iloc[part * 10 : part * 10 + 10].to_parquet(tmp_path / "parts" / f"{part}.parquet")
    (tmp_path / "unnamed").write_bytes((tmp_path / "o.parquet").read_bytes())
    np.save(tmp_path / "o.npy", np.arange(60.0).reshape(30, 2))
    for name in ("o.csv.gz", "o.tsv", "o.parquet", "o.feather", "o.json", "o.jsonl", "parts", "unnamed", "o.npy"):
        data = data_of(tmp_path / name, objects)
        kept = snapshots.freeze_file(tmp_path / name, objects)
        assert (len(data.frame), data.digest) == (30, kept.digest), name
        if name not in ("o.csv.gz",):
            again = data_of(kept.digest[:12], objects)
            assert (len(again.frame), again.digest, again.frame.shape) == (30, kept.digest, data.frame.shape), name
    taken = snapshots.freeze(frame, objects)
    pd.testing.assert_frame_equal(data_of(taken.digest, objects).frame, frame)
    assert data_of(frame).digest == taken.digest
    import polars as pl

    assert data_of(pl.DataFrame({"a": [1, 2]})).frame.shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("a.csv", b"", "is empty, it has not even column names"),
        ("a.csv", b'a,b\n1,2\n1,2,3,4\n"', "cannot be read as a table"),
        ("a.parquet", b"PAR1 broken", "cannot be read as a table"),
        ("a.json", b"{", "cannot be read as a table"),
        ("a.pkl", b"\x80\x04N.", "is no table that can be read: give csv"),
        ("a.png", b"\x89PNG\0\0", "is no table that can be read: give csv"),
        ("a.npy", b"\x93NUMPY\x01\0", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_says_so_in_one_sentence(name: str, content: bytes, error: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        data_of(tmp_path / name)
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [3, {1, 2}, object(), np.zeros((2, 2, 2)), {"a": [1, 2], "b": [1]}, []])
def test_values_that_are_no_tables_say_so(value: Any) -> None:
    with pytest.raises(DataError, match="is no table"):
        data_of(value)


def test_unknown_names_and_digests_say_so(tmp_path: Path) -> None:
    objects = ObjectStore(str(tmp_path / "objects"))
    for given in ("nosuch.csv", "abcdef123456"):
        with pytest.raises(NotFound, match=given):
            data_of(given, objects)


# -- what a sample tells


def test_bounds_leave_the_slack_that_a_sample_needs() -> None:
    random = np.random.default_rng(3)
    beyond = 0
    for _ in range(200):
        low, high = bounds.span(pd.Series(random.exponential(size=200))) or (0, 0)
        beyond += int((random.exponential(size=200) > high).any())
        assert low == 0
    assert beyond <= 2
    assert bounds.span(pd.Series([1, 2, 3, 4, 5, 6, 7] * 20)) == (1, 7)
    assert bounds.span(pd.Series(random.poisson(3, 1000)))[1] > 12  # type: ignore[index]  # it has a range
    assert bounds.span(pd.Series([5] * 30)) is None
    assert bounds.missing(0.02, 10_000) == 0.04
    assert bounds.missing(0.02, 100) == 0.07
    assert bounds.missing(0.6, 100) is None
    assert bounds.freshness(0, 30 * 86_400, 31 * 86_400) == 3 * 86_400
    assert bounds.freshness(0, 30 * 86_400, 3000 * 86_400) is None


def test_keys_are_those_that_are_unique_by_no_chance() -> None:
    random = np.random.default_rng(4)
    assert bounds.is_key(pd.Series(np.arange(500)), "number")
    assert bounds.is_key(pd.Series([7, 900_000, 13]), "customer_id")
    assert not bounds.is_key(pd.Series(random.choice(10**9, 500, replace=False)), "amount")
    assert bounds.is_key(pd.Series([f"u{number}" for number in range(500)]), "user")
    assert not bounds.is_key(pd.Series([f"a note of number {number}" for number in range(500)]), "note")


def test_categories_are_listed_where_no_new_one_is_to_be_expected() -> None:
    assert bounds.categories(pd.Series(["a", "b", "c"] * 20)) == (["a", "b", "c"], "")
    listed, why = bounds.categories(pd.Series(["a", "b", "c"] * 20 + ["d"]))
    assert (listed, why[:34]) == ([], "1 of its 4 categories occurs only ")
    assert bounds.categories(pd.Series([f"v{number}" for number in range(300)] * 2)) == ([], "")


def test_a_million_rows_that_are_all_wrong_take_seconds() -> None:
    random = np.random.default_rng(5)
    frame = pd.DataFrame({f"x{number}": random.normal(size=1_000_000) for number in range(8)})
    frame["kind"] = random.choice(["a", "b", "c"], 1_000_000)
    schema = learned(frame.head(1000))
    worse = frame.assign(**{f"x{number}": frame[f"x{number}"] + 1000 for number in range(8)}, kind=frame["kind"] + "?")
    started = time.monotonic()
    validation = validate(worse, schema=schema)
    assert time.monotonic() - started < 30
    assert [item.count for item in validation.findings if item.check in ("range", "category")] == [1_000_000] * 9


def test_records_read_themselves_back() -> None:
    from jupyter_mlops.records import to_json

    validation = validate(broken("channel", "fax"), schema=learned(orders()), reference=orders(), now=NOW)
    again = Validation.from_json(to_json(validation))
    assert Finding.of(again.findings[0]) == validation.findings[0]


def test_expectations_that_are_none_are_none() -> None:
    assert Expectations().to_metadata() == {}
    assert issubclass(SchemaRefused, MlopsError)
