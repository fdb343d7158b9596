"""What the records of a journal add up to: the session, its cells, and the state of each run. Pure: no disk, no clock, no MLflow."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..records import Run

KILLED = "KILLED"
DELETED = "DELETED"
RUNNING = "RUNNING"
DIED = "the process ended without a word while this run was open"
PIPELINE_TAGS = ("pipeline", "step", "source", "key", "cached", "cached_runs", "schedule", "due")
_MACHINE = "system/"  # what MLflow itself measures of the machine, if it is asked to

_SCALARS = (
    "name",
    "experiment",
    "status",
    "started",
    "ended",
    "parent",
    "notebook",
    "cell",
    "seq",
    "adopted",
    "tracking_uri",
    "error",
    "reason",
    "note",
    "experiment_id",
)
_LISTS = ("models", "tables", "artifacts")


@dataclass(slots=True)
class RunState:
    """All patches of one run put together; the fields are those of the journal's `run` records.

    `metrics` keeps every point in the order it came: [key, value, step or None, time]. `at` is the time of the last patch,
    `environment` the digest of what the session ran in at that time.
    """

    id: str
    name: str = ""
    experiment: str | None = None
    experiment_id: str | None = None
    environment: str | None = None
    status: str = ""
    started: float | None = None
    ended: float | None = None
    parent: str | None = None
    notebook: str = ""
    cell: str = ""
    seq: int | None = None
    adopted: str | None = None
    tracking_uri: str | None = None
    error: str = ""
    reason: str = ""
    note: str | None = None
    deleted: bool = False
    at: float = 0.0
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    metrics: list[list[Any]] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    cells: list[int] = field(default_factory=list)

    @property
    def own(self) -> bool:
        """Whether the patches make a run (or adopt one); else they change a run made elsewhere."""
        return self.started is not None or bool(self.status) or self.adopted is not None

    @property
    def open(self) -> bool:
        """Whether the run is still going on."""
        return self.own and self.status in ("", RUNNING)

    @property
    def last_seq(self) -> int:
        """The last execution that belongs to the run; 0 when none does."""
        return max([*self.cells, self.seq or 0])

    def patch(self, record: Mapping[str, Any]) -> None:
        """Apply one `run` record."""
        self.at = max(self.at, float(record.get("at") or 0.0))
        for name in _SCALARS:
            if name in record:
                setattr(self, name, record[name])
        self.deleted = self.deleted or bool(record.get("deleted"))
        self.params.update(record.get("params") or {})
        self.tags.update(record.get("tags") or {})
        self.metrics.extend(list(point) for point in record.get("metrics") or ())
        for name in _LISTS:
            getattr(self, name).extend(record.get(name) or ())
        known = set(map(_which, self.inputs))
        self.inputs.extend(item for item in record.get("inputs") or () if _which(item) not in known)
        self.skipped.extend(text for text in record.get("skipped") or () if text not in self.skipped)
        self.cells.extend(seq for seq in record.get("cells") or () if seq not in self.cells)

    def copy(self) -> RunState:
        """The state as it is now, untouched by later patches."""
        copied = replace(self)
        for name in ("params", "tags", "metrics", "inputs", *_LISTS, "skipped", "cells"):
            setattr(copied, name, getattr(self, name).copy())
        return copied

    def latest(self) -> dict[str, float]:
        """The last value of each metric: the highest step, then the latest time, as MLflow has it."""
        best: dict[str, tuple[int, float, int]] = {}
        values: dict[str, float] = {}
        for index, (key, value, step, time) in enumerate(self.metrics):
            rank = (int(step or 0), float(time or 0.0), index)
            if key not in best or rank > best[key]:
                best[key] = rank
                values[key] = value
        return values

    def series(self) -> dict[str, list[list[Any]]]:
        """The metrics that were given with steps: {key: [[step, value], ...]} in the order of their steps."""
        points: dict[str, list[list[Any]]] = {}
        for key, value, step, _ in self.metrics:
            if step is not None:
                points.setdefault(key, []).append([step, value])
        return {key: sorted(values, key=lambda point: int(point[0])) for key, values in points.items()}


@dataclass(slots=True)
class SessionState:
    """One session as its journal tells it. `cells` are CellEvents as JSON by their seq; `begun` those that started and did not end (yet);
    `shown` and `values` hold the outputs and digests that came apart from their cells, while these ran or after, `fetched` the digests of
    what the network or a database gave, by name in order, `modules` the versions of the user's own modules that an execution met first."""

    header: dict[str, Any] = field(default_factory=dict)
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)
    begun: dict[int, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, RunState] = field(default_factory=dict)
    shown: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    values: dict[int, dict[str, str]] = field(default_factory=dict)
    fetched: dict[int, dict[str, list[list[Any]]]] = field(default_factory=dict)
    modules: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    snapshots: list[dict[str, Any]] = field(default_factory=list)
    ended: float | None = None
    last: float = 0.0

    @property
    def id(self) -> str:
        """The session's id; "" before its header was read."""
        return str(self.header.get("session", ""))

    def add(self, records: Iterable[Mapping[str, Any]]) -> set[str]:
        """Take in further records of the journal; the ids of the runs that they touch."""
        touched: set[str] = set()
        for record in records:
            match record.get("kind"):
                case "session":
                    self.header.update(record)
                    self._seen(record.get("started"))
                    touched |= self._enter(record.get("environment"))
                case "begin":
                    self.begun[record["seq"]] = dict(record)
                    self._seen(record.get("started"))
                case "cell":
                    self.begun.pop(record["seq"], None)
                    self.cells[record["seq"]] = {key: value for key, value in record.items() if key != "kind"}
                    # The run's history is complete now that the cell has ended.
                    touched |= self._runs_of(record["seq"])
                    self._seen((record.get("started") or 0.0) + (record.get("seconds") or 0.0))
                case "outputs":
                    _join(self.shown.setdefault(record["seq"], []), record["outputs"])
                    touched |= self._runs_of(record["seq"])
                case "values":
                    self.values.setdefault(record["seq"], {}).update(record["values"])
                    touched |= self._runs_of(record["seq"])
                case "fetched":
                    known = self.fetched.setdefault(record["seq"], {}).setdefault(record["name"], [])
                    known.append([record["number"], record["digest"], record["mark"]])
                case "modules":
                    self.modules.setdefault(record["seq"], []).extend(record["modules"])
                case "run":
                    state = self.runs.setdefault(record["id"], RunState(record["id"]))
                    state.patch(record)
                    state.environment = self.header.get("environment") or state.environment
                    touched.add(state.id)
                    self._seen(record.get("at"))
                case "snapshot":
                    self.snapshots.append(record["snapshot"])
                case "end":
                    self.ended = record.get("ended", self.last)
                case _:
                    pass  # written by a later version of this package
        return touched

    def _enter(self, environment: str | None) -> set[str]:
        """A newly described environment holds for the runs of the latest execution, and for those that had none."""
        if not environment:
            return set()
        latest = max([*self.cells, *self.begun], default=0)
        there = [run for run in self.runs.values() if run.environment is None or (latest and run.last_seq >= latest)]
        for run in there:
            run.environment = environment
        return {run.id for run in there}

    def _runs_of(self, seq: int) -> set[str]:
        """The runs of an execution that has ended: what comes after it completes their history."""
        return {run for run in self.cells.get(seq, {}).get("runs") or () if run in self.runs}

    def close_open_runs(self, reason: str = DIED) -> set[str]:
        """End what the session left open as KILLED at the last sign of life; the ids of those runs."""
        left = {run.id for run in self.runs.values() if run.open}
        for identifier in left:
            run = self.runs[identifier]
            run.status, run.reason, run.ended = KILLED, reason, max(self.last, run.started or 0.0)
        return left

    def history(self, last_seq: int | None = None) -> list[dict[str, Any]]:
        """The executions up to `last_seq` in true order, as CellEvent JSON; what has not ended is "running", in a dead session "killed"."""
        unfinished = "running" if self.ended is None else "killed"
        events = dict(self.cells)
        for seq, begin in list(self.begun.items()):  # a request may read on while this is delivered
            known = {key: begin[key] for key in ("cell", "source", "started") if key in begin}
            events[seq] = {"session": self.id, "seq": seq, "source": "", "started": 0.0, "seconds": 0.0, "status": unfinished} | known
        return [self._whole(events[seq]) for seq in sorted(events) if last_seq is None or seq <= last_seq]

    def _whole(self, event: dict[str, Any]) -> dict[str, Any]:
        seq = event["seq"]
        outputs = [*event.get("outputs", ()), *self.shown.get(seq, ())]
        values = {**event.get("values", {}), **self.values.get(seq, {})}
        fetched = {name: [told[1:] for told in sorted(given)] for name, given in self.fetched.get(seq, {}).items()}
        return event | {"outputs": outputs, "values": values, "fetched": {**event.get("fetched", {}), **fetched}}

    def _seen(self, moment: Any) -> None:
        self.last = max(self.last, float(moment or 0.0))


def _join(outputs: list[dict[str, Any]], more: Iterable[dict[str, Any]]) -> None:
    """Add outputs; what goes on in the same stream becomes one text."""
    for output in more:
        last = outputs[-1] if outputs else {}
        texts = [item.get("data", {}).get("text/plain") for item in (last, output)]
        streams = [(item.get("kind"), item.get("name")) for item in (last, output)]
        if streams[0] == streams[1] and streams[0][0] == "stream" and all(isinstance(text, str) for text in texts):
            outputs[-1] = last | {"data": {"text/plain": "".join(map(str, texts))}}
        else:
            outputs.append(dict(output))


def fold_session(records: Iterable[Mapping[str, Any]], *, died: str | None = None) -> SessionState:
    """The session that a whole journal describes; `died` is the reason its open runs get when it is known to be dead."""
    session = SessionState()
    session.add(records)
    if died is not None and session.ended is None:
        session.close_open_runs(died)
        session.ended = session.last
    return session


def fold(records: Iterable[Mapping[str, Any]], *, died: str | None = None) -> dict[str, RunState]:
    """The runs of a journal by id, in the order they began."""
    return fold_session(records, died=died).runs


def _which(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What tells an input from others: its name and content, or the state of its file where the content is not read yet."""
    return item.get("name"), item.get("digest"), *(() if item.get("digest") else item.get("stat") or ())


def to_run(state: RunState, session: SessionState, *, experiment: str, mlflow_id: str | None = None, model_uri: str = "") -> Run:
    """The run as every surface shows it; `mlflow_id` where MLflow has it already."""
    model = None
    if state.models:
        last = state.models[-1]
        model = {"name": last.get("name", ""), "class": last.get("class", ""), "flavor": last.get("flavor", ""), "uri": model_uri}
    return Run(
        id=mlflow_id or state.adopted or state.id,
        name=state.name,
        status=DELETED if state.deleted else state.status or RUNNING,
        experiment=state.experiment or experiment,
        started=state.started or state.at,
        seconds=None if state.ended is None or state.started is None else max(0.0, state.ended - state.started),
        params=dict(state.params),
        metrics={key: _number(value) for key, value in state.latest().items()},
        inputs=tuple(state.inputs),
        model=model,
        notebook=state.notebook or str(session.header.get("notebook") or ""),
        cell=state.cell,
        parent=state.parent,
        error=state.error,
        tags={key: value for key, value in state.tags.items() if value is not None and not key.startswith(("mlops.", "mlflow."))},
        series=state.series(),
        skipped=tuple(state.skipped),
        note=state.note or "",
        session=session.id,
        cells=tuple(sorted(state.cells)),
        own_id=state.id,
        replay=state.tags.get("mlops.replay"),
        pipeline=pipeline_of(state.tags),
        delivered=mlflow_id is not None,
    )


def pipeline_of(tags: Mapping[str, str | None]) -> dict[str, str]:
    """What the tags of a run tell of the pipeline that it is of; {} for any other run."""
    found = {name: text for name in PIPELINE_TAGS if (text := tags.get(f"mlops.{name}"))}
    return found if "pipeline" in found else {}


def merge(run: Run, patch: RunState) -> Run:
    """`run` with a patch on top that is not delivered yet."""
    return replace(
        run,
        params={**run.params, **patch.params},
        metrics={**run.metrics, **patch.latest()},
        series={**run.series, **patch.series()},
        tags={key: value for key, value in {**run.tags, **patch.tags}.items() if value is not None},
        note=run.note if patch.note is None else patch.note,
        name=patch.name or run.name,
        status=DELETED if patch.deleted else run.status,
        delivered=False,
    )


def with_points(run: Run, points: Mapping[str, Sequence[tuple[int, int, float]]]) -> Run:
    """`run` with the metrics that others logged to it, as {key: [(step, time in milliseconds, value), ...]}; what it has itself stays."""
    added = {key: sorted(given) for key, given in points.items() if given and key not in run.metrics and not key.startswith(_MACHINE)}
    stepped = {key: given for key, given in added.items() if len({step for step, _, _ in given}) > 1}
    return replace(
        run,
        metrics={**run.metrics, **{key: given[-1][2] for key, given in added.items()}},
        series={**run.series, **{key: [[step, value] for step, _, value in given] for key, given in stepped.items()}},
    )


def _number(value: Any) -> float:
    try:
        return value if isinstance(value, int) and abs(value) < 2**53 else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
