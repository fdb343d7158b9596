"""Nothing heavy is imported before it is needed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "mlflow",
    "pandas",
    "numpy",
    "sklearn",
    "pyarrow",
    "sqlalchemy",
    "papermill",
    "scipy",
    "skops",
    "matplotlib",
    "fsspec",
    "duckdb",
    "polars",
    "anywidget",
    "ipywidgets",
)
LATER = (
    "jupyter_mlops.config",
    *(f"jupyter_mlops.surfaces.routes.{name}" for name in ("answering", "hosts", "jobs", "watching")),
)
START_SHELL = "from IPython.core.interactiveshell import InteractiveShell as S; s = S.instance(); "


@pytest.mark.parametrize(
    ("what", "code", "extra"),
    [
        ("import", "import jupyter_mlops", ("IPython", "cyclopts", "rich", "psutil")),
        ("help", "import sys; from jupyter_mlops.surfaces.cli import run; run(['--help'])", ("IPython",)),
        ("help of a verb", "from jupyter_mlops.surfaces.cli import run; run(['runs', '--help'])", ("IPython",)),
        ("wrong use", "from jupyter_mlops.surfaces.cli import run; run(['nosuch'])", ("IPython",)),
        ("JupyterLab", "import jupyter_mlops; jupyter_mlops._jupyter_server_extension_points()", LATER),
        ("load_ext", START_SHELL + "s.run_line_magic('load_ext', 'jupyter_mlops')", ("cyclopts", "rich")),
        ("a first cell", START_SHELL + "s.run_line_magic('load_ext', 'jupyter_mlops'); s.run_cell('x = 1')", ("cyclopts", "rich")),
    ],
)
def test_heavy_modules_wait_until_they_are_needed(project: object, what: str, code: str, extra: tuple[str, ...]) -> None:
    report = f"import json, sys; print('\\n' + json.dumps([name for name in {HEAVY + extra!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=120)
    assert json.loads(done.stdout.splitlines()[-1]) == []
