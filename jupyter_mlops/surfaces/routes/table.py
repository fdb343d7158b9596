"""What the sidebar may ask of the server: each verb once, with its arguments and what answers it.

A row is `"verb": _route("module:function", argument=KIND, ...)`. The function is called with the arguments that were sent, by their names,
in the project's host process (see `host`), in a thread, with the project as working folder; arguments that were not sent keep the
function's defaults (`required` names those that must be sent). What it returns is sent as JSON as `mlops --json` prints it: a record, or
lists and dicts of plain values and records. What it raises of `errors` is shown to the user as its sentence. The module is found in this
folder first (`reading_runs:runs`), else in `surfaces` (`commands:show`), and is imported in the host alone: nothing heavy is imported here.

PATHs are those of JupyterLab's contents: relative to the server's root. They reach the function as an absolute, resolved Path that lies
within the root; an answer names files the same way by `places.contents_path(path)`, which is None for a file that lies elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

TEXT = "text"
"""Any text: filters, notes, reasons. Never used as a path."""
NAME = "name"
"""What names a run, model, schedule or column: a text that is no path."""
NAMES = "names"
"""A list of such."""
COUNT = "count"
"""A whole number from 0."""
TRUTH = "truth"
"""true or false."""
VALUES = "values"
"""An object of plain values by name: parameters, tags."""
PATH = "path"
"""A file or folder within the server's root."""
PATHS = "paths"
"""A list of such."""
DATA = "data"
"""The digest of a snapshot, or its beginning; else a file within the server's root."""
SOURCE = "source"
"""What names a run; else a notebook within the server's root, which ends with .ipynb."""


@dataclass(frozen=True, slots=True)
class Route:
    """One verb: who answers it ("module:function"), its `arguments` by name with their kinds, and those that must be sent.

    A kind may also be a tuple of the texts that are allowed.
    """

    function: str
    arguments: Mapping[str, str | tuple[str, ...]]
    required: tuple[str, ...] = ()


def _route(function: str, *, required: tuple[str, ...] = (), **arguments: str | tuple[str, ...]) -> Route:
    return Route(function, arguments, required)


_OF_A_STEP = ("pipeline", "step", "run")

READING: dict[str, Route] = {
    # runs
    "runs": _route("reading_runs:runs", where=TEXT, sort=TEXT, limit=COUNT, offset=COUNT, experiment=TEXT, notebook=PATH),
    "show": _route("commands:show", required=("run",), run=NAME),
    "compare": _route("commands:compare", required=("runs",), runs=NAMES),
    "status": _route("reading_runs:status", notebook=PATH),
    "mlflow_page": _route("reading_page:mlflow_page", required=("run",), run=NAME),
    "lineage": _route("commands:lineage", required=("ref",), ref=NAME, of=NAME),
    # data
    "snapshots": _route("reading_data:snapshots", search=TEXT, limit=COUNT, offset=COUNT),
    "snapshot": _route("reading_data:snapshot", required=("digest",), digest=NAME),
    "diff": _route("reading_data:diff", required=("a", "b"), a=DATA, b=DATA),
    # pipelines
    "pipelines": _route("reading_pipelines:pipelines"),
    "pipeline_runs": _route("reading_pipelines:pipeline_runs", required=("path",), path=PATH, limit=COUNT),
    "pipeline_plan": _route(
        "reading_pipelines:pipeline_plan", required=("path",), path=PATH, params=VALUES, only=NAMES, start=NAME, force=TRUTH
    ),
    "step_log": _route("reading_pipelines:step_log", required=_OF_A_STEP, pipeline=NAME, step=NAME, run=NAME),
    "executed_notebook": _route("reading_pipelines:executed_notebook", required=_OF_A_STEP, pipeline=NAME, step=NAME, run=NAME),
    "timetable": _route("reading_schedules:timetable"),
    "due_times": _route("reading_schedules:due_times", required=("expression",), expression=TEXT, timezone=TEXT),
    "schedule_history": _route("reading_schedules:schedule_history", required=("name",), name=NAME, limit=COUNT),
    "schedule_log": _route("reading_schedules:schedule_log", required=("name", "run"), name=NAME, run=NAME),
    # models
    "models": _route("reading_models:models"),
    "model": _route("reading_models:model", required=("name",), name=NAME, entries=COUNT),
    "services": _route("reading_models:services"),
    "card": _route("reading_models:card", required=("model",), model=NAME),
    "audit": _route("commands:audit", name=NAME, verify=TRUTH, limit=COUNT),
    # monitoring
    "monitored": _route("reading_monitor:monitored"),
    "monitor": _route("reading_monitor:monitor", required=("name",), name=NAME, since=TEXT),
}
"""GET mlops/verbs/<verb>: what only reads. Owners of a section add their rows to its part here, and functions in `reading_<section>`."""

CHANGES: dict[str, Route] = {
    "tag": _route("changing:tag", required=("run", "tags"), run=NAME, tags=VALUES),
    "note": _route("changing:note", required=("run", "text"), run=NAME, text=TEXT),
    "delete": _route("changing:delete", required=("runs",), runs=NAMES),
    "schedule": _route(
        "changing:schedule", required=("action",), action=("add", "pause", "resume", "remove"), name=NAME, pipeline=PATH, params=VALUES,
        cron=TEXT, timezone=TEXT, catchup=("none", "latest", "all"), jitter=TEXT, overlap=("skip", "queue", "allow"),
    ),
    "register": _route("changing:register", required=("run", "name"), run=NAME, name=NAME),
    "promote": _route("changing:challenge", required=("name",), name=NAME, version=COUNT, to=("challenger",), why=TEXT),
    "approve": _route("commands:approve", required=("name",), name=NAME, version=COUNT, why=TEXT),
    "rollback": _route("commands:rollback", required=("name",), name=NAME, why=TEXT),
}  # fmt: skip
"""POST mlops/verbs/<verb>: short changes, one at a time in a project."""


@dataclass(frozen=True, slots=True)
class Job:
    """Long work: `mlops VERB` as a process. `words` are the arguments that are given without their name, in their order."""

    arguments: Mapping[str, str | tuple[str, ...]]
    words: tuple[str, ...]
    required: tuple[str, ...] = ()


def _job(*words: str, required: tuple[str, ...] = (), **arguments: str | tuple[str, ...]) -> Job:
    return Job(arguments, words, required or words)


JOBS: dict[str, Job] = {
    "run": Job(
        {
            "sources": PATHS, "params": VALUES, "only": NAMES, "from": NAME, "force": TRUTH, "dry_run": TRUTH, "on": TEXT, "jobs": COUNT,
            "out": PATH,
        },
        words=("sources",), required=("sources",),
    ),
    "replay": _job("run", run=NAME, slice=TRUTH, env=TRUTH, live=TRUTH, allow=TRUTH),
    "slice": _job("run", "name", required=("run",), run=NAME, name=NAME, out=PATH, quick=TRUTH),
    "step": _job("source", required=("source", "out"), source=SOURCE, result=NAMES, out=PATH),
    "check": _job("model", model=NAME, data=DATA, gates=PATH),
    "promote": _job("name", name=NAME, version=COUNT, to=("champion", "challenger"), force=TRUTH, why=TEXT),
    "retrain": _job("name", name=NAME, why=TEXT, force=TRUTH),
    "validate": _job("data", data=DATA, schema=PATH, reference=DATA, learn=TRUTH, out=PATH),
    "card": _job("name", name=NAME, out=PATH),
    "ui": _job(),
    "predict": _job("model", "data", model=NAME, data=DATA, out=PATH, log=TRUTH),
}  # fmt: skip
"""POST mlops/jobs: what takes long. Names of arguments are those of the options of the command, with _ for -."""
