"""What cells show and write, compared: words, sets, pages, pictures, plots, files."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jupyter_mlops.code.statements import analyse
from jupyter_mlops.records import Output
from jupyter_mlops.replay.causes import BY_NAME, CAUSES, brought_in, dependence
from jupyter_mlops.replay.outputs import compare_html, compare_images, compare_json, compare_outputs
from jupyter_mlops.replay.texts import Compared, Context, compare_texts, settled
from jupyter_mlops.replay.written import compare_bytes
from jupyter_mlops.store.objects import ObjectStore

from .hand_made import event

BAR = "100%|██████████| 10/10 [00:0{}<00:00, 9.8{}it/s]"
CELL = Context(seconds=(4.0, 4.0), elapsed=(9.0, 9.0))
TIMED = Context(causes=frozenset({"time"}), seconds=(4.0, 4.0), elapsed=(9.0, 9.0))
ADDRESS = "<__main__.Net object at 0x7f12ab34cd{}>"


@pytest.mark.parametrize(
    ("recorded", "replayed", "context", "verdict", "excused"),
    [
        ("accuracy 0.91", "accuracy 0.91", CELL, "identical", False),
        ("accuracy 0.91", "accuracy 0.92", CELL, "different", False),
        ("loss 0.1234567890123", "loss 0.1234567890124", CELL, "tolerance", False),
        ("loss 0.1234", "loss 0.1235", CELL, "different", False),
        ("{'b', 'a', 3}", "{3, 'a', 'b'}", CELL, "identical", False),
        ("{'b', 'a', 3}", "{4, 'a', 'b'}", CELL, "different", False),
        ("{'b': 1, 'a': 2}", "{'a': 2, 'b': 1}", CELL, "different", False),
        ("['b', 'a']", "['a', 'b']", CELL, "different", False),
        ("['b', 'a']", "['a', 'b']", Context(causes=frozenset({"hash order"})), "uncompared", True),
        ("Wall time: 1.2 s", "Wall time: 1.4 s", CELL, "uncompared", True),
        ("Wall time: 1.2 s\n5", "Wall time: 1.4 s\n6", CELL, "different", False),
        ("the mean trip took 12.3 min", "the mean trip took 14.1 min", CELL, "different", False),
        ("accuracy 0.91 in 3.2 s", "accuracy 0.91 in 3.4 s", TIMED, "uncompared", True),
        ("accuracy 0.91 in 3.2 s", "accuracy 0.92 in 3.4 s", TIMED, "different", False),
        ("accuracy 0.91 in 3.2 s", "accuracy 0.91 in 3.4 s", CELL, "different", False),
        (ADDRESS.format("50"), ADDRESS.format("60"), CELL, "uncompared", True),
        ("mask 0xff00ff", "mask 0xff00fe", CELL, "different", False),
        (BAR.format(1, 1), BAR.format(2, 2), CELL, "uncompared", True),
        (BAR.format(1, 1) + "\n0.5", BAR.format(2, 2) + "\n0.6", CELL, "different", False),
        (" 5%|\r 9%|\r" + BAR.format(1, 1), " 7%|\r" + BAR.format(1, 1), CELL, "uncompared", True),
        ("9/9 [===] - 1s 12ms/step - loss: 0.5", "9/9 [===] - 2s 13ms/step - loss: 0.5", CELL, "uncompared", True),
        ("9/9 [===] - 1s 12ms/step - loss: 0.5", "9/9 [===] - 2s 13ms/step - loss: 0.6", CELL, "different", False),
        ("/tmp/ipykernel_1/2.py:3: W: x", "/tmp/ipykernel_9/2.py:3: W: x", CELL, "uncompared", True),
        ("/tmp/ipykernel_1/2.py:3: W: x", "/tmp/ipykernel_9/2.py:3: W: y", CELL, "different", False),
        ("/home/ada/p/x.csv", "/tmp/s/p/x.csv", Context(folders=(("/home/ada/p",), ("/tmp/s/p",))), "uncompared", True),
        ("/home/ada/p/x.csv", "/tmp/s/p/y.csv", Context(folders=(("/home/ada/p",), ("/tmp/s/p",))), "different", False),
        ("5", "6\x1b[0m", CELL, "different", False),
        ("\x1b[31m5\x1b[0m", "5", CELL, "identical", False),
        ("", "5", CELL, "different", False),
    ],
)
def test_texts_are_compared_but_for_what_a_cause_explains(
    recorded: str, replayed: str, context: Context, verdict: str, excused: bool
) -> None:
    found = compare_texts(recorded, replayed, context)
    assert (found.verdict, found.excused, found.doubtful) == (verdict, excused, False)


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.pattern is not None], ids=lambda cause: cause.name)
def test_the_pattern_of_a_cause_finds_its_example(cause: Any) -> None:
    assert cause.pattern.search(cause.example) is not None


def test_a_printed_duration_is_left_out_and_the_result_beside_it_is_not() -> None:
    source = "print(f'accuracy {accuracy:.2f} in {time.time() - t0:.1f}')"
    context = Context(causes=frozenset({"time"}), statements=[(analyse(source)[0], frozenset({"time"}))], elapsed=(9.0, 9.0))
    assert compare_texts("accuracy 0.91 in 3.2", "accuracy 0.91 in 3.4", context).verdict == "uncompared"
    found = compare_texts("accuracy 0.91 in 3.2", "accuracy 0.92 in 3.4", context)
    assert (found.verdict, found.recorded, found.replayed) == ("different", "accuracy 0.91 in «time»", "accuracy 0.92 in «time»")


def test_words_that_only_the_code_excuses_are_in_doubt_until_a_second_replay() -> None:
    context = Context(causes=frozenset({"unrecorded generator"}))
    found = compare_texts("drawn 0.4567", "drawn 0.9876", context)
    assert (found.verdict, found.excused, found.doubtful) == ("uncompared", True, True)
    assert settled(found, compare_texts("drawn 0.4567", "drawn 0.1111", context))
    assert not settled(found, compare_texts("drawn 0.4567", "drawn 0.9876", context))


@pytest.mark.parametrize(
    ("cells", "seq", "name", "causes"),
    [
        (["import time\nt = time.time()", "d = t + 1"], 2, "d", {"time"}),
        (["import time\nt = time.time()", "t = 3", "d = t + 1"], 3, "d", set()),
        (["def f():\n    return time.time()", "x = f()"], 2, "x", {"time"}),
        (["t = perf_counter()", "def f():\n    return t", "x = f()"], 3, "x", {"time"}),
        (["rows = []", "rows.append(uuid.uuid4())", "n = rows[0]"], 3, "n", {"uuid", "unrecorded generator"}),
        (["x = np.random.default_rng().normal()"], 1, "x", {"unrecorded generator"}),
        (["x = np.random.default_rng(3).normal()"], 1, "x", set()),
        (["x = list(set(names))"], 1, "x", {"hash order"}),
        (["cv = cross_validate(m, X, y)"], 1, "cv", {"time"}),
        (["m = LogisticRegression().fit(X, y)", "a = m.score(X, y)"], 2, "a", set()),
        (["x = requests.get('http://h').json()"], 1, "x", {"live state"}),
    ],
)
def test_causes_follow_the_names(cells: list[str], seq: int, name: str, causes: set[str]) -> None:
    found = dependence([event(place, source) for place, source in enumerate(cells, 1)])
    assert found.of(seq, name) == causes


def test_every_cause_with_code_is_found_in_its_own_example_or_pattern() -> None:
    assert brought_in(BY_NAME["unrecorded generator"].example) == {"unrecorded generator"}
    assert brought_in(BY_NAME["hash order"].example) == {"hash order"}
    assert all(cause.pattern or cause.code or cause.name == "interrupted" for cause in CAUSES)


def _png(array: Any, **information: str) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    told, out = PngInfo(), io.BytesIO()
    for name, text in information.items():
        told.add_text(name, text)
    Image.fromarray(array).save(out, "PNG", pnginfo=told)
    return out.getvalue()


PICTURE = np.full((20, 30, 3), 200, np.uint8)
EDGE, POINT = PICTURE.copy(), PICTURE.copy()
EDGE[3, 4] = 202
POINT[3, 4] = (10, 200, 200)


@pytest.mark.parametrize(
    ("other", "verdict"),
    [
        (_png(PICTURE, Software="another"), "identical"),
        (_png(EDGE), "tolerance"),
        (_png(POINT), "different"),
        (_png(PICTURE[1:]), "different"),
    ],
)
def test_pictures_are_compared_pixel_by_pixel(other: bytes, verdict: str) -> None:
    assert compare_images(_png(PICTURE), other).verdict == verdict


def test_a_changed_pixel_is_named() -> None:
    found = compare_images(_png(PICTURE), _png(POINT))
    assert (found.recorded, found.replayed, found.why) == (
        "rgba(200, 200, 200, 255) at 4, 3", "rgba(10, 200, 200, 255) at 4, 3", "1 of 600 pixels differ"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ("<td id='T_1a2b3_row0'>5</td>", "<td id='T_9f8e7_row0'>5</td>", "identical"),
        ("<td id='T_1a2b3_row0'>5</td>", "<td id='T_9f8e7_row0'>6</td>", "different"),
        ("<b>#sk-container-id-1 {}</b>", "<b>#sk-container-id-4 {}</b>", "identical"),
        ("<p>{&#x27;a&#x27;, &#x27;b&#x27;}</p>", "<p>{&#x27;b&#x27;, &#x27;a&#x27;}</p>", "identical"),
    ],
)
def test_pages_are_compared_without_the_names_of_their_parts(a: str, b: str, verdict: str) -> None:
    assert compare_html(a, b).verdict == verdict


@pytest.mark.parametrize(
    ("change", "verdict"),
    [({}, "identical"), ({"uid": "zz"}, "identical"), ({"y": [1, 2.0000000000001]}, "tolerance"), ({"y": [1, 3]}, "different")],
)
def test_interactive_plots_are_compared_by_their_data(change: dict[str, Any], verdict: str) -> None:
    plot = {"x": [1, 2], "y": [1, 2.0], "uid": "ab"}
    assert compare_json(json.dumps({"data": [plot]}), json.dumps({"data": [plot | change]})).verdict == verdict


def test_streams_are_joined_and_what_is_missing_differs(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")
    text = "x" * 40_000
    first = [
        Output(kind="stream", name="stdout", data={"text/plain": "a\n"}),
        Output(kind="display", data={"text/plain": "shown"}),
        Output(kind="stream", name="stdout", data={"text/plain": "b\n"}),
        Output(kind="result", data={"text/plain": {"object": store.put(text.encode()), "size": len(text)}}),
    ]
    second = [
        Output(kind="stream", name="stdout", data={"text/plain": "a\nb\n"}),
        Output(kind="result", data={"text/plain": text}),
    ]
    found = {shown.name: shown.compared for shown in compare_outputs(first, second, (store, store))}
    assert {name: item.verdict for name, item in found.items()} == {"stdout": "identical", "display 1": "different", "result": "identical"}
    assert (found["display 1"].recorded, found["display 1"].replayed) == ("shown", "(nothing)")
    assert [shown.compared.verdict for shown in compare_outputs([], first[1:2], (store, store))] == ["different"]


def _zip(stamp: int, text: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", (2020, 1, stamp, 0, 0, 0)), text)
    return out.getvalue()


def _written(write: Any) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def _arrays(shift: int) -> bytes:
    return _written(lambda out: np.savez(out, x=np.arange(3) + shift))


def _database(path: Path, value: float) -> bytes:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x REAL)")
    connection.execute("INSERT INTO t VALUES (?)", (value,))
    connection.commit()
    connection.close()
    return path.read_bytes()


FRAME = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": list("xyz")})
OTHER = FRAME.assign(a=[1.0, 2.0, 4.0])
NEAR = FRAME.assign(a=[1.0, 2.0, 3.0 + 1e-13])


@pytest.mark.parametrize(
    ("name", "a", "b", "verdict"),
    [
        ("a.parquet", _written(FRAME.to_parquet), _written(lambda out: FRAME.to_parquet(out, compression="gzip")), "identical"),
        ("a.parquet", _written(FRAME.to_parquet), _written(OTHER.to_parquet), "different"),
        ("a.parquet", _written(FRAME.to_parquet), _written(NEAR.to_parquet), "tolerance"),
        ("a.csv", b"a,b\n1,2\n", b"a,b\n1,3\n", "different"),
        ("a.zip", _zip(1, "x"), _zip(2, "x"), "identical"),
        ("a.zip", _zip(1, "x"), _zip(2, "y"), "different"),
        ("a.npz", _arrays(0), _arrays(0), "identical"),
        ("a.npz", _arrays(0), _arrays(1), "different"),
        ("a.pdf", b"%PDF /CreationDate (D:2020) x", b"%PDF /CreationDate (D:2021) x", "identical"),
        ("a.pdf", b"%PDF /CreationDate (D:2020) x", b"%PDF /CreationDate (D:2021) y", "different"),
        ("a.png", _png(PICTURE), _png(PICTURE, Software="x"), "identical"),
        ("a.bin", b"\xff\x00", b"\xff\x01", "different"),
        ("a.json", b'{"a": 1}', b'{"a": 2}', "different"),
        ("a.parquet", b"no parquet", b"at all", "different"),
    ],
)
def test_files_are_compared_by_what_they_hold(name: str, a: bytes, b: bytes, verdict: str) -> None:
    assert compare_bytes(name, a, b).verdict == verdict


def test_databases_are_compared_by_their_rows(tmp_path: Path) -> None:
    first, same, other = (_database(tmp_path / name, value) for name, value in (("a", 1.0), ("b", 1.0), ("c", 2.0)))
    assert compare_bytes("x.db", first, same).verdict == "identical"
    assert compare_bytes("x.db", first, other).verdict == "different"


def test_the_first_row_and_column_that_differ_are_named() -> None:
    found = compare_bytes("a.parquet", _written(FRAME.to_parquet), _written(OTHER.to_parquet))
    assert found == Compared("different", "column a, row 2", recorded="3.0", replayed="4.0")
