"""How predictions, labels and where a prediction comes from read."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ..records import Labelled, ModelVersion, Prediction, Run, Scored, Trace, Usage
from .answers import short
from .blocks import Block, Blocks, Cell, Code, Table, Text
from .line import number
from .quantities import span

_MOST = 10


def scored_blocks(found: Scored) -> Blocks:
    """How many rows were predicted, by which version, and where they are."""
    speed = f" · {found.rows / found.seconds:,.0f} rows/s" if found.seconds > 0 and found.rows else ""
    where = "" if found.workers == "local" else f" · {found.workers}"
    blocks: list[Block] = [
        Text(f"{found.model}/{found.version}", "title"),
        Text(f"{found.rows:,} rows of {found.data} · {span(found.seconds)}{speed}{where}"),
    ]
    if found.out:
        blocks.append(Text(f"written to {short(found.out)}", "good"))
    elif found.predictions:
        shown = found.predictions[:_MOST]
        heads = ("row", "prediction", *(("id",) if found.ids else ()))
        rows = tuple(
            (Cell(str(place), "faint"), Cell(_value(value), number=True), *((Cell(found.ids[place], "faint"),) if found.ids else ()))
            for place, value in enumerate(shown)
        )
        blocks.append(Table(heads, rows))
        if len(found.predictions) > len(shown):
            blocks.append(Text(f"{len(found.predictions) - len(shown):,} more: --out FILE writes them all", "faint"))
    if found.logged:
        blocks.append(Text(f"{found.logged:,} are in the log: `mlops lineage ID` tells where one comes from", "faint"))
    return [*blocks, *(Text(note, "faint") for note in found.notes)]


def labelled_blocks(found: Labelled) -> Blocks:
    """What the truth was joined to, and what it found no prediction for."""
    by = ", ".join(found.key)
    verdict = f"{found.matched:,} of {found.rows:,} rows belong to predictions of {found.model}, by {by}"
    changes = {"new": found.new, "changed (the earlier truth stays as history)": found.changed, "as before": found.unchanged}
    blocks: list[Block] = [
        Text(verdict + ".", "good" if found.matched else "bad"),
        Text("predictions: " + (", ".join(f"{count:,} {what}" for what, count in changes.items() if count) or "none")),
    ]
    if found.empty:
        blocks.append(Text(f"{found.empty:,} rows have no truth in {found.truth}.", "faint"))
    if found.missing:
        rows = tuple((Cell(str(item["row"]), number=True), Cell(str(item["key"]))) for item in found.missing[:_MOST])
        blocks.append(Table(("row", f"{by} without a prediction"), rows))
        if found.unmatched > len(rows):
            blocks.append(Text(f"{found.unmatched - len(rows):,} more rows have none", "faint"))
    return [*blocks, *(Text(note, "faint") for note in found.notes)]


def trace_blocks(trace: Trace) -> Blocks:
    """From the prediction down to the data, and what could not be had."""
    blocks: list[Block] = []
    if trace.prediction is not None:
        blocks += _prediction(Prediction.of(trace.prediction), trace.labels)
    if trace.version is not None:
        blocks += _version(ModelVersion.of(trace.version))
    if trace.used is not None:
        blocks.append(Text(counted(Usage.of(trace.used)), "plain"))
        if trace.written:
            blocks.append(Text(f"written to {short(trace.written)}", "good"))
        elif Usage.of(trace.used).predictions:
            blocks.append(Text(f"`mlops lineage {trace.ref} --out FILE.parquet` lists them", "faint"))
    if trace.run is not None:
        run = Run.of(trace.run)
        metrics = ", ".join(f"{name} {number(value)}" for name, value in list(run.metrics.items())[:4])
        where = f" in {short(run.notebook)}" if run.notebook else ""
        blocks += [Text(f"run {run.name}", "title"), Text(" · ".join(part for part in (f"run {run.id[:8]}{where}", metrics) if part))]
    if trace.data:
        blocks.append(_data(trace.data))
    if trace.code:
        kept, executed = trace.statements
        blocks.append(Text(f"minimal code: {kept} of {executed} statements", "title"))
        blocks.append(Code(trace.code.rstrip()))
        run_id = Run.of(trace.run).id[:8] if trace.run is not None else "RUN"
        blocks.append(Text(f"computed, not replayed: `mlops slice {run_id}` proves it", "faint"))
    return [*blocks, *(Text(f"missing: {text}", "bad") for text in trace.missing)]


def counted(used: Usage) -> str:
    """How many predictions a version made, and when."""
    if not used.predictions:
        return "no predictions in the log"
    when = f", {_when(used.first)} to {_when(used.last)}" if used.first is not None and used.last is not None else ""
    return f"{used.predictions:,} prediction{'s' * (used.predictions != 1)}{when}"


def _prediction(found: Prediction, labels: tuple[Any, ...]) -> Blocks:
    facts = (f"{found.model}/{found.version}", found.role, _when(found.at), span(found.seconds) if found.seconds else "")
    blocks: list[Block] = [
        Text(f"prediction {_value(found.output)}", "title"),
        Text(" · ".join(fact for fact in facts if fact)),
        Text(found.id, "faint"),
        Table(("input", "value"), tuple((Cell(name), Cell(_value(value), number=True)) for name, value in found.inputs.items())),
    ]
    for place, label in enumerate(labels):
        told = f"{_value(label['truth'])}, told {_when(label['at'])}"
        blocks.append(Text(f"truth: {told}") if place == 0 else Text(f"before: {told}", "faint"))
    return blocks


def _version(found: ModelVersion) -> Blocks:
    aliases = " ".join(f"@{alias}" for alias in found.aliases)
    facts = (aliases, found.flavor, f"registered by {found.by}" if found.by else "", _when(found.created) if found.created else "")
    digest = [Text(f"files {found.digest[:12]}", "faint")] if found.digest else []
    return [Text(f"version {found.name}/{found.version}", "title"), Text(" · ".join(fact for fact in facts if fact)), *digest]


def _data(items: tuple[Any, ...]) -> Table:
    def row(item: Mapping[str, Any]) -> tuple[Cell, ...]:
        rows = "" if item.get("rows") is None else f"{item['rows']:,}"
        kept = Cell("kept" if item.get("kept") else "digest only", "faint")
        return Cell(str(item["name"])), Cell(str(item["kind"]), "faint"), Cell(rows, number=True), Cell(str(item["digest"])[:12]), kept

    return Table(("data", "kind", "rows", "digest", ""), tuple(row(item) for item in items))


def _value(value: Any) -> str:
    text = number(value) if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _when(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
