"""Run by a Python that has Evidently: what its preset for drift says of the windows in a folder. Its last line is JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]


def main(folder: Path) -> None:
    """Judge every window; missing values are no part of its preset."""
    asked = json.loads((folder / "wanted.json").read_text())
    reference = pd.read_csv(folder / "reference.csv")
    shares = {}
    for place, name in enumerate(asked["names"], -1):
        wanted, hits = asked["columns"][name], 0
        for window in range(1, asked["windows"] + 1):
            drifted = _drifted(reference, pd.read_csv(folder / f"{place}.{window}.csv"))
            hits += wanted in drifted if wanted else bool(drifted)
        shares[name] = hits / asked["windows"]
    print(json.dumps(shares))


def _drifted(reference: pd.DataFrame, current: pd.DataFrame) -> set[str]:
    told: dict[str, Any] = Report([DataDriftPreset()]).run(current, reference).dict()
    found = set()
    for metric in told["metrics"]:
        config = metric.get("config") or {}
        column, method, threshold = config.get("column"), str(config.get("method", "")), config.get("threshold")
        if column is None or threshold is None:
            continue
        small = "p_value" in method
        if (metric["value"] <= threshold) if small else (metric["value"] >= threshold):
            found.add(column)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
