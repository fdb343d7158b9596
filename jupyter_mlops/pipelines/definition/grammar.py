"""The keys of pipeline.yaml, what belongs under each, and what each is for. `pipeline.schema.json` beside this file is `schema()`."""

from __future__ import annotations

from typing import Any

from .gates import GATE
from .kinds import Anything, Choice, Duration, Either, Flag, Items, Key, Named, Number, Size, Table, Text, Word

STEP_NAME = r"^[A-Za-z_][A-Za-z0-9_-]*$(?!\n)"
NAME = r"^[^\s\d!-/:-@\[-^`{-~][^\s!-/:-@\[-^`{-~]*$(?!\n)"
"""A name of a step's own: as Python's, in any script, in the regular expressions that Python and JSON schema share."""
KINDS = ("notebook", "python", "shell")

_PARAMS = Named(Anything(), "names and their values, such as {month: 3}")
_STEP_PARAMS = Named(Anything(), "names and their values, such as {month: 3}", NAME)
_ENV = Named(Word(), "names and texts, such as {OMP_NUM_THREADS: 2}")
_NUMBER_OF_RETRIES = Number("how often to try again, such as 2", whole=True)
_ON = Items(Choice(("done", "failed", "cancelled")), "[failed, done]", alone=True)

_INPUT = Either(
    (
        Text("step.output, a path or a URL"),
        Table(
            "{path: ...}, {url: ...} or {query: ..., connection: ...}",
            {
                "path": Key(Text("a path, from the folder of this file"), "A file or folder, from the folder of this file."),
                "url": Key(
                    Text("an address", r"^https?://\S+$"), "Given to the step as it is; it counts as changed when its ETag changes."
                ),
                "query": Key(Text("an SQL query"), "Its result is given to the step as the path of a Parquet file."),
                "connection": Key(Text("sqlite:///x.db, or the name of an environment variable"), "The database, as SQLAlchemy names it."),
                "fingerprint": Key(Text("an SQL query"), "A cheap query whose result changes when that of `query` does."),
            },
            one_of=("path", "url", "query"),
            needs={"query": "connection", "connection": "query", "fingerprint": "query"},
        ),
    ),
    "step.output, a path, a URL, or {query: ..., connection: ...}",
)

_SCHEMA = Text("the path of a schema, such as schemas/flights.yaml")
_CHECKS = Either(
    (
        _SCHEMA,
        Table(
            "{schema: PATH, reference: PATH}",
            {
                "schema": Key(_SCHEMA, "A schema of pandera's: a YAML file, or a .py file (file.py:NAME where it holds several)."),
                "reference": Key(Text("the path of a table, or a digest"), "Data as it should be: drift from it fails the step."),
            },
            some_of=("schema", "reference"),
        ),
    ),
    "the path of a schema, or {schema: PATH, reference: PATH}",
)

_STEP = Table(
    "a table with a notebook, a Python function or a shell command",
    {
        "notebook": Key(Text("the path of a notebook", r"\.ipynb$"), "A papermill notebook; its parameters cell says what can be set."),
        "python": Key(
            Text("module:function or path.py:function", r"^[^:\s][^:]*:[A-Za-z_][A-Za-z0-9_]*$(?!\n)"),
            "A function, called with the params and inputs as keywords; it returns its outputs as a dict.",
        ),
        "shell": Key(Text("a command"), "A command; {name} in it is replaced by a param, an input or an output, quoted for the shell."),
        "params": Key(_STEP_PARAMS, "Values for the step's parameters; {name} is replaced by the pipeline's parameter."),
        "inputs": Key(
            Named(_INPUT, "names and sources, such as {table: prepare.table}", NAME), "What it reads: step.output, path, URL or query."
        ),
        "validate": Key(
            Named(_CHECKS, "inputs and schemas, such as {table: schemas/table.yaml}", NAME),
            "Checks of its inputs, which are tables; where one fails, the step fails before it begins.",
        ),
        "outputs": Key(Named(Text("the path of a file"), "names and paths, such as {report: out/report.txt}", NAME), "Files it writes."),
        "kernel": Key(Text("the name of a kernel, such as python3"), "The kernel of a notebook, where it is not the one it names itself."),
        "after": Key(Items(Text("the name of a step"), "[step, step]", alone=True), "Steps to wait for without taking anything from them."),
        "retries": Key(
            Either(
                (
                    _NUMBER_OF_RETRIES,
                    Table(
                        "{times: 2, backoff: 10s, factor: 2}",
                        {
                            "times": Key(_NUMBER_OF_RETRIES, "How often to try again.", required=True),
                            "backoff": Key(Duration(), "The wait before the first retry (default: 1s)."),
                            "factor": Key(Number("a number from 1, such as 2", least=1), "How many times longer each further wait is."),
                        },
                    ),
                ),
                "how often to try again, such as 2, or {times: 2, backoff: 10s}",
            ),
            "How often to try again when it fails.",
        ),
        "timeout": Key(Duration(), "The longest that one try may take."),
        "resources": Key(
            Table(
                "{cpus: 2, memory: 4 GB}",
                {
                    "cpus": Key(Number("a number above 0, such as 2", above=True), "Cores that it needs."),
                    "memory": Key(Size(), "Memory that it needs."),
                },
            ),
            "What it needs; as many steps run at once as there is room for.",
        ),
        "cache": Key(Flag(), "Whether an unchanged step is not run again (default: true)."),
        "env": Key(_ENV, "Environment variables, which count as part of the step."),
    },
    one_of=KINDS,
)

PIPELINE = Table(
    "a table with the key 'steps'",
    {
        "format": Key(Number("1", whole=True, least=1), "The version of these keys (default: 1)."),
        "name": Key(
            Text("a name without slashes, not starting with a point", r"^[^./\\][^/\\]*$"), "The default is the name of the file or folder."
        ),
        "params": Key(_PARAMS, "Parameters with their defaults; `-p NAME=VALUE` sets them."),
        "env": Key(_ENV, "Environment variables of all steps, which count as part of them."),
        "schedule": Key(
            Table(
                '{cron: "0 6 * * 1", timezone: Europe/Copenhagen}',
                {
                    "cron": Key(Text('minute, hour, day, month and weekday, such as "0 6 * * 1"'), "When it is due.", required=True),
                    "timezone": Key(Text("a time zone, such as Europe/Copenhagen"), "Whose clock `cron` means."),
                    "catchup": Key(Choice(("none", "latest", "all")), "Which due times that were missed are made up for."),
                    "jitter": Key(Duration(), "By how much a start may be put off, so that not all start at once."),
                    "overlap": Key(Choice(("skip", "queue", "allow")), "What to do when the last run still goes on."),
                },
            ),
            "When it runs by itself.",
        ),
        "notify": Key(
            Items(
                Table(
                    "{webhook: URL} or {email: ADDRESS}",
                    {
                        "webhook": Key(Text("an address", r"^https?://\S+$"), "The run's end is posted there as JSON."),
                        "email": Key(Text("an address of email", r"^[^@\s]+@[^@\s]+$"), "Who gets an email."),
                        "from": Key(Text("an address of email", r"^[^@\s]+@[^@\s]+$"), "Who it comes from (default: whoever gets it)."),
                        "smtp": Key(Text("HOST or HOST:PORT"), "The mail server (default: localhost:25)."),
                        "on": Key(_ON, "At which ends of a run (default: failed)."),
                    },
                    one_of=("webhook", "email"),
                    needs={"smtp": "email", "from": "email"},
                ),
                "[{webhook: URL}, {email: ADDRESS}]",
            ),
            "Who is told how a run ended.",
        ),
        "release": Key(
            Table(
                "{model: train.model, name: NAME, gates: [...], to: champion}",
                {
                    "model": Key(Text("step.output"), "The output that is the model.", required=True),
                    "name": Key(
                        Text("a name without slashes and colons", r"^[^/:\s@][^/:@]*$(?!\n)"),
                        "The registered model; without a name nothing is registered, and the gates alone are judged.",
                    ),
                    "gates": Key(Items(GATE, "[gate, gate]"), "What the model must pass."),
                    "to": Key(
                        Choice(("champion", "challenger")), "The alias that a version gets when it passes all gates (default: none)."
                    ),
                    "test": Key(Text("step.output or a path"), "The data that the gates try the model on."),
                    "reference": Key(Text("step.output or a path"), "The data that the model was trained on (default: as captured)."),
                    "target": Key(Text("the name of a column"), "The column of the truth in both."),
                },
            ),
            "The model that comes out, and what it must pass.",
        ),
        "steps": Key(
            Named(_STEP, "names and steps, such as {train: {notebook: train.ipynb}}", STEP_NAME, least=1), "The steps.", required=True
        ),
    },
)


def schema() -> dict[str, Any]:
    """The grammar as JSON schema (draft 2020-12)."""
    draft = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": draft, "title": "pipeline.yaml", "description": "A pipeline of jupyter_mlops.", **PIPELINE.schema()}
