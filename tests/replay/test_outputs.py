"""What cells show and write, compared: words, sets, pages, pictures, plots, files."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import zipfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jupyter_mlops.code.statements import analyse
from jupyter_mlops.records import Output
from jupyter_mlops.replay.causes import BY_NAME, CAUSES, brought_in, dependence
from jupyter_mlops.replay.contents import compare_values
from jupyter_mlops.replay.outputs import compare_html, compare_images, compare_json, compare_outputs, compare_plots
from jupyter_mlops.replay.texts import Compared, Context, compare_texts, settled
from jupyter_mlops.replay.written import compare_bytes
from jupyter_mlops.store.objects import ObjectStore

from .hand_made import event

BAR = "100%|██████████| 10/10 [00:0{}<00:00, 9.8{}it/s]"
BAR_OF_RICH = "Epoch 0/9 ━━━━━━━━ 32/32 0:00:0{} • 0:00:00 45.2it/s train_loss: 0.{}"
POSTFIX = "100%|██████████| 10/10 [00:0{}<00:00,  9.81it/s, loss=0.34{}]"
PARALLEL = "[Parallel(n_jobs=2)]: Done  {} tasks      | elapsed:    0.{}s"
FOLD = "[CV {}/2] END ..............................C=1;, score=0.35{} total time=   0.{}s\n"
LIGHTGBM = (
    "[LightGBM] [Info] Auto-choosing {}-wise multi-threading, the overhead of testing was 0.00007{} seconds.\n"
    "You can set `force_{}_wise=true` to remove the overhead.\n[LightGBM] [Info] Total Bins 97"
)
CELL = Context(seconds=(4.0, 4.0), elapsed=(9.0, 9.0))
TIMED = Context(causes=frozenset({"time"}), seconds=(4.0, 4.0), elapsed=(9.0, 9.0))
TODAY = datetime.now().strftime("%Y/%m/%d")
ADDRESS = "<__main__.Net object at 0x7f12ab34cd{}>"


@pytest.mark.parametrize(
    ("recorded", "replayed", "context", "verdict", "excused"),
    [
        ("accuracy 0.91", "accuracy 0.91", CELL, "identical", False),
        ("accuracy 0.91", "accuracy 0.92", CELL, "different", False),
        ("loss 0.1234567890123", "loss 0.1234567890124", CELL, "tolerance", False),
        ("loss 0.1234", "loss 0.1235", CELL, "different", False),
        ("1000234,33,187,0.5", "1000234,33,187,0.5000000000001", CELL, "tolerance", False),
        ("1000234,33,187,0", "1000234,33,187,1", CELL, "different", False),
        ("[1,23,4]", "[12,3,4]", CELL, "different", False),
        ("customer 10000000001", "customer 10000000002", CELL, "different", False),
        ("2024-03-01 00:00:00 55.0", "2024-03-02 00:00:00 55.0", CELL, "different", False),
        ("9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5f", "9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e60", CELL, "uncompared", "in doubt"),
        ("{'b', 'a', 3}", "{3, 'a', 'b'}", CELL, "identical", False),
        ("{'b', 'a', 3}", "{4, 'a', 'b'}", CELL, "different", False),
        ("{'b': 1, 'a': 2}", "{'a': 2, 'b': 1}", CELL, "different", False),
        ("['b', 'a']", "['a', 'b']", CELL, "different", False),
        ("['b', 'a']", "['a', 'b']", Context(causes=frozenset({"hash order"})), "uncompared", True),
        ("Wall time: 1.2 s", "Wall time: 1.4 s", CELL, "uncompared", True),
        ("Wall time: 1.2 s\n5", "Wall time: 1.4 s\n6", CELL, "different", False),
        ("the mean trip took 12.3 min", "the mean trip took 14.1 min", CELL, "different", False),
        ("accuracy 0.91 in 3.2 s", "accuracy 0.91 in 3.4 s", TIMED, "uncompared", "in doubt"),
        ("made 1712345678", "made 1712349999", TIMED, "uncompared", "in doubt"),
        ("made 2024-01-01", "made 2024-01-02", TIMED, "uncompared", "in doubt"),
        ("trip of 12 h", "trip of 13 h", CELL, "different", False),
        ("Epoch    1/100 | loss: 0.5231", "Epoch    1/100 | loss: 0.5232", CELL, "different", False),
        ("a    b", "a     b", CELL, "different", False),
        (BAR_OF_RICH.format(1, 5), BAR_OF_RICH.format(2, 5), CELL, "uncompared", True),
        (BAR_OF_RICH.format(1, 5), BAR_OF_RICH.format(1, 6), CELL, "different", False),
        ("10/10 ━━━━━━ 1s 12ms/step - loss: 0.5", "10/10 ━━━━━━ 2s 13ms/step - loss: 0.5", CELL, "uncompared", True),
        ("10/10 ━━━━━━ 1s 12ms/step - loss: 0.5", "10/10 ━━━━━━ 1s 12ms/step - loss: 0.6", CELL, "different", False),
        (POSTFIX.format(1, 5), POSTFIX.format(2, 5), CELL, "uncompared", True),
        (POSTFIX.format(1, 5), POSTFIX.format(1, 6), CELL, "different", False),
        ("7it [00:01,  5.2it/s, loss=0.5]", "7it [00:02,  3.1it/s, loss=0.5]", CELL, "uncompared", True),
        ("7it [00:01,  5.2it/s, loss=0.5]", "7it [00:01,  5.2it/s, loss=0.6]", CELL, "different", False),
        ("<Model acc=0.91 0x7f12ab34cd50>", "<Model acc=0.91 0x7f12ab34cd60>", CELL, "uncompared", True),
        ("<Model acc=0.91 0x7f12ab34cd50>", "<Model acc=0.92 0x7f12ab34cd60>", CELL, "different", False),
        ("<Model acc=0.91 at 0x7f12ab34cd50>", "<Model acc=0.92 at 0x7f12ab34cd60>", CELL, "different", False),
        (PARALLEL.format(46, 1), PARALLEL.format(46, 2), CELL, "uncompared", True),
        (PARALLEL.format(46, 1), PARALLEL.format(46, 1) + "\n" + PARALLEL.format(60, 2), CELL, "uncompared", True),
        (FOLD.format(1, 5, 1) + FOLD.format(2, 6, 1), FOLD.format(2, 6, 3) + FOLD.format(1, 5, 1), CELL, "uncompared", True),
        (FOLD.format(1, 5, 1) + FOLD.format(2, 6, 1), FOLD.format(2, 7, 1) + FOLD.format(1, 5, 1), CELL, "different", False),
        (LIGHTGBM.format("row", 1, "row"), LIGHTGBM.format("col", 2, "col"), CELL, "uncompared", True),
        ("2024/01/01 12:00:00 INFO x", f"{TODAY} 13:00:00 INFO x", CELL, "uncompared", True),
        ("2024/01/01 12:00:00 INFO x", f"{TODAY} 13:00:00 INFO y", CELL, "different", False),
        ("a", "Matplotlib is building the font cache; this may take a moment.\na", CELL, "uncompared", True),
        ("/p/x.py:3: SyntaxWarning: invalid escape\n  '\\d'\na", "a", CELL, "uncompared", True),
        ("/p/x.py:3: SyntaxWarning: invalid escape\n  '\\d'\na", "b", CELL, "different", False),
        ("['b', 'a', 'd', 'c']", "['a', 'b', 'c', 'd']", Context(causes=frozenset({"hash order"})), "uncompared", "in doubt"),
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
    recorded: str, replayed: str, context: Context, verdict: str, excused: bool | str
) -> None:
    found = compare_texts(recorded, replayed, context)
    assert (found.verdict, found.excused, found.doubtful) == (verdict, bool(excused), excused == "in doubt")


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if cause.pattern is not None], ids=lambda cause: cause.name)
def test_the_pattern_of_a_cause_finds_its_example(cause: Any) -> None:
    assert cause.pattern.search(cause.example) is not None


def test_a_printed_duration_is_left_out_and_the_result_beside_it_is_not() -> None:
    source = "print(f'accuracy {accuracy:.2f} in {time.time() - t0:.1f}')"
    context = Context(causes=frozenset({"time"}), statements=[(analyse(source)[0], frozenset({"time"}))], elapsed=(9.0, 9.0))
    assert compare_texts("accuracy 0.91 in 3.2", "accuracy 0.91 in 3.4", context).verdict == "uncompared"
    found = compare_texts("accuracy 0.91 in 3.2", "accuracy 0.92 in 3.4", context)
    assert (found.verdict, found.recorded, found.replayed) == ("different", "accuracy 0.91 in «time»", "accuracy 0.92 in «time»")


@pytest.mark.parametrize(
    ("source", "causes", "doubtful"),
    [
        ("print(f'{a} in {time.perf_counter() - t0:.1f}')", {"time"}, False),
        ("took = round(time.time() - t0, 1)\nprint(f'{a} in {took}')", {"time"}, False),
        ("print(f'{a} in {trip_time}')", {"time"}, True),
        ("took = train(time.time())\nprint(f'{a} in {took}')", {"time"}, True),
        ("took = cross_validate(m, X)\nprint(f'{a} in {took}')", {"time"}, True),
        ("print(f'{a} in {trip_time}')", {"hash order"}, True),
    ],
)
def test_a_printed_time_is_in_doubt_unless_it_is_read_from_the_clock(source: str, causes: set[str], doubtful: bool) -> None:
    statements = [(statement, frozenset(causes)) for statement in analyse(source)]
    found = compare_texts("a in 3.2", "a in 3.4", Context(causes=frozenset(causes), statements=statements, elapsed=(9.0, 9.0)))
    assert (found.verdict, found.excused, found.doubtful) == ("uncompared", True, doubtful)


def test_words_that_only_the_code_excuses_are_in_doubt_until_a_second_replay() -> None:
    context = Context(causes=frozenset({"unrecorded generator"}))
    found = compare_texts("drawn 0.4567", "drawn 0.9876", context)
    assert (found.verdict, found.excused, found.doubtful) == ("uncompared", True, True)
    assert settled(found, compare_texts("drawn 0.4567", "drawn 0.1111", context))
    coarse, timed = compare_texts("took 2.5", "took 2.7", TIMED), compare_texts("2 of 5.1234", "3 of 5.2345", TIMED)
    assert not settled(coarse, compare_texts("took 2.5", "took 2.7", TIMED))
    assert settled(timed, compare_texts("2 of 5.1234", "3 of 5.3456", TIMED))
    named = compare_texts("trained in 3.2 s", "trained in 3.4 s", TIMED)
    assert settled(named, compare_texts("trained in 3.2 s", "trained in 3.5 s", TIMED))
    assert not settled(named, compare_texts("trained in 3.2 s", "trained in 3.4 s", TIMED))
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
    assert all(cause.pattern or cause.code or cause.name in ("interrupted", "this package's own output") for cause in CAUSES)


HEX = "0123456789abcdef" * 2, "fedcba9876543210" * 2
UUID = "9f1c2d3e-4b5a-4c6d-8e7f-0a1b2c3d4e5"
SUMMARY = (
    "<tr><th>Date:</th>             <td>Sun, {}</td> <th>  Prob (F-statistic):</th> <td>4.16e-18</td></tr>\n"
    "<tr><th>Time:</th>                 <td>10:{}:29</td>     <th>  Log-Likelihood:    </th> <td> -{}.458</td></tr>"
)


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
        (
            f"<div id='map_{HEX[0]}'>5</div><script>map_{HEX[0]}.x</script>",
            f"<div id='map_{HEX[1]}'>5</div><script>map_{HEX[1]}.x</script>",
            "identical",
        ),
        (f"<a href='#arrow-{HEX[0]}-0'>5</a>", f"<a href='#arrow-{HEX[1]}-0'>6</a>", "different"),
        (f"<td>{HEX[0]}</td>", f"<td>{HEX[1]}</td>", "different"),
        (f"<a id='{UUID}5'>x</a>", f"<a id='{UUID}6'>x</a>", "identical"),
        (f"<td>{UUID}5</td>", f"<td>{UUID}6</td>", "uncompared"),
        (SUMMARY.format("22 Nov 2026", 47, 16), SUMMARY.format("23 Nov 2026", 48, 16), "uncompared"),
        (SUMMARY.format("22 Nov 2026", 47, 16), SUMMARY.format("23 Nov 2026", 48, 17), "different"),
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
    assert compare_plots(json.dumps({"data": [plot]}), json.dumps({"data": [plot | change]})).verdict == verdict


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ({"id": 1}, {"id": 2}, "different"),
        ({"x": [1767225600000, 1]}, {"x": [1767225601000, 1]}, "different"),
        ({"a": ["<A at 0x7f12ab34cd50>", 1]}, {"a": ["<A at 0x7f12ab34cd60>", 1]}, "uncompared"),
        ({"a": ["<A at 0x7f12ab34cd50>", 1]}, {"a": ["<A at 0x7f12ab34cd60>", 2]}, "different"),
        ({"a": ["{'b', 'a'}", 1]}, {"a": ["{'a', 'b'}", 2]}, "different"),
        ({"a": ["{'b', 'a'}", 1]}, {"a": ["{'a', 'b'}", 1.0000000000001]}, "tolerance"),
    ],
)
def test_of_all_that_differs_in_json_the_worst_counts(a: Any, b: Any, verdict: str) -> None:
    assert compare_json(json.dumps(a), json.dumps(b)).verdict == verdict


def test_each_of_several_results_is_compared_and_a_bare_widget_is_not(tmp_path: Path) -> None:
    store = ObjectStore(tmp_path / "objects")

    def side(first: str) -> list[Output]:
        widget = Output(kind="display", data={"application/vnd.jupyter.widget-view+json": {"model_id": first}})
        return [widget, *(Output(kind="result", data={"text/plain": text}) for text in (first, "5"))]

    found = {shown.name: shown.compared for shown in compare_outputs(side("3"), side("4"), (store, store))}
    assert {name: item.verdict for name, item in found.items()} == {
        "display 1": "uncompared",
        "result": "different",
        "result 2": "identical",
    }
    assert not found["display 1"].excused


@pytest.mark.parametrize(
    ("replayed", "causes", "verdict", "doubtful", "certain"),
    [
        ({"fit_time": [0.1, 0.3], "score": [0.5, 0.6]}, {"time"}, "uncompared", True, False),
        ({"fit_time": [0.1, 0.3], "score": [0.5, 0.6]}, set(), "different", False, False),
        ({"fit_time": [0.1, 0.3], "score": [0.5, 0.7]}, {"time"}, "different", False, True),
        ({"fit_time": [0.1, 0.2], "score": [0.5, 0.7]}, {"time"}, "different", False, False),
        ({"fit_time": [0.1, 0.2], "score": [0.5, 0.6 + 1e-14]}, set(), "tolerance", False, False),
    ],
)
def test_columns_of_times_are_in_doubt_where_the_code_asks_the_clock(
    replayed: dict[str, list[float]], causes: set[str], verdict: str, doubtful: bool, certain: bool
) -> None:
    found = compare_values(pd.DataFrame({"fit_time": [0.1, 0.2], "score": [0.5, 0.6]}), pd.DataFrame(replayed), frozenset(causes))
    assert (found.verdict, found.doubtful, found.certain) == (verdict, doubtful, certain)


def test_a_changed_index_differs_though_its_numbers_are_close() -> None:
    found = compare_values(FRAME, NEAR.set_index(pd.Index([0, 1, 5])))
    assert found == Compared("different", "other index, row 2", recorded="2", replayed="5")


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
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=1), gzip.compress(b"a\n1\n", mtime=2), "identical"),
        ("a.csv.gz", gzip.compress(b"a\n1\n", mtime=1), gzip.compress(b"a\n2\n", mtime=2), "different"),
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
