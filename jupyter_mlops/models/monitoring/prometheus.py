"""A monitoring as Prometheus reads it (text exposition format 0.0.4), for a file that its node exporter collects."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...records import Alert, Drift, Monitoring


def text(found: Monitoring) -> str:
    """The figures of a monitoring, each labelled with the model and its version."""
    labels = {"model": found.model, "version": str(found.version)}
    lines: list[str] = []
    for name, told, samples in _families(found):
        kept = [(extra, value) for extra, value in samples if value is not None and math.isfinite(value)]
        if kept:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge"]
            lines += [f"{name}{{{_labels(labels | extra)}}} {value!r}" for extra, value in kept]
    return "\n".join(lines) + "\n"


def _families(found: Monitoring) -> Iterator[tuple[str, str, Sequence[tuple[dict[str, str], float | None]]]]:
    drift = [Drift.of(item) for item in found.drift]
    alerts = [Alert.of(item) for item in found.alerts]
    kinds = ("drift", "decay", "health", "missing")
    yield "mlops_monitor_time_seconds", "When the window ended.", [({}, float(found.end))]
    yield "mlops_monitor_rows", "Predictions in the window.", [({}, float(found.rows))]
    yield "mlops_monitor_labelled_rows", "Predictions whose truth is known.", [({}, float(found.labelled))]
    counts = [({"kind": kind}, float(sum(alert.kind == kind for alert in alerts))) for kind in kinds]
    yield "mlops_monitor_alerts", "Alerts by kind.", counts
    drifted = [({"column": item.column}, float(item.verdict == "drift")) for item in drift if item.verdict != "insufficient data"]
    yield "mlops_monitor_drift", "1 where a column drifted.", drifted
    yield "mlops_monitor_psi", "Population stability index of a column.", [({"column": item.column}, item.psi) for item in drift]
    moved = [({"column": item.column}, item.wasserstein) for item in drift]
    yield "mlops_monitor_wasserstein", "Wasserstein distance in standard deviations of the reference.", moved
    missing = [({"column": item.column}, float(item.missing[1])) for item in drift]
    yield "mlops_monitor_missing_ratio", "Share of missing values.", missing
    metrics = [({"metric": name}, item.get("value")) for name, item in found.performance.items()]
    yield "mlops_monitor_performance", "Metrics of predictions whose truth is known.", metrics
    grouped = [
        ({"metric": str(item["metric"]), "column": str(item["column"]), "group": str(item["group"])}, item["value"])
        for item in found.slices
    ]
    yield "mlops_monitor_group_performance", "Metrics by group.", grouped
    service = found.service
    yield "mlops_monitor_requests_per_second", "Requests a second.", [({}, service.get("requests_per_second"))]
    yield "mlops_monitor_error_ratio", "Share of requests that failed in the service.", [({}, service.get("error_rate"))]
    latency = [({"quantile": str(int(name[1:]) / 100)}, value) for name, value in (service.get("latency") or {}).items()]
    yield "mlops_monitor_latency_seconds", "Latency of requests.", latency
    yield "mlops_monitor_memory_bytes", "Largest memory of a process of the service.", [({}, service.get("memory"))]


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
