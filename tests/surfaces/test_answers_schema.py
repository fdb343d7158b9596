"""What --json prints has one published schema: answers fit it (see `fitting` of tests/conftest.py), and it changes in sight only."""

from __future__ import annotations

import json
import subprocess

import jsonschema
import pytest

import jupyter_mlops as mlops
from jupyter_mlops.records import Problem
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.answers import Report
from tests.surfaces import answers_schema


def test_the_published_schema_is_that_of_the_records() -> None:
    schema = json.loads(answers_schema.FILE.read_text(encoding="utf-8"))
    assert schema == answers_schema.schema(), "write it anew: python -m tests.surfaces.answers_schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    assert list(schema["verbs"]) == list(mlops.VERBS)


def test_an_answer_that_does_not_fit_is_found() -> None:
    answers_schema.check(Report(title="Health"), {"title": "Health", "problems": []})
    answers_schema.check([Problem(what="x")], answers_schema.plain([Problem(what="x")]))
    for wrong in ({"title": "Health"}, {"title": 3, "problems": []}, {"title": "Health", "problems": [{"what": "x"}]}):
        with pytest.raises(jsonschema.ValidationError):
            answers_schema.check(Report(title="Health"), wrong)


@pytest.mark.parametrize("shell", cli.SHELLS)
def test_shells_complete_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--completion", shell]) == 0
    script = capsys.readouterr().out
    for word in (*mlops.VERBS, "--where", "--dry-run"):
        assert word.removeprefix("--") in script


def test_bash_completes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--completion", "bash"]) == 0
    ask = '\nCOMP_WORDS=(mlops prom); COMP_CWORD=1; "$(complete -p mlops | sed "s/.*-F \\([^ ]*\\) .*/\\1/")"; echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", capsys.readouterr().out + ask], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["promote"], done.stderr
