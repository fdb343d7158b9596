"""A pytest plugin (`-p default_engine`) that puts this package's engine where papermill's own is: the default, and under both its names."""

from __future__ import annotations

from typing import Any

import papermill.engines
from papermill.engines import papermill_engines

ENGINE = papermill_engines.get_engine("mlops")


def pytest_configure(config: Any) -> None:
    """Before any test is read."""
    for name in (None, "nbclient"):
        papermill_engines.register(name, ENGINE)


def pytest_report_header(config: Any) -> str:
    """Which engine runs the notebooks of this run."""
    default = papermill_engines.get_engine(None)
    return f"papermill {papermill.__version__}, default engine {default.__module__}.{default.__name__}"
