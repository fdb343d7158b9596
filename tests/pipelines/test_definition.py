"""pipeline.yaml: what it may say, and what is told of what it may not."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition import grammar, graph, kinds, loading, templates, yaml_lines
from jupyter_mlops.records import Pipeline, PipelineStep

from .notebook_files import write

FLIGHTS = """\
name: flight-delays
params: {month: 3, carriers: [AA, UA]}
schedule: {cron: "0 6 * * 1", timezone: Europe/Copenhagen, catchup: latest}
notify: [{webhook: "https://example.org/hook", on: [done, failed]}]
steps:
  prepare: {notebook: notebooks/prepare.ipynb, params: {month: "{month}"}, inputs: {flights: data/flights.csv}}
  train:
    notebook: notebooks/train.ipynb
    inputs: {table: prepare.table}
    retries: {times: 2, backoff: 10s, factor: 3}
    timeout: 1h30m
    resources: {cpus: 2, memory: 4 GB}
  report:
    shell: "render {table} {month} > {page}"
    inputs: {table: prepare.table}
    outputs: {page: "out/{month}.html"}
    env: {LANG: C, THREADS: 2}
    cache: false
    after: train
  check: {python: "checks.py:check", params: {least: 0.7}, inputs: {model: train.model, page: out/3.html}}
release: {model: train.model, name: flight-delays, gates: [{metric: auc, at_least: 0.7}], to: champion}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the notebooks and functions of the pipeline above, as the working folder."""
    write(tmp_path / "notebooks/prepare.ipynb", "month: int = 1\nflights = 'data/flights.csv'", "{'table': table}")
    write(tmp_path / "notebooks/train.ipynb", "table = ''\nC = 1\nnames: list[str] = []", "{'model': model, 'auc': auc}")
    write(tmp_path / "notebooks/plain.ipynb")
    (tmp_path / "checks.py").write_text("def check(model, page, least: float = 0.5):\n    return {}\ndef many(**values):\n    return {}\n")
    (tmp_path / "prepare.table").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str) -> Pipeline:
    Path("pipeline.yaml").write_text(text)
    return loading.load(Path("pipeline.yaml"))


def test_a_pipeline_is_read_whole(folder: Path) -> None:
    assert load(FLIGHTS) == Pipeline(
        name="flight-delays",
        folder=str(folder),
        path=str(folder / "pipeline.yaml"),
        params={"month": 3, "carriers": ["AA", "UA"]},
        schedule={"cron": "0 6 * * 1", "timezone": "Europe/Copenhagen", "catchup": "latest"},
        notify=({"webhook": "https://example.org/hook", "on": ("done", "failed")},),
        release={"model": "train.model", "name": "flight-delays", "gates": ({"metric": "auc", "at_least": 0.7},), "to": "champion"},
        steps=(
            PipelineStep(
                name="prepare",
                kind="notebook",
                source="notebooks/prepare.ipynb",
                params={"month": "{month}"},
                inputs={"flights": "data/flights.csv"},
                line=6,
            ),
            PipelineStep(
                name="train",
                kind="notebook",
                source="notebooks/train.ipynb",
                inputs={"table": "prepare.table"},
                retries=2,
                backoff=10.0,
                factor=3,
                timeout=5400.0,
                resources={"cpus": 2, "memory": 4 * 10**9},
                line=7,
            ),
            PipelineStep(
                name="report",
                kind="shell",
                source="render {table} {month} > {page}",
                inputs={"table": "prepare.table"},
                outputs={"page": "out/{month}.html"},
                env={"LANG": "C", "THREADS": "2"},
                cache=False,
                after=("train",),
                line=13,
            ),
            PipelineStep(
                name="check",
                kind="python",
                source="checks.py:check",
                params={"least": 0.7},
                inputs={"model": "train.model", "page": "out/3.html"},
                line=20,
            ),
        ),
    )


def test_parameters_fill_the_templates_with_their_own_types(folder: Path) -> None:
    filled = loading.parameters(load(FLIGHTS), {"month": "3"})
    steps = {step.name: step for step in filled.steps}
    assert filled.params == {"month": 3, "carriers": ["AA", "UA"]}
    assert steps["prepare"].params == {"month": 3}
    assert steps["report"].outputs == {"page": "out/3.html"}
    assert (steps["report"].source, steps["report"].params) == ("render {table} {month} > {page}", {"month": 3})
    # A file that another step writes is that step's output, however it is named.
    assert steps["check"].inputs == {"model": "train.model", "page": "report.page"}
    assert [step.name for step in graph.ordered(filled)] == ["prepare", "train", "report", "check"]


def changed(old: str, new: str) -> str:
    assert old in FLIGHTS
    return FLIGHTS.replace(old, new, 1)


WRONG = [
    # keys and names
    ("name: flight", "nme: flight", 1, "there is no key 'nme' at the top: did you mean 'name'?"),
    ("    timeout: 1h30m", "    timout: 1h30m", 11, "there is no key 'timout' in steps.train: did you mean 'timeout'?"),
    ("times: 2", "time: 2", 10, "there is no key 'time' in steps.train.retries: did you mean 'times'?"),
    ("  train:\n", "  prepare:\n", 7, "the key 'prepare' stands here again, after line 6: keep one of them."),
    ("  train:\n", "  tr ain:\n", 7, "'tr ain' is no name: use letters, digits, underscores and dashes, no digit first."),
    ("{month: 3,", "{my-month: 3,", 2, "'my-month' is no name: use letters, digits, underscores, no digit first."),
    ("name: flight-delays", "name: ../flights", 1, "name is '../flights': write a name without slashes, not starting with a point."),
    ("    timeout: 1h30m", "    shell: ls", 11, "steps.train has notebook and shell: give it exactly one of them."),
    ("    notebook: notebooks/train.ipynb\n", "", 7, "steps.train has none of notebook, python, shell: give it exactly one of them."),
    # types
    ("{times: 2, backoff: 10s, factor: 3}", "two", 10,
     "steps.train.retries is 'two': write how often to try again, such as 2, or {times: 2, backoff: 10s}."),
    ("{times: 2, backoff: 10s, factor: 3}", "-1", 10, "steps.train.retries is -1: write how often to try again, such as 2."),
    ("times: 2", "times: 1.5", 10, "steps.train.retries.times is 1.5: write how often to try again, such as 2."),
    ("1h30m", "90 minits", 11, "steps.train.timeout is '90 minits': write a time span such as \"90s\", \"10m\" or \"1h30m\"."),
    ("4 GB", "4 GBB", 12, "steps.train.resources.memory is '4 GBB': write a size such as \"4 GB\"."),
    ("cpus: 2", "cpus: 0", 12, "steps.train.resources.cpus is 0: write a number above 0, such as 2."),
    ("cache: false", "cache: no", 18, "steps.report.cache is 'no': write true or false."),
    ("after: train", "after: {train: 1}", 19, "steps.report.after is a table: write [step, step]."),
    ("catchup: latest", "catchup: newest", 3, "schedule.catchup is 'newest': write none, latest or all."),
    ("on: [done, failed]", "on: [finished]", 4, "notify[1].on[1] is 'finished': write done, failed or cancelled."),
    ("THREADS: 2", "THREADS: 1.5", 17,
     "steps.report.env.THREADS is 1.5: write a text (in quotes where it looks like a number with a point)."),
    ("{table: prepare.table}\n    retries", "{table: [prepare.table]}\n    retries", 9,
     "steps.train.inputs.table is a list: write step.output, a path, a URL, or {query: ..., connection: ...}."),
    ("prepare.table}\n    retries", "{query: select 1}}\n    retries", 9,
     "steps.train.inputs.table has 'query' without 'connection': write sqlite:///x.db, or the name of an environment variable there."),
    ("notebooks/train.ipynb", "notebooks/train.py", 8, "steps.train.notebook is 'notebooks/train.py': write the path of a notebook."),
    ("checks.py:check", "checks.py", 20, "steps.check.python is 'checks.py': write module:function or path.py:function."),
    ("to: champion", "to: 3", 21, "release.to is 3: write champion or challenger."),
    ("{metric: auc, at_least: 0.7}", "{metrik: auc}", 21, "release.gates[1] is no gate that is known by 'metrik': did you mean 'metric'?"),
    ("{metric: auc, at_least: 0.7}", "{metric: auc}", 21, "release.gates[1] has none of at_least, at_most: write {metric: auc, at_least"),
    ("to: champion}", "test: preprae.table}", 21, "'preprae.table' names no step and no file: did you mean 'prepare'?"),
    # schedule
    ("Copenhagen", "Kopenhagen", 3, "There is no time zone 'Europe/Kopenhagen': did you mean Europe/Copenhagen"),
    ("0 6 * * 1", "0 26 * * 1", 3, "The cron expression '0 26 * * 1' cannot be read"),
    # references
    ("{table: prepare.table}\n    retries", "{table: preprae.table}\n    retries", 9,
     "'preprae.table' names no step and no file: did you mean 'prepare'?"),
    ("model: train.model, page", "model: train.modle, page", 20, "step 'train' gives no 'modle': it gives auc, model."),
    ("page: out/3.html", "page: report.paeg", 20, "step 'report' gives no 'paeg': it gives page."),
    ("after: train", "after: trian", 19, "step 'report' comes after 'trian', which is no step: did you mean 'train'?"),
    ("{model: train.model, name", "{model: trian.model, name", 21,
     "the released model 'trian.model' is no output of a step: did you mean 'train'?"),
    ("{model: train.model, name", "{model: train.modell, name", 21, "step 'train' gives no 'modell': it gives auc, model."),
    ("resources: {cpus: 2, memory: 4 GB}", "after: check", 7,
     "the steps wait for each other: train -> check -> train; take one of these inputs away."),
    # notebooks and functions
    ("notebooks/train.ipynb", "notebooks/trian.ipynb", 8,
     "step 'train': there is no notebook notebooks/trian.ipynb: did you mean 'train.ipynb'?"),
    ('{month: "{month}"}', '{mnth: "{month}"}', 6,
     "step 'prepare' sets 'mnth', which notebooks/prepare.ipynb does not declare: did you mean 'month'?"),
    ("{table: prepare.table}\n    retries", "{tabel: prepare.table}\n    retries", 9,
     "step 'train' sets 'tabel', which notebooks/train.ipynb does not declare: did you mean 'table'?"),
    ('{month: "{month}"}', "{month: March}", 6,
     "step 'prepare' sets month to 'March', and notebooks/prepare.ipynb declares it int: give it such a value."),
    ("{month: 3,", "{month: March,", 6,
     "step 'prepare' sets month to 'March', and notebooks/prepare.ipynb declares it int: give it such a value."),
    ("    timeout: 1h30m", "    params: {C: high}", 11,
     "step 'train' sets C to 'high', and notebooks/train.ipynb declares it like its default 1: give it such a value."),
    ("    timeout: 1h30m", "    params: {names: [1]}", 11,
     "step 'train' sets names to [1], and notebooks/train.ipynb declares it list[str]: give it such a value."),
    ("    timeout: 1h30m", "    params: {table: x}", 9, "step 'train' has 'table' as a param and as an input: keep one of them."),
    ("after: train", "kernel: python3", 19, "step 'report' is no notebook and has no kernel: take the key away."),
    ("checks.py:check", "cheks.py:check", 20, "step 'check': there is no file cheks.py: mend its path."),
    ("checks.py:check", "checks.py:chek", 20, "step 'check': checks.py has no function 'chek': did you mean 'check'?"),
    ("checks.py:check", "checks:chek", 20, "step 'check': checks.py has no function 'chek': did you mean 'check'?"),
    ("{least: 0.7}", "{lest: 0.7}", 20, "step 'check' sets 'lest', which check() does not take: did you mean 'least'?"),
    ("{least: 0.7}", "{least: low}", 20, "step 'check' sets least to 'low', and check() wants float: give it such a value."),
    (", page: out/3.html", "", 20, "step 'check': check() needs page: give it under params or inputs."),
    # templates
    ('month: "{month}"', 'month: "{mnth}"', 6, "{mnth} names no parameter (write {{mnth}} for plain text): did you mean 'month'?"),
    ("out/{month}.html", "out/{year}.html", 16, "{year} names no parameter (write {{year}} for plain text): there are month, carriers."),
    ("render {table}", "render {tabel}", 14, "{tabel} names no parameter (write {{tabel}} for plain text): did you mean 'table'?"),
    ('{month: "{month}"}', "{month: {month}}", 6, '{month} is a table in YAML: put it into quotes, "{month}".'),
    # YAML
    ("    timeout", "\ttimeout", 11, "a tab indents this line: indent with spaces."),
    ("memory: 4 GB}", "memory: 4 GB", 13, "this is no YAML ("),
    ("steps:\n", "---\nsteps:\n", 5, "a second document begins here: keep one pipeline in a file."),
    ("cache: false", "cache: !ours false", 18, "the tag '!ours' means nothing here: leave it out, or put the text into quotes."),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "message"), WRONG)
def test_what_is_wrong_is_told_with_its_line_and_a_remedy(folder: Path, old: str, new: str, line: int, message: str) -> None:
    with pytest.raises(PipelineError) as raised:
        load(changed(old, new))
    assert str(raised.value).startswith(f"pipeline.yaml, line {line}: {message}")
    assert (raised.value.file, raised.value.line) == ("pipeline.yaml", line)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "pipeline.yaml, line 1: the file is empty: write a table with the key 'steps'."),
        ("- 1", "pipeline.yaml, line 1: the file is a list: write a table with the key 'steps'."),
        ("name: x",
         "pipeline.yaml, line 1: the file has no 'steps': write names and steps, such as {train: {notebook: train.ipynb}} there."),
        ("steps: {}", "pipeline.yaml, line 1: steps is a table: write names and steps, such as {train: {notebook: train.ipynb}}."),
        ("steps:\n  a:\n", "pipeline.yaml, line 2: steps.a is empty: write a table with a notebook, a Python function or a shell command."),
        ("a: &a [*a]", "pipeline.yaml, line 1: its aliases repeat themselves without end: write the values out."),
        ("a: " + "[" * 5000 + "]" * 5000, "pipeline.yaml: its lists and tables are nested too deep: write it flatter."),
        ("? [a]\n: 1", "pipeline.yaml, line 1: a list or table is used as a key here: give it a plain name."),
    ],
)  # fmt: skip
def test_a_file_that_is_no_pipeline_is_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(PipelineError) as raised:
        load(text)
    assert str(raised.value) == message


def test_a_missing_file_is_named_with_its_neighbour(folder: Path) -> None:
    load(FLIGHTS)
    with pytest.raises(PipelineError) as raised:
        loading.load(Path("pipline.yaml"))
    assert str(raised.value) == "there is no file pipline.yaml: did you mean 'pipeline.yaml'?"


ALLOWED = [
    ("  train:\n", "  # on: yes\n  train:\n"),
    ("inputs: {table: prepare.table}\n    retries", "inputs: {table: {path: prepare.table}}\n    retries"),
    ("inputs: {table: prepare.table}\n    retries", "inputs: {table: prices.parquet}\n    retries"),
    ("inputs: {table: prepare.table}\n    retries", "inputs: {table: ./made.later}\n    retries"),
    ("inputs: {table: prepare.table}\n    retries", 'inputs: {table: "https://example.org/a.table"}\n    retries'),
    ("prepare.table}\n    retries", "{query: 'select {month}', connection: DB, fingerprint: select 2}}\n    retries"),
    ("    timeout: 1h30m", "    params: {C: 0.5}"),
    ("    timeout: 1h30m", "    timeout: 90"),
    ("{least: 0.7}", "{least: 1}"),
    ('"checks.py:check", params: {least: 0.7}', '"checks.py:many", params: {anything: 0.7}'),
    ('"checks.py:check", params: {least: 0.7}', '"elsewhere.checks:check", params: {anything: 0.7}'),
    ("render {table}", "export A=${HOME}; awk '{print $1}' <<< '{{month}}' {table}"),
    ("cron: \"0 6 * * 1\"", "cron: '@daily'"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), ALLOWED)
def test_what_may_be_right_is_let_through(folder: Path, old: str, new: str) -> None:
    assert len(load(changed(old, new)).steps) == 4


def test_a_notebook_that_declares_nothing_takes_anything(folder: Path) -> None:
    (step,) = load("steps: {a: {notebook: notebooks/plain.ipynb, params: {any: 1}, inputs: {x: checks.py}}}").steps
    assert (step.params, step.inputs) == ({"any": 1}, {"x": "checks.py"})


def test_names_may_be_of_any_script(folder: Path) -> None:
    write(folder / "år.ipynb", "år = 2013", "{'målt': 1}")
    text = "steps:\n  a: {notebook: år.ipynb, params: {år: 1}}\n  b: {shell: 'cat {målt}', inputs: {målt: a.målt}}\n"
    assert [step.inputs for step in loading.parameters(load(text), {}).steps] == [{}, {"målt": "a.målt"}]
    with pytest.raises(PipelineError, match=r"step 'a' gives no 'malt': it gives målt\."):
        load(text.replace("a.målt", "a.malt"))


def test_a_file_called_like_an_output_is_that_file(folder: Path) -> None:
    Path("prepare.csv").write_text("a\n1\n")
    text = changed("{table: prepare.table}\n    retries", "{table: prepare.csv}\n    retries")
    assert load(text).steps[1].inputs == {"table": "./prepare.csv"}
    text = changed("{table: prepare.table}\n    retries", "{table: {path: prepare.table}}\n    retries")
    assert load(text).steps[1].inputs == {"table": "./prepare.table"}


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (3, "4", 4),
        (3, "-4", -4),
        (3, "0.5", 0.5),
        (0.5, "4", 4.0),
        (0.5, "1e-3", 0.001),
        (True, "false", False),
        (False, "Yes", True),
        ("a", "3", "3"),
        ("a", "", ""),
        ([1], "[2, 3]", [2, 3]),
        ({}, '{"a": 1}', {"a": 1}),
        (None, "3", 3),
        (None, "abc", "abc"),
        (3, 4, 4),
        ([1], ("a",), ("a",)),
    ],
)
def test_a_given_value_takes_the_type_of_the_default(default: Any, text: Any, value: Any) -> None:
    found = templates.typed(text, default)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mnth": "4"}, "pipeline.yaml: the pipeline has no parameter 'mnth': did you mean 'month'?"),
        ({"month": "March"}, "the parameter month cannot be 'March': its default is 3, so give a number."),
        ({"carriers": "AA"}, "the parameter carriers cannot be 'AA': its default is ['AA', 'UA'], so give a list in JSON, such as [1, 2]."),
        ({"month": True}, "the parameter month cannot be True: its default is 3, so give a number."),
        ({"month": "3.5"},
         "pipeline.yaml: step 'prepare' sets month to 3.5, and notebooks/prepare.ipynb declares it int: give it such a value."),
    ],
)  # fmt: skip
def test_a_given_value_that_cannot_be_is_refused(folder: Path, given: dict[str, Any], message: str) -> None:
    with pytest.raises(PipelineError) as raised:
        loading.parameters(load(FLIGHTS), given)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{month}", {"month": 3}, 3),
        ("m{month}-{who}", {"month": 3, "who": "é x"}, "m3-é x"),
        ("{months} {flag}", {"months": [1, 2], "flag": True}, "[1, 2] true"),
        ("{{month}} ${month} {month", {"month": 3}, "{month} ${month} {month"),
        (["{a}", {"b": "{a}"}], {"a": None}, [None, {"b": None}]),
        (3, {"a": 1}, 3),
    ],
)
def test_templates_are_filled(text: Any, values: dict[str, Any], filled: Any) -> None:
    assert templates.filled(text, values) == filled


def test_what_goes_into_a_command_is_quoted() -> None:
    values = {"name": "a; rm -rf /", "number": 3, "files": ["a b", "c"], "none": ""}
    assert templates.command("echo {name} {number} {files} {none} ${HOME} {{name}}", values) == (
        "echo 'a; rm -rf /' 3 'a b' c '' ${HOME} {name}"
    )


def test_a_parameter_may_be_made_of_earlier_ones(folder: Path) -> None:
    text = changed("carriers: [AA, UA]}", 'file: "data/{month}.csv"}')
    text = text.replace("data/flights.csv", '"{file}"').replace("{table} {month}", "{table} {file}")
    for values, path in (({}, "data/3.csv"), ({"month": "4"}, "data/4.csv"), ({"file": "x.csv"}, "x.csv")):
        steps = loading.parameters(load(text), values).steps
        assert (steps[0].inputs, steps[2].params) == ({"flights": path}, {"file": path})


SCHEMA = json.loads(files("jupyter_mlops.pipelines.definition").joinpath("pipeline.schema.json").read_text())


def test_the_published_schema_is_the_grammar() -> None:
    assert grammar.schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


_NAMES = st.sampled_from(["a", "b_1", "my-step", "2x", "", "a b", "år", "a\n", "a.b", "a`"])
_TEXTS = ["", "x", "10m", "4 GB", "s.out", "a.ipynb", "m:f", "a.py:f", "https://a.b/c", "a@b.c", "all"]
_KEYS = ["path", "url", "query", "connection", "x"]
_VALUES = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 2.5, *["x", "10m", "4 GB", "s.out", "a.ipynb", "m:f", "a.py:f", "https://a.b/c", "a@b.c", "all", ""]]
    ),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["path", "url", "query", "connection", "x"]), inner, max_size=2)
    ),
    max_leaves=3,
)


def _table(kind: kinds.Kind) -> st.SearchStrategy[Any]:
    """Values that are mostly of a kind: the keys of tables are known ones, what is below them may be anything."""
    if isinstance(kind, kinds.Table):
        keys = st.fixed_dictionaries({}, optional={name: _table(key.kind) for name, key in kind.keys.items()})
        return keys | _VALUES
    if isinstance(kind, kinds.Named):
        return st.dictionaries(_NAMES, _table(kind.kind), max_size=2) | _VALUES
    if isinstance(kind, kinds.Items):
        return st.lists(_table(kind.kind), max_size=2) | _VALUES
    if isinstance(kind, kinds.Either):
        return st.one_of([_table(item) for item in kind.kinds])
    return _VALUES | st.sampled_from(list(kind.options)) if isinstance(kind, kinds.Choice) else _VALUES


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_schema_and_the_code_accept_the_same(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(grammar.PIPELINE.keys)))
    kind = grammar.PIPELINE.keys[name].kind
    value = data.draw(_table(kind))
    try:
        kind.read(value, (name,))
        read = True
    except kinds.Wrong:
        read = False
    assert jsonschema.Draft202012Validator(kind.schema()).is_valid(value) == read, value


@pytest.mark.parametrize(("old", "new", "line", "message"), [item for item in WRONG if item[3].startswith(("there is no key", "steps."))])
def test_an_editor_with_the_schema_marks_the_same_faults(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    def is_valid(text: str) -> bool:
        (tmp_path / "pipeline.yaml").write_text(text)
        return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml_lines.read(tmp_path / "pipeline.yaml").values)

    assert (is_valid(FLIGHTS), is_valid(changed(old, new))) == (True, False)
