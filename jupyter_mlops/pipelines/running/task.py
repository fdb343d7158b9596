"""What travels to whoever does a step, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...config import Settings
from ...records import Pipeline, StepRun
from ...tracking.values import scalar
from ..caching.commits import Commit

Report = Callable[[Mapping[str, Any]], None]
"""What a task tells its events to, as plain dicts."""
SCALAR = "value"
"""Where what tells of an output that is a JSON scalar has it."""


class Stopped(BaseException):
    """The run was cancelled, or another took the step over: the work ends here. Nothing of a step may catch it by the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """All that is needed to do one step anywhere; it is pickled on its way.

    `pipeline` has this one step alone. `inputs` are the digests of the step's inputs and `given` what tells of those that come from other
    steps (see `outputs`), both by name; `parts` is what the `key` is made of. `run` is the id of the pipeline's run, `owner` who claims,
    `out` the path of the executed notebook. A result counts when it is made after `made_after` (by the database's clock). `mark` tells the
    project's own machine, others take the files in `needed`. `elsewhere` are the files that other steps declare as inputs. `checks` names
    who checks inputs, as module:function (see `checking`); "" where nobody does. `remote` tells that the Python which does it may be
    another one than that which made the key.
    """

    pipeline: Pipeline
    key: str
    parts: Mapping[str, Any]
    inputs: Mapping[str, str | None]
    given: Mapping[str, Mapping[str, Any]]
    settings: Settings
    run: str
    owner: str
    out: str
    made_after: float = 0.0
    tracking_uri: str | None = None
    mark: str = ""
    needed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()
    checks: str = ""
    remote: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a task, and whether a failed one may end better another time. `gone` are the inputs whose bytes are not here."""

    step: StepRun
    again: bool = False
    gone: tuple[str, ...] = ()


def cached(commit: Commit, *why: str) -> StepRun:
    """A step whose result is there already."""
    metrics = {name: told[SCALAR] for name, told in commit.outputs.items() if scalar(told.get(SCALAR)) is not None}
    return StepRun(step=commit.step, state="cached", key=commit.key, run=commit.run, outputs=commit.outputs, metrics=metrics, why=why)
