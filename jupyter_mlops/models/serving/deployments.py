"""Which versions answer: the alias is watched, the next version loaded and tried beside the present one, and then takes its place.

A request belongs to the version that is there as it arrives, and is answered by that one, whatever happens meanwhile. A version that
fails to load, or to predict its own example, changes nothing; it is tried again later, at longer and longer intervals.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from dataclasses import dataclass, field
from typing import Any

from ...errors import MlopsError
from .batching import Batcher
from .metrics import Metrics
from .options import Options
from .predicting import Predictor, told
from .sources import Source

_RETRIES = (5.0, 15.0, 60.0)
_SHARES = 1 << 32
logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Deployment:
    """A version that can answer. `since` is when it was loaded, in seconds since the epoch; `seconds` how long that and warming took."""

    predictor: Predictor
    batcher: Batcher
    since: float
    seconds: float
    until: float | None = None

    @property
    def version(self) -> int:
        """Its number."""
        return self.predictor.loaded.version


@dataclass(slots=True)
class Trouble:
    """A version that failed: how often, why, and when it is tried again (by the monotonic clock)."""

    version: int
    why: str
    times: int
    again: float


@dataclass(slots=True)
class Slot:
    """A role, the alias or number that says which version has it, and that version. `trouble` is that of the one that should have it."""

    role: str
    alias: str
    deployment: Deployment | None = None
    trouble: Trouble | None = None


@dataclass(slots=True)
class Standing:
    """How the service stands: whether it answers, and what is to be said of it."""

    ready: bool
    slots: list[Slot]
    loading: int | None = None
    notes: list[str] = field(default_factory=list)


class Deployments:
    """The versions of a service, each in its role: champion, challenger (the canary) and shadow. Used in the event loop."""

    def __init__(self, source: Source, alias: str, options: Options, metrics: Metrics) -> None:
        self.source = source
        self._options = options
        self._metrics = metrics
        self._champion = Slot("champion", alias)
        self._slots = [self._champion]
        self._canary: Slot | None = None
        self._shadow: Slot | None = None
        if options.canary is not None:
            self._canary = Slot("challenger", options.canary.alias)
            self._slots.append(self._canary)
            self._share = int(options.canary.share * _SHARES)
        if options.shadow is not None:
            self._shadow = Slot("shadow", options.shadow)
            self._slots.append(self._shadow)
        self._there: dict[int, Deployment] = {}
        self._loading: int | None = None
        self._lost = ""
        self._watching: asyncio.Task[None] | None = None
        self._draining = False

    async def start(self) -> None:
        """Load the version that is to answer, and watch from then on. Raises MlopsError where it cannot answer."""
        for slot in self._slots:
            wanted = await asyncio.to_thread(self.source.current, slot.alias)
            if wanted is not None:
                await self._place(slot, wanted)
            if slot is self._champion and slot.deployment is None:
                remedy = f"`mlops promote {self.source.name}` gives it to one"
                nobody = f"no version of it has the alias {slot.alias or 'champion'!r}; {remedy}"
                why = slot.trouble.why if slot.trouble else nobody
                raise MlopsError(f"{self.source.name} cannot be served: {why}")
        self._watching = asyncio.create_task(self._watch())

    def choose(self, key: bytes) -> tuple[Deployment, str]:
        """Who answers a request, and in which role; the same for the same `key`, as long as the versions are the same."""
        canary = self._canary
        if canary is not None and canary.deployment is not None and zlib.crc32(key) * 2654435761 % _SHARES < self._share:
            return canary.deployment, canary.role
        champion = self._champion.deployment
        assert champion is not None
        return champion, "champion"

    def shadow_of(self, answering: Deployment) -> Deployment | None:
        """Who predicts too, without answering; None where there is nobody, or it is the same version."""
        shadow = self._shadow.deployment if self._shadow is not None else None
        return shadow if shadow is not None and shadow.version != answering.version else None

    def version(self, number: int) -> Deployment | None:
        """A version that answers or would answer a canary; None for others."""
        for slot in self._slots:
            if slot.role != "shadow" and slot.deployment is not None and slot.deployment.version == number:
                return slot.deployment
        return None

    @property
    def champion(self) -> Deployment:
        """The version that answers."""
        assert self._champion.deployment is not None
        return self._champion.deployment

    def standing(self) -> Standing:
        """How the service stands now."""
        notes = [self._lost] if self._lost else []
        for slot in self._slots:
            if slot.trouble is not None:
                notes.append(f"Version {slot.trouble.version} ({slot.alias or slot.role}) does not serve: {slot.trouble.why}")
        left = sum(deployment.batcher.left_behind for deployment in self._there.values())
        if left:
            notes.append(f"{left} predictions did not end in time and are still running.")
        return Standing(self._champion.deployment is not None and not self._draining, list(self._slots), self._loading, notes)

    def drain(self) -> None:
        """No longer say that requests are welcome: the service is about to end."""
        self._draining = True

    async def close(self) -> None:
        """Wait for what is being predicted, and end."""
        self._draining = True
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        waiting = [asyncio.create_task(deployment.batcher.drained()) for deployment in self._there.values()]
        if waiting:
            await asyncio.wait(waiting, timeout=self._options.drain)
        for task in waiting:
            task.cancel()
        for deployment in self._there.values():
            deployment.batcher.close()
        await asyncio.to_thread(self.source.close)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._options.poll)
            for slot in self._slots:
                await self._look(slot)
            self._forget()

    async def _look(self, slot: Slot) -> None:
        """See whether another version has the slot's alias by now."""
        try:
            wanted = await asyncio.to_thread(self.source.current, slot.alias)
        except Exception as error:  # whatever the registry raises, what serves goes on serving
            lost = f"The registry cannot be asked, so changes of versions are not seen: {told(error)}"
            if not self._lost:
                logger.warning("%s", lost)
            self._lost = lost
            return
        self._lost = ""
        present = slot.deployment.version if slot.deployment is not None else None
        if wanted is None:
            # A champion stays until there is another: a service without one would answer nobody.
            if slot is not self._champion and slot.deployment is not None:
                self._leave(slot.deployment)
                slot.deployment = None
            slot.trouble = None
        elif wanted == present:
            slot.trouble = None
        elif slot.trouble is None or slot.trouble.version != wanted or time.monotonic() >= slot.trouble.again:
            await self._place(slot, wanted)

    async def _place(self, slot: Slot, wanted: int) -> None:
        """Put a version into a slot, if it can answer."""
        before = slot.deployment
        try:
            found = self._there.get(wanted) or await self._loaded(wanted)
        except Exception as error:  # loading and warming raise what the model's own code raises
            await self._failed(slot, wanted, error)
            return
        found.until = None
        slot.deployment, slot.trouble = found, None
        self._metrics.serves(slot.role, wanted)
        if before is None:
            logger.info("Version %d of %s serves as %s.", wanted, self.source.name, slot.role)
        else:
            self._metrics.swaps.inc()
            logger.info("Version %d of %s took the place of version %d as %s.", wanted, self.source.name, before.version, slot.role)
            self._leave(before)
        details = {"role": slot.role, "before": before.version if before else None, "seconds": found.seconds}
        await self._tell("swapped" if before else "served", wanted, "", details)

    async def _loaded(self, version: int) -> Deployment:
        start = time.monotonic()
        self._loading = version
        try:
            found = await asyncio.to_thread(self._load, version)
        finally:
            self._loading = None
        if isinstance(found, BaseException):
            raise found if isinstance(found, Exception) else RuntimeError(told(found))
        batcher = Batcher(found, self._options.limits, self._metrics.batch)
        made = Deployment(found, batcher, time.time(), time.monotonic() - start)
        self._there[version] = made
        return made

    def _load(self, version: int) -> Predictor | BaseException:
        try:
            predictor = Predictor(self.source.load(version))
            predictor.warm()
        except BaseException as error:  # a SystemExit of the model's code must not end the service
            return error
        return predictor

    async def _failed(self, slot: Slot, wanted: int, error: Exception) -> None:
        times = slot.trouble.times + 1 if slot.trouble is not None and slot.trouble.version == wanted else 1
        why = " ".join(str(error).split()) if isinstance(error, MlopsError) else told(error)
        slot.trouble = Trouble(wanted, why, times, time.monotonic() + _RETRIES[min(times, len(_RETRIES)) - 1])
        self._metrics.failures.inc()
        stays = f"version {slot.deployment.version} stays" if slot.deployment is not None else "nothing is in its place"
        logger.error("Version %d of %s does not serve as %s, %s: %s", wanted, self.source.name, slot.role, stays, why)
        if times == 1:
            await self._tell("load failed", wanted, why, {"role": slot.role})

    async def _tell(self, what: str, version: int, why: str, details: dict[str, Any]) -> None:
        try:
            await asyncio.to_thread(self.source.tell, what, version, why, details)
        except Exception as error:  # a database that does not answer is no reason to serve another version
            logger.warning("The audit log does not have that version %d was %s: %s", version, what, told(error))

    def _leave(self, deployment: Deployment) -> None:
        """A version that was replaced stays for a while, since a way back leads to it."""
        if all(slot.deployment is not deployment for slot in self._slots):
            deployment.until = time.monotonic() + self._options.keep

    def _forget(self) -> None:
        now = time.monotonic()
        kept = [deployment for deployment in self._there.values() if deployment.until is not None]
        # The last that was replaced is kept for its time, others only until their requests are answered.
        newest = max(kept, key=lambda deployment: deployment.until or 0.0, default=None)
        for deployment in kept:
            if (deployment is not newest or now >= (deployment.until or 0.0)) and deployment.batcher.is_idle:
                del self._there[deployment.version]
                deployment.batcher.close()
