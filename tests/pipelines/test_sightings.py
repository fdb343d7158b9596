"""Whose reads they are when steps run side by side."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jupyter_mlops.pipelines.caching.sightings import own
from jupyter_mlops.tracking.own_opens import OwnOpens

from .notebook_files import write
from .running import notebook, pipeline, run, states


@pytest.mark.parametrize(
    ("file", "text", "expected"),
    [
        ("data/mine.csv", "", True),
        ("data/theirs.csv", 'pd.read_csv("data/mine.csv"[:4])', True),
        ("data/theirs.csv", 'pd.read_csv("theirs.csv")', True),
        ("data/theirs.csv", 'sorted(Path("data").glob("*.csv"))', True),
        ("data/theirs.csv", "sorted(Path('data').glob('*.csv'))", True),
        ("data/theirs.csv", 'pd.read_parquet("out/mine.parquet")', False),
        ("data/theirs.csv", "database = 3", False),
        ("data/fresh.csv", 'pd.read_csv("data/fresh.csv")', False),
        ("data/gone.csv", 'pd.read_csv("data/gone.csv")', False),
    ],
)
def test_a_file_that_another_step_declares_is_its_own_unless_the_code_names_it(
    tmp_path: Path, file: str, text: str, expected: bool
) -> None:
    (tmp_path / "data").mkdir()
    for name, when in (("mine", 100.0), ("theirs", 100.0), ("fresh", 300.0)):
        (tmp_path / "data" / f"{name}.csv").touch()
        os.utime(tmp_path / "data" / f"{name}.csv", (when, when))
    path = str(tmp_path / file)
    assert own([path], since=200.0, elsewhere={str(tmp_path / "data" / "theirs.csv")}, text=text) == ([path] if expected else [])


@pytest.mark.parametrize(
    ("text", "opened", "declared", "expected"),
    [
        ("load()", True, True, True),
        ("load()", False, False, False),
        ("load()", None, False, True),
        ("load('file.bin')", False, True, True),
        ("import subprocess", False, False, True),
        ('"!cat $name"', False, False, True),
        ("%%bash\ncat $name", False, False, True),
        ("import subprocess", False, True, False),
        ("a != b", False, False, False),
    ],
)
def test_what_a_steps_own_process_opened_is_its_own_and_the_rest_where_it_may_have_started_another(
    tmp_path: Path, text: str, opened: bool | None, declared: bool, expected: bool
) -> None:
    path = tmp_path / "file.bin"
    path.touch()
    os.utime(path, (100.0, 100.0))
    mine = None if opened is None else [str(path)] if opened else []
    found = own([str(path)], since=200.0, elsewhere={str(path)} if declared else (), text=text, opened=mine)
    assert found == ([str(path)] if expected else [])


SIDE = """
import time
from pathlib import Path
import pyarrow, pyarrow.parquet
def meet(me, other):
    Path(me + ".here").touch()
    until = time.monotonic() + 60
    while not Path(other + ".here").exists() and time.monotonic() < until:
        time.sleep(0.01)
meet("{me}", "{other}")
rows = pyarrow.parquet.read_table("{me}" + ".parquet").num_rows
text = open("{me}" + ".txt").read()
Path("{me}" + ".done").touch()
while not Path("{other}" + ".done").exists():
    time.sleep(0.01)
"""


def test_what_steps_side_by_side_read_undeclared_is_charged_to_the_right_one(project: Path) -> None:
    def frame(name: str, rows: int) -> None:
        pq.write_table(pa.table({"x": range(rows)}), project / f"{name}.parquet")

    for me, other in (("left", "right"), ("right", "left")):
        frame(me, 1)
        (project / f"{me}.txt").write_text("text")
        write(project / f"{me}.ipynb", code=SIDE.format(me=me, other=other), outputs="{'rows': rows}")
    flow = pipeline(project, notebook("one", "left.ipynb"), notebook("two", "right.ipynb"))
    assert states(run(flow, jobs=2)) == {"one": "done", "two": "done"}
    assert states(run(flow, jobs=2)) == {"one": "cached", "two": "cached"}
    # Where the system does not tell whose an open is, each step runs once more than it has to.
    other = "cached" if _told() else "done"
    frame("right", 2)
    assert states(run(flow, jobs=2)) == {"one": other, "two": "done"}
    (project / "left.txt").write_text("other")
    done = run(flow, jobs=2)
    assert (states(done), done.steps[0].why) == ({"one": "done", "two": other}, ("observed: left.txt changed",))


def _told() -> bool:
    try:
        OwnOpens().close()
    except OSError:
        return False
    return True
