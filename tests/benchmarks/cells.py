"""What tracking costs cells that make no runs: an empty cell late in a long day, and loops in which every microsecond would show."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median, quantiles

from .kernels import TRACK, kernels, run, take_turns
from .table import Row, row

HISTORY = 2_000
EMPTY_CELLS = 400
PAIRS, ROUNDS = 10, 2
FRAME = "import numpy as np\nimport pandas as pd\nframe = pd.DataFrame(np.random.default_rng(0).random((12_500_000, 10)))"
FILES = "from pathlib import Path\nfor number in range(100):\n    Path(f'{number}.txt').write_text('text')"
LOOPS = {
    "3 million iterations": "total = 0\nfor number in range(3_000_000):\n    total += number * number",
    "copy.deepcopy in a loop": (
        "import copy\ndeep = {'a': [1, 2, {'b': (3, 4)}], 'c': 'text'}\nfor number in range(40_000):\n    kept = copy.deepcopy(deep)"
    ),
    "10,000 file opens": "for number in range(10_000):\n    with open(f'{number % 100}.txt') as file:\n        file.read()",
}


def measure() -> list[Row]:
    """All figures of this module."""
    return [*_loops(), *_empty_cells()]


def _loops() -> Iterator[Row]:
    times: dict[str, list[list[tuple[float, float]]]] = {name: [[], []] for name in LOOPS}
    for _ in range(PAIRS):
        # Where its memory happens to lie makes a process up to 5% faster or slower for good: each pair has kernels of its own.
        with kernels("pass", TRACK) as pair:
            for kernel in pair:
                run(kernel, FILES)
            for name, cell in LOOPS.items():
                take_turns(pair, cell, 1)
                for all_times, rounds in zip(times[name], take_turns(pair, cell, ROUNDS), strict=True):
                    all_times += rounds
    for name, (before, after) in times.items():
        for kind, place in (("wall", 0), ("CPU", 1)):
            ratio = median(ours[place] / theirs[place] for ours, theirs in zip(after, before, strict=True))
            theirs = median(item[place] for item in before)
            measured = f"untracked; median of {PAIRS} interleaved pairs of kernels, {ROUNDS} rounds each"
            yield Row(f"{name}, {kind} s", ratio * theirs, theirs, ratio, "<= 1.03", measured)


def _empty_cells() -> Iterator[Row]:
    with kernels("pass", TRACK) as pair:
        for kernel in pair:
            run(kernel, *(f"value_{number % 300} = {number}" for number in range(HISTORY)))
            run(kernel, FRAME)
        take_turns(pair, "pass", 20)
        untracked, tracked = ([1000 * wall for wall, _ in rounds] for rounds in take_turns(pair, "pass", EMPTY_CELLS))
        what = f"after {HISTORY} cells and a 1 GB frame"
        more = median(tracked) - median(untracked)
        yield row(f"empty cell {what}, median more, ms", more, 1, "<= 1", f"1 ms; untracked {median(untracked):.2f} ms")
        late, late_untracked = (quantiles(times, n=100)[98] for times in (tracked, untracked))
        yield row("the same, p99 more, ms", late - late_untracked, 3, "<= 1", f"3 ms; untracked {late_untracked:.2f} ms")
