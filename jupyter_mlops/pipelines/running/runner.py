"""Runs a pipeline: each step as soon as its inputs are known and there is room for it, none that is done already."""

from __future__ import annotations

import heapq
import queue
import signal
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from ...config import Settings
from ...errors import ClusterLost, MlopsError, PipelineError, StoreError
from ...records import Pipeline, PipelineRun, PipelineStep, StepRun, to_json
from ..caching.plan import Look, Outputs
from ..definition import graph
from .dispatch import Dispatch
from .executors import LOCAL, StepExecutor, connect, cores
from .recorded import GOOD, PipelineRecord, records
from .room import Room, memory, needs
from .task import Outcome

_Happened: TypeAlias = "queue.SimpleQueue[tuple[str, Any]]"
_NOTEBOOK = "notebook"
_TICK_SECONDS = 1.0
LOSSES = 10
"""How often a step is given to another worker after its own was lost, which is no failure of the step."""


def run(
    pipeline: Pipeline,
    *,
    settings: Settings,
    executor: str = LOCAL,
    only: Sequence[str] = (),
    start: str | None = None,
    force: bool = False,
    jobs: int | None = None,
    out: Path | None = None,
    identifier: str | None = None,
    tags: Mapping[str, str] | None = None,
    checks: str = "",
    after: Callable[[PipelineRun], PipelineRun] = lambda told: told,
    on_event: Callable[[Mapping[str, Any]], None] = lambda event: None,
) -> PipelineRun:
    """Run a pipeline whose parameters are filled in, and record it as a run of its own with those of its steps under it.

    `executor` is local or dask://HOST:PORT, `jobs` how many steps at once (local: as many as there are cores), `out` the folder of the
    executed notebooks (or, for a single notebook, its file), `identifier` the id of the run where a scheduler has chosen it, `tags` more
    tags of it, `checks` who checks the inputs of steps that ask for it (see `checking`). `on_event` is called in this thread, with plain
    dicts; `after` gets the run when all steps have ended, and gives what is told of it (see `release`). Ctrl-C and SIGTERM end the steps,
    keep what they had written, and give a run whose status is cancelled; the same call again goes on from there. Raises PipelineError
    before anything ran where steps cannot run at all, and ClusterLost where the cluster cannot be reached.
    """
    identifier = identifier or uuid.uuid4().hex
    chosen = graph.selected(pipeline, only, start)
    dispatch = Dispatch(pipeline, settings, run=identifier, out=out, remote=executor != LOCAL, force=force, checks=checks)
    happened: _Happened = queue.SimpleQueue()
    with _interruptible(lambda: happened.put(("interrupted", None))), records(settings) as book:
        record = PipelineRecord(book, pipeline, identifier, tags or {})
        running = _Running(pipeline, chosen, dispatch, record, lambda: connect(executor, jobs), on_event, happened)
        try:
            told = after(running.finish())
        except BaseException as error:
            record.abandon(book.redactor.text(str(error) or type(error).__name__))
            raise
        finally:
            dispatch.cool()
        clean = book.redactor.json(to_json(told))
        if pipeline.notify:
            from .notify import notify  # with the libraries of mail and web, for which no other run waits

            told = replace(told, notes=(*told.notes, *notify(pipeline.notify, clean)))
        record.end(told, lambda: dispatch.objects)
    running.tell({"event": "done", "state": told.status, "seconds": told.seconds})
    return told


class _Running:
    """One run of a pipeline as it goes on. All of it happens in one thread; executors only put into its queue."""

    def __init__(
        self,
        pipeline: Pipeline,
        chosen: frozenset[str],
        dispatch: Dispatch,
        record: PipelineRecord,
        connected: Callable[[], StepExecutor],
        on_event: Callable[[Mapping[str, Any]], None],
        happened: _Happened,
    ) -> None:
        self._pipeline, self._chosen, self._dispatch, self._record = pipeline, chosen, dispatch, record
        self._connected, self._on_event = connected, on_event
        self._order = graph.ordered(pipeline)
        self._place = {step.name: number for number, step in enumerate(self._order)}
        self._steps = {step.name: step for step in self._order}
        self._above, self._below = graph.upstream(pipeline), graph.downstream(pipeline)
        self._left = {name: len(above) for name, above in self._above.items()}
        self._known = deque(step.name for step in self._order if not self._left[step.name])
        self._taken = dispatch.takers(chosen)
        # Notebooks that may still have to be run.
        self._kernels = sum(self._steps[name].kind == _NOTEBOOK for name in chosen)
        self._told: dict[str, StepRun] = {}
        self._unusable: set[str] = set()
        self._looks: dict[str, Look] = {}
        self._ready: list[tuple[int, str]] = []
        self._later: list[tuple[float, str]] = []
        self._attempts: dict[str, int] = {}
        self._losses: dict[str, int] = {}
        self._runs: dict[str, set[str]] = {}
        self._queue = happened
        self._room = Room(None)
        self._executor: StepExecutor | None = None
        self._cancelled = False
        self._notes: list[str] = []

    def finish(self) -> PipelineRun:
        """Do all that there is to do."""
        started = time.time()
        names = [step.name for step in self._order]
        params = dict(self._pipeline.params)
        begun = {"name": self._pipeline.name, "steps": names, "edges": dict(self._above), "params": params}
        self.tell({"event": "run", "state": "running", **begun})
        self._look()
        if self._ready and not self._cancelled:
            with self._connected() as self._executor:
                self._make_room()
                self._work()
        self._rest("cancelled")
        states = {told.state for told in self._told.values()}
        status = next((state for state in ("cancelled", "failed") if state in states), "done")
        return PipelineRun(
            id=self._record.run,
            name=self._pipeline.name,
            status=status,
            started=started,
            seconds=time.time() - started,
            params=params,
            steps=tuple(self._told[name] for name in names),
            notes=tuple(self._notes),
            edges=dict(self._above),
        )

    def tell(self, event: Mapping[str, Any]) -> None:
        """Let the listener know."""
        self._on_event({"at": time.time(), "run": self._record.run, **event})

    # -- which steps run

    def _look(self) -> None:
        """See how the steps stand whose inputs are known now; what is there already is settled, and lets others be known."""
        while self._known and not self._cancelled:
            step = self._steps[self._known.popleft()]
            missing = next((name for name in self._above[step.name] if name in self._unusable), "")
            try:
                if step.name not in self._taken:
                    self._settle(StepRun(step=step.name, state="skipped", why=("not chosen",)))
                elif missing:
                    self._settle(StepRun(step=step.name, state="skipped", why=(f"{missing} {self._told[missing].state}",)))
                elif step.name not in self._chosen:
                    self._settle(self._dispatch.borrowed(step, self._given(step.name)))
                else:
                    self._judge(step)
            except PipelineError as error:
                if self._executor is None:
                    raise
                self._settle(StepRun(step=step.name, state="failed", error=str(error)))

    def _given(self, name: str) -> dict[str, Outputs]:
        return {above: self._told[above].outputs for above in self._above[name]}

    def _judge(self, step: PipelineStep) -> None:
        look = self._dispatch.look(step, self._given(step.name))
        if look.commit is not None:
            self._settle(self._dispatch.cached(look))
            return
        self._looks[step.name] = look
        self._dispatch.warm(step, self._kernels - sum(self._steps[name].kind == _NOTEBOOK for name in self._room.inside))
        self._tell_step(step.name, "waiting", why="; ".join(look.why))
        heapq.heappush(self._ready, (self._place[step.name], step.name))

    def _settle(self, told: StepRun) -> None:
        self._told[told.step] = told
        self._kernels -= self._steps[told.step].kind == _NOTEBOOK and told.step in self._chosen
        borrowed = told.step not in self._chosen and not any(name in self._unusable for name in self._above[told.step])
        if told.state not in GOOD and not borrowed:
            self._unusable.add(told.step)
        event = {key: value for key, value in to_json(told).items() if key not in ("run", "why") and value not in (None, "", [], {}, 0)}
        self.tell({"event": "step", **event, "step_run": told.run, "why": "; ".join(told.why)})
        for name in self._below[told.step]:
            self._left[name] -= 1
            if not self._left[name]:
                self._known.append(name)

    def _tell_step(self, name: str, state: str, **more: Any) -> None:
        self.tell({"event": "step", "step": name, "state": state, **{key: value for key, value in more.items() if value}})

    # -- running them

    def _make_room(self) -> None:
        assert self._executor is not None
        slots, remote = self._executor.slots, self._executor.remote
        self._room = Room(slots) if remote else Room(slots, max(cores(), slots or 0), memory())
        self._report = self._executor.reporting(lambda event: self._queue.put(("event", event)))
        self._record.begin()

    def _work(self) -> None:
        while self._ready or self._later or self._room.inside:
            try:
                self._begin_what_fits()
                self._take(self._next())
            except ClusterLost as error:
                self._give_up(str(error))
                return
            self._look()
            if self._cancelled:
                self._cancel()
                return

    def _begin_what_fits(self) -> None:
        assert self._executor is not None
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            _, name = heapq.heappop(self._later)
            heapq.heappush(self._ready, (self._place[name], name))
        if not self._executor.ready():
            return
        waiting = []
        while self._ready:
            number, name = heapq.heappop(self._ready)
            if self._room.fits(self._steps[name]):
                self._begin(name)
            else:
                waiting.append((number, name))
        for item in waiting:
            heapq.heappush(self._ready, item)

    def _begin(self, name: str) -> None:
        from .work import run_step

        assert self._executor is not None
        step = self._steps[name]
        try:
            task = self._dispatch.task(self._looks[name], self._given(name))
        except (MlopsError, OSError) as error:
            self._settle(StepRun(step=name, state="failed", key=self._looks[name].key, error=str(error)))
            return
        self._room.enter(step)
        self._attempts[name] = self._attempts.get(name, 0) + 1
        future = self._executor.submit(run_step, task, self._report, **needs(step))
        future.add_done_callback(lambda ended: self._queue.put(("ended", (name, ended))))

    def _next(self) -> tuple[str, Any]:
        """The next thing that happened; ("nothing", None) after a while."""
        wait = _TICK_SECONDS
        if self._later:
            wait = max(0.0, min(wait, self._later[0][0] - time.monotonic()))
        try:
            return self._queue.get(timeout=wait)
        except queue.Empty:
            return "nothing", None

    def _take(self, item: tuple[str, Any]) -> None:
        match item:
            case "event", event:
                if run := event.get("run_id"):
                    self._runs.setdefault(event["step"], set()).add(run)
                if event["step"] in self._room.inside and event.get("event"):
                    self.tell({key: value for key, value in event.items() if key != "run_id"})
            case "ended", (name, future):
                self._room.leave(name)
                self._ended(name, future)
            case "interrupted", _:
                self._cancelled = True
            case _:
                pass

    def _ended(self, name: str, future: Future[Outcome]) -> None:
        step = self._steps[name]
        try:
            outcome = future.result()
        except CancelledError:
            # The worker may be well and go on: then its result counts, and whoever takes the step waits for it.
            self._lost(name, "the connection to the scheduler broke")
            return
        except Exception as error:  # the worker died, or could not even begin: anything that an executor raises
            self._free(name)
            self._lost(name, " ".join(str(error).split())[:300] or type(error).__name__)
            return
        self._dispatch.forget(step, outcome.gone)
        told = replace(outcome.step, attempts=self._attempts[name], why=outcome.step.why or self._looks[name].why)
        if told.state == "cached" and told.run in self._runs.get(name, ()):
            # A worker did it for us, and was lost before it could say so.
            told = replace(told, state="done", why=self._looks[name].why)
        if told.state == "failed" and outcome.again and self._attempts[name] <= step.retries:
            wait = step.backoff * step.factor ** (self._attempts[name] - 1)
            self._again(name, wait, f"attempt {self._attempts[name]} failed, the next is in {wait:g} s", told.error)
            return
        if told.state in GOOD:
            told = self._dispatch.brought(step, told)
        self._settle(told)

    def _lost(self, name: str, why: str) -> None:
        """Nobody is known to do the step any more: another worker takes it."""
        self._losses[name] = self._losses.get(name, 0) + 1
        if self._losses[name] > LOSSES:
            self._settle(StepRun(step=name, state="failed", error=f"Its workers were lost {LOSSES} times; the last time: {why}."))
            return
        self._attempts[name] -= 1
        self._again(name, 0.0, f"its worker was lost ({why})")

    def _free(self, name: str) -> None:
        """Let others have a step at once, rather than when the claim of its dead worker runs out."""
        with suppress(StoreError):  # the claim then ends with its time
            self._dispatch.free(self._looks[name].key)

    def _again(self, name: str, wait: float, why: str, error: str = "") -> None:
        self._tell_step(name, "retrying", why=why, error=error, attempts=self._attempts[name])
        heapq.heappush(self._later, (time.monotonic() + wait, name))

    # -- ending before the end

    def _cancel(self) -> None:
        """End what runs, and wait until it has ended."""
        assert self._executor is not None
        self._executor.stop()
        if self._executor.remote:
            for name in self._room.inside:
                self._free(name)
        deadline = time.monotonic() + 30.0
        while self._room.inside and time.monotonic() < deadline:
            kind, item = self._next()
            if kind == "ended":
                name, future = item
                self._room.leave(name)
                with suppress(Exception, CancelledError):
                    self._settle(replace(future.result().step, attempts=self._attempts[name]))
        self._rest("cancelled")

    def _give_up(self, why: str) -> None:
        """The cluster is lost: what is done stays done, the rest waits for another run."""
        self._notes.append(why)
        for name in sorted({*self._room.inside, *(name for _, name in self._later)}, key=self._place.__getitem__):
            self._settle(StepRun(step=name, state="failed", key=self._looks[name].key, error=why))
        if not any(told.state == "failed" for told in self._told.values()):
            for _, name in sorted(self._ready):
                self._settle(StepRun(step=name, state="failed", key=self._looks[name].key, error=why))
        self._rest("skipped", why)

    def _rest(self, state: str, *why: str) -> None:
        for step in self._order:
            if step.name not in self._told:
                self._settle(StepRun(step=step.name, state=state, why=why))


@contextmanager
def _interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM call `interrupt`; a second Ctrl-C does what it always does. Only the main thread hears signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def heard(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, previous[signal.SIGINT])
        interrupt()

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, heard)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
