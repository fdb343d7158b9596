"""What a step's key depends on: edits that count, edits that do not, and how a change is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops import errors
from jupyter_mlops.pipelines.caching import keys
from jupyter_mlops.pipelines.caching.contents import Contents
from jupyter_mlops.pipelines.caching.keys import Keys, changed
from jupyter_mlops.pipelines.caching.memory import Memory
from jupyter_mlops.records import Pipeline, PipelineStep

CELLS = {
    "parameters": "month = 3\ntable = 'data/table.csv'",
    "imports": "import json\nimport features",
    "work": "def double(x):\n    'Twice x.'\n    return 2 * x\nresult = double(month)",
    "outputs": "{'result': result}",
}


def notebook(folder: Path, cells: Mapping[str, str], kernel: str = "python3", language: str = "python", **metadata: Any) -> None:
    """Writes step.ipynb; cells are tagged with their names, those named `text...` are markdown."""
    made = []
    for number, (name, source) in enumerate(cells.items()):
        cell: dict[str, Any] = {"id": f"id-{number}", "cell_type": "markdown" if name.startswith("text") else "code", "source": source}
        cell["metadata"] = {"tags": [name], **metadata}
        made.append(cell if name.startswith("text") else {**cell, "outputs": [], "execution_count": None})
    head = {"kernelspec": {"name": kernel, "language": language}}
    content = {"nbformat": 4, "nbformat_minor": 5, "metadata": head, "cells": made}
    (folder / "step.ipynb").write_text(json.dumps(content))


READ: dict[Path, Contents] = {}
STEP = PipelineStep(name="step", kind="notebook", source="step.ipynb")


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Memory:
    """What the tests read once: what is installed, above all."""
    return Memory(tmp_path_factory.mktemp("memory"))


@pytest.fixture
def folder(project: Path, memory: Memory) -> Path:
    """A folder with a notebook, and the modules that it imports."""
    READ[project] = Contents(project, memory)
    (project / "features.py").write_text("import helpers\n\ndef scale(x):\n    return x / helpers.LARGEST\n")
    (project / "helpers.py").write_text("LARGEST = 10\n")
    (project / "unrelated.py").write_text("OTHER = 1\n")
    notebook(project, CELLS)
    return project


def parts(folder: Path, step: PipelineStep = STEP, inputs: Mapping[str, str] | None = None, **pipeline: Any) -> dict[str, Any]:
    """The parts of a step's key, read from the files as they are now."""
    made = Pipeline(name="p", folder=str(folder), steps=(step,), **pipeline)
    return Keys(READ[folder]).parts(step, inputs or {}, made)


def edited(**cells: str) -> Callable[[Path], None]:
    return lambda folder: notebook(folder, CELLS | cells)


def written(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)

    return write


def executed(folder: Path) -> None:
    content = json.loads((folder / "step.ipynb").read_text())
    for count, cell in enumerate(content["cells"]):
        output = {"output_type": "stream", "name": "stdout", "text": "hello"}
        cell |= {"id": f"other-{count}", "execution_count": count, "outputs": [output], "source": cell["source"].splitlines(keepends=True)}
        cell["metadata"]["execution"] = {"iopub.status.busy": "2026-01-01"}
    content["metadata"]["widgets"] = {}
    (folder / "step.ipynb").write_text(json.dumps(content, indent=4))


@pytest.mark.parametrize(
    "edit",
    [
        edited(work="# Twice.\ndef double(x):  # number\n\n    'Twice x.'\n    return (\n        2 * x)\n\n\nresult = double( month )\n"),
        edited(text_above="# A heading"),
        edited(work=CELLS["work"] + "\n# the end"),
        lambda folder: notebook(folder, {"text": "first", **CELLS, "more": "# only a comment", "empty": "\n"}),
        lambda folder: notebook(folder, CELLS, collapsed=True, slideshow={"slide_type": "skip"}),
        executed,
        written("helpers.py", '# How large\n\nLARGEST = 10  # at most\n'),
        written("unrelated.py", "OTHER = 2"),
        written("data/table.csv", "1,2"),
        edited(parameters="# What to do\nmonth = 3  # of the year\ntable = 'elsewhere.csv'"),
        edited(parameters="table = 'elsewhere.csv'\nmonth: int = 3"),
    ],
)
def test_edits_that_change_no_result_change_no_key(edit: Callable[[Path], None], folder: Path) -> None:
    step = replace(STEP, inputs={"table": "data/table.csv"})
    before = parts(folder, step, {"table": "1"})
    edit(folder)
    after = parts(folder, step, {"table": "1"})
    assert changed(before, after) == ()
    assert keys.key(before) == keys.key(after)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (edited(work=CELLS["work"].replace("2 * x", "3 * x")), ("code: cell 3",)),
        (edited(work=CELLS["work"].replace("Twice x", "Two times x")), ("code: cell 3",)),
        (edited(work="%time\n" + CELLS["work"]), ("code: cell 3",)),
        (edited(imports=CELLS["imports"] + "\n!date"), ("code: cell 2",)),
        (edited(more="print(1)", last="print(2)"), ("code: cells 5 to 6 new",)),
        (lambda folder: notebook(folder, {"text": "# Title", "new": "x = 1", **CELLS}), ("code: cell 1 new",)),
        (lambda folder: notebook(folder, {name: text for name, text in CELLS.items() if name != "work"}), ("code: cell 3 gone",)),
        (edited(outputs="{'other': result}"), ("code: cell 4",)),
        (edited(parameters="month = 4\ntable = ''"), ("params.month: 3 -> 4",)),
        (edited(parameters="month = 3\ntable = ''\nnames = ['a']"), ('params.names: none -> ["a"]',)),
        (edited(parameters="import os\nmonth = 3\ntable = os.getcwd()"), ("code: cell 1 new",)),
        (lambda folder: notebook(folder, CELLS, kernel="other"), ("kernel: python3 -> other",)),
        (written("features.py", "def scale(x):\n    return x\n"), ("modules: features.py", "modules: helpers.py gone")),
        (written("helpers.py", "LARGEST = 11\n"), ("modules: helpers.py",)),
        (written("helpers.py", "LARGEST = 10\nimport unrelated\n"), ("modules: helpers.py", "modules: unrelated.py new")),
        (lambda folder: (folder / "helpers.py").unlink(), ("modules: helpers.py gone",)),
    ],
)
def test_edits_that_may_change_a_result_change_the_key_and_are_told(
    edit: Callable[[Path], None], told: tuple[str, ...], folder: Path
) -> None:
    step = replace(STEP, inputs={"table": "data/table.csv"})
    before = parts(folder, step, {"table": "1"})
    edit(folder)
    after = parts(folder, step, {"table": "1"})
    assert changed(before, after) == told
    assert keys.key(before) != keys.key(after)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ({}, {"params": {"month": 3}}, ()),
        ({}, {"params": {"month": 4}}, ("params.month: 3 -> 4",)),
        ({}, {"params": {"month": 3.0}}, ("params.month: 3 -> 3.0",)),
        ({"params": {"month": True}}, {"params": {"month": 1}}, ("params.month: true -> 1",)),
        ({"env": {"MODE": "a"}}, {"env": {"MODE": "b"}}, ("env.MODE: a -> b",)),
        ({"outputs": {"a": "a.txt"}}, {"outputs": {"a": "b.txt"}}, ("outputs.a: a.txt -> b.txt",)),
        ({}, {"retries": 3, "timeout": 5.0, "resources": {"cpus": 2}, "line": 7, "name": "other"}, ()),
    ],
)
def test_declarations_that_count(before: dict[str, Any], after: dict[str, Any], told: tuple[str, ...], folder: Path) -> None:
    one, other = parts(folder, replace(STEP, **before)), parts(folder, replace(STEP, **after))
    assert changed(one, other) == told
    assert (keys.key(one) == keys.key(other)) == (not told)


@pytest.mark.parametrize("part", ["params", "env"])
def test_a_secret_counts_and_is_not_kept(part: str, folder: Path) -> None:
    one, other = (parts(folder, replace(STEP, **{part: {"PASSWORD": secret}})) for secret in ("hunter2xyz", "hunter3xyz"))
    assert keys.key(one) != keys.key(other)
    assert "hunter" not in json.dumps([one, other, changed(one, other)])


def test_the_content_of_an_input_counts_and_not_where_it_lies(folder: Path) -> None:
    here = parts(folder, replace(STEP, inputs={"table": "a.csv"}), {"table": "1"})
    there = parts(folder, replace(STEP, inputs={"table": "elsewhere/b.csv"}), {"table": "1"})
    other = parts(folder, replace(STEP, inputs={"table": "a.csv"}), {"table": "2"})
    assert (keys.key(here) == keys.key(there), changed(here, other)) == (True, ("inputs.table: content changed",))


@pytest.mark.parametrize(
    ("parameters", "left"),
    [
        ("month = 3\npath = f'{month}.csv'", True),
        ("month = 3\npath = 'a.csv'", False),
        ("month = 3\nif month > 2:\n    late = True", True),
    ],
)
def test_an_overridden_default_counts_only_where_another_statement_reads_it(parameters: str, left: bool, folder: Path) -> None:
    step = replace(STEP, params={"month": 7})
    edited(parameters=parameters)(folder)
    before = parts(folder, step)
    edited(parameters=parameters.replace("month = 3", "month = 4"))(folder)
    assert changed(before, parts(folder, step)) == (("code: cell 1",) if left else ())


def test_the_environment_of_the_whole_pipeline_counts(folder: Path) -> None:
    assert changed(parts(folder), parts(folder, env={"REGION": "eu"})) == ("env.REGION: none -> eu",)


@pytest.mark.parametrize(
    ("imports", "modules"),
    [
        ("import pkg", ["pkg/__init__.py"]),
        ("import pkg.inner.deep", ["pkg/__init__.py", "pkg/inner/__init__.py", "pkg/inner/deep.py", "pkg/side.py"]),
        ("from pkg import side", ["pkg/__init__.py", "pkg/side.py"]),
        ("from pkg.inner import deep as d", ["pkg/__init__.py", "pkg/inner/__init__.py", "pkg/inner/deep.py", "pkg/side.py"]),
        ("from pkg.side import *", ["pkg/__init__.py", "pkg/side.py"]),
        ("def f():\n    if True:\n        import pkg.side", ["pkg/__init__.py", "pkg/side.py"]),
        ("import importlib\nx = importlib.import_module('pkg.side')", ["pkg/__init__.py", "pkg/side.py"]),
        ("import spread.one", ["spread/one.py"]),
        ("%run scripts/tool.py --fast", ["scripts/beside.py", "scripts/tool.py"]),
        ("!python scripts/tool.py > out.txt", ["scripts/beside.py", "scripts/tool.py"]),
        ("%%bash\npython scripts/tool.py", ["scripts/beside.py", "scripts/tool.py"]),
        ("%load_ext beside_ext", ["beside_ext.py"]),
        ("import sys\nsys.path.insert(0, 'scripts')\nimport beside", ["scripts/beside.py"]),
        ("import sys, os\nsys.path.append(os.path.join('scripts', '..', 'scripts'))\nimport beside", ["scripts/beside.py"]),
        ("import outside", ["outside.py"]),
        ("import runpy\nrunpy.run_path('scripts/tool.py')", ["scripts/beside.py", "scripts/tool.py"]),
        ("import cycle_a", ["cycle_a.py", "cycle_b.py"]),
        ("import random, os.path, numpy", []),
        ("import nowhere_to_be_found", []),
    ],
)
def test_local_modules_are_found_as_python_would(
    imports: str, modules: list[str], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {
        "pkg/__init__.py": "",
        "pkg/side.py": "import math",
        "pkg/inner/__init__.py": "",
        "pkg/inner/deep.py": "from .. import side\nfrom . import nothing",
        "spread/one.py": "",
        "scripts/tool.py": "import beside",
        "scripts/beside.py": "",
        "beside_ext.py": "",
        "cycle_a.py": "import cycle_b",
        "cycle_b.py": "import cycle_a",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    library = tmp_path / "library"
    library.mkdir()
    (library / "outside.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(library))
    notebook(folder, {"imports": imports})
    assert sorted(parts(folder)["modules"]) == modules


def test_a_package_that_is_installed_as_a_link_counts_by_its_code(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "src" / "linked").mkdir(parents=True)
    (tmp_path / "src" / "linked" / "__init__.py").write_text("X = 1")

    class Finder:
        @staticmethod
        def find_spec(name: str, path: Any, target: Any = None) -> Any:
            from importlib.util import spec_from_file_location

            here = tmp_path / "src" / "linked"
            init = here / "__init__.py"
            return spec_from_file_location(name, init, submodule_search_locations=[str(here)]) if name == "linked" else None

    Finder.__module__ = "__editable___linked_finder"
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    notebook(folder, {"imports": "import linked"})
    before = parts(folder)
    (tmp_path / "src" / "linked" / "__init__.py").write_text("X = 2")
    assert list(before["modules"]) == ["linked/__init__.py"]
    assert changed(before, parts(folder)) == ("modules: linked/__init__.py",)


@pytest.mark.parametrize(
    ("imports", "there", "not_there"),
    [
        ("import pandas", {"python", "pandas", "numpy", "python-dateutil", "six"}, {"scikit-learn", "mlflow", "pytest"}),
        ("from sklearn.linear_model import LinearRegression", {"scikit-learn", "scipy", "joblib"}, {"pandas", "mlflow"}),
        ("import json", {"python"}, {"pandas", "numpy"}),
        ("%matplotlib inline", {"matplotlib", "pillow"}, {"mlflow"}),
        ("import importlib\nimportlib.import_module(name)", {"pandas", "pytest", "mlflow"}, {"jupyter-mlops"}),
        ("exec(code)", {"pandas", "pytest", "mlflow"}, set()),
        ("import jupyter_mlops as mlops", {"python"}, {"mlflow", "jupyter-mlops", "pandas"}),
    ],
)
def test_the_packages_that_code_needs_count(imports: str, there: set[str], not_there: set[str], folder: Path) -> None:
    notebook(folder, {"imports": imports})
    found = set(parts(folder)["environment"])
    assert (there - found, not_there & found) == (set(), set())


def test_another_version_of_a_package_is_told(folder: Path) -> None:
    notebook(folder, {"imports": "import pandas"})
    before = parts(folder)
    before["environment"] = {**before["environment"], "pandas": "1.0.0"}
    now = parts(folder)
    assert changed(before, now) == (f"environment: pandas 1.0.0 -> {now['environment']['pandas']}",)


BASH = "for f in *.csv\ndo\n  wc -l $f  # count\ndone"


@pytest.mark.parametrize(
    ("source", "counts"),
    [
        ("# all files\n\n" + BASH, False),
        (BASH.replace("count", "lines"), True),
        (BASH.replace("wc -l", "wc -c"), True),
    ],
)
def test_the_text_of_another_kernels_notebook_counts_without_lines_of_comments(source: str, counts: bool, folder: Path) -> None:
    notebook(folder, {"work": BASH}, kernel="bash", language="bash")
    before = parts(folder)
    notebook(folder, {"work": source}, kernel="bash", language="bash")
    assert changed(before, parts(folder)) == (("code: cell 1",) if counts else ())


def test_a_line_within_a_here_document_is_no_comment(folder: Path) -> None:
    text = "cat > a.txt <<END\n# {}\nEND"
    notebook(folder, {"work": text.format("one")}, kernel="bash", language="bash")
    before = parts(folder)
    notebook(folder, {"work": text.format("two")}, kernel="bash", language="bash")
    assert changed(before, parts(folder)) == ("code: cell 1",)


@pytest.mark.parametrize(
    ("step", "modules"),
    [
        (PipelineStep(name="s", kind="python", source="features:scale"), ["features.py", "helpers.py"]),
        (PipelineStep(name="s", kind="python", source="features.py:scale"), ["features.py", "helpers.py"]),
        (PipelineStep(name="s", kind="shell", source="python features.py {month} > {report}"), ["features.py", "helpers.py"]),
        (PipelineStep(name="s", kind="shell", source="sh tool.sh < table.csv"), ["tool.sh"]),
        (PipelineStep(name="s", kind="shell", source="sort table.csv"), []),
    ],
)
def test_functions_and_commands_count_by_their_code(step: PipelineStep, modules: list[str], folder: Path) -> None:
    (folder / "tool.sh").write_text("cat")
    (folder / "table.csv").write_text("1")
    before = parts(folder, step)
    assert list(before.get("modules", {})) == modules
    for module in modules:
        (folder / module).write_text((folder / module).read_text() + "\nX = 1")
    (folder / "table.csv").write_text("2")
    assert changed(before, parts(folder, step)) == tuple(f"modules: {module}" for module in modules)


def test_another_command_is_told(folder: Path) -> None:
    one = PipelineStep(name="s", kind="shell", source="sort table.csv > {out}")
    assert changed(parts(folder, one), parts(folder, replace(one, source="sort -r table.csv > {out}"))) == (
        "code: sort table.csv > {out} -> sort -r table.csv > {out}",
    )


@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        (replace(STEP, source="gone.ipynb"), None, "step 'step': there is no notebook gone.ipynb: correct its path."),
        (STEP, "{}", "step 'step': step.ipynb is no notebook: open it in Jupyter and save it again."),
        (STEP, "<html>", "step 'step': step.ipynb is no notebook: open it in Jupyter and save it again."),
        (PipelineStep(name="f", kind="python", source="gone.py:f"), None, "step 'f': there is no file gone.py: correct its path."),
    ],
)
def test_a_source_that_is_not_there_is_named(step: PipelineStep, text: str | None, message: str, folder: Path) -> None:
    if text is not None:
        (folder / "step.ipynb").write_text(text)
    with pytest.raises(errors.PipelineError) as caught:
        parts(folder, step)
    assert str(caught.value) == message


def test_code_that_is_no_python_still_counts(folder: Path) -> None:
    notebook(folder, {"work": "this is (no python"})
    before = parts(folder)
    notebook(folder, {"work": "this is (no snake"})
    assert changed(before, parts(folder)) == ("code: cell 1",)
