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
    regression. `approved` are those who approved it, `release` the tag of the release that it is part of. `source` is MLflow's address of
    the logged model that it was made of (models:/m-...); `notes` say what could not be had as it was registered. `version` is 0 for the
    model of a run that is not registered.
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
    source: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion(Record):
    """What came of a promotion or a rollback. `verdict`: promoted, forced (gates failed, and `why` tells why it was done all the same),
    refused (`why` says what is in the way), unchanged (it was so already) or rolled back.

    `alias` is the name that `version` has now, or was to get; `before` is the version that had it, None where there was none; `aliases`
    are all of the model's afterwards. `check` holds what the gates said, `entry` the number of the entry in the audit log.
    """

    model: str
    version: int
    verdict: str
    alias: str = "champion"
    before: int | None = None
    aliases: Mapping[str, int] = field(default_factory=dict)
    check: Any = None
    why: str = ""
    who: str = ""
    entry: int | None = None
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


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
class Labelled(Record):
    """What came of joining the truth to predictions. `source` names the data, `key` the columns that it was joined by.

    Of its `rows`, `matched` belong to predictions in the log and `unmatched` to none, `empty` have no truth; `missing` are the first of the
    unmatched as {"row", "key"}, rows counted from 0. Of the predictions that belong to them, `new` had no truth before, `changed` had
    another one (which is kept as history), `unchanged` the same.
    """

    model: str
    source: str = ""
    digest: str = ""
    key: tuple[str, ...] = ()
    truth: str = ""
    rows: int = 0
    matched: int = 0
    unmatched: int = 0
    empty: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    missing: tuple[Any, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Record):
    """Rows that a model version predicted in one go. `out` is the file with the predictions, or "" and `predictions` holds them.

    `logged` counts those that went to the log, with ids. `workers` is where it ran: local, or the address of a Dask scheduler.
    """

    model: str
    version: int
    data: str = ""
    rows: int = 0
    out: str = ""
    predictions: tuple[Any, ...] = ()
    ids: tuple[str, ...] = ()
    logged: int = 0
    workers: str = "local"
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Record):
    """The predictions that a model version made: how many the log has, and when the first and the last were made."""

    model: str
    version: int
    run: str = ""
    predictions: int = 0
    first: float | None = None
    last: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace(Record):
    """Where a prediction, or a model version, comes from: the `version`, the `run` that made it, the minimal `code` of that run's model and
    metrics, and the exact data, each part a record; None where it cannot be had, and `missing` says why in a sentence.

    `statements` are (in the code, executed in all). `data` holds {"name", "role", "kind", "digest", "rows", "kept"}: `role` is input (of
    the run), training or test (of the version). `labels` are the truths that came for the prediction, the latest first; `used` counts the
    predictions of the version, `written` is the file that they were listed in.
    """

    ref: str
    prediction: Any = None
    version: Any = None
    run: Any = None
    code: str = ""
    statements: tuple[int, int] = (0, 0)
    data: tuple[Any, ...] = ()
    labels: tuple[Any, ...] = ()
    used: Usage | None = None
    written: str = ""
    missing: tuple[str, ...] = ()
    seconds: float = 0.0


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
    rate, latency, errors and the machine's resources; `distributions` are columns as {"cells", "reference", "now"}, for plots.
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
    distributions: Mapping[str, Any] = field(default_factory=dict)
    alerts: tuple[Any, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining(Record):
    """What came of training a model again. `state`: promoted, refused (a gate failed), waiting (not promoted yet, as where somebody has to
    approve it), unchanged (the pipeline gave no new model), failed, or skipped (within the cool-down, or while another goes on); `why` is
    what started it, `what` says what came of it.

    `run` is that of the pipeline, `version` the model that it registered, `champion` the version that serves afterwards. `until` is when
    the cool-down ends; `log` the file with what the pipeline printed.
    """

    model: str
    state: str
    why: str = ""
    what: str = ""
    run: str = ""
    version: int | None = None
    champion: int | None = None
    gates: tuple[Any, ...] = ()
    started: float = 0.0
    seconds: float = 0.0
    until: float = 0.0
    log: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Release(Record):
    """A model version, its code, its data and the service, under one tag. `commit` is that of the code as the model was made ("" outside a
    repository), `changed` whether files differed from it; `data` maps names to digests; `service` is the version of this package.
    `git` tells whether the repository has the tag, too."""

    tag: str
    model: str
    version: int
    digest: str = ""
    run: str = ""
    commit: str = ""
    changed: bool = False
    data: Mapping[str, str] = field(default_factory=dict)
    service: str = ""
    by: str = ""
    created: float = 0.0
    git: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Record):
    """A model card that was written: as Markdown with its plots beside it, and as one HTML file. `missing` says what could not be had."""

    model: str
    version: int
    markdown: str
    html: str
    plots: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment(Record):
    """A folder that runs a model's service anywhere. `files` are those written, relative to it; `start` the commands that start it."""

    folder: str
    to: str
    model: str
    version: int
    digest: str = ""
    files: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
