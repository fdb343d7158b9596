"""A model is trained again: once, whoever asks; the champion stays unless a better one passes; everybody who is to know is told."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import config
from jupyter_mlops.config import Settings
from jupyter_mlops.errors import NotFound, PipelineError, UsageError
from jupyter_mlops.models.gates.gathering import conditions_of
from jupyter_mlops.models.retraining import claims, pipelines, retraining
from jupyter_mlops.models.retraining.pipelines import Outcome
from jupyter_mlops.models.retraining.retraining import retrain
from jupyter_mlops.pipelines.running import notify
from jupyter_mlops.records import Gate, ModelVersion, Pipeline, PipelineRun, StepRun
from jupyter_mlops.store import registry
from jupyter_mlops.store.audit import Audit
from jupyter_mlops.store.leases import Leases
from jupyter_mlops.store.shared import SharedState

NAME = "delays"
PIPELINE = """\
name: flights
steps:
  train: {shell: "cp {rows} {model}", inputs: {rows: rows.txt}, outputs: {model: model.txt}}
release: {model: train.model, name: delays}
"""
DONE = PipelineRun(id="a" * 32, name="flights", status="done", started=0.0, seconds=1.0)
FAILED = PipelineRun(
    id="a" * 32, name="flights", status="failed", started=0.0, seconds=1.0,
    steps=(StepRun(step="train", state="failed", error="Traceback\nValueError: no rows"),),
)  # fmt: skip
GOOD, BAD = (
    Gate(name="auc at least 0.7", state="passed", value=0.8),
    Gate(name="auc at least 0.7", state="failed", value=0.6, why="too low"),
)


AGAIN = {"state": "promoted", "version": 1, "again": True}


@pytest.fixture
def settings(project: Path) -> Settings:
    """The settings of a project with a pipeline that releases the model."""
    (project / "pipeline.yaml").write_text(PIPELINE)
    (project / "rows.txt").write_text("1\n")
    (project / "pyproject.toml").write_text("[tool.mlops]\n[tool.mlops.models.delays]\ncooldown = '1h'\n")
    return config.load()


class World:
    """A pipeline and a registry that do what a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.outcome, self.champion, self.runs = Outcome(run=replace(DONE, release=AGAIN)), 1, 0
        self.then: Any = lambda: None
        monkeypatch.setattr(pipelines, "run", self._run)
        monkeypatch.setattr(registry, "champion", lambda settings, name: self._version(self.champion) if self.champion else None)

    def _run(self, settings: Settings, pipeline: Pipeline, *, identifier: str, log: Path, alive: Any) -> Outcome:
        self.runs += 1
        self.then()
        return self.outcome

    def _version(self, number: int) -> ModelVersion:
        return ModelVersion(name=NAME, version=number)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """As `World` says."""
    return World(monkeypatch)


def told(settings: Settings) -> list[str]:
    """What the audit log says, the first entry first."""
    return [entry.what for entry in reversed(Audit(registry.state_of(settings)).entries(NAME))]


# -- what comes of it


STAYS = "; version 1 stays the champion"


@pytest.mark.parametrize(
    ("run", "release", "champion", "state", "what"),
    [
        (DONE, {"state": "promoted", "version": 2}, 2, "promoted", "version 2 is the champion now"),
        (DONE, {"state": "refused", "version": 2}, 1, "refused", f"the new model failed auc at least 0.7 (too low){STAYS}"),
        (DONE, {"state": "promoted", "version": 1, "again": True}, 1, "unchanged", f"the pipeline gave no new model{STAYS}"),
        (DONE, {"state": "waiting", "version": 2, "why": "1 approval"}, 1, "waiting", f"version 2 was not promoted yet: 1 approval{STAYS}"),
        (DONE, {"state": "failed", "why": "no test data"}, 1, "failed", "no test data"),
        (DONE, {}, 1, "failed", "its pipeline releases no model"),
        (FAILED, {}, 1, "failed", "its step train failed: ValueError: no rows"),
        (None, {}, 1, "failed", "it ended"),
    ],
)
def test_only_a_model_that_passes_takes_the_champions_place(
    settings: Settings, world: World, run: Any, release: dict[str, Any], champion: int, state: str, what: str
) -> None:
    world.then = lambda: setattr(world, "champion", champion)
    ended = None if run is None else replace(run, gates=(GOOD, BAD) if state == "refused" else (GOOD,), release=release)
    world.outcome = Outcome(run=ended, why=pipelines._failure(run) if run else "it ended")
    found = retrain(settings, NAME, why="drift of hour", who="monitor")
    assert (found.state, found.what, found.champion, found.why) == (state, what, champion, "drift of hour")
    assert told(settings) == ["retrain started", "retrain failed" if state == "failed" else "retrained"]
    last = Audit(registry.state_of(settings)).entries(NAME)[0]
    assert (last.who, last.details["state"], last.why) == ("monitor", state, f"drift of hour: {what}")


# -- once


def test_a_hundred_alerts_start_one_retraining(settings: Settings, world: World) -> None:
    first = retrain(settings, NAME, why="drift")
    others = [retrain(settings, NAME, why="drift") for _ in range(99)]
    assert (first.state, {found.state for found in others}, world.runs) == ("unchanged", {"skipped"}, 1)
    assert others[0].until == pytest.approx(first.started + 3600)
    assert told(settings) == ["retrain started", "retrained", "retrain skipped"]
    assert retrain(settings, NAME, force=True).state == "unchanged"
    assert world.runs == 2


def test_the_next_one_starts_once_the_cool_down_is_over(settings: Settings, world: World, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.mlops.models.delays]\ncooldown = '0.3s'\n")
    assert [retrain(settings, NAME).state for _ in range(2)] == ["unchanged", "skipped"]
    time.sleep(0.4)
    assert retrain(settings, NAME).state == "unchanged"


def test_while_one_goes_on_there_is_no_other_even_by_force(settings: Settings, world: World) -> None:
    meanwhile: list[str] = []
    world.then = lambda: meanwhile.append(retrain(settings, NAME, force=True).state)
    assert retrain(settings, NAME).state == "unchanged"
    assert (meanwhile, world.runs) == (["skipped"], 1)


def test_of_many_that_ask_at_the_same_moment_one_gets_the_claim(state: SharedState) -> None:
    def ask(number: int) -> bool:
        with state.begin() as connection:
            return claims.claim(state, connection, NAME, run=f"{number}", why="drift", who="a", seconds=60, force=False) is not None

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(ask, range(24))) == 1


def test_one_that_was_killed_is_noted_and_holds_nobody_up(settings: Settings, world: World) -> None:
    state = registry.state_of(settings)
    with state.begin() as connection:
        claims.claim(state, connection, NAME, run="dead", why="drift", who="a", seconds=0, force=False)
    assert retrain(settings, NAME).state == "unchanged"
    assert told(settings) == ["retrain failed", "retrain started", "retrained"]


def test_an_interruption_keeps_the_champion_and_gives_the_lease_back(settings: Settings, world: World) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    world.then = interrupt
    with pytest.raises(KeyboardInterrupt):
        retrain(settings, NAME)
    assert told(settings) == ["retrain started", "retrain failed"]
    assert Leases(registry.state_of(settings)).holder(claims.lease_name(NAME)) is None


def test_whoever_cannot_wait_is_told_that_nothing_needs_to_be_started(settings: Settings, world: World) -> None:
    retrain(settings, NAME)
    assert retraining.start(settings, NAME, why="drift") is None


# -- which pipeline, and its data


def test_the_pipeline_is_the_one_that_releases_the_model(settings: Settings, project: Path) -> None:
    assert pipelines.pipeline_of(settings, NAME).path == str(project / "pipeline.yaml")
    (project / "other").mkdir()
    (project / "other" / "pipeline.yaml").write_text(PIPELINE)
    with pytest.raises(UsageError, match=r"Several pipelines release 'delays' \(pipeline.yaml, other/pipeline.yaml\)"):
        pipelines.pipeline_of(settings, NAME)
    (project / "pyproject.toml").write_text("[tool.mlops.models.delays]\npipeline = 'other/pipeline.yaml'\n")
    assert pipelines.pipeline_of(settings, NAME).path == str(project / "other" / "pipeline.yaml")
    with pytest.raises(NotFound, match="no pipeline that releases 'nosuch'"):
        pipelines.pipeline_of(settings, "nosuch")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (PIPELINE.replace('{shell: "cp {rows} {model}", ', "{notebook: renamed.ipynb, "), "renamed.ipynb"),
        (PIPELINE.replace("release:", "stpes: {}\nrelease:"), "stpes"),
        (PIPELINE.replace("name: delays", "name: delays, gates: [{metrik: auc}]"), "metrik"),
        (PIPELINE.replace("model.txt}}", "model.txt}, retires: 1}").replace(", name: delays", ""), "retires"),
        (PIPELINE.replace(", name: delays", ", nmae: delays"), "nmae"),
        (PIPELINE.replace("release:", "relaese:").replace("name: delays", "name: delays, gates: []"), "relaese"),
        (PIPELINE.replace("steps:\n", "steps:\n\t\n  \t"), "a tab indents"),
    ],
)
def test_a_pipeline_that_is_written_wrongly_is_no_other_tools_file(settings: Settings, project: Path, written: str, message: str) -> None:
    (project / "pipeline.yaml").write_text(written)
    with pytest.raises(PipelineError, match=message):
        pipelines.pipeline_of(settings, NAME)
    with pytest.raises(PipelineError, match=message):
        conditions_of(settings, NAME)


@pytest.mark.parametrize(
    "written",
    [
        "release: {name: delays}\nimage: nginx\n",
        "release: stable\nsteps: [checkout, {run: make release}]\n",
        "name: {{ .Release.Name }}\nrelease: {{ .Values.delays }}\n",
        "- release\n- delays\n",
        PIPELINE.replace("name: delays", "name: other").replace("release:", "stpes: {}\nrelease:"),
        PIPELINE.replace("name: flights", "name: delays\nstpes: {}").partition("release:")[0] + "# no release\n",
    ],
)
def test_other_tools_files_and_other_models_pipelines_are_passed_over(settings: Settings, project: Path, written: str) -> None:
    (project / "other.yaml").write_text(written)
    assert pipelines.pipeline_of(settings, NAME).path == str(project / "pipeline.yaml")


def test_new_data_is_noticed(settings: Settings, project: Path) -> None:
    from jupyter_mlops.surfaces import cli

    (project / "pipeline.yaml").write_text(PIPELINE.replace("release: {model: train.model, name: delays}\n", ""))
    pipeline = pipelines.loading.load(project / "pipeline.yaml")
    assert cli.run(["run", "pipeline.yaml", "--json"]) == 0
    assert pipelines.new_data(settings, pipeline) == ""
    (project / "rows.txt").write_text("1\n2\n")
    assert pipelines.new_data(settings, pipeline) == "train: inputs.rows: content changed"
    assert retraining._reason(settings, pipeline) == "new data (train: inputs.rows: content changed)"


def test_a_run_in_a_process_of_its_own_tells_how_it_ended(settings: Settings, project: Path) -> None:
    text = PIPELINE.replace("release: {model: train.model, name: delays}\n", "").replace("cp {rows} {model}", "echo no rows; exit 3")
    (project / "pipeline.yaml").write_text(text)
    pipeline = pipelines.loading.load(project / "pipeline.yaml")
    found = pipelines.run(settings, pipeline, identifier="b" * 32, log=project / "log", alive=lambda: None)
    assert found.run is not None
    assert (found.run.id, found.run.status, found.why.startswith("its step train failed")) == ("b" * 32, "failed", True)
    (project / "pipeline.yaml").write_text("steps: {}\n")
    broken = pipelines.run(settings, pipeline, identifier="c" * 32, log=project / "log", alive=lambda: None)
    assert broken.run is None
    assert "pipeline.yaml" in broken.why


# -- people


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """An address, and what was posted there."""
    posted: list[dict[str, Any]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *words: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/x", posted
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(("outcome", "count"), [("failed", 1), ("refused", 1), ("unchanged", 0)])
def test_people_are_told_of_what_did_not_end_well(
    settings: Settings, world: World, project: Path, webhook: tuple[str, list[dict[str, Any]]], outcome: str, count: int
) -> None:
    url, posted = webhook
    (project / "pyproject.toml").write_text(f"[tool.mlops.models.delays]\nalerts = [{{webhook = '{url}'}}]\n")
    run = FAILED if outcome == "failed" else replace(DONE, gates=(BAD,), release={"state": "refused"} if outcome == "refused" else AGAIN)
    world.outcome = Outcome(run=run, why=pipelines._failure(run))
    assert retrain(settings, NAME, why="decay of auc").state == outcome
    assert len(posted) == count
    for message in posted:
        assert message["text"].splitlines()[0].startswith("Retraining of delays failed after")
        assert "decay of auc" in message["text"]
        assert message["state"] == outcome


def test_a_message_that_could_not_be_sent_is_told_and_fails_nothing(
    settings: Settings, world: World, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_PAUSE", 0.0)
    (project / "pyproject.toml").write_text("[tool.mlops.models.delays]\nalerts = [{webhook = 'ftp://nowhere.invalid'}]\n")
    world.outcome = Outcome(run=FAILED, why="its step train failed")
    found = retrain(settings, NAME)
    assert (found.state, len(found.notes)) == ("failed", 1)
    assert "was not sent" in found.notes[0]
