"""Answers as live views in a notebook, drawn by the same modules as in JupyterLab's panel, each with a static table beside it."""

from .kinds import ComparisonWidget, DriftWidget, GatesWidget, MonitoringWidget, PipelineWidget, RunsWidget
from .making import widget
from .view import ViewWidget

__all__ = [
    "ComparisonWidget", "DriftWidget", "GatesWidget", "MonitoringWidget", "PipelineWidget", "RunsWidget", "ViewWidget", "widget",
]  # fmt: skip
