"""The words of a job's command. No value can be taken for an option: options are written --name=value, and what follows -- is no option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .table import Job


def words(verb: str, job: Job, arguments: Mapping[str, Any]) -> list[str]:
    """What follows `mlops`."""
    options = [word for name, value in arguments.items() if name not in job.words for word in _option(name.replace("_", "-"), value)]
    plain = [str(item) for name in job.words if name in arguments for item in _each(arguments[name])]
    return [verb, "--json", *options, "--", *plain]


def _option(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, bool):
        if value:
            yield f"--{name}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield f"--{name}={key}={_text(item)}"
    else:
        for item in _each(value):
            yield f"--{name}={item}"


def _each(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _text(value: Any) -> str:
    """A parameter as a command's word, which the pipeline reads by the kind of its default."""
    return str(value).lower() if isinstance(value, bool) else str(value)
