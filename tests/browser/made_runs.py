"""A project with runs in it, made by a real kernel: `python -m tests.browser.made_runs FOLDER` runs the cells below in a folder.

Two trees on one file, and a third after the file changed; the second and third log a learning curve. One frame is kept by hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.delivered import with_database

ROOT = Path(__file__).parents[2]

CELLS = (
    "%load_ext jupyter_mlops",
    """
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

import jupyter_mlops as mlops

rng = np.random.default_rng(0)
people = pd.DataFrame({"age": rng.integers(18, 90, 400), "income": rng.normal(50, 15, 400).round(1)})
people["town"] = rng.choice(["Aarhus", "<b>Ribe</b>"], 400)
people["bought"] = (people.age + people.income + rng.normal(0, 30, 400) > 100).astype(int)
people.to_csv("people.csv", index=False)
""",
    """
table = pd.read_csv("people.csv")
shallow = DecisionTreeClassifier(max_depth=2, random_state=0).fit(table[["age", "income"]], table.bought)
auc = roc_auc_score(table.bought, shallow.predict_proba(table[["age", "income"]])[:, 1])
""",
    """
table = pd.read_csv("people.csv")
deep = DecisionTreeClassifier(max_depth=9, criterion="entropy", random_state=0).fit(table[["age", "income"]], table.bought)
auc = roc_auc_score(table.bought, deep.predict_proba(table[["age", "income"]])[:, 1])
""",
    "for step in range(8): mlops.log({'loss': 1 / (1 + step)}, step=step)",
    """
people.query("age > 30").assign(income=lambda table: table.income * 2).to_csv("people.csv", index=False)
""",
    """
table = pd.read_csv("people.csv")
later = DecisionTreeClassifier(max_depth=5, random_state=0).fit(table[["age", "income"]], table.bought)
auc = roc_auc_score(table.bought, later.predict_proba(table[["age", "income"]])[:, 1])
""",
    "for step in range(8): mlops.log({'loss': 1.5 / (1 + step)}, step=step)",
    """
people.loc[::10, "income"] = None
mlops.snapshot(people, name="people")
mlops.snapshot(people.query("age > 30").rename(columns={"town": "city"}), name="over 30")
""",
)

DELIVER = "from jupyter_mlops import config\nfrom jupyter_mlops.store import client\nclient.ask(config.load(), 'flush')"


def make(folder: Path) -> Path:
    """Make the project in a folder, by a process of its own: no other event loop can run beside the browser's. Once only."""
    if not folder.is_dir():
        folder.mkdir()
        with_database(folder)
        subprocess.run([sys.executable, "-m", __name__, str(folder)], check=True, timeout=120, cwd=ROOT)
    return folder


def main() -> None:
    """Run the cells, and wait until all is delivered."""
    from tests.conftest import Kernel

    folder = Path(sys.argv[1])
    kernel = Kernel(folder)
    try:
        for cell in (*CELLS, DELIVER):
            ran = kernel.run(cell)
            assert not ran.error, ran.error
    finally:
        kernel.close()


if __name__ == "__main__":
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    main()
