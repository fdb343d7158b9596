"""Every verb is one function, the same in Python, in a notebook and in a shell."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any, get_type_hints

import pytest

import jupyter_mlops as mlops
from jupyter_mlops.errors import MlopsError
from jupyter_mlops.surfaces import cli, commands

VERBS = [
    "track", "log", "tag", "note", "delete", "snapshot", "load", "diff", "validate", "runs", "show", "compare", "status", "lineage",
    "slice", "replay", "restore", "step",
    "run", "schedule", "scheduler", "export",
    "check", "register", "promote", "approve", "rollback", "audit", "release", "card", "serve", "predict", "labels", "monitor", "retrain",
    "verify", "gc", "init", "doctor", "ui", "demo",
]  # fmt: skip

NOTEBOOK = """
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
C = {C}
X = pd.DataFrame({{"a": np.arange(60.0), "b": np.arange(60.0) % 7}})
y = (X["a"] > 30).astype(int)
model = LogisticRegression(C=C, max_iter=500).fit(X, y)
accuracy = model.score(X, y)
"""


EVERY_WARNING = r"import warnings; warnings.filterwarnings('always', module=r'jupyter_mlops(\.|$)')"
"""Lets a warning be seen, deprecations too, where this package gave cause for it."""


def test_the_public_names_are_these() -> None:
    assert dir(mlops) == sorted(["__version__", "gate", "load_ipython_extension", "unload_ipython_extension", "widget", *VERBS])
    assert list(mlops.VERBS) == VERBS
    with pytest.raises(AttributeError, match="nosuch"):
        mlops.nosuch  # noqa: B018  (looking it up is what is tested)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_typed_and_documented_and_a_command(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    function = getattr(mlops, verb)
    parameters = inspect.signature(function).parameters
    assert inspect.unwrap(function) is getattr(commands, verb)
    assert set(get_type_hints(function)) == {*parameters, "return"}
    documented = set(re.findall(r"^\s{8}(\w+): ", function.__doc__, re.MULTILINE))
    assert documented == set(parameters)
    assert cli.run([verb, "--help"]) == 0
    help_text = capsys.readouterr().out
    assert function.__doc__.splitlines()[0] in help_text
    options = {
        f"--{name.rstrip('_').replace('_', '-')}" for name, item in parameters.items() if item.kind is inspect.Parameter.KEYWORD_ONLY
    }
    assert options <= set(re.findall(r"--[\w-]+", help_text))


def test_a_path_may_be_a_text_in_python(project: Path) -> None:
    (project / "rows.csv").write_text("a,b\n1,2\n")
    frozen = mlops.snapshot(Path("rows.csv"))
    mlops.load(frozen.digest, out="back/rows.csv")
    assert (project / "back" / "rows.csv").read_text() == "a,b\n1,2\n"
    with pytest.raises(MlopsError, match=r"none\.yaml"):
        mlops.run("none.yaml")


def test_a_notebook_a_shell_and_python_give_the_same_answers(project: Path, kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert kernel.run(EVERY_WARNING).error == ""
    ran = kernel.run("%load_ext jupyter_mlops")
    assert (ran.error, ran.stderr) == ("", "")
    for value in (0.1, 10.0):
        ran = kernel.run(NOTEBOOK.format(C=value))
        assert (ran.error, ran.stderr) == ("", "")
    assert "accuracy" in ran.text
    assert "C: 0.1 → 10.0" in ran.text
    shell = answers(capsys, "runs")
    assert [run["params"]["C"] for run in shell] == [10.0, 0.1]
    assert set(shell[0]) >= {
        "id", "name", "status", "experiment", "started", "seconds", "params", "metrics", "inputs", "model", "notebook", "cell", "replay"
    }  # fmt: skip
    first, second = shell[1]["id"], shell[0]["id"]
    for command in ("runs", f"show {first}", f"compare {first} {second}", f"lineage {first}", "runs --where C=0.1", "gc --dry-run"):
        told = kernel.run(f"%mlops {command} --json")
        assert told.stderr == "", command
        assert json.loads(told.result["text/plain"]) == answers(capsys, command), command
    assert [run.id for run in mlops.runs(sort="C", limit=5)][-1] in (first, second)
    for command in ("runs", f"show {first}", f"compare {first} {second}", f"lineage {first}", "track", "doctor"):
        shown = kernel.run(f"%mlops {command}").result
        assert "<" in shown["text/html"], command
        assert "\x1b" not in shown["text/plain"], command
        assert cli.run(command.split()) == 0, command
        assert capsys.readouterr().out.strip(), command


def test_a_run_is_changed_by_hand_from_a_shell_and_from_a_notebook(project: Path, kernel: Any, capsys: pytest.CaptureFixture[str]) -> None:
    kernel.run("%load_ext jupyter_mlops")
    kernel.run(NOTEBOOK.format(C=1.0))
    kernel.run("seen = 0.5\nwords = 'free text'")
    assert kernel.run("%mlops log extra=seen why=words").error == ""
    run = answers(capsys, "runs")[0]["id"]
    (project / "plan.txt").write_text("plan")
    for command in (f"tag stage=draft --run {run}", f"log late=2 --run {run} --file plan.txt", f"note seen --run {run}"):
        assert cli.run(command.split()) == 0, capsys.readouterr().err
    capsys.readouterr()
    told = answers(capsys, f"show {run}")["run"]
    assert (told["metrics"]["extra"], told["metrics"]["late"], told["params"]["why"]) == (0.5, 2, "free text")
    assert (told["tags"]["stage"], told["note"]) == ("draft", "seen")
    assert answers(capsys, f"tag stage= --run {run}")["values"] == {"stage": None}
    assert answers(capsys, f"show {run}")["run"]["tags"] == {}
    assert cli.run(["delete", run]) == 0
    capsys.readouterr()
    assert answers(capsys, "runs") == []


def test_data_of_a_notebook_and_of_a_shell_is_frozen_loaded_and_compared(
    project: Path, kernel: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    kernel.run("%load_ext jupyter_mlops")
    kernel.run("import pandas as pd\ndf = pd.DataFrame({'a': [1, 2, 3], 'b': list('xyz')})")
    frozen = json.loads(kernel.run("%mlops snapshot df --name letters --json").result["text/plain"])
    assert (frozen["rows"], frozen["columns"], frozen["kind"], frozen["kept"]) == (3, 2, "frame", True)
    assert mlops.load(frozen["digest"]).to_dict("list") == {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    kernel.run("df.loc[1, 'a'] = 9")
    assert not json.loads(kernel.run(f"%mlops diff {frozen['digest'][:10]} df --json").result["text/plain"])["identical"]
    (project / "words.txt").write_text("words")
    digest = answers(capsys, "snapshot words.txt")["digest"]
    assert cli.run(["load", digest, "--out", "again.txt"]) == 0
    assert (project / "again.txt").read_text() == "words"
    assert cli.run(["load", digest, "--out", "words.txt"]) == 2
    assert cli.run(["load", frozen["digest"], "--out", "letters.csv"]) == 0
    capsys.readouterr()
    assert answers(capsys, "diff words.txt again.txt")["identical"]


@pytest.mark.parametrize(
    ("cell", "error"),
    [
        ("%mlops nosuch", "Unknown command"),
        ("%mlops snapshot dff", "There is no variable or file 'dff'"),
        ("%mlops snapshot 1+1", "There is no variable or file '1+1'"),
        ("%mlops note 'open", "close the quotes"),
        ("%mlops track baseline", "%%mlops track NAME"),
        ("%%mlops runs\n1", "%%mlops track NAME"),
        ("%%mlops track two words\n1", "%%mlops track NAME"),
    ],
)
def test_a_magic_used_wrongly_says_so_in_one_line(cell: str, error: str) -> None:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell()
    from jupyter_mlops.surfaces import magics

    line, block = magics._magics(shell)
    words, _, body = cell.partition("\n")
    with pytest.raises(Exception, match=re.escape(error)) as caught:
        block(words.removeprefix("%%mlops "), body) if body else line(words.removeprefix("%mlops "))
    assert len(caught.value._render_traceback_()) == 1  # type: ignore[attr-defined]  # what IPython shows instead of a traceback


def answers(capsys: pytest.CaptureFixture[str], command: str) -> Any:
    """What a command prints with --json."""
    capsys.readouterr()
    assert cli.run([*command.split(), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)
