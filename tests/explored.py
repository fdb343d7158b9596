"""An explored notebook, for tests: it reads a file and a database, uses a module of the user's, and fails once."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

ROWS = "".join(f"{number},{int(number % 7 > 2)}\n" for number in range(60))
CELLS = (
    "%load_ext jupyter_mlops",
    "import sqlite3\nimport pandas as pd\nimport helper\nfrom sklearn.linear_model import LogisticRegression",
    "C = 0.5  # inverse of the strength of regularisation",
    "points = pd.read_csv('data/points.csv')",
    "extra = pd.read_sql('select * from extra', sqlite3.connect('extra.db'))",
    "1 / 0",
    "points['b'] = helper.double(points['a']) + extra['c']",
    "noise = points.describe()\nnoise",
    "model = LogisticRegression(C=C, max_iter=300).fit(points[['a', 'b']], points['y'])\n"
    "accuracy = model.score(points[['a', 'b']], points['y'])\nprint('accuracy', accuracy)",
)


def prepare(project: Path) -> None:
    """What the notebook needs: a file, a database and a module."""
    (project / "data").mkdir()
    (project / "data" / "points.csv").write_text("a,y\n" + ROWS)
    (project / "helper.py").write_text("def double(values):\n    return values * 2\n")
    with sqlite3.connect(project / "extra.db") as database:
        database.execute("create table extra (c real)")
        database.executemany("insert into extra values (?)", [((number % 7) ** 2,) for number in range(60)])
    database.close()


def explored(kernel: Any) -> str:
    """Run the notebook in a tracked kernel; the id of its run."""
    prepare(kernel.folder)
    for cell in CELLS[:-1]:
        kernel.run(cell)
    ran = kernel.run(CELLS[-1])
    assert ran.error == "", ran
    told = kernel.run("%mlops runs --json")
    run: str = json.loads(told.result["text/plain"])[0]["id"]
    return run


def without_package(folder: Path) -> dict[str, str]:
    """Variables under which this package cannot be imported; papermill, which is told of an engine in it, finds an empty one."""
    hiding = folder / "hiding" / "jupyter_mlops"
    (hiding / "pipelines" / "kernels").mkdir(parents=True, exist_ok=True)
    (hiding / "__init__.py").write_text(
        "import sys\nif 'papermill' not in sys.modules:\n    raise ImportError('this package is not installed here')\n"
    )
    (hiding / "pipelines" / "kernels" / "engine.py").write_text("class MlopsEngine:\n    pass\n")
    return {"PYTHONPATH": str(hiding.parent)}
