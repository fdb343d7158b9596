"""What the demo tells on stderr while it plays: a line for each thing begun and done, with the time since the start."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from types import TracebackType
from typing import Self, TextIO

INDENT = " " * 19


class Telling:
    """Writes lines to `out`, from any thread. While it is open, what the verbs tell on stderr stands indented between them."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._writing = threading.Lock()
        self._began = time.monotonic()
        self._redirected = redirect_stderr(_Indented(self.line))

    def __call__(self, act: str, text: str) -> None:
        """Tell what an act does, or what came of it."""
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        self.line(f"{minutes:3}:{seconds:02}  {act:<10} {text}")

    def line(self, text: str) -> None:
        """Write a line."""
        with self._writing:
            print(text, file=self._out, flush=True)

    def __enter__(self) -> Self:
        self._redirected.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._redirected.__exit__(kind, error, trace)


class _Indented(io.TextIOBase):
    """A stream that hands on whole lines, indented."""

    def __init__(self, line: Callable[[str], None]) -> None:
        self._line = line
        self._begun = ""

    def write(self, text: str, /) -> int:
        *whole, self._begun = (self._begun + text).split("\n")
        for line in whole:
            self._line(f"{INDENT}{line}")
        return len(text)
