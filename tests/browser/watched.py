"""A model in service whose data drifts: registered by the registry, with predictions in the log as its service leaves them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from jupyter_mlops import config
from jupyter_mlops.models.monitoring.monitoring import monitor
from jupyter_mlops.models.predictions.ids import ids
from jupyter_mlops.models.predictions.labels import join
from jupyter_mlops.models.predictions.log import Log
from tests.models.registered import frame, registered

HOURS = 20
ROWS = 60


@dataclass(frozen=True, slots=True)
class Watched:
    """A registered model, what it predicted in the last hours, and what turned out to be true of that."""

    project: Path
    name: str
    truth: pd.DataFrame

    def tell_truth(self) -> None:
        """Let the truth come in, as `mlops labels` does."""
        join(config.load(self.project), self.name, self.truth)

    def warn(self) -> None:
        """Let a scheduled look tell people what is wrong."""
        monitor(config.load(self.project), self.name)


def watched(project: Path, name: str = "flights") -> Watched:
    """A model of which, of its two inputs, `a` moves away hour by hour, and `b` stays as it was."""
    settings = config.load(project)
    registered(project, name, reference=frame(600), test=frame(400, seed=1), target="late")
    log = Log(settings, name)
    found: list[str] = []
    truth: list[int] = []
    for hour in range(HOURS):
        data = frame(ROWS, seed=100 + hour)
        data["a"] += 0.6 * hour / HOURS
        given = ids(ROWS, at=time.time() - (HOURS - hour) * 3600)
        made = (data["a"] > 0.5).to_numpy().astype(int)
        log.write({"a": data["a"].to_numpy(), "b": data["b"].to_numpy()}, made, ids=given, version=1, seconds=0.002)
        wrong = np.random.default_rng(hour).random(ROWS) < 0.3 * hour / HOURS
        found += given
        truth += np.where(wrong, 1 - made, made).tolist()
    log.close()
    return Watched(project, name, pd.DataFrame({"id": found, "truth": truth}))
