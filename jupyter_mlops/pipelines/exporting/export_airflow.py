"""A pipeline as a DAG of Airflow, 2.10 or 3: one task for each step, and one for the release. Pure: facts in, text out.

Each task is `mlops run --only STEP`, which takes what the steps before it gave from the project's state; so all workers need the project's
folder, or a store that they share. The release is a run of the whole pipeline, which finds its steps done. Parameters reach the command
through environment variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ..definition import graph
from .export_project import SERVICES, Project, cron_of

_ONLY = '--only "$STEP" '
_CATCHUP = {"all": True}
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "boolean"),
    (int, "number"),
    (float, "number"),
    (str, "string"),
    (list, "array"),
    (dict, "object"),
)


def file_name(project: Project) -> str:
    """Where it goes, from the root of the repository."""
    return f"dags/{re.sub('-', '_', project.slug)}.py"


def written(project: Project, out: Path) -> str:
    """The DAG as Python, for a file at `out`, from which it finds the project's folder."""
    return "\n".join([*_head(project), *_values(project, out), *_dag(project), *_tasks(project), ""])


def notes(project: Project) -> tuple[str, ...]:
    """What is left to do on the platform."""
    return (
        "Let Airflow's dags_folder hold this file or link to it, and install the project where Airflow's workers run.",
        f"Workers on other machines need MLOPS_PROJECT, the project's folder there, and a store that they share: {', '.join(SERVICES)}.",
    )


def _head(project: Project) -> Iterator[str]:
    yield f"# Written by `mlops export {project.file} --to airflow`: the steps are in that file, this one only runs them."
    yield "# Edit it as you like: once it is edited, exporting again writes a file beside it."
    yield "from __future__ import annotations"
    yield ""
    yield "import os"
    yield "from pathlib import Path"
    yield ""
    yield "import pendulum"
    yield ""
    yield "try:  # Airflow 3"
    yield "    from airflow.providers.standard.operators.bash import BashOperator"
    yield "    from airflow.sdk import DAG, Param"
    yield "except ImportError:  # Airflow 2"
    yield "    from airflow import DAG"
    yield "    from airflow.models.param import Param"
    yield "    from airflow.operators.bash import BashOperator"
    yield ""


def _values(project: Project, out: Path) -> Iterator[str]:
    way = Path(os.path.relpath(project.root, out.parent)).as_posix()
    yield f'PROJECT = os.environ.get("MLOPS_PROJECT") or str((Path(__file__).resolve().parent / {_text(way)}).resolve())'
    yield f"PIPELINE = {_text(project.file)}"
    yield "PARAMS = {"
    for name, default in project.pipeline.params.items():
        yield f"    {_text(name)}: {_param(default)},"
    yield "}"
    yield "# Values reach the command as variables of its environment, never as a part of its text."
    yield "ENVIRONMENT = {"
    for name, default in project.pipeline.params.items():
        yield f"    {_text(f'PARAM_{name}')}: {_text(_rendered(name, default))},"
    yield "}"
    run = f'exec {project.mlops} run "$PIPELINE" '
    yield f"STEP = {_text(run + _ONLY)}"
    if project.pipeline.release:
        yield "# All steps are done by then, so that this only releases the model; a step with `cache: false` is run once more."
        yield f"RUN = {_text(run)}"
    yield ""


def _param(default: Any) -> str:
    kind = next((f", type={_text(name)}" for kind, name in _TYPES if isinstance(default, kind)), "")
    return f"Param({default!r}{kind})"


def _rendered(name: str, default: Any) -> str:
    """The template that gives a parameter as `-p` takes it."""
    return f"{{{{ params[{name!r}]{'' if isinstance(default, str) else ' | tojson'} }}}}"


def _dag(project: Project) -> Iterator[str]:
    schedule = cron_of(project.pipeline)
    said = project.pipeline.schedule or {}
    cron, zone = schedule if schedule is not None else (None, "UTC")
    yield "with DAG("
    yield f"    dag_id={_text(project.slug)},"
    yield f"    schedule={_text(cron) if cron is not None else None},"
    yield f"    start_date=pendulum.datetime(2024, 1, 1, tz={_text(zone)}),"
    yield f"    catchup={_CATCHUP.get(str(said.get('catchup')), False)},"
    yield f"    max_active_runs={16 if said.get('overlap') == 'allow' else 1},"
    yield "    params=PARAMS,"
    yield '    tags=["mlops"],'
    yield ") as dag:"
    yield ""
    yield "    def task(name: str, command: str) -> BashOperator:"
    yield '        """Steps retry and time out by themselves, as the pipeline says."""'
    yield '        given = " ".join(f\'-p "{name}=$PARAM_{name}"\' for name in PARAMS)'
    yield "        return BashOperator("
    yield "            task_id=name,"
    yield "            cwd=PROJECT,"
    yield '            env={**ENVIRONMENT, "PIPELINE": PIPELINE, "STEP": name},'
    yield "            append_env=True,"
    yield "            bash_command=command + given,"
    yield "        )"
    yield ""


def _tasks(project: Project) -> Iterator[str]:
    sources = graph.upstream(project.pipeline)
    yield "    steps = {"
    yield from (f"        {_text(step.name)}: task({_text(step.name)}, STEP)," for step in graph.ordered(project.pipeline))
    yield "    }"
    for step in graph.ordered(project.pipeline):
        if before := sources[step.name]:
            yield f"    [{', '.join(f'steps[{_text(name)}]' for name in before)}] >> steps[{_text(step.name)}]"
    if project.pipeline.release:
        yield f"    list(steps.values()) >> task({_text(_release(sources))}, RUN)"


def _release(steps: Collection[str]) -> str:
    """The name of the task that releases the model, which no step has."""
    name = "release"
    while name in steps:
        name += "-of-the-model"
    return name


def _text(value: str) -> str:
    return repr(value)
