"""What a service answers: MLflow's formats and the Open Inference Protocol, with the very predictions of the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient

from jupyter_mlops.models.serving.batching import Batcher, Pace
from jupyter_mlops.models.serving.options import Limits, Options
from jupyter_mlops.models.serving.payloads import from_json, read
from jupyter_mlops.models.serving.predicting import Plan, Predictor
from tests.models.served_models import classifier, constant, forest, line, loaded, mixed, numbers, split
from tests.models.services import MemorySource, Rows, Running, running, wait_for

ROWS = mixed().iloc[:6]
EXPECTED = classifier().predict(ROWS).tolist()


@pytest.fixture(scope="module")
def shop() -> Iterator[Running]:
    """A service of a classifier with columns of several types."""
    source = MemorySource(versions={1: loaded(classifier(), frame=mixed())}, aliases={"champion": 1})
    with running(source) as found:
        yield found


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [dict(zip(split(frame)["columns"], row, strict=True)) for row in split(frame)["data"]]


def columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    return {name: [row[place] for row in split(frame)["data"]] for place, name in enumerate(frame.columns)}


@pytest.mark.parametrize("body", [
    {"dataframe_split": split(ROWS)},
    {"dataframe_split": split(ROWS[["city", "member", "age", "income"]])},
    {"dataframe_split": split(ROWS.assign(unknown="left out"))},
    {"dataframe_split": {**split(ROWS), "index": [f"row {place}" for place in range(6)]}},
    {"dataframe_records": records(ROWS)},
    {"instances": records(ROWS)},
    {"inputs": columns(ROWS)},
    {"inputs": records(ROWS)},
    {"inputs": split(ROWS)["data"]},
    {"dataframe_split": split(ROWS), "params": {"temperature": 1}},
    {"dataframe_records": [{**row, "age": float(row["age"])} for row in records(ROWS)]},
])  # fmt: skip
def test_every_format_of_mlflow_gives_the_predictions_of_the_model(shop: Running, body: Any) -> None:
    with shop.client() as client:
        answer = client.post(body)
    assert (answer.status, answer.json["predictions"]) == (200, EXPECTED)


def test_csv_and_the_nan_of_pandas_are_read(shop: Running) -> None:
    with shop.client() as client:
        csv = client.post(ROWS.to_csv(index=False).encode(), Content_Type="text/csv; charset=utf-8")
        nan = client.post(json.dumps({"dataframe_split": ROWS.to_dict(orient="split")}).encode())
    assert csv.json["predictions"] == nan.json["predictions"] == EXPECTED
    assert b"NaN" in json.dumps(ROWS.to_dict(orient="split")).encode()


def test_mlflow_s_own_client_gets_what_it_expects(shop: Running) -> None:
    host, port = shop.url.removeprefix("http://").split(":")
    client = ScoringServerClient(host, port)
    client.wait_server_ready(timeout=5)
    assert client.get_version()
    assert client.invoke(ROWS).get_predictions()[0].tolist() == EXPECTED


def test_every_answer_names_its_version_and_the_id_of_each_row(shop: Running) -> None:
    with shop.client() as client:
        answer = client.post({"dataframe_split": split(ROWS)})
        other = client.post({"dataframe_split": split(ROWS)})
    ids = answer.json["prediction_ids"]
    assert (answer.json["model_version"], answer.headers["mlops-model-version"]) == ("1", "1")
    assert answer.headers["mlops-prediction-id"] == ids[0]
    assert len({*ids, *other.json["prediction_ids"]}) == 12


@pytest.mark.parametrize(("change", "said"), [
    ({"age": "old"}, "Column 'age' in row 0 must be a whole number (long), not 'old'."),
    ({"age": 1.5}, "Column 'age' in row 0 must be a whole number (long), not 1.5."),
    ({"age": True}, "Column 'age' in row 0 must be a whole number (long), not true."),
    ({"age": None}, "Column 'age' in row 0 must be a whole number (long), not nothing, and has no missing values."),
    ({"age": 2**63}, "Column 'age' in row 0 must be a whole number (long), not 9223372036854775808."),
    ({"income": "much"}, "Column 'income' in row 0 must be a number (double), not 'much'."),
    ({"income": [1]}, "Column 'income' in row 0 must be a number (double), not a list of 1."),
    ({"city": 7}, "Column 'city' in row 0 must be a text (string), not 7."),
    ({"member": 1}, "Column 'member' in row 0 must be true or false (boolean), not 1."),
])  # fmt: skip
def test_a_value_of_another_type_is_refused_by_the_name_of_its_column(shop: Running, change: dict[str, Any], said: str) -> None:
    with shop.client() as client:
        answer = client.post({"dataframe_records": [{**records(ROWS)[0], **change}]})
    assert (answer.status, answer.json) == (400, {"error_code": "BAD_REQUEST", "message": said})


def test_a_missing_column_is_named(shop: Running) -> None:
    with shop.client() as client:
        for body in ({"dataframe_split": split(ROWS.drop(columns="city"))}, {"inputs": columns(ROWS.drop(columns="city"))}):
            answer = client.post(body)
            assert answer.status == 400
            assert answer.json["message"].startswith("Column 'city' (string) is missing")


@pytest.mark.parametrize(("body", "headers", "status"), [
    (b"", {}, 400),
    (b"{", {}, 400),
    (b"[]", {}, 400),
    (b'{"dataframe_split": 1}', {}, 400),
    (b'{"dataframe_records": [], "inputs": []}', {}, 400),
    (b'{"dataframe_records": []}', {}, 400),
    (b'{"dataframe_records": [NaN]}', {}, 400),
    (b"\xff\xfe\x00", {}, 400),
    (b'{"inputs": "\\ud800"}', {}, 400),
    (b"[" * 100_000, {}, 400),
    (b'{"inputs": NaN, "a":' + b"[" * 100_000, {}, 400),
    (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415),
    (b"{}", {"Content-Type": "application/json; boundary=x"}, 415),
    (b"{}", {"Content-Type": "application/xml"}, 415),
    (b"{}", {"Content-Type": ""}, 415),
    (b"age,income,city,member\n" + b"," * 10_000, {"Content-Type": "text/csv"}, 400),
    (b"age,income,city,member\n", {"Content-Type": "text/csv"}, 400),
    (b"", {"Content-Type": "text/csv"}, 400),
    (b'{"dataframe_split": {}, "params": 3}', {}, 400),
    (b'{"dataframe_split": {"columns": [["a"]], "data": [[1]]}}', {}, 400),
    (b'{"dataframe_split": {"columns": ["age", "age", "income", "city", "member"], "data": [[1, 1, 1, "a", true]]}}', {}, 400),
])  # fmt: skip
def test_what_cannot_be_understood_is_refused(shop: Running, body: bytes, headers: dict[str, str], status: int) -> None:
    with shop.client() as client:
        answer = client.ask("POST", "/invocations", body, headers)
        assert answer.status == status
        assert answer.json["message"].endswith(".")
        assert client.post({"dataframe_split": split(ROWS)}).status == 200


def test_the_open_inference_protocol(shop: Running) -> None:
    tensors = [
        {"name": "age", "shape": [6], "datatype": "INT64", "data": ROWS["age"].tolist()},
        {"name": "income", "shape": [6, 1], "datatype": "FP64", "data": [[row[1]] for row in split(ROWS)["data"]]},
        {"name": "city", "shape": [6], "datatype": "BYTES", "data": ROWS["city"].tolist()},
        {"name": "member", "shape": [6], "datatype": "BOOL", "data": ROWS["member"].tolist()},
    ]
    with shop.client() as client:
        assert [client.get(f"/v2/{path}").status for path in ("health/live", "health/ready", "models/shop/ready")] == [200, 200, 200]
        described = client.get("/v2/models/shop").json
        assert [item["datatype"] for item in described["inputs"]] == ["INT64", "FP64", "BYTES", "BOOL"]
        answer = client.post({"id": "mine", "inputs": tensors}, "/v2/models/shop/versions/1/infer")
        assert (answer.json["id"], answer.json["model_version"]) == ("mine", "1")
        assert answer.json["outputs"] == [{"name": "predictions", "datatype": "INT64", "shape": [6], "data": EXPECTED}]
        assert len(answer.json["parameters"]["prediction_ids"]) == 6
        assert client.post({"inputs": tensors}, "/v2/models/other/infer").status == 404
        assert client.post({"inputs": tensors}, "/v2/models/shop/versions/9/infer").status == 404
        wrong = client.post({"inputs": [{**tensors[0], "shape": [5]}]}, "/v2/models/shop/infer")
        assert (wrong.status, wrong.json) == (400, {"error": "The data of input 'age' does not have the shape [5]."})


def test_the_pages_say_what_there_is(shop: Running) -> None:
    with shop.client() as client:
        told = client.get("/openapi.json").json
        page = client.get("/docs")
        metrics = client.get("/metrics").body.decode()
        example = told["paths"]["/invocations"]["post"]["requestBody"]["content"]["application/json"]["example"]
        assert client.post(example).status == 200
        assert client.ask("DELETE", "/invocations").status == 405
        assert client.get("/nothing").status == 404
    assert all(path in page.body.decode() for path in told["paths"])
    assert "http" not in page.body.decode().replace("URL", "")
    assert 'mlops_requests_total{model="shop",role="champion",status="200",version="1"}' in metrics


@pytest.mark.parametrize(("model", "frame", "array", "together"), [
    (classifier(), mixed(), False, True), (forest(), numbers(), True, True), (line(), numbers(), True, False),
])  # fmt: skip
def test_a_model_is_fed_as_quickly_as_changes_no_bit(model: Any, frame: pd.DataFrame, array: bool, together: bool) -> None:
    predictor = Predictor(loaded(model, frame=frame)())
    predictor.warm()
    assert (predictor.plan.array, predictor.plan.together) == (array, together)
    rows = frame.iloc[:40]
    payloads = [from_json({"dataframe_split": split(rows.iloc[[place]])}, predictor.schema, Limits()) for place in range(len(rows))]
    answered = np.concatenate(predictor.predict(payloads))
    expected = np.concatenate([model.predict(rows.iloc[[place]]) for place in range(len(rows))])
    assert answered.dtype == expected.dtype
    assert answered.tobytes() == expected.tobytes()


class Looking:
    """A model that keeps what it was given."""

    def __init__(self) -> None:
        self.frames: list[pd.DataFrame] = []

    def predict(self, frame: pd.DataFrame) -> Any:
        self.frames.append(frame)
        return np.arange(len(frame))


def test_a_model_is_given_the_frame_that_it_was_fitted_on() -> None:
    model = Looking()
    frame = mixed().assign(when=pd.Timestamp("2024-05-06T07:08:09").as_unit("ns"), small=np.float32(0.1), year=np.int32(2024))
    predictor = Predictor(loaded(model, frame=frame)())
    predictor.predict([from_json({"dataframe_records": json.loads(frame.to_json(orient="records", date_format="iso", double_precision=15))
                                  }, predictor.schema, Limits())])  # fmt: skip
    pd.testing.assert_frame_equal(model.frames[0], frame)


def test_many_rows_are_given_as_few_are_in_every_format_and_together() -> None:
    model = Looking()
    frame = mixed().assign(small=np.float32(0.1), year=np.int32(2024))
    frame.loc[[0, 77], "city"] = None
    predictor = Predictor(loaded(model, frame=frame)())
    wide = frame[["year", *frame.columns[:-1]]].assign(unknown="left out")
    csv = frame.assign(city=frame["city"].fillna("")).to_csv(index=False).encode()
    bodies = [
        {"dataframe_split": split(frame)}, {"dataframe_split": split(wide)},
        {"dataframe_records": records(wide)}, {"inputs": columns(frame)},
        {"dataframe_records": [{**row, "year": float(row["year"]), "income": int(1e15)} for row in records(frame)]},
    ]  # fmt: skip
    payloads = [from_json(body, predictor.schema, Limits()) for body in bodies]
    payloads.append(read(csv, "text/csv", predictor.schema, Limits()))
    assert [payload.table is not None for payload in payloads] == [True, True, True, True, False, True]
    for payload in payloads:
        predictor.predict([payload])
        pd.testing.assert_frame_equal(model.frames[-1], frame.assign(income=1e15) if payload.table is None else frame)
    predictor.plan = Plan(together=True)
    few = from_json({"dataframe_split": split(frame.iloc[:3])}, predictor.schema, Limits())
    for group, whole in (([payloads[0], payloads[5]], [frame, frame]), ([payloads[1], few], [frame, frame.iloc[:3]])):
        parts = predictor.predict(group)
        pd.testing.assert_frame_equal(model.frames[-1], pd.concat(whole, ignore_index=True))
        assert [len(part) for part in parts] == [len(part) for part in whole]


@pytest.mark.parametrize(("most", "each", "sizes"), [
    (4_096, 0.0, [4_000, 1_000]),  # a batch costs the same whatever its rows
    (4_096, 1e-5, [1_000] * 5),  # each row costs its share
    (0, 0.0, [1_000] * 5),  # so many were never tried together
])  # fmt: skip
def test_large_requests_go_together_where_that_pays(most: int, each: float, sizes: list[int]) -> None:
    seen: list[int] = []

    class Counting:
        def predict(self, frame: pd.DataFrame) -> Any:
            seen.append(len(frame))
            return np.zeros(len(frame))

    class Known(Pace):
        def learn(self, rows: int, seconds: float) -> None:
            """It is known already."""

    async def asked() -> None:
        predictor = Predictor(loaded(Counting(), frame=numbers())())
        predictor.warm()
        assert (predictor.plan.together, predictor.plan.most, max(seen)) == (True, 4_096, 4_096)
        predictor.plan = replace(predictor.plan, most=most)
        seen.clear()
        batcher = Batcher(predictor, Limits())
        batcher.pace = Known()
        batcher.pace.fixed, batcher.pace.each = 0.001, each
        payload = from_json({"dataframe_split": split(numbers(1_000))}, predictor.schema, Limits())
        assert [len(part) for part in await asyncio.gather(*(batcher.predict(payload) for _ in range(5)))] == [1_000] * 5
        batcher.close()

    asyncio.run(asked())
    assert seen == sizes


@pytest.mark.parametrize(("change", "said"), [
    ({"age": True}, "Column 'age' in row 150 must be a whole number (long), not true."),
    ({"age": None}, "Column 'age' in row 150 must be a whole number (long), not nothing, and has no missing values."),
    ({"age": 2**63}, "Column 'age' in row 150 must be a whole number (long), not 9223372036854775808."),
    ({"income": True}, "Column 'income' in row 150 must be a number (double), not true."),
    ({"city": 7}, "Column 'city' in row 150 must be a text (string), not 7."),
    ({"member": 1}, "Column 'member' in row 150 must be true or false (boolean), not 1."),
])  # fmt: skip
def test_one_wrong_value_among_many_rows_is_named(shop: Running, change: dict[str, Any], said: str) -> None:
    rows = records(mixed())
    rows[150] |= change
    data = [list(row.values()) for row in rows]
    bodies = ({"dataframe_records": rows}, {"dataframe_split": {"columns": list(rows[0]), "data": data}}, {"instances": data})
    with shop.client() as client:
        for body in bodies:
            assert client.post(body).json == {"error_code": "BAD_REQUEST", "message": said}
        data[150] = data[150][:2]
        assert "Row 150 must be a list of 4 values" in client.post({"instances": data}).json["message"]


def test_arrays_by_shape_and_type() -> None:
    spec = {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 5]}}
    model = forest()
    source = MemorySource(versions={1: loaded(model, inputs=(spec,), example=None)}, aliases={"champion": 1})
    rows = numbers().iloc[:3]
    with running(source) as found, found.client() as client:
        for body in ({"inputs": rows.to_numpy().tolist()}, {"instances": rows.to_numpy().tolist()}, {"dataframe_split": split(rows)}):
            assert client.post(body).json["predictions"] == model.predict(rows.to_numpy(np.float32)).tolist()
        tensor = {"name": "x", "shape": [3, 5], "datatype": "FP32", "data": rows.to_numpy().ravel().tolist()}
        assert client.post({"inputs": [tensor]}, "/v2/models/shop/infer").json["outputs"][0]["shape"] == [3]
        for wrong in ([[1, 2]], [["a"] * 5], [[1] * 5, [1]], 3, {"x": 1}):
            assert client.post({"inputs": wrong}).status == 400


def test_a_token_is_needed_where_there_is_one() -> None:
    source = MemorySource(versions={1: constant(1)}, aliases={"champion": 1})
    with running(source, Options(port=0, token="a-long-enough-token")) as found, found.client() as client:
        body = {"dataframe_split": split(numbers().iloc[:1])}
        for wrong in ({}, {"Authorization": "Bearer a-long-enough-tokem"}, {"Authorization": "Basic a-long-enough-token"}):
            answer = client.ask("POST", "/invocations", body, wrong)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert client.get("/metrics").status == client.post({}, "/v2/models/shop/infer").status == 401
        assert client.get("/health").status == client.get("/ready").status == 200
        assert client.post(body, Authorization="Bearer a-long-enough-token").status == 200


def test_without_a_token_only_this_machine_s_names_are_answered(shop: Running) -> None:
    with shop.client() as client:
        answer = client.post({"dataframe_split": split(ROWS)}, Host="attacker.example")
        assert (answer.status, client.get("/docs", Host="localhost:1").status) == (403, 200)


def test_limits_of_size() -> None:
    source = MemorySource(versions={1: constant(1)}, aliases={"champion": 1})
    with running(source, Options(port=0, limits=Limits(bytes=20_000, rows=10))) as found, found.client() as client:
        assert client.post({"dataframe_split": split(numbers().iloc[:11])}).status == 413
        assert client.post({"dataframe_split": split(numbers().iloc[:10])}).status == 200
        assert client.post(b" " * 30_000).status == 413


def test_predictions_are_logged_with_their_inputs() -> None:
    log = Rows()
    source = MemorySource(versions={1: loaded(classifier(), frame=mixed())}, aliases={"champion": 1})
    with running(source, log=log) as found, found.client() as client:
        for frame in (ROWS, mixed()):
            log.rows.clear()
            answer = client.post({"dataframe_split": split(frame)}).json
            wait_for(lambda ids=answer["prediction_ids"]: [row["id"] for row in log.rows] == ids)
            assert [row["inputs"] for row in log.rows] == records(frame)
            assert [row["output"] for row in log.rows] == answer["predictions"] == classifier().predict(frame).tolist()
            assert {(row["version"], row["role"]) for row in log.rows} == {(1, "champion")}
