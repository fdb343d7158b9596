"""Wrong input: one sentence on stderr that says what to do, status 2, and nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import jupyter_mlops
from jupyter_mlops import VERBS, __main__
from jupyter_mlops.errors import MlopsError, UsageError
from jupyter_mlops.store.objects import ObjectStore
from jupyter_mlops.surfaces.cli import run
from tests.models.registered import registered

WRONG = [
    ("nosuch", 'Unknown command "nosuch"'),
    ("Runs", "Unknown command"),
    ("--nosuch", "Unknown command"),
    ("runs --nosuch", "Unknown option"),
    ("runs extra", "There is a word too many"),
    ("runs --limit", "requires an argument"),
    ("runs --limit many", '"many" is no whole number'),
    ("runs --limit 0", "--limit 0 lists nothing"),
    ("runs --limit -3", "--limit -3 lists nothing"),
    ("runs --json --csv", "Choose one of --json and --csv"),
    ("runs --where", "requires an argument"),
    ("show --csv", "--csv is for `mlops runs`"),
    ("--csv", "--csv is for `mlops runs`"),
    ("track on", "%load_ext jupyter_mlops"),
    ("track off", "%load_ext jupyter_mlops"),
    ("track my run", "There is a word too many"),
    ("track baseline", "%%mlops track NAME"),
    ("log", "nothing to log"),
    ("log auc", "write NAME=VALUE"),
    ("log =1", "write NAME=VALUE"),
    ("log auc=1 --step x", "is no whole number"),
    ("log --file nosuch.txt", "nosuch.txt"),
    ("tag", "nothing to tag"),
    ("tag stage", "write NAME=VALUE"),
    ("note", "requires an argument"),
    ("note two words", "There is a word too many"),
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
    ("gc --dry-run yes", "There is a word too many"),
    ("init --experiment ", "Give the experiment a name"),
    ("verify everything", "There is a word too many"),
    ("ui --port http", "is no whole number"),
    ("rollback flights --version 1", "Unknown option"),
    ("runs --json extra", "There is a word too many"),
    ("--completion", "mlops --completion bash, zsh or fish"),
    ("--completion tcsh", "mlops --completion bash, zsh or fish"),
    ("doctor now", "There is a word too many"),
    ("demo now", "There is a word too many"),
    ("demo --json --csv", "Choose one of --json and --csv"),
    ("init here", "There is a word too many"),
    ("init --experiment", "requires an argument"),
    ("ui extra", "There is a word too many"),
    ("gc --dryrun", "Did you mean --dry-run?"),
    ("status extra", "There is a word too many"),
    ("show a b", "There is a word too many"),
    ("slice a b c", "There is a word too many"),
    ("replay a b", "There is a word too many"),
    ("replay --slices", "Did you mean --slice?"),
    ("track status extra", "There is a word too many"),
    ("snapshot here.txt --name", "requires an argument"),
    ("snapshot folder/nosuch", "In a shell, DATA is a path"),
    ("load 0123456789abcdef --out here.txt", "choose another --out"),
    ("diff 0123456789abcdef 0123456789abcdef", "`mlops runs` shows the inputs"),
    ("validate", "requires an argument"),
    ("validate nosuch.csv", "In a shell, DATA is a path"),
    ("validate here.txt --schema nosuch.yaml", "--learn --out schema.yaml"),
    ("validate here.txt --schema here.txt", "give a .yaml, .json or .py file"),
    ("validate here.txt --schema broken.yaml", "broken.yaml, line 2"),
    ("validate here.txt --schema empty.yaml", "no table with the key 'columns'"),
    ("validate here.txt --reference nosuch.csv", "In a shell, DATA is a path"),
    ("validate here.txt --learn", "say which with --out schema.yaml"),
    ("validate here.txt --out schema.yaml", "give --learn too"),
    ("validate here.txt --learn --schema empty.yaml --out schema.yaml", "leave away --schema, or --learn"),
    ("validate empty.csv --reference here.txt", "write it again, or name another file"),
    ("validate broken.parquet --reference here.txt", "check the file"),
    ("validate folder --reference here.txt", "name the file that is meant"),
    ("check", "requires an argument"),
    ("check flights/x", "write NAME, NAME@champion or NAME/3"),
    ("check flights --data nosuch.csv", "In a shell, DATA is a path"),
    ("register", "requires an argument"),
    ("register flights --reference nosuch.csv", "In a shell, DATA is a path"),
    ("promote", "requires an argument"),
    ("promote flights --version x", "is no whole number"),
    ("promote flights --to nosuch", "set aliases of your own in MLflow"),
    ("promote flights --to previous", "`mlops rollback` goes back"),
    ("promote flights --force", "add --why TEXT"),
    ("promote flights flights", "There is a word too many"),
    ("approve", "requires an argument"),
    ("approve flights --version x", "is no whole number"),
    ("rollback", "requires an argument"),
    ("rollback flights now", "There is a word too many"),
    ("audit --limit 0", "give 1 or more"),
    ("audit --limit x", "is no whole number"),
    ("audit a b", "There is a word too many"),
    ("release", "requires an argument"),
    ("card", "requires an argument"),
    ("serve", "requires an argument"),
    ("serve flights --port http", "is no whole number"),
    ("serve flights --port 99999", "give 1 to 65535"),
    ("serve flights --port -1", "give 1 to 65535"),
    ("serve flights --workers 0", "give 1 or more"),
    ("serve flights --workers x", "is no whole number"),
    ("serve flights --canary 200%", "write 5%, or ALIAS:5%"),
    ("serve flights --canary x", "write 5%, or ALIAS:5%"),
    ("serve flights --log-sample 2", "give 0 (nothing) to 1 (all)"),
    ("serve flights --log-sample x", "is no number"),
    ("serve flights --host 0.0.0.0", "with --token or the environment's MLOPS_SERVE_TOKEN"),
    ("serve flights --token x", "give 16 or more letters and digits"),
    ("predict", "requires an argument"),
    ("predict flights", "requires an argument"),
    ("predict flights nosuch.csv", "In a shell, DATA is a path"),
    ("labels", "requires an argument"),
    ("labels flights", "requires an argument"),
    ("labels flights nosuch.csv", "In a shell, DATA is a path"),
    ("labels flights here.txt", "`mlops predict --log` write them"),
    ("monitor", "requires an argument"),
    ("monitor flights --watch 1ms", "write one such as"),
    ("monitor flights --watch often", "write one such as"),
    ("retrain", "requires an argument"),
    ("retrain flights", "into a pipeline.yaml"),
    ("export", "requires an argument"),
    ("export pipeline.yaml", "requires an argument"),
    ("export pipeline.yaml --to jenkins", 'Choose from: "github"'),
    ("export nosuch.yaml --to github", "there is no file nosuch.yaml"),
    ("export broken.yaml --to github", "mend this line, or the one above it"),
    ("export pipeline.yaml --to github --out folder", "name another place"),
    ("export flights --to github", "there is no file flights"),
    ("schedule nosuch", 'Choose from: "add"'),
    ("schedule add", "`mlops schedule add pipeline.yaml`"),
    ("schedule add nosuch.yaml", "Name a pipeline.yaml, or one or more notebooks"),
    ("schedule add pipeline.yaml", "give --cron"),
    ("schedule add pipeline.yaml --cron daily", "such as '0 6 * * 1' for Mondays at six"),
    ("schedule add pipeline.yaml --cron @daily --timezone Mars/Olympus", "write one such as Europe/Copenhagen"),
    ("schedule add pipeline.yaml --cron @daily --catchup maybe", 'Choose from: "none"'),
    ("schedule add pipeline.yaml --cron @daily --overlap maybe", 'Choose from: "skip"'),
    ("schedule add pipeline.yaml --cron @daily --jitter soon", "write it such as 30s or 5m"),
    ("schedule add pipeline.yaml --cron @daily -p year=1", "there is month"),
    ("schedule add broken.yaml", "mend this line, or the one above it"),
    ("schedule remove", "`mlops schedule list` shows their names"),
    ("schedule remove nosuch", "`mlops schedule list` shows those that there are"),
    ("schedule pause", "`mlops schedule list` shows their names"),
    ("schedule pause nosuch", "`mlops schedule list` shows those that there are"),
    ("schedule resume", "`mlops schedule list` shows their names"),
    ("schedule resume nosuch", "`mlops schedule list` shows those that there are"),
    ("schedule history", "`mlops schedule list` shows their names"),
    ("schedule history nosuch", "`mlops schedule list` shows those that there are"),
    ("schedule history nosuch --limit 0", "give 1 or more"),
    ("scheduler --jobs 0", "give 1 or more"),
    ("scheduler --jobs x", "is no whole number"),
    ("scheduler --on here", "Unknown option"),
    ("scheduler now", "There is a word too many"),
    ("run folder", "Name a pipeline.yaml, or one or more notebooks"),
    ("run broken.yaml", "mend this line, or the one above it"),
    ("run newer.yaml", "upgrade this package"),
    ("run empty.yaml", "write a table with the key 'steps'"),
    ("run stepless.yaml", "write names and steps"),
    ("run typo.yaml", "did you mean 'steps'?"),
    ("run cycle.yaml", "take one of these inputs away"),
    ("run gone.yaml", "there is no notebook nosuch.ipynb"),
    ("run broken.ipynb", "open it in Jupyter and save it again"),
    ("run nosuch.ipynb", "Name a pipeline.yaml, or one or more notebooks"),
    ("run pipeline.yaml --jobs x", "is no whole number"),
    ("run pipeline.yaml --on nosuch", "write local, or the address of a Dask scheduler"),
    ("run pipeline.yaml -p", "requires an argument"),
    ("run pipeline.yaml -p month=x", "so give a number"),
    ("run pipeline.yaml -p =1", "write NAME=VALUE"),
    ("run pipeline.yaml --from", "requires an argument"),
    ("step broken.ipynb --result auc --out here.ipynb", "choose another --out"),
    ("step broken.ipynb --result auc --out here.txt/step.ipynb", "choose another --out"),
    ("step --result auc", "requires an argument"),
]

FILES = {
    "here.txt": b"here",
    "here.ipynb": b"{}",
    "pipeline.yaml": b"params: {month: 3}\nsteps: {greet: {shell: 'echo {month}'}}\n",
    "broken.yaml": b"steps: [\n",
    "newer.yaml": b"format: 2\nunheard: of\n",
    "empty.yaml": b"",
    "stepless.yaml": b"name: x\n",
    "typo.yaml": b"stepz: {greet: {shell: 'echo'}}\n",
    "cycle.yaml": b"steps: {a: {shell: x, after: b}, b: {shell: x, after: a}}\n",
    "gone.yaml": b"steps: {a: {notebook: nosuch.ipynb}}\n",
    "broken.ipynb": b"{",
    "empty.csv": b"",
    "broken.parquet": b"PAR1xx",
}
"""What lies in the project, and does so unchanged afterwards."""


@pytest.fixture
def begun(project: Path) -> Path:
    """A project with a store and these files."""
    (project / ".mlops").mkdir()
    (project / "folder").mkdir()
    for name, content in FILES.items():
        (project / name).write_bytes(content)
    return project


def told(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that is used wrongly; a verb may have said before what it begins."""
    assert run(words) == 2, words
    out, err = capsys.readouterr()
    assert out == "", words
    sentences = [line for line in err.splitlines() if line.startswith("mlops: ")]
    assert len(sentences) == 1, words
    assert err.splitlines()[-1] == sentences[0]
    assert "Traceback" not in err
    assert "--debug shows where" not in err
    return sentences[0]


def lies_there(project: Path) -> dict[str, bytes]:
    """The files of a project, without the store."""
    return {path.name: path.read_bytes() for path in project.iterdir() if path.is_file()}


@pytest.mark.parametrize(("command", "sentence"), WRONG, ids=[command for command, _ in WRONG])
def test_wrong_use_is_told_in_one_sentence(begun: Path, capsys: pytest.CaptureFixture[str], command: str, sentence: str) -> None:
    assert sentence in told(command.split(" "), capsys)
    assert lies_there(begun) == FILES


def test_a_store_of_others_is_not_cleared(begun: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_OBJECTS", "memory://bucket")
    theirs = ObjectStore("memory://bucket").put(b"of a teammate")
    for command in (["gc"], ["gc", "--dry-run"]):
        assert "a lifecycle rule of the bucket" in told(command, capsys)
    assert ObjectStore("memory://bucket").get(theirs) == b"of a teammate"


def test_windows_is_told_what_to_use_instead(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(MlopsError, match="WSL"):
        jupyter_mlops.load_ipython_extension(None)  # type: ignore[arg-type]
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("mlops: jupyter_mlops runs on Linux and macOS")


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


OF_A_MODEL = [
    ("check nosuch", "`mlops register RUN NAME` registers a model"),
    ("check flights/99", "`mlops promote flights --version N`"),
    ("check flights@nosuch", "`mlops promote flights --version N`"),
    ("check flights --junit folder", "name another place"),
    ("check flights --gates nosuch.yaml", "--gates takes a YAML list of gates"),
    ("check flights --gates here.txt", "write a list of gates"),
    ("check flights --gates broken.yaml", "mend this line, or the one above it"),
    ("check flights --gates empty.yaml", "write a list of gates"),
    ("step broken.ipynb --result auc --out step.ipynb", "open it in Jupyter and save it again"),
    ("register nosuch flights", "`mlops runs` lists them"),
    ("register RUN bad/name", "bad/name"),
    ("promote nosuch", "`mlops register RUN NAME`"),
    ("promote flights --version 99", "`mlops promote flights --version N`"),
    ("approve nosuch", "`mlops register RUN NAME`"),
    ("approve flights --version 99", "`mlops promote flights --version N`"),
    ("rollback nosuch", "`mlops register RUN NAME`"),
    ("rollback flights", "`mlops promote flights --version N`"),
    ("release nosuch", "`mlops register RUN NAME`"),
    ("release flights/99", "`mlops promote flights --version N`"),
    ("release flights --tag a~b", "write letters, digits, points and dashes"),
    ("release flights --git", "Leave out --git"),
    ("card nosuch", "`mlops register RUN NAME`"),
    ("card flights/99", "`mlops promote flights --version N`"),
    ("card flights --out here.txt", "give --out a folder"),
    ("card flights --out here.txt/cards", "name another place"),
    ("predict nosuch here.txt", "`mlops register RUN NAME`"),
    ("predict flights/99 here.txt", "`mlops promote flights --version N`"),
    ("predict flights here.txt", "the model needs it, and the data has 'here'"),
    ("predict flights empty.csv", "check the file"),
    ("predict flights broken.parquet", "check the file"),
    ("predict flights here.txt --out scored.txt", "a name that ends with .parquet or .csv"),
    ("predict flights here.txt --out nosuch/scored.csv", "make it, or choose another --out"),
    ("predict flights here.txt --on nosuch", "write local, or the address of a Dask scheduler"),
    ("labels nosuch here.txt", "`mlops predict --log` write them"),
    ("monitor nosuch", "`mlops register RUN NAME`"),
    ("monitor flights --since soon", "write a span such as 24h, or a date"),
    ("monitor flights --until never", "write a span such as 24h, or a date"),
    ("monitor flights --html nosuch/page.html", "name a file in a folder that exists"),
    ("monitor flights --prometheus folder", "name a file in a folder that exists"),
    ("export nosuch --to docker", "`mlops register RUN NAME`"),
    ("export flights/99 --to docker", "`mlops promote flights --version N`"),
    ("export flights --to docker --out here.txt", "name a folder with --out"),
    ("export flights --to kubernetes --out .", "name an empty or a new folder"),
    ("lineage nosuch/1", "`mlops register RUN NAME`"),
    ("lineage flights/99", "`mlops promote flights --version N`"),
    ("lineage flights/1 --out x.txt", "a name that ends with .parquet or .csv"),
    ("lineage 0123456789abcdef", "`mlops runs` lists the runs"),
    ("runs --where auc~3", "write, for example"),
    ("runs --where auc>", "write, for example"),
    ("runs --sort nosuch", "sort by auc"),
    ("slice", "`mlops runs` lists the others"),
    ("replay", "`mlops runs` lists the others"),
    ("restore RUN there", "`mlops runs` lists the others"),
    ("step --result auc --out step.ipynb", "`mlops runs` lists the others"),
    ("compare RUN nosuch", "`mlops runs` lists them"),
    ("ui --port 99999", "give 1 to 65535"),
]


def test_verbs_of_models_and_runs_say_what_to_do(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (version,) = registered(begun, "flights")
    capsys.readouterr()
    there = lies_there(begun)
    for command, sentence in OF_A_MODEL:
        assert sentence in told(command.replace("RUN", version.run).split(" "), capsys), command
    assert {name: content for name, content in lies_there(begun).items() if not name.startswith("mlflow.db")} == {
        name: content for name, content in there.items() if not name.startswith("mlflow.db")
    }
    assert run(["audit", "--json"]) == 0
    assert [entry["what"] for entry in json.loads(capsys.readouterr().out) if entry["what"] != "checked"] == ["registered"]


def test_two_hundred_wrong_inputs_are_tried_and_every_verb_among_them() -> None:
    tried = {command for command, _ in (*WRONG, *OF_A_MODEL)} | set(NEEDING_A_RUN)
    assert len(tried) >= 200
    assert {command.split(" ")[0] for command in tried} >= set(VERBS)


@pytest.mark.parametrize("command", ["runs --limit x", "run nosuch.yaml", "load xyz --debug"])
def test_a_real_command_ends_so_too(begun: Path, command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "jupyter_mlops", *command.split()], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == ((1, "") if "--debug" in command else (2, ""))
    assert ("Traceback" in done.stderr) == ("--debug" in command)


def test_debug_shows_where_an_error_comes_from(project: Path) -> None:
    with pytest.raises(UsageError, match="which run to delete"):
        run(["delete", "--debug"])


@pytest.mark.parametrize("command", ["", "--help", "-h", "--version", "runs --help", "doctor --json", "runs --json", "runs --csv", "init"])
def test_right_use_ends_with_status_0(project: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run(command.split()) == 0
    assert capsys.readouterr().out
