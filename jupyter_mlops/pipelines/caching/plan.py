"""What a pipeline would do, and why: which steps run, which are there already, and which part of a key changed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...config import Settings
from ...errors import PipelineError
from ...records import Pipeline, PipelineStep, StepPlan
from ..definition import graph
from ..definition.wording import shown
from . import contents
from .commits import NEVER, Commit, Commits
from .keys import Keys, changed, key

Outputs = Mapping[str, Mapping[str, Any]]
"""The outputs of a step by name, each with its "digest"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A step whose inputs are known. `inputs` holds their digests, `parts` and `key` what they give; `commit` is the result when it is
    there and may be used, else `why` says what leads to a run. `made_after` is what `Commits.claim` is to be asked with."""

    step: PipelineStep
    inputs: Mapping[str, str]
    parts: Mapping[str, Any]
    key: str
    commit: Commit | None = None
    why: tuple[str, ...] = ()
    made_after: float = 0.0


class Planner:
    """Looks at the steps of one pipeline; keep one for a whole run.

    With `force`, results count only if they were made since the planner was, so that of two forced runs at once one does the work.
    """

    def __init__(self, pipeline: Pipeline, commits: Commits, *, force: bool = False) -> None:
        self.pipeline, self.commits = pipeline, commits
        self._force = force
        self._since = commits.state.now() if force else 0.0
        self._keys = Keys(commits.contents)
        self._names = frozenset(step.name for step in pipeline.steps)

    def look(self, step: PipelineStep, outputs: Mapping[str, Outputs], chosen: bool = True) -> Look:
        """How a step stands now, given the outputs of the steps before it. Raises PipelineError.

        A step that was not chosen is not forced.
        """
        self._keys.forget()
        look = self._look(step, outputs, chosen)
        self.commits.contents.memory.flush()
        return look

    def borrowed(self, step: PipelineStep, outputs: Mapping[str, Outputs]) -> Commit:
        """The result of a step that was not chosen, for what it would be given now. Raises PipelineError where there is none."""
        return self._there(self.look(step, outputs, chosen=False))

    def plans(self, selected: Collection[str] | None) -> tuple[StepPlan, ...]:
        """What would be done with each step, in the order of execution. Raises PipelineError."""
        self._keys.forget()
        chosen = self._names if selected is None else frozenset(selected)
        sources = graph.upstream(self.pipeline)
        wanted = self._wanted(chosen)
        outputs: dict[str, Outputs] = {}
        open_ended: set[str] = set()
        found = []
        for step in graph.ordered(self.pipeline):
            waits = tuple(name for name in sources[step.name] if name in open_ended)
            if step.name not in wanted:
                plan = StepPlan(step=step.name, action="skip", why=("not chosen",))
            elif waits:
                open_ended.add(step.name)
                why = (f"waits for {', '.join(waits)}", *self._own_changes(step))
                skipped = StepPlan(step=step.name, action="skip", why=("not chosen",))
                plan = StepPlan(step=step.name, action="after", why=why) if step.name in chosen else skipped
            else:
                look = self._look(step, outputs, step.name in chosen)
                if step.name not in chosen:
                    outputs[step.name] = self._there(look).outputs
                    plan = StepPlan(step=step.name, action="skip", why=("not chosen",), key=look.key)
                elif look.commit is not None:
                    outputs[step.name] = look.commit.outputs
                    plan = StepPlan(step=step.name, action="cached", key=look.key)
                else:
                    open_ended.add(step.name)
                    plan = StepPlan(step=step.name, action="run", why=look.why, key=look.key)
            found.append(plan)
        self.commits.contents.memory.flush()
        return tuple(found)

    @cached_property
    def _latest(self) -> Mapping[str, Commit]:
        """The latest results as the planner began: while one of them fits, nothing else needs to be asked."""
        return self.commits.latest_of(self.pipeline.name)

    def _wanted(self, chosen: frozenset[str]) -> frozenset[str]:
        """The chosen steps, and those whose results they take, directly or through others that were not chosen."""
        steps = {step.name: step for step in self.pipeline.steps}
        found, waiting = set(chosen), list(chosen)
        while waiting:
            for value in steps[waiting.pop()].inputs.values():
                source = graph.reference(value, self._names)
                if source is not None and source[0] not in found:
                    found.add(source[0])
                    waiting.append(source[0])
        return frozenset(found)

    def _look(self, step: PipelineStep, outputs: Mapping[str, Outputs], chosen: bool) -> Look:
        digests = {name: self._digest(step, name, value, outputs) for name, value in step.inputs.items()}
        unknown = tuple(name for name, digest in digests.items() if digest is None)
        inputs = {name: digest or "unknown" for name, digest in digests.items()}
        parts = self._keys.parts(step, inputs, self.pipeline)
        name = key(parts)
        # One that was not chosen does not run: what it gave last is what there is.
        never = chosen and (unknown or not step.cache)
        made_after = NEVER if never else self._since if chosen else 0.0
        latest = self._latest.get(step.name)
        fits = latest is not None and latest.key == name and latest.made > made_after
        if latest is not None and fits and self.commits.stands(latest):
            return Look(step=step, inputs=inputs, parts=parts, key=name, commit=latest, made_after=made_after)
        commit, observed = self.commits.judged(name, made_after)
        why: tuple[str, ...] = ()
        if commit is None:
            if not chosen:
                why = (f"observed: {observed} changed",) if observed else self._changes(step.name, parts)
            elif unknown:
                why = tuple(f"inputs.{item}: its query has no fingerprint, so that nobody can tell whether it changed" for item in unknown)
            elif not step.cache:
                why = ("its results are not kept (cache: false)",)
            elif self._force:
                why = ("forced",)
            else:
                why = (f"observed: {observed} changed",) if observed else self._changes(step.name, parts)
        return Look(step=step, inputs=inputs, parts=parts, key=name, commit=commit, why=why, made_after=made_after)

    def _changes(self, step: str, parts: Mapping[str, Any]) -> tuple[str, ...]:
        """How a key differs from that of the recent result which is nearest to it."""
        recent = self.commits.recent(self.pipeline.name, step)
        found = [sentences for commit in recent if (sentences := changed(commit.parts, parts))]
        return min(found, key=len) if found else ("it has not run yet",)

    def _own_changes(self, step: PipelineStep) -> tuple[str, ...]:
        """How a step differs from its latest result, whatever its inputs will be."""
        latest = self._latest.get(step.name)
        if latest is None:
            return ()
        inputs: Mapping[str, str] = latest.parts.get("inputs") or {}
        same = {name: inputs.get(name, "") for name in step.inputs}
        return changed(latest.parts, self._keys.parts(step, same, self.pipeline))

    def _digest(self, step: PipelineStep, name: str, value: Any, outputs: Mapping[str, Outputs]) -> str | None:
        source = graph.reference(value, self._names)
        if source is None:
            return self.commits.contents.given(value, step.name, name)
        given = outputs[source[0]]
        if source[1] not in given:
            there = f"it gives {', '.join(given)}" if given else "it gives none"
            raise PipelineError(
                f"step {step.name!r} takes {value}, but step {source[0]!r} gave no output {source[1]!r} ({there}): correct the name.",
                shown(self.pipeline.path) if self.pipeline.path else "",
                step.line,
            )
        return str(given[source[1]]["digest"])

    def _there(self, look: Look) -> Commit:
        if look.commit is None:
            why = f" ({'; '.join(look.why)})" if look.why else ""
            raise PipelineError(
                f"step {look.step.name!r} was not chosen, and has no result for what it would be given now{why}: run it first, with --only "
                f"{look.step.name}.",
                shown(self.pipeline.path) if self.pipeline.path else "",
                look.step.line,
            )
        return look.commit


def planned(pipeline: Pipeline, commits: Commits, selected: Collection[str] | None = None, *, force: bool = False) -> tuple[StepPlan, ...]:
    """What would be done with each step, in the order of execution; nothing is run. `selected` as `graph.selected` gives it.

    Raises PipelineError where a step that was not chosen has to give an input and has no result that fits.
    """
    return Planner(pipeline, commits, force=force).plans(selected)


def holds(look: Look, pipeline: Pipeline, above: Collection[str], seen: contents.Contents) -> bool:
    """Whether the key of a step is still what it was when it was looked at; `above` are those of its inputs that other steps gave.

    To be asked when the step has run: a file that changed meanwhile was read as it was before, or after.
    """
    step, inputs = look.step, dict(look.inputs)
    try:
        inputs |= {name: seen.given(value, step.name, name) or "" for name, value in step.inputs.items() if name not in above}
        return key(Keys(seen).parts(step, inputs, pipeline)) == look.key
    except PipelineError:  # one of them is gone
        return False


def opened(settings: Settings, pipeline: Pipeline) -> Commits:
    """The commits of a project, seen from a pipeline's folder."""
    from pathlib import Path

    return Commits(settings, contents.opened(Path(pipeline.folder), settings.home))
