"""Lineage as a tree: a result and the statements, parameters, data and files that made it; a snapshot and the runs that came from it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import MlopsError, NotFound
from ..records import CellEvent, Input, Node, Run, Usage
from .answers import inputs_of, short
from .prediction_view import counted


def of_run(run: Run, cells: Sequence[CellEvent]) -> Node:
    """The lineage of a run: its parameters and data, and its model and metrics with the statements that made them.

    Of a run without a recording (another tool wrote it), the cells take the place of the statements.
    """
    from .origins import results_of

    try:
        made = results_of(run, None)
    except MlopsError:
        made = []
    return Node(
        kind="run",
        name=run.name,
        ref=run.id,
        detail=", ".join(f"{name} {value:.4g}" for name, value in list(run.metrics.items())[:4]),
        below=(
            *(made or _model(run)),
            *(Node(kind="parameter", name=name, detail=_value(value)) for name, value in run.params.items()),
            *(_data(item) for item in inputs_of(run)),
            *(() if made else (_cell(event, run) for event in cells)),
        ),
    )


def of_result(run: Run, name: str) -> Node:
    """The lineage of one result of a run. Raises NotFound where the run has none of this name."""
    from .origins import results_of

    made = results_of(run, name)
    return made[0] if len(made) == 1 else Node(kind="run", name=run.name, ref=run.id, below=tuple(made))


def of_snapshot(digest: str, runs: Iterable[Run], versions: Sequence[Usage] = ()) -> Node:
    """The runs whose inputs have this digest (or one that begins so), below the snapshot, with the versions that came of them, and those
    versions that it was given to otherwise."""
    users = users_of(digest, runs)
    if not users and not versions:
        raise NotFound("run or snapshot", digest, "`mlops runs` lists the runs; `mlops show RUN` lists the data that a run used.")
    made = [(version, next((run.id for run, _ in users if version.run in (run.id, run.own_id)), "")) for version in versions]
    below = tuple(
        Node(kind="run", name=run.name, ref=run.id, detail=f"as {item.name}", below=_versions(made, run.id)) for run, item in users
    )
    below = (*below, *_versions(made, ""))
    if not users:
        return Node(kind="data", name="data", ref=digest, below=below)
    item = users[0][1]
    return Node(kind="data", name=item.name, ref=item.digest or "", detail=_size(item), below=below)


def users_of(digest: str, runs: Iterable[Run]) -> list[tuple[Run, Input]]:
    """The runs that used data with this digest, each with the input that it is."""
    return [(run, item) for run in runs for item in inputs_of(run) if item.digest is not None and item.digest.startswith(digest)]


def _versions(made: Sequence[tuple[Usage, str]], run: str) -> tuple[Node, ...]:
    return tuple(
        Node(kind="version", name=f"{item.model}/{item.version}", ref=f"{item.model}/{item.version}", detail=counted(item))
        for item, maker in made
        if maker == run
    )


def _model(run: Run) -> list[Node]:
    if not run.model:
        return []
    texts = {key: str(run.model.get(key) or "") for key in ("name", "uri", "class")}
    return [Node(kind="model", name=texts["name"] or "model", ref=texts["uri"], detail=texts["class"])]


def _data(item: Input) -> Node:
    where = (Node(kind="file", name=short(item.source)),) if item.source and item.kind not in ("file", "folder") else ()
    detail = _size(item) if item.kept or not item.why else f"{_size(item)}; digest only: {item.why}"
    kind, name = ("file", short(item.source or item.name)) if item.kind in ("file", "folder") else ("data", item.name)
    return Node(kind=kind, name=name, ref=item.digest or "", detail=detail, below=where)


def _size(item: Input) -> str:
    if item.rows is not None and item.columns is not None:
        return f"{item.kind}, {item.rows:,} rows x {item.columns:,} columns"
    return f"{item.kind}, {item.size:,} bytes" if item.size else item.kind


def _cell(event: CellEvent, run: Run) -> Node:
    files = [*((_path(item), "read") for item in event.files_read), *((_path(item), "written") for item in event.files_written)]
    first = next((line.strip() for line in event.source.splitlines() if line.strip()), "")
    return Node(
        kind="cell",
        name=f"[{event.seq}] {first[:80]}",
        ref=event.cell,
        detail=run.notebook if run.notebook and event.cell == run.cell else "",
        below=tuple(Node(kind="file", name=short(path), detail=how) for path, how in files if path),
    )


def _path(item: Any) -> str:
    if isinstance(item, dict):
        return str(item.get("source") or item.get("name") or "")
    return str(getattr(item, "source", item))


def _value(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
