"""How long one waits before anything happens: the import, the extension, the command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from .kernels import TRACK, empty_folder, kernels, timed
from .table import Row, row, seconds

ROUNDS = 15


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_processes(), *_extension()]


def command(name: str) -> str:
    """The path of a command of this environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"There is no command {name}: install it into this environment.")
    return found


def _processes() -> Iterator[Row]:
    with empty_folder() as folder:

        def process(*words: str) -> None:
            subprocess.run(words, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        bare, imported, mine = seconds(
            lambda: process(sys.executable, "-c", "pass"),
            lambda: process(sys.executable, "-c", "import jupyter_mlops"),
            lambda: process(command("mlops"), "--help"),
            rounds=ROUNDS,
        )
        theirs = seconds(lambda: process(command("mlflow"), "--help"), rounds=3)[0]
    yield row("import jupyter_mlops, s", imported - bare, 0.1, "<= 1", "0.1 s")
    yield row("python -c 'import jupyter_mlops', s", imported, bare, "printed", "python -c pass")
    yield row("mlops --help, s", mine, 0.3, "<= 1", "0.3 s")
    yield row("mlops --help, s", mine, bare, "printed", "python -c pass")
    yield row("mlops --help, s", mine, theirs, "printed", "mlflow --help")


def _extension() -> Iterator[Row]:
    with kernels(*["pass"] * 7) as fresh:
        time.sleep(1)
        loaded = median(timed(kernel, TRACK)[0] for kernel in fresh)
        plain = median(timed(kernel, "pass")[0] for kernel in fresh)
    yield row("%load_ext jupyter_mlops, s", loaded - plain, 0.15, "<= 1", "0.15 s, warm disk")
