"""What the reading verbs are told of runs: found, sorted and filtered, delivered or not, whether or not MLflow answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.store.tracking_server import Unreachable
from tests.delivery_desk import T0, Desk, Kernel


def test_a_change_from_elsewhere_is_read_before_it_is_delivered(desk: Desk, writer: Kernel, project: Path) -> None:
    run = writer.run(metrics=writer.points(("auc", 0.5, None)))
    writer.finish(run)
    desk.deliver()
    Kernel(project).run(run, metrics=[["late", 2.0, None, T0]], tags={"stage": "test"})
    desk.courier.read()
    assert [(item.metrics, item.tags) for item in desk.queries.runs()] == [({"auc": 0.5, "late": 2.0}, {"stage": "test"})]
    desk.deliver()
    assert [(item.metrics, item.tags) for item in desk.queries.runs()] == [({"auc": 0.5, "late": 2.0}, {"stage": "test"})]


def test_reading_goes_on_while_mlflow_does_not_answer(desk: Desk, writer: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    delivered = writer.run(name="first", metrics=writer.points(("auc", 0.7, None)))
    writer.finish(delivered)
    desk.deliver()
    server = desk.servers[desk.servers.default_uri()]

    def down() -> Any:
        raise server._failed("down for repairs")

    with monkeypatch.context() as broken:
        broken.setattr(server, "calling", down)
        writer.finish(writer.run(name="second", metrics=writer.points(("auc", 0.8, None))))
        desk.deliver()
        desk.deliver()
        assert [run.name for run in desk.queries.runs()] == ["second", "first"]
        assert [run.name for run in desk.queries.runs(where="auc < 0.75")] == ["first"]
        assert desk.queries.run(delivered).name == "first"
        assert (desk.courier.waiting, desk.courier.troubles) == (1, ["down for repairs"])
    server.retry_now()
    desk.deliver()
    assert (len(desk.all_runs()), desk.courier.waiting, desk.courier.troubles) == (2, 0, [])
    with pytest.raises(Unreachable):
        raise server._failed("x")


@pytest.mark.parametrize(
    ("where", "sort", "expected"),
    [
        ("", "", ["r3", "r2", "r1"]),
        ("", "started", ["r1", "r2", "r3"]),
        ("", "-metrics.auc", ["r3", "r2", "r1"]),
        ("", "auc", ["r1", "r2", "r3"]),
        ("metrics.auc > 0.75", "", ["r3", "r2"]),
        ("auc > 0.75 and C = 0.2", "", ["r2"]),
        ("params.C = '0.3'", "", ["r3"]),
        ("auc = 0.8", "", ["r2"]),
        ("solver = 'lbfgs'", "name", ["r1", "r2", "r3"]),
        ("status = FINISHED", "name", ["r1", "r2"]),
        ("name LIKE 'r%' and tags.odd = 'yes'", "", ["r3", "r1"]),
    ],
)
def test_runs_are_found_and_sorted_delivered_or_not(desk: Desk, writer: Kernel, where: str, sort: str, expected: list[str]) -> None:
    for number in (1, 2, 3):
        tags = {"odd": "yes"} if number % 2 else {}
        run = writer.run(
            name=f"r{number}",
            params={"C": number / 10, "solver": "lbfgs"},
            metrics=writer.points(("auc", 0.6 + number / 10, None)),
            tags=tags,
        )
        if number < 3:
            writer.finish(run)
            desk.deliver()
    desk.courier.read()
    assert [run.name for run in desk.queries.runs(where=where, sort=sort)] == expected


def test_a_filter_that_makes_no_sense_is_told_to_the_user(desk: Desk, writer: Kernel) -> None:
    writer.run()
    desk.deliver()
    with pytest.raises(UsageError, match="filter"):
        desk.queries.runs(where="metrics.auc > 'much'")


def test_a_run_answers_to_every_name_it_has(desk: Desk, writer: Kernel) -> None:
    run = writer.run(name="gentle-fox")
    desk.courier.read()
    assert desk.queries.run(run[:6]).own_id == run, "not delivered yet"
    writer.finish(run)
    desk.deliver()
    mlflow_id = desk.only_run().info.run_id
    plain = desk.client.create_run("0", run_name="plain").info.run_id
    for ref in (run, run[:6], mlflow_id, mlflow_id[:6], "gentle-fox"):
        assert desk.queries.run(ref).id == mlflow_id
    for ref in (plain, plain[:8], "plain"):
        assert (desk.queries.run(ref).id, desk.queries.run(ref).origin) == (plain, "mlflow")
    with pytest.raises(NotFound):
        desk.queries.run("no such run")


@pytest.mark.parametrize(
    ("sort", "told"),
    [
        ("nosuch", "No run here has a metric 'nosuch' to sort by: sort by auc, loss, params.C, started, ended, name, status"),
        ("-metrics.C", "No run here has a metric 'C' to sort by: sort by auc, loss, params.C"),
        ("params.tol", "No run here has a parameter 'tol'"),
        ("tags.stage", "No run here has a tag 'stage'"),
    ],
)
def test_an_order_by_what_no_run_has_names_what_there_is(desk: Desk, writer: Kernel, sort: str, told: str) -> None:
    done = writer.run(params={"C": 0.1}, metrics=writer.points(("auc", 0.9, None)))
    writer.finish(done)
    desk.deliver()
    writer.run(metrics=writer.points(("loss", 0.1, None)))
    desk.courier.read()
    with pytest.raises(UsageError, match=told):
        desk.queries.runs(sort=sort)
    assert desk.queries.runs(sort="loss")[0].metrics == {"loss": 0.1}
    assert desk.queries.runs(sort="-C")[0].params == {"C": 0.1}, "a plain name that is a parameter's, and no metric's"
    assert desk.queries.runs(where="auc > 2", sort="auc") == []
    assert len(desk.queries.runs(where="loss > 0", sort="auc")) == 1, "no error: other runs have it"


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_deleted_run_is_not_listed_and_says_that_it_is_deleted(desk: Desk, writer: Kernel, project: Path, elsewhere: bool) -> None:
    run = writer.run(name="fox")
    writer.finish(run)
    desk.deliver()
    writing = Kernel(project) if elsewhere else writer
    writing.run(run, deleted=True)
    desk.courier.read()
    assert ([item.name for item in desk.queries.runs()], desk.queries.run(run).status) == ([], "DELETED"), "not delivered yet"
    desk.deliver()
    assert ([item.name for item in desk.queries.runs()], desk.queries.run(run).status) == ([], "DELETED")
    assert desk.all_runs() == []
