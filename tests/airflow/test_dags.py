"""Exported DAGs, read by Airflow's own parser. Run by name, since each version of Airflow is installed into an environment of its own.

The environments (300 MB each) stay in pytest's cache folder, so that only the first run takes minutes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.surfaces.exporting import export

# The last version of each line that is in use; Airflow 2 has no version for later Pythons.
VERSIONS = ["3.3.2", *(["2.10.5"] if sys.version_info < (3, 13) else [])]
MINUTES = 15

PIPELINE = """\
name: Flight delays
params: {month: 3, note: "it's {{ x }}", carriers: [AA, UA], flag: true, none: null}
schedule: {cron: "30 6 * * 7", timezone: Europe/Copenhagen, catchup: all}
steps:
  prepare: {shell: "echo {month} > {table}", outputs: {table: table.txt}}
  train-model: {shell: "cp {table} {model}", inputs: {table: prepare.table}, outputs: {model: model.txt}}
  report: {shell: "cat {table} {model}", inputs: {table: prepare.table, model: train-model.model}, after: prepare}
"""
NOTE = 'a\'; touch hacked; "$(touch hacked)" `touch hacked` $HOME {{ 1 }}'
TYPED = {"month": 4, "note": NOTE, "carriers": ["A A"], "flag": False, "none": None}

READ = """
import json, sys
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "dags": [
    {
        "id": dag.dag_id, "zone": str(dag.timezone), "catchup": dag.catchup, "runs": dag.max_active_runs,
        "schedule": getattr(dag.timetable, "expression", None) or dag.timetable._expression,
        "params": {name: dag.params[name] for name in dag.params},
        "tasks": {
            task.task_id: {
                "after": sorted(task.upstream_task_ids), "command": task.bash_command, "cwd": task.cwd,
                "env": task.render_template(task.env, {"params": json.loads(sys.argv[2])}),
            }
            for task in dag.tasks
        },
    }
    for dag in bag.dags.values()
]}))
"""


@pytest.fixture(scope="session", params=VERSIONS)
def airflow(request: pytest.FixtureRequest) -> Path:
    """The Python of an environment that has nothing but one version of Airflow."""
    folder = Path(request.config.cache.mkdir(f"airflow-{request.param}-{sys.version_info.major}.{sys.version_info.minor}"))
    python = folder / "bin/python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [python, "-m", "pip", "install", "--quiet", f"apache-airflow=={request.param}"]
        subprocess.run(install, check=True, capture_output=True, timeout=MINUTES * 60)
        (folder / "installed").touch()
    return python


@pytest.mark.timeout(MINUTES * 60 + 120)
def test_airflow_reads_the_dag_and_gives_parameters_as_they_were_typed(airflow: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    file = Path(export(tmp_path / "pipeline.yaml", "airflow", None, force=False).path)
    dag = _read(airflow, file, tmp_path)
    assert (dag["id"], dag["zone"], dag["catchup"], dag["runs"]) == ("Flight-delays", "Europe/Copenhagen", True, 1)
    assert dag["schedule"] == "30 6 * * 0"
    assert dag["params"] == {"month": 3, "note": "it's {{ x }}", "carriers": ["AA", "UA"], "flag": True, "none": None}
    tasks = dag["tasks"]
    assert {name: task["after"] for name, task in tasks.items()} == {
        "prepare": [], "train-model": ["prepare"], "report": ["prepare", "train-model"]
    }  # fmt: skip
    assert {task["cwd"] for task in tasks.values()} == {str(tmp_path.resolve())}
    assert _called(tasks["train-model"], tmp_path) == [
        "run", "pipeline.yaml", "--only", "train-model", "-p", "month=4", "-p", f"note={NOTE}", "-p", 'carriers=["A A"]',
        "-p", "flag=false", "-p", "none=null",
    ]  # fmt: skip


def _read(airflow: Path, file: Path, folder: Path) -> dict[str, Any]:
    home = {"AIRFLOW_HOME": str(folder / "airflow"), "AIRFLOW__CORE__LOAD_EXAMPLES": "False", "PATH": os.environ["PATH"]}
    ran = subprocess.run([airflow, "-c", READ, file.parent, json.dumps(TYPED)], env=home, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["errors"] == {}
    (dag,) = found["dags"]
    return dict(dag)


def _called(task: dict[str, Any], folder: Path) -> list[str]:
    """The words with which a task's command calls ours, in the environment that Airflow gives it."""
    command = folder / "commands/mlops"
    command.parent.mkdir()
    command.write_text("#!/usr/bin/env python3\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    command.chmod(0o755)
    env = {"PATH": f"{command.parent}:{os.environ['PATH']}", **task["env"]}
    ran = subprocess.run(["bash", "-c", task["command"]], env=env, cwd=folder, capture_output=True, text=True, check=True, timeout=60)
    assert not (folder / "hacked").exists()
    return list(json.loads(ran.stdout))
