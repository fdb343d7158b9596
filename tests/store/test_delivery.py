"""What a session wrote is in MLflow: all of it, once, as MLflow's users expect it."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import mlflow
import nbformat
import pytest

from jupyter_mlops.code.secrets import Redactor
from jupyter_mlops.store import courier as couriers
from jupyter_mlops.store import journal
from jupyter_mlops.store.runs import RunState, SessionState
from jupyter_mlops.store.tracking_server import Unreachable
from tests.delivery_desk import T0, Desk, Kernel


def test_a_run_holds_everything_that_reproduces_it(desk: Desk, project: Path) -> None:
    environment = {
        "packages": {"numpy": "2.0"},
        "python": "3.12",
        "git": {"commit": "c" * 40, "diff": "diff --git a b"},
        "modules": [{"module": "helper", "path": "lib/helper.py", "digest": desk.objects.put(b"x = 1\n")}],
    }
    kernel = Kernel(project, environment=desk.objects.put(json.dumps(environment).encode()))
    kernel.cell("import helper")
    run = kernel.run(params={"C": 0.1, "name": "lbfgs"})
    output = {"kind": "result", "data": {"text/plain": "0.9"}}
    kernel.cell("clf.fit(X)\nauc", run, outputs=[output, {"kind": "stream", "name": "stdout", "data": {"text/plain": "hi\n"}}])
    kernel.run(run, metrics=kernel.points(("auc", 0.9, None), ("loss", 0.5, 0), ("loss", 0.4, 1)), tags={"stage": "dev"}, note="**good**")
    kernel.run(run, models=[{"name": "clf", "class": "Foo", "flavor": "sklearn", "transport": "t", "all_params": {"C": 0.1, "tol": 1e-4}}])
    kernel.run(run, artifacts=[{"path": "plots/a.svg", "digest": desk.objects.put(b"<svg/>")}], skipped=["net (Net): a lock"])
    kernel.finish(run)
    desk.deliver()

    found = desk.only_run()
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "gentle-fox"
    assert (found.info.start_time, found.info.end_time) == (1000 * (T0 + 2), 1000 * (T0 + 9))
    assert found.data.params == {"C": "0.1", "name": "lbfgs"}
    assert found.data.metrics == {"auc": 0.9, "loss": 0.4}
    assert [(item.step, item.value) for item in desk.client.get_metric_history(found.info.run_id, "loss")] == [(0, 0.5), (1, 0.4)]
    tags = found.data.tags
    assert set(json.loads(tags["mlops.seals"])) == {"history"}
    assert {key: tags[key] for key in tags if key not in ("mlflow.runName", "mlops.seals")} == {
        "mlops.run_id": run, "mlops.session": kernel.session, "mlops.cells": "[2]", "mlops.skipped": "net (Net): a lock", "stage": "dev",
        "mlflow.note.content": "**good**", "mlflow.user": "ada", "mlflow.source.name": "study.ipynb", "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.git.commit": "c" * 40, "mlops.model": '{"name": "clf", "class": "Foo", "flavor": "sklearn", "uri": "models:/m-clf"}',
    }  # fmt: skip
    files = desk.files(found.info.run_id)
    notebook = nbformat.reads(files.pop("mlops/history.ipynb").decode(), as_version=4)
    nbformat.validate(notebook)
    assert [(cell.source, cell.execution_count, len(cell.outputs)) for cell in notebook.cells] == [
        ("import helper", 1, 0),
        ("clf.fit(X)\nauc", 2, 2),
    ]
    assert json.loads(files.pop("mlops/environment.json"))["packages"] == {"numpy": "2.0"}
    assert files == {
        "requirements.txt": b"numpy==2.0\n",
        "mlops/git.diff": b"diff --git a b",
        "mlops/modules/lib/helper.py": b"x = 1\n",
        "mlops/params.json": b'{\n "clf": {\n  "C": 0.1,\n  "tol": 0.0001\n }\n}',
        "mlops/skipped.txt": b"net (Net): a lock\n",
        "plots/a.svg": b"<svg/>",
    }
    kernel.journal.close()


def test_values_over_mlflows_limits_are_kept_whole(desk: Desk, writer: Kernel) -> None:
    params = {"long": "x" * 9000, "k" * 300: 1, "🦊": "🦊", "a/../b": 1, "": 2, "a b:c": "\ud800\0", "..": 1, "/x": 1}
    metrics = [("nan", math.nan, None), ("inf", math.inf, None), ("-inf", -math.inf, 0), ("big", 10**400, None), ("odd🦊", 2**60 + 1, None)]
    run = writer.run(params=params, tags={"t🦊": "y" * 9000}, metrics=writer.points(*metrics))  # type: ignore[arg-type]  # too large for a float on purpose
    writer.finish(run)
    desk.deliver()
    found = desk.only_run()
    whole = json.loads(desk.files(found.info.run_id)["mlops/values.json"])
    assert {name: entry["value"] for name, entry in whole["params"].items()} == params
    assert all(entry["key"] in found.data.params for entry in whole["params"].values())
    assert len(found.data.params) == len(params)
    assert whole["tags"]["t🦊"]["value"] == "y" * 9000
    assert {name: entry["values"][0][1] for name, entry in whole["metrics"].items()} == {
        "nan": "NaN", "inf": "Infinity", "-inf": "-Infinity", "big": 10**400, "odd🦊": 2**60 + 1,
    }  # fmt: skip
    assert math.isnan(found.data.metrics["nan"])
    read = desk.queries.run(run)
    assert (read.params["long"], read.metrics["inf"], read.metrics["-inf"]) == ("x" * 9000, math.inf, -math.inf)


def test_thousands_of_points_and_hundreds_of_parameters_fit_in_batches(desk: Desk, writer: Kernel) -> None:
    run = writer.run(params={f"p{n}": "é" * 5000 for n in range(250)}, tags={f"t{n}": "x" for n in range(150)})
    writer.run(run, metrics=[["loss", float(n), n, T0] for n in range(2500)])
    writer.finish(run)
    desk.deliver()
    found = desk.only_run()
    assert (len(found.data.params), sum(key.startswith("t") for key in found.data.tags)) == (250, 150)
    assert len(desk.client.get_metric_history(found.info.run_id, "loss")) == 2500


def test_child_runs_hang_below_their_parent(desk: Desk, writer: Kernel) -> None:
    parent = writer.run()
    child = writer.run(parent=parent)
    writer.finish(child)
    writer.finish(parent)
    desk.deliver()
    by_own = {run.data.tags["mlops.run_id"]: run for run in desk.all_runs()}
    assert by_own[child].data.tags["mlflow.parentRunId"] == by_own[parent].info.run_id


def test_later_cells_join_a_finished_run(desk: Desk, writer: Kernel) -> None:
    run = writer.run()
    writer.cell("fit", run)
    writer.finish(run)
    desk.deliver()
    writer.cell("score", run)
    writer.run(run, metrics=writer.points(("f1", 0.5, None)))
    desk.deliver()
    found = desk.only_run()
    assert (found.data.metrics, found.data.tags["mlops.cells"]) == ({"f1": 0.5}, "[1, 2]")
    history = nbformat.reads(desk.files(found.info.run_id)["mlops/history.ipynb"].decode(), as_version=4)
    assert [cell.source for cell in history.cells] == ["fit", "score"]


def test_a_cell_that_raised_makes_a_failed_run_with_its_traceback(desk: Desk, writer: Kernel) -> None:
    run = writer.run()
    writer.finish(run, "FAILED", error="Traceback ...\nValueError: no")
    desk.deliver()
    found = desk.only_run()
    assert (found.info.status, found.data.tags["mlops.error"]) == ("FAILED", "ValueError: no")
    assert desk.files(found.info.run_id)["mlops/traceback.txt"] == b"Traceback ...\nValueError: no"


def test_a_parameter_that_changed_keeps_its_first_value_and_says_so(desk: Desk, writer: Kernel) -> None:
    run = writer.run(params={"C": 1})
    desk.deliver()
    writer.run(run, params={"C": 2, "k": 3})
    desk.deliver()
    found = desk.only_run()
    assert found.data.params == {"C": "1", "k": "3"}
    assert found.data.tags["mlops.skipped"] == "parameter C = 2: MLflow holds an earlier value"


def test_a_model_that_is_refused_is_named_and_the_rest_is_kept(desk: Desk, writer: Kernel) -> None:
    desk.saver.refuses = {"net"}
    model = {"class": "Foo", "flavor": "sklearn", "transport": "t"}
    run = writer.run(models=[{"name": "net", **model}, {"name": "clf", **model}], metrics=writer.points(("auc", 0.9, None)))
    writer.finish(run)
    desk.deliver()
    desk.deliver()
    found = desk.queries.run(run)
    assert desk.saver.asked == ["clf"]
    assert (found.skipped, found.model, found.metrics) == (
        ("net (Foo): it holds a lock",), {"name": "clf", "class": "Foo", "flavor": "sklearn", "uri": "models:/m-clf"}, {"auc": 0.9},
    )  # fmt: skip


def test_data_is_logged_as_a_dataset_whose_source_restores_it(desk: Desk, writer: Kernel, project: Path) -> None:
    from jupyter_mlops.store import snapshots

    (project / "data.csv").write_text("a,b\n1,2\n")
    stat = (project / "data.csv").stat()
    item = {
        "name": "data.csv",
        "kind": "file",
        "digest": None,
        "source": "data.csv",
        "size": 8,
        "stat": [stat.st_size, stat.st_mtime_ns, stat.st_ino],
    }
    run = writer.run(inputs=[item])
    writer.finish(run)
    desk.deliver()
    (dataset,) = [entry.dataset for entry in desk.only_run().inputs.dataset_inputs]
    source = json.loads(dataset.source)
    digest = snapshots.digest_file(project / "data.csv")
    assert (dataset.name, dataset.digest, dataset.source_type, source["digest"], source["load"]) == (
        "data.csv",
        digest[:36],
        "mlops",
        digest,
        f'mlops.load("{digest}")',
    )
    assert desk.queries.run(run).inputs[0]["digest"] == digest
    assert snapshots.load(digest, desk.objects) == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("change", "why", "read"), [("content", "changed before it could be read", False), ("budget", "larger than keep", True)]
)
def test_a_file_that_cannot_be_kept_says_why(desk: Desk, writer: Kernel, project: Path, change: str, why: str, read: bool) -> None:
    from dataclasses import replace

    (project / "data.csv").write_text("a,b\n1,2\n")
    stat = (project / "data.csv").stat()
    if change == "content":
        (project / "data.csv").write_text("a,b\n1,2,3\n")
    else:
        desk.delivery.settings = replace(desk.settings, keep=4)
    item = {
        "name": "data.csv",
        "kind": "file",
        "digest": None,
        "source": "data.csv",
        "size": 8,
        "stat": [stat.st_size, stat.st_mtime_ns, stat.st_ino],
    }
    run = writer.run(inputs=[item])
    desk.deliver()
    (found,) = desk.queries.run(run).inputs
    assert (found["why"], found["digest"] is not None, found.get("kept", False)) == (why, read, False)


def test_a_run_that_user_code_opened_is_theirs(desk: Desk, writer: Kernel) -> None:
    client = desk.client
    theirs = client.create_run("0", run_name="theirs", tags={"stage": "mine"})
    run = writer.run(
        adopted=theirs.info.run_id,
        name="ours",
        status="RUNNING",
        params={"C": 1, "k": 2},
        tags={"stage": "ours"},
        metrics=writer.points(("acc", 0.5, None), ("f1", 0.4, None)),
    )
    desk.deliver()
    assert client.get_run(theirs.info.run_id).data.params == {}, "ours waits for what the user logs"
    client.log_param(theirs.info.run_id, "C", "one")
    client.log_metric(theirs.info.run_id, "acc", 0.51)
    client.set_terminated(theirs.info.run_id)
    writer.finish(run)
    desk.deliver()
    found = client.get_run(theirs.info.run_id)
    assert (found.info.run_name, found.info.status, found.data.tags["stage"]) == ("theirs", "FINISHED", "mine")
    assert (found.data.params, found.data.metrics) == ({"C": "one", "k": "2"}, {"acc": 0.51, "f1": 0.4})
    assert len(client.get_metric_history(theirs.info.run_id, "acc")) == 1
    assert found.data.tags["mlops.run_id"] == run
    assert len(desk.all_runs()) == 1


def test_verbs_change_runs_of_other_sessions_and_of_plain_mlflow(desk: Desk, writer: Kernel, project: Path) -> None:
    plain = desk.client.create_run("0", run_name="plain").info.run_id
    run = writer.run()
    writer.finish(run)
    shell = Kernel(project, notebook="")
    for ref in (run, plain):
        shell.run(ref, tags={"seen": "yes", "gone": None}, note="look", metrics=shell.points(("late", 1.0, None)))
    shell.journal.close()
    desk.deliver()
    desk.deliver()
    for ref in (run, plain):
        found = desk.queries.run(ref)
        assert (found.tags, found.note, found.metrics, found.status) == (
            {"seen": "yes"},
            "look",
            {"late": 1.0},
            "RUNNING" if ref == plain else "FINISHED",
        )
    other = Kernel(project)
    other.run(plain, deleted=True)
    other.run(run, deleted=True)
    other.journal.close()
    desk.deliver()
    assert desk.all_runs() == []
    assert [item.run for item in desk.courier.pending()] == []


def test_a_change_to_no_known_run_holds_nothing_up(desk: Desk, writer: Kernel) -> None:
    writer.run("f" * 32, tags={"x": "y"})
    writer.finish(writer.run())
    desk.deliver()
    assert (len(desk.all_runs()), desk.courier.waiting) == (1, 0)


def test_a_dead_session_is_recovered_once(desk: Desk, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(couriers, "LIVENESS_SECONDS", 0.0)
    kernel = Kernel(project)
    done, left = kernel.run(), kernel.run(params={"C": 1})
    kernel.finish(done)
    kernel.write("begin", seq=9, cell="", source="while True: fit()", started=kernel.now)
    monkeypatch.setattr(journal, "alive", lambda path: False)
    for _ in range(3):
        desk.deliver()
    by_own = {run.data.tags["mlops.run_id"]: run for run in desk.all_runs()}
    assert {own: run.info.status for own, run in by_own.items()} == {done: "FINISHED", left: "KILLED"}
    assert by_own[left].data.tags["mlops.reason"] == "the process ended without a word while this run was open"
    assert desk.ledger.sessions()[kernel.session][1] == "recovered"
    # It was only taken for dead: what it says now counts.
    monkeypatch.setattr(journal, "alive", lambda path: True)
    kernel.finish(left)
    desk.deliver()
    assert {run.info.status for run in desk.all_runs()} == {"FINISHED"}
    kernel.journal.close()


@pytest.mark.parametrize("step", range(12))
def test_a_worker_that_dies_between_two_steps_doubles_nothing(
    desk: Desk, writer: Kernel, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    class Died(BaseException):
        pass

    run = writer.run(params={"C": 1}, tags={"a": "b"})
    writer.run(run, metrics=[["loss", float(n), n, T0] for n in range(1500)])
    writer.run(
        run,
        inputs=[{"name": "d", "kind": "frame", "digest": "d" * 64}],
        models=[{"name": "clf", "class": "Foo", "flavor": "sklearn", "transport": "t"}],
    )
    writer.finish(run)
    real, left = desk.ledger.set_sent, [step]

    def set_sent(*arguments: Any) -> None:
        if left[0] == 0:
            raise Died
        left[0] -= 1
        real(*arguments)

    monkeypatch.setattr(desk.ledger, "set_sent", set_sent)
    try:
        desk.deliver()
    except Died:
        pass
    else:
        assert step >= 9
    desk.close()
    again = Desk(desk.project)
    again.deliver()
    found = again.only_run()
    assert (found.info.status, found.data.params, found.data.tags["a"]) == ("FINISHED", {"C": "1"}, "b")
    assert len(again.client.get_metric_history(found.info.run_id, "loss")) == 1500
    assert len(found.inputs.dataset_inputs) == 1
    assert (again.courier.waiting, json.loads(found.data.tags["mlops.model"])["name"]) == (0, "clf")
    again.close()


def test_a_lost_ledger_doubles_nothing(desk: Desk, writer: Kernel) -> None:
    run = writer.run(params={"C": 1}, metrics=writer.points(("auc", 0.9, None)))
    writer.finish(run)
    desk.deliver()
    desk.close()
    for path in desk.settings.home.glob("state.db*"):
        path.unlink()
    again = Desk(desk.project)
    again.deliver()
    found = again.only_run()
    assert len(again.client.get_metric_history(found.info.run_id, "auc")) == 1
    again.close()


def test_one_bad_run_does_not_hold_up_the_others(desk: Desk, writer: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = writer.run(name="bad"), writer.run(name="good")
    real = desk.delivery._metrics

    def fails(target: Any) -> None:
        if target.state.id == bad:
            raise KeyError("a mistake of ours")
        real(target)

    monkeypatch.setattr(desk.delivery, "_metrics", fails)
    for run in (bad, good):
        writer.finish(run, metrics=writer.points(("auc", 0.9, None)))
    desk.deliver()
    assert desk.queries.run(good).metrics == {"auc": 0.9}
    assert desk.courier.waiting == 1
    assert "a mistake of ours" in desk.courier.troubles[0]


def test_a_project_with_a_used_mlruns_folder_goes_on_in_it(project: Path) -> None:
    experiment = project / "mlruns" / "0"
    experiment.mkdir(parents=True)
    (experiment / "meta.yaml").write_text(
        f"artifact_location: {experiment.as_uri()}\nexperiment_id: '0'\nlifecycle_stage: active\nname: Default\n"
        "creation_time: 0\nlast_update_time: 0\n"
    )
    desk = Desk(project)
    kernel = Kernel(project)
    run = kernel.run(metrics=kernel.points(("auc", 0.9, None)), inputs=[{"name": "d", "kind": "frame", "digest": "d" * 64}])
    kernel.finish(run)
    desk.deliver()
    assert desk.servers.default_uri() == (project / "mlruns").as_uri()
    assert not (project / "mlflow.db").exists()
    assert desk.queries.run(run).metrics == {"auc": 0.9}
    kernel.journal.close()
    desk.close()


def test_a_deleted_experiment_stays_deleted(desk: Desk, writer: Kernel) -> None:
    writer.finish(writer.run())
    desk.deliver()
    client = desk.client
    client.delete_experiment(client.get_experiment_by_name("project").experiment_id)
    writer.finish(writer.run())
    desk.deliver()
    assert [client.get_experiment(run.info.experiment_id).name for run in desk.all_runs()] == ["project (2)"]


def test_plain_mlflow_in_the_folder_sees_the_runs(desk: Desk, writer: Kernel, project: Path) -> None:
    writer.finish(writer.run(metrics=writer.points(("auc", 0.9, None))))
    desk.deliver()
    assert mlflow.get_tracking_uri() == f"sqlite:///{project}/mlflow.db"
    assert list(mlflow.search_runs(search_all_experiments=True)["metrics.auc"]) == [0.9]
    assert time.time() > T0


@pytest.mark.parametrize(
    "uri", ["https://alice:pLnt9xQ7Zu@host/mlflow", "https://pLnt9xQ7Zua1B2c3D4@host", "postgresql+psycopg://u:p%40Lnt@db/mlflow?x=1"]
)
def test_the_password_of_an_address_is_the_sessions_own(desk: Desk, uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded = Redactor().json({"tracking_uri": uri})["tracking_uri"]
    assert "«secret" in recorded
    state = RunState("r", tracking_uri=recorded)
    without = SessionState(header={"session": "s"})
    # Nobody told it: nothing is tried with a password that is none.
    assert desk.delivery.uri(without, state) == recorded
    with pytest.raises(Unreachable, match="MLFLOW_TRACKING_URI") as caught:
        desk.servers[recorded].experiment_id("any")
    assert "«" not in str(caught.value)
    # That of another server is none for this one, and what a cell put into the environment is written nowhere.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    elsewhere = SessionState(header={"session": "e", "tracking_uri": "https://alice:another@elsewhere/mlflow"})
    assert [desk.delivery.uri(session, state) for session in (elsewhere, without)] == [recorded, recorded]
    # It is in the header of the session, or of one that began later.
    assert desk.delivery.uri(SessionState(header={"session": "t", "tracking_uri": uri}), state) == uri
    assert desk.delivery.uri(without, state) == uri
