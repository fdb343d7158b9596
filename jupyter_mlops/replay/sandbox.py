"""The folder in which a replay runs: a new temporary one, in which every path has its place below `tree` as it had below the root.

So the project has its name and its neighbours, relative paths with `..` lead where they led, and an absolute path is mended by putting
the tree in front of it. Whatever a kernel or library keeps between runs (fonts, histories, compiled code) has its place in `home`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from ..store import locks
from ..tracking import session

_PREFIX, _LOCK = "mlops-replay-", "lock"
_OURS = ("MLOPS_", "MLFLOW_", "_MLFLOW_", "JPY_", "JUPYTER_")
"""Variables of ours, of MLflow's and of the front end's: with them, a replay would write into the user's own store."""


class Sandbox:
    """A folder for one replay; a context manager that removes it at the end.

    It is locked while this process lives: what a replay left that was killed goes when the next one begins.
    """

    def __init__(self, project: Path, cwd: Path) -> None:
        sweep(Path(tempfile.gettempdir()))
        self.root = Path(os.path.realpath(tempfile.mkdtemp(prefix=_PREFIX)))
        self._lock = locks.hold(self.root / _LOCK)
        self.tree, self.temporary, self.home = self.root / "tree", self.root / "tmp", self.root / "home"
        self.project, self.cwd = self.place(project), self.place(cwd)
        for folder in (self.project, self.cwd, self.temporary, self.home):
            folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder with everything in it, also what the code made read-only."""
        if self._lock is not None:
            locks.release(self.root / _LOCK, self._lock)
            self._lock = None
        _remove(self.root)

    def place(self, path: Path | str) -> Path:
        """Where a recorded path is here."""
        return self.tree / os.path.abspath(path).lstrip(os.sep)

    def environment(self, hash_seed: str, notebook: str, secrets: Collection[str] = ()) -> dict[str, str]:
        """The variables of the replay's kernel: those of this process, but for those that lead into the user's stores and caches.

        Where this process is a tracked kernel itself, they are those that it had before its cells, which may set others, and `secrets`,
        which the code asks for by these names.
        """
        live = session.current()
        given = os.environ if live is None else live.variables | {name: os.environ[name] for name in secrets if name in os.environ}
        variables = {name: value for name, value in given.items() if not name.startswith(_OURS)}
        return {
            **variables,
            "PYTHONHASHSEED": hash_seed,
            "TMPDIR": str(self.temporary),
            "JOBLIB_TEMP_FOLDER": str(self.temporary),
            "IPYTHONDIR": str(self._ipython(variables)),
            "MPLCONFIGDIR": str(self._matplotlib(variables)),
            "NUMBA_CACHE_DIR": str(self.home / "numba"),
            # Its stores are files here, which it has no other way to be asked for.
            "MLFLOW_ALLOW_FILE_STORE": "true",
            "GIT_PYTHON_REFRESH": "quiet",
            "JPY_SESSION_NAME": str(self.place(notebook)) if notebook else "",
        }

    def _matplotlib(self, variables: Mapping[str, str]) -> Path:
        """The user's settings and list of fonts, which takes seconds to make."""
        user, ours = Path.home(), self.home / "matplotlib"
        theirs = variables.get("MPLCONFIGDIR")
        config = Path(theirs or Path(variables.get("XDG_CONFIG_HOME") or user / ".config", "matplotlib"))
        cache = Path(theirs or Path(variables.get("XDG_CACHE_HOME") or user / ".cache", "matplotlib"))
        _copy(config, ours, "matplotlibrc", "stylelib/*.mplstyle")
        _copy(cache, ours, "fontlist-*.json")
        return ours

    def _ipython(self, variables: Mapping[str, str]) -> Path:
        """The user's settings and start-up files of IPython, without its history."""
        theirs = Path(variables.get("IPYTHONDIR") or Path.home() / ".ipython")
        ours = self.home / "ipython"
        _copy(theirs, ours, *(f"profile_default/{pattern}" for pattern in ("*.py", "*.json", "startup/*.py", "startup/*.ipy")))
        (ours / "profile_default").mkdir(parents=True, exist_ok=True)
        return ours


def sweep(temporary: Path) -> None:
    """Remove the folders of replays whose processes are dead."""
    for lock in temporary.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # another user's
            if not locks.is_held(lock):
                _remove(lock.parent)


def _remove(root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    if root.exists():
        for folder, _, _ in os.walk(root):
            with contextlib.suppress(OSError):
                os.chmod(folder, 0o700)
        shutil.rmtree(root, ignore_errors=True)


def _copy(source: Path, target: Path, *patterns: str) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for pattern in patterns:
        for path in source.glob(pattern):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
