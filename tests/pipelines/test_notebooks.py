"""What a notebook declares is read from its file, as papermill would take it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import papermill
import pytest

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition.annotations import fits, fits_default
from jupyter_mlops.pipelines.definition.notebooks import Declared, declared
from jupyter_mlops.records import Parameter

from .notebook_files import write


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("month = 3", [("month", "int", 3, "")]),
        ("month: int = 3  # of the year", [("month", "int", 3, "of the year")]),
        ("# of the year,\n# from 1\nmonth = 3", [("month", "int", 3, "of the year, from 1")]),
        ("month = 3 # type: float of the year", [("month", "float", 3, "of the year")]),
        ("path: 'Path' = 'data'", [("path", "Path", "data", "")]),
        ("names: list[str]\nbig = 10**6", [("names", "list[str]", None, ""), ("big", "int", 1_000_000, "")]),
        ("a = b = 1\nc, d = 'x', [1]", [("a", "int", 1, ""), ("b", "int", 1, ""), ("c", "str", "x", ""), ("d", "list[int]", [1], "")]),
        ("import os\nhome = os.getcwd()", [("home", "", None, "")]),
        ("rates = {\n    'low': 0.1,  # not this\n}  # by name", [("rates", "dict", {"low": 0.1}, "by name")]),
        ("month = 3\nmonth = 4", [("month", "int", 4, "")]),
        ("if True:\n    month = 3\nfor year in ():\n    pass", [("month", "", None, ""), ("year", "", None, "")]),
        ("été = 1  # dès juin", [("été", "int", 1, "dès juin")]),
        ("%matplotlib inline\nmonth = 3", [("month", "int", 3, "")]),
        ("", []),
    ],
)
def test_parameters_have_names_types_defaults_and_help(tmp_path: Path, source: str, expected: list[tuple[Any, ...]]) -> None:
    said = declared(write(tmp_path / "a.ipynb", source))
    assert [(item.name, item.type, item.default, item.help) for item in said.parameters] == expected
    assert said.tagged


@pytest.mark.parametrize("source", ["from settings import *", "exec('month = 3')", "month = = 3", "%%bash\nmonth=3"])
def test_a_cell_that_hides_its_names_is_not_relied_on(tmp_path: Path, source: str) -> None:
    assert not declared(write(tmp_path / "a.ipynb", source)).tagged


@pytest.mark.parametrize(
    ("source", "names", "named"),
    [
        ("{'table': table, 'auc': auc}", ("table", "auc"), True),
        ("table = table.dropna()\n{'table': table}", ("table",), True),
        ("dict(table=table)", ("table",), True),
        ("{}", (), True),
        ("results", (), False),
        ("{'table': table, **others}", ("table",), False),
        ("{name: table}", (), False),
        ("", (), False),
        (None, (), True),
    ],
)
def test_outputs_are_the_keys_of_the_last_expression(tmp_path: Path, source: str | None, names: tuple[str, ...], named: bool) -> None:
    said = declared(write(tmp_path / "a.ipynb", "month = 3", source))
    assert (said.outputs, said.named) == (names, named)


def test_papermill_finds_the_same_parameters(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "month: int = 3  # of the year\nrates = {\n  'a': 1,\n}\nname = 'x'  # who")
    theirs = papermill.inspect_notebook(str(path))
    assert {item.name: (eval(theirs[item.name]["default"]), theirs[item.name]["help"]) for item in declared(path).parameters} == {
        item.name: (item.default, item.help) for item in declared(path).parameters
    }


def test_a_notebook_of_another_language_is_left_to_papermill(tmp_path: Path) -> None:
    assert declared(write(tmp_path / "a.ipynb", "month=3", "report", language="bash")) == Declared(language="bash", kernel="bash")


def test_an_old_notebook_is_read(tmp_path: Path) -> None:
    source = ["month = 3\n", "year = 2013"]
    cell = {"cell_type": "code", "language": "python", "metadata": {"tags": ["parameters"]}, "input": source, "outputs": []}
    (tmp_path / "old.ipynb").write_text(json.dumps({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [cell]}]}))
    assert declared(tmp_path / "old.ipynb") == Declared(
        parameters=(Parameter(name="month", type="int", default=3), Parameter(name="year", type="int", default=2013)), tagged=True
    )


def test_the_inputs_of_a_cut_step_are_told_apart(tmp_path: Path) -> None:
    step = {"parameters": [{"name": "flights", "source": "file"}, {"name": "month", "source": ""}]}
    said = declared(write(tmp_path / "a.ipynb", "flights = 'data/flights.csv'\nmonth = 3", mlops={"step": step}))
    assert [(item.name, item.source) for item in said.parameters] == [("flights", "file"), ("month", "")]


def test_a_changed_notebook_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ipynb", "month = 3")
    before = declared(path)
    assert declared(path) is before
    found = path.stat()
    write(path, "years = 3")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    assert [item.name for item in declared(path).parameters] == ["years"]


@pytest.mark.parametrize("content", ["", "[]", "{", "{}", '{"metadata": {}, "cells": 3}', '{"metadata": {}, "cells": [3]}'])
def test_what_is_no_notebook_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.ipynb").write_text(content)
    with pytest.raises(PipelineError, match=r"a\.ipynb is no notebook: open it in Jupyter"):
        declared(tmp_path / "a.ipynb")


def test_a_missing_notebook_is_named_with_its_neighbour(tmp_path: Path) -> None:
    write(tmp_path / "train.ipynb")
    with pytest.raises(PipelineError, match=r"there is no notebook .*trian\.ipynb: did you mean 'train\.ipynb'\?"):
        declared(tmp_path / "trian.ipynb")


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("int", [3, -1], ["3", 3.5, True, None, [3]]),
        ("float", [3, 0.5], ["3", True]),
        ("bool", [True], [1, "true"]),
        ("str", ["a"], [1, None]),
        ("Optional[int]", [3, None], ["a"]),
        ("int | None", [3, None], ["a"]),
        ("typing.Union[int, str]", [3, "a"], [[1]]),
        ("list[int]", [[1], []], [["a"], "a", 1]),
        ("Sequence[str]", [["a"]], ["a", [1]]),
        ("dict[str, int]", [{"a": 1}], [{"a": "b"}, [1]]),
        ("Literal['a', 'b']", ["a"], ["c"]),
        ("tuple[int, int]", [[1, 2]], [3]),
        ("Annotated[int, 'of the year']", [3], ["a"]),
        ("None", [None], [1]),
        ("Path", ["a", 3], []),
        ("this is none", ["a"], []),
    ],
)
def test_a_value_must_be_what_the_annotation_says_where_that_is_known(annotation: str, right: list[Any], wrong: list[Any]) -> None:
    assert [fits(value, annotation) for value in [*right, *wrong]] == [True] * len(right) + [False] * len(wrong)


@pytest.mark.parametrize(
    ("default", "right", "wrong"),
    [
        (1, [2, 0.5, None], ["a", True, [1]]),
        (0.5, [1, None], ["a", False]),
        (True, [False], [1, "yes"]),
        ("a", ["b"], [1, ["a"]]),
        ([1], [["a"]], ["a", {"a": 1}]),
        ({}, [{"a": 1}], [[1]]),
        (None, [1, "a", [1]], []),
    ],
)
def test_a_value_must_be_the_same_kind_of_thing_as_a_default(default: Any, right: list[Any], wrong: list[Any]) -> None:
    assert [fits_default(value, default) for value in [*right, *wrong]] == [True] * len(right) + [False] * len(wrong)
