"""Micro-batching: while a model predicts, requests gather, and are predicted together as soon as it is free.

Nothing waits for company: an idle model gets a request at once. One thread predicts, the event loop does all else.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .options import Limits
from .payloads import Payload
from .predicting import Predictor
from .refusals import Refusal, overloaded

_PATIENCE = 0.1
_MANY_TIMES = 4.0
_MOMENT = 0.05
_CALM = 1.0
_LEARNING = 0.2
_KNOWN = 10.0
_STALL = 3.0
_WORTH = 4.0

Answered = Callable[[int, int, float], None]
"""Called after each batch with its requests, its rows, and its seconds."""


@dataclass(slots=True)
class _Waiting:
    payload: Payload
    future: asyncio.Future[Any]


class Pace:
    """How long a model takes, learned as it goes: so much for any batch (`fixed` seconds), and so much for each row (`each`)."""

    def __init__(self) -> None:
        self.fixed = 0.0
        self.each = 0.0
        self._rows = 0.0
        self._seconds = 0.0
        self._squares = 0.0
        self._products = 0.0
        self._weight = 0.0

    def learn(self, rows: int, seconds: float) -> None:
        """Take in what a batch took: a line through the batches, of which the latest count most."""
        if self._weight > _KNOWN:
            # A pause of the whole process is no pace of the model's; one that has become slower is learned all the same, batch by batch.
            seconds = min(seconds, _STALL * max(self.of(rows), 1e-3))
        keep = 1 - _LEARNING / 4
        self._weight = self._weight * keep + 1
        self._rows = self._rows * keep + rows
        self._seconds = self._seconds * keep + seconds
        self._squares = self._squares * keep + rows * rows
        self._products = self._products * keep + rows * seconds
        rows_mean, seconds_mean = self._rows / self._weight, self._seconds / self._weight
        spread = self._squares / self._weight - rows_mean**2
        slope = (self._products / self._weight - rows_mean * seconds_mean) / spread if spread > 1e-9 else 0.0
        # A line through few sizes can point anywhere; time is never negative.
        self.each = min(max(slope, 0.0), seconds_mean / rows_mean)
        self.fixed = max(seconds_mean - self.each * rows_mean, 0.0)

    def of(self, rows: int) -> float:
        """The seconds that a batch of so many rows should take."""
        return self.fixed + self.each * rows


class Batcher:
    """Feeds one predictor. All methods are called in the event loop; the predictor runs in a thread of the batcher's own.

    A prediction that takes longer than `limits.predict` cannot be stopped: its requests are told so, its thread is left behind, and the
    next batch gets a new one.
    """

    def __init__(self, predictor: Predictor, limits: Limits, answered: Answered | None = None) -> None:
        self.predictor = predictor
        self.pace = Pace()
        self.left_behind = 0
        self._limits = limits
        self._answered = answered
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[_Waiting] = deque()
        self._rows = 0
        self._busy = False
        self._began = 0.0
        self._running = 0
        self._called = False
        self._over = self._grace = -_CALM
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = _Thread(predictor, self._loop)

    def predict(self, payload: Payload) -> asyncio.Future[Any]:
        """The output of one request, when it is there. Raises Refusal where it would take too long."""
        if self._rows or self._busy:
            self._admit(payload.count)
        future: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append(_Waiting(payload, future))
        self._rows += payload.count
        self._idle.clear()
        if not self._busy and not self._called:
            # After what else the loop has at hand now: requests that came at the same moment go together.
            self._called = True
            self._loop.call_soon(self._next)
        return future

    async def drained(self) -> None:
        """Wait until every request is answered."""
        await self._idle.wait()

    @property
    def is_idle(self) -> bool:
        """Whether every request is answered."""
        return self._idle.is_set()

    def close(self) -> None:
        """End the thread, once the model is free."""
        self._thread.end()

    def _admit(self, count: int) -> None:
        """Refuses a request that would wait for much longer than an idle model would take."""
        if self.predictor.plan.together:
            wait, own = self.pace.of(self._rows + count), self.pace.of(count)
        else:
            requests = len(self._waiting) + 1
            wait, own = requests * self.pace.fixed + self.pace.each * (self._rows + count), self.pace.of(count)
        if self._busy:
            wait += max(0.0, self.pace.of(self._running) - (time.perf_counter() - self._began))
        if wait > max(_PATIENCE, _MANY_TIMES * own):
            # A busy moment of the machine is no overload; what lasts, or comes again at once, is.
            now = time.perf_counter()
            if now - self._over > _CALM:
                self._grace = now + _MOMENT
            self._over = now
            if now > self._grace:
                raise overloaded()

    def _next(self) -> None:
        self._called = False
        batch: list[_Waiting] = []
        rows = 0
        most = self._most()
        while self._waiting and (not batch or rows + self._waiting[0].payload.count <= most):
            item = self._waiting.popleft()
            self._rows -= item.payload.count
            if item.future.done():  # the client is gone
                continue
            rows += item.payload.count
            batch.append(item)
            if not self.predictor.plan.together:
                break
        if not batch:
            self._idle.set()
            return
        self._busy = True
        self._running = rows
        self._began = time.perf_counter()
        self._timer = self._loop.call_later(self._limits.predict, self._late, batch)
        self._thread.give([item.payload for item in batch], lambda found, seconds: self._done(batch, rows, found, seconds))

    def _most(self) -> int:
        """The most rows of a batch: more than usual where a batch costs much whatever its rows, so that large requests gain by company."""
        tried, usual = self.predictor.plan.most, self._limits.batch
        return tried if tried > usual and self.pace.each * tried <= _WORTH * self.pace.fixed else usual

    def _done(self, batch: list[_Waiting], rows: int, found: Sequence[Any], seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.pace.learn(rows, seconds)
        for item, output in zip(batch, found, strict=True):
            if not item.future.done():
                item.future.set_result(output)
        if self._answered is not None:
            self._answered(len(batch), rows, seconds)
        self._busy = False
        self._next()

    def _late(self, batch: list[_Waiting]) -> None:
        self.left_behind += 1
        self._thread.leave()
        self._thread = _Thread(self.predictor, self._loop)
        for item in batch:
            if not item.future.done():
                seconds = f"{self._limits.predict:g}"
                item.future.set_exception(Refusal(504, "DEADLINE_EXCEEDED", f"The model did not answer within {seconds} seconds.", 1))
        self._busy = False
        self._next()


class _Thread:
    """A thread that predicts one batch after the other."""

    def __init__(self, predictor: Predictor, loop: asyncio.AbstractEventLoop) -> None:
        self._predictor = predictor
        self._loop = loop
        self._queue: queue.SimpleQueue[tuple[list[Payload], Callable[[Sequence[Any], float], None]] | None] = queue.SimpleQueue()
        self._left = False
        loaded = predictor.loaded
        threading.Thread(target=self._run, name=f"predicts {loaded.name} {loaded.version}", daemon=True).start()

    def give(self, payloads: list[Payload], done: Callable[[Sequence[Any], float], None]) -> None:
        self._queue.put((payloads, done))

    def end(self) -> None:
        self._queue.put(None)

    def leave(self) -> None:
        """Whatever comes of the batch under way, nobody waits for it any more."""
        self._left = True
        self.end()

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            payloads, done = item
            start = time.perf_counter()
            try:
                found: Sequence[Any] = self._predictor.predict(payloads)
            except BaseException as error:  # what is no Exception, such as SystemExit, would end the thread and with it the service
                found = [RuntimeError(f"{type(error).__name__}: {error}")] * len(payloads)
            seconds = time.perf_counter() - start
            if self._left or self._loop.is_closed():
                return
            self._loop.call_soon_threadsafe(done, found, seconds)
