"""The routes of a real Jupyter server: who may ask, what may be asked, and what is answered."""

from __future__ import annotations

import inspect
import json
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from jupyter_mlops.surfaces import commands
from jupyter_mlops.surfaces.routes import table
from jupyter_mlops.surfaces.routes.host import _function
from tests.benchmarks.listing import RUNS, fill
from tests.delivery_desk import Kernel, wait_until
from tests.surfaces.jupyter import Jupyter, made
from tests.surfaces.test_lightness import HEAVY

OURS = "jupyter_mlops."


# -- who may ask


def _ours(jupyter: Jupyter) -> Iterator[tuple[str, str]]:
    for pattern, kind, methods in jupyter.table:
        if kind.startswith(OURS):
            place = pattern.removeprefix("/lab/").rstrip("$").replace("([^/]+)", "runs")
            yield from ((method.upper(), place) for method in methods)


def test_no_route_answers_without_a_token(jupyter: Jupyter) -> None:
    found = sorted(_ours(jupyter))
    assert found == [
        ("DELETE", "mlops/jobs/runs"), ("GET", "mlops/jobs"), ("GET", "mlops/jobs/runs"), ("GET", "mlops/jobs/runs/events"),
        ("GET", "mlops/live"), ("GET", "mlops/verbs/runs"), ("POST", "mlops/jobs"), ("POST", "mlops/verbs/runs"),
    ]  # fmt: skip
    for method, place in found:
        for headers in ({}, {"Authorization": "token wrong"}, {"Cookie": "username-localhost=forged; _xsrf=a", "X-XSRFToken": "a"}):
            answer = jupyter.request(method, place, headers=headers, json={"verb": "check", "arguments": {"model": "x"}})
            assert answer.status_code == 403, (method, place, headers)
            assert set(answer.json()) <= {"message", "reason"}
            assert answer.headers["Content-Type"].startswith("application/json")
    assert jupyter.request("GET", "mlops/jobs").status_code == 200


def test_a_change_from_another_page_is_refused(jupyter: Jupyter) -> None:
    page = requests.Session()
    page.get(jupyter.base + "login")
    mark = page.cookies["_xsrf"]
    page.post(jupyter.base + "login", data={"password": jupyter.token, "_xsrf": mark})
    assert page.get(jupyter.base + "mlops/jobs", headers={"Referer": jupyter.base}).status_code == 200
    body = {"verb": "check", "arguments": {"model": "nothing"}}
    mark = page.cookies["_xsrf"]
    for method, place in (("POST", "mlops/jobs"), ("POST", "mlops/verbs/note"), ("DELETE", "mlops/jobs/none")):
        refused = page.request(method, jupyter.base + place, json=body)
        assert (refused.status_code, "_xsrf" in refused.json()["message"]) == (403, True)
        assert page.request(method, jupyter.base + place, json=body, headers={"X-XSRFToken": mark}).status_code in (201, 400, 404)
    elsewhere = {"Origin": "https://elsewhere.example", "Referer": "https://elsewhere.example/", "X-XSRFToken": mark}
    assert page.post(jupyter.base + "mlops/jobs", json=body, headers=elsewhere).status_code in (403, 404)


# -- what may be asked


def test_each_route_of_the_table_calls_what_there_is() -> None:
    for verb, route in (*table.READING.items(), *table.CHANGES.items()):
        parameters = inspect.signature(_function(route.function)).parameters
        free = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        assert free or route.arguments.keys() <= parameters.keys(), verb
        needed = {name for name, item in parameters.items() if item.default is item.empty and item.kind not in (2, 4)}
        assert needed <= set(route.required) <= route.arguments.keys(), verb
    for verb, job in table.JOBS.items():
        options = {name.rstrip("_") for name in inspect.signature(getattr(commands, verb)).parameters}
        assert job.arguments.keys() <= options, verb
        assert set(job.words) | set(job.required) <= job.arguments.keys(), verb


def test_the_server_itself_imports_nothing_heavy() -> None:
    code = "import jupyter_mlops, sys; jupyter_mlops._jupyter_server_extension_points()"
    code += f"; print([name for name in {HEAVY} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("verb", "arguments", "status", "told"),
    [
        ("dance", {}, 400, "There is no verb 'dance' here; there are runs,"),
        ("tag", {}, 400, "There is no verb 'tag' here"),
        ("runs", {"colour": 1}, 400, "runs has no argument 'colour'; it has where,"),
        ("runs", {"limit": "many"}, 400, "limit is to be a whole number from 0, not 'many'"),
        ("runs", {"limit": True}, 400, "limit is to be a whole number"),
        ("runs", {"limit": -1}, 400, "limit is to be a whole number"),
        ("runs", {"limit": 5_000}, 400, "1 to 1000 runs"),
        ("runs", {"where": ["x"]}, 400, "where is to be a text"),
        ("runs", {"where": "auc >>> 1"}, 400, "not understood"),
        ("runs", {"notebook": 3}, 400, "notebook is to be a path"),
        ("show", {}, 400, "show needs run"),
        ("show", {"run": "nothing-here"}, 404, "There is no run 'nothing-here'"),
        ("compare", {"runs": "abc"}, 400, "runs is to be a list of names"),
        ("compare", {"runs": ["a"]}, 400, "two or more runs"),
        ("diff", {"a": "abcdef012345", "b": "fedcba543210"}, 404, "abcdef012345"),
        ("status", {"notebook": "never.ipynb"}, 404, "never.ipynb"),
    ],
)
def test_wrong_use_is_told_in_one_sentence(jupyter: Jupyter, verb: str, arguments: dict[str, Any], status: int, told: str) -> None:
    (jupyter.root / "wrong" / ".mlops").mkdir(parents=True, exist_ok=True)
    answer = jupyter.ask(verb, "wrong", **arguments)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])
    assert told in answer.json()["message"]
    assert "\n" not in answer.json()["message"]


def test_what_is_no_json_is_told_so(jupyter: Jupyter) -> None:
    for arguments in ("[1]", "{", '"x"', "null", "[" * 10_000, "3"):
        answer = jupyter.request("GET", "mlops/verbs/runs", params={"arguments": arguments})
        assert answer.status_code == 400, arguments[:10]
        assert answer.json()["message"]
    for body in (
        b"",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"arguments": 3, "verb": "check"}',
        b'{"verb": ["check"]}',
        b'{"verb": "run", "folder": 3}',
    ):
        for place in ("mlops/verbs/note", "mlops/jobs"):
            answer = jupyter.request("POST", place, data=body)
            assert (answer.status_code, list(answer.json())) == (400, ["message"]), body
    assert jupyter.request("GET", "mlops/jobs/none/events").status_code == 404
    assert jupyter.request("GET", "mlops/jobs/none").status_code == 404
    assert jupyter.request("GET", "mlops/live", params={"folder": "not-there"}).status_code == 404
    assert jupyter.request("GET", "mlops/elsewhere").status_code == 404


# -- runs


def test_a_list_is_read_page_by_page_and_by_notebook(jupyter: Jupyter) -> None:
    folder = made(jupyter, "paged")
    (folder / "deep").mkdir()
    writer = Kernel(folder)
    for number in range(12):
        name = "deep/other.ipynb" if number % 3 == 0 else "study.ipynb"
        writer.finish(writer.run(name=f"run-{number}", notebook=name, metrics=writer.points(("auc", number / 10, None))))
    first = jupyter.ask("runs", "paged", limit=5).json()
    assert ([run["name"] for run in first["runs"]], first["total"]) == ([f"run-{number}" for number in (11, 10, 9, 8, 7)], 12)
    last = jupyter.ask("runs", "paged", limit=5, offset=10).json()
    assert ([run["name"] for run in last["runs"]], last["total"]) == (["run-1", "run-0"], 12)
    # A folder below the project belongs to it, and a notebook is named from the server's root on, whichever folder asks.
    for place in ("paged", "paged/deep"):
        found = jupyter.ask("runs", place, notebook="paged/deep/other.ipynb", sort="auc").json()
        assert ([run["name"] for run in found["runs"]], found["total"]) == (["run-0", "run-3", "run-6", "run-9"], 4)
    best = jupyter.ask("runs", "paged", where="auc > 1", sort="-auc", limit=1).json()
    assert ([run["name"] for run in best["runs"]], best["total"]) == (["run-11"], 1)
    writer.journal.close()


def test_status_is_that_of_the_notebook_that_is_asked_for(jupyter: Jupyter) -> None:
    folder = made(jupyter, "stale")
    for name, source in (("one.ipynb", "a = 1"), ("two.ipynb", "b = 2")):
        cells = [{"cell_type": "code", "id": "cell-1", "metadata": {}, "outputs": [], "execution_count": 1, "source": source}]
        (folder / name).write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
        session = Kernel(folder, notebook=name)
        session.cell("a = 0" if name == "one.ipynb" else source)
        session.journal.close()
    one, two = (jupyter.ask("status", "stale", notebook=f"stale/{name}").json() for name in ("one.ipynb", "two.ipynb"))
    assert (one["notebook"], two["notebook"]) == ("one.ipynb", "two.ipynb")
    assert one["session"] != two["session"]
    assert json.dumps(one) != json.dumps(two)
    assert jupyter.ask("status", "stale").json()["notebook"] == "two.ipynb"
    assert jupyter.ask("status", "stale", notebook="stale/three.ipynb").status_code == 404


def test_a_run_is_tagged_noted_and_deleted(jupyter: Jupyter) -> None:
    folder = made(jupyter, "changed")
    writer = Kernel(folder)
    run = writer.run(name="to-change")
    writer.finish(run)
    writer.journal.close()
    assert jupyter.change("tag", "changed", run=run, tags={"stage": "draft", "n": 3}).json()["did"] == "tagged"
    assert jupyter.change("note", "changed", run=run, text="<b>as it is</b>").status_code == 200
    told = jupyter.ask("show", "changed", run=run).json()["run"]
    assert (told["tags"], told["note"]) == ({"stage": "draft", "n": "3"}, "<b>as it is</b>")
    assert jupyter.change("delete", "changed", runs=[run]).json()[0]["did"] == "deleted"
    assert jupyter.ask("runs", "changed").json() == {"runs": [], "total": 0}
    again = jupyter.change("delete", "changed", runs=[run])
    assert (again.status_code, "deleted already" in again.json()["message"]) == (400, True)


def test_a_schedule_is_added_paused_resumed_and_removed(jupyter: Jupyter) -> None:
    folder = made(jupyter, "scheduled")
    (folder / "pipeline.yaml").write_text("name: nightly\nsteps:\n  wait: {shell: 'sleep 0'}\n")
    added = jupyter.change("schedule", "scheduled", action="add", pipeline="scheduled/pipeline.yaml", cron="0 6 * * *", timezone="UTC")
    assert (added.json()["did"], added.json()["schedule"]["pipeline"]) == ("added", "pipeline.yaml"), added.text
    for action, did in (("pause", "paused"), ("resume", "resumed"), ("remove", "removed")):
        assert jupyter.change("schedule", "scheduled", action=action, name="nightly").json()["did"] == did
    assert jupyter.change("schedule", "scheduled", action="pause", name="nightly").status_code == 404
    assert jupyter.change("schedule", "scheduled", action="dance").status_code == 400
    assert jupyter.change("promote", "scheduled", name="m", to="champion").status_code == 400  # that takes gates, and is a job


def test_numbers_that_json_has_not_are_null(jupyter: Jupyter) -> None:
    folder = made(jupyter, "numbers")
    writer = Kernel(folder)
    points = [["loss", math.nan, None, writer.now], ["rate", math.inf, None, writer.now], ["auc", 0.5, None, writer.now]]
    writer.finish(writer.run(name="odd", metrics=points))
    writer.journal.close()
    answer = jupyter.ask("runs", "numbers")
    assert "NaN" not in answer.text
    assert "Infinity" not in answer.text
    assert answer.json()["runs"][0]["metrics"] == {"loss": None, "rate": None, "auc": 0.5}


def test_settings_are_those_of_a_shell_in_that_folder(jupyter: Jupyter) -> None:
    folder = jupyter.root / "settled"
    (folder / "work").mkdir(parents=True)
    (folder / "pyproject.toml").write_text("[tool.mlops]\nexperiment = 'the study'\n")
    (folder / "json.py").write_text("raise SystemExit('the wrong module')")
    writer = Kernel(folder)
    writer.finish(writer.run(name="of-the-project"))
    writer.journal.close()
    assert [run["name"] for run in jupyter.ask("runs", "settled/work").json()["runs"]] == ["of-the-project"]
    assert not (folder / "work" / ".mlops").exists()
    (folder / "pyproject.toml").write_text("[tool.mlops]\nkeep = 'a lot'\n")
    broken = jupyter.ask("runs", "settled/work")
    assert (broken.status_code, "keep = 'a lot'" in broken.json()["message"]) == (400, True)
    (folder / "pyproject.toml").write_text("[tool.mlops\n")
    broken = jupyter.ask("runs", "settled/work")
    assert (broken.status_code, "pyproject.toml" in broken.json()["message"]) == (400, True)


def test_ten_thousand_runs_come_in_pages_with_their_number(jupyter: Jupyter) -> None:
    folder = made(jupyter, "many")
    fill(folder, f"sqlite:///{folder}/mlflow.db")

    def page(total: int = RUNS, **arguments: Any) -> list[dict[str, Any]]:
        found = jupyter.ask("runs", "many", **arguments).json()
        assert (len(found["runs"]), found["total"]) == (50, total)
        return list(found["runs"])

    first, second = page(), page(offset=50)
    assert len({run["id"] for run in first + second}) == 100
    assert first[0]["started"] > first[-1]["started"] > second[0]["started"]
    last = page(offset=RUNS - 50)
    assert last[-1]["metrics"]["metric_0"] == 0
    assert all(run["metrics"]["metric_1"] > 0.5 for run in page(RUNS // 2 - 1, where="metric_1 > 0.5"))
    sorted_ones = [run["metrics"]["metric_2"] for run in page(sort="-metric_2")]
    assert sorted_ones == sorted(sorted_ones, reverse=True)


def test_a_folder_that_is_gone_is_told_so(jupyter: Jupyter) -> None:
    folder = made(jupyter, "going")
    assert jupyter.ask("runs", "going").status_code == 200
    shutil.rmtree(folder, ignore_errors=True)
    wait_until(lambda: not folder.exists() or (shutil.rmtree(folder, ignore_errors=True), False)[1], 10)
    answer = jupyter.ask("runs", "going")
    assert (answer.status_code, answer.json()["message"]) == (404, "There is no folder 'going': name one that is there.")
