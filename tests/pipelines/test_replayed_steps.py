"""The run of a step is a run like any other: it is replayed, sliced, and has no files of the steps beside it."""

from __future__ import annotations

from pathlib import Path

import jupyter_mlops as mlops
from tests.delivered import settled, with_database

from .notebook_files import write
from .running import notebook, pipeline, run, states

FIT = """import pandas as pd
wine = pd.read_csv(data)
draws = [open(data).read() for _ in range(200)]
from sklearn.linear_model import LogisticRegression
X, y = wine.drop(columns="target"), wine["target"]
model = LogisticRegression(C=C, max_iter=3000).fit(X, y)
accuracy = model.score(X, y)
wine.describe().to_csv(out)
pd.DataFrame({f"column {number}": range(3) for number in range(12)})
"""


def test_steps_side_by_side_are_replayed_each_with_its_own_files(project: Path) -> None:
    with_database(project)
    (project / "out").mkdir()
    for number in (1, 2):
        lines = (f"{row + number},{row % 7},{int(row > 30)}" for row in range(60))
        (project / f"wine-{number}.csv").write_text("\n".join(["alcohol,ash,target", *lines]))
        write(project / f"fit-{number}.ipynb", parameters="C: float = 1.0\ndata: str = ''\nout: str = ''", code=FIT)
    done = run(
        pipeline(
            project,
            *(
                notebook(
                    f"fit-{number}",
                    f"fit-{number}.ipynb",
                    params={"C": 0.5 * number, "data": str(project / f"wine-{number}.csv"), "out": f"out/{number}.csv"},
                )
                for number in (1, 2)
            ),
        )
    )
    assert states(done) == {"fit-1": "done", "fit-2": "done"}
    runs = {item.info.run_name: item.info.run_id for item in settled(project)}
    for number in (1, 2):
        told = mlops.show(runs[f"fit-{number}"]).run
        read = {item["name"] for item in told.inputs if item["kind"] == "file"}
        assert f"wine-{number}.csv" in read
        assert not read & {f"wine-{3 - number}.csv", f"out/{3 - number}.csv"}
        again = mlops.replay(told.id)
        assert (again.verdict, again.score) == ("identical", 1.0), again.first
        kinds = {result.kind for result in again.results}
        assert {"metric", "model", "frame", "output", "file", "parameter"} <= kinds
    # The value that the pipeline gave takes the place of the notebook's own, with which the run began.
    cut = mlops.slice(runs["fit-1"], "model")
    assert (cut.proof, cut.why) == ("minimal", "")
    assert "wine.describe()" not in cut.source
    assert "C = 0.5" in cut.source
    assert "C: float = 1.0" not in cut.source
