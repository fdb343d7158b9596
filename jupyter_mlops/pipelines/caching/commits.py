"""What steps gave, found by the key of what they were given: a commit is made once, whole, and by whoever holds the lease of its key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...config import Settings
from ...store import results_file
from .contents import Contents

if TYPE_CHECKING:
    # Their import takes longer than all else that a command does when nothing changed.
    from ...store.leases import Lease, Leases
    from ...store.shared import SharedState

NEVER = math.inf
"""As `made_after`: no commit is new enough, as for a step that is not to be cached."""
SECONDS = 30.0
"""How long a claim lasts unless it is renewed."""
_CLAIM = "step "


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The result of a step. `parts` is what the key was made of (`Keys.parts`); `outputs` as in `StepRun`; `observed` are the contents
    that the step was seen to use beyond what it declares (`Contents.observe`): the commit counts only while they are the same.

    `run` is our id of the step's run, `notebook` the object that holds the executed notebook, `seconds` what the work took, `made` when
    it was committed, by the database's clock (0: not yet), `number` counts up from commit to commit.
    """

    key: str
    parts: Mapping[str, Any]
    pipeline: str
    step: str
    outputs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    observed: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    notebook: str = ""
    seconds: float = 0.0
    made: float = 0.0
    number: int = 0


class Commits:
    """The commits of a shared state, seen from a pipeline's folder (`contents`), which the observed paths are relative to."""

    def __init__(self, state: SharedState | Settings, contents: Contents) -> None:
        self.contents = contents
        self._given = state
        self._forgotten: set[int] = set()

    @cached_property
    def state(self) -> SharedState:
        """The shared state, opened when it is first needed."""
        from ...store.shared import SharedState

        return SharedState(self._given) if isinstance(self._given, Settings) else self._given

    @cached_property
    def leases(self) -> Leases:
        """The claims."""
        from ...store.leases import Leases

        return Leases(self.state)

    def find(self, key: str, made_after: float = 0.0) -> Commit | None:
        """The latest commit of a key whose observed contents are as they were; `made_after` leaves out what was there before."""
        return self.judged(key, made_after)[0]

    def judged(self, key: str, made_after: float = 0.0) -> tuple[Commit | None, str]:
        """As `find`; where there are commits but none of them counts, also what of the latest one's observed contents changed."""
        if made_after == NEVER:
            return None, ""
        from ...store import results

        found = [Commit(**row) for row in results.of_key(self.state, key, made_after)]
        first = ""
        for commit in found:
            changed = self.contents.changed(commit.observed)
            if changed is None:
                return commit, ""
            first = first or changed
        return None, first

    def latest(self, pipeline: str, step: str) -> Commit | None:
        """The latest commit of a step of this name, whatever its key."""
        return next(iter(self.recent(pipeline, step)), None)

    def recent(self, pipeline: str, step: str) -> tuple[Commit, ...]:
        """The last few commits of a step, newest first."""
        from ...store import results

        return tuple(Commit(**row) for row in results.recent(self.state, pipeline, step))

    def latest_of(self, pipeline: str) -> dict[str, Commit]:
        """The latest commit of each step of a pipeline, in one question."""
        rows = results_file.latest_of(self._given, pipeline) if isinstance(self._given, Settings) else None
        if rows is None:
            from ...store import results

            rows = results.latest_of(self.state, pipeline)
        return {row["step"]: Commit(**row) for row in rows}

    def stands(self, commit: Commit) -> bool:
        """Whether a commit that was read before still counts: it was not forgotten here, and its observed contents are as they were."""
        return commit.number not in self._forgotten and self.contents.changed(commit.observed) is None

    def claim(self, key: str, owner: str, seconds: float = SECONDS, made_after: float = 0.0) -> Commit | Lease | None:
        """The commit of a key if it is there, else the lease to make it, else None: another makes it now, so ask again soon.

        A forced run gives as `made_after` when it started (`SharedState.now`): another's result then counts only if it is as new.
        """
        if (commit := self.find(key, made_after)) is not None:
            return commit
        lease = self.leases.acquire(_CLAIM + key, owner, seconds)
        if lease is None:
            return None
        # Whoever had it may have committed in between.
        if (commit := self.find(key, made_after)) is None:
            return lease
        self.leases.release(lease)
        return commit

    def add(self, commit: Commit, lease: Lease) -> Commit:
        """Keep the result of the work that was done under `lease`, once; gives the commit that stands.

        When the lease was overtaken it is that of whoever overtook it. Raises LeaseLost while there is none yet.
        """
        from ...store import results

        values = {item.name: getattr(commit, item.name) for item in fields(commit) if item.name not in ("made", "number")}
        return Commit(**results.add(self.state, values, lease))

    def free(self, key: str, owner: str) -> None:
        """Let others claim a key whose claim `owner` has, but no longer works for: what is done under it is not kept."""
        held = self.leases.holder(_CLAIM + key)
        if held is not None and held.owner == owner:
            self.leases.release(held)
            # A lease that was only given back could still be renewed: the next one overtakes it.
            taken = self.leases.acquire(_CLAIM + key, owner)
            if taken is not None:
                self.leases.release(taken)

    def forget(self, commit: Commit) -> None:
        """Take a commit away, as when the bytes of its outputs are gone."""
        from ...store import results

        self._forgotten.add(commit.number)
        results.remove(self.state, commit.number)
