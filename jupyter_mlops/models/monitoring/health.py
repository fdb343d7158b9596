"""How the service and the machine do: requests, latency, errors, memory, from the lines that services leave behind."""

from __future__ import annotations

from typing import Any

import psutil
from scipy import special

from ...config import Settings
from ..serving import minutes

FAILING = 0.01
"""Of answers, a larger share of failures of the service (status 500 and up) is an alert, where it is more than chance."""
FEWEST = 20


def service_health(settings: Settings, name: str, start: float, end: float) -> dict[str, Any]:
    """Requests and rows a second, shares of failures and refusals, latency in seconds, memory and processors of the processes, by time.

    `series` has [from, requests a second, latency p95, share of failures] for each of at most 24 stretches. {} where no service ran.
    """
    lines = list(minutes.read(settings, name, start, end))
    if not lines:
        return {}
    first, last = min(line["from"] for line in lines), max(line["from"] + line["seconds"] for line in lines)
    width = max((last - first) / 24, minutes.SECONDS)
    stretches: dict[int, list[dict[str, Any]]] = {}
    for line in lines:
        stretches.setdefault(int((line["from"] - first) / width), []).append(line)
    whole = _summed(lines, last - first)
    series = [[first + place * width, *_point(part, width)] for place, part in sorted(stretches.items())]
    return whole | {"from": first, "to": last, "series": series}


def machine(settings: Settings) -> dict[str, Any]:
    """What the machine does now: `load` (of `cpus`), and the shares of memory and of the project's disk that are used."""
    return {
        "cpus": psutil.cpu_count() or 1,
        "load": psutil.getloadavg()[0],
        "memory": psutil.virtual_memory().percent / 100,
        "disk": psutil.disk_usage(str(settings.project)).percent / 100,
    }


def failing(service: dict[str, Any]) -> str:
    """A sentence where more answers fail than may, and more than chance explains; else ""."""
    requests, failures = service.get("requests", 0), service.get("failures", 0)
    if requests < FEWEST or failures / requests <= FAILING:
        return ""
    expected = requests * FAILING
    # Poisson's upper tail, with scipy.special's incomplete gamma function: so many come by chance less than once in a thousand times.
    if special.gammainc(failures, expected) > 0.001:
        return ""
    return f"{failures:,} of {requests:,} requests ({failures / requests:.1%}) failed in the service"


def _summed(lines: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    latency = [sum(counts) for counts in zip(*(line["latency"] for line in lines), strict=True)]
    statuses: dict[int, int] = {}
    for line in lines:
        for answer in line["answers"]:
            if answer["role"] != "shadow":
                statuses[answer["status"]] = statuses.get(answer["status"], 0) + answer["requests"]
    requests = sum(statuses.values())
    failures = sum(count for status, count in statuses.items() if status >= 500)
    refused = sum(count for status, count in statuses.items() if 400 <= status < 500)
    rows = sum(line["rows"] for line in lines)
    return {
        "requests": requests,
        "rows": rows,
        "failures": failures,
        "refused": refused,
        "requests_per_second": requests / seconds if seconds else 0.0,
        "rows_per_second": rows / seconds if seconds else 0.0,
        "error_rate": failures / requests if requests else 0.0,
        "latency": {f"p{share}": minutes.quantile(latency, share / 100) for share in (50, 95, 99)},
        "slowest": max(line["slowest"] for line in lines),
        "memory": max(line["memory"] for line in lines),
        "cpu": sum(line["cpu"] * line["seconds"] for line in lines) / seconds if seconds else 0.0,
        "processes": len({line["process"] for line in lines}),
    }


def _point(lines: list[dict[str, Any]], seconds: float) -> list[float | None]:
    found = _summed(lines, seconds)
    return [found["requests_per_second"], found["latency"]["p95"], found["error_rate"]]
