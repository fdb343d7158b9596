"""A monitoring as one page of HTML that needs nothing else: its tables, and plots as SVG. It runs no script and asks no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ..records import Alert, Drift, Monitoring
from .blocks import Table
from .monitoring_view import drift_table, groups_table, moment, performance_table, service_line

# Okabe and Ito's palette (2008), which any eyes can tell apart.
_BEFORE, _NOW, _RED, _FAINT = "#0072b2", "#e69f00", "#d55e00", "#8a93a1"
_WIDTH, _HEIGHT = 300, 130
_STYLE = """body{font:15px/1.5 system-ui,sans-serif;color:#2d3440;max-width:1000px;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;font-size:13.5px}
td,th{padding:.2rem .7rem;text-align:left;border-bottom:1px solid #e8ebf0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#b3261e}.good{color:#00714d}.faint{color:#5b6472}
.plots{display:flex;flex-wrap:wrap;gap:14px}figure{margin:0}figcaption{font-size:13px;font-weight:600}svg{display:block}"""


def page(found: Monitoring) -> str:
    """The page. All that comes from data is escaped."""
    title = f"{found.model} version {found.version}"
    tone = {"alert": "bad", "well": "good"}.get(found.verdict, "faint")
    drift = [Drift.of(item) for item in found.drift]
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="{tone}"><b>{escape(found.verdict)}</b>: {found.rows:,} predictions from {moment(found.start)} to {moment(found.end)}, '
        f"the truth of {found.labelled:,} is known</p>",
    ]
    if found.alerts:
        parts.append(
            "<ul>"
            + "".join(f'<li class="bad">{escape(f"{item.kind}: {item.what}")}</li>' for item in map(Alert.of, found.alerts))
            + "</ul>"
        )
    if found.performance:
        parts += ["<h2>Performance</h2>", _table(performance_table(found))]
    if found.slices:
        parts += ["<h3>By slice and group</h3>", _table(groups_table(found))]
    if lines := {name: points for name, points in found.series.items() if not name.startswith("psi ")}:
        known = {name: item.get("reference") for name, item in found.performance.items()}
        parts += ["<h3>Over time</h3>", _plots([(name, _lines(points, known.get(name))) for name, points in lines.items()])]
    if drift:
        parts += ["<h2>Drift</h2>"]
        if found.distributions:
            parts.append(f'<p class="faint">{_key(_BEFORE)} training data, {_key(_NOW)} this window</p>')
            drifted = {item.column for item in drift if item.verdict == "drift"}
            plots = [(name + (" (drift)" if name in drifted else ""), _bars(item)) for name, item in found.distributions.items()]
            parts.append(_plots(plots))
        if lines := {name.removeprefix("psi "): points for name, points in found.series.items() if name.startswith("psi ")}:
            parts += [
                "<h3>Population stability index over time</h3>",
                _plots([(name, _lines(points, None)) for name, points in lines.items()]),
            ]
        parts.append(_table(drift_table(drift, len(drift))))
    if found.service.get("requests"):
        points = found.service.get("series") or []
        shown = [("requests a second", 1), ("latency p95 (s)", 2), ("share of failures", 3)]
        plots = [(name, _lines([[point[0], point[at], 0] for point in points if point[at] is not None], None)) for name, at in shown]
        parts += ["<h2>Service</h2>", f"<p>{escape(service_line(found.service))}</p>", _plots(plots)]
    parts += [f'<p class="faint">{escape(note)}</p>' for note in found.notes]
    head = '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
    head += f"<title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def _table(table: Table) -> str:
    numeric = [any(row[place].number for row in table.rows) for place in range(len(table.columns))]
    head = "".join(f"<th{' class=n' if right else ''}>{escape(name)}</th>" for name, right in zip(table.columns, numeric, strict=True))
    rows = []
    for row in table.rows:
        cells = []
        for cell in row:
            classes = " ".join(filter(None, ["n" if cell.number else "", cell.tone if cell.tone != "plain" else ""]))
            cells.append(f'<td class="{classes}">{escape(cell.text)}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _plots(plots: Sequence[tuple[str, str]]) -> str:
    return (
        '<div class="plots">' + "".join(f"<figure><figcaption>{escape(name)}</figcaption>{svg}</figure>" for name, svg in plots) + "</div>"
    )


def _bars(item: Any) -> str:
    """Shares in the reference and now, side by side."""
    cells, before, now = item["cells"], item["reference"], item["now"]
    most = max([*before, *now, 1e-9])
    step = (_WIDTH - 10) / max(len(cells), 1)
    shapes = []
    for place, (name, first, second) in enumerate(zip(cells, before, now, strict=True)):
        for shift, share, colour in ((0.05, first, _BEFORE), (0.5, second, _NOW)):
            height = share / most * (_HEIGHT - 30)
            told = f"<title>{escape(str(name))}: {share:.1%}</title>"
            left, top = 5 + (place + shift) * step, _HEIGHT - 18 - height
            shapes.append(
                f'<rect x="{left:.1f}" y="{top:.1f}" width="{step * 0.43:.1f}" height="{height:.1f}" fill="{colour}">{told}</rect>'
            )
    ends = [(5, "start", str(cells[0])), (_WIDTH - 5, "end", str(cells[-1]))] if cells else []
    texts = "".join(_text(x, _HEIGHT - 4, anchor, text[:24]) for x, anchor, text in ends)
    return _svg("".join(shapes) + texts)


def _lines(points: Sequence[Sequence[float]], level: float | None) -> str:
    """A value over time, as [from, value, rows]; `level` is what it was on the test data."""
    if not points:
        return _svg(_text(_WIDTH / 2, _HEIGHT / 2, "middle", "no values"))
    values = [point[1] for point in points]
    low, high = min([*values, *([level] if level is not None else [])]), max([*values, *([level] if level is not None else [])])
    room = (high - low) or abs(high) or 1.0
    low, high = low - 0.1 * room, high + 0.1 * room
    first, last = points[0][0], points[-1][0]

    def place(at: float, value: float) -> tuple[float, float]:
        x = 45 + (at - first) / ((last - first) or 1) * (_WIDTH - 55)
        return x, 8 + (high - value) / (high - low) * (_HEIGHT - 32)

    drawn = [place(point[0], point[1]) for point in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in drawn)
    shapes = [f'<polyline points="{path}" fill="none" stroke="{_BEFORE}" stroke-width="1.8"/>']
    for (x, y), point in zip(drawn, points, strict=True):
        rows = f", {point[2]:,.0f} rows" if len(point) > 2 and point[2] else ""
        told = f"<title>{escape(moment(point[0]))}: {point[1]:.4g}{rows}</title>"
        shapes.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{_BEFORE}">{told}</circle>')
    if level is not None:
        y = place(first, level)[1]
        shapes.append(
            f'<line x1="45" x2="{_WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="{_RED}" stroke-dasharray="4 3">'
            "<title>test data</title></line>"
        )
    shapes += [_text(40, 14, "end", f"{high:.3g}"), _text(40, _HEIGHT - 24, "end", f"{low:.3g}")]
    shapes += [_text(45, _HEIGHT - 4, "start", moment(first)), _text(_WIDTH - 5, _HEIGHT - 4, "end", moment(last))]
    return _svg("".join(shapes))


def _svg(inside: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" role="img">{inside}</svg>'


def _text(x: float, y: float, anchor: str, text: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-size="10" fill="{_FAINT}">{escape(text)}</text>'


def _key(colour: str) -> str:
    return f'<span style="color:{colour}">&#9632;</span>'
