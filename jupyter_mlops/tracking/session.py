"""The session of one kernel (or of one program): what it captured goes to its journal, and the delivery worker does the rest."""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from itertools import count
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from .. import config
from ..code.literals import MODULE_NAMES
from ..code.secrets import Redactor
from ..code.statements import Statement, analyse
from ..code.versions import Execution, History
from ..config import Settings
from ..errors import MlopsError, ModelRefused
from ..records import CellEvent, Input, Output, Run, Snapshot, to_json
from ..store import client
from ..store.journal import Journal
from ..store.runs import SessionState, to_run
from . import origin
from .background import Background
from .executions import as_execution, files_of
from .files import file_input

if TYPE_CHECKING:
    from ..store.objects import ObjectStore
    from .runs import RunTracker

# What imports bind: modules, and the classes and functions in them.
_IMPORTED = (ModuleType, type, FunctionType, BuiltinFunctionType)
_TROUBLES = 20
_SMALL_FILE = 4_000_000
_BACKGROUND_SECONDS = 5.0
_session: Session | None = None


def current() -> Session | None:
    """The session of this process, if it has one."""
    return _session if _session is None or _session.pid == os.getpid() else None


def start(shell: Any = None, settings: Settings | None = None) -> Session:
    """Begin the session of this process, capturing the cells of `shell` where there is one. A session that goes on already is resumed."""
    global _session
    live = current()
    if live is not None:
        if shell is not None and live.shell is None:
            live.watch_shell(shell)
        live.resume()
        return live
    _session = Session(settings or config.load(), origin.starting_folder(shell))
    if shell is not None:
        _session.watch_shell(shell)
    atexit.register(_session.close)
    return _session


class Session:
    """What one process tracks. `state` is on or off; `on_runs` is called with the runs that a cell made or added to, `on_cell` with each
    execution that ended; `book` is what the journal says so far."""

    def __init__(self, settings: Settings, cwd: str | None = None) -> None:
        self.settings = settings
        # What the environment was before the cells that are recorded.
        self.variables = dict(os.environ)
        self.pid = os.getpid()
        self.state = "on"
        self.shell: Any = None
        self.seq = 0
        self.fitting: frozenset[str] = frozenset()
        self.notebook = origin.notebook(settings.project)
        self.redactor = Redactor(settings.secrets)
        self.redactor.learn_environment(os.environ)
        self.on_runs: Callable[[list[Run]], None] | None = None
        self.on_cell: Callable[[CellEvent], None] | None = None
        self.journal = Journal.create(settings.home, {"cwd": cwd or os.getcwd(), **origin.header(settings, self.notebook)})
        self.book = SessionState(header={"session": self.journal.session, "notebook": self.notebook})
        self._last: str | None = None
        self._troubles: list[str] = []
        self._environment = ""
        self._background = Background("mlops-background", self.trouble)
        self._opened_by_user = False
        self._file_digests: dict[tuple[str, tuple[int, ...]], Input] = {}
        self._fetched = count()
        self._capture: Any = None
        self.history = History()
        self.last_files: dict[str, Input] = {}
        self._closed = False

    # -- its parts, made when they are first needed

    @cached_property
    def objects(self) -> ObjectStore:
        from ..store.objects import open_objects

        return open_objects(self.settings)

    @cached_property
    def freezer(self) -> Any:
        from .freezing import Freezer

        return Freezer(lambda: self.objects, self.trouble)

    @cached_property
    def runs(self) -> RunTracker:
        from .runs import RunTracker

        return RunTracker(self.emit, self.freezer, self._put_model, self)

    @cached_property
    def files(self) -> Any:
        from .files import FileWatch

        return FileWatch(self.settings.project)

    @cached_property
    def random(self) -> Any:
        from .random_state import RandomStates

        return RandomStates()

    @cached_property
    def outputs(self) -> Any:
        from .outputs import HistoryOutputs, KernelOutputs

        kind = KernelOutputs if hasattr(self.shell.display_pub, "register_hook") else HistoryOutputs
        return kind(self.shell, self._emit_outputs, self._keep_output)

    # -- the shell

    def watch_shell(self, shell: Any) -> None:
        """Capture the cells of an IPython shell from here on; cells that ran before are noted as untracked."""
        from .capture import Capture
        from .fetched import FetchKeeper
        from .instrument import Instrument, Recorder
        from .modules import ModuleKeeper

        self.shell = shell
        self.modules = ModuleKeeper(self.settings.project, lambda source: self.objects.put(self.redactor.source(source).encode()))
        recorder = Recorder(self.runs, self.trouble)
        recorder.install()
        self._capture = Capture(self, shell)
        self._capture.install()
        self.fetches = FetchKeeper(self._keep_fetched, shell.user_ns, lambda: self.state == "on", self.trouble)
        self.fetches.install()
        instrument = Instrument(recorder, lambda: self.fitting, self._may_report)
        self._transformers = (self.fetches, instrument)
        shell.ast_transformers.extend(self._transformers)
        self.outputs.install()
        self._note_earlier(shell)
        self._background.do(self._describe_environment)

    def _may_report(self) -> bool:
        """Whether the code that runs now may fit a model or pass on a value that a run is told of."""
        return self.state == "on" and self.runs.scope is not None and not (self._capture is not None and self._capture.plain)

    def pause(self) -> None:
        """Stop capturing; cells run as if this package were not there."""
        self.state = "off"

    def resume(self) -> None:
        """Go on capturing."""
        self.state = "on"

    def close(self) -> None:
        """End the session: wait for what is being frozen, and write the journal's end."""
        global _session
        if self._closed or self.pid != os.getpid():
            return
        self._closed = True
        self.state = "off"
        if self.shell is not None:
            self._capture.remove()
            self.outputs.remove()
            for transformer in self._transformers:
                if transformer in self.shell.ast_transformers:
                    self.shell.ast_transformers.remove(transformer)
            self.outputs.flush(self.seq + 1)
        if "freezer" in self.__dict__:
            self.freezer.wait(self.freezer.DRAIN)
        self._background.wait(_BACKGROUND_SECONDS)
        if "files" in self.__dict__:
            self.files.close()
        self.journal.close()
        if _session is self:
            _session = None

    # -- what is written

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def emit(self, record: Mapping[str, Any]) -> None:
        """Write a record of a run, secrets replaced, and see to it that somebody delivers it."""
        self._learn_secrets()
        record = self.redactor.json(record)
        self.journal.append(record)
        self.book.add([record])
        self._last = record["id"]

    def patch_run(self, run: str | None, **patch: Any) -> None:
        """Change a run by hand: any fields of the journal's `run` record. `run` is one of our ids (default: the last run)."""
        identifier = run or self._last
        if identifier is None:
            raise MlopsError("There is no run yet: fit a model, or name the run.")
        self.emit({"kind": "run", "id": identifier, "at": time.time(), **patch})
        self.deliver()

    def snapshot(self, value: Any, name: str = "") -> Snapshot:
        """Freeze a value (or the file or folder at a Path) with its bytes, and pin it so that it is never collected."""
        from ..store import snapshots

        frozen = snapshots.freeze_file(value, self.objects) if isinstance(value, Path) else snapshots.freeze(value, self.objects, name=name)
        self.journal.append({"kind": "snapshot", "snapshot": {**to_json(frozen), "name": name or frozen.name, "created": time.time()}})
        return frozen

    def run_record(self, identifier: str) -> Run:
        """One of this session's own runs, as far as it has come."""
        return to_run(self.book.runs[identifier], self.book, experiment=self._experiment)

    @property
    def _experiment(self) -> str:
        return self.settings.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or self.settings.project.name

    @property
    def last_run(self) -> Run | None:
        """The run that was made or changed last."""
        return self.run_record(self._last) if self._last in self.book.runs else None

    def deliver(self) -> None:
        """See to it, in the background, that a delivery worker is at work."""
        self._background.do(lambda: client.ensure_worker(self.settings))

    def cell_ended(self, event: CellEvent) -> None:
        """Tell of an execution that ended; show and deliver its runs."""
        if self.on_cell is not None:
            self.on_cell(event)
        if not event.runs:
            return
        self.deliver()
        self._background.do(self._describe_environment)
        if self.on_runs is not None and self.settings.line:
            self.on_runs([self.run_record(run) for run in event.runs if run in self.book.runs])

    def analysed(self, source: str) -> tuple[Statement, ...]:
        """The statements of a cell that is about to run, or has just run."""
        names = {} if self.shell is None else self.shell.user_ns
        objects = frozenset(name for name in MODULE_NAMES & names.keys() if not isinstance(names[name], _IMPORTED))
        return analyse(source, self.fitting, objects)

    def learn_fitting(self, statements: tuple[Statement, ...]) -> None:
        """Remember the functions and classes of a cell that fit a model when they are called."""
        for statement in statements:
            self.fitting = (self.fitting - statement.writes) | statement.fitting_defs
            self.learn_fitting(statement.body)

    def learn_versions(self, event: CellEvent, statements: tuple[Statement, ...]) -> None:
        """Remember what an execution was given and made, for `status`."""
        self.history.add(as_execution(event), statements)
        self.last_files.update(files_of(event))

    def file_content(self, path: Path, item: Input) -> Input:
        """A file that a cell used, with its content where that is had in no time; else the delivery worker reads it."""
        if item.size <= _SMALL_FILE:
            return self.file_frozen(path, item)
        # That must not look like a read of the next cell.
        self.files.expect_reader([path])
        return item

    def file_frozen(self, path: Path, item: Input) -> Input:
        """A file's content, kept; a file that did not change since it was kept is not read again."""
        from dataclasses import replace

        from ..store import snapshots

        key = (str(path), item.stat)
        if key not in self._file_digests:
            try:
                frozen = snapshots.freeze_file(path, self.objects)
            except (OSError, MlopsError) as error:
                self.trouble(error)
                return item
            self._file_digests[key] = replace(item, digest=frozen.digest, kept=True)
        return self._file_digests[key]

    def contents_before(self, paths: Iterable[str]) -> dict[Path, Input]:
        """The small files among the paths that a cell mentions, kept before it runs: it may read one and then write it over."""
        project, found = self.settings.project, dict[Path, Input]()
        for text in paths:
            # A pipe or a device would keep its reader waiting.
            if not os.path.isfile(text):
                continue
            path = Path(os.path.abspath(text))
            item = file_input(path, project)
            if item.size <= _SMALL_FILE:
                found[path] = self.file_frozen(path, item)
        return found

    def trouble(self, error: BaseException) -> None:
        """Remember what went wrong in tracking; a user's cell never hears of it."""
        if os.environ.get("MLOPS_DEBUG"):
            import traceback

            traceback.print_exception(error, file=sys.__stderr__)
        if len(self._troubles) < _TROUBLES:
            self._troubles.append(f"{type(error).__name__}: {error}")

    def status(self) -> dict[str, Any]:
        """How tracking stands: where to, how many executions and runs, what went wrong."""
        return {
            "state": self.state,
            "project": str(self.settings.project),
            "session": self.journal.session,
            "notebook": self.notebook,
            "cells": self.seq,
            "runs": sum(1 for run in self.book.runs.values() if run.own),
            "trouble": [*([self.journal.trouble] if self.journal.trouble else []), *self._troubles],
        }

    def running(self) -> Execution | None:
        """The execution that goes on now; None between cells and while tracking is off."""
        return self._capture.running() if self._capture is not None else None

    # -- runs that user code opens with MLflow

    def opened_by_user(self) -> dict[str, str]:
        """Tags for a run that user code is opening; MLflow asks for them while it creates the run."""
        self._opened_by_user = True
        return {"mlops.session": self.journal.session, "mlops.cells": f"[{self.seq}]"}

    def open_run(self) -> str | None:
        """The id of the run that user code has open in MLflow now."""
        self._opened_by_user = False
        mlflow = sys.modules.get("mlflow")
        active = mlflow.active_run() if mlflow is not None and hasattr(mlflow, "active_run") else None
        return str(active.info.run_id) if active is not None else None

    def opened_run(self) -> str | None:
        """The id of the run that user code has open, or opened and closed since the last question (as autologging does in a fit)."""
        opened = self._opened_by_user
        active = self.open_run()
        if active is not None or not opened:
            return active
        last = sys.modules["mlflow"].last_active_run()
        return str(last.info.run_id) if last is not None else None

    def autologging(self, flavor: str) -> bool:
        """Whether MLflow's own autologging is on for a framework, so that a fit opens a run by itself."""
        utils = sys.modules.get("mlflow.utils.autologging_utils")
        return utils is not None and flavor in utils.AUTOLOGGING_INTEGRATIONS and not utils.autologging_is_disabled(flavor)

    def surroundings(self) -> dict[str, Any]:
        """What a new run is told of where it belongs: the user's own choice of MLflow store and experiment."""
        found: dict[str, Any] = {}
        mlflow = sys.modules.get("mlflow")
        if mlflow is not None and hasattr(mlflow, "is_tracking_uri_set") and mlflow.is_tracking_uri_set():
            found["tracking_uri"] = mlflow.get_tracking_uri()
        if self.settings.experiment:
            found["experiment"] = self.settings.experiment
        elif os.environ.get("MLFLOW_EXPERIMENT_ID"):
            found["experiment_id"] = os.environ["MLFLOW_EXPERIMENT_ID"]
        return found

    # -- its surroundings

    def _describe_environment(self) -> None:
        """Write the environment to the journal where it differs from what was written last; in the background, as git is asked."""
        from . import environment

        with self.files.quiet():
            git = environment.git_state(self.settings.project, self.redactor)
        described = {
            **environment.describe(),
            "git": git,
            "modules": list(self.modules.known.values()),
            "sys_path": [folder for folder in sys.path if folder],
        }
        digest = self.objects.put(json.dumps(described, sort_keys=True, default=str).encode())
        if digest != self._environment:
            self._environment = digest
            self.journal.append({"kind": "session", "environment": digest})

    def collect_modules(self) -> None:
        """Keep the source of local modules that were imported or reloaded since the last time."""
        for seq, modules in self.modules.collect(self.seq).items():
            self.journal.append({"kind": "modules", "seq": seq, "modules": modules})

    def _note_earlier(self, shell: Any) -> None:
        """Cells that ran before tracking began: their code and order are known, nothing else."""
        earlier = list(shell.user_ns.get("In", ()))[1:]
        running = getattr(shell.displayhook, "exec_result", None)
        if running is not None and not running.info.silent:
            # The last one is running now: the cell that loads the extension. A front end's button loads it silently, without a cell.
            earlier.pop()
        for source in earlier:
            if not source.strip():
                continue
            self.redactor.learn_source(source)
            statements = self.analysed(source)
            self.learn_fitting(statements)
            for statement in statements:
                self.runs.provenance.execute(statement)
            event = CellEvent(
                session=self.journal.session,
                seq=self.next_seq(),
                source=self.redactor.source(source),
                started=0.0,
                seconds=0.0,
                status="untracked",
            )
            self.journal.append({"kind": "cell", **to_json(event)})
            self.learn_versions(event, statements)

    def _keep_fetched(self, name: str, value: Any, source: str, mark: int, ready: Callable[[Input], None]) -> bool:
        """Freeze what a network or database statement gave a name; whether it is data."""
        from ..store.snapshots import freezable

        if freezable(value) is None:
            return False
        seq, number = self.seq, next(self._fetched)

        def kept(item: Input) -> None:
            ready(item)
            if item.digest is None:
                return
            record = {"kind": "fetched", "seq": seq, "name": name, "number": number, "digest": item.digest, "mark": mark}
            self.journal.append(record)

        self.freezer.keep_whole(name, value, kept, source, self.settings.keep)
        return True

    def _put_model(self, data: bytes) -> str:
        self._learn_secrets()
        secret = self.redactor.within(data)
        if secret is not None:
            raise ModelRefused(f"it holds the secret {secret}")
        return self.objects.put(data)

    def _learn_secrets(self) -> None:
        """Learn what stands under secret names now: a running cell shows what it bound, read or imported a moment ago."""
        if self.shell is None:
            return
        names = dict(self.shell.user_ns)
        self.redactor.learn_values(names)
        self.redactor.learn_environment(os.environ)
        for module in names.values():
            if isinstance(module, ModuleType) and str(getattr(module, "__file__", None) or "").startswith(str(self.settings.project)):
                self.redactor.learn_values(vars(module))

    def _keep_output(self, data: bytes) -> str:
        self._learn_secrets()
        return self.objects.put(self.redactor.text(data.decode("utf-8", "replace")).encode())

    def _emit_outputs(self, seq: int, outputs: list[Output]) -> None:
        self._learn_secrets()
        self.journal.append({"kind": "outputs", "seq": seq, "outputs": self.redactor.json(to_json(outputs))})
