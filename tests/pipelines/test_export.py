"""A pipeline as a workflow elsewhere: what the platforms' own schemas accept, and scripts that do what they say."""

from __future__ import annotations

import json
import os
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from jupyter_mlops.errors import UsageError
from jupyter_mlops.pipelines.definition import loading, yaml_lines
from jupyter_mlops.pipelines.exporting import export_project
from jupyter_mlops.surfaces import cli
from jupyter_mlops.surfaces.exporting import export

from .notebook_files import write

STEPS = """\
steps:
  prepare: {notebook: prepare.ipynb, params: {month: "{month}"}}
  train: {notebook: train.ipynb, inputs: {table: prepare.table}, retries: 2}
  stored: {shell: "cp {rows} {copy}", inputs: {rows: {query: select 1, connection: WAREHOUSE}}, outputs: {copy: out.parquet}}
"""
PARAMS = """params: {month: 3, note: "it's ${{ github.token }} {{ x }}", carriers: [AA, UA], flag: true, none: null}\n"""
SCHEDULE = 'schedule: {cron: "30 6 * * 1-5", timezone: Europe/Copenhagen}\n'
WHOLE = "name: Flight delays\n" + PARAMS + SCHEDULE + STEPS
BARE = 'steps: {only: {shell: "true"}}\n'
DEFAULTS = {"github": ".github/workflows/Flight-delays.yml", "gitlab": ".gitlab-ci.yml", "airflow": "dags/Flight_delays.py"}
SCHEMAS = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a pipeline in a folder of its own, and its root as the working folder."""
    (tmp_path / ".git").mkdir()
    write(tmp_path / "flights/prepare.ipynb", "month: int = 1", "{'table': table}")
    write(tmp_path / "flights/train.ipynb", "table = ''", "{'model': model}")
    (tmp_path / "flights/pipeline.yaml").write_text(WHOLE)
    (tmp_path / "requirements.txt").write_text("pandas\njupyter-mlops>=0.1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def exported(to: str, text: str = WHOLE, *, force: bool = False) -> Path:
    Path("flights/pipeline.yaml").write_text(text)
    return Path(export(Path("flights/pipeline.yaml"), to, None, force=force).path)


def read(path: Path) -> Any:
    return yaml_lines.read(path).values


def invalid(workflow: Any, to: str) -> list[str]:
    schema = json.loads(files("check_jsonschema.builtin_schemas.vendor").joinpath(SCHEMAS[to]).read_text())
    return [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(workflow)]


@pytest.mark.parametrize("to", SCHEMAS)
@pytest.mark.parametrize("text", [WHOLE, BARE, SCHEDULE + BARE, PARAMS + STEPS, SCHEDULE.replace("}", ", overlap: allow}") + BARE])
def test_the_platforms_schema_accepts_the_workflow(repository: Path, to: str, text: str) -> None:
    workflow = read(exported(to, text))
    assert invalid(workflow, to) == []
    if to == "github":
        workflow["jobs"]["run"]["steps"][0]["use"] = "actions/checkout"
        assert invalid(workflow, to)


@pytest.mark.parametrize("to", DEFAULTS)
def test_it_goes_where_the_platform_looks_for_it(repository: Path, to: str) -> None:
    assert exported(to) == repository / DEFAULTS[to]


def test_a_github_workflow_starts_as_the_pipeline_says(repository: Path) -> None:
    workflow = read(exported("github"))
    assert workflow["on"]["schedule"] == [{"cron": "30 6 * * 1-5", "timezone": "Europe/Copenhagen"}]
    assert list(workflow["on"]["workflow_dispatch"]["inputs"]) == ["month", "note", "carriers", "flag", "none"]
    assert workflow["on"]["workflow_dispatch"]["inputs"]["month"] == {
        "description": "Empty: 3, as in flights/pipeline.yaml", "required": False, "type": "string"
    }  # fmt: skip
    assert workflow["concurrency"] == {"group": "mlops-Flight-delays-${{ github.ref }}", "cancel-in-progress": False}
    assert "concurrency" not in read(exported("github", WHOLE.replace("Copenhagen}", "Copenhagen, overlap: allow}")))


def test_more_parameters_than_github_takes_are_told(repository: Path) -> None:
    text = "params: {" + ", ".join(f"p{number}: {number}" for number in range(30)) + "}\n" + BARE
    file = exported("github", text)
    assert list(read(file)["on"]["workflow_dispatch"]["inputs"]) == [f"p{number}" for number in range(25)]
    assert "# p29 has no input: GitHub takes 25 at most." in file.read_text()


def test_no_expression_is_part_of_a_script(repository: Path) -> None:
    text = exported("github").read_text()
    steps = read(repository / DEFAULTS["github"])["jobs"]["run"]["steps"]
    assert [step["name"] for step in steps if "${{" in step.get("run", "")] == []
    assert "${{ github.token }} {{" not in text


HOSTILE = {"month": "4", "note": 'a\'; touch hacked; "$(touch hacked)" `touch hacked` $HOME', "carriers": '["A A"]', "flag": "", "none": ""}
GIVEN = ["-p", "month=4", "-p", f"note={HOSTILE['note']}", "-p", 'carriers=["A A"]']
REPORTS = ["--out", "mlops-notebooks", "--junit", "mlops-junit.xml", "--summary", "mlops-summary.md"]


def run_script(script: str, folder: Path, shell: str, **variables: str) -> list[list[str]]:
    """Run a script with commands that only note how they are called; these calls, without the commands' names."""
    commands = folder / "commands"
    commands.mkdir(exist_ok=True)
    for name in ("mlops", "gh", "curl"):
        (commands / name).write_text(
            '#!/usr/bin/env python3\nimport json, os, sys\nprint(json.dumps([sys.argv[1:], os.environ.get("MLFLOW_TRACKING_URI")]), '
            'file=open("calls", "a"))\nprint(os.environ.get("ANSWER", ""))\n'
        )
        (commands / name).chmod(0o755)
    (folder / "calls").unlink(missing_ok=True)
    env = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": "/home", **variables}
    ran = subprocess.run([shell, "-e", "-c", script], cwd=folder, env=env, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()] if (folder / "calls").exists() else []
    assert not (folder / "hacked").exists()
    assert all(uri is None or uri.startswith("http") for _, uri in calls)
    return [call for call, _ in calls]


def step_named(workflow: Any, name: str) -> str:
    (script,) = [step["run"] for step in workflow["jobs"]["run"]["steps"] if step.get("name") == name]
    return str(script)


def test_github_gives_parameters_as_they_were_typed(repository: Path) -> None:
    workflow = read(exported("github"))
    variables = {f"PARAM_{name}": value for name, value in HOSTILE.items()} | {"MLFLOW_TRACKING_URI": ""}
    assert set(variables) <= set(workflow["jobs"]["run"]["env"])
    assert run_script(step_named(workflow, "Run"), repository, "bash", **variables) == [
        ["run", "flights/pipeline.yaml", *GIVEN, *REPORTS]
    ]  # fmt: skip
    empty = dict.fromkeys(variables, "")
    assert run_script(step_named(workflow, "Run"), repository, "bash", **empty) == [["run", "flights/pipeline.yaml", *REPORTS]]


@pytest.mark.parametrize("shell", ["bash", "sh"])
def test_gitlab_gives_parameters_as_they_were_typed(repository: Path, shell: str) -> None:
    job = read(exported("gitlab"))["mlops-Flight-delays"]
    variables = {f"PARAM_{name}": value for name, value in HOSTILE.items()}
    (script,) = job["script"]
    assert run_script(script, repository, shell, **variables) == [["run", "flights/pipeline.yaml", *GIVEN, *REPORTS]]
    assert job["artifacts"]["reports"] == {"junit": "mlops-junit.xml"}


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        ("", ["pr", "comment", "7", "--body-file", "mlops-comment.md"]),
        ("123", ["api", "--method", "PATCH", "repos/me/flights/issues/comments/123", "--field", "body=@mlops-comment.md"]),
    ],
)
def test_github_has_one_comment_for_each_pull_request(repository: Path, answer: str, last: list[str]) -> None:
    script = step_named(read(exported("github")), "Comment the metrics")
    assert run_script(script, repository, "bash", NUMBER="7") == []
    (repository / "mlops-summary.md").write_text("auc 0.9\n")
    calls = run_script(script, repository, "bash", NUMBER="7", GITHUB_REPOSITORY="me/flights", ANSWER=answer)
    assert calls[0][:2] == ["api", "repos/me/flights/issues/7/comments?per_page=100"]
    assert calls[0][3] == '[.[] | select(.body | startswith("<!-- mlops Flight-delays -->"))][0].id // empty'
    assert calls[1] == last
    assert (repository / "mlops-comment.md").read_text() == "<!-- mlops Flight-delays -->\nauc 0.9\n"


@pytest.mark.parametrize(
    ("answer", "method", "where"),
    [
        ("[]", "POST", "https://lab/projects/1/merge_requests/7/notes"),
        (
            '[{"id": 5, "body": "hi"}, {"id": 6, "body": "<!-- mlops Flight-delays --> auc"}]',
            "PUT",
            "https://lab/projects/1/merge_requests/7/notes/6",
        ),
    ],
)
def test_gitlab_has_one_comment_for_each_merge_request(repository: Path, answer: str, method: str, where: str) -> None:
    (script,) = read(exported("gitlab"))["mlops-Flight-delays"]["after_script"]
    (repository / "mlops-summary.md").write_text("auc 0.9\n")
    variables = {"CI_API_V4_URL": "https://lab", "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "7", "ANSWER": answer}
    assert run_script(script, repository, "sh", **variables) == []
    calls = run_script(script, repository, "sh", MLOPS_GITLAB_TOKEN="secret", **variables)
    assert calls[1][5:] == ["--request", method, "--data-urlencode", "body@mlops-comment.md", where]


def test_gitlab_is_told_of_the_schedule_that_its_file_cannot_hold(repository: Path) -> None:
    assert "#   interval pattern 30 6 * * 1-5, cron time zone Europe/Copenhagen" in exported("gitlab").read_text()


@pytest.mark.parametrize("to", SCHEMAS)
def test_state_is_kept_also_after_a_failure(repository: Path, to: str) -> None:
    workflow = read(exported(to))
    if to == "gitlab":
        state = workflow["mlops-Flight-delays"]["cache"][0]
        assert (state["when"], state["paths"]) == ("always", [".mlops", "mlflow.db", "mlruns", "mlartifacts"])
    else:
        (save,) = [step for step in workflow["jobs"]["run"]["steps"] if step.get("uses", "").startswith("actions/cache/save")]
        assert (save["if"], save["with"]["path"].split()) == ("always()", [".mlops", "mlflow.db", "mlruns", "mlartifacts"])
        assert save["with"]["key"].startswith("mlops/Flight-delays/")


def test_variables_of_databases_come_from_outside(repository: Path) -> None:
    assert read(exported("github"))["jobs"]["run"]["env"]["WAREHOUSE"] == "${{ secrets.WAREHOUSE }}"


UV = {"uv.lock": "", "pyproject.toml": "[project]\nname = 'flights'\ndependencies = ['jupyter_mlops']\n"}


@pytest.mark.parametrize(
    ("found", "install", "mlops"),
    [
        ({}, ["python -m pip install jupyter_mlops"], "mlops"),
        ({"requirements.txt": "pandas\n"}, ["python -m pip install -r requirements.txt", "python -m pip install jupyter_mlops"], "mlops"),
        ({"requirements.txt": "Jupyter.MLOps[dask]==1\n"}, ["python -m pip install -r requirements.txt"], "mlops"),
        ({"flights/requirements.txt": "jupyter_mlops\n", **UV}, ["python -m pip install -r flights/requirements.txt"], "mlops"),
        ({"pyproject.toml": "[project]\nname = 'f'\n"}, ["python -m pip install .", "python -m pip install jupyter_mlops"], "mlops"),
        ({"flights/pyproject.toml": UV["pyproject.toml"]}, ["python -m pip install ./flights"], "mlops"),
        ({"pyproject.toml": "[tool.ruff]\n"}, ["python -m pip install jupyter_mlops"], "mlops"),
        (UV, ["python -m pip install uv", "uv sync --frozen"], "uv run --frozen mlops"),
        (
            {"flights/uv.lock": "", "flights/pyproject.toml": "[project]\nname = 'f'\n"},
            ["python -m pip install uv", "uv sync --frozen --project flights"],
            "uv run --frozen --project flights --with jupyter_mlops mlops",
        ),
    ],
)
def test_the_project_is_installed_as_it_says(repository: Path, found: dict[str, str], install: list[str], mlops: str) -> None:
    (repository / "requirements.txt").unlink()
    for name, text in found.items():
        (repository / name).write_text(text)
    project = export_project.project_of(loading.load(Path("flights/pipeline.yaml")))
    assert (list(project.install), project.mlops) == (install, mlops)


@pytest.mark.parametrize(
    ("cron", "plain"),
    [
        ("30 6 * * 1-5", "30 6 * * 1-5"),
        ("@daily", "0 0 * * *"),
        ("0 0 6 * * 1", "0 6 * * 1"),
        ("0 6 * JAN-MAR SUN", "0 6 * JAN-MAR SUN"),
        ("0 6 * * 7", "0 6 * * 0"),
        ("0 6 * * 5-7", "0 6 * * 0,5,6"),
        ("*/15 6 1,15 * *", "*/15 6 1,15 * *"),
        ("30 0 6 * * 1", None),
        ("0 6 L * *", None),
        ("0 6 * * 5L", None),
        ("0 6 * * 1#2", None),
    ],
)
def test_a_schedule_is_written_as_every_platform_reads_it(repository: Path, cron: str, plain: str | None) -> None:
    Path("flights/pipeline.yaml").write_text(WHOLE.replace("30 6 * * 1-5", cron))
    pipeline = loading.load(Path("flights/pipeline.yaml"))
    if plain is not None:
        assert export_project.cron_of(pipeline) == (plain, "Europe/Copenhagen")
    else:
        with pytest.raises(UsageError, match=r"is more than other schedulers understand: write five plain fields\."):
            export_project.cron_of(pipeline)


@pytest.mark.parametrize("to", DEFAULTS)
def test_an_untouched_file_follows_the_pipeline(repository: Path, to: str) -> None:
    before = exported(to).read_text()
    assert not export(Path("flights/pipeline.yaml"), to, None, force=False).changed
    (repository / DEFAULTS[to]).write_text(before.replace("\n", "\r\n"), newline="")
    assert exported(to, WHOLE.replace("month: 3", "day: 1, month: 3")).read_text() != before


@pytest.mark.parametrize("to", DEFAULTS)
@pytest.mark.parametrize("edit", ["append", "foreign"])
def test_an_edited_file_is_not_undone(repository: Path, to: str, edit: str) -> None:
    file = exported(to)
    mine = file.read_text() + "# mine\n" if edit == "append" else "mine: true\n"
    file.write_text(mine)
    new = Path(f"{file}.new")
    with pytest.raises(UsageError) as raised:
        exported(to, WHOLE.replace("month: 3", "day: 1, month: 3"))
    told = f"{DEFAULTS[to]} is not as it was exported, so it stays as it is: {DEFAULTS[to]}.new is the new one"
    assert str(raised.value) == f"{told}; move over what you want, or use --force."
    assert (file.read_text(), "day" in new.read_text()) == (mine, True)
    assert "day" in exported(to, WHOLE.replace("month: 3", "day: 1, month: 3"), force=True).read_text()


def test_the_dag_is_python_that_finds_its_project(repository: Path) -> None:
    file = exported("airflow")
    text = file.read_text()
    compile(text, str(file), "exec")
    assert "(Path(__file__).resolve().parent / '..').resolve()" in text
    assert "    [steps['prepare']] >> steps['train']" in text
    assert str(repository) not in text
    assert "release" not in text


def test_the_dag_releases_the_model_after_all_steps(repository: Path) -> None:
    text = exported("airflow", WHOLE + "release: {model: train.model, name: flights}\n").read_text()
    compile(text, "dag.py", "exec")
    assert text.endswith("    list(steps.values()) >> task('release', RUN)\n")
    assert "RUN = 'exec mlops run \"$PIPELINE\" '" in text


@pytest.mark.parametrize("to", DEFAULTS)
def test_the_workflow_of_another_pipeline_is_not_replaced(repository: Path, to: str) -> None:
    file = exported(to)
    before = file.read_text()
    Path("second.yaml").write_text("name: Flight delays\n" + BARE)
    with pytest.raises(UsageError) as raised:
        export(Path("second.yaml"), to, None, force=False)
    told = f"{DEFAULTS[to]} is the workflow of flights/pipeline.yaml: give second.yaml another place with --out, or use --force"
    assert (str(raised.value), file.read_text()) == (f"{told} to replace it.", before)
    assert "second.yaml" in Path(export(Path("second.yaml"), to, None, force=True).path).read_text()


def test_the_command_says_what_is_left_to_do(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["export", "flights/pipeline.yaml", "--to", "github", "--out", "ci/flights.yml"]) == 0
    told = capsys.readouterr().out
    assert "Written to ci/flights.yml." in told
    assert "MLFLOW_TRACKING_URI" in told
    assert cli.run(["export", "flights/pipeline.yaml", "--to", "github", "--out", "ci/flights.yml", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False
    assert cli.run(["export", "flights/pipeline.yaml", "--to", "jenkins"]) == 2
    assert cli.run(["export", "nothing.yaml", "--to", "github"]) == 2
    assert "there is no file nothing.yaml" in capsys.readouterr().err
