"""The plots of a card, each from plain arrays to SVG. One style: no frame, few colours that any eyes can tell apart, text as text."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Array = np.ndarray[Any, Any]
# Okabe and Ito's palette (2008).
BLUE, ORANGE, GREEN, RED, GREY, INK = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#999999", "#2d3440"
COLOURS = (BLUE, ORANGE, GREEN, RED, "#cc79a7", "#56b4e9")
WIDTH = 8.4
"""Inches of a plot as wide as the page."""
_BINS = 30
_MOST_BARS = 10
_MOST_CLASSES = 12
_STYLE: Any = {
    "font.family": "sans-serif", "font.size": 9.5, "svg.fonttype": "none", "svg.hashsalt": "card", "text.parse_math": False,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#b8bec8", "axes.labelcolor": INK, "axes.titlesize": 10,
    "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.grid": True, "grid.color": "#e8ebf0", "axes.axisbelow": True,
    "xtick.color": "#5b6472", "ytick.color": "#5b6472", "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "text.color": INK,
    "legend.frameon": False, "legend.fontsize": 8.5, "figure.constrained_layout.use": True,
}  # fmt: skip


def curves(series: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Stepped metrics, one line each, in a panel for each that has its own scale."""
    with _drawn(min(len(series), 4), columns=2, height=2.5) as (figure, axes):
        for place, ((name, points), axis) in enumerate(zip(list(series.items())[:4], axes, strict=False)):
            steps, values = [point[0] for point in points], [point[1] for point in points]
            axis.plot(
                steps, values, color=COLOURS[place % len(COLOURS)], linewidth=1.8, marker="o" if len(points) < 12 else None, markersize=3
            )
            axis.set(title=name, xlabel="step")
        return _svg(figure)


def ranking(truth: Array, scores: Array) -> str:
    """ROC and precision-recall curve of the positive class; `truth` is 0 or 1."""
    from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

    with _drawn(2, columns=2, height=3.1) as (figure, (left, right)):
        wrong, found, _ = roc_curve(truth, scores)
        left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        left.plot(wrong, found, color=BLUE, linewidth=1.8)
        left.set(title=f"ROC curve (area {auc(wrong, found):.3f})", xlabel="false positive rate", ylabel="true positive rate")
        precision, recall, _ = precision_recall_curve(truth, scores)
        right.axhline(float(np.mean(truth)), color=GREY, linestyle=":", linewidth=1)
        right.plot(recall, precision, color=BLUE, linewidth=1.8)
        right.set(title=f"Precision and recall (average {average_precision_score(truth, scores):.3f})", xlabel="recall", ylabel="precision")
        right.set_ylim(0, 1.02)
        return _svg(figure)


def calibration(truth: Array, chances: Array) -> str:
    """How often what was predicted with a probability came true, and how the probabilities are spread, by class."""
    places = np.clip((chances * 10).astype(int), 0, 9)
    counts = np.bincount(places, minlength=10)
    there = counts > 0
    said = np.bincount(places, chances, 10)[there] / counts[there]
    came = np.bincount(places, truth, 10)[there] / counts[there]
    # Wilson's interval (1927).
    rows, z = counts[there], 1.96
    centre = (came + z**2 / (2 * rows)) / (1 + z**2 / rows)
    half = z * np.sqrt(came * (1 - came) / rows + z**2 / (4 * rows**2)) / (1 + z**2 / rows)
    error = float(np.sum(np.abs(said - came) * rows) / max(rows.sum(), 1))
    with _drawn(2, columns=2, height=3.1) as (figure, (left, right)):
        left.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1)
        left.errorbar(said, came, yerr=[np.maximum(came - (centre - half), 0), np.maximum(centre + half - came, 0)], color=BLUE, fmt="o-",
                      linewidth=1.6, markersize=4, elinewidth=1, capsize=2)  # fmt: skip
        left.set(title=f"Calibration (expected error {error:.3f})", xlabel="predicted probability", ylabel="share that came true")
        left.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))
        edges = np.linspace(0, 1, _BINS + 1).tolist()
        for value, colour, name in ((0, GREY, "negative"), (1, ORANGE, "positive")):
            right.hist(chances[truth == value], edges, color=colour, alpha=0.65, label=name, density=bool((truth == value).any()))
        right.set(title="Predicted probabilities by class", xlabel="predicted probability", ylabel="density")
        right.legend()
        return _svg(figure)


def confusion(counts: Array, labels: Sequence[str]) -> str:
    """A confusion matrix: rows are the truth, and colours their shares."""
    shown = min(len(labels), _MOST_CLASSES)
    counts, labels = counts[:shown, :shown], [_short(label, 14) for label in labels[:shown]]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = max(2.8, 0.55 * shown + 1.2)
    with _drawn(1, columns=1, height=size, width=size + 1.3) as (figure, (axis,)):
        axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        axis.grid(False)
        axis.set(xticks=range(shown), yticks=range(shown), xticklabels=labels, yticklabels=labels, xlabel="predicted", ylabel="truth")
        axis.set_title("Confusion matrix")
        if shown > 6:
            axis.tick_params(axis="x", rotation=60)
        for row in range(shown):
            for column in range(shown):
                colour = "white" if shares[row, column] > 0.55 else INK
                text = f"{counts[row, column]:,}\n{shares[row, column]:.0%}" if shown <= 6 else f"{shares[row, column]:.0%}"
                axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=8.5)
        return _svg(figure)


def residuals(truth: Array, made: Array) -> str:
    """Predictions against the truth, and their errors."""
    with _drawn(2, columns=2, height=3.1) as (figure, (left, right)):
        low, high = float(min(truth.min(), made.min())), float(max(truth.max(), made.max()))
        left.hexbin(truth, made, gridsize=32, mincnt=1, cmap="Blues", bins="log", linewidths=0.2)
        left.plot([low, high], [low, high], color=RED, linewidth=1, linestyle="--")
        left.set(title="Predictions and truth", xlabel="truth", ylabel="predicted")
        errors = made - truth
        reach = float(np.quantile(np.abs(errors), 0.99)) or 1.0
        right.hist(np.clip(errors, -reach, reach), _BINS, color=BLUE, alpha=0.8)
        right.axvline(0, color=INK, linewidth=1)
        right.set(title=f"Errors (mean {errors.mean():.3g})", xlabel="predicted less truth", ylabel="rows")
        return _svg(figure)


def distributions(columns: Mapping[str, tuple[Array, Array | None]], kinds: Mapping[str, str]) -> str:
    """Each column as it was trained on, and beside it as it is in the data of the check (None: there is none).

    `kinds` says of each whether it is a number or a category; missing values are left out.
    """
    with _drawn(len(columns), columns=3, height=1.9) as (figure, axes):
        for (name, (before, now)), axis in zip(columns.items(), axes, strict=False):
            (_numbers if kinds[name] == "number" else _categories)(axis, before, now)
            axis.set_title(_short(name, 28))
            axis.set_yticks([])
            axis.grid(False)
        if len(axes) and any(now is not None for _, now in columns.values()):
            axes[0].legend(loc="best")
        return _svg(figure)


def bars(values: Mapping[str, float], *, title: str, line: float | None = None, label: str = "", worst: int = 0) -> str:
    """Horizontal bars, the first on top; `line` marks a value to compare with, and the first `worst` bars stand out."""
    with _drawn(1, columns=1, height=0.9 + 0.27 * len(values)) as (figure, (axis,)):
        names = [_short(name, 60) for name in values]
        places = np.arange(len(values))[::-1]
        colours = [RED if number < worst else BLUE for number in range(len(values))]
        axis.barh(places, list(values.values()), color=colours, height=0.68, alpha=0.9)
        axis.set_yticks(places, names)
        axis.grid(axis="y", visible=False)
        axis.set(title=title)
        if line is not None:
            axis.axvline(line, color=INK, linewidth=1, linestyle="--")
            axis.annotate(
                label, (line, 1), xycoords=("data", "axes fraction"), xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8.5
            )
        for place, value in zip(places, values.values(), strict=True):
            axis.annotate(f"{value:.3g}", (value, place), xytext=(3 if value >= 0 else -3, 0), textcoords="offset points", va="center",
                          ha="left" if value >= 0 else "right", fontsize=8)  # fmt: skip
        axis.margins(x=0.08)
        return _svg(figure)


def groups(table: Mapping[str, Mapping[str, float]], measures: Sequence[str], *, title: str) -> str:
    """Measures of each group side by side, in a panel for each measure."""
    names = list(table)
    with _drawn(len(measures), columns=min(len(measures), 3), height=0.9 + 0.3 * len(names)) as (figure, axes):
        places = np.arange(len(names))[::-1]
        for place, (measure, axis) in enumerate(zip(measures, axes, strict=False)):
            values = [float(table[name].get(measure, float("nan"))) for name in names]
            axis.barh(places, np.nan_to_num(values), color=COLOURS[place % len(COLOURS)], height=0.66, alpha=0.85)
            axis.set_yticks(places, [_short(name, 22) for name in names] if place % 3 == 0 else [""] * len(names))
            axis.set_title(measure.replace("_", " "))
            axis.grid(axis="y", visible=False)
            axis.set_xlim(0, 1)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="#5b6472")
        return _svg(figure)


def history(points: Sequence[tuple[int, float]], champion: int | None, metric: str, this: int) -> str:
    """A metric over the versions of a model: which one serves, and which one this card is about."""
    with _drawn(1, columns=1, height=2.3) as (figure, (axis,)):
        axis.plot([version for version, _ in points], [value for _, value in points], color=GREY, linewidth=1.2, marker="o", markersize=4)
        for version, value in points:
            if version in (champion, this):
                colour = GREEN if version == champion else BLUE
                name = "champion" if version == champion else "this version"
                axis.plot([version], [value], "o", color=colour, markersize=8, label=f"{name} ({version})")
        axis.set(title=f"{metric} by version", xlabel="version", xticks=[version for version, _ in points][:: max(1, len(points) // 12)])
        axis.legend()
        return _svg(figure)


def _numbers(axis: Axes, before: Array, now: Array | None) -> None:
    values = before[np.isfinite(before)]
    both = values if now is None else np.concatenate([values, now[np.isfinite(now)]])
    if not len(both):
        axis.text(0.5, 0.5, "no values", ha="center", transform=axis.transAxes)
        return
    low, high = np.quantile(both, [0.005, 0.995])
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1).tolist()
    for data, colour, name in ((values, BLUE, "training"), (now, ORANGE, "test")):
        if data is not None and len(data):
            weights = np.full(len(data), 1 / len(data))
            axis.hist(np.clip(data, edges[0], edges[-1]), edges, weights=weights, color=colour, alpha=0.5, label=name)


def _categories(axis: Axes, before: Array, now: Array | None) -> None:
    names, counts = np.unique(before.astype(str), return_counts=True)
    order = np.argsort(-counts)[:_MOST_BARS]
    shown = names[order]
    places = np.arange(len(shown))
    width = 0.8 if now is None else 0.4
    axis.bar(
        places - (0 if now is None else width / 2), counts[order] / max(counts.sum(), 1), width, color=BLUE, alpha=0.6, label="training"
    )
    if now is not None and len(now):
        texts = now.astype(str)
        axis.bar(places + width / 2, [float(np.mean(texts == name)) for name in shown], width, color=ORANGE, alpha=0.6, label="test")
    axis.set_xticks(places, [_short(str(name), 8) for name in shown], rotation=60 if len(shown) > 4 else 0)


@contextmanager
def _drawn(count: int, *, columns: int, height: float, width: float = WIDTH) -> Iterator[tuple[Figure, list[Axes]]]:
    """A figure with `count` panels of this height, without touching what the user draws: no pyplot, no global style."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        columns = max(1, min(columns, count))
        rows = -(-count // columns)
        figure = Figure(figsize=(width, height * rows))
        axes: list[Axes] = [figure.add_subplot(rows, columns, place + 1) for place in range(count)]
        yield figure, axes


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
