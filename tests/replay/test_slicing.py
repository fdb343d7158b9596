"""Slices of recorded runs: what they hold, how they are proved, how they grow and shrink, and the lineage that they give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_mlops import config
from jupyter_mlops.errors import NotFound
from jupyter_mlops.records import CellEvent
from jupyter_mlops.replay import slicing
from jupyter_mlops.replay.recording import Recording
from jupyter_mlops.replay.slicing import DEFAULT, Slicing, proved, sliced
from jupyter_mlops.store.objects import ObjectStore, open_objects

from ..conftest import Kernel
from .hand_made import event, recording, run
from .histories import delivered_by_nobody, read_back

CELLS = (
    "%load_ext jupyter_mlops",
    "import numpy as np\nimport pandas as pd\nimport json\nfrom sklearn.linear_model import LogisticRegression",
    "rows = 80   # how many\nC = 0.5\ncolour = 'red'",
    "np.random.seed(4)\nx = np.random.rand(rows)\nnoise = np.random.rand(3)",
    "df = pd.DataFrame({'x': x, 'z': np.arange(rows) % 5})\ndf.head()",
    "df['y'] = (df.x + df.z / 10 > 0.7).astype(int)\nprint(df.describe())",
    "1 / 0",
    "def prepared(frame):\n    return frame[['x', 'z']] * scale",
    "scale = 2",
    "table = {'scale': scale, 'rows': rows}\ntable.pop('rows')\nsummary = df.groupby('z').x.mean()",
    "%%time\nmodel = LogisticRegression(C=C).fit(prepared(df), df.y)\n"
    "accuracy = model.score(prepared(df), df.y)\nprint('accuracy', accuracy)",
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recording, ObjectStore]]:
    """The recording of a notebook of eleven cells, and where its bytes are."""
    project: Path = tmp_path_factory.mktemp("sliced")
    with delivered_by_nobody(project):
        kernel = Kernel(project)
        try:
            for cell in CELLS:
                kernel.run(cell)
        finally:
            kernel.close()
        yield read_back(project), open_objects(config.load(project))


MODEL = """\
rows = 80  # how many
C = 0.5

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

np.random.seed(4)
x = np.random.rand(rows)

df = pd.DataFrame({'x': x, 'z': np.arange(rows) % 5})

df['y'] = (df.x + df.z / 10 > 0.7).astype(int)

def prepared(frame):
    return frame[['x', 'z']] * scale

scale = 2

model = LogisticRegression(C=C).fit(prepared(df), df.y)
"""


def test_the_slice_of_a_model_is_the_least_code_with_its_parameters_on_top(recorded: tuple[Recording, ObjectStore]) -> None:
    found = sliced(recorded[0], "model")
    assert found.source == MODEL.replace("scale = 2\n\n", "").replace("C = 0.5\n", "C = 0.5\nscale = 2\n")
    assert found.parameters == {"rows": 80, "C": 0.5, "scale": 2}
    assert (found.kept, found.executed, found.proof) == (12, 24, "unproved")


def test_the_slice_of_a_metric_is_proved_minimal(recorded: tuple[Recording, ObjectStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slicing, "MINIMISING_SECONDS", 600.0)
    found = proved(sliced(recorded[0], "accuracy"), *recorded)
    assert (found.proof, found.why) == ("minimal", "")
    assert found.source.splitlines()[-1] == "accuracy = model.score(prepared(df), df.y)"


def test_a_value_that_the_record_does_not_hold_is_proved_against_the_whole_history(recorded: tuple[Recording, ObjectStore]) -> None:
    found = proved(sliced(recorded[0], "table"), *recorded)
    assert found.proof in ("proved", "minimal")
    assert found.source == "rows = 80  # how many\nscale = 2\n\ntable = {'scale': scale, 'rows': rows}\ntable.pop('rows')\n"


def test_the_run_s_model_and_metrics_are_what_is_sliced_without_a_name(recorded: tuple[Recording, ObjectStore]) -> None:
    assert sliced(recorded[0]).name == DEFAULT
    assert {item.kind for item in Slicing(recorded[0]).sought} == {"model", "metric"}


def test_an_unknown_result_is_refused_with_those_that_there_are(recorded: tuple[Recording, ObjectStore]) -> None:
    with pytest.raises(NotFound, match="accuracy"):
        sliced(recorded[0], "acuracy")


GROWING = {
    "what its code does not tell": (
        "import sys\nclass Registry:\n    pass\nsys.modules['registry'] = Registry\nRegistry.rate = 3",
        "setattr(sys.modules['registry'], 'ra' + 'te', 5)\nunrelated = 1",
        "%%mlops track rates\nresult = Registry.rate * 2.0",
    ),
    "what its kernel needs to live": (
        "import builtins, os\nsetattr(builtins, 'sa' + 'fe', 2.0)\nunrelated = 1",
        "%%mlops track rates\nresult = builtins.safe if hasattr(builtins, 'safe') else os._exit(1)",
    ),
}


@pytest.mark.parametrize("cells", GROWING.values(), ids=GROWING)
def test_a_slice_grows_by(cells: tuple[str, ...], tmp_path: Path) -> None:
    with delivered_by_nobody(tmp_path):
        kernel = Kernel(tmp_path)
        try:
            for cell in ("%load_ext jupyter_mlops", *cells):
                kernel.run(cell)
        finally:
            kernel.close()
        made, objects = read_back(tmp_path), open_objects(config.load(tmp_path))
        first = sliced(made, "result")
        found = proved(first, made, objects)
    assert found.proof in ("proved", "minimal"), found.why
    assert "setattr(" in found.source
    assert "setattr(" not in first.source
    assert "unrelated" not in found.source, "what a slice grew by and does not need is taken out again"


FILE = ({"name": "a.txt", "source": "/p/a.txt"},)
RAISED = 'Traceback (most recent call last):\n  File "/tmp/ipykernel_1/2.py", line 2, in <module>\nZeroDivisionError: division by zero'


@pytest.mark.parametrize(
    ("events", "source"),
    [
        ([event(1, "r = 1"), event(2, "r = 2\nr = 3 / 0\nr = 4", status="error", error=RAISED, writes=("r",))], "r = 2\nr = 3 / 0"),
        ([event(1, "from tools import *", writes=("f",)), event(2, "r = f(3)", writes=("r",))], "from tools import *\n\nr = f(3)"),
        ([event(1, "%time r = sum(range(9))", writes=("r",))], "r = sum(range(9))"),
        (
            [event(1, "p = 'a' + '.txt'\nopen(p, 'w').write('3')\nq = 1", files_written=FILE, writes=("p",)),
             event(2, "r = open(p).read()", files_read=FILE, writes=("r",))],
            "p = 'a' + '.txt'\n\nopen(p, 'w').write('3')\n\nr = open(p).read()",
        ),
    ],
)  # fmt: skip
def test_what_the_record_knows_and_the_text_does_not(events: list[CellEvent], source: str) -> None:
    assert sliced(recording(events, [run(cells=(2,))]), "r").source == source + "\n"
