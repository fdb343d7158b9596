"""What is kept today, from a real session, for later versions to read: `python -m tests.kept_formats` makes tests/data/formats/N.zip.

N is the highest number of `store.formats`. An archive that was committed once is never made again: it is what users have on their disks.
In it are the store with everything that the verbs put there, a step and a pipeline, an exported model, and the history of a run as MLflow
has it; `told.json` is what the verbs told of them.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from jupyter_mlops import config
from jupyter_mlops.store import client, formats
from jupyter_mlops.surfaces import cli
from tests.conftest import Kernel, end_workers

FOLDER = Path(__file__).parent / "data" / "formats"

NAMES = [name for name in vars(formats) if name.isupper()]
NUMBER = max(getattr(formats, name) for name in NAMES)

CELLS = (
    "%load_ext jupyter_mlops",
    "import pandas as pd\nfrom sklearn.linear_model import LogisticRegression",
    "rows = pd.read_csv('rows.csv')\nC = 0.5",
    "model = LogisticRegression(C=C).fit(rows[['a', 'b']], rows['late'])\naccuracy = model.score(rows[['a', 'b']], rows['late'])\naccuracy",
)
PIPELINE = """\
format: 1
name: counted
params: {unit: lines}
schedule: {cron: "0 6 * * 1", timezone: Europe/Copenhagen}
steps:
  count: {shell: "wc -l < {rows} > {number} && echo {unit}", inputs: {rows: rows.csv}, outputs: {number: number.txt}}
"""
LEFT_OUT = (".lock", ".whl", ".log")
DATABASES = ("state.db", "shared.db")


def made(project: Path) -> None:
    """Fill the folder `project`, which is the working folder, and describe it in told.json."""
    (project / ".mlops").mkdir(mode=0o700)
    (project / "rows.csv").write_text("a,b,late\n" + "".join(f"{n / 40},{n * 7 % 11},{int(n > 18)}\n" for n in range(40)))
    (project / "pipeline.yaml").write_text(PIPELINE)
    kernel = Kernel(project)
    try:
        for cell in CELLS:
            assert not kernel.run(cell).error
        snapshot = json.loads(kernel.run("%mlops snapshot rows --name rows --json").result["text/plain"])
    finally:
        kernel.close()
    client.ask(config.load(), "flush")
    run = verb("runs")[0]
    verb(f"note seen --run {run['id']}")
    verb("step --result accuracy --out step.ipynb")
    verb(f"register {run['id']} flights --target late")
    verb("promote flights --why first")
    verb("run pipeline.yaml")
    verb("schedule add pipeline.yaml")
    verb("predict flights rows.csv --log --out scored.csv")
    verb("export flights --to docker --out exported")
    client.ask(config.load(), "flush")
    history = client.ask(config.load(), "address", ref=run["id"])
    shutil.copyfile(next(project.glob(f"mlruns/**/{history['run']}/artifacts/mlops/history.ipynb")), project / "history.ipynb")
    told = {
        "snapshot": {"digest": snapshot["digest"], "value": mlops_load(snapshot["digest"])},
        **{name: verb(name) for name in ("runs", "audit", "schedule")},
    }
    (project / "told.json").write_text(json.dumps(told, indent=1))


def mlops_load(digest: str) -> Any:
    """The value of a snapshot, by column."""
    import jupyter_mlops as mlops

    return mlops.load(digest).to_dict("list")


def verb(command: str) -> Any:
    """What a command prints with --json; it has to succeed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.run([*command.split(), "--json"]) == 0, command
    return json.loads(out.getvalue().splitlines()[-1] if command.startswith("run ") else out.getvalue())


def main() -> None:
    """Make the archive of today's formats."""
    archive = FOLDER / f"{NUMBER}.zip"
    if archive.exists():
        sys.exit(f"{archive.name} is committed: it stays as it is.")
    project = Path(tempfile.gettempdir(), "flights")
    project.mkdir()
    try:
        with contextlib.chdir(project):
            os.environ["MLOPS_USER"] = "ann"
            made(project)
            end_workers(project)
            write(project, archive)
    finally:
        end_workers(project)
        shutil.rmtree(project)
    print(f"{archive.name}: {archive.stat().st_size} bytes")


def write(project: Path, archive: Path) -> None:
    """Pack what is kept; of MLflow's own store, only what this package put there."""
    for name in DATABASES:
        _settle(project / ".mlops" / name)
    kept = [*(f".mlops/{name}" for name in DATABASES), ".mlops/journal", ".mlops/objects", ".mlops/predictions", "exported"]
    kept += ["rows.csv", "pipeline.yaml", "step.ipynb", "history.ipynb", "told.json"]
    FOLDER.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for name in kept:
            for path in sorted([project / name, *(project / name).rglob("*")]):
                if path.is_file() and not path.name.endswith(LEFT_OUT):
                    packed.write(path, path.relative_to(project))


def _settle(database: Path) -> None:
    """Let a database be whole in its one file, which others may have open."""
    whole = database.with_suffix(".whole")
    with contextlib.closing(sqlite3.connect(database)) as source, contextlib.closing(sqlite3.connect(whole)) as target:
        source.backup(target)
    whole.replace(database)


if __name__ == "__main__":
    main()
