"""`with mlops.track(NAME):` makes one run of a block of code, in a notebook and in any other Python program."""

from __future__ import annotations

import ast
import linecache
import sys
import textwrap
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..code.statements import analyse
from ..records import CellEvent, Run, to_json
from . import session as sessions
from .scope import Scope
from .session import Session


@contextmanager
def track(name: str) -> Iterator[Run]:
    """Everything that the block computes goes into one run called `name`; several fits inside become its children.

    The run is FAILED with the traceback if the block raises, and the exception goes on. Yields the run as it begins.
    """
    # The frame that entered the `with`: above it are this generator and contextlib's __enter__.
    frame = sys._getframe(2)
    live = sessions.current()
    own = live is None
    session = live or sessions.start()
    run = session.runs.open_named(name)
    program = None if session.shell is not None and session.runs.scope is not None else _Program(session, frame)
    session.deliver()
    try:
        yield session.run_record(run)
    except BaseException as error:
        interrupted = isinstance(error, KeyboardInterrupt)
        text = session.redactor.text(traceback.format_exc())
        if program is not None:
            program.end("interrupted" if interrupted else "error", text)
        session.runs.close_named(run, "KILLED" if interrupted else "FAILED", text)
        raise
    else:
        if program is not None:
            program.end("ok", "")
        session.runs.close_named(run, "FINISHED")
    finally:
        session.deliver()
        if own:
            session.close()


class _Program:
    """The block of a program that no shell runs: its statements are known from the source, its values from the frame."""

    def __init__(self, session: Session, frame: FrameType) -> None:
        self._session, self._frame = session, frame
        self._source = _block_source(frame)
        self._started, self._clock = time.time(), time.perf_counter()
        session.redactor.learn_source(self._source)
        self._seq = session.next_seq()
        source = session.redactor.source(self._source)
        session.journal.append({"kind": "begin", "seq": self._seq, "cell": "", "source": source, "started": self._started})
        self._scope = Scope(
            seq=self._seq,
            cell="",
            notebook=frame.f_code.co_filename,
            namespace={**frame.f_globals, **frame.f_locals},
            statements=analyse(self._source, session.fitting),
            started=self._started,
        )
        session.runs.begin(self._scope)
        session.files.drain()

    def end(self, status: str, error: str) -> None:
        session = self._session
        # f_locals is a picture of the moment: what the block bound is only in a new one.
        self._scope.namespace = {**self._frame.f_globals, **self._frame.f_locals}
        self._scope.first_fit = 0
        session.freezer.new_cell()
        touched = session.files.drain()
        runs = session.runs.end(status=status, error=error, shown=None, inputs={}, ended=time.time())
        event = CellEvent(
            session=session.journal.session,
            seq=self._seq,
            source=session.redactor.source(self._source),
            started=self._started,
            seconds=time.perf_counter() - self._clock,
            status=status,
            error=error,
            files_read=tuple(str(path) for path in sorted(touched.read)),
            files_written=tuple(str(path) for path in sorted(touched.written)),
            runs=tuple(runs),
        )
        session.journal.append({"kind": "cell", **to_json(event)})


def _block_source(frame: FrameType) -> str:
    """The statements inside the `with` that the frame is entering; "" when its source cannot be found."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return ""
    around = [node for node in ast.walk(tree) if isinstance(node, ast.With) and node.lineno <= frame.f_lineno <= node.body[0].lineno]
    if not around:
        return ""
    block = max(around, key=lambda node: node.lineno)
    return textwrap.dedent("".join(lines[block.body[0].lineno - 1 : block.body[-1].end_lineno]))
