"""Equal values have one digest; every value counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from jupyter_mlops.store.snapshots import digest

WORDS = ["a", None, "", "longer than twelve bytes", "æøå"]
TEXT = pa.array(WORDS)


def with_garbage_under_nulls(garbage: int) -> pa.Array:
    values = np.array([1, garbage, 3], np.int64)
    return pa.Array.from_buffers(pa.int64(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(values)])


def with_text_under_nulls(text: bytes) -> pa.Array:
    offsets = np.array([0, 1, 1 + len(text), 2 + len(text)], np.int32)
    return pa.Array.from_buffers(pa.string(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(offsets), pa.py_buffer(b"a" + text + b"b")])


LIST = pa.array([[1, 2], None, [3]])
EQUAL: dict[str, tuple[Any, Any]] = {
    "chunks": (pa.chunked_array([TEXT]), pa.chunked_array([TEXT[:2], TEXT[2:2], TEXT[2:]])),
    "offset": (pa.table({"a": TEXT[1:]}), pa.table({"a": pa.array(WORDS[1:])})),
    "large strings": (pa.table({"a": TEXT}), pa.table({"a": TEXT.cast(pa.large_string())})),
    "string views": (pa.table({"a": TEXT}), pa.table({"a": TEXT.cast(pa.string_view())})),
    "binary": (pa.table({"a": TEXT.cast(pa.binary())}), pa.table({"a": TEXT.cast(pa.large_binary())})),
    "bytes under nulls": (with_garbage_under_nulls(2), with_garbage_under_nulls(77)),
    "text under nulls": (with_text_under_nulls(b""), with_text_under_nulls(b"xyz")),
    "validity that says nothing": (
        pa.array([1, 2]),
        pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\xff"), pa.array([1, 2]).buffers()[1]]),
    ),
    "bits": (pa.table({"a": pa.array([True, False, True] * 9)[5:]}), pa.table({"a": pa.array(([True, False, True] * 9)[5:])})),
    "list layout": (pa.table({"a": LIST}), pa.table({"a": LIST.cast(pa.large_list(pa.int64()))})),
    "run ends": (pa.table({"a": pa.array([1, 1, 2])}), pa.table({"a": pa.RunEndEncodedArray.from_arrays([2, 3], [1, 2])})),
    "dictionary order": (
        pa.array(["a", "b", "a"]).dictionary_encode(),
        pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int32()), pa.array(["b", "a", "z"])),
    ),
    "pandas str": (pd.Series(WORDS, dtype="str"), pd.Series(pd.array(WORDS, dtype=pd.StringDtype("python", na_value=np.nan)))),
    "pandas nullable": (pd.array([1, None], dtype="Int64"), pd.arrays.IntegerArray(np.array([1, 99]), np.array([False, True]))),
    "blocks": (
        pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list("abc")),
        pd.DataFrame({"a": np.arange(0.0, 12, 3), "b": np.arange(1.0, 12, 3), "c": np.arange(2.0, 12, 3)}),
    ),
    "memory order": (np.arange(12).reshape(3, 4), np.asfortranarray(np.arange(12).reshape(3, 4))),
    "strides": (np.arange(20)[::3], np.arange(20)[::3].copy()),
    "polars chunks": (pl.DataFrame({"a": ["x", "y"]}), pl.concat([pl.DataFrame({"a": ["x"]}), pl.DataFrame({"a": ["y"]})], rechunk=False)),
    "padding of a record": (
        np.zeros(2, np.dtype([("a", "u1"), ("b", "f8")], align=True)),
        np.frombuffer(bytes([0, *range(1, 8), *([0] * 8)] * 2), np.dtype([("a", "u1"), ("b", "f8")], align=True)),
    ),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_values_have_one_digest(name: str) -> None:
    one, other = (pd.Series(value) if isinstance(value, pd.api.extensions.ExtensionArray) else value for value in EQUAL[name])
    assert digest(one) == digest(other)


NAN, OTHER_NAN = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(float)
DIFFERENT: dict[str, tuple[Any, Any]] = {
    "signed zero": (np.array([0.0]), np.array([-0.0])),
    "bits of NaN": (np.array([NAN]), np.array([OTHER_NAN])),
    "type": (pd.Series([1, 2]), pd.Series([1, 2], dtype="int32")),
    "null and NaN": (pa.array([1.0, None]), pa.array([1.0, float("nan")])),
    "null and nothing": (pa.array(["a", None]), pa.array(["a", ""])),
    "where a text ends": (pa.array(["ab", "c"]), pa.array(["a", "bc"])),
    "where a list ends": (pa.array([[1, 2], [3]]), pa.array([[1], [2, 3]])),
    "shape": (np.arange(6).reshape(2, 3), np.arange(6).reshape(3, 2)),
    "name of a column": (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
    "order of columns": (pd.DataFrame({"a": [1], "b": [1]}), pd.DataFrame({"b": [1], "a": [1]})),
    "type of a name": (pd.DataFrame([[1]], columns=[1]), pd.DataFrame([[1]], columns=["1"])),
    "index": (pd.Series([1, 2]), pd.Series([1, 2], index=[1, 0])),
    "order of categories": (pd.Categorical(["a"], categories=["a", "b"]), pd.Categorical(["a"], categories=["b", "a"])),
    "unused category": (pd.Categorical(["a"], categories=["a"]), pd.Categorical(["a"], categories=["a", "b"])),
    "time zone": (pd.Series(pd.to_datetime(["2020"]).tz_localize("UTC")), pd.Series(pd.to_datetime(["2020"]).tz_localize("Asia/Tokyo"))),
    "library": (pl.DataFrame({"a": [1]}), pa.table({"a": [1]})),
    "text and number": (pd.Series([1, "1"], dtype=object), pd.Series(["1", 1], dtype=object)),
    "True and 1": (pd.Series([True, 1], dtype=object), pd.Series([1, 1], dtype=object)),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_every_value_counts(name: str) -> None:
    one, other = (pd.Series(value) if isinstance(value, pd.api.extensions.ExtensionArray) else value for value in DIFFERENT[name])
    assert digest(one) != digest(other)


def test_a_change_in_row_15000_of_20000_is_seen() -> None:
    frame = pd.DataFrame({"a": np.arange(20_000.0), "s": ["x"] * 20_000})
    digests = {digest(frame)}
    for column, value in (("a", -1.0), ("s", "y")):
        changed = frame.copy()
        changed.loc[15_000, column] = value
        digests.add(digest(changed))
    assert len(digests) == 3


@pytest.mark.parametrize("bit", [0, 8 * 8_000_000 // 2, 8 * 8_000_000 - 1])
def test_one_flipped_bit_among_a_million_floats_is_seen(bit: int) -> None:
    values = np.random.default_rng(0).standard_normal(1_000_000)
    before = digest(values)
    values.view(np.uint8)[bit // 8] ^= 1 << bit % 8
    assert digest(values) != before


def test_digests_do_not_change_between_versions() -> None:
    """Stored snapshots are found by these; a change of one needs a new format number."""
    assert digest(pd.DataFrame({"a": [1, 2], "s": ["x", None]})) == "2525d7886cedcc056626a7e881a8c04936d1a473be47d9ee9c50e900f2cd1b89"
    assert digest(np.arange(3.0)) == "fc733bbffffcb986798e2298c709053d9c69a66c7d088c7d21a3523c2791a841"
