"""Which version answers: swaps, versions that fail, canary and shadow, and a model that takes too long."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from jupyter_mlops.config import Settings
from jupyter_mlops.errors import MlopsError, UsageError
from jupyter_mlops.models.serving import minutes
from jupyter_mlops.models.serving.options import Canary, Limits, Options, canary_of, checked
from tests.models.served_models import Constant, Ending, Picky, constant, loaded, numbers, split
from tests.models.services import Client, MemorySource, Rows, running, wait_for

ONE = {"dataframe_split": split(numbers().iloc[:1])}
QUICK = Options(port=0, poll=0.01)


def version(client: Client) -> int:
    answer = client.post(ONE)
    assert answer.status == 200
    assert answer.json["predictions"] == [int(answer.headers["mlops-model-version"])]
    return int(answer.headers["mlops-model-version"])


def test_the_next_version_takes_over_and_the_way_back_is_short() -> None:
    source = MemorySource(versions={1: constant(1), 2: constant(2)}, aliases={"champion": 1})
    with running(source, QUICK) as found, found.client() as client:
        assert version(client) == 1
        source.aliases["champion"] = 2
        wait_for(lambda: version(client) == 2)
        source.versions.clear()  # the one before is still at hand
        source.aliases["champion"] = 1
        wait_for(lambda: version(client) == 1)
        assert client.get("/ready").json["versions"][0]["version"] == 1
    assert source.told == [("served", 1, ""), ("swapped", 2, ""), ("swapped", 1, "")]


@pytest.mark.parametrize("broken", [
    loaded(Ending(), 2), loaded(Picky(), 2, example={"dataframe_records": [{"x0": "text"}]}),
    loaded(object(), 2), lambda: (_ for _ in ()).throw(SystemExit("no")),
])  # fmt: skip
def test_a_version_that_fails_leaves_the_present_one_serving_and_says_so(broken: object) -> None:
    source = MemorySource(versions={1: constant(1), 2: broken, 3: constant(3)}, aliases={"champion": 1})  # type: ignore[dict-item]
    with running(source, QUICK) as found, found.client() as client:
        source.aliases["champion"] = 2
        wait_for(lambda: client.get("/ready").json["notes"])
        standing = client.get("/ready")
        assert (standing.status, version(client)) == (200, 1)
        assert standing.json["notes"][0].startswith("Version 2 (champion) does not serve: ")
        assert b"mlops_load_failures_total" in client.get("/metrics").body
        source.aliases["champion"] = 3
        wait_for(lambda: version(client) == 3)
        assert client.get("/ready").json["notes"] == []
    assert [told[:2] for told in source.told] == [("served", 1), ("load failed", 2), ("swapped", 3)]


def test_a_service_does_not_start_with_a_version_that_fails() -> None:
    source = MemorySource(versions={1: loaded(Ending(), 1)}, aliases={"champion": 1})
    with pytest.raises(MlopsError, match=r"shop cannot be served: .*SystemExit: the model wants to end"), running(source, QUICK):
        pass
    with pytest.raises(MlopsError, match="no version of it has the alias 'next'"), running(MemorySource(), QUICK, alias="next"):
        pass


def test_a_registry_that_does_not_answer_changes_nothing() -> None:
    source = MemorySource(versions={1: constant(1), 2: constant(2)}, aliases={"champion": 1})
    with running(source, QUICK) as found, found.client() as client:
        source.lost = OSError("the database is away")
        wait_for(lambda: client.get("/ready").json["notes"])
        assert (version(client), client.get("/ready").status) == (1, 200)
        source.lost = None
        source.aliases["champion"] = 2
        wait_for(lambda: version(client) == 2)


def test_one_bad_row_does_not_spoil_the_others() -> None:
    source = MemorySource(versions={1: loaded(Picky(), example=None)}, aliases={"champion": 1})
    answers = {}
    with running(source, QUICK) as found:

        def ask(place: int) -> None:
            value = -1.0 if place % 4 == 0 else float(place)
            with found.client() as client:
                answers[place] = client.post({"dataframe_records": [{f"x{column}": value for column in range(5)}]})

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for place, answer in answers.items():
        if place % 4:
            assert answer.json["predictions"] == [place * 2.0]
        else:
            assert answer.json["message"] == "The model does not take these values: ValueError: x0 is negative."


def test_a_canary_answers_its_share_and_equal_requests_go_the_same_way() -> None:
    source = MemorySource(versions={1: constant(1), 2: constant(2)}, aliases={"champion": 1, "challenger": 2})
    bodies = [{"dataframe_split": split(numbers(200).iloc[[place]])} for place in range(200)]
    with running(source, Options(port=0, poll=0.01, canary=Canary(share=0.25))) as found, found.client() as client:
        first = [client.post(body).headers["mlops-model-role"] for body in bodies]
        again = [client.post(body).headers["mlops-model-role"] for body in bodies]
        keyed = {client.post(body, mlops_key="customer 7").headers["mlops-model-role"] for body in bodies[:20]}
        assert first == again
        assert 25 <= first.count("challenger") <= 75
        assert len(keyed) == 1
        del source.aliases["challenger"]
        wait_for(lambda: len(client.get("/ready").json["versions"]) == 1)
        assert {client.post(body).headers["mlops-model-role"] for body in bodies} == {"champion"}


def test_a_shadow_predicts_for_the_log_only() -> None:
    log = Rows()
    source = MemorySource(versions={1: constant(1), 2: constant(2)}, aliases={"champion": 1, "challenger": 2})
    with running(source, Options(port=0, poll=0.01, shadow="challenger"), log=log) as found, found.client() as client:
        ids = client.post(ONE).json["prediction_ids"]
        assert version(client) == 1
        wait_for(lambda: sum(row["role"] == "shadow" for row in log.rows) == 2)
    shadowed = next(row for row in log.rows if row["role"] == "shadow")
    assert (shadowed["version"], shadowed["output"], shadowed["id"]) == (2, 2, ids[0] + "0001")
    assert shadowed["inputs"] == next(row for row in log.rows if row["id"] == ids[0])["inputs"]


def test_a_prediction_that_takes_too_long_is_given_up_and_the_next_is_answered() -> None:
    slow = Constant(1)
    source = MemorySource(versions={1: loaded(slow)}, aliases={"champion": 1})
    with running(source, Options(port=0, poll=0.01, limits=Limits(predict=0.2))) as found, found.client() as client:
        slow.seconds = 1.0
        answer = client.post(ONE)
        assert (answer.status, answer.headers["retry-after"]) == (504, "1")
        slow.seconds = 0.0
        assert version(client) == 1
        assert client.get("/ready").json["notes"] == ["1 predictions did not end in time and are still running."]


def test_what_comes_beyond_the_limit_is_told_when_to_come_again() -> None:
    slow = Constant(1)
    source = MemorySource(versions={1: loaded(slow)}, aliases={"champion": 1})
    statuses = []
    with running(source, Options(port=0, poll=0.01, limits=Limits(waiting=2))) as found:
        slow.seconds = 0.5

        def ask() -> None:
            with found.client() as client:
                answer = client.post(ONE)
                statuses.append((answer.status, answer.headers.get("retry-after")))

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        with found.client() as client:
            assert client.get("/health").seconds < 0.3
        for thread in threads:
            thread.join()
    assert sorted(set(statuses), key=str) == [(200, None), (503, "1")]


def test_requests_under_way_are_answered_when_the_service_ends() -> None:
    slow = Constant(1)
    source = MemorySource(versions={1: loaded(slow)}, aliases={"champion": 1})
    answers = []
    with running(source, QUICK) as found:
        slow.seconds = 0.5

        def ask() -> None:
            with found.client() as client:
                answers.append(client.post(ONE).status)

        thread = threading.Thread(target=ask)
        thread.start()
        time.sleep(0.2)
    thread.join()
    assert answers == [200]


def test_how_the_service_did_survives_it(tmp_path: Path) -> None:
    settings = Settings(project=tmp_path)
    source = MemorySource(versions={1: constant(1)}, aliases={"champion": 1})
    start = time.time()
    with running(source, QUICK, minutes=minutes.Minutes(settings, "shop")) as found, found.client() as client:
        assert [client.post(body).status for body in (ONE, ONE, {})] == [200, 200, 400]
    (line,) = minutes.read(settings, "shop", start - 1, time.time() + 1)
    assert (line["requests"], line["rows"], sum(line["latency"])) == (3, 2, 2)
    assert {"version": 1, "status": 200, "role": "champion", "requests": 2} in line["answers"]
    assert 0 < (minutes.quantile(line["latency"], 0.99) or 0) < 10
    assert line["memory"] > 10**6


@pytest.mark.parametrize(("options", "said"), [
    (Options(host="0.0.0.0"), "give a token"),
    (Options(host="10.1.2.3"), "give a token"),
    (Options(token="short"), "The token is too short"),
    (Options(port=70_000), "is no port"),
    (Options(workers=0), "serves nothing"),
    (Options(sample=2.0), "is no share"),
])  # fmt: skip
def test_options_that_cannot_be(options: Options, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        checked(options)
    assert checked(Options(host="0.0.0.0", token="0123456789abcdef"))
    assert checked(Options(host="::1"))


def test_the_words_of_a_canary() -> None:
    assert canary_of("5%") == Canary(share=0.05)
    assert canary_of("next: 12.5%") == Canary(share=0.125, alias="next")
    for wrong in ("5", "x%", "0%", "101%", ""):
        with pytest.raises(UsageError, match="is no share"):
            canary_of(wrong)
