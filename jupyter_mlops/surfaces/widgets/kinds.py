"""The widgets, one for each sort of answer: which view draws it, and what that finds in its model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import traitlets

from ...errors import UsageError
from ...records import Check, Drift, Monitoring, PipelineRun, Run, Validation
from ..answers import Comparison, Plan, Runs
from ..blocks import Blocks
from ..drawing import layout
from ..monitoring_view import drift_table
from .view import ViewWidget, seen


class RunsWidget(ViewWidget[Runs]):
    """A table of runs that can be sorted and unfolded.

    `selected` holds the ids of the runs that are ticked, in the order in which they were. It can be set, too: by ids, names or runs.
    """

    view: ClassVar[str] = "runs"

    runs = seen()
    selected = traitlets.Tuple(help="The ids of the ticked runs.").tag(sync=True)
    unfolded: traitlets.List[Any] = traitlets.List(help="The ids of the unfolded runs.").tag(sync=True)
    metric = traitlets.Unicode(None, allow_none=True, help="The metric beside the names; None: the one that most runs have.").tag(sync=True)
    param = traitlets.Unicode("", help="The parameter beside the names.").tag(sync=True)
    sort = traitlets.Dict(None, allow_none=True, help='{"column": ..., "descending": ...}').tag(sync=True)

    def values(self, given: Runs) -> Mapping[str, Any]:
        return {"runs": given}

    @property
    def chosen(self) -> Runs:
        """The ticked runs themselves."""
        known = {run.id: run for run in self.given}
        return Runs(known[ref] for ref in self.selected)

    @traitlets.validate("selected")
    def _known(self, proposal: Mapping[str, Any]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._id_of(ref) for ref in proposal["value"]))

    def _id_of(self, ref: object) -> str:
        """The id of a run that is named as everywhere: by its id, the beginning of it, its name, or the run itself."""
        named = ref.id if isinstance(ref, Run) else str(ref)
        found = [run.id for run in self.given if named in (run.id, run.name)]
        found = found or [run.id for run in self.given if named and run.id.startswith(named)]
        if len(found) == 1:
            return found[0]
        known = "Several runs of this table are called" if found else "No run of this table is called"
        raise UsageError(f"{known} {named!r}: select by id, or by the beginning of one that only one run has.")


class ComparisonWidget(ViewWidget[Comparison]):
    """Runs side by side."""

    view: ClassVar[str] = "comparison"
    answer = seen()

    def values(self, given: Comparison) -> Mapping[str, Any]:
        return {"answer": given}


class PipelineWidget(ViewWidget[PipelineRun | Plan]):
    """The graph of a pipeline: what became of its steps (a run), or what it would do (a plan)."""

    view: ClassVar[str] = "pipeline"
    name, graph, steps, plan = seen(), seen(), seen(), seen()

    selected = traitlets.Unicode("", help="The step that is told of below the graph.").tag(sync=True)

    def values(self, given: PipelineRun | Plan) -> Mapping[str, Any]:
        planned = isinstance(given, Plan)
        edges = {name: tuple(sources) for name, sources in given.edges.items()}
        steps = {"steps": () if planned else given.steps, "plan": given.steps if planned else ()}
        return {"name": given.name, "graph": layout(edges), **steps}


class MonitoringWidget(ViewWidget[Monitoring]):
    """How a model in service does: alerts, drift and performance over time, health."""

    view: ClassVar[str] = "monitoring"
    monitoring = seen()

    def values(self, given: Monitoring) -> Mapping[str, Any]:
        return {"monitoring": given}


class DriftWidget(ViewWidget[Validation]):
    """How the columns of data differ from its reference."""

    view: ClassVar[str] = "drift"
    drift = seen()

    def values(self, given: Validation) -> Mapping[str, Any]:
        return {"drift": given.drift}

    def below(self) -> Blocks:
        return [drift_table([Drift.of(item) for item in self.given.drift])]


class GatesWidget(ViewWidget[Check]):
    """A model held against its gates."""

    view: ClassVar[str] = "gates"
    check = seen()

    def values(self, given: Check) -> Mapping[str, Any]:
        return {"check": given}
