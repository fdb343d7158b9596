"""Cells: into which a column's values are counted, so that a million values are a few hundred numbers and batches add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

QUANTILES = 512
"""Numbers of a reference are cut at so many quantiles: the distance of two distributions is then found to 0.2 points."""
CATEGORIES = 1000
"""No more categories than this are counted each by itself."""
COMMONEST = 100
"""Of more, so many are: which of the rare ones are commonest is chance, and the next sample would seem to have fewer of them."""


def edges_of(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], int]:
    """The edges for finite numbers, in rising order, and how many different ones there are."""
    if not len(values):
        return np.empty(0), 0
    ordered = np.sort(values)
    # -0.0 and 0.0 are one value.
    different = np.concatenate([ordered[:1], ordered[1:][np.diff(ordered) > 0]]) + 0.0
    if len(different) <= QUANTILES:
        return different, len(different)
    places = np.linspace(0, len(ordered) - 1, QUANTILES).round().astype(np.int64)
    return np.unique(ordered[places]) + 0.0, len(different)


def cells_of(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many values fall in each of the 2k+1 cells of k edges: below, at, between, at, ..., above. There is no NaN among the values."""
    if not len(edges):
        return np.array([len(values)], dtype=np.int64)
    place = np.searchsorted(edges, values)
    at = edges[np.minimum(place, len(edges) - 1)] == values
    return np.bincount(2 * place + at, minlength=2 * len(edges) + 1)


def common_of(found: Mapping[str, int]) -> tuple[str, ...]:
    """The categories that are counted each by itself, the commonest first."""
    ordered = sorted(found, key=lambda name: (-found[name], name))
    return tuple(ordered if len(ordered) <= CATEGORIES else ordered[:COMMONEST])


def category_cells(common: Sequence[str], found: Mapping[str, int]) -> NDArray[np.int64]:
    """How often each of the common categories was found, and at the end how often all others were."""
    counts = [found.get(name, 0) for name in common]
    return np.array([*counts, sum(found.values()) - sum(counts)], dtype=np.int64)


def coarse(first: NDArray[np.int64], second: NDArray[np.int64], groups: int = 10) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Ordered cells in at most so many groups, of equal weight in `first`."""
    total = first.sum()
    before = np.cumsum(first) - first / 2
    which = np.minimum((before * groups / max(total, 1)).astype(np.int64), groups - 1)
    one = np.bincount(which, weights=first, minlength=groups).astype(np.int64)
    two = np.bincount(which, weights=second, minlength=groups).astype(np.int64)
    some = (one + two) > 0
    return one[some], two[some]


def distance(first: NDArray[np.int64], second: NDArray[np.int64], edges: NDArray[np.float64], below: float, above: float) -> float:
    """Wasserstein's first distance of two samples in cells, in the units of the edges.

    That is the area between their cumulative distributions, taken as straight within a cell. `below` and `above` are how far the second
    sample's values lie beyond the first and last edge, summed and divided by its size.
    """
    n, m = int(second.sum()), int(first.sum())
    if len(edges) == 0 or not n or not m:
        return 0.0
    gap = np.cumsum(first) / m - np.cumsum(second) / n
    # After the cell of edge i, and before that of edge i + 1.
    left, right = gap[1:-2:2], gap[2:-1:2]
    inner = float((np.diff(edges) * (np.abs(left) + np.abs(right)) / 2).sum()) if len(edges) > 1 else 0.0
    return inner + below + above
