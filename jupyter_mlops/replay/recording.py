"""A recording: what a session did up to a run, with everything that is needed to run it again. A replay makes another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import NotFound
from ..records import CellEvent, Run
from ..store import client

UNTRACKED = "untracked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A session up to the last execution of `run`. `events` are all its executions in their true order, with outputs where known.

    `runs` are those that these executions made; `models` and `tables` hold their records, by the own ids of the runs. `environments` are
    (seq of the execution after which it was described, environment), `modules` (seq of the execution that met this version first,
    {"module", "path", "digest"}), and `fetched` the snapshots of the frames that network and database statements bound, by seq and name:
    the last one of each name (`CellEvent.fetched` has them all). Where `events` are only some of the executions, as of a slice, `history`
    has them all as they were; `block` is the run that all of them belong to, if one was open before the first (see `store.recordings`). One
    that is `restarted` draws from the generator states that its own `events` hold, whatever came before.
    """

    run: Run
    session: str
    project: Path
    cwd: Path
    notebook: str = ""
    events: tuple[CellEvent, ...]
    runs: tuple[Run, ...] = ()
    models: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    tables: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    environments: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    modules: tuple[tuple[int, Mapping[str, str]], ...] = ()
    fetched: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    history: tuple[CellEvent, ...] = ()
    block: Mapping[str, Any] = field(default_factory=dict)
    partial: bool = False
    restarted: bool = False

    def event(self, seq: int) -> CellEvent:
        """The execution `seq`. Raises NotFound."""
        for event in self.events:
            if event.seq == seq:
                return event
        raise NotFound("execution", str(seq), f"The recording has {len(self.events)}.")

    @property
    def environment(self) -> Mapping[str, Any]:
        """The environment as it was described last; {} where it never was."""
        return self.environments[-1][1] if self.environments else {}


def recorded(ref: str | None, settings: Settings) -> Recording:
    """The recording of the run that `ref` names (None: the last run), from the journal on this machine or from the run's files in MLflow.

    Raises NotFound when there is no such run or nothing of its history is left, UsageError when no tracked cells made it.
    """
    if ref is None:
        latest = client.ask(settings, "runs", where="", sort="", limit=1, offset=0, experiment=None)
        if not latest:
            raise NotFound("run in", settings.project.name, "Fit a model in a notebook after `%load_ext jupyter_mlops`.")
        ref = str(latest[0]["id"])
    return from_json(client.ask(settings, "recording", ref=ref))


def from_json(told: Mapping[str, Any]) -> Recording:
    """The recording that `store.recordings` tells as plain JSON, with "run" added."""
    events = tuple(CellEvent.from_json(event) for event in told["events"])
    return Recording(
        run=Run.from_json(told["run"]),
        session=told["session"],
        project=Path(told["project"]),
        cwd=Path(told["cwd"]),
        notebook=told.get("notebook") or "",
        block=told.get("block") or {},
        partial=bool(told.get("partial")),
        events=events,
        runs=tuple(Run.from_json(run) for run in told["runs"]),
        models={run: tuple(models) for run, models in told["models"].items()},
        tables={run: tuple(tables) for run, tables in told["tables"].items()},
        environments=tuple((seq, environment) for seq, environment in told["environments"]),
        modules=_modules(told),
        fetched={event.seq: {name: given[-1][0] for name, given in event.fetched.items()} for event in events if event.fetched},
    )


def _modules(told: Mapping[str, Any]) -> tuple[tuple[int, Mapping[str, str]], ...]:
    """The versions of local modules; of a journal that tells no times, those of its environments."""
    if told.get("modules"):
        return tuple((seq, module) for seq, module in told["modules"])
    found: dict[tuple[str, str], tuple[int, Mapping[str, str]]] = {}
    for seq, environment in told["environments"]:
        for module in environment.get("modules") or ():
            found.setdefault((module["path"], module["digest"]), (seq, module))
    return tuple(found.values())


def with_sources(recording: Recording, sources: Mapping[int, str]) -> Recording:
    """The same recording with only these executions, their code replaced: what a slice plays. Runs stay as they were recorded."""
    events = tuple(replace(event, source=sources[event.seq]) for event in recording.events if event.seq in sources)
    return replace(recording, events=events, history=recording.history or recording.events)
