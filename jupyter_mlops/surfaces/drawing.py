"""A graph drawn in layers, from left to right, as SVG that reads on light and on dark ground. Pure.

The layers are those of Sugiyama, Tagawa and Toda (1981): each node to the right of all that it comes from, long edges through a place of
their own in every layer between, crossings lessened by ordering each layer by the mean place of its neighbours, and rows that pull
each node to the mean of its neighbours (least squares that keep the order: pooled adjacent violators).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from .answers import Layout, Trail

HEIGHT, GAP_BELOW, GAP_BESIDE = 38.0, 16.0, 46.0
LETTER, PADDING, MARGIN = 7.8, 32.0, 6.0
MOST_LETTERS = 32
SWEEPS = 6
DARK = "@media (prefers-color-scheme: dark) { svg { color: #e6e6e6 } }"


@dataclass(frozen=True, slots=True)
class Look:
    """How a node is drawn: a mark before its name, a colour that holds on light and dark ground, and a faint line below the name."""

    mark: str
    colour: str
    detail: str = ""


Spot = tuple[int, str, str]
"""A place in a layer: (layer, node, ""), or for an edge that passes through (layer, its source, its target)."""


def svg(edges: Mapping[str, Sequence[str]], looks: Mapping[str, Look], *, ground: str = "") -> str:
    """The picture of a graph without cycles; `edges` maps each node to those it comes from.

    It takes the colour of the text around it. `ground` is CSS for a file of its own, which has nothing around it.
    """
    depth = layers(edges)
    columns, rows = _arranged(edges, depth)
    heights = {spot: MARGIN + HEIGHT / 2 + row * (HEIGHT + GAP_BELOW) for spot, row in rows.items()}
    widths = [max((_width(node, looks[node]) for _, node, target in column if not target), default=0.0) for column in columns]
    left = [MARGIN + sum(widths[:layer]) + GAP_BESIDE * layer for layer in range(len(columns))]
    across = (left[-1] + widths[-1] if columns else 0.0) + MARGIN
    down = max(heights.values(), default=0.0) + HEIGHT / 2 + MARGIN
    sides = [(start, start + width) for start, width in zip(left, widths, strict=True)]
    paths = [_edge([(*sides[spot[0]], heights[spot]) for spot in trail]) for trail in _trails(edges, depth)]
    boxes = [_box(left[layer], heights[layer, node, ""], widths[layer], node, looks[node]) for node, layer in depth.items()]
    style = f"<style>svg {{ color: #24292f; font-family: system-ui, sans-serif }} {ground}</style>" if ground else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{across:.0f}" height="{down:.0f}" viewBox="0 0 {across:.0f} {down:.0f}" '
        f'font-size="13" fill="currentColor" role="img">{style}{"".join(paths)}{"".join(boxes)}</svg>'
    )


def layout(edges: Mapping[str, Sequence[str]]) -> Layout:
    """Where the nodes stand in the picture, and what the edges pass through, for those who draw it themselves."""
    depth = layers(edges)
    rows = {spot: round(row, 3) for spot, row in _arranged(edges, depth)[1].items()}
    return Layout(
        nodes={node: (layer, rows[layer, node, ""]) for node, layer in depth.items()},
        trails=tuple(
            Trail(source=trail[0][1], target=trail[-1][1], through=tuple((spot[0], rows[spot]) for spot in trail[1:-1]))
            for trail in _trails(edges, depth)
        ),
    )


def layers(edges: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The layer of each node: 0 without sources, else one more than the highest layer of its sources."""
    found: dict[str, int] = {}
    waiting = list(edges)
    while waiting:
        node = waiting[-1]
        missing = [source for source in edges[node] if source not in found]
        if node not in found and missing:
            waiting += missing
            continue
        waiting.pop()
        found.setdefault(node, 1 + max((found[source] for source in edges[node]), default=-1))
    return found


def _arranged(edges: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> tuple[list[list[Spot]], dict[Spot, float]]:
    """The spots of each layer in their order, and the row of each."""
    columns, links = _columns(edges, depth)
    columns = _uncrossed(columns, links)
    return columns, _rows(columns, links)


def _trails(edges: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> Iterable[list[Spot]]:
    """The spots that each edge goes through, its ends included."""
    for node, sources in edges.items():
        for source in dict.fromkeys(sources):
            between = [(layer, source, node) for layer in range(depth[source] + 1, depth[node])]
            yield [(depth[source], source, ""), *between, (depth[node], node, "")]


def _columns(edges: Mapping[str, Sequence[str]], depth: Mapping[str, int]) -> tuple[list[list[Spot]], dict[Spot, list[Spot]]]:
    """The spots of each layer, and the neighbours of each spot in the layers beside it."""
    columns: list[list[Spot]] = [[] for _ in range(1 + max(depth.values(), default=-1))]
    links: dict[Spot, list[Spot]] = {}
    for node in edges:
        columns[depth[node]].append((depth[node], node, ""))
    for trail in _trails(edges, depth):
        for spot in trail[1:-1]:
            columns[spot[0]].append(spot)
        for before, after in pairwise(trail):
            links.setdefault(before, []).append(after)
            links.setdefault(after, []).append(before)
    return columns, links


def _uncrossed(columns: list[list[Spot]], links: Mapping[Spot, list[Spot]]) -> list[list[Spot]]:
    """The columns in an order with fewer crossings: each by the mean place of its neighbours on one side, there and back again."""
    for sweep in range(SWEEPS):
        step = 1 if sweep % 2 == 0 else -1
        for index in range(len(columns))[::step]:
            place = {spot: number for number, spot in enumerate(columns[index - step])} if 0 <= index - step < len(columns) else {}
            own = {spot: float(number) for number, spot in enumerate(columns[index])}
            means = {spot: _mean(places) if (places := _places(spot, links, place)) else own[spot] for spot in own}
            columns[index] = sorted(columns[index], key=means.__getitem__)
    return columns


def _rows(columns: list[list[Spot]], links: Mapping[Spot, list[Spot]]) -> dict[Spot, float]:
    """The row of each spot, in the order of its column, as near to its neighbours as the distance of one row allows; the first is 0."""
    rows = {spot: float(number) for column in columns for number, spot in enumerate(column)}
    for sweep in range(SWEEPS):
        for column in columns[:: 1 if sweep % 2 == 0 else -1]:
            wished = [_mean(places) if (places := _places(spot, links, rows)) else rows[spot] for spot in column]
            pooled = _ascending([row - number for number, row in enumerate(wished)])
            rows |= {spot: row + number for number, (spot, row) in enumerate(zip(column, pooled, strict=True))}
    top = min(rows.values(), default=0.0)
    return {spot: row - top for spot, row in rows.items()}


def _places(spot: Spot, links: Mapping[Spot, list[Spot]], places: Mapping[Spot, float]) -> list[float]:
    return [places[other] for other in links.get(spot, ()) if other in places]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _ascending(values: Sequence[float]) -> list[float]:
    """The nearest sequence, in least squares, that never falls."""
    pools: list[tuple[float, int]] = []
    for value in values:
        mean, count = value, 1
        while pools and pools[-1][0] > mean:
            before, size = pools.pop()
            mean, count = (before * size + mean * count) / (size + count), size + count
        pools.append((mean, count))
    return [mean for mean, count in pools for _ in range(count)]


def _width(node: str, look: Look) -> float:
    return LETTER * max(len(_elided(node)), 0.9 * len(look.detail)) + PADDING


def _elided(text: str) -> str:
    return text if len(text) <= MOST_LETTERS else text[: MOST_LETTERS - 1] + "…"


def _edge(stops: Sequence[tuple[float, float, float]]) -> str:
    """A line through stops, each (left, right, height), with a head at its end."""
    _, x, y = stops[0]
    path = f"M{x:.1f} {y:.1f}"
    for number, (left, right, height) in enumerate(stops[1:], 1):
        end = left - (5 if number == len(stops) - 1 else 0)
        bend = (end - x) / 2
        path += f"C{x + bend:.1f} {y:.1f} {end - bend:.1f} {height:.1f} {end:.1f} {height:.1f}"
        if number < len(stops) - 1:
            path += f"H{right:.1f}"
        x, y = right, height
    left, _, height = stops[-1]
    head = f"M{left - 7:.1f} {height - 4:.1f}L{left:.1f} {height:.1f}L{left - 7:.1f} {height + 4:.1f}z"
    return f'<path d="{path}" fill="none" stroke="currentColor" stroke-opacity=".45" stroke-width="1.4"/><path d="{head}" opacity=".55"/>'


def _box(left: float, middle: float, width: float, node: str, look: Look) -> str:
    top = middle - HEIGHT / 2
    name = middle + 4.5 if not look.detail else middle - 2
    detail = f'<text x="{left + 25:.1f}" y="{middle + 12.5:.1f}" font-size="10.5" opacity=".7">{escape(look.detail)}</text>'
    return (
        f"<g><title>{escape(' · '.join(part for part in (node, look.detail) if part))}</title>"
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{HEIGHT:.0f}" rx="7" fill="{look.colour}" fill-opacity=".12" '
        f'stroke="{look.colour}" stroke-width="1.5"/>'
        f'<text x="{left + 9:.1f}" y="{name:.1f}" fill="{look.colour}" font-weight="bold">{look.mark}</text>'
        f'<text x="{left + 25:.1f}" y="{name:.1f}">{escape(_elided(node))}</text>{detail if look.detail else ""}</g>'
    )
