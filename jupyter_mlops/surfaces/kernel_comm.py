"""What a kernel tells the front ends of its notebook, over comms that they open: the runs of each cell as it ends, what is stale, and
whether tracking is on. Where no front end listens, nothing is made and nothing is sent.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..records import CellEvent, CellState, Foreseen, Run, Status

if TYPE_CHECKING:
    from ..tracking.session import Session

TARGET = "jupyter_mlops"
MOST_RUNS = 20
"""Runs told of one cell, the newest."""
_METRICS = 4
_MOST_LISTENERS = 16
# A front end that closed without a word (a lost connection, a browser that was killed) is asked, and forgotten when it does not answer.
_ASK_AFTER = 20
_FORGET_AFTER = 60
# Looking for stale cells takes the kernel at most one part in so many of its time.
_PAUSE = 10


@dataclass(slots=True)
class _Listener:
    """A comm that a front end opened, and how many messages it was sent since it was heard last."""

    comm: Any
    unheard: int = 0


_live: KernelComm | None = None


def load(shell: Any, session: Session) -> None:
    """Let front ends of this shell's kernel listen to a session; a shell without a kernel has none."""
    global _live
    kernel = getattr(shell, "kernel", None)
    if hasattr(kernel, "comm_manager"):
        unload()
        _live = KernelComm(session, kernel)
        _live.install()


def unload() -> None:
    """Close all comms and take the target away."""
    global _live
    if _live is not None:
        _live.remove()
        _live = None


class KernelComm:
    """The comm target of one kernel: front ends that open it are told of the session's cells."""

    def __init__(self, session: Session, kernel: Any) -> None:
        self._session, self._kernel = session, kernel
        self._listeners: dict[str, _Listener] = {}
        # Front ends' messages may come in a thread of their own (a subshell).
        self._lock = threading.Lock()
        self._looking = False
        self._not_before = 0.0

    def install(self) -> None:
        """Let front ends open the comm."""
        self._kernel.comm_manager.register_target(TARGET, self._opened)

    def remove(self) -> None:
        """Close all comms: the front ends then show that nothing is tracked."""
        self._kernel.comm_manager.targets.pop(TARGET, None)
        for listener in list(self._listeners.values()):
            self._forget(listener)

    # -- what front ends ask

    def _opened(self, comm: Any, _message: Mapping[str, Any]) -> None:
        listener = _Listener(comm)
        for oldest in list(self._listeners.values())[: -(_MOST_LISTENERS - 1)]:
            self._forget(oldest)
        comm.on_msg(lambda said: self._said(listener, said))
        comm.on_close(lambda _: self._gone(listener))
        with self._lock:
            self._listeners[comm.comm_id] = listener
            self._session.on_cell = self._cell_ended
        self._tell(self._whole(), [listener])
        self._look_soon()

    def _said(self, listener: _Listener, message: Mapping[str, Any]) -> None:
        listener.unheard = 0
        match _data(message):
            case {"do": "track", "state": "on"}:
                self._session.resume()
                self._tell({"kind": "tracking", **self._how()})
            case {"do": "track", "state": "off"}:
                self._session.pause()
                self._tell({"kind": "tracking", **self._how()})
            case {"do": "look"}:
                self._look_soon()
            case _:
                pass  # "here": the answer to a message that asked for one

    def _gone(self, listener: _Listener) -> None:
        with self._lock:
            self._listeners.pop(listener.comm.comm_id, None)
            if not self._listeners:
                self._session.on_cell = None

    def _forget(self, listener: _Listener) -> None:
        self._gone(listener)
        try:
            listener.comm.close()
        except Exception as error:
            self._session.trouble(error)

    # -- what they are told

    def _cell_ended(self, event: CellEvent) -> None:
        """An execution ended: its runs now, what is stale between this cell and the next."""
        try:
            runs = [self._session.run_record(run) for run in event.runs if run in self._session.book.runs]
            ended = {"cell": event.cell, "seq": event.seq, "status": event.status}
            self._tell({"kind": "cell", **self._how(), **ended, "runs": _briefly(runs)})
            self._look_soon()
        except Exception as error:  # whatever a front end does, a cell never hears of it
            self._session.trouble(error)

    def _whole(self) -> dict[str, Any]:
        """All that a front end which has just come should know: of each cell the runs of its last execution."""
        session = self._session
        last = {trace.execution.cell: trace.execution.seq for trace in list(session.history.traces.values()) if trace.execution.cell}
        states = [run for run in list(session.book.runs.values()) if run.own and not run.deleted and last.get(run.cell) == run.seq]
        return {"kind": "state", **self._how(), "cells": last, "runs": _briefly([session.run_record(run.id) for run in states])}

    def _how(self) -> dict[str, Any]:
        return {"tracking": self._session.state, "session": self._session.journal.session}

    def _tell(self, message: Mapping[str, Any], to: list[_Listener] | None = None) -> None:
        """Send to all front ends, or to some. One that cannot be told is forgotten."""
        for listener in list(self._listeners.values()) if to is None else to:
            listener.unheard += 1
            try:
                listener.comm.send({**message, "ask": listener.unheard >= _ASK_AFTER})
            except Exception as error:  # a connection of any kind
                self._session.trouble(error)
                self._forget(listener)
            else:
                if listener.unheard > _FORGET_AFTER:
                    self._forget(listener)

    # -- what is stale

    def _look_soon(self) -> None:
        """Look for stale cells when the kernel has answered its request, in its own thread, where nothing changes meanwhile."""
        if not self._looking:
            self._looking = True
            self._kernel.io_loop.add_callback(self._look_in_time)

    def _look_in_time(self) -> None:
        self._after(self._not_before - time.monotonic(), self._look)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        if seconds > 0:
            self._kernel.io_loop.call_later(seconds, act)
        else:
            act()

    def _look(self) -> None:
        self._looking = False
        if not self._listeners:
            return
        from ..tracking import status

        began = time.monotonic()
        try:
            self._tell({"kind": "status", **self._how(), **_findings(status.of_session(self._session))})
        except Exception as error:  # as above
            self._session.trouble(error)
        now = time.monotonic()
        self._not_before = now + _PAUSE * (now - began)


def _data(message: Mapping[str, Any]) -> dict[str, Any]:
    """What a message carries; whatever a front end sends, it is a dict."""
    data = message.get("content", {}).get("data")
    return data if isinstance(data, dict) else {}


def _briefly(runs: list[Run]) -> list[dict[str, Any]]:
    """The newest of the runs that are nobody's child, in the order in which they began, as far as a badge tells of them."""
    return [
        {
            "id": run.own_id,
            "name": run.name,
            "status": run.status,
            "cell": run.cell,
            "metrics": dict(islice(run.metrics.items(), _METRICS)),
            "replay": run.replay,
        }
        for run in [run for run in runs if run.parent is None][-MOST_RUNS:]
    ]


def _findings(found: Status) -> dict[str, Any]:
    """Of each cell that has something to tell: why it is stale, and what a restart and a run of all cells would make of it."""
    stale = {cell.cell: list(cell.why) for cell in map(CellState.of, found.cells) if cell.state == "stale"}
    hidden: dict[str, list[str]] = {}
    for item in map(Foreseen.of, found.restart):
        # What is stale would be made anew in any case.
        if item.kind == "error" or (item.kind == "value" and item.cell not in stale):
            hidden.setdefault(item.cell, []).append(item.why)
    return {"stale": stale, "hidden": hidden, "saved": found.saved, "notes": list(found.notes)}
