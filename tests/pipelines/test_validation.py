"""Bad data stops a step before it begins: checks of inputs, declared in pipeline.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.models.validation import learning
from jupyter_mlops.pipelines.caching.plan import opened, planned
from jupyter_mlops.pipelines.definition import loading
from jupyter_mlops.pipelines.running import calling
from jupyter_mlops.records import Pipeline, PipelineRun
from jupyter_mlops.surfaces import cli, running
from jupyter_mlops.surfaces.reports import junit, markdown
from tests.databases import Postgres
from tests.pipelines import notebook_files
from tests.pipelines.clusters import can_hide, cluster
from tests.pipelines.running import Told, run, states
from tests.s3_server import s3

YAML = """
name: flow
steps:
  prepare: {python: "prepare.py:prepare", inputs: {path: data.csv}, validate: {path: schema.py}}
  train: {notebook: train.ipynb, inputs: {table: prepare.table}, validate: {table: {schema: schema.yaml, reference: reference.parquet}}}
"""
SCHEMA = """
import pandera.pandas as pa
from limits import MOST

schema = pa.DataFrameSchema({"a": pa.Column(int, pa.Check.in_range(0, MOST))})
"""
PREPARE = "import pandas as pd\ndef prepare(path):\n    return {'table': pd.read_csv(path).assign(b=lambda f: f['a'] * 2)}\n"


def frame(rows: int = 60, most: int = 59) -> pd.DataFrame:
    return pd.DataFrame({"a": [number % (most + 1) for number in range(rows)]})


@pytest.fixture
def flow(project: Path) -> Path:
    """A pipeline of two steps, whose inputs are checked: a file against Python, an output against YAML and a reference."""
    (project / "limits.py").write_text("MOST = 100\n")
    (project / "schema.py").write_text(SCHEMA)
    (project / "prepare.py").write_text(PREPARE)
    frame().to_csv(project / "data.csv", index=False)
    table = frame().assign(b=lambda made: made["a"] * 2)
    table.to_parquet(project / "reference.parquet")
    learning.write(learning.learn(table).schema, project / "schema.yaml")
    code = "import pandas as pd\nopen('began', 'w').close()\nn = len(pd.read_parquet(table))"
    notebook_files.write(project / "train.ipynb", "table: str = ''", "{'rows': n}", code)
    (project / "pipeline.yaml").write_text(YAML)
    return project


def loaded(project: Path) -> Pipeline:
    return loading.parameters(loading.load(project / "pipeline.yaml"), {})


def done(project: Path, told: Told | None = None, **options: Any) -> PipelineRun:
    return run(loaded(project), told, checks=running.CHECKS, **options)


def test_what_checks_data_is_found_by_its_name() -> None:
    assert callable(calling.find(running.CHECKS))


def test_good_data_passes_and_bad_data_stops_before_the_step_begins(flow: Path) -> None:
    assert states(done(flow)) == {"prepare": "done", "train": "done"}
    assert states(done(flow)) == {"prepare": "cached", "train": "cached"}
    (flow / "began").unlink()
    made = frame()
    made.loc[7, "a"] = -5
    made.to_csv(flow / "data.csv", index=False)
    told = Told()
    failed = done(flow, told)
    assert states(failed) == {"prepare": "failed", "train": "skipped"}
    assert failed.steps[0].error.splitlines() == [
        "path (data.csv, 60 rows) against schema.py:",
        "  ✗ range a: 1 of 60 values (1.7%) is not from 0 to 100. [-5] [row 7]",
        "The step did not begin: its input path fails 1 of 8 checks (range a).",
    ]
    assert not (flow / "began").exists()
    assert 'message="The step did not begin: its input path fails 1 of 8 checks (range a).' in junit(failed)
    assert "✗ range a: 1 of 60 values" in markdown(failed)


def test_a_notebook_is_not_begun_with_what_another_step_gave(flow: Path) -> None:
    made = frame(most=20)
    made.to_csv(flow / "data.csv", index=False)
    failed = done(flow)
    assert states(failed) == {"prepare": "done", "train": "failed"}
    lines = failed.steps[1].error.splitlines()
    assert lines[0] == "table (prepare.table, 60 rows) against schema.yaml and reference.parquet:"
    assert any(line.startswith("  ✗ drift a: ") for line in lines)
    assert lines[-1].startswith("The step did not begin: its input table fails")
    assert failed.steps[1].attempts == 1
    assert not (flow / "began").exists()


def test_a_schema_is_part_of_the_steps_key_and_so_is_what_it_imports(flow: Path) -> None:
    done(flow)
    commits = opened(running.config.load(), loaded(flow))

    def plan() -> dict[str, tuple[str, tuple[str, ...]]]:
        return {step.step: (step.action, step.why) for step in planned(loaded(flow), commits)}

    assert plan() == {"prepare": ("cached", ()), "train": ("cached", ())}
    (flow / "limits.py").write_text("MOST = 50\n")
    assert plan()["prepare"] == ("run", ("modules: limits.py",))
    (flow / "limits.py").write_text("MOST = 100\n")
    (flow / "schema.yaml").write_text((flow / "schema.yaml").read_text() + "name: other\n")
    assert plan()["train"] == ("run", ("validate.table schema: content changed",))


def test_checks_that_cannot_be_made_say_why(flow: Path) -> None:
    (flow / "schema.py").write_text("import nosuch\n")
    error = done(flow).steps[0].error
    assert "schema.py, line 1 cannot be used as a schema: running it raised ModuleNotFoundError" in error
    assert error.endswith("The step did not begin: its input path cannot be checked.")
    (flow / "schema.py").write_text("import os\nos._exit(3)\n")
    assert done(flow).steps[0].error == "The checks of its inputs ended with status 3."
    assert run(loaded(flow)).steps[0].error == "The step prepare declares checks of its inputs, which `mlops run` makes: run it so."


def test_the_verb_says_what_to_mend(flow: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame().assign(a=-1).to_csv(flow / "data.csv", index=False)
    assert cli.run(["run", "pipeline.yaml", "--junit", "steps.xml"]) == 1
    shown = capsys.readouterr().out
    assert "✗ range a: 60 of 60 values (all) are not from 0 to 100." in shown
    assert "Mend the data of path, or what it is held against, then: mlops run pipeline.yaml" in shown
    assert "The step did not begin" in (flow / "steps.xml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("{path: schema.py}", "{pth: schema.py}", "line 4: step 'prepare' checks 'pth', which is none of its inputs: did you mean 'path'?"),
        ("{path: schema.py}", "{path: shema.py}", "line 4: step 'prepare': there is no schema shema.py: correct its path"),
        ("reference.parquet", "nosuch.parquet", "line 5: step 'train': there is no reference nosuch.parquet: correct its path."),
        ("{path: schema.py}", "{path: {}}", "steps.prepare.validate.path has none of schema, reference"),
        ("{path: schema.py}", "{path: 3}", "steps.prepare.validate.path is 3: write the path of a schema"),
        ("{path: schema.py}", "{path: {shema: a}}", "there is no key 'shema' in steps.prepare.validate.path: did you mean 'schema'?"),
    ],
)
def test_mistakes_are_told_with_their_line(old: str, new: str, error: str, flow: Path) -> None:
    (flow / "pipeline.yaml").write_text(YAML.replace(old, new))
    with pytest.raises(PipelineError) as caught:
        loaded(flow)
    assert error in str(caught.value)


def test_a_schema_may_hang_on_a_parameter(flow: Path) -> None:
    (flow / "pipeline.yaml").write_text(
        YAML.replace("name: flow", "name: flow\nparams: {kind: schema}").replace("schema.py", '"{kind}.py"')
    )
    assert loaded(flow).steps[0].validate == {"path": {"schema": "schema.py"}}


@pytest.mark.parametrize("elsewhere", [can_hide()])
@pytest.mark.timeout(600)
def test_workers_of_other_machines_check_too(
    elsewhere: bool, flow: Path, tmp_path: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3(monkeypatch) as store, cluster(tmp_path / "cluster", **store.env) as found:
        monkeypatch.setenv("MLOPS_OBJECTS", store.url)
        monkeypatch.setenv("MLOPS_DATABASE", postgres_server.database())
        found.add(hidden=flow if elsewhere else None)
        good = done(flow, executor=found.address, only=("prepare",))
        assert (good.steps[0].error, good.steps[0].state) == ("", "done")
        frame().assign(a=-1).to_csv(flow / "data.csv", index=False)
        bad = done(flow, executor=found.address, only=("prepare",))
    assert bad.steps[0].state == "failed"
    assert "60 of 60 values (all) are not from 0 to 100" in bad.steps[0].error
