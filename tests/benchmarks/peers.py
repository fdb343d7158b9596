"""Environments for peers whose requirements do not go with ours, each made once in a run."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import tempfile
import venv
from pathlib import Path

INSTALL_SECONDS = 900
DVC = "dvc>=3.60"


@functools.cache
def programs(*requirements: str) -> Path | None:
    """The folder of the programs of an environment with these requirements; None, and why is printed, where they do not install.

    An environment that is there already is taken instead: MLOPS_BENTOML, MLOPS_EVIDENTLY and MLOPS_DVC name the folders of their programs.
    """
    name = requirements[0].partition(">")[0]
    if kept := os.environ.get(f"MLOPS_{name.upper()}"):
        return Path(kept)
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    found = folder / ("Scripts" if os.name == "nt" else "bin")
    install = [str(found / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    try:
        subprocess.run(install, check=True, timeout=INSTALL_SECONDS, capture_output=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        print(f"{name} was not asked, since it does not install: {str(getattr(error, 'stderr', b''))[-300:]}")
        return None
    return found
