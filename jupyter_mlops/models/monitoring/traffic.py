"""The traffic of a model's services, lately: requests a second, latency and failures, in equal stretches of time."""

from __future__ import annotations

import time
from typing import Any

from ...config import Settings
from ..serving import minutes

WIDTH = 30.0
_STRETCHES = 60
_LATELY = 300.0


def traffic(settings: Settings, name: str, now: float | None = None) -> dict[str, Any]:
    """How a model's services did, by what they recorded.

    `series` has [from, requests a second, latency p50, p99, share of failures] for each of the last sixty half minutes; latencies are None
    where nothing was answered. The figures beside it are those of the last five minutes, `last` is when the last request was answered.
    """
    now = time.time() if now is None else now
    first = now - WIDTH * _STRETCHES
    lines = [line for line in minutes.read(settings, name, first - minutes.SECONDS, now) if _end(line) > first]
    parts: list[list[dict[str, Any]]] = [[] for _ in range(_STRETCHES)]
    for line in lines:
        parts[min(_STRETCHES - 1, int((_end(line) - first) / WIDTH))].append(line)
    lately = [line for line in lines if _end(line) > now - _LATELY]
    requests, failures, latency = _summed(lately)
    since = max(min((line["from"] for line in lately), default=now), now - _LATELY)
    return {
        "requests": requests,
        "failures": failures,
        "requests_per_second": requests / max(now - since, minutes.SECONDS),
        "error_rate": failures / requests if requests else 0.0,
        "latency": {"p50": minutes.quantile(latency, 0.5), "p99": minutes.quantile(latency, 0.99)},
        "last": max((_end(line) for line in lines), default=None),
        "series": [_point(first + place * WIDTH, part) for place, part in enumerate(parts)],
    }


def _point(start: float, lines: list[dict[str, Any]]) -> list[float | None]:
    requests, failures, latency = _summed(lines)
    share = failures / requests if requests else 0.0
    return [start, requests / WIDTH, minutes.quantile(latency, 0.5), minutes.quantile(latency, 0.99), share]


def _summed(lines: list[dict[str, Any]]) -> tuple[int, int, list[int]]:
    """Requests that were answered to somebody, those of them that failed in the service, and the latencies of the others by class."""
    answers = [answer for line in lines for answer in line["answers"] if answer["role"] != "shadow"]
    latency = [sum(counts) for counts in zip(*(line["latency"] for line in lines), strict=True)] if lines else []
    return sum(item["requests"] for item in answers), sum(item["requests"] for item in answers if item["status"] >= 500), latency


def _end(line: dict[str, Any]) -> float:
    return float(line["from"]) + float(line["seconds"])
