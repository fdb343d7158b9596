"""What verbs return where no record of `records` fits: lists, comparisons, reports. Plain data; how they look is said in `views`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, Any

from ..records import AuditEntry, CellEvent, Firing, Input, Node, Problem, Run, Schedule, StepPlan, Trace, to_json

if TYPE_CHECKING:
    import pandas as pd


class Runs(tuple[Run, ...]):
    """Runs, newest first (or as sorted). A tuple that shows itself as a table; `.to_frame()` gives a pandas frame."""

    sought: str = ""
    """The filter, or the experiment, that the runs were asked for with."""

    def to_frame(self) -> pd.DataFrame:
        """One row for each run; parameters and metrics as columns `params.NAME` and `metrics.NAME`."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each run, all with the same keys; None where a run has no such value."""
        params = sorted({name for run in self for name in run.params})
        metrics = sorted({name for run in self for name in run.metrics})
        return [
            {name: getattr(run, name) for name in ("id", "name", "status", "experiment", "started", "seconds")}
            | {f"params.{name}": run.params.get(name) for name in params}
            | {f"metrics.{name}": run.metrics.get(name) for name in metrics}
            | {"model": (run.model or {}).get("class"), "notebook": run.notebook, "cell": run.cell}
            for run in self
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole story of one run: the run itself and the executions of cells that belong to it, in true order."""

    run: Run
    cells: tuple[CellEvent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Runs side by side. `params`, `metrics` and `inputs` map each name
    that differs to one value for each run (None: it has none).

    `same` counts the names with equal values; `code` holds, for each run after the first, how its cells differ from the first's (unified).
    """

    runs: tuple[Run, ...]
    params: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    metrics: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    inputs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    same: Mapping[str, int] = field(default_factory=dict)
    code: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a verb did to a run by hand: `did` is logged, tagged, noted or deleted."""

    did: str
    run: str
    name: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """Whether cells are captured: `state` is on, off or none (no session here); `details` says where they go and how many wait."""

    state: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The outcome of `verify` or `doctor`: one Problem for each thing that was checked."""

    title: str
    problems: tuple[Problem, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything that was checked is well."""
        return all(problem.ok for problem in self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """Objects that `gc` removed, or would remove (`dry_run`), and their bytes; `files` of pipelines' outputs that no step used lately, with
    `file_bytes`, and due times of schedules that are long past (`firings`)."""

    removed: int
    freed: int
    dry_run: bool = False
    files: int = 0
    file_bytes: int = 0
    firings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What `init` wrote in the project folder; `changed` is empty when everything was there already. `notes` say what is left to do."""

    project: str
    experiment: str
    changed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page that this computer serves until `process` ends; `store` is what it shows."""

    url: str
    store: str
    process: Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run of a pipeline would do, step by step, and why. `edges` maps each step to those that it waits for."""

    name: str
    steps: tuple[StepPlan, ...] = ()
    edges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """An edge of a drawn graph, and the [layer, row] of each place between its ends where it passes nodes by."""

    source: str
    target: str
    through: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the nodes of a graph stand, whichever way it is drawn: the [layer, row] of each, at least one row apart in a layer."""

    nodes: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    trails: tuple[Trail, ...] = ()


class Schedules(tuple[Schedule, ...]):
    """Schedules by name. A tuple that shows itself as a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduled:
    """What was done with a schedule: `did` is added, changed, removed, paused or resumed."""

    did: str
    schedule: Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The due times of the schedule `name`, the latest first; `more` tells that there are earlier ones. `timezone` is its clock's."""

    name: str
    timezone: str
    firings: tuple[Firing, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a scheduler ran that was to run what was due at one moment; `coming` says what is due next."""

    firings: tuple[Firing, ...] = ()
    coming: str = ""


AboutSchedules = Schedules | Scheduled | History | Served
"""What the verbs of schedules return."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """The workflow that `export` wrote for a platform; `changed` tells whether the file was not so before, `notes` what is left to do."""

    path: str
    to: str
    changed: bool
    notes: tuple[str, ...] = ()


class Entries(tuple[AuditEntry, ...]):
    """Entries of the audit log, newest first. A tuple that shows itself as a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One act of the demo: its `name`, and what came of it in a sentence."""

    name: str
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What the demo made: the `acts` of the loop; the first `notebook` as executed and, of its runs, the table, a comparison and a lineage;
    the trace of one `prediction`. `next` maps commands that work in its folder to what they show; `seconds` is what all took."""

    notebook: str
    acts: tuple[Act, ...]
    runs: tuple[Run, ...]
    comparison: Comparison
    lineage: Node
    prediction: Trace
    next: Mapping[str, str]
    seconds: float


def plain(answer: Any) -> Any:
    """The plain JSON values of an answer, as `--json` prints them."""
    if isinstance(answer, Page):
        return {"event": "serving", "url": answer.url, "store": answer.store, "pid": answer.process.pid}
    if isinstance(answer, bytes):
        return {"bytes": len(answer)}
    if hasattr(answer, "to_json"):  # pandas: a frame or series that was loaded
        return json.loads(answer.to_json(date_format="iso"))
    return answer.tolist() if hasattr(answer, "tolist") else to_json(answer)


def inputs_of(run: Run) -> list[Input]:
    """The inputs of a run as records, whether it was read from JSON or not."""
    return [Input.of(item) for item in run.inputs]


def short(path: str) -> str:
    """A path as the reader knows it: relative to the working folder where it lies below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
