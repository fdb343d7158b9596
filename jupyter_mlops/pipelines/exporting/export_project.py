"""What a workflow in someone else's CI must know of a pipeline and of the project around it."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import UsageError
from ...records import Pipeline

PACKAGE = "jupyter_mlops"
STATE = (".mlops", "mlflow.db", "mlruns", "mlartifacts")
"""What a project keeps between runs, beside its own files: where MLflow's own default store is, and ours."""
JUNIT, SUMMARY, NOTEBOOKS = "mlops-junit.xml", "mlops-summary.md", "mlops-notebooks"
"""What one run leaves, from the root."""
SERVICES = ("MLFLOW_TRACKING_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLOPS_OBJECTS", "MLOPS_DATABASE")
"""Variables that lead to a store shared with others."""
_PLAIN = re.compile(r"[0-9A-Za-z*,/-]+")
_NAMES = ("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", "SUN MON TUE WED THU FRI SAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A pipeline in its repository. `file` is its path from `root`, `install` the commands that prepare a fresh machine, `mlops` how our
    command is called there, `slug` a name of letters, digits and dashes, `secrets` the variables that its steps take from outside."""

    pipeline: Pipeline
    root: Path
    file: str
    slug: str
    install: tuple[str, ...]
    mlops: str
    python: str
    requirements: str = ""
    secrets: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """All variables that come from outside."""
        return (*SERVICES, *self.secrets)


def project_of(pipeline: Pipeline) -> Project:
    """The project that a pipeline's file lies in. Raises UsageError for a pipeline without a file."""
    if not pipeline.path:
        raise UsageError("Only a pipeline with a file of its own can be exported: write its steps into a pipeline.yaml.")
    path = Path(pipeline.path)
    root = next((folder for folder in path.parents if (folder / ".git").exists()), path.parent)
    install, mlops, requirements = _installation(path.parent, root)
    return Project(
        pipeline=pipeline,
        root=root,
        file=path.relative_to(root).as_posix(),
        slug=re.sub(r"[^A-Za-z0-9]+", "-", pipeline.name).strip("-") or "pipeline",
        install=install,
        mlops=mlops,
        python=f"{sys.version_info.major}.{sys.version_info.minor}",
        requirements=requirements,
        secrets=tuple(dict.fromkeys(_connections(pipeline))),
    )


def cron_of(pipeline: Pipeline) -> tuple[str, str] | None:
    """The cron expression and the time zone of a pipeline's schedule, in the five plain fields that every platform reads; None without one.

    Raises UsageError for what only our own scheduler knows: seconds, and days such as "the last Friday".
    """
    if pipeline.schedule is None:
        return None
    from ..scheduling.due import Cron

    expression = str(pipeline.schedule["cron"])
    fields = Cron(expression, "UTC").fields().split()
    if len(fields) == 6 and fields[0] == "0":
        fields = fields[1:]
    names = [word for words in _NAMES for word in words.split()]
    plain = len(fields) == 5 and all(_PLAIN.fullmatch(field) and _known_words(field, names) for field in fields)
    if not plain:
        raise UsageError(f"The cron expression {expression!r} is more than other schedulers understand: write five plain fields.")
    if "7" in re.split(r"\D", fields[4]):
        fields[4] = _weekdays(fields)
    return " ".join(fields), str(pipeline.schedule.get("timezone") or "UTC")


def _known_words(field: str, names: list[str]) -> bool:
    return all(word.upper() in names for word in re.findall(r"[A-Za-z]+", field))


def _weekdays(fields: list[str]) -> str:
    """The weekdays as numbers from 0: not every scheduler takes 7 for Sunday."""
    from datetime import datetime

    from cronsim import CronSim

    found = CronSim(" ".join(fields), datetime(2000, 1, 1)).weekdays
    return ",".join(str(day) for day in sorted({day % 7 for day in found if isinstance(day, int)}))


def _connections(pipeline: Pipeline) -> Iterable[str]:
    """The environment variables that name databases."""
    for step in pipeline.steps:
        for value in step.inputs.values():
            if isinstance(value, dict) and str(value.get("connection", "")).isidentifier():
                yield value["connection"]


def _installation(start: Path, root: Path) -> tuple[tuple[str, ...], str, str]:
    """The commands that install a project, how our command is called then, and the file that says what is installed."""
    for folder in (start, *start.parents):
        pyproject, requirements = folder / "pyproject.toml", folder / "requirements.txt"
        project = _table(pyproject)
        where = Path(os.path.relpath(folder, root)).as_posix()
        if (folder / "uv.lock").is_file() and project:
            return _with_uv(project, where)
        if requirements.is_file():
            file = (Path(where) / "requirements.txt").as_posix()
            ours = [] if _named(requirements.read_text(encoding="utf-8")) else [f"python -m pip install {PACKAGE}"]
            return (f"python -m pip install -r {file}", *ours), "mlops", file
        if project:
            ours = [] if _named(json.dumps(project)) else [f"python -m pip install {PACKAGE}"]
            return (
                (f"python -m pip install ./{where}" if where != "." else "python -m pip install .", *ours),
                "mlops",
                f"{where}/pyproject.toml",
            )
        if folder == root:
            break
    return (f"python -m pip install {PACKAGE}",), "mlops", ""


def _with_uv(project: dict[str, Any], where: str) -> tuple[tuple[str, ...], str, str]:
    option = "" if where == "." else f" --project {where}"
    package = "" if _named(json.dumps(project)) else f" --with {PACKAGE}"
    return ("python -m pip install uv", f"uv sync --frozen{option}"), f"uv run --frozen{option}{package} mlops", f"{where}/uv.lock"


def _named(text: str) -> bool:
    """Whether this package is among the requirements (names of packages may be written in several ways)."""
    return re.search(r"(?i)(?<![\w-])jupyter[-_.]mlops(?![\w-])", text) is not None


def _table(pyproject: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project", {})
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
