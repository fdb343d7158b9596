"""The filters and orders of the reading verbs in MLflow's words: plain names may stand for metrics, parameters and attributes."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import limits

_ATTRIBUTES = {
    "started": "start_time", "start_time": "start_time", "created": "start_time", "ended": "end_time", "end_time": "end_time",
    "name": "run_name", "run_name": "run_name", "status": "status", "id": "run_id", "run_id": "run_id",
    "user": "user_id", "user_id": "user_id", "artifact_uri": "artifact_uri",
}  # fmt: skip
_PREFIXES = (
    "metrics.",
    "metric.",
    "params.",
    "param.",
    "parameters.",
    "parameter.",
    "tags.",
    "tag.",
    "attributes.",
    "attribute.",
    "attr.",
    "run.",
    "dataset.",
    "datasets.",
)
_CLAUSE = re.compile(
    r"""(?P<name>`[^`]+`|"[^"]+"(?=\s*(?:[=!<>]|I?LIKE|IN|NOT|IS))|[A-Za-z_][\w.\-/:]*(?:`[^`]*`|"[^"]*")?)\s*
    (?P<compare>!=|>=|<=|=|>|<|\bI?LIKE\b|\bNOT\s+IN\b|\bIN\b|\bIS\s+NOT\s+NULL\b|\bIS\s+NULL\b)\s*
    (?P<value>'[^']*'|"[^"]*"|\([^)]*\)|-?[\w.+\-]+)?""",
    re.IGNORECASE | re.VERBOSE,
)


def translate(where: str, is_metric: Callable[[str], bool]) -> str:
    """`auc > 0.8 and C = 0.1` as MLflow's `metrics.auc > 0.8 and params.C = '0.1'`.

    `is_metric` is asked about a name where = or != leaves metric and parameter possible.
    """
    return _CLAUSE.sub(lambda match: _clause(match, is_metric), where)


def _clause(match: re.Match[str], is_metric: Callable[[str], bool]) -> str:
    name, compare, value = match["name"], match["compare"], match["value"] or ""
    if name.lower().startswith(_PREFIXES):
        return match[0]
    bare = name.strip('`"')
    if bare.lower() in _ATTRIBUTES:
        attribute = _ATTRIBUTES[bare.lower()]
        quoted = value if attribute.endswith("_time") or value[:1] in ("'", '"', "(") else f"'{value}'"
        return f"attributes.{attribute} {compare} {quoted}".rstrip()
    numeric = re.fullmatch(r"-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", value, re.IGNORECASE) is not None
    if compare in (">", ">=", "<", "<=") or (numeric and is_metric(bare)):
        return f"metrics.`{limits.key(bare)}` {compare} {value}"
    quoted = value if not value or value[:1] in ("'", '"', "(") else f"'{value}'"
    return f"params.`{limits.key(bare)}` {compare} {quoted}".rstrip()


def sorted_by(ordering: list[str]) -> tuple[str, str] | None:
    """What an order goes by, if any run may lack it: (metrics, params or tags, its key)."""
    match = re.match(r"(metrics|params|tags)\.`(.+)` (?:ASC|DESC)$", ordering[0])
    return (match[1], match[2]) if match else None


def order(sort: str, is_param: Callable[[str], bool] = lambda name: False) -> list[str]:
    """`-auc` as MLflow's order "metrics.auc DESC"; "" is newest first. `is_param` is asked about a plain name that is no attribute."""
    name = sort.strip() or "-started"
    direction = "DESC" if name.startswith("-") else "ASC"
    name = name.removeprefix("-").removeprefix("+").strip()
    match = re.fullmatch(r"(metric|param|tag|attribute)s?\.[`\"]?(.+?)[`\"]?", name)
    if name.lower() in _ATTRIBUTES:
        column = f"attributes.{_ATTRIBUTES[name.lower()]}"
    elif match and match[1] == "attribute":
        column = f"attributes.{_ATTRIBUTES.get(match[2], match[2])}"
    elif match:
        column = f"{match[1]}s.`{limits.key(match[2])}`"
    else:
        plain = name.strip("`")
        column = f"{'params' if is_param(plain) else 'metrics'}.`{limits.key(plain)}`"
    return (
        [f"{column} {direction}"] if column.startswith("attributes.start_time") else [f"{column} {direction}", "attributes.start_time DESC"]
    )
