"""RESULTS.md: the table of ratios, whether each is as asked, and the machine and versions that it was measured with."""

from __future__ import annotations

import operator
import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version

import psutil

from .table import Row

PACKAGES = ("jupyter_mlops", "mlflow", "scikit-learn", "pandas", "numpy", "pyarrow", "ipykernel", "ipython", "blake3", "SQLAlchemy")
_COMPARED = {"<=": operator.le, ">=": operator.ge}


def met(item: Row) -> str:
    """"yes" or "no"; "" where no ratio is asked for."""
    sign, _, bound = item.asked.partition(" ")
    if sign not in _COMPARED:
        return ""
    return "yes" if _COMPARED[sign](item.ratio, float(bound)) else "no"


def results(rows: Iterable[Row]) -> str:
    """The rows as a table, each with its verdict."""
    lines = ["| figure | ours | peer | ratio | asked | met? | peer is |", "|---|---:|---:|---:|---|---|---|"]
    for item in rows:
        numbers = f"{item.ours:.4g} | {item.peer:.4g} | {item.ratio:.3f}"
        lines.append(f"| {item.name} | {numbers} | {item.asked} | {met(item)} | {item.note} |")
    return "\n".join(lines)


def document(rows: list[Row], left_out: list[str]) -> str:
    """The whole of RESULTS.md."""
    missed = [item.name for item in rows if met(item) == "no"]
    asked = sum(1 for item in rows if met(item))
    verdict = f"{asked - len(missed)} of {asked} figures are as asked" + (f"; not so: {'; '.join(missed)}." if missed else ".")
    parts = [
        "# Benchmarks",
        "Written by `python -m tests.benchmarks`. Ours and its peer were measured in one run; the ratio is ours to the peer's.",
        _surroundings(),
        verdict,
        results(rows),
        *left_out,
    ]
    return "\n\n".join(parts) + "\n"


def _surroundings() -> str:
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[0]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{time.strftime('%Y-%m-%d')}, {_processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()},"
        f" load {load:.1f} at the end. Python {platform.python_version()}, {packages}."
    )


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
