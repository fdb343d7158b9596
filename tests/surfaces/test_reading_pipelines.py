"""What the panel reads of pipelines and schedules: by real runs of light steps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import jupyter_mlops as mlops
from jupyter_mlops import config
from jupyter_mlops.errors import NotFound, UsageError
from jupyter_mlops.pipelines.scheduling.presence import LeasedPresence
from jupyter_mlops.store.shared import SharedState
from jupyter_mlops.surfaces.drawing import layout
from jupyter_mlops.surfaces.routes import places, reading_pipelines, reading_schedules
from tests.pipelines import notebook_files

PIPELINE = """\
name: greetings
params: {word: hello, mark: "!"}
schedule: {cron: "0 6 * * 1", timezone: Europe/Copenhagen}
steps:
  greet: {shell: "echo {word} > {text}; echo said {word}", outputs: {text: out/greet.txt}}
  shout: {notebook: shout.ipynb, params: {mark: "{mark}"}, inputs: {text: greet.text}}
  tell: {shell: "cat {text}", inputs: {text: greet.text, loud: shout.loud}}
"""
SHOUT = """\
from pathlib import Path
loud = Path(text).read_text().strip().upper() + mark
print(f'\\x1b[31m{loud}\\x1b[0m')
if mark == '?': raise ValueError('no questions')
"""


@pytest.fixture
def greetings(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a pipeline in a folder of its own, which the server shows from above on."""
    (project / "flow" / "out").mkdir(parents=True)
    (project / "flow" / "pipeline.yaml").write_text(PIPELINE)
    notebook_files.write(project / "flow" / "shout.ipynb", "text = ''\nmark = '!'", "{'loud': loud}", SHOUT)
    monkeypatch.setattr(places, "_root", project.resolve())
    return project


def test_the_pipelines_of_a_project_with_their_graphs(greetings: Path) -> None:
    for elsewhere in ("node_modules", "mlruns", ".mlops"):
        (greetings / elsewhere).mkdir(exist_ok=True)
        (greetings / elsewhere / "pipeline.yaml").write_text(PIPELINE)
    (greetings / "other.yaml").write_text("steps:\n  one: {shell: 'true'}\n")
    (greetings / "compose.yaml").write_text("services: {web: {image: x}}\n")
    other, flow = sorted(reading_pipelines.pipelines(), key=lambda file: file.path, reverse=True)
    assert (other.path, other.name, list(other.layout.nodes)) == ("other.yaml", "other", ["one"])
    assert (flow.path, flow.name, flow.params, flow.last) == ("flow/pipeline.yaml", "greetings", {"word": "hello", "mark": "!"}, None)
    assert flow.edges == {"greet": (), "shout": ("greet",), "tell": ("greet", "shout")}
    assert flow.layout == layout(flow.edges)
    assert [step.kind for step in flow.steps] == ["shell", "notebook", "shell"]


def test_to_look_makes_no_project_of_a_folder(greetings: Path) -> None:
    (flow,) = reading_pipelines.pipelines()
    assert flow.last is None
    assert reading_pipelines.pipeline_runs(greetings / flow.path) == []
    assert reading_schedules.timetable().schedules == ()
    assert sorted(path.name for path in greetings.iterdir()) == ["flow"]


def test_what_is_wrong_with_a_file_is_told_with_its_line(greetings: Path) -> None:
    (greetings / "flow" / "pipeline.yaml").write_text(PIPELINE.replace("greet.text, loud: shout.loud", "greet.txt"))
    (broken,) = reading_pipelines.pipelines()
    assert (broken.name, broken.steps) == ("greetings", ())
    assert broken.fault is not None
    assert (broken.fault.file, broken.fault.line) == ("flow/pipeline.yaml", 7)
    assert "it gives text" in broken.fault.message
    assert "pipeline.yaml" not in broken.fault.message


def test_runs_with_the_states_of_their_steps_and_what_they_printed(greetings: Path) -> None:
    file = greetings / "flow" / "pipeline.yaml"
    first = mlops.run(file)
    second = mlops.run(file, params={"mark": "?"})
    (flow,) = reading_pipelines.pipelines()
    later, earlier = reading_pipelines.pipeline_runs(file)
    assert flow.last == later
    assert (earlier.run.id, earlier.run.status, later.run.id, later.run.status) == (first.id, "done", second.id, "failed")
    assert {step.step: step.state for step in earlier.run.steps} == {"greet": "done", "shout": "done", "tell": "done"}
    assert {step.step: step.state for step in later.run.steps} == {"greet": "cached", "shout": "failed", "tell": "skipped"}
    assert "no questions" in next(step.error for step in later.run.steps if step.step == "shout")
    assert len(reading_pipelines.pipeline_runs(file, limit=1)) == 1

    printed, _declared = reading_pipelines.step_log("greetings", "shout", first.id).printed
    assert (printed.cell, printed.text, printed.source) == (3, "HELLO!\n", SHOUT)
    failed = reading_pipelines.step_log("greetings", "shout", second.id).printed[-1]
    assert failed.text == "HELLO?\n"
    assert failed.error.rstrip().endswith("ValueError: no questions")
    log = reading_pipelines.step_log("greetings", "greet", first.id)
    assert ([one.text for one in log.printed], log.earlier) == (["said hello\n"], False)
    cached = reading_pipelines.step_log("greetings", "greet", second.id)
    assert ([one.text for one in cached.printed], cached.earlier) == (["said hello\n"], True)

    executed = reading_pipelines.executed_notebook("greetings", "shout", first.id)
    assert executed.name == "shout.ipynb"
    assert "HELLO!" in json.dumps(json.loads(executed.text)["cells"][-2]["outputs"])
    with pytest.raises(UsageError, match="no notebook"):
        reading_pipelines.executed_notebook("greetings", "greet", first.id)
    with pytest.raises(NotFound, match="not run yet"):
        reading_pipelines.step_log("greetings", "tell-tale", first.id)

    plan = reading_pipelines.pipeline_plan(file, {"word": "bye"})
    assert {step.step: step.action for step in plan.steps} == {"greet": "run", "shout": "after", "tell": "after"}
    assert [step.action for step in reading_pipelines.pipeline_plan(file, start="tell").steps] == ["skip", "skip", "cached"]


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ".hidden", "", "a\\b", "a\0b"])
def test_no_name_leads_out_of_the_folder_of_outputs(greetings: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is no name"):
        reading_pipelines.step_log(name, "step", "0123abcd")
    with pytest.raises(UsageError, match="is no name"):
        reading_pipelines.executed_notebook("greetings", name, "0123abcd")
    with pytest.raises(UsageError, match="is no name"):
        reading_pipelines.step_log("greetings", "step", name)


def test_schedules_with_their_due_times_and_who_runs_them(greetings: Path) -> None:
    assert reading_schedules.timetable().schedules == ()
    mlops.schedule("add", str(greetings / "flow" / "pipeline.yaml"), params={"word": "{due:%Y}"})
    (timed,) = reading_schedules.timetable().schedules
    assert (timed.path, timed.words, len(timed.coming)) == ("flow/pipeline.yaml", "At 06:00 on Monday", 3)
    assert timed.coming[0] == timed.schedule.next
    assert timed.now["word"].startswith("20")
    mlops.schedule("pause", "greetings")
    (paused,) = reading_schedules.timetable().schedules
    assert paused.schedule.paused
    assert paused.coming == ()

    assert reading_schedules.timetable().schedulers == ()
    presence = LeasedPresence(SharedState(config.load()), 30)
    presence.enter()
    (scheduler,) = reading_schedules.timetable().schedulers
    assert "process" in scheduler
    presence.leave()
    assert reading_schedules.timetable().schedulers == ()


def test_a_cron_expression_in_plain_words(project: Path) -> None:
    times = reading_schedules.due_times("30 7 * * 1-5", "Asia/Tokyo")
    assert (times.words, times.timezone, len(times.coming)) == ("At 07:30 on Monday through Friday", "Asia/Tokyo", 3)
    assert all(moment % 86_400 == (22 * 60 + 30) * 60 for moment in times.coming)
    with pytest.raises(UsageError, match="cannot be read"):
        reading_schedules.due_times("every day")
    with pytest.raises(UsageError, match="did you mean"):
        reading_schedules.due_times("@daily", "Europe/Copenhage")


def test_what_a_due_run_printed(greetings: Path) -> None:
    mlops.schedule("add", str(greetings / "flow" / "pipeline.yaml"), cron="* * * * * *", timezone="UTC")
    served = mlops.scheduler(once=True)
    while not served or not served.firings:
        served = mlops.scheduler(once=True)
    history = reading_schedules.schedule_history("greetings")
    (done,) = [firing for firing in history.firings if firing.run == served.firings[-1].run]
    assert done.state == "done"
    log = reading_schedules.schedule_log("greetings", done.run)
    assert "greet" in log.printed[0].text
    (past, *_) = reading_pipelines.pipeline_runs(greetings / "flow" / "pipeline.yaml")
    assert past.schedule == "greetings"
    with pytest.raises(NotFound):
        reading_schedules.schedule_log("greetings", "0123abcd")
