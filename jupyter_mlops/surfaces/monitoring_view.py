"""How a monitoring reads: what is alarming, then drift, performance and the service as tables."""

from __future__ import annotations

import time
from typing import Any

from ..records import Alert, Drift, Monitoring
from .blocks import Block, Blocks, Cell, Table, Text
from .line import number
from .quantities import size, span

_SHOWN = 40
_TONES = {"drift": "bad", "none": "plain", "insufficient data": "faint"}


def monitoring_blocks(found: Monitoring) -> Blocks:
    """A verdict, the alerts, and tables."""
    tone = {"alert": "bad", "well": "good"}.get(found.verdict, "plain")
    truth = f", the truth of {found.labelled:,} is known" if found.labelled else ""
    blocks: list[Block] = [
        Text(f"{found.model} version {found.version}", "title"),
        Text(f"{found.verdict}: {found.rows:,} predictions from {moment(found.start)} to {moment(found.end)}{truth}", tone),
    ]
    blocks += [Text(f"{alert.kind}: {alert.what}", "bad") for alert in map(Alert.of, found.alerts)]
    drift = [Drift.of(item) for item in found.drift]
    if drift:
        blocks.append(drift_table(drift))
        if len(drift) > _SHOWN:
            blocks.append(Text(f"and {len(drift) - _SHOWN} more columns; --json and --html show all", "faint"))
    if found.performance:
        blocks.append(performance_table(found))
    if found.slices:
        blocks.append(groups_table(found))
    if found.service.get("requests"):
        blocks.append(Text(service_line(found.service)))
    return [*blocks, *(Text(note, "faint") for note in found.notes)]


def drift_table(drift: list[Drift], most: int = _SHOWN) -> Table:
    """Columns, those that drifted first."""
    ordered = sorted(drift, key=lambda item: (item.verdict != "drift", item.verdict != "none", -(item.psi or 0.0)))[:most]
    columns = ("column", "verdict", "psi", "distance", "missing", "p", "test", "why")
    rows = [
        (
            Cell(item.column),
            Cell(item.verdict, _TONES[item.verdict]),
            Cell(_figure(item.psi), number=True),
            Cell(_figure(item.wasserstein), number=True),
            Cell(f"{item.missing[1]:.1%}" if any(item.missing) else "", number=True),
            Cell("" if item.p_value is None else f"{item.p_value:.2g}", number=True),
            Cell(item.method, "faint"),
            Cell("; ".join([*([item.why] if item.why else []), *([f"new: {', '.join(item.new[:4])}"] if item.new else [])]), "faint"),
        )
        for item in ordered
    ]
    return Table(columns, tuple(rows), needed=3, elastic=7)


def performance_table(found: Monitoring) -> Table:
    """Metrics with their intervals, beside those on the test data."""
    rows = []
    for name, item in found.performance.items():
        interval = item.get("interval")
        between = " to ".join(number(end) for end in interval) if interval else item.get("why", "")
        value, before = (item.get(key) for key in ("value", "reference"))
        rows.append(
            (
                Cell(name),
                Cell("failed" if value is None else number(value), number=True),
                Cell(between, "faint"),
                Cell("" if before is None else number(before), number=True),
                Cell(f"{item['rows']:,}", "faint", number=True),
            )
        )
    return Table(("metric", "value", "95% interval", "on test data", "rows"), tuple(rows))


def groups_table(found: Monitoring) -> Table:
    """A metric by slice and group."""
    rows = [
        (
            Cell(f"{item['column']} = {item['group']}"),
            Cell(str(item["metric"])),
            Cell(
                item["why"] if item["value"] is None else number(item["value"]), "faint" if item["value"] is None else "plain", number=True
            ),
            Cell("" if item["interval"] is None else " to ".join(number(end) for end in item["interval"]), "faint"),
            Cell(f"{item['rows']:,}", "faint", number=True),
        )
        for item in found.slices
    ]
    return Table(("group", "metric", "value", "95% interval", "rows"), tuple(rows))


def service_line(service: Any) -> str:
    """The service in a sentence."""
    latency = service.get("latency") or {}
    times = ", ".join(f"{name} {span(value)}" for name, value in latency.items() if value is not None)
    return (
        f"service: {service['requests']:,} requests ({service['requests_per_second']:.3g}/s), {service['error_rate']:.2%} failed, "
        f"{service['refused']:,} refused; latency {times}; {size(int(service['memory']))} of memory, {service['cpu']:.2g} cores"
    )


def moment(seconds: float) -> str:
    """A time on this machine's clock."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds > 0 else "the beginning"


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
