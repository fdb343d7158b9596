"""The verb `lineage`: where a run, a model version or a prediction comes from, and what came from data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .. import config
from ..errors import NotFound, UsageError
from ..records import Node, Run, Trace, Usage
from .answers import short
from .arguments import is_digest


def lineage(ref: str | None, of: str | None, out: Path | None) -> Node | Trace:
    """What `ref` names, and what is behind it. Raises NotFound and UsageError."""
    from .ancestry import of_result, of_run
    from .commands import cells_of, find

    if ref is not None and of is None and (traced := _traced(ref)) is not None:
        return traced if out is None else _listed(traced, out)
    try:
        run = find(ref)
    except NotFound:
        if ref is not None and "." in ref and of is None:
            return lineage(ref.partition(".")[0], ref.partition(".")[2], out)
        if ref is None or not is_digest(ref):
            raise
        return _of_data(ref, out)
    if out is not None:
        raise UsageError("--out lists predictions: give NAME/VERSION of a model, or the digest of data.")
    return of_run(run, cells_of(run)) if of is None else of_result(run, of)


def _traced(ref: str) -> Trace | None:
    """The trace of a prediction or a version; None where `ref` names neither."""
    from .commands import find

    if "/" not in ref and "@" not in ref and not _is_prediction(ref):
        return None
    from ..models.predictions import tracing

    settings = config.load()
    if _is_prediction(ref):
        return tracing.of_prediction(settings, ref)
    try:
        return tracing.of_version(settings, ref)
    except (NotFound, UsageError):
        try:
            find(ref)
        except NotFound:
            pass
        else:
            return None
        raise


def _is_prediction(ref: str) -> bool:
    """Whether a text has the form of a prediction's id; what reads predictions is imported only then."""
    return len(ref) >= 27 and ref.startswith("p") and all(letter in "0123456789abcdef" for letter in ref[1:])


def _of_data(digest: str, out: Path | None) -> Node:
    from ..models.predictions import tracing
    from .ancestry import of_snapshot, users_of
    from .commands import runs

    known = runs(limit=10_000)
    made_by = {identifier for run, _ in users_of(digest, known) for identifier in _ids(run)}
    versions = tracing.users(config.load(), digest, made_by)
    node = of_snapshot(digest, known, versions)
    if out is None:
        count = sum(item.predictions for item in versions)
        told = Node(kind="predictions", name=f"{count:,} predictions", detail=f"`mlops lineage {digest[:12]} --out FILE` lists them")
        return replace(node, below=(*node.below, told)) if count else node
    count = _write(versions, out)
    told = Node(kind="predictions", name=f"{count:,} predictions", detail=f"written to {short(str(out))}")
    return replace(node, below=(*node.below, told))


def _listed(trace: Trace, out: Path) -> Trace:
    if trace.used is None:
        raise UsageError("--out lists the predictions of a version or of data: give NAME/VERSION or a digest, not one prediction.")
    _write([trace.used], out)
    return replace(trace, written=str(out))


def _write(versions: Sequence[Usage], out: Path) -> int:
    from ..models.predictions.listing import write

    return write(config.load(), [(item.model, item.version) for item in versions if item.predictions], out)


def _ids(run: Run) -> tuple[str, ...]:
    return tuple(identifier for identifier in (run.id, run.own_id) if identifier)
