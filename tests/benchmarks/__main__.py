"""All figures side by side in one run: `python -m tests.benchmarks` prints them and writes RESULTS.md.

    python -m tests.benchmarks [PART ...] [--foreign FOLDER [--notebooks NAME ...]]

PART is any of startup, fits, cells, listing, snapshots, replays, plans, steps, schedules, serving, drift, jupyterlab, panel, foreign,
slices; all by default.
FOLDER (or the environment's MLOPS_FOREIGN) holds notebooks that were not written for this project, as NAME/NAME.ipynb. Without it the last
two parts are left out, and the table says so.
A machine that does other work at the same time gives other figures; RESULTS.md is written only when all parts were measured.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

from . import cells, drift, fits, foreign, jupyterlab, listing, panel, plans, replays, schedules, serving, slices, snapshots, startup, steps
from .report import document, results
from .table import Row

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    """Measure, print, write."""
    parts: dict[str, Callable[[], list[Row]]] = {
        "startup": startup.measure,
        "fits": fits.measure,
        "cells": cells.measure,
        "listing": listing.measure,
        "snapshots": snapshots.measure,
        "replays": replays.measure,
        "plans": plans.measure,
        "steps": steps.measure,
        "schedules": schedules.measure,
        "serving": serving.measure,
        "drift": drift.measure,
        "jupyterlab": jupyterlab.measure,
        "panel": panel.measure,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join([*parts, "foreign", "slices"]))
    parser.add_argument("--foreign", type=Path, default=os.environ.get("MLOPS_FOREIGN"), help="folder of foreign notebooks")
    which = f"which of them (default: the first {foreign.NOTEBOOKS}, for slices all)"
    parser.add_argument("--notebooks", nargs="+", default=[], help=which)
    options = parser.parse_args()
    left_out = []
    if options.foreign:
        parts["foreign"] = lambda: foreign.measure(Path(options.foreign), options.notebooks)
        parts["slices"] = lambda: slices.measure(Path(options.foreign), options.notebooks)
    else:
        left_out.append("Foreign notebooks were not measured: no folder of them was given (`--foreign`).")
    if unknown := set(options.parts) - set(parts):
        parser.error(f"there is no part {', '.join(sorted(unknown))} to measure; there are {', '.join(parts)}")
    _forget_settings()
    rows: list[Row] = []
    for name in options.parts or parts:
        start = time.monotonic()
        found = parts[name]()
        print(f"{name}: {time.monotonic() - start:.0f} s", flush=True)
        print(results(found), end="\n\n", flush=True)
        rows += found
    if not options.parts:
        RESULTS.write_text(document(rows, left_out), encoding="utf-8")
        print(f"written: {RESULTS.name}")


def _forget_settings() -> None:
    """Settings of the one who measures must not decide what is measured."""
    for name in list(os.environ):
        if name.startswith(("MLOPS_", "MLFLOW_")):
            del os.environ[name]
    # Programs start as they do for users: from compiled modules.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


if __name__ == "__main__":
    main()
