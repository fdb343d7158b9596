"""Notebooks without a file that says how they belong together: what one gives by a name, another takes by the same name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.errors import PipelineError
from jupyter_mlops.pipelines.definition import graph, loading

from .notebook_files import write


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three notebooks and a module, as the working folder."""
    write(tmp_path / "notebooks/prepare.ipynb", "month: int = 1\nflights = 'data/flights.csv'", "{'table': table}")
    write(tmp_path / "notebooks/train.ipynb", "table = ''\nC = 1\nnames: list[str] = []", "{'model': model, 'auc': auc}")
    write(tmp_path / "notebooks/plain.ipynb")
    (tmp_path / "checks.py").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_notebooks_alone_are_joined_by_names(folder: Path) -> None:
    write(folder / "evaluate.ipynb", "model = ''\ntable = ''\nmonth = 0\nflights = ''")
    (folder / "data").mkdir()
    (folder / "data/flights.csv").write_text("")
    paths = [Path("notebooks/train.ipynb"), Path("evaluate.ipynb"), folder / "notebooks/prepare.ipynb"]
    made = loading.from_notebooks(paths)
    assert (made.name, made.folder, made.path) == (folder.name, str(folder), "")
    assert [(step.name, step.source, step.inputs) for step in made.steps] == [
        ("train", "notebooks/train.ipynb", {"table": "prepare.table"}),
        ("evaluate", "evaluate.ipynb", {"model": "train.model", "table": "prepare.table"}),
        ("prepare", "notebooks/prepare.ipynb", {}),
    ]
    assert [step.name for step in graph.ordered(made)] == ["prepare", "train", "evaluate"]
    filled = loading.parameters(made, {"month": "4", "table": "other.parquet", "names": '["a"]'})
    assert [(step.params, step.inputs) for step in filled.steps] == [
        ({"names": ["a"]}, {"table": "other.parquet"}),
        ({"month": 4}, {"model": "train.model", "table": "other.parquet"}),
        ({"month": 4}, {}),
    ]


def test_one_notebook_is_a_pipeline(folder: Path) -> None:
    made = loading.from_notebooks([Path("notebooks/plain.ipynb")])
    assert (made.name, [step.name for step in made.steps]) == ("plain", ["plain"])
    assert loading.parameters(made, {"any": "3"}).steps[0].params == {"any": 3}


def test_a_file_that_a_cut_step_reads_is_its_input(folder: Path) -> None:
    step = {"parameters": [{"name": "flights", "source": "file"}]}
    write(folder / "cut.ipynb", "flights = 'checks.py'", mlops={"step": step})
    assert loading.from_notebooks([Path("cut.ipynb")]).steps[0].inputs == {"flights": "checks.py"}


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        (["notebooks/prepare.ipynb", "again.ipynb", "notebooks/train.ipynb"], {},
         "train takes 'table', which prepare and again both give: say in a pipeline.yaml which one is meant."),
        (["loop.ipynb", "back.ipynb"], {}, "the steps wait for each other: loop -> back -> loop; take one of these inputs away."),
        (["notebooks/train.ipynb", "notebooks/train.ipynb"], {},
         "two notebooks are called notebooks/train.ipynb, or alike: give one of them another name."),
        (["notebooks/train.ipynb"], {"CC": "1"}, "no notebook declares the parameter 'CC': did you mean 'C'?"),
        (["notebooks/train.ipynb"], {"C": "x"},
         "the parameter C cannot be 'x': its default in notebooks/train.ipynb is 1, so give a number."),
        (["notebooks/train.ipynb"], {"names": "[1]"},
         "the parameter names cannot be '[1]': notebooks/train.ipynb declares it list[str], so give it such a value."),
        (["nothing.ipynb"], {}, "there is no notebook nothing.ipynb: there are again.ipynb, back.ipynb, loop.ipynb."),
    ],
)  # fmt: skip
def test_notebooks_that_do_not_fit_are_refused(folder: Path, names: list[str], given: dict[str, Any], message: str) -> None:
    write(folder / "again.ipynb", "month = 1", "{'table': table}")
    write(folder / "loop.ipynb", "there = 1", "{'here': here}")
    write(folder / "back.ipynb", "here = 1", "{'there': there}")
    with pytest.raises(PipelineError) as raised:
        loading.parameters(loading.from_notebooks([Path(name) for name in names]), given)
    assert str(raised.value) == message


def test_notebooks_called_alike_are_told_apart_by_their_folders(folder: Path) -> None:
    write(folder / "other/train.ipynb")
    made = loading.from_notebooks([Path("notebooks/train.ipynb"), Path("other/train.ipynb")])
    assert [step.name for step in made.steps] == ["notebooks-train", "other-train"]
