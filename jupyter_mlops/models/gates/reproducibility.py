"""The gate on reproducibility: a replay of the model's run gave the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...records import Gate
from .evidence import Evidence, Needed

_ENOUGH = {"identical": ("identical",), "tolerance": ("identical", "tolerance")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproducibility:
    """The verdict of the last replay of the run that made the model; with `replay` it is replayed here where that was not done yet."""

    kind: ClassVar[str] = "reproducibility"
    reproducibility: str = "identical"
    replay: bool = False

    @property
    def name(self) -> str:
        return "replay identical" if self.reproducibility == "identical" else "replay identical or within float tolerance"

    @property
    def bound(self) -> float | None:
        return None

    def check(self, evidence: Evidence) -> Gate:
        run = evidence.run
        if run is None:
            raise Needed("the run that made the model")
        verdict, why = run.replay, "as the last replay of its run showed"
        if verdict is None and self.replay and evidence.settings is not None:
            from ...replay.replaying import Wish
            from ...replay.replaying import replay as replayed

            told = replayed(run.own_id or run.id, evidence.settings, Wish())
            verdict, why = told.verdict, "replayed for this check"
        if verdict is None:
            raise Needed(f"a replay of its run: `mlops replay {run.id[:8]}`")
        state = "passed" if verdict in _ENOUGH[self.reproducibility] else "failed"
        return Gate(name=self.name, state=state, why=f"{verdict}, {why}", kind=self.kind, details={"verdict": verdict, "run": run.id})
