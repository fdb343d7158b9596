"""Marks the runs that user code opens with plain MLflow as made in this notebook; found by MLflow through an entry point."""

from __future__ import annotations

from mlflow.tracking.context.abstract_context import RunContextProvider

from . import session


class MlopsRunContext(RunContextProvider):
    """Adds our session and cell to every run that user code starts while tracking is on; MLflow asks once for each run."""

    def in_context(self) -> bool:
        current = session.current()
        return current is not None and current.state == "on"

    def tags(self) -> dict[str, str]:
        current = session.current()
        return current.opened_by_user() if current is not None else {}
