"""Drift: how often windows without any alarm, how often four changes in one feature of thirty are found, and a million predictions.

The table has Evidently's answer beside ours where it can be asked: it needs an older pandas than the rest, so its Python is one of its own
(see `peers`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from jupyter_mlops.config import Settings
from jupyter_mlops.models.drift import Profile, compare

from .kernels import empty_folder
from .peers import programs
from .table import Row, row

WINDOWS = int(os.environ.get("MLOPS_WINDOWS", "1000"))
CHANGED = max(WINDOWS // 2, 1)
PEERS = min(20, CHANGED)
ROWS = 1000
REFERENCE = 10_000
MILLION = 1_000_000
FEATURES = 30
SECONDS = 5.0
_SHARES = [0.4, 0.3, 0.2, 0.1]


def table(seed: int, rows: int = ROWS) -> pd.DataFrame:
    """Thirty features: normal and skewed numbers, counts, categories; some values of some are missing."""
    draw = np.random.default_rng(seed)
    frame = pd.DataFrame({f"normal{at}": draw.normal(at, 1 + at, rows) for at in range(14)})
    for at in range(4):
        frame[f"skewed{at}"] = draw.lognormal(size=rows)
        frame[f"count{at}"] = draw.poisson(1 + at, size=rows).astype(float)
        frame[f"group{at}"] = np.array(list("abcd"))[draw.choice(4, size=rows, p=_SHARES)]
    frame["zeros"] = np.where(draw.random(rows) < 0.7, 0.0, draw.gamma(2, size=rows))
    frame["uniform"] = draw.random(rows)
    for at, share in enumerate((0.05, 0.1)):
        frame[f"partly{at}"] = np.where(draw.random(rows) < share, np.nan, draw.normal(size=rows))
    return frame


def _moved(frame: pd.DataFrame, draw: np.random.Generator) -> str:
    frame["normal3"] += 0.25 * 4
    return "normal3"


def _spread(frame: pd.DataFrame, draw: np.random.Generator) -> str:
    frame["normal3"] = 3 + (frame["normal3"] - 3) * 1.5
    return "normal3"


def _swapped(frame: pd.DataFrame, draw: np.random.Generator) -> str:
    held = np.flatnonzero((frame["group1"] == "a").to_numpy())
    values = frame["group1"].to_numpy(dtype=object, copy=True)
    values[draw.choice(held, ROWS // 10, replace=False)] = "b"
    frame["group1"] = values
    return "group1"


def _emptied(column: str) -> Callable[[pd.DataFrame, np.random.Generator], str]:
    def change(frame: pd.DataFrame, draw: np.random.Generator) -> str:
        values = frame[column].to_numpy(copy=True)
        values[draw.choice(np.flatnonzero(~np.isnan(values)), ROWS // 20, replace=False)] = np.nan
        frame[column] = values
        return column

    return change


CHANGES: dict[str, Callable[[pd.DataFrame, np.random.Generator], str]] = {
    "mean moved by 0.25 sd": _moved,
    "sd x 1.5": _spread,
    "10 points of a category swapped": _swapped,
    "5 points more missing (of 0)": _emptied("normal3"),
    "5 points more missing (of 5)": _emptied("partly0"),
    "5 points more missing (of 10)": _emptied("partly1"),
}


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_found(), *_million()]


def _found() -> Iterator[Row]:
    """Shares of windows, ours and the peer's (0 where it was not asked), each held against what is asked."""
    reference = table(0, REFERENCE)
    profile = Profile.of(reference)
    peer = _evidently()
    none = sum(any(item.verdict == "drift" for item in compare(profile, table(seed))) for seed in range(1, WINDOWS + 1)) / WINDOWS
    note = f"{ROWS:,} rows, reference {REFERENCE:,}"
    told = f"peer: Evidently, {PEERS} windows" if peer else "Evidently was not asked: it does not install"
    asked = f"alarms in {WINDOWS:,} windows without drift, at most 5% ({note}){_beside(peer, 'none')}"
    yield Row(asked, none, 0.05, none / 0.05, "<= 1", "what is asked")
    for name, change in CHANGES.items():
        hits = 0
        for seed in range(1, CHANGED + 1):
            current = table(10_000 + seed)
            column = change(current, np.random.default_rng(seed))
            hits += next(item for item in compare(profile, current) if item.column == column).verdict == "drift"
        share = hits / CHANGED
        asked = f"{name}: found in {CHANGED:,} windows{_beside(peer, name)}"
        yield Row(asked, share, 0.95, share / 0.95, ">= 1", f"what is asked; {told}")


def _beside(peer: dict[str, float], name: str) -> str:
    return f"; by Evidently {peer[name]:.3f}" if name in peer else ""


def _evidently() -> dict[str, float]:
    """The share of windows in which Evidently's preset says that the changed column drifted ("none": that any did)."""
    found = programs("evidently", "pandas<3")
    if found is None:
        return {}
    with empty_folder() as folder:
        table(0, REFERENCE).to_csv(folder / "reference.csv", index=False)
        wanted: dict[str, str] = {"none": ""}
        for name, change in {"none": lambda frame, draw: "", **CHANGES}.items():
            for seed in range(1, PEERS + 1):
                current = table(10_000 + seed)
                wanted[name] = change(current, np.random.default_rng(seed))
                current.to_csv(folder / f"{list(CHANGES).index(name) if name in CHANGES else -1}.{seed}.csv", index=False)
        (folder / "wanted.json").write_text(json.dumps({"names": ["none", *CHANGES], "columns": wanted, "windows": PEERS}))
        script = Path(__file__).with_name("evidently_peer.py")
        answer = subprocess.run([str(found / "python"), "-P", str(script), str(folder)], check=True, capture_output=True, text=True)
    shares: dict[str, float] = json.loads(answer.stdout.splitlines()[-1])
    return shares


def _million() -> Iterator[Row]:
    """A million logged predictions with thirty features, monitored in a process of its own, whose memory is measured."""
    with empty_folder() as folder:
        code = f"from tests.benchmarks.drift import fill; from pathlib import Path; fill(Path({str(folder)!r}))"
        subprocess.run([sys.executable, "-c", code], check=True)
        code = f"from tests.benchmarks.drift import watch; from pathlib import Path; watch(Path({str(folder)!r}))"
        answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    told = json.loads(answer.stdout.splitlines()[-1])
    note = f"seconds asked; {told['rows']:,} rows, verdict {told['verdict']}, whole process {told['whole']:.1f} s"
    yield row(f"monitor over {MILLION:,} predictions with {FEATURES} features, seconds", told["seconds"], SECONDS, "<= 1", note)
    note = "MB of the data; what reading adds to the process at its peak"
    yield row("memory of it, MB", told["added"] / 1e6, MILLION * FEATURES * 8 / 1e6, "<= 2", note)


def fill(folder: Path) -> None:
    """Log a million predictions in a folder."""
    from jupyter_mlops.models.predictions.ids import ids
    from jupyter_mlops.models.predictions.log import Log

    log = Log(Settings(project=folder), "shop")
    step = 20_000
    for at in range(MILLION // step):
        frame = table(at, step)
        inputs = {name: frame[name].to_numpy() for name in frame}
        while not log.write(inputs, (frame["normal0"] > 0).to_numpy().astype(int), ids=ids(step), version=1, seconds=0.001):
            log.flush(60)
    log.flush(120)
    log.close()


def watch(folder: Path) -> None:
    """Monitor them, and print what it took."""
    start = time.perf_counter()
    import resource

    from jupyter_mlops.models.monitoring import references
    from jupyter_mlops.models.monitoring.monitoring import monitor
    from jupyter_mlops.records import ModelVersion
    from jupyter_mlops.store import registry

    profile, made = Profile.of(table(0, REFERENCE)), Profile.of({"prediction": (table(0, REFERENCE)["normal0"] > 0).astype(int)})
    reference = references.Reference(profile=profile, predictions=made, labels=(0, 1), task="classification")
    references._made = lambda settings, version: reference
    registry.version = lambda settings, ref: ModelVersion(name=ref, version=1, task="classification")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = monitor(Settings(project=folder), "shop")
    added = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    told = {"seconds": found.seconds, "rows": found.rows, "verdict": found.verdict, "added": added, "whole": time.perf_counter() - start}
    print(json.dumps(told))
