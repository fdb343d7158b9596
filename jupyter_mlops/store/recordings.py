"""What of a session is needed to run it again: its executions up to one of them, and all that they made. Pure but for what is given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .runs import RunState, SessionState, to_run

Described = Callable[[str], Mapping[str, Any]]


def recording(records: Iterable[Mapping[str, Any]], last: int, described: Described, *, ended: bool = True) -> dict[str, Any]:
    """The session of a journal up to its execution `last`, as plain JSON.

    {"session", "project", "cwd", "notebook", "block", "events", "runs", "models", "tables", "environments", "modules"}; `described` gives
    the environment of a digest, `ended` says that nothing more will come. What later executions added to a run is left out.
    """
    records = list(records)
    session, environments = _until(records, last)
    if ended and session.ended is None:
        session.ended = session.last
    runs = {key: state for key, state in session.runs.items() if state.own and not state.deleted and _within(state, last)}
    return {
        **_place(session.header),
        "block": _block(records, runs.values()),
        "events": session.history(last),
        "runs": [to_run(state, session, experiment=str(session.header.get("experiment") or "")) for state in runs.values()],
        **results(runs),
        "environments": [[seq, told] for seq, digest in environments if (told := described(digest))],
        "modules": [[seq, module] for seq in sorted(session.modules) if seq <= last for module in session.modules[seq]],
    }


def results(runs: Mapping[str, RunState]) -> dict[str, Any]:
    """The models and tables of runs, by the runs' own ids, as their records name them."""
    return {
        "models": {key: state.models for key, state in runs.items() if state.models},
        "tables": {key: state.tables for key, state in runs.items() if state.tables},
    }


def portable(session: SessionState, state: RunState, described: Mapping[str, Any]) -> dict[str, Any]:
    """The same for one run, but for its executions: what its history file says besides the cells, for other machines."""
    return {
        **_place(session.header),
        "partial": True,
        "block": _block([{"kind": "run", "id": state.id, "name": state.name, "params": {}}], [state]),
        "runs": [to_run(state, session, experiment=str(session.header.get("experiment") or ""))],
        **results({state.id: state}),
        "environments": [[state.last_seq, plain(described)]] if described else [],
        "modules": [[seq, module] for seq in sorted(session.modules) if seq <= state.last_seq for module in session.modules[seq]],
    }


def plain(described: Mapping[str, Any]) -> dict[str, Any]:
    """A described environment without the text of what was not committed, which can be large."""
    git = described.get("git")
    return dict(described) | ({"git": {key: value for key, value in git.items() if key != "diff"}} if isinstance(git, Mapping) else {})


def _place(header: Mapping[str, Any]) -> dict[str, Any]:
    project = str(header.get("project") or "")
    return {
        "session": str(header.get("session") or ""),
        "project": project,
        "cwd": str(header.get("cwd") or project),
        "notebook": str(header.get("notebook") or ""),
    }


def _block(records: Iterable[Mapping[str, Any]], runs: Iterable[RunState]) -> dict[str, Any]:
    """The run that was open before the first execution, as that of a pipeline's step is: {"name", "params" it was given}; else {}."""
    found = [state.id for state in runs if state.seq is None and state.adopted is None and state.started is not None]
    if len(found) != 1:
        return {}
    first = next(record for record in records if record.get("kind") == "run" and record["id"] == found[0])
    return {"name": str(first.get("name") or ""), "params": dict(first.get("params") or {})}


def _within(state: RunState, last: int) -> bool:
    return min([*state.cells, state.seq or last]) <= last


def _until(records: list[Mapping[str, Any]], last: int) -> tuple[SessionState, list[tuple[int, str]]]:
    """The session as it was after execution `last`, with what came late of that (digests, outputs); environments by their execution."""
    later = {run for record in records if record.get("kind") == "cell" and record["seq"] > last for run in record.get("runs") or ()}
    session, environments, over, seq = SessionState(), list[tuple[int, str]](), False, 0
    for record in records:
        kind = record.get("kind")
        if kind in ("begin", "cell"):
            seq = max(seq, int(record["seq"]))
            over = over or seq > last
        if kind == "session" and record.get("environment") and not (over and environments):
            environments.append((min(seq, last), str(record["environment"])))
        if over and (record.get("seq", 0) > last or (kind == "run" and record["id"] in later)):
            continue
        session.add([record])
    return session, environments
