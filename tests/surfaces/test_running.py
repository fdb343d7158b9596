"""The verb `run`: what it shows, what it writes for continuous integration, and how it says to go on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest

import jupyter_mlops as mlops
from jupyter_mlops.records import Pipeline, PipelineRun, PipelineStep, StepRun
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.running import Choice, way_on

from .hand_made import lines
from .test_lightness import HEAVY

PIPELINE = """
name: greetings
params: {word: hello, limit: 3}
steps:
  greet: {shell: "echo {word} > {text}", outputs: {text: out/greet.txt}}
  count: {python: "count.py:letters", inputs: {text: greet.text}, params: {limit: "{limit}"}}
  tell:
    shell: "cat {text} > {all}; echo {letters} >> {all}"
    inputs: {text: greet.text, letters: count.letters}
    outputs: {all: out/all.txt}
release: {model: tell.all, gates: [{metric: letters, at_most: 8}]}
"""
COUNT = '''
from pathlib import Path


def letters(text, limit):
    """How many letters a file has, if they are enough."""
    found = len(Path(text).read_text().strip())
    if found < limit:
        raise ValueError(f"only {found} letters")
    return {"letters": found}
'''


@pytest.fixture
def greetings(project: Path) -> Path:
    """A pipeline of light steps, in the working folder."""
    (project / "out").mkdir()
    (project / "pipeline.yaml").write_text(PIPELINE)
    (project / "count.py").write_text(COUNT)
    return project


def test_a_pipeline_runs_once_and_then_only_what_changed(greetings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert states(capsys, "run pipeline.yaml") == {"greet": "done", "count": "done", "tell": "done"}
    assert states(capsys, "run pipeline.yaml") == {"greet": "cached", "count": "cached", "tell": "cached"}
    assert states(capsys, "run pipeline.yaml -p limit=2") == {"greet": "cached", "count": "done", "tell": "cached"}
    assert states(capsys, "run pipeline.yaml --only greet --force") == {"greet": "done", "count": "skipped", "tell": "skipped"}


def test_a_failure_tells_what_failed_and_how_to_go_on(greetings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = "run pipeline.yaml -p word=hi --junit ci/steps.xml --summary ci/summary.md --graph ci/steps.svg"
    assert cli.run(command.split()) == 1
    out, err = capsys.readouterr()
    assert "only 2 letters" in out
    assert "Mend count.py, then: mlops run pipeline.yaml -p word=hi (greet is cached)" in out
    assert re.sub(r"(?m)^\d\d:\d\d:\d\d  ", "", err).splitlines()[0].split() == ["greet", "running"]
    root = ElementTree.parse(greetings / "ci" / "steps.xml").getroot()
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["skipped"]) == ("4", "1", "2")
    assert (greetings / "ci" / "summary.md").read_text().startswith("## ❌ greetings: failed\n")
    titles = [item.text for item in ElementTree.parse(greetings / "ci" / "steps.svg").iter("{http://www.w3.org/2000/svg}title")]
    assert [title.split(" · ")[1] for title in titles if title] == ["done", "failed", "skipped"]


def test_a_gate_that_is_not_met_fails_the_command_but_no_step(greetings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["run", "pipeline.yaml"]) == 0
    assert "✓ letters at most 8 5.0 as recorded" in lines(capsys.readouterr().out)
    assert cli.run(["run", "pipeline.yaml", "-p", "word=good morning"]) == 1
    out = lines(capsys.readouterr().out)
    assert out[1].startswith("done in ")
    assert "✗ letters at most 8 12.0 as recorded" in out


def test_a_summary_is_added_to_the_file_that_github_shows(greetings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = greetings / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    assert cli.run(["run", "pipeline.yaml", "--summary", str(page)]) == 0
    assert page.read_text().startswith("before\n## ✅ greetings: done\n")
    assert cli.run(["run", "pipeline.yaml", "--summary", "own.md"]) == 0
    assert cli.run(["run", "pipeline.yaml", "--summary", "own.md"]) == 0
    assert (greetings / "own.md").read_text().count("greetings: done") == 1


def test_a_dry_run_says_why_and_runs_nothing(greetings: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["run", "pipeline.yaml", "--dry-run", "--graph", "plan.svg"]) == 0
    assert "1 of 3 steps would run; 2 more if what they take from those has changed." in capsys.readouterr().out
    assert sorted(path.name for path in greetings.iterdir() if not path.name.startswith(".")) == [
        "count.py",
        "out",
        "pipeline.yaml",
        "plan.svg",
    ]
    assert cli.run(["run", "pipeline.yaml"]) == 0
    capsys.readouterr()
    assert cli.run(["run", "pipeline.yaml", "-p", "limit=4", "--dry-run", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {step["step"]: step["action"] for step in plan["steps"]} == {"greet": "cached", "count": "run", "tell": "after"}
    assert any("limit" in why for why in plan["steps"][1]["why"])


def test_a_shell_a_notebook_and_python_give_the_same_run(greetings: Path, kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["run", "pipeline.yaml"]) == 0
    shell = last(capsys, "run pipeline.yaml")
    assert kernel.run("%load_ext jupyter_mlops").error == ""
    told = kernel.run("%mlops run pipeline.yaml --json").result["text/plain"]
    python = mlops.run("pipeline.yaml", params={"word": "hello"})
    assert isinstance(python, PipelineRun)
    for other in (json.loads(told), json.loads(json.dumps(cli_json(python)))):
        assert {key: other[key] for key in ("name", "status", "params", "edges", "gates")} == {
            key: shell[key] for key in ("name", "status", "params", "edges", "gates")
        }
        assert [(step["step"], step["state"], step["key"]) for step in other["steps"]] == [
            (step["step"], step["state"], step["key"]) for step in shell["steps"]
        ]
    shown = kernel.run("%mlops run pipeline.yaml")
    assert shown.error == ""
    assert "<svg" in shown.result["text/html"]
    assert re.fullmatch(r"greetings: 3 cached in .*", shown.displays[-1]["text/plain"])
    assert kernel.run("%mlops run pipeline.yaml -p nosuch=1").error.startswith("PipelineError")


def test_a_notebook_alone_takes_parameters_and_a_place(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [("size: int = 2", ["parameters"]), ("total = size * 10\nprint(total)", []), ("{'total': total}", ["outputs"])]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source, metadata={"tags": tags}) for source, tags in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    nbformat.write(notebook, "ten.ipynb")
    assert cli.run(["run", "ten.ipynb", "-p", "size=4", "--out", "done.ipynb"]) == 0
    capsys.readouterr()
    written = nbformat.read("done.ipynb", 4)
    assert "40\n" in [output.get("text") for cell in written.cells for output in cell.get("outputs", [])]
    Path("done.ipynb").unlink()
    found = last(capsys, "run ten.ipynb -p size=4 --out done.ipynb")
    assert nbformat.read("done.ipynb", 4) == written
    assert [(step["state"], step["outputs"]["total"]["value"]) for step in found["steps"]] == [("cached", 40)]


def test_a_run_in_which_nothing_changed_imports_little(greetings: Path) -> None:
    assert cli.run(["run", "pipeline.yaml"]) == 0
    time.sleep(2.1)  # the contents of younger files are not believed to be known
    assert cli.run(["run", "pipeline.yaml"]) == 0
    heavy = [name for name in HEAVY if name != "sqlalchemy"] + [
        "sqlalchemy.dialects.postgresql",
        "IPython",
        "nbformat",
        "smtplib",
        "asyncio",
    ]
    run = "import sys; from jupyter_mlops.surfaces.cli import run; run(['run', 'pipeline.yaml'])"
    code = f"{run}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "3 cached" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


STEPS = (
    PipelineStep(name="prepare", kind="notebook", source="prepare.ipynb"),
    PipelineStep(name="train", kind="notebook", source="train it.ipynb"),
    PipelineStep(name="tell", kind="shell", source="echo", cache=False),
    PipelineStep(name="fit", kind="python", source="fit.py:fit"),
    PipelineStep(name="send", kind="python", source="package.sending:send"),
)


@pytest.mark.parametrize(
    ("states", "choice", "expected"),
    [
        (("done", "done", "done", "done", "done"), Choice(sources=(Path("pipeline.yaml"),)), ()),
        (
            ("done", "failed", "skipped", "skipped", "skipped"),
            Choice(sources=(Path("my pipeline.yaml"),), params={"word": "good day"}, start="train"),
            ("Mend train it.ipynb, then: mlops run 'my pipeline.yaml' -p 'word=good day' --from train (prepare is cached)",),
        ),
        (
            ("failed", "cancelled", "failed", "failed", "failed"),
            Choice(sources=(Path("pipeline.yaml"),), only=("tell",)),
            ("Mend prepare.ipynb, step tell in pipeline.yaml, fit.py and package.sending, then: mlops run pipeline.yaml --only tell",),
        ),
        (
            ("cached", "cancelled", "cancelled", "done", "done"),
            Choice(sources=(Path("prepare.ipynb"), Path("train it.ipynb"))),
            ("To go on: mlops run prepare.ipynb 'train it.ipynb' (prepare, fit and send are cached)",),
        ),
    ],
)
def test_the_way_on_is_a_command(project: Path, states: tuple[str, ...], choice: Choice, expected: tuple[str, ...]) -> None:
    for name in ("prepare.ipynb", "train it.ipynb", "fit.py"):
        (project / name).touch()
    steps = tuple(StepRun(step=step.name, state=state) for step, state in zip(STEPS, states, strict=True))
    status = "done" if set(states) == {"done"} else "failed"
    run = PipelineRun(id="0" * 32, name="p", status=status, started=0.0, seconds=0.0, steps=steps)
    assert way_on(Pipeline(name="p", folder=str(project), path=str(project / "pipeline.yaml"), steps=STEPS), run, choice) == expected


def last(capsys: pytest.CaptureFixture[str], command: str) -> Any:
    """The run that ends what a command prints with --json."""
    capsys.readouterr()
    cli.run([*command.split(), "--json"])
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def states(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, str]:
    """What became of each step of a run."""
    return {step["step"]: step["state"] for step in last(capsys, command)["steps"]}


def cli_json(answer: Any) -> Any:
    """An answer as --json prints it."""
    from jupyter_mlops.surfaces.answers import plain

    return plain(answer)
