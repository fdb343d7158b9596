"""Work that no cell waits for, done in order by one thread that lives on: who starts a thread is held up until it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue


class Background:
    """A thread, started with its first job. What fails goes to `on_trouble`, and the next job follows."""

    def __init__(self, name: str, on_trouble: Callable[[BaseException], None]) -> None:
        self._name, self._on_trouble = name, on_trouble
        self._jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def do(self, job: Callable[[], object]) -> None:
        """Hand in a job."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait until everything that was handed in is done; False when `seconds` were not enough."""
        if self._thread is None:
            return True
        done = threading.Event()
        self._jobs.put(done.set)
        return done.wait(seconds)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                job()
            except Exception as error:
                self._on_trouble(error)
            # It may hold the user's data, which must not live on until the next job comes.
            del job
