"""No path leaves the server's root, and HTML from runs is a text like any other: hundreds of tries at a real server."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import requests

from jupyter_mlops.surfaces.routes import places
from tests.delivery_desk import Kernel
from tests.surfaces.jupyter import Jupyter, made

MARK = "the secret of another folder"


@pytest.fixture(scope="module")
def fenced(jupyter: Jupyter) -> tuple[Path, Path]:
    """A project with links that lead out, and the folder that they lead to."""
    folder = made(jupyter, "fenced")
    outside = jupyter.root.parent / "outside"
    outside.mkdir()
    (outside / ".mlops").mkdir()
    (outside / "secret.csv").write_text(f"{MARK}\n1\n")
    (outside / "secret.ipynb").write_text(json.dumps({"cells": [], "metadata": {MARK: 1}, "nbformat": 4, "nbformat_minor": 5}))
    (outside / "pipeline.yaml").write_text(f"name: out\nsteps:\n  write: {{shell: 'echo {MARK} > {outside}/written'}}\n")
    (folder / "link").symlink_to(outside)
    (folder / "file.csv").symlink_to(outside / "secret.csv")
    (folder / "twice").symlink_to(folder / "link")
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "up").symlink_to("../..")
    (folder / "inside").mkdir()
    (folder / "inside" / "table.csv").write_text("a\n1\n")
    return folder, outside


def _ways_out(outside: Path) -> Iterator[str]:
    """Five hundred texts that lead to another folder, or would on another system, or after one more decoding."""
    ups = (
        "..",
        ".. ",
        "..;",
        "%2e%2e",
        "%252e%252e",
        "..%00",
        "\uff0e\uff0e",
        "%c0%ae%c0%ae",
        "..\\",
        "..%5c",
        "./..",
        "..//",
        "link/..",
        "....",
    )
    signs = ("/", "//", "\\", "%2f", "%5c", "/./", "\u2215", "%252f")
    ends = ("outside", "outside/secret.csv", "outside/pipeline.yaml", "outside/secret.ipynb", "etc/passwd", "")
    starts = ("", "/", "inside/", "fenced/", "fenced/inside/", "./")
    away = str(outside)
    fixed = [
        *(away, f"{away}/secret.csv", f"/{away}", f"//{away}/secret.csv", "/etc/passwd", "/", "//", "/proc/self/environ", "~", "/.."),
        *("~/.ssh/id_rsa", "~root/.bashrc", "fenced/link", "fenced/link/secret.csv", "fenced/link/pipeline.yaml", "fenced/file.csv"),
        *("fenced/link/secret.ipynb", "fenced/twice/secret.csv", "fenced/circle", "fenced/up", "fenced/up/outside/secret.csv", "C:"),
        *("C:\\", "c:/windows", "C:\\Windows\\win.ini", "\\\\server\\share", "\\\\?\\C:\\x", "//server/share", "file:///etc/passwd"),
        *(f"file://{away}/secret.csv", "fenced\0/../outside", "\0", "fenced/\0", "fenced/link\0.csv", "CON", "NUL", "fenced::$DATA"),
        *("a" * 5000, "../" * 2000, "fenced/" * 800, "..", "../", "...", "fenced/..", "fenced/../..", "fenced/inside/../../../outside"),
        *("fenced/./../../outside/secret.csv", " ..", "https://example.org/x.csv", "s3://bucket/key", "-", "--help", "--out=/tmp/x"),
        *("$HOME", "`id`", "$(id)", "|id", ";id", "\n", "\r\n.."),
    ]
    made = [
        f"{start}{sign.join([up] * depth)}{sign}{end}"
        for start, up, sign, end, depth in itertools.product(starts, ups, signs, ends, (1, 2, 3))
    ]
    yield from fixed
    yield from random.Random(6).sample(made, 500 - len(fixed))


def _sent(jupyter: Jupyter, way: str, number: int) -> requests.Response:
    """One of the places of requests that take a path or a name."""
    match number % 10:
        case 0:
            return jupyter.ask("runs", way)
        case 1:
            return jupyter.ask("status", "fenced", notebook=way)
        case 2:
            return jupyter.ask("diff", "fenced", a=way, b="fenced/inside/table.csv")
        case 3:
            return jupyter.ask("pipeline_plan", "fenced", path=way)
        case 4:
            return jupyter.ask("show", "fenced", run=way)
        case 5:
            return jupyter.change("schedule", "fenced", action="add", pipeline=way, cron="0 6 * * *")
        case 6:
            return jupyter.request(
                "POST", "mlops/jobs", json={"verb": "run", "folder": "fenced", "arguments": {"sources": [way], "on": "nowhere"}}
            )
        case 7:
            body = {"verb": "check", "folder": way, "arguments": {"model": "none"}}
            return jupyter.request("POST", "mlops/jobs", json=body)
        case 8:
            return jupyter.request("GET", "mlops/live", params={"folder": way}, stream=True)
        case _:
            return jupyter.ask("step_log", "fenced", pipeline=way, step=way, run=way)


def test_five_hundred_ways_out_of_the_root_lead_nowhere(jupyter: Jupyter, fenced: tuple[Path, Path]) -> None:
    _, outside = fenced
    before = {path: path.stat().st_mtime_ns for path in (outside, *outside.rglob("*"))}
    refused = 0
    earlier = {job["id"] for job in jupyter.request("GET", "mlops/jobs").json()["jobs"]}
    ways = list(_ways_out(outside))
    assert len(set(ways)) >= 490
    for number, way in enumerate(ways):
        answer = _sent(jupyter, way, number)
        told = b"" if answer.headers["Content-Type"].startswith("text/event-stream") else answer.content
        assert answer.status_code in (200, 201, 400, 403, 404), (number, way, told)
        assert MARK.encode() not in told, (number, way)
        assert b"root:" not in told
        refused += answer.status_code >= 400
        answer.close()
    assert refused > 440
    for job in jupyter.request("GET", "mlops/jobs").json()["jobs"]:
        if job["id"] not in earlier:
            assert jupyter.ended(job["id"])["status"] != 0
            assert all(Path(source).is_relative_to(jupyter.root) for source in job["arguments"].get("sources", ()))
    assert {path: path.stat().st_mtime_ns for path in (outside, *outside.rglob("*"))} == before
    assert jupyter.ask("diff", "fenced", a="fenced/inside/table.csv", b="fenced/inside/table.csv").json()["identical"]


def test_every_way_that_leads_out_here_is_forbidden(jupyter: Jupyter, fenced: tuple[Path, Path]) -> None:
    _, outside = fenced
    ways = [
        "..",
        "../outside",
        "fenced/link",
        "fenced/link/secret.csv",
        "fenced/file.csv",
        "fenced/twice",
        "fenced/up",
        str(outside),
        "/etc",
    ]
    ways += ["fenced/../../outside", "~", "C:/x", "a\\..\\b", "x\0y", "/", "fenced/inside/../../../outside"]
    for number, way in itertools.product((2, 3, 5, 6), ways):
        answer = _sent(jupyter, way, number)
        assert (answer.status_code, list(answer.json())) == (403, ["message"]), (number, way, answer.text)
    # Tornado reads a control character of a query's text as a space.
    for way in ways:
        assert _sent(jupyter, way, 0).status_code == (404 if "\0" in way else 403), way


def test_an_address_with_dots_in_it_finds_no_route(jupyter: Jupyter, fenced: tuple[Path, Path]) -> None:
    for path in (
        *("mlops/verbs/../../../outside/secret.csv", "mlops/verbs/..%2f..%2foutside%2fsecret.csv", "mlops/verbs/%2e%2e/%2e%2e/outside"),
        *("mlops/jobs/..%2f..%2fetc%2fpasswd/events", "mlops/..%5c..%5coutside", "mlops/verbs/runs%00", "mlops//verbs//runs"),
        "mlops/live/../../x",
    ):
        connection = HTTPConnection("127.0.0.1", jupyter.port)
        connection.request("GET", f"/lab/{path}", headers={"Authorization": f"token {jupyter.token}"})
        answer = connection.getresponse()
        body = answer.read()
        assert (answer.status in (400, 403, 404), MARK.encode() in body) == (True, False), (path, answer.status)
        connection.close()


TAGS = ("img src=x", "svg", "body", "iframe", "input autofocus", "video src=x", "details open")
EVENTS = ("onerror", "onload", "onfocus", "ontoggle")
HTML = [
    *(f"<{tag} {event}=alert({number})>" for number, (tag, event) in enumerate(itertools.product(TAGS, EVENTS))),
    *(
        "<script>alert(1)</script>",
        "</script><script>alert(1)</script>",
        "<SCRIPT SRC=//x></SCRIPT>",
        "<a href='javascript:alert(1)'>x</a>",
    ),
    *('"><img src=x>', "'><b>", "<!--", "-->", "]]>", "<style>*{display:none}</style>", "&lt;b&gt;", "&#60;script&#62;", "<b>bold</b>"),
    *("<math>", "</title>", "</textarea>", "<base href=//x>", "<meta http-equiv=refresh content=0>", "\u202e<b>", "<\u0001b>"),
    *("{{constructor}}", "${alert(1)}", "\u2028<script>", "<img src=x\nonerror=alert(1)>"),
]


def test_fifty_pieces_of_html_come_back_as_the_texts_that_they_are(jupyter: Jupyter) -> None:
    assert len(set(HTML)) >= 50
    folder = made(jupyter, "html")
    writer = Kernel(folder)
    for html in HTML:
        run = writer.run(name=html, params={"p": html}, tags={"t": html}, note=html, notebook=f"{html}.ipynb")
        writer.cell(html, run, outputs=[{"kind": "stream", "name": "stdout", "data": {"text/plain": html}}])
        writer.finish(run, "FAILED", error=html)
    writer.journal.close()
    answers = [jupyter.ask("runs", "html", limit=200)]
    found = {run["name"]: run for run in answers[0].json()["runs"]}
    assert set(found) == set(HTML)
    for html in HTML:
        run = found[html]
        assert (run["params"]["p"], run["tags"]["t"], run["error"], run["notebook"]) == (html, html, html, f"{html}.ipynb")
        shown = jupyter.ask("show", "html", run=run["id"])
        assert shown.json()["run"]["note"] == html
        assert html in json.dumps(shown.json()["cells"], ensure_ascii=False).replace('\\"', '"').replace("\\n", "\n").replace(
            "\\u0001", "\u0001"
        )
        answers.append(shown)
        # In an error, too.
        for refused in (
            jupyter.ask("show", "html", run=html.replace("/", "") + "?"),
            jupyter.ask("runs", html),
            jupyter.ask("runs", "html", **{html: 1}),
        ):
            assert refused.status_code in (400, 403, 404)
            assert list(refused.json()) == ["message"]
            answers.append(refused)
    for answer in answers:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    job = jupyter.start("check", "html", model="<b>none</b>")
    assert "'<b>none</b>'" in jupyter.ended(job)["error"]


def test_an_answer_names_files_as_the_contents_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path.resolve() / "root"
    (root / ".mlops").mkdir(parents=True)
    monkeypatch.setattr(places, "_root", root)
    (root / "out").symlink_to(tmp_path)
    for path, told in (
        (root, ""),
        (root / ".mlops/a.ipynb", ".mlops/a.ipynb"),
        (root / "b/../c", "c"),
        (tmp_path, None),
        (root / "out/x", None),
    ):
        assert places.contents_path(path) == told
