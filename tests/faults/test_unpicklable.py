"""Models that hold what cannot be pickled: the run names them with a reason and keeps all the rest, and the cell does not notice."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Kernel
from tests.delivered import settled, with_database
from tests.faults.counting import Recorder

SETUP = """
%load_ext jupyter_mlops
import contextvars, ctypes, mmap, queue, select, socket, sqlite3, subprocess, sys, threading, weakref
import numpy as np
from concurrent.futures import ThreadPoolExecutor
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2
class Holder(LogisticRegression):
    def fit(self, X, y):
        super().fit(X, y)
        self.held = make()
        return self
class Refusing:
    def __reduce__(self): raise RuntimeError("not for you")
class Hollow:
    def __getstate__(self): raise SystemError("no state")
    def __getattr__(self, name): raise KeyError(name)
class Deep:
    def __init__(self): self.next = None
def deep(levels=10_000):
    first = here = Deep()
    for _ in range(levels):
        here.next = Deep(); here = here.next
    return first
def traceback_of_a_failure():
    try:
        1 / 0
    except ZeroDivisionError as error:
        return error.__traceback__
"""
# What a model may come to hold, and where.
KINDS: dict[str, str] = {
    "a lock": "threading.Lock()",
    "a condition": "threading.Condition()",
    "a thread": "threading.Thread(target=print)",
    "a thread pool": "ThreadPoolExecutor(1)",
    "a queue": "queue.Queue()",
    "an open file": "open('notes.txt', 'w')",
    "a socket": "socket.socket()",
    "a database connection": "sqlite3.connect(':memory:')",
    "a cursor": "sqlite3.connect(':memory:').execute('select 1')",
    "a generator": "(n for n in range(3))",
    "a poll": "select.poll()",
    "a frame": "sys._getframe()",
    "a traceback": "traceback_of_a_failure()",
    "a memory map": "mmap.mmap(-1, 10)",
    "a process": "subprocess.Popen(['true'])",
    "a weak reference": "weakref.ref(LogisticRegression)",
    "a context variable": "contextvars.ContextVar('now')",
    "a pointer": "ctypes.pointer(ctypes.c_int(3))",
    "an object that refuses": "Refusing()",
    "an object without attributes": "Hollow()",
    "a chain that is too deep": "deep()",
    "in a list": "[1, {'inner': (threading.Lock(),)}]",
}
CELL = "make = lambda: {kind}\nmodel = Holder(C={strength}).fit(X, y)\nacc = model.score(X, y)\nprint(type(model).__name__, acc)"


def test_a_model_that_cannot_be_pickled_is_named_and_the_rest_is_kept(project: Path, kernel: Kernel, record_property: Recorder) -> None:
    with_database(project)
    kernel.run(SETUP)
    plain = kernel.run("reference = LogisticRegression(C=1.0).fit(X, y)\nprint('Holder', reference.score(X, y))")
    strengths = {kind: 1.0 + number / 1000 for number, kind in enumerate(KINDS, start=1)}
    shown = {kind: kernel.run(CELL.format(kind=made, strength=strengths[kind])) for kind, made in KINDS.items()}
    assert {kind: (ran.stdout, ran.stderr, ran.error) for kind, ran in shown.items()} == dict.fromkeys(KINDS, (plain.stdout, "", ""))
    [_, *runs] = settled(project)
    assert [float(run.data.params["C"]) for run in runs] == list(strengths.values())
    skipped = {kind: run.data.tags.get("mlops.skipped", "") for kind, run in zip(KINDS, runs, strict=True)}
    assert {kind: text for kind, text in skipped.items() if not text.startswith("model (Holder): ") or "pickled" not in text} == {}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.metrics["acc"] for run in runs} == {float(plain.stdout.split()[1])}
    assert all(len(run.inputs.dataset_inputs) == 2 for run in runs)
    record_property("faults", len(KINDS))
