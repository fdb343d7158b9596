"""The log of predictions: what a service writes, what is read of it, and the truth that comes later; batch scoring."""

from __future__ import annotations

import json
import math
import random
import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyarrow import parquet

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import DataError, NotFound, UsageError
from jupyter_mlops.models.predictions import feeding, labels, log, reading, redaction, scoring, sealing, segments, streams
from jupyter_mlops.models.predictions.ids import ids, is_id, milliseconds, request_of
from jupyter_mlops.models.predictions.log import Log
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.registry import state_of
from jupyter_mlops.surfaces import cli
from tests.models import made
from tests.models.logs import START, rows, settings_of, written


def files(project: Path, pattern: str, name: str = "flights") -> list[Path]:
    return sorted(segments.folder_of(settings_of(project), name).glob(pattern))


# -- ids


def test_ids_sort_by_time_and_never_meet() -> None:
    made = [item for _ in range(200) for item in ids(3)]
    assert len(set(made)) == len(made)
    assert all(map(is_id, made))
    early, late = ids(2, at=1_000.5), ids(1, at=1_000.501)
    assert sorted([*late, *early]) == [*early, *late]
    assert milliseconds(late[0]) == 1_000_501
    assert {request_of(item) for item in early} == {early[0][:-4]}
    assert not is_id("plan")


# -- writing and reading


def test_what_is_logged_is_read_back_as_it_was(project: Path) -> None:
    settings = settings_of(project)
    log = Log(settings, "flights")
    one, two = ids(2, at=START), ids(1, at=START + 1)
    log.write({"a": np.array([1.0, math.nan]), "b": ["x", None]}, np.array([0, 1]), ids=one, version=3, seconds=0.25)
    log.write((["a", "b"], [[5, "y"]]), ["late"], ids=two, version=4, role="challenger")
    log.close()
    found = [reading.find(settings, item) for item in (*one, *two)]
    assert [(item.model, item.version, item.role, item.at) for item in found] == [
        ("flights", 3, "champion", START),
        ("flights", 3, "champion", START),
        ("flights", 4, "challenger", START + 1),
    ]
    assert [item.output for item in found] == ["0", "1", "late"]  # one log has one type: a version that answers with texts makes it text
    assert (found[0].inputs, found[0].seconds, found[0].batch) == ({"a": 1.0, "b": "x"}, 0.25, one[0][:-4])
    assert math.isnan(found[1].inputs["a"])
    assert found[1].inputs["b"] is None
    assert found[2].inputs == {"a": 5.0, "b": "y"}
    assert reading.counts(settings, "flights") == {3: 2, 4: 1}
    assert reading.span(settings, "flights") == (START, START + 1)
    assert reading.losses(settings, "flights") == []


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (np.array([[0.1, 0.9], [0.4, 0.6]]), [[0.1, 0.9], [0.4, 0.6]]),
        ({"low": [1, 2], "high": [3.5, 4.5]}, [{"low": 1, "high": 3.5}, {"low": 2, "high": 4.5}]),
        (pd.DataFrame({"p": [1.5, 2.5]}), [1.5, 2.5]),
        (pd.Series(["a", "b"], dtype="category"), ["a", "b"]),
        ([None, "x"], [None, "x"]),
        ([2**80, 1], [str(2**80), "1"]),
        ([{"box": [1, 2]}, None], [{"box": [1, 2]}, None]),
        (np.array([True, False]), [True, False]),
    ],
)
def test_outputs_of_every_shape_are_logged(project: Path, output: Any, expected: list[Any]) -> None:
    log = Log(settings_of(project), "m")
    log.write({"a": [1, 2]}, output, ids=ids(2), version=1)
    log.close()
    assert log.counts["failed"] == 0
    assert reading.read(settings_of(project), "m").column("output").to_pylist() == expected


def test_a_log_is_read_while_it_is_written(project: Path) -> None:
    settings = settings_of(project)
    log = Log(settings, "flights")
    some = ids(5)
    log.write(rows(5), [0] * 5, ids=some, version=1)
    assert log.flush()
    assert reading.find(settings, some[3]).inputs["flight"] == 3
    assert reading.read(settings, "flights").num_rows == 5
    assert reading.counts(settings, "flights") == {1: 5}
    log.write(rows(5), [0] * 5, ids=ids(5), version=1)
    log.close()
    assert reading.read(settings, "flights").num_rows == 10
    assert not files(project, "*.arrows")
    assert not files(project, "*.count")


def test_rows_are_chosen_by_time_version_role_and_column(project: Path) -> None:
    settings = settings_of(project)
    written(project, requests=10, version=1)
    written(project, requests=10, version=2, start=START + 600)
    read = reading.read(settings, "flights", start=START + 60, end=START + 180, columns=["inputs.flight"])
    assert (read.schema.names, read.column(0).to_pylist()) == (["inputs.flight"], list(range(100, 300)))
    assert reading.read(settings, "flights", version=2, columns=["at"]).num_rows == 1000
    assert reading.read(settings, "flights", version=3).num_rows == 0
    assert reading.read(settings, "flights", role="shadow").num_rows == 0
    assert reading.read(settings, "flights", columns=["inputs.nosuch"]).column(0).null_count == 2000
    whole = reading.read(settings, "flights")
    assert whole.schema.names == [
        "id", "at", "version", "role", "seconds", "output", "inputs.flight", "inputs.distance", "inputs.origin", "truth"
    ]  # fmt: skip
    assert sum(batch.num_rows for batch in reading.batches(settings, "flights")) == 2000
    assert reading.read(settings, "nobody").num_rows == 0
    assert reading.models(settings) == ["flights"]


def test_a_schema_that_changes_from_version_to_version_is_one_when_it_is_read(project: Path) -> None:
    settings = settings_of(project)
    log = Log(settings, "m")
    given = ({"a": [1, 2]}, {"a": [0.5, 1.5], "b": ["x", "y"]}, {"b": [1, 2]}, {"a": [None, None]}, {"a": ["text", "t"]})
    for version, inputs in enumerate(given):
        log.write(inputs, [version, version], ids=ids(2, at=START + version), version=version)
        log.flush()
    log.close()
    assert log.counts["failed"] == 0
    read = reading.read(settings, "m").sort_by("id")
    assert read.column("inputs.a").to_pylist() == ["1", "2", "0.5", "1.5", None, None, None, None, "text", "t"]
    assert read.column("inputs.b").to_pylist() == [None, None, "x", "y", "1", "2", *[None] * 4]


def test_what_cannot_be_logged_is_counted_and_the_rest_is_there(project: Path) -> None:
    settings = settings_of(project)
    log = Log(settings, "m")
    good = ids(2)
    log.write({"a": [1, 2]}, [0, 1], ids=good, version=1)
    log.write({"a": [1, 2, 3]}, [0, 1], ids=ids(2), version=1)
    log.write(object(), [0], ids=ids(1), version=1)
    log.close()
    assert (log.counts["written"], log.counts["failed"]) == (2, 3)
    assert reading.read(settings, "m").column("id").to_pylist() == good
    assert [(item["rows"], item["why"]) for item in reading.losses(settings, "m")] == [(3, "they could not be written as columns")]


def test_a_share_of_rows_is_kept(project: Path) -> None:
    random.seed(1)
    np.random.seed(1)
    log = Log(settings_of(project), "m", sample=0.25)
    for size in (1, 10, 200):
        for _ in range(2000 // size):
            log.write({"a": np.zeros(size)}, np.zeros(size), ids=ids(size), version=1)
    log.close()
    kept = reading.read(settings_of(project), "m").num_rows
    assert kept == log.counts["accepted"] == 6000 - log.counts["not_sampled"]
    assert 1300 < kept < 1700
    assert reading.losses(settings_of(project), "m") == []


def test_hidden_columns_are_hashes_that_still_join(project: Path) -> None:
    settings = settings_of(project)
    (project / "pyproject.toml").write_text('[tool.mlops.models.m]\nredact = ["name", "age"]\n')
    log = Log(settings, "m", redact=("name", "age"))
    made = ids(4)
    log.write({"name": ["ann", "bob", "ann", None], "age": [30, 40, 30, 50], "b": [1, 2, 3, 4]}, [0] * 4, ids=made, version=1)
    log.close()
    read = reading.read(settings, "m").to_pydict()
    names = read["inputs.name"]
    assert names[0] == names[2] != names[1]
    assert names[3] is None
    assert all(re.fullmatch(r"hash:[0-9a-f]{16}", name) for name in (*names[:3], *read["inputs.age"]))
    folder = segments.folder_of(settings, "m")
    assert not any(b"ann" in path.read_bytes() for path in folder.iterdir())
    assert (settings.home / "redaction.key").stat().st_mode & 0o077 == 0
    found = labels.join(settings, "m", pd.DataFrame({"name": ["ann", "eve"], "age": [30.0, 30.0], "truth": [7, 8]}), key=("name", "age"))
    assert (found.matched, found.new, found.missing) == (1, 2, ({"row": 1, "key": "eve, 30.0"},))
    assert redaction.key(settings.home) == redaction.key(settings.home)


def test_a_service_that_is_faster_than_the_disk_goes_on_and_the_loss_is_told(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    append = streams.Stream.append
    monkeypatch.setattr(streams.Stream, "append", lambda self, batch: (gate.wait(10), append(self, batch))[1])
    monkeypatch.setattr(log, "QUEUE_ROWS", 1000)
    service = Log(settings_of(project), "m")
    started = time.perf_counter()
    taken = sum(service.write({"a": np.zeros(100)}, np.zeros(100), ids=ids(100), version=1) for _ in range(20))
    assert time.perf_counter() - started < 1
    gate.set()
    service.close()
    assert taken == 1000
    assert reading.read(settings_of(project), "m").num_rows == 1000
    told = [(item["rows"], item["why"]) for item in reading.losses(settings_of(project), "m")]
    assert told == [(1000, "they came faster than the disk took them")]


def test_logging_costs_the_service_little(project: Path) -> None:
    service = Log(settings_of(project), "m")
    inputs, output = {f"f{place}": np.zeros(16) for place in range(30)}, np.zeros(16)
    costs = []
    for _ in range(5):
        started = time.thread_time()
        for _ in range(200):
            service.write(inputs, output, ids=ids(16), version=1, seconds=0.001)
        costs.append((time.thread_time() - started) / 200 / 16)
        service.flush()
    service.close()
    assert min(costs) < 5e-6, f"{min(costs) * 1e6:.1f} microseconds a row"


# -- segments


def test_streams_are_sealed_and_small_segments_merged(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(project)
    made = [item for number in range(10) for item in written(project, requests=1, start=START + number)]
    sealing.tidy(settings, "flights", grace=0)
    assert len(files(project, "*.parquet")) < 8
    read = reading.read(settings, "flights", columns=["id"]).column("id").to_pylist()
    assert read == sorted(made)
    assert [reading.find(settings, item).id for item in made[::97]] == made[::97]
    assert reading.counts(settings, "flights") == {1: 1000}
    monkeypatch.setattr(log, "STREAM_ROWS", 150)
    service = Log(settings, "flights")
    for number in range(6):
        service.write(rows(100), np.zeros(100, "int64"), ids=ids(100, at=START + 100 + number), version=2)
        service.flush()
    service.close()
    assert reading.counts(settings, "flights") == {1: 1000, 2: 600}


def test_a_reader_sees_every_row_once_while_segments_are_merged(project: Path) -> None:
    settings = settings_of(project)
    made = [item for number in range(12) for item in written(project, requests=1, start=START + number)]
    batches = reading.batches(settings, "flights", columns=["id"])
    first = next(batches).column("id").to_pylist()
    sealing.tidy(settings, "flights")
    rest = [item for batch in batches for item in batch.column("id").to_pylist()]
    assert sorted(first + rest) == sorted(made)


def test_several_processes_and_threads_write_one_log(project: Path) -> None:
    settings = settings_of(project)
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(written(project, requests=20, size=10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    read = reading.read(settings, "flights", columns=["id"]).column("id").to_pylist()
    assert sorted(read) == sorted(item for made in found for item in made)
    assert reading.losses(settings, "flights") == []


def test_predictions_go_when_their_time_is_over(project: Path) -> None:
    settings = settings_of(project)
    (project / "pyproject.toml").write_text('[tool.mlops.models.flights]\nretention = "90d"\n')
    old = written(project, requests=1, start=time.time() - 100 * 86_400)
    new = written(project, requests=1, start=time.time() - 10)
    labels.join(settings, "flights", pd.DataFrame({"id": [old[0], new[0]], "truth": [1, 1]}))
    sealing.tidy_all(settings)
    assert reading.read(settings, "flights", columns=["id"]).column("id").to_pylist() == new
    with pytest.raises(NotFound, match=r"There is no prediction 'p\w+'\. It was not sampled, its time to be kept is over"):
        reading.find(settings, old[0])


def test_names_of_models_are_folders_that_stay_in_the_log(project: Path) -> None:
    settings = settings_of(project)
    for name in ("..", "a b", "x/../../y", "ä"):
        written(project, name, requests=1, size=1)
        assert segments.folder_of(settings, name).parent == settings.home / "predictions"
    assert reading.models(settings) == sorted(["..", "a b", "x/../../y", "ä"])


def test_a_segment_is_a_file_that_other_tools_read(project: Path) -> None:
    written(project)
    table = parquet.read_table(files(project, "*.parquet")[0])
    assert table.num_rows == 1000
    assert pc.sum(table.column("inputs.flight")).as_py() == sum(range(1000))


# -- labels


def test_the_truth_comes_late_in_pieces_and_twice(project: Path) -> None:
    settings = settings_of(project)
    made = written(project)
    half = pd.DataFrame({"id": made[:500], "late": np.arange(500) % 2})
    first = labels.join(settings, "flights", half)
    assert (first.matched, first.new, first.changed, first.unchanged, first.unmatched) == (500, 500, 0, 0, 0)
    assert (first.key, first.truth) == (("id",), "late")
    again = labels.join(settings, "flights", half)
    assert (again.new, again.changed, again.unchanged) == (0, 0, 500)
    assert len(files(project, "labels-*")) == 1
    whole = pd.DataFrame({"prediction_id": made[::-1], "late": [5] * 1000})
    last = labels.join(settings, "flights", whole)
    assert (last.new, last.changed, last.unchanged) == (500, 500, 0)
    assert reading.find(settings, made[0]).truth == 5
    assert [item["truth"] for item in labels.history(settings, "flights", made[0])] == [5, 0]
    read = reading.read(settings, "flights", columns=["truth"])
    assert read.column("truth").to_pylist() == [5] * 1000
    assert reading.read(settings, "flights", start=START + 60, end=START + 61, columns=["truth"]).num_rows == 100


def test_many_files_of_labels_become_one_and_keep_their_history(project: Path) -> None:
    settings = settings_of(project)
    made = written(project, requests=1)
    for number in range(20):
        labels.join(settings, "flights", pd.DataFrame({"id": made[:3], "truth": [number, number + 0.5, number]}))
    assert len(segments.load(segments.folder_of(settings, "flights")).labels) < 10
    history = [item["truth"] for item in labels.history(settings, "flights", made[1])]
    assert history == [number + 0.5 for number in reversed(range(20))]
    assert reading.read(settings, "flights", columns=["truth"]).column("truth").to_pylist()[:4] == [19, 19.5, 19, None]


def test_rows_that_belong_to_no_prediction_are_named(project: Path) -> None:
    settings = settings_of(project)
    made = written(project, requests=1)
    frame = pd.DataFrame({"id": [made[0], ids(1)[0], "nonsense", made[1], made[1]], "truth": [1.0, 1.0, 1.0, 0.0, 3.0]})
    found = labels.join(settings, "flights", frame)
    assert (found.matched, found.new, found.unmatched) == (2, 2, 2)
    assert [item["row"] for item in found.missing] == [1, 2]
    assert found.missing[1]["key"] == "nonsense"
    assert found.notes == ("1 rows repeat the key of a later one, which counts.",)
    assert reading.find(settings, made[1]).truth == 3.0
    empty = labels.join(settings, "flights", pd.DataFrame({"id": made[2:4], "truth": [np.nan, 1.0]}))
    assert (empty.empty, empty.matched) == (1, 1)


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_labels_come_from_files_by_columns_of_the_model(project: Path, form: str) -> None:
    settings = settings_of(project)
    written(project)
    frame = pd.DataFrame({"flight": range(900, 1100), "origin": ["EWR", "JFK"] * 100, "late": [1] * 200, "note": "x"})
    path = project / f"truth.{form}"
    {"csv": lambda: frame.to_csv(path, index=False), "parquet": lambda: frame.to_parquet(path)}.get(
        form, lambda: frame.to_json(path, orient="records", lines=True)
    )()
    found = labels.join(settings, "flights", path, key=("flight", "origin"), truth="late")
    assert (found.matched, found.new, found.unmatched) == (100, 100, 100)
    assert found.missing[0] == {"row": 100, "key": "1000, EWR"}
    assert len(found.missing) == 20


@pytest.mark.parametrize(
    ("frame", "options", "error"),
    [
        ({"a": [1]}, {}, "no column id or prediction_id with ids of predictions: name the columns to join by with --key, such as --key a."),
        ({"flight": [1], "x": [1], "y": [2]}, {"key": ("flight",)}, "Say which column holds the truth, with --truth: one of x, y."),
        ({"flight": [1], "x": [1]}, {"key": ("flight",), "truth": "z"}, "The labels have no column 'z': they have flight, x."),
        ({"tail": [1], "x": [1]}, {"key": ("tail",)}, "no column 'tail' to join by: they have flight, distance, origin."),
    ],
)
def test_labels_that_cannot_be_joined_say_how(project: Path, frame: dict[str, Any], options: dict[str, Any], error: str) -> None:
    written(project, requests=1)
    with pytest.raises(UsageError, match=re.escape(error)):
        labels.join(settings_of(project), "flights", pd.DataFrame(frame), **options)
    with pytest.raises(NotFound, match="There are some of flights"):
        labels.join(settings_of(project), "other", pd.DataFrame({"id": ["x"], "y": [1]}))


def test_what_is_missing_is_no_key_and_equal_keys_are_one(project: Path) -> None:
    settings = settings_of(project)
    log = Log(settings, "m", redact=("who",))
    (project / "pyproject.toml").write_text('[tool.mlops.models.m]\nredact = ["who"]\n')
    made = ids(4)
    who, flight = np.array([1.0, np.nan, np.nan, 4.0]), pd.concat([pd.Series(["5", None]), pd.Series(["7", None])])
    log.write({"who": who, "delay": who, "flight": flight}, [0] * 4, ids=made, version=1)
    log.close()
    assert log.counts["written"] == 4
    for column in ("who", "delay"):
        found = labels.join(settings, "m", pd.DataFrame({column: [np.nan, 4.0, np.nan], "truth": [1, 2, 3]}), key=(column,))
        assert (found.matched, found.unmatched) == (1, 2)
        assert [item["row"] for item in found.missing] == [0, 2]
    # A hash hides the same of a column that pandas joined from several.
    text = pd.concat([pd.Series(["1", None]), pd.Series(["9"])], ignore_index=True)
    assert labels.join(settings, "m", pd.DataFrame({"who": text, "truth": [1, 2, 3]}), key=("who",)).matched == 1
    frame = pd.DataFrame({"flight": pd.Series([5, "5", None, np.nan, None], dtype=object), "truth": [7, 8, 9, 9, 9]})
    found = labels.join(settings, "m", frame, key=("flight",))
    assert (found.matched, found.unmatched, found.notes) == (1, 3, ("1 rows repeat the key of a later one, which counts.",))
    assert reading.find(settings, made[0]).truth == 8
    assert reading.find(settings, made[1]).truth is None
    both = pd.DataFrame({"flight": ["5", None, None], "delay": [1.0, 4.0, 4.0], "truth": [6, 6, 6]})
    assert labels.join(settings, "m", both, key=("flight", "delay")).matched == 1


def test_labels_by_the_command_line_are_in_the_audit_log(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = written(project, requests=1)
    pd.DataFrame({"id": made, "late": 1}).to_csv(project / "late.csv", index=False)
    assert cli.run(["labels", "flights", "late.csv"]) == 0, capsys.readouterr().err
    assert "100 of 100 rows belong to predictions of flights, by id." in capsys.readouterr().out
    assert cli.run(["labels", "flights", "late.csv", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unchanged"] == 100
    entries = Audit(state_of(Settings(project=project))).entries("flights")
    assert [(entry.what, entry.details["new"], entry.details["source"]) for entry in entries] == [("labelled", 100, "late.csv")]


# -- batch scoring


@pytest.fixture
def flights(project: Path) -> Settings:
    """A project with a registered model that is champion."""
    settings = Settings(project=project)
    made.registered(settings, "flights")
    return settings


def expected(frame: pd.DataFrame) -> list[int]:
    return [int(value) for value in made.fitted(made.flights()).predict(frame)]


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl", "folder", "frame", "table"])
def test_files_and_frames_are_predicted_in_chunks(flights: Settings, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "CHUNK_ROWS", 64)
    frame = made.flights(200, seed=3).drop(columns=["late"])
    path: Any = flights.project / f"data.{form}"
    match form:
        case "csv":
            frame.to_csv(path, index=False)
        case "parquet":
            frame.to_parquet(path)
        case "jsonl":
            frame.to_json(path, orient="records", lines=True, double_precision=15)
        case "folder":
            path.mkdir()
            frame.iloc[:90].to_parquet(path / "a.parquet")
            frame.iloc[90:].to_parquet(path / "b.parquet")
        case "frame":
            path = frame
        case _:
            path = pa.Table.from_pandas(frame)
    found = scoring.predict(flights, "flights", path)
    assert (found.rows, list(found.predictions), found.version) == (200, expected(frame), 1)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_predictions_are_written_beside_the_data_and_logged(
    flights: Settings, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(feeding, "CHUNK_ROWS", 64)
    frame = made.flights(150, seed=4)
    frame.to_csv("data.csv", index=False)
    assert cli.run(["predict", "flights@champion", "data.csv", "--out", f"out.{form}", "--log"]) == 0, capsys.readouterr().err
    told = capsys.readouterr().out
    assert "flights/1" in told
    assert "150 rows of data.csv" in told
    assert f"written to out.{form}" in told
    out = pd.read_csv("out.csv") if form == "csv" else pd.read_parquet("out.parquet")
    assert list(out.columns) == [*frame.columns, "prediction", "prediction_id"]
    assert out["prediction"].tolist() == expected(frame.drop(columns=["late"]))
    assert np.allclose(out["hour"], frame["hour"])
    row = reading.find(flights, out["prediction_id"][140])
    assert (row.model, row.version, row.output) == ("flights", 1, out["prediction"][140])
    assert list(row.inputs) == ["distance", "hour", "origin"]
    joined = labels.join(flights, "flights", out, truth="late", key=())
    assert (joined.key, joined.new) == (("prediction_id",), 150)
    assert cli.run(["predict", "flights", "data.csv", "--out", f"out.{form}"]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"hour": None}, "Column 'hour' (double) is missing: the model needs it, and the data has 'distance', 'origin'."),
        ({"hour": "noon"}, "Column 'hour' in row 3 must be a number (double), not 'noon'."),
        ({"origin": 7}, "Column 'origin' in row 3 must be a text (string), not 7."),
        ({"hour": True}, "Column 'hour' in row 3 must be a number (double), not True."),
    ],
)
def test_data_that_does_not_fit_the_signature_is_refused_by_the_column(flights: Settings, change: dict[str, Any], error: str) -> None:
    frame = made.flights(10).drop(columns=["late"]).astype(object)
    for name, value in change.items():
        frame = frame.drop(columns=[name]) if value is None else frame
        if value is not None:
            frame.loc[3, name] = value
    with pytest.raises(DataError, match=re.escape(error)):
        scoring.predict(flights, "flights", frame, out=flights.project / "out.csv")
    assert not list(flights.project.glob("*out.csv*"))


@pytest.mark.parametrize(
    ("kind", "values", "fits"),
    [
        ("long", [1, 2**40], [1, 2**40]),
        ("long", [1.0, 2.0], [1, 2]),
        ("long", [1.5, 2.0], "Column 'x' in row 10 must be a whole number (long), not"),
        ("long", [1.0, None], "Column 'x' in row 11 must be a whole number (long), not nothing, and has no missing values."),
        ("integer", [2**31], "Column 'x' in row 10 must be a whole number of 32 bits (integer), not"),
        ("boolean", [True, False], [True, False]),
        ("boolean", [1, 0], "Column 'x' in row 10 must be true or false (boolean), not"),
        ("double", [1, 2], [1.0, 2.0]),
        ("double", [1.0, None], [1.0, None]),
        ("float", [0.1], [float(np.float32(0.1))]),
        ("string", ["a", None], ["a", None]),
        ("datetime", ["2024-01-31T12:00:00", None], [pd.Timestamp("2024-01-31T12:00:00"), None]),
        ("datetime", ["noon"], "Column 'x' in row 10 must be a time without a zone (datetime), not 'noon'."),
        ("any", [object], [object]),
    ],
)
def test_values_become_what_the_signature_says(kind: str, values: list[Any], fits: Any) -> None:
    frame = pd.DataFrame({"x": values, "more": 1})
    if isinstance(fits, str):
        with pytest.raises(DataError, match=re.escape(fits)):
            feeding.fed(frame, [{"name": "x", "type": kind}], first=10)
        return
    found = feeding.fed(frame, [{"name": "x", "type": kind}])
    assert list(found.columns) == ["x"]
    assert [None if pd.isna(value) else value for value in found["x"]] == fits


def test_a_model_of_arrays_takes_as_many_columns_as_it_was_fitted_on() -> None:
    told = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]
    assert feeding.fed(pd.DataFrame({"a": [1], "b": [2]}), told).tolist() == [[1.0, 2.0]]
    with pytest.raises(DataError, match="takes 2 columns, and the data has 1"):
        feeding.fed(pd.DataFrame({"a": [1]}), told)


def test_what_the_log_did_not_take_is_not_told_as_logged(flights: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.concat([made.flights(60, seed=3), made.flights(40, seed=4)]).drop(columns=["late"])
    whole = scoring.predict(flights, "flights", frame, log=True)
    assert (whole.rows, whole.logged, whole.notes) == (100, 100, ())
    assert reading.read(flights, "flights", columns=["inputs.origin"]).column(0).to_pylist() == frame["origin"].tolist()
    plain = log.tables.batch_of

    def batch_of(requests: Any) -> Any:
        if any(len(request[2]) == 40 for request in requests):
            raise ValueError("no such column")
        return plain(requests)

    monkeypatch.setattr(log.tables, "batch_of", batch_of)
    monkeypatch.setattr(feeding, "CHUNK_ROWS", 60)
    part = scoring.predict(flights, "flights", frame, log=True)
    assert (part.rows, part.logged) == (100, 60)
    assert part.notes[0].startswith("40 predictions are not in the log")
    assert scoring.predict(flights, "flights", frame).notes == ()


def test_no_rows_give_no_predictions(flights: Settings) -> None:
    frame = made.flights(5).iloc[:0]
    assert scoring.predict(flights, "flights", frame).predictions == ()
    found = scoring.predict(flights, "flights", frame, out=flights.project / "none.csv")
    assert (found.rows, pd.read_csv("none.csv").columns[-1]) == (0, "prediction")
