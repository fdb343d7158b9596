"""What can be set for one model: the table [tool.mlops.models.NAME] of pyproject.toml."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ..config import Settings, written
from ..errors import SettingsError

_SPAN = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(s|m|h|d|w)\s*")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What holds for one registered model.

    `gates` are conditions as in pipeline.yaml; `approvals` how many other people must approve a version before it becomes the champion;
    `pipeline` the file whose run gives the next version; `target` the column of the truth; `reference` and `test` data to fall back on
    (a path or digest); `sensitive` the columns of groups that bias is measured between; `business` the user's own metric,
    module:function; `cooldown` the seconds between two retrainings; `redact` columns whose values the log of predictions hides, `sample`
    the share of requests that it keeps, `retention` for how many seconds (None: for good); `alerts` where alerts go, each
    {"webhook": URL} or {"email": ADDRESS}; `file` is the pyproject.toml.
    """

    name: str
    gates: tuple[Mapping[str, Any], ...] = ()
    approvals: int = 0
    pipeline: str = ""
    target: str = ""
    reference: str = ""
    test: str = ""
    sensitive: tuple[str, ...] = ()
    business: str = ""
    cooldown: float = 6 * 3600.0
    redact: tuple[str, ...] = ()
    sample: float = 1.0
    alerts: tuple[Mapping[str, Any], ...] = ()
    retention: float | None = None
    file: str = ""


def of(settings: Settings, name: str) -> ModelSettings:
    """The settings of the model `name`; defaults where the project has no table for it. Raises SettingsError."""
    path = settings.project / "pyproject.toml"
    table = _models(path).get(name, {})
    where = f"[tool.mlops.models.{name}]"
    if not isinstance(table, dict):
        raise SettingsError(where, table, "write a table, such as [tool.mlops.models.NAME] with approvals = 1 in it.")
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in _CONVERT:
            raise SettingsError(f"{where} {key}", value, f"there is no such setting; there are {', '.join(sorted(_CONVERT))}.")
        values[key] = _CONVERT[key](f"{where} {key}", value)
    return ModelSettings(name=name, **values, file=str(path) if table else "")


def named(settings: Settings) -> tuple[str, ...]:
    """The models that the project has settings for."""
    path = settings.project / "pyproject.toml"
    return tuple(_models(path))


def seconds(name: str, value: Any) -> float:
    """Seconds of a span such as `6h`, `30m` or `1d`; a plain number is seconds. Raises SettingsError, with `name` in it."""
    match = _SPAN.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return float(match[1]) * _SECONDS[match[2]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise SettingsError(name, value, 'write a span such as "6h", "30m" or "1d".')


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise SettingsError(name, value, "write a text.")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise SettingsError(name, value, 'write a list of texts, such as ["a", "b"].')
    return tuple(value)


def _tables(name: str, value: Any) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise SettingsError(name, value, 'write a list of tables, such as [{metric = "auc", at_least = 0.7}].')
    return tuple(value)


def _whole(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise SettingsError(name, value, "write a whole number, 0 or more.")
    return value


def _share(name: str, value: Any) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise SettingsError(name, value, "write a share from 0 to 1.")
    return float(value)


_CONVERT: Mapping[str, Callable[[str, Any], Any]] = {
    "gates": _tables, "approvals": _whole, "pipeline": _text, "target": _text, "reference": _text, "test": _text, "sensitive": _texts,
    "business": _text, "cooldown": seconds, "redact": _texts, "sample": _share, "alerts": _tables,
    "retention": seconds,
}  # fmt: skip
assert set(_CONVERT) == {field.name for field in fields(ModelSettings)} - {"name", "file"}


def _models(path: Path) -> Mapping[str, Any]:
    models = written(path).get("models", {})
    if not isinstance(models, dict):
        raise SettingsError("[tool.mlops.models]", models, "write a table for each model, such as [tool.mlops.models.NAME].")
    return models
