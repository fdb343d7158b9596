"""Whether a folder is a project yet: to ask its store would make one of a folder that somebody merely looks into."""

from __future__ import annotations

import os

from ... import config
from ...config import Settings


def begun(settings: Settings) -> bool:
    """Whether there is anything to look at."""
    here = (settings.home, settings.project / "mlflow.db", settings.project / "mlruns")
    if any(place.exists() for place in here):
        return True
    # The variable may be that of the whole server: by itself it says nothing of this folder.
    return "MLFLOW_TRACKING_URI" in os.environ and config.declares_mlops(settings.project / "pyproject.toml")
