"""The frozen records that every part speaks.

Each record is plain data: `to_json(record)` gives what `--json` prints and what the journal keeps, `RECORD.from_json` reads it back.
Times are seconds since the epoch, sizes are bytes, digests are lower-case BLAKE3 hex (64 characters).
"""

from .cells import CellEvent, Input, Output
from .models import Alert, AuditEntry, Check, Drift, Finding, Gate, ModelVersion, Monitoring, Prediction, Validation
from .pipelines import Firing, Parameter, Pipeline, PipelineRun, PipelineStep, Schedule, Step, StepPlan, StepRun
from .plain import to_json
from .replays import CellState, Foreseen, LostName, Piece, Replay, Restored, Slice, Status, Verdict
from .runs import ColumnChange, Diff, Node, Problem, Run, Snapshot

__all__ = [
    "Alert", "AuditEntry", "CellEvent", "CellState", "Check", "ColumnChange", "Diff", "Drift", "Finding", "Firing", "Foreseen",
    "Gate", "Input", "LostName", "ModelVersion", "Monitoring", "Node", "Output", "Parameter", "Piece", "Pipeline", "PipelineRun",
    "PipelineStep", "Prediction", "Problem", "Replay", "Restored", "Run", "Schedule", "Slice", "Snapshot", "Status", "Step",
    "StepPlan", "StepRun", "Validation", "Verdict", "to_json",
]  # fmt: skip
