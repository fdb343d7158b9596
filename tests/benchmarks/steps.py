"""Pipelines of light steps, each with pandas and scikit-learn and a tenth of a second of work: beside papermill and others in a loop."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from jupyter_mlops import config
from jupyter_mlops.pipelines.definition import loading
from jupyter_mlops.pipelines.kernels.warm import WarmKernels
from jupyter_mlops.pipelines.running import runner

from .kernels import empty_folder
from .table import Row, row

STEPS = 20
GROWTH = (10, 100)
STARTS = 20
START_SECONDS = 0.15
FAN, CHAIN = 1 / 5, 1 / 3
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
IMPORTS = "import time\nimport pandas as pd\nfrom sklearn.linear_model import LinearRegression"
WORK = "end = time.process_time() + 0.1\nwhile time.process_time() < end:\n    pass"


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_beside_others(), *_starts(), *_growth()]


def _beside_others() -> Iterator[Row]:
    with empty_folder() as folder:
        path = _notebook(folder, IMPORTS, WORK)
        notebook = nbformat.read(path, as_version=4)
        peers: dict[str, Callable[[int], Any]] = {
            "papermill": lambda number: papermill.execute_notebook(path, folder / "out.ipynb", {"n": number}, progress_bar=False),
            "nbclient": lambda number: NotebookClient(nbformat.from_dict(notebook), kernel_name="python3").execute(),
            "papermill with this engine": lambda number: papermill.execute_notebook(
                path, folder / "out.ipynb", {"n": number}, engine_name="mlops", progress_bar=False
            ),
        }
        if importlib.util.find_spec("ploomber_engine"):
            from ploomber_engine import execute_notebook

            peers["ploomber-engine"] = lambda number: execute_notebook(path, folder / "out.ipynb", parameters={"n": number})
        took = {name: _looped(act) for name, act in peers.items()}
        shapes = {"fan": (_pipeline(folder, STEPS, chained=False), FAN), "chain": (_pipeline(folder, STEPS, chained=True), CHAIN)}
        for shape, (file, asked) in shapes.items():
            ours = _run(file)
            for name, peer in took.items():
                wanted = f"<= {asked:.3g}" if name == "papermill" else ""
                yield row(f"{shape} of {STEPS} light steps, s", ours, peer, wanted, f"{name} in a loop")


def _starts() -> Iterator[Row]:
    with empty_folder() as folder, WarmKernels() as kernels:
        times = asyncio.run(_started(kernels, folder))
    yield row(
        "kernel start seen by a step, s",
        statistics.median(times),
        START_SECONDS,
        "<= 1",
        f"{START_SECONDS} s; the longest of {STARTS} {max(times):.3f} s",
    )


async def _started(kernels: WarmKernels, folder: Path) -> Sequence[float]:
    times = []
    # As a run does, whose steps are known.
    kernels.expect(STARTS + 1)
    # The first waits until the libraries are loaded.
    for _ in range(STARTS + 1):
        begin = time.perf_counter()
        manager = kernels.manager("python3")
        await manager.start_kernel(cwd=str(folder))
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(120)
        times.append(time.perf_counter() - begin)
        await client.execute_interactive(f"import time\n{WORK}", timeout=120)
        client.stop_channels()
        await manager.shutdown_kernel()
    return times[1:]


def _growth() -> Iterator[Row]:
    each = {}
    for steps in GROWTH:
        with empty_folder() as folder:
            _notebook(folder, "x = n")
            each[steps] = _run(_pipeline(folder, steps, chained=False)) / steps
    small, large = (each[steps] for steps in GROWTH)
    yield row(f"overhead of each of {GROWTH[1]} steps, s", large, small, "<= 1.2", f"of each of {GROWTH[0]} steps")


def _notebook(folder: Path, *cells: str) -> Path:
    parameters = new_code_cell("n = 0", metadata={"tags": ["parameters"]})
    outputs = new_code_cell("{'n': n}", metadata={"tags": ["outputs"]})
    path = folder / "step.ipynb"
    nbformat.write(new_notebook(cells=[parameters, *map(new_code_cell, cells), outputs], metadata={"kernelspec": KERNEL}), path)
    return path


def _pipeline(folder: Path, steps: int, chained: bool) -> Path:
    described: dict[str, Any] = {}
    for number in range(steps):
        # The steps of each shape are others than those of the one before, of which none is done again.
        step: dict[str, Any] = {"notebook": "step.ipynb", "params": {"n": number + 1000 * chained}}
        described[f"step{number}"] = step | ({"after": [f"step{number - 1}"]} if chained and number else {})
    path = folder / ("chain.yaml" if chained else "fan.yaml")
    path.write_text(json.dumps({"name": path.stem, "steps": described}))
    return path


def _run(file: Path) -> float:
    """Seconds of the first run of a pipeline, in a process that has imported what it needs, as its peers' has."""
    start = time.perf_counter()
    done = runner.run(loading.load(file), settings=config.load(file.parent))
    if done.status != "done":
        raise RuntimeError(f"{file.name}: {[(step.step, step.error) for step in done.steps if step.error]}")
    return time.perf_counter() - start


def _looped(act: Callable[[int], Any]) -> float:
    start = time.perf_counter()
    for number in range(STEPS):
        act(number)
    return time.perf_counter() - start
