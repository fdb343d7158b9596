"""Models: what they are checked against, their versions, what they predict, and who decided what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .plain import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding(Record):
    """Something that is wrong with data. `check` is what was asked (missing, range, category, type, duplicates, freshness, drift, ...).

    `column` is "" for the whole table; `count` rows of it fail, `share` of all; `rows` are the first of them, as positions from 0;
    `examples` are values that fail; `what` says it in a sentence.
    """

    check: str
    what: str
    column: str = ""
    count: int = 0
    share: float = 0.0
    rows: tuple[int, ...] = ()
    examples: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation(Record):
    """What came of checking data. `data` names it, `digest` is its content's; `schema` is the file or snapshot that it was checked against.

    `verdict`: passed, or failed where there are findings; `drift` holds a `Drift` for each column that was compared with the reference.
    """

    data: str
    verdict: str
    rows: int
    columns: int
    digest: str = ""
    schema: str = ""
    checks: int = 0
    findings: tuple[Any, ...] = ()
    drift: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift(Record):
    """How one column of data differs from the reference. `verdict`: drift, none, or insufficient data (`why` says what is lacking).

    `kind`: number, category, boolean, time or text; `method` is the test that decided, with its `statistic` and its `p_value` before the
    correction for many columns; `threshold` is what the p-value was compared with. `psi` and `wasserstein` (in standard deviations of the
    reference) measure how much. `missing` is the share of missing values in the reference and now; `new` are categories that the
    reference has not, `outside` is the share of numbers beyond its range.
    """

    column: str
    kind: str
    verdict: str
    method: str = ""
    statistic: float | None = None
    p_value: float | None = None
    threshold: float | None = None
    psi: float | None = None
    wasserstein: float | None = None
    missing: tuple[float, float] = (0.0, 0.0)
    new: tuple[str, ...] = ()
    outside: float = 0.0
    rows: tuple[int, int] = (0, 0)
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate(Record):
    """A condition that a model must meet. `state`: passed, failed, or unchecked where `why` says what is needed to check it.

    `name` is the condition as a reader writes it (auc at least 0.7), `value` what was measured and `bound` what it was held against;
    `kind` is the sort of gate (metric, no_worse_than, fairness, ...). `details` hold what is behind it: intervals, groups, slices, rows.
    """

    name: str
    state: str
    value: float | None = None
    why: str = ""
    kind: str = "metric"
    bound: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check(Record):
    """A model held against its gates. `verdict`: passed, failed (a gate failed) or unchecked (none failed, and some could not be checked).

    `model` is what was asked for, `version` its number in the registry (None for a run's model), `against` the champion's; `data` is the
    digest of the data that it was checked on.
    """

    model: str
    verdict: str
    gates: tuple[Gate, ...] = ()
    version: int | None = None
    against: int | None = None
    run: str = ""
    data: str = ""
    rows: int = 0
    started: float = 0.0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion(Record):
    """A version of a registered model. `uri` is MLflow's address of it; `run` the run that made it; `aliases` the names it goes by now.

    `digest` is that of its files, taken as it was registered; `flavor` and `format` say how they are read, `trusted` which types skops was
    told to trust. `signature` is {"inputs": [{"name", "type", "required"}], "outputs": [...]}. `reference` and `test` are the digests of
    the snapshots that it was trained on and that it is checked on, `target` the column of the truth in them, `task` is classification or
    regression. `approved` are those who approved it, `release` the tag of the release that it is part of.
    """

    name: str
    version: int
    uri: str = ""
    run: str = ""
    aliases: tuple[str, ...] = ()
    created: float = 0.0
    by: str = ""
    digest: str = ""
    flavor: str = ""
    format: str = ""
    size: int = 0
    trusted: tuple[str, ...] = ()
    signature: Mapping[str, Any] = field(default_factory=dict)
    reference: str = ""
    test: str = ""
    target: str = ""
    task: str = ""
    approved: tuple[str, ...] = ()
    release: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry(Record):
    """One entry of the audit log: who did what to which model, when and why. `seq` counts from 1 without gaps.

    `digest` is that of the entry's other fields together with `previous`, the digest of the entry before it.
    """

    seq: int
    at: float
    who: str
    what: str
    model: str = ""
    version: int | None = None
    why: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    previous: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction(Record):
    """One row that a service or a batch predicted. `role`: champion, challenger (canary) or shadow (predicted, but not answered).

    `output` is as it was answered; `truth` is what came later, None before; `batch` is the request it came in.
    """

    id: str
    model: str
    version: int
    at: float
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: Any = None
    truth: Any = None
    role: str = "champion"
    batch: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert(Record):
    """Something that people should know. `kind`: drift, decay, health, missing, or failure; `what` says it in a sentence."""

    kind: str
    what: str
    model: str = ""
    version: int | None = None
    at: float = 0.0
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring(Record):
    """How a model in service does, in a window of time. `verdict`: well, alert, or insufficient data.

    `drift` holds a `Drift` for each input and for the prediction; `performance` maps metrics to {"value", "reference", "rows", "interval"};
    `series` holds the same over time, as {metric: [[from, value, rows], ...]}; `slices` are the values by slice and group; `service` the
    rate, latency, errors and the machine's resources.
    """

    model: str
    verdict: str
    version: int | None = None
    start: float = 0.0
    end: float = 0.0
    rows: int = 0
    labelled: int = 0
    drift: tuple[Any, ...] = ()
    performance: Mapping[str, Any] = field(default_factory=dict)
    series: Mapping[str, Any] = field(default_factory=dict)
    slices: tuple[Any, ...] = ()
    service: Mapping[str, Any] = field(default_factory=dict)
    alerts: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
