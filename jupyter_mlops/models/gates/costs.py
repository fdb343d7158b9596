"""Gates on what a model costs in service: the time of its answers, and the size of its files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...records import Gate
from .conditions import Bounded, shown
from .evidence import Evidence, Needed

_WARM_UP = 3
_FEWEST, _MOST = 20, 200
_SECONDS = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency(Bounded):
    """The seconds of a prediction of `rows` rows in this process, after a few to warm up: mean, or a percentile of up to 200 of them."""

    kind: ClassVar[str] = "latency"
    latency: str
    rows: int = 1

    @property
    def name(self) -> str:
        of = f"of {self.rows:,} rows" if self.rows > 1 else "of one row"
        return f"{self.latency} latency {of} at most {_span(self.at_most or 0.0)}"

    def check(self, evidence: Evidence) -> Gate:
        features = evidence.X if evidence.target else evidence.features(evidence.tried)
        places = np.random.default_rng(0).integers(0, len(features), (_MOST, max(self.rows, 1)))
        taken: list[float] = []
        ends = time.perf_counter() + _SECONDS
        for number in range(_MOST):
            rows = features.iloc[places[number]]
            began = time.perf_counter()
            evidence.predict(rows)
            now = time.perf_counter()
            if number >= _WARM_UP:
                taken.append(now - began)
            if now > ends and len(taken) >= _FEWEST:
                break
        value = float(np.mean(taken) if self.latency == "mean" else np.quantile(taken, float(self.latency[1:]) / 100))
        return self.gate(value, f"{_span(value)}, {len(taken)} predictions, the slowest {_span(max(taken))}", {"predictions": len(taken)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Size(Bounded):
    """The bytes of the model's files."""

    kind: ClassVar[str] = "size"
    size: str = "model"

    @property
    def name(self) -> str:
        return f"size of the model at most {_bytes(self.at_most or 0)}"

    def check(self, evidence: Evidence) -> Gate:
        if not evidence.version.size:
            raise Needed("a model whose files are stored: register it")
        return self.gate(float(evidence.version.size), _bytes(evidence.version.size))


def _span(seconds: float) -> str:
    return f"{shown(seconds * 1000)} ms" if seconds < 1 else f"{shown(seconds)} s"


def _bytes(count: float) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= factor:
            return f"{shown(count / factor)} {unit}"
    return f"{count:.0f} bytes"
