"""The one compact line under a result cell: which run it made, what it measured and whether that is better, what was changed.

◆ gentle-fox  auc 0.742 ▲ +0.021 better, best yet · log_loss 0.481 ▼ -0.012 better · C: 0.1 → 1.0
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from ..records import Run

METRICS = 4
PARAMS = 4
MARK = "◆"

_LOWER = re.compile(
    r"loss|err(or)?s?|m[sa]e|rmse|rmsle|mape|smape|msle|deviance|brier|ece|perplexity|ppl|aic|bic|inertia|wer|cer|fpr|fnr|hinge|regret|residual|impurity"
    r"|seconds|latency|duration|distance|davies|kl|nll"
)
_HIGHER = re.compile(
    r"acc(uracy)?|auc|auroc|auprc|roc|f1|f\d|fbeta|precision|recall|r2|score|rsquared|r_squared|rsquared_adj|ap|map|ndcg|mrr|iou|dice|jaccard|silhouette|kappa"
    r"|mcc|sensitivity|specificity|tpr|tnr|bleu|rouge|likelihood|llf|ll|gain|lift|gini|calinski|reward|return"
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One piece of the line: its text, and what it means (better, worse, or nothing)."""

    text: str
    sense: str = ""


def direction(metric: str) -> int:
    """Whether more of a metric is better (1), less is (-1), or its name does not tell (0)."""
    words = [word for word in re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", metric).lower()) if word]
    if "neg" in words or "negative" in words:
        return 1  # scikit-learn's neg_* scores: more is better whatever follows
    for word in reversed(words):  # "accuracy_loss" is a loss, "loss_score" a score: the last word that tells decides
        if re.fullmatch(_LOWER, word):
            return -1
        if re.fullmatch(_HIGHER, word):
            return 1
    compact = "".join(words)
    return -1 if re.search(r"loss|error", compact) else 1 if re.search(r"accuracy|auc|score", compact) else 0


def line(run: Run, earlier: Sequence[Run]) -> tuple[str, str]:
    """The line as (text, html). `earlier` holds the experiment's other runs, newest first; without any it is the first run."""
    others = [other for other in earlier if other.id not in (run.id, run.own_id) and (not run.own_id or other.own_id != run.own_id)]
    parts = [*_metrics(run, others), *_params(run, others)]
    if run.status == "FAILED":
        parts.append(_Part("failed", "worse"))
    if not others:
        parts.append(_Part(f"first run of {run.experiment}" if run.experiment else "first run"))
    parts += [_Part(f"skipped: {text}", "worse") for text in run.skipped]
    text = " · ".join(part.text for part in parts)
    return f"{MARK} {run.name}  {text}", _html(run.name, parts)


def _metrics(run: Run, others: Sequence[Run]) -> list[_Part]:
    parts = [_metric(name, value, others) for name, value in list(run.metrics.items())[:METRICS]]
    more = len(run.metrics) - METRICS
    return [*parts, *([_Part(f"{more} more metric{'s' * (more > 1)}")] if more > 0 else [])]


def _metric(name: str, value: float, others: Sequence[Run]) -> _Part:
    shown = f"{name} {number(value)}"
    past = [other.metrics[name] for other in others if name in other.metrics and math.isfinite(other.metrics[name])]
    if not past or not math.isfinite(value):
        return _Part(shown)
    way, change = direction(name), value - past[0]
    if change == 0:
        shown, sense = f"{shown} = as before", ""
    else:
        sense = "" if way == 0 else "better" if change * way > 0 else "worse"
        shown = f"{shown} {'▲' if change > 0 else '▼'} {_signed(change)}" + (f" {sense}" if sense else "")
    if way == 0:
        return _Part(shown, sense)
    best = max(past) if way > 0 else min(past)
    if (value - best) * way > 0:
        return _Part(f"{shown}, best yet", sense)
    return _Part(f"{shown}, best {number(best)}" if value != best else f"{shown}, equals the best", sense)


def _params(run: Run, others: Sequence[Run]) -> list[_Part]:
    if not others:
        return []
    before = others[0].params
    if not run.params and not run.model and others[0].model:
        return []  # a run made by hand: what it does not have was not changed
    models = [str((side.model or {}).get("class") or "") for side in (others[0], run)]
    if models[0] != models[1] and all(models):
        # Another model has other parameters: which ones came and went says nothing.
        shared = [name for name in run.params if name in before and str(run.params[name]) != str(before[name])]
        return [
            _Part(f"{models[0]} → {models[1]}"),
            *(_Part(f"{name}: {_brief(before[name])} → {_brief(run.params[name])}") for name in shared[:PARAMS]),
        ]
    names = [name for name in {**run.params, **before} if str(run.params.get(name, _NONE)) != str(before.get(name, _NONE))]
    parts = [_Part(f"{name}: {_brief(before.get(name, _NONE))} → {_brief(run.params.get(name, _NONE))}") for name in names[:PARAMS]]
    more = len(names) - PARAMS
    return [*parts, *([_Part(f"{more} more changed")] if more > 0 else [])]


_NONE = object()


def _brief(value: Any) -> str:
    if value is _NONE:
        return "none"
    text = number(value) if isinstance(value, float) else str(value)
    text = " ".join(text.split())
    return text if len(text) <= 24 else text[:23] + "…"


def number(value: float) -> str:
    """A number as briefly as it can be read: four significant digits, whole numbers whole."""
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return f"{value:.1f}"
    return f"{value:.4g}"


def _signed(change: float) -> str:
    return f"{change:+.2g}"


_COLOURS = {"better": "#2e9e4f", "worse": "#d1603d", "": "inherit"}


def _html(name: str, parts: Sequence[_Part]) -> str:
    """The same line in HTML; colours are chosen to read on light and on dark ground, and never carry the meaning alone."""
    spans = " <span style='opacity:.5'>·</span> ".join(
        f"<span style='color:{_COLOURS[part.sense]}'>{escape(part.text)}</span>" for part in parts
    )
    return (
        "<div style='font-size:90%;opacity:.9;border-left:3px solid #4c8dd6;padding:1px 0 1px 8px;margin:2px 0'>"
        f"<b>{escape(name)}</b>&ensp;{spans}</div>"
    )
