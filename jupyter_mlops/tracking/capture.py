"""Captures every execution of a cell, in the order in which it really ran, through IPython's own hooks.

The hooks nest (`%run other.ipynb`, `%%capture` and `run_cell` fire them again inside a cell): the outermost execution is the event.
Nothing here may raise into the user's cell; trouble is remembered and told by `track status`.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..code.outside import starts_programs
from ..code.paths import mentioned
from ..code.statements import Statement, plain
from ..code.versions import Execution
from ..records import CellEvent, Input, to_json
from .bindings import Bindings, is_users
from .files import file_input
from .scope import Scope

if TYPE_CHECKING:
    from .session import Session

# Code in which a file may be written over; where none of it stands, nothing is read ahead.
_MAY_WRITE = re.compile(r"""\bto_\w+\(|write|save|dump|export|['"](?:r\+|[wa])b?['"]|^\s*[!%]|\bCOPY\b""", re.IGNORECASE | re.MULTILINE)


class Capture:
    """The hooks of one shell. `begin` and `end` are IPython's pre_run_cell and post_run_cell."""

    def __init__(self, session: Session, shell: Any) -> None:
        self._session, self._shell = session, shell
        self._info: Any = None
        self._began: tuple[float, float] = (0.0, 0.0)
        self._bindings = Bindings()
        self._statements: tuple[Statement, ...] = ()
        self._random: dict[str, Any] = {}
        self._before: dict[Path, Input] = {}
        self._programs = False  # whether any cell so far may have started others that work for it
        self.plain = False
        """Whether the cell only binds literals or defines functions."""

    def install(self) -> None:
        self._shell.events.register("pre_run_cell", self.begin)
        self._shell.events.register("post_run_cell", self.end)

    def remove(self) -> None:
        self._shell.events.unregister("pre_run_cell", self.begin)
        self._shell.events.unregister("post_run_cell", self.end)

    def begin(self, info: Any) -> None:
        """A cell is about to run."""
        if self._info is not None or self._session.state != "on" or self._is_hidden(info):
            return
        try:
            self._begin(info)
        except Exception as error:
            self._session.trouble(error)

    def end(self, result: Any) -> None:
        """A cell has run, failed, or was interrupted."""
        try:
            if self._info is not None and result is not None and result.info is self._info:
                self._end(result)
            elif self._info is None and result is not None and self._session.state == "on" and not self._is_hidden(result.info):
                self._late(result)
        except Exception as error:
            self._session.trouble(error)
        finally:
            if result is None or (self._info is not None and result.info is self._info):
                self._info = None

    def _is_hidden(self, info: Any) -> bool:
        """Whether a front end asks the kernel something for itself, such as what to show among the variables: that is no cell."""
        return not info.store_history and hasattr(self._shell, "kernel")

    def running(self) -> Execution | None:
        """The execution that goes on now, as far as it is known."""
        info, session = self._info, self._session
        if info is None:
            return None
        return Execution(seq=session.seq, source=session.redactor.source(info.raw_cell), cell=info.cell_id or "")

    def _begin(self, info: Any) -> None:
        session, source = self._session, info.raw_cell
        self._info = info
        session.redactor.learn_source(source)
        seq = session.next_seq()
        session.journal.append(
            {"kind": "begin", "seq": seq, "cell": info.cell_id or "", "source": session.redactor.source(source), "started": time.time()}
        )
        session.outputs.flush(seq)
        session.outputs.begin(seq)
        session.fetches.new_cell()
        namespace = self._shell.user_ns
        self._statements = session.analysed(source)
        self._prepare(namespace)
        session.runs.begin(self._scope(seq, info, time.time()))
        self._began = (time.perf_counter(), time.process_time())

    def _prepare(self, namespace: dict[str, Any]) -> None:
        session = self._session
        self._random, self._before, self.plain = {}, {}, plain(self._statements)
        if self.plain:
            session.files.drain()
            session.files.watch(())
            return
        reads = frozenset[str]().union(*(statement.reads for statement in self._statements))
        self._random = session.random.before({name: namespace[name] for name in reads if name in namespace})
        self._bindings.remember(namespace)
        paths = mentioned([statement.source for statement in self._statements], namespace)
        if any(_MAY_WRITE.search(statement.source) for statement in self._statements):
            self._before = session.contents_before(paths)
        # Only now, so that what was read ahead is no read of the cell.
        session.files.drain()
        session.files.watch(paths)

    def _scope(self, seq: int, info: Any, started: float) -> Scope:
        return Scope(
            seq=seq,
            cell=info.cell_id or "",
            notebook=self._session.notebook,
            namespace=self._shell.user_ns,
            statements=self._statements,
            started=started,
            fitting=self._session.fitting,
        )

    def _late(self, result: Any) -> None:
        """The cell that switched tracking on: what it did before that could not be watched, but its code is part of the history."""
        info = result.info
        if not info.raw_cell.strip():
            return
        session = self._session
        self._info = info
        self._statements = session.analysed(info.raw_cell)
        self.plain = False
        self._bindings.remember(self._shell.user_ns)
        session.redactor.learn_source(info.raw_cell)
        seq = session.next_seq()
        session.outputs.begin(seq)
        self._began = (time.perf_counter(), time.process_time())
        session.runs.begin(self._scope(seq, info, time.time()))
        self._end(result)

    def _end(self, result: Any) -> None:
        session, info = self._session, result.info
        seconds, cpu = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        ended = time.time()
        touched = session.files.drain()
        if touched.own is not None:
            self._programs = self._programs or starts_programs(info.raw_cell)
            touched = touched if self._programs else touched.without_others()
        session.files.claim(touched)
        error = result.error_before_exec or result.error_in_exec
        status = "ok" if error is None else "interrupted" if isinstance(error, KeyboardInterrupt) else "error"
        reads, writes, mutates, deletes = self._names()
        session.redactor.learn_values({name: self._shell.user_ns[name] for name in writes if name in self._shell.user_ns})
        text = session.redactor.text(_traceback(error)) if error is not None else ""
        session.freezer.new_cell()
        scope = session.runs.scope
        seq = scope.seq if scope is not None else session.seq
        read, written, inputs, runs = list[Input](), list[Input](), dict[str, tuple[Input, ...]](), list[str]()
        with self._apart():
            paths = sorted(touched.read, key=str)
            before = {path: item for path, item in self._before.items() if path in touched.overwritten}
            read = [before.get(path) or self._file(path) for path in paths]
            written = [self._file(path) for path in sorted(touched.written, key=str)]
            inputs = self._inputs(read, paths)
        with self._apart():
            self._keep_foreign_data(inputs)
        with self._apart():
            session.learn_fitting(self._statements)
            runs = session.runs.end(
                status=status,
                error=text,
                shown=getattr(result, "result", None),
                inputs=inputs,
                ended=ended,
                ran=[statement for path in touched.read for statement in self._ran(path)],
            )
        values = self._digests(seq, writes | mutates, seconds, {item.name for items in inputs.values() for item in items})
        with self._apart():
            session.outputs.end(seq, result)
        event = CellEvent(
            session=session.journal.session,
            seq=seq,
            source=session.redactor.source(info.raw_cell),
            started=ended - seconds,
            seconds=seconds,
            status=status,
            cell=info.cell_id or "",
            error=text,
            reads=tuple(sorted(reads)),
            writes=tuple(sorted(writes)),
            mutates=tuple(sorted(mutates)),
            deletes=tuple(sorted(deletes)),
            files_read=tuple(read),
            files_written=tuple(written),
            values=values,
            random={**self._random, **session.random.arrived(), **session.random.made(self._bound(writes))},
            cpu_seconds=cpu,
            peak_memory=_peak_memory(),
            runs=tuple(runs),
        )
        session.journal.append({"kind": "cell", **to_json(event)})
        session.learn_versions(event, self._statements)
        session.collect_modules()
        session.cell_ended(event)

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """What fails in here is told, and leaves the rest of the event whole."""
        try:
            yield
        except Exception as error:  # data, models and files of all kinds
            self._session.trouble(error)

    def _names(self) -> tuple[set[str], set[str], set[str], set[str]]:
        """Names read, bound, changed and deleted: what the code says, and what the namespace shows (exec, star imports, %run)."""
        reads = set[str]().union(*(statement.reads for statement in self._statements))
        writes = set[str]().union(*(statement.writes for statement in self._statements))
        mutates = set[str]().union(*(statement.mutates for statement in self._statements))
        deletes = set[str]().union(*(statement.deletes for statement in self._statements))
        bound, gone = (set[str](), set[str]()) if self.plain else self._bindings.changed(self._shell.user_ns)
        writes |= bound - mutates
        deletes |= gone
        known = (reads, writes - deletes, mutates, deletes)
        return tuple(set(filter(is_users, names)) for names in known)  # type: ignore[return-value]  # four in, four out

    def _bound(self, names: set[str]) -> dict[str, Any]:
        namespace = self._shell.user_ns
        return {name: namespace[name] for name in names if name in namespace}

    def _file(self, path: Path) -> Input:
        session = self._session
        item = file_input(path, session.settings.project)
        return session.file_content(path, item)

    def _inputs(self, read: list[Input], paths: list[Path]) -> dict[str, tuple[Input, ...]]:
        """Which files each name that the cell bound may come from: those that its statement mentions, else all that the cell read."""
        by_name: dict[str, tuple[Input, ...]] = {}
        if not read:
            return by_name
        for statement in self._statements:
            named = [item for item, path in zip(read, paths, strict=True) if any(path.name in text for text in statement.texts)]
            for name in statement.writes | statement.mutates:
                by_name[name] = tuple(dict.fromkeys((*by_name.get(name, ()), *(named or read))))
        return by_name

    def _ran(self, path: Path) -> Iterator[Statement]:
        """The statements of a program or notebook that `%run` ran."""
        if any("%run" in statement.calls and any(path.name in text for text in statement.texts) for statement in self._statements):
            text = path.read_text("utf-8", "replace")
            cells = ["".join(cell["source"]) for cell in json.loads(text)["cells"]] if path.suffix == ".ipynb" else [text]
            for cell in cells:
                yield from self._session.analysed(cell)

    def _keep_foreign_data(self, inputs: dict[str, tuple[Input, ...]]) -> None:
        """Keep the frames that came from a network or a database: they cannot be read again."""
        session = self._session
        for statement in self._statements:
            if not statement.network:
                continue
            for name in sorted(statement.writes):
                value = self._shell.user_ns.get(name)
                if name in session.fetches.items:
                    inputs[name] = (*inputs.get(name, ()), *session.fetches.items[name])
                    continue

                def ready(item: Input, name: str = name) -> None:
                    inputs[name] = (*inputs.get(name, ()), item)

                session.freezer.keep_whole(name, value, ready, statement.source.strip()[:200], session.settings.keep)

    def _digests(self, seq: int, names: set[str], seconds: float, skip: set[str]) -> dict[str, str]:
        session, found, written = self._session, dict[str, str](), threading.Event()

        def ready(item: Input) -> None:
            if item.digest is None:
                return
            if written.is_set():
                session.journal.append({"kind": "values", "seq": seq, "values": {item.name: item.digest}})
            else:
                found[item.name] = item.digest

        for name in sorted(names):
            value = self._shell.user_ns.get(name)
            if value is not None and not name.startswith("_"):
                with self._apart():
                    session.freezer.digest_if_cheap(name, value, seconds, ready)
        written.set()
        return found


def _traceback(error: BaseException) -> str:
    # IPython's own frames above the cell say nothing to the user.
    frames = traceback.TracebackException.from_exception(error)
    while frames.stack and "ipykernel_" not in frames.stack[0].filename and not frames.stack[0].filename.startswith("<ipython-input"):
        frames.stack.pop(0)
    return "".join(frames.format())


def _peak_memory() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
