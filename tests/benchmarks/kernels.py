"""Kernels to compare: each in an empty folder of its own, timed from outside as a user's notebook would feel it."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from ..conftest import Kernel, Ran, end_workers

TRACK = "%load_ext jupyter_mlops"


@contextmanager
def empty_folder() -> Iterator[Path]:
    """An empty folder; the delivery workers of stores in it are ended with it."""
    # What a worker still writes while it ends must not fail a measurement that is over.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            yield Path(folder)
        finally:
            end_workers(Path(folder))


@contextmanager
def kernels(*first_cells: str) -> Iterator[list[Kernel]]:
    """One kernel for each first cell, which it has run."""
    with empty_folder() as parent, ExitStack() as stack:
        started = []
        for number, cell in enumerate(first_cells):
            folder = parent / str(number)
            folder.mkdir()
            kernel = Kernel(folder)
            stack.callback(kernel.close)
            run(kernel, cell)
            started.append(kernel)
        yield started


def run(kernel: Kernel, *cells: str) -> Ran:
    """Run cells, of which none may fail; gives what the last one showed."""
    shown = Ran()
    for cell in cells:
        shown = kernel.run(cell, timeout=600)
        if shown.error:
            raise RuntimeError(f"a measured cell failed: {shown.error}")
    return shown


def timed(kernel: Kernel, cell: str) -> tuple[float, float]:
    """Wall seconds from sending a cell until the kernel is idle again, and CPU seconds of all threads of the kernel in that time."""
    cpu, start = _cpu_seconds(kernel.pid), time.perf_counter()
    run(kernel, cell)
    return time.perf_counter() - start, _cpu_seconds(kernel.pid) - cpu


def take_turns(kernels: Sequence[Kernel], cell: str, rounds: int) -> list[list[tuple[float, float]]]:
    """`timed` of the cell in every kernel, `rounds` times, each time in another order; one list of rounds for each kernel."""
    times: list[list[tuple[float, float]]] = [[] for _ in kernels]
    for number in range(rounds):
        order = list(range(len(kernels)))
        for place in order if number % 2 == 0 else reversed(order):
            times[place].append(timed(kernels[place], cell))
    return times


def _cpu_seconds(pid: int) -> float:
    # The number of Linux's clock for a process (clock_getcpuclockid(3)): nanoseconds, where /proc counts in hundredths of a second.
    return time.clock_gettime(~pid << 3 | 2)
