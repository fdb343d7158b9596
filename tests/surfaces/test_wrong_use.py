"""Wrong input: one sentence on stderr that says what to do, status 2, and nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.surfaces.cli import run

WRONG = [
    ("nosuch", 'Unknown command "nosuch"'),
    ("Runs", "Unknown command"),
    ("--nosuch", "Unknown command"),
    ("runs --nosuch", "Unknown option"),
    ("runs extra", "Unused"),
    ("runs --limit", "requires an argument"),
    ("runs --limit many", 'unable to convert "many" into int'),
    ("runs --limit 0", "--limit 0 lists nothing"),
    ("runs --limit -3", "--limit -3 lists nothing"),
    ("runs --json --csv", "Choose one of --json and --csv"),
    ("runs --where", "requires an argument"),
    ("show --csv", "--csv is for `mlops runs`"),
    ("--csv", "--csv is for `mlops runs`"),
    ("track on", "%load_ext jupyter_mlops"),
    ("track off", "%load_ext jupyter_mlops"),
    ("track my run", "Unused"),
    ("track baseline", "%%mlops track NAME"),
    ("log", "nothing to log"),
    ("log auc", "write NAME=VALUE"),
    ("log =1", "write NAME=VALUE"),
    ("log auc=1 --step x", "unable to convert"),
    ("log --file nosuch.txt", "nosuch.txt"),
    ("tag", "nothing to tag"),
    ("tag stage", "write NAME=VALUE"),
    ("note", "requires an argument"),
    ("note two words", "Unused"),
    ("delete", "which run to delete"),
    ("snapshot", "requires an argument"),
    ("snapshot nosuch.csv", "'nosuch.csv'"),
    ("snapshot df", "In a shell, DATA is a path"),
    ("load", "requires an argument"),
    ("load xyz", "'xyz' is not a digest"),
    ("load abc", "'abc' is not a digest"),
    ("load ABCDEF12", "'ABCDEF12' is not a digest"),
    ("load ../../etc/passwd", "is not a digest"),
    ("load 0123456789abcdef", "There is no snapshot"),
    ("diff here.txt", "requires an argument"),
    ("diff here.txt nosuch.csv", "'nosuch.csv'"),
    ("diff here.txt 0123456789abcdef", "There is no snapshot"),
    ("compare", "two or more runs"),
    ("compare 0123", "two or more runs"),
    ("restore", "requires an argument"),
    ("restore last", "requires an argument"),
    ("step", "requires an argument"),
    ("step nosuch.ipynb --out step.ipynb", "Say what the step is to give"),
    ("step nosuch.ipynb --result auc --out step.txt", "let --out end with .ipynb"),
    ("step nosuch.ipynb --result auc --out step.ipynb", "There is no notebook 'nosuch.ipynb'"),
    ("run", "Say what to run"),
    ("run nosuch.yaml", "There is no file 'nosuch.yaml'"),
    ("run here.txt", "give one pipeline.yaml, or one or more notebooks"),
    ("run pipeline.yaml -p month", "write NAME=VALUE"),
    ("run pipeline.yaml --jobs 0", "--jobs 0 runs nothing"),
    ("run pipeline.yaml --from nosuch", "there is no step 'nosuch'"),
    ("run pipeline.yaml --only nosuch --dry-run", "there is no step 'nosuch'"),
    ("run pipeline.yaml -p year=2013", "year"),
    ("run pipeline.yaml pipeline.yaml", "give one pipeline.yaml, or one or more notebooks"),
    ("run pipeline.yaml --csv", "--csv is for `mlops runs`"),
    ("gc --dry-run yes", "Unused"),
    ("init --experiment ", "Give the experiment a name"),
    ("verify everything", "Unused"),
    ("ui --port http", "unable to convert"),
]


@pytest.mark.parametrize(("command", "sentence"), WRONG, ids=[command for command, _ in WRONG])
def test_wrong_use_is_told_in_one_sentence(project: Path, capsys: pytest.CaptureFixture[str], command: str, sentence: str) -> None:
    (project / "here.txt").write_text("here")
    (project / "pipeline.yaml").write_text("params: {month: 3}\nsteps: {greet: {shell: 'echo {month}'}}\n")
    assert run(command.split(" ") if command else []) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("mlops: ")
    assert len(err.splitlines()) == 1
    assert sentence in err
    assert "Traceback" not in err


NEEDING_A_RUN = [
    "show",
    "show nosuch",
    "lineage",
    "lineage nosuch",
    "restore nosuch there",
    "step --result auc --out step.ipynb",
    "step nosuch --result auc --out step.ipynb",
    "compare a b",
    "delete nosuch",
    "tag stage=draft",
    "note seen",
    "log auc=1",
    "log auc=1 --run x",
]


def test_verbs_that_need_a_run_say_that_there_is_none(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in NEEDING_A_RUN:
        assert run(command.split()) == 2, command
        assert "There is no run" in capsys.readouterr().err, command


def test_debug_shows_where_an_error_comes_from(project: Path) -> None:
    with pytest.raises(UsageError, match="which run to delete"):
        run(["delete", "--debug"])


@pytest.mark.parametrize("command", ["", "--help", "-h", "--version", "runs --help", "doctor --json", "runs --json", "runs --csv", "init"])
def test_right_use_ends_with_status_0(project: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command.split()) == 0
    assert capsys.readouterr().out
