"""A scheduler: makes due times of schedules, starts what is due, and goes on with what a dead scheduler left. Any number share one store.

It holds nothing that matters but in the shared state, so that it may be killed at any moment.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, Protocol

from ...errors import StoreError
from ...records import Firing
from ...store.shared import SharedState
from .firings import MOST_RESTARTS, Claim, Firings, Stranger
from .presence import LeasedPresence, Presence

ROOM = 4
"""How many runs a scheduler has at once when nothing else is said."""
LEASE = 30.0
"""Seconds after which a scheduler that gives no sign of life is taken for dead."""
LOOK = 5.0
"""The longest time, in seconds, between two looks: by then a new schedule is noticed, and that the clock was set or the machine slept."""
_CLOCK_STEP = 1.0
_MOST_PAUSE = 30.0
_END_SECONDS = 20.0


class Clock(Protocol):
    """Time as a scheduler sees it: `now` is one clock for all that share a store, which may be set; `elapsed` never goes back."""

    def now(self) -> float:
        """Seconds since the epoch."""

    def elapsed(self) -> float:
        """Seconds since some moment."""

    def wait(self, seconds: float) -> None:
        """Let time pass; less of it when something happened."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: its exit status (negative: the signal that ended it) and its last words."""

    status: int
    words: str = ""


class Going(Protocol):
    """A run that was started. `log` is the file with what it prints."""

    log: str

    def outcome(self) -> Outcome | None:
        """How it ended; None while it goes on."""

    def end(self) -> None:
        """Make it end soon, without waiting for that."""


class Starter(Protocol):
    """Starts the run of a claimed due time, in a process of its own. The same run may be started again: it keeps its id."""

    def start(self, claim: Claim) -> Going:
        """Start it. Raises OSError when it cannot be."""


class StoreClock:
    """The shared state's clock, and waiting that `wake` ends."""

    def __init__(self, state: SharedState) -> None:
        self._state = state
        self._woken = Event()

    def now(self) -> float:
        """Seconds since the epoch, by the clock of the shared state."""
        return self._state.now()

    def elapsed(self) -> float:
        """Seconds of this machine's steady clock."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """Wait until that time has passed, or `wake` was called since the last wait."""
        self._woken.wait(seconds)
        self._woken.clear()

    def wake(self) -> None:
        """End the wait; may be called from any thread, and where signals are handled."""
        self._woken.set()


class Scheduler:
    """One of any number of schedulers of a shared state. `say` is told each event as a dict: {"event", "job", "due", ...}."""

    def __init__(
        self,
        state: SharedState,
        starter: Starter,
        *,
        clock: Clock | None = None,
        presence: Presence | None = None,
        room: int = ROOM,
        look: float = LOOK,
        say: Callable[[Mapping[str, Any]], None] = lambda event: None,
    ) -> None:
        self._firings = Firings(state)
        self._starter = starter
        self._clock = clock or StoreClock(state)
        self._presence = presence or LeasedPresence(state, LEASE)
        self._room = room
        self._look = look
        self._say = say
        self._going: dict[str, tuple[Claim, Going]] = {}
        self._ended: list[Firing] = []
        self._troubles: Mapping[str, str] = {}
        self._seen = 0.0
        self._renewed = 0.0
        self._stopping = False

    def stop(self) -> None:
        """End `serve` or `once` soon; may be called from any thread, and where signals are handled."""
        self._stopping = True

    def serve(self) -> None:
        """Run what is due, when it is due, until `stop`. A store that does not answer is waited for."""
        self._persist(self.enter)
        self._tell("scheduler", owner=self._presence.owner)
        while not self._stopping:
            pause = self._persist(self.tick)
            if pause and not self._stopping:
                self._clock.wait(pause)
        self.close()
        self._tell("stopped", owner=self._presence.owner)

    def once(self) -> tuple[Firing, ...]:
        """Run all that is due now, wait for it, and give what became of it. Raises StoreError."""
        self.enter()
        until = self._clock.now()
        try:
            while not self._stopping:
                pause = self.tick(until)
                if pause and not self._going:
                    break
                if pause:
                    self._clock.wait(pause)
        finally:
            self.close()
        return tuple(self._ended)

    def enter(self) -> None:
        """Be one of the schedulers from now on; `serve` and `once` begin with it. Raises StoreError."""
        self._presence.enter()
        self._renewed = self._clock.elapsed()
        self._seen = self._clock.now()
        self._firings.rewind(self._seen)

    def tick(self, until: float | None = None) -> float:
        """Do what there is to do, and give the seconds until there may be more; 0 when there may be more now.

        With `until`, only what was due at that moment. Raises StoreError.
        """
        now = self._clock.now()
        if now < self._seen - _CLOCK_STEP:
            self._firings.rewind(now)
        self._seen = now
        horizon = now if until is None else until
        self._renew()
        self._collect(now)
        view = self._firings.view(self._presence.owner)
        if view.next is not None and view.next <= horizon:
            self._plan(horizon)
            view = self._firings.view(self._presence.owner)
        self._take_over(view.strangers, now)
        if view.start is not None and view.start <= horizon and self._free:
            if self._claim(horizon, now) and self._free:
                return 0.0
            view = self._firings.view(self._presence.owner)
        coming = [moment - now for moment in (view.next, view.start) if moment is not None and moment > now]
        return max(min(self._look, *coming), 0.001) if coming else self._look

    def close(self) -> None:
        """End what runs and give it back for others to go on with."""
        self._stopping = True
        for _, going in self._going.values():
            going.end()
        deadline = self._clock.elapsed() + _END_SECONDS
        while self._clock.elapsed() < deadline and any(going.outcome() is None for _, going in self._going.values()):
            self._clock.wait(0.2)
        try:
            self._collect(self._clock.now())
            self._release([claim for claim, _ in self._going.values()], "its scheduler was stopped")
            self._presence.leave()
        except StoreError as error:
            # Another scheduler finds out by itself that this one is gone.
            self._tell("trouble", why=str(error))
        self._going.clear()

    @property
    def _free(self) -> int:
        return self._room - len(self._going)

    def _persist(self, act: Callable[[], float | None]) -> float:
        """Do something until the store answers, or the scheduler is to stop."""
        pause = 1.0
        while not self._stopping:
            try:
                return act() or 0.0
            except StoreError as error:
                self._tell("trouble", why=str(error))
                self._clock.wait(pause)
                pause = min(2 * pause, _MOST_PAUSE)
        return 0.0

    def _renew(self) -> None:
        """Show that this scheduler lives, and stop runs that others have taken over because they could not see it."""
        if self._clock.elapsed() - self._renewed < LEASE / 3:
            return
        if not self._presence.renew():
            self._presence.enter()
        self._renewed = self._clock.elapsed()
        held = self._firings.held(self._presence.owner) if self._going else {}
        for run, (claim, going) in list(self._going.items()):
            if held.get(run) != claim.firing.attempts:
                self._lose(claim, going)

    def _collect(self, now: float) -> None:
        """Commit how runs ended."""
        found = [(claim, outcome) for claim, going in self._going.values() if (outcome := going.outcome()) is not None]
        again = [claim for claim, outcome in found if self._is_to_be_resumed(claim, outcome)]
        ended = [(claim, *_verdict(outcome)) for claim, outcome in found if claim not in again]
        if ended:
            lost = self._firings.finish(ended, now)
            for claim, state, why in ended:
                _, going = self._going.pop(claim.firing.run)
                if claim in lost:
                    self._tell_of("lost", claim)
                    continue
                firing = replace(claim.firing, state=state, why=why, ended=now, log=going.log)
                self._ended.append(firing)
                self._tell_of(state, Claim(firing, claim.schedule))
        self._release(again, "its scheduler was stopped" if self._stopping else "its process was killed")

    def _is_to_be_resumed(self, claim: Claim, outcome: Outcome) -> bool:
        return outcome.status != 0 and (self._stopping or (outcome.status < 0 and claim.firing.attempts <= MOST_RESTARTS))

    def _release(self, claims: list[Claim], why: str) -> None:
        if claims:
            self._firings.release(claims, why)
        for claim in claims:
            del self._going[claim.firing.run]
            self._tell_of("released", claim, why=why)

    def _plan(self, horizon: float) -> None:
        planned = self._firings.plan(horizon)
        for schedule, missed in planned.missed:
            times = {"due": missed[0].due, "last": missed[-1].due, "count": len(missed), "zone": schedule.timezone}
            self._tell("missed", job=schedule.name, why=missed[-1].why, **times)
        for job, why in planned.troubles.items():
            if self._troubles.get(job) != why:
                self._tell("trouble", job=job, why=why)
        self._troubles = planned.troubles

    def _take_over(self, strangers: tuple[Stranger, ...], now: float) -> None:
        """Go on with runs whose scheduler is gone, as far as there is room."""
        gone = {owner for owner in {item.firing.owner for item in strangers} if not self._presence.lives(owner)}
        taken: list[Claim] = []
        for stranger in strangers:
            if stranger.firing.owner in gone and (stranger.orphan or len(taken) < self._free):
                claim = self._firings.take_over(stranger, self._presence.owner, now)
                taken += [claim] if claim is not None else []
        self._start(taken, now)

    def _claim(self, horizon: float, now: float) -> bool:
        claimed, skipped = self._firings.claim(self._presence.owner, self._free, until=horizon, now=now)
        for claim in skipped:
            self._tell_of("skipped", claim)
        self._start(list(claimed), now)
        return bool(claimed)

    def _start(self, claims: list[Claim], now: float) -> None:
        started, failed = [], []
        for claim in claims:
            try:
                going = self._starter.start(claim)
            except OSError as error:
                failed.append((claim, "failed", f"it could not be started: {error}"))
                continue
            self._going[claim.firing.run] = claim, going
            started.append((claim, going.log))
            event = "started" if claim.firing.attempts == 1 else "resumed"
            self._tell_of(event, Claim(replace(claim.firing, log=going.log), claim.schedule))
        if failed:
            self._firings.finish(failed, now)
            for claim, state, why in failed:
                firing = replace(claim.firing, state=state, why=why, ended=now)
                self._ended.append(firing)
                self._tell_of(state, Claim(firing, claim.schedule))
        if started:
            for claim in self._firings.running(started):
                self._lose(claim, self._going[claim.firing.run][1])

    def _lose(self, claim: Claim, going: Going) -> None:
        going.end()
        del self._going[claim.firing.run]
        self._tell_of("lost", claim)

    def _tell_of(self, event: str, claim: Claim, **facts: Any) -> None:
        firing = claim.firing
        told = {"job": firing.job, "due": firing.due, "zone": claim.schedule.timezone, "run": firing.run, "attempts": firing.attempts}
        seconds = {"seconds": firing.ended - firing.started} if firing.ended is not None and firing.started is not None else {}
        self._tell(event, **told, **seconds, **{"log": firing.log, "why": firing.why, **facts})

    def _tell(self, event: str, **facts: Any) -> None:
        self._say({"event": event, **facts})


def _verdict(outcome: Outcome) -> tuple[str, str]:
    if outcome.status == 0:
        return "done", ""
    told = f"ended by signal {-outcome.status}" if outcome.status < 0 else f"exit status {outcome.status}"
    return "failed", f"{told}: {outcome.words}" if outcome.words else told
