"""A world for schedulers in which time is simulated: hours pass in seconds, runs end when they should, and schedulers die anywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from sqlalchemy import Engine, event

from jupyter_mlops.pipelines.scheduling.firings import Claim
from jupyter_mlops.pipelines.scheduling.scheduler import Outcome, Scheduler
from jupyter_mlops.store.shared import SharedState


class Killed(BaseException):
    """What a scheduler meets where SIGKILL would end it; nothing in it may catch this."""


@dataclass
class World:
    """One shared state and its clock. `set_by` is how far its clock was set ahead or back; `steady` is what really passed.

    `effects` counts, for each id of a run, how often it came to its end; `starts` how often it was begun. `lasts` gives the seconds that
    the run of a due time takes, `fails` the exit status of that run; `alarm` is something to do at a moment of the steady clock.
    """

    state: SharedState
    begin: float
    steady: float = 0.0
    set_by: float = 0.0
    random: Random = field(default_factory=lambda: Random(4))
    lasts: Any = lambda job, due: 20.0
    fails: Any = lambda job, due: 0
    starts: Counter[str] = field(default_factory=Counter)
    effects: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    order: list[tuple[str, int]] = field(default_factory=list)
    going: list[Going] = field(default_factory=list)
    dead: dict[str, float] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)
    entered: int = 0
    fuse: int | None = None
    alarm: tuple[float, Callable[[], None]] | None = None

    def now(self) -> float:
        return self.begin + self.steady + self.set_by

    def elapsed(self) -> float:
        return self.steady

    def wait(self, seconds: float) -> None:
        """Let time pass, until the next run ends at the latest."""
        until = self.steady + seconds
        if self.alarm is not None and self.alarm[0] <= until:
            (_, ring), self.alarm = self.alarm, None
            ring()
        self.steady = max(self.steady, min([until, *(item.ends for item in self.going if not item.over)]))
        for item in self.going:
            item.look()
        self.going = [item for item in self.going if not item.over]

    def scheduler(self, **options: Any) -> Scheduler:
        """A scheduler in this world, which looks round every five minutes if nothing else is said."""
        options.setdefault("look", 300.0)
        self.presence = Presence(self)
        return Scheduler(self.state, self, clock=self, presence=self.presence, say=lambda event: self.told.append(dict(event)), **options)

    def start(self, claim: Claim) -> Going:
        made = Going(self, claim)
        self.going.append(made)
        return made

    def serve(self, until: float, scheduler: Scheduler | None = None, **options: Any) -> Scheduler:
        """Let a scheduler (a new one when none is given) work until a moment of the steady clock; it is not closed then."""
        if scheduler is None:
            scheduler = self.scheduler(**options)
            scheduler.enter()
        while self.steady < until:
            pause = scheduler.tick()
            if pause:
                self.wait(min(pause, until - self.steady))
        return scheduler

    def serve_and_die(self, until: float, kills: int, downtimes: tuple[float, ...], **options: Any) -> int:
        """Let schedulers work, each until it is killed anywhere, as the last one is at the end. Gives the number of kills before."""
        done = 0
        moments = sorted(self.random.uniform(self.steady, 0.9 * until) for _ in range(kills))
        with self.mortal():
            while self.steady < until:
                try:
                    scheduler = None
                    while done < kills and self.steady < until:
                        scheduler = self.serve(min(until, moments[done]), scheduler, **options)
                        self.fuse = self.random.randrange(60)
                        self.serve(until, scheduler)
                    self.serve(until, scheduler, **options)
                except Killed:
                    done += 1
                    self.kill()
                    self.steady += self.random.choice(downtimes)
        self.kill()
        return done

    def kill(self) -> None:
        """What the operating system does with the scheduler that runs now, and with all that it has started."""
        self.dead[self.presence.owner] = self.steady
        self.going.clear()
        self.state.close()

    @contextmanager
    def mortal(self) -> Iterator[None]:
        """Within the block, a scheduler dies at the `fuse`-th statement or commit from now."""

        def step(*_: Any, **__: Any) -> None:
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse < 0:
                    self.fuse = None
                    raise Killed

        event.listen(Engine, "before_cursor_execute", step)
        event.listen(Engine, "commit", step)
        try:
            yield
        finally:
            event.remove(Engine, "before_cursor_execute", step)
            event.remove(Engine, "commit", step)


class Going:
    """A run that lasts for some simulated seconds, and has its effect when it ends."""

    def __init__(self, world: World, claim: Claim) -> None:
        firing = claim.firing
        self.world, self.run, self.job, self.due = world, firing.run, firing.job, firing.due
        self.log = f"{firing.job}.log"
        self.ends = world.steady + world.lasts(firing.job, firing.due)
        self.over = False
        self.stopped = False
        world.starts[firing.run] += 1
        world.order.append((firing.job, firing.due))
        world.most[firing.job] = max(world.most[firing.job], 1 + sum(item.job == firing.job and not item.over for item in world.going))

    def look(self) -> None:
        if not self.over and self.world.steady >= self.ends:
            self.over = True
            self.world.effects[self.run] += 1

    def outcome(self) -> Outcome | None:
        if self.stopped:
            return Outcome(-15)
        self.look()
        return Outcome(self.world.fails(self.job, self.due)) if self.over else None

    def end(self) -> None:
        self.stopped = self.over = True


class Presence:
    """Who lives is known to the world; that one is dead, only after a while."""

    LEASE = 30.0

    def __init__(self, world: World) -> None:
        self.world = world
        self.owner = ""

    def enter(self) -> None:
        self.world.entered += 1
        self.owner = f"host {self.world.entered} 1"

    def renew(self) -> bool:
        return self.owner not in self.world.dead

    def lives(self, owner: str) -> bool:
        died = self.world.dead.get(owner)
        return died is None or self.world.steady - died < self.LEASE

    def leave(self) -> None:
        self.world.dead[self.owner] = -1e9
