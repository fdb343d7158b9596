"""How the server starts processes of this package: with the same code and settings as a shell in that folder, in groups of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# -P: a module of the user's project must never stand in for one of ours.
PYTHON = (sys.executable, "-P", "-m")


def signal_group(leader: int, number: signal.Signals) -> None:
    """Send a signal to all of a group, if there still is one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


def texts(value: Any) -> Any:
    """Arguments with paths as texts."""
    if isinstance(value, Mapping):
        return {name: texts(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [texts(item) for item in value]
    return str(value) if isinstance(value, Path) else value
