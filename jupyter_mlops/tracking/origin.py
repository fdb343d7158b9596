"""Where a session is: the process, the project, the notebook."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

from ..config import Settings

_MOVES = re.compile(r"\bchdir\(|^\s*%?cd\s", re.MULTILINE)


def starting_folder(shell: Any) -> str:
    """Where the history begins: cells that ran before tracking, and the one that starts it, may have left the kernel's own folder."""
    sources = shell.user_ns.get("In", ()) if shell is not None else ()
    return str(shell.starting_dir) if any(_MOVES.search(source) for source in sources) else os.getcwd()


def header(settings: Settings, notebook: str) -> dict[str, Any]:
    """What the journal of a session begins with."""
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": _user(),
        "started": time.time(),
        "project": str(settings.project),
        "notebook": notebook,
        "python": platform.python_version(),
        "tracking_uri": os.environ.get("MLFLOW_TRACKING_URI"),
        "experiment": settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME"),
        "environment": None,
    }


def notebook(project: Path) -> str:
    """The notebook's path, relative to the project where possible; "" where the front end does not tell."""
    path = os.environ.get("JPY_SESSION_NAME", "")
    main = sys.modules.get("__main__")
    told = getattr(main, "__vsc_ipynb_file__", "") or path
    whole = Path(told)
    if whole.suffix not in (".ipynb", ".py", ".md"):
        # Some front ends tell the name of a session that is no document.
        return ""
    if not whole.is_relative_to(project):
        # A server may name its folder by a link; the project is known without any.
        whole = whole.parent.resolve() / whole.name
    return whole.relative_to(project).as_posix() if whole.is_relative_to(project) else whole.as_posix()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
