"""What runs in the replay's own kernel: this package's tracking on the sandbox, the guard, and the cues of the player.

The player starts it in place of `ipykernel_launcher`. Before each cell it reads the cell's cue; what the cell then does is recorded by the
same `Session` that recorded it the first time, into a journal of the sandbox.
"""

from __future__ import annotations

import builtins
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ..config import Settings
from ..errors import MlopsError, UsageError
from ..store import client, snapshots
from ..store import objects as object_stores
from ..tracking import session as sessions
from ..tracking.block import track
from ..tracking.random_state import RandomStates
from .guard import Guard, Refused
from .mlflow_store import PLACE, Redirection
from .rehearsal import ReplaySession
from .rewriting import NAME, Rewriter
from .stage import Cue, Places, Scene, Told, read_cue, read_places, read_scene, tell

LAUNCH = "import sys; sys.path[:1] = []; from jupyter_mlops.replay.inside import main; main()"
"""What `python -c` runs: the working folder is on no path while this package is loaded, as with `ipykernel_launcher`."""

_IMPORTED = {"numpy": "numpy.random", "torch": "torch"}


def main() -> None:
    """Become the kernel of the replay whose scene the first argument names; the rest are the kernel's own arguments."""
    scene = read_scene(Path(sys.argv[1]))
    import ipykernel_launcher  # type: ignore[import-untyped]  # a script without types
    from ipykernel.kernelapp import IPKernelApp

    sys.argv = [str(ipykernel_launcher.__file__), *sys.argv[2:]]
    _mend_path(scene)
    # A profile or startup file that loads the extension in each kernel would record here beside the replay.
    import_module(__name__.partition(".")[0]).load_ipython_extension = lambda shell: None  # type: ignore[attr-defined]
    app = IPKernelApp.instance()
    app.initialize([*sys.argv[1:], "--HistoryManager.enabled=False"])
    Stage(scene, app.shell).open()
    app.start()


def answer(function: str, argument: str, place: str) -> None:
    """Call "module:function" of this package with a JSON argument and leave its JSON answer at `place`; an error leaves {"error": ...}."""
    try:
        module, _, name = function.partition(":")
        told = {"value": getattr(import_module(module), name)(json.loads(argument))}
    except MlopsError as error:
        told = {"error": str(error)}
    Path(place).write_text(json.dumps(told), encoding="utf-8")


class Missing:
    """What stands for a value that came from the network and could not be had again. Whatever is done with it fails in one sentence."""

    def __init__(self, name: str, why: str) -> None:
        self.__dict__.update(_name=name, _why=why)

    def __getattr__(self, attribute: str) -> Any:
        raise Refused(f"{self._name} came from the network or a database, and it was not data that is kept: {self._why}")


class Stage:
    """Directs the cells of one replay; what rewritten code calls (see `rewriting`) is here."""

    def __init__(self, scene: Scene, shell: Any) -> None:
        self.scene, self._shell = scene, shell
        self._root = Path(scene.root)
        self.cue = Cue(seq=0)
        self.places = Places()
        self._guard = Guard(scene.root)
        self._taken: dict[str, int] = {}
        self._told: list[Told] = []

    @property
    def names(self) -> Mapping[str, Any]:
        names: Mapping[str, Any] = self._shell.user_ns
        return names

    def open(self) -> None:
        """Get ready for the first cell."""
        scene = self.scene
        settings = Settings(project=Path(scene.project), experiment=scene.experiment, line=False, secrets=scene.secrets)
        session = self._session = ReplaySession(settings, scene)
        object_stores.open_objects = lambda settings: session.objects
        client.ask = _ask
        sessions._session = session
        setattr(builtins, NAME, self)
        builtins.secret = self.secret  # type: ignore[attr-defined]  # what recorded code has in place of a secret
        events = self._shell.events
        events.register("pre_run_cell", self._begin)
        self._shell.ast_transformers.append(Rewriter(self))
        session.watch_shell(self._shell)
        self._shell.register_magic_function(self.block, "cell", "mlops")
        events.register("post_run_cell", self._end)
        session.prepare()
        if scene.block:
            session.open_block(**scene.block)
        Redirection((self._root / PLACE).as_uri()).install()
        if not scene.allow:
            self._guard.follow(str(self._root / "guard"))
            self._guard.install()

    def _begin(self, info: Any) -> None:
        cue = read_cue(self._root / "cue.json")
        if cue.seq == self.cue.seq:
            return  # a cell within the cell
        if not self.cue.seq:
            self.places = read_places(self._root / "places.json")
            sys.path[:0] = [folder for folder in self.places.folders if folder not in sys.path]
            self._guard.barred = self.places.barred
        self.cue = self._session.cue = cue
        self._shell.execution_count = cue.seq
        self._taken, self._told = {}, []
        self._guard.told.clear()
        for key in cue.random.keys() & _IMPORTED.keys():
            import_module(_IMPORTED[key])
        RandomStates.restore(cue.random, self.names)

    def _end(self, result: Any) -> None:
        self._session.failed = not result.success
        if not result.success and self.cue.whole:
            # What was refused and did not stop the cell has not changed it either, as far as its results tell.
            for sentence in dict.fromkeys(self._guard.told):
                self._tell(sentence, excused=False)
        if self._told:
            tell(list(dict.fromkeys(self._told)), self._root / "told.json")

    def _tell(self, why: str, *, excused: bool) -> None:
        self._told.append(Told(why=why, excused=excused))

    def block(self, line: str, cell: str) -> None:
        """`%%mlops track NAME`, the one magic of this package that runs recorded code."""
        with track(shlex.split(line)[-1]):
            self._shell.run_cell(cell, store_history=False).raise_error()

    # -- what rewritten code calls

    def fetched(self, names: tuple[str, ...], mark: int) -> Any:
        """The next snapshots of what an expression gave these names."""
        values = [self._next(name, mark) for name in names]
        self._tell(f"{', '.join(names)} came from the network or a database: the recorded data took its place", excused=True)
        return values[0] if len(names) == 1 else tuple(values)

    def tried(self, value: Callable[[], Any], names: tuple[str, ...], mark: int, reads: tuple[str, ...]) -> Any:
        """What an expression gives here: a local database answers. Where it cannot be had, the snapshots of what it gave."""
        refusals = len(self._guard.told)
        try:
            return value()
        except Exception as error:
            why = str(error)
            if not self.cue.whole or not (len(self._guard.told) > refusals or any(map(self.is_missing, reads))):
                raise
        del self._guard.told[refusals:]
        if names and all(any(given[1] == mark for given in self.cue.fetched.get(name, ())) for name in names):
            return self.fetched(names, mark)
        return self._missing(names, reads, why)

    def given_up(self, names: tuple[str, ...], reads: tuple[str, ...]) -> None:
        """A statement failed: go on where that is because something is missing here."""
        error = sys.exception()
        if not self.cue.whole or not any(map(self.is_missing, reads)):
            raise error or RuntimeError
        for name in names:
            self._shell.user_ns[name] = Missing(name, str(error))
        self._missing(names, reads, str(error))

    def seeded(self, name: str, generator: Any) -> None:
        """Put a generator that was made without a seed into the state that it had when it was made in the recording."""
        RandomStates.restore({f"name:{name}": self.cue.generators[name]}, {name: generator})

    def skipped(self, command: str) -> None:
        """A command that installs packages."""
        self._tell(f"{command} is skipped: a replay installs nothing", excused=True)

    def refused(self, command: str, captured: bool) -> Any:
        """A command of another program."""
        self._tell(f"{command} is not run: a replay starts no other programs (allow it with --allow)", excused=False)
        self._put_written(command)
        return [] if captured else None

    def _put_written(self, text: str) -> None:
        """Put back what a command or download wrote that did not run here: the files that its text names."""
        for path, digest in self.cue.written.items():
            place = Path(self.scene.tree + path)
            if os.path.basename(path) in text and not place.exists():
                snapshots.restore(digest, place, self._session.objects)

    def secret(self, name: str) -> str:
        """The value of the environment variable that stands for a secret."""
        value = os.environ.get(name)
        if value is None:
            why = f"the secret {name} was not recorded: set the environment variable {name} and replay again"
            self._tell(why, excused=False)
            raise UsageError(f"{why[:1].upper()}{why[1:]}.")
        return value

    def is_missing(self, name: str) -> bool:
        return type(self.names.get(name)) is Missing

    def _missing(self, names: tuple[str, ...], reads: tuple[str, ...], why: str) -> Any:
        lost = [name for name in reads if self.is_missing(name)]
        needed = f"it needs {', '.join(lost)}, which came from the network or a database and could not be had"
        self._tell(needed if lost else f"{', '.join(names)} came from the network or a database and could not be had: {why}", excused=False)
        values = [Missing(name, why) for name in names]
        return values[0] if len(values) == 1 else tuple(values) or None

    def _next(self, name: str, mark: int) -> Any:
        digests = [digest for digest, known in self.cue.fetched.get(name, ()) if known == mark]
        taken = self._taken[name] = self._taken.get(name, 0) + 1
        return snapshots.load(digests[min(taken, len(digests)) - 1], self._session.objects)


def _ask(*arguments: Any, **named: Any) -> Any:
    raise UsageError("Runs are not looked up within a replay: its own are not delivered anywhere.")


def _mend_path(scene: Scene) -> None:
    """Modules of the project come from the sandbox, also where an installation leads to the project's own folder."""
    theirs = [folder for folder in scene.path.split(os.pathsep) if folder]
    # What was added so that this package is found is no folder of theirs.
    added = {folder for folder in os.environ.pop("PYTHONPATH", "").split(os.pathsep) if folder} - set(theirs)
    sys.path[:] = [folder for folder in sys.path if folder not in added]
    if theirs:
        os.environ["PYTHONPATH"] = os.pathsep.join(_moved(folder, scene) for folder in theirs)
    sys.path[:] = [_moved(folder, scene) for folder in sys.path]
    for finder in sys.meta_path:
        mapping = getattr(sys.modules.get(getattr(finder, "__module__", "")), "MAPPING", None)
        if isinstance(mapping, dict):
            mapping.update({name: _moved(folder, scene) for name, folder in mapping.items()})


def _moved(path: str, scene: Scene) -> str:
    """Where a folder of the project is here; Python's own folders stay, also where the project is the user's home around them."""
    inside = path == scene.recorded or path.startswith(scene.recorded + os.sep)
    installed = path.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep)) or f"{os.sep}site-packages" in path
    return scene.project + path[len(scene.recorded) :] if inside and not installed else path
