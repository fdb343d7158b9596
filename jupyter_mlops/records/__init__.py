"""The frozen records that every part speaks.

Each record is plain data: `to_json(record)` gives what `--json` prints and what the journal keeps, `RECORD.from_json` reads it back.
Times are seconds since the epoch, sizes are bytes, digests are lower-case BLAKE3 hex (64 characters).
"""

from .cells import CellEvent, Input, Output
from .data import ColumnDistribution, ListedSnapshot, SnapshotList, SnapshotUse, SnapshotView
from .models import (
    Alert,
    AuditEntry,
    Card,
    Check,
    Deployment,
    Drift,
    Finding,
    Gate,
    Labelled,
    ModelVersion,
    Monitoring,
    Prediction,
    Promotion,
    Release,
    Retraining,
    Scored,
    Trace,
    Usage,
    Validation,
)
from .pipelines import Firing, Parameter, Pipeline, PipelineRun, PipelineStep, Schedule, Step, StepPlan, StepRun
from .plain import to_json
from .registered import CardPage, ListedModel, ModelList, ModelView, ServiceState
from .replays import CellState, Foreseen, LostName, Piece, Replay, Restored, Slice, Status, Verdict
from .runs import ColumnChange, Diff, Node, Problem, Run, Snapshot

__all__ = [
    "Alert", "AuditEntry", "Card", "CardPage", "CellEvent", "CellState", "Check", "ColumnChange", "ColumnDistribution", "Deployment",
    "Diff", "Drift", "Finding", "Firing", "Foreseen", "Gate", "Input", "Labelled", "ListedModel", "ListedSnapshot", "LostName",
    "ModelList", "ModelVersion", "ModelView", "Monitoring", "Node", "Output", "Parameter", "Piece", "Pipeline", "PipelineRun",
    "PipelineStep", "Prediction", "Problem", "Promotion", "Release", "Replay", "Restored", "Retraining", "Run", "Schedule", "Scored",
    "ServiceState", "Slice", "Snapshot", "SnapshotList", "SnapshotUse", "SnapshotView", "Status", "Step", "StepPlan", "StepRun",
    "Trace", "Usage", "Validation", "Verdict", "to_json",
]  # fmt: skip
